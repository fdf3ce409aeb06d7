/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floats of files by the definitions of IEEE 754 and bfloat16 (every 16-bit number there is; rounding against the
 * neighbours in float64), models in several files, and indexes as hostile input.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/model.h"
#include "model/safetensors.h"
#include "unit.h"

#include "folder.h"

/* ---- numbers ---- */

/* What 16 bits stand for: e bits of exponent, 15 - e of fraction. */
static double
value_of(unsigned half, int e)
{
    int f = 15 - e, bias = (1 << (e - 1)) - 1, exponent = (int)(half >> f) & ((1 << e) - 1);
    double fraction = half & ((1U << f) - 1U), sign = half >> 15 ? -1 : 1;

    if (exponent == (1 << e) - 1)
        return fraction != 0 ? (double)NAN : sign * (double)INFINITY;
    return exponent == 0 ? sign * ldexp(fraction, 1 - bias - f)
                         : sign * ldexp(1 + ldexp(fraction, -f), exponent - bias);
}

static void
test_every_half(enum dtype t, int e)
{
    size_t same = 0, back = 0, found = 0;

    for (unsigned h = 0; h < 65536; h++) {
        unsigned char bytes[3], again[3];
        double want = value_of(h, e);
        float x;
        size_t at;

        memcpy(bytes + 1, &(uint16_t){(uint16_t)h}, 2); /* an odd address */
        at = dtype_to_f32(&x, bytes + 1, 1, t);
        same += (isnan(want) ? isnan(x) : (double)x == want && (signbit(x) != 0) == (h >> 15 != 0)) ? 1U : 0U;
        found += at == (isfinite(want) ? 1U : 0U);
        at = dtype_from_f32(again + 1, &x, 1, t);
        back += (isnan(want) ? isnan(value_of(again[1] | (unsigned)again[2] << 8, e)) && at == 0
                             : memcmp(bytes + 1, again + 1, 2) == 0 && at == (isfinite(want) ? 1U : 0U))
                    ? 1U
                    : 0U;
    }
    CHECK(same == 65536 && found == 65536, "%s: each of 65536 numbers is read as it is defined", dtype_name(t));
    CHECK(back == 65536, "%s: and comes back", dtype_name(t));
}

/* The nearest of all 16-bit numbers, an even one on a tie: what x is rounded to lies beside it. */
static void
test_rounding(enum dtype t, int e)
{
    struct rng r = rng_seed(5, 5);
    size_t wrong = 0, n = 200000;

    for (size_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)rng_u64(&r);
        uint16_t half;
        float x;
        double here, below, above;

        if (i % 4 == 0) /* a tie */
            bits = t == DTYPE_BF16 ? (bits & 0xFFFF0000U) | 0x8000U : (bits & 0xFFFFE000U) | 0x1000U;
        if (i % 2 == 0 && t == DTYPE_F16) /* of its size, subnormal ones too */
            bits = (bits & 0x80FFFFFFU) | ((0x32U + (uint32_t)rng_below(&r, 0x16)) << 24);
        memcpy(&x, &bits, sizeof x);
        if (!isfinite(x))
            continue;
        (void)dtype_from_f32(&half, &x, 1, t);
        here = value_of(half, e);
        if (isinf(here)) { /* beyond half a step behind the largest */
            double largest = value_of((unsigned)(half - 1), e),
                   step = fabs(largest - value_of((unsigned)(half - 2), e));
            wrong += fabs((double)x) < fabs(largest) + step / 2;
            continue;
        }
        below = (half & 0x7FFF) > 0 ? value_of((unsigned)(half - 1), e) : (double)INFINITY;
        above = value_of((unsigned)(half + 1), e);
        wrong += fabs((double)x - here) > fabs((double)x - below) || fabs((double)x - here) > fabs((double)x - above);
        wrong += (half & 1U) != 0 && (fabs((double)x - here) == fabs((double)x - below) ||
                                         fabs((double)x - here) == fabs((double)x - above));
    }
    CHECK(wrong == 0, "%s: numbers are rounded to the nearest, ties to even (%zu wrong)", dtype_name(t), wrong);
}

static void
test_not_finite(void)
{
    float x[10000], y[10000];

    for (size_t i = 0; i < 10000; i++)
        x[i] = (float)i;
    CHECK(dtype_to_f32(y, x, 10000, DTYPE_F32) == 10000 && memcmp(x, y, sizeof x) == 0, "float32 is copied");
    x[9999] = NAN;
    x[5000] = -INFINITY;
    CHECK(dtype_to_f32(y, x, 10000, DTYPE_F32) == 5000, "the first that is not finite is found");
    x[5000] = 65520;
    CHECK(dtype_from_f32(y, x, 10000, DTYPE_F16) == 5000, "65520 does not fit into float16");
    x[5000] = 65519;
    CHECK(dtype_from_f32(y, x, 10000, DTYPE_F16) == 9999, "65519 does");
}

/* ---- shards ---- */

static struct model *
some_model(bool tied)
{
    struct model_config c = {.V = 11,
        .D = 6,
        .L = 2,
        .H = 3,
        .G = 1,
        .E = 2,
        .F = 5,
        .norm_eps = 1e-5,
        .rope_theta = 10000,
        .max_positions = 99,
        .bos = -1,
        .tied = tied};
    struct model *m = NULL;
    struct rng r = rng_seed(1, 1);

    if (model_new(&m, &c, NULL) != OK)
        return NULL;
    for (size_t i = 0; i < m->params->count; i++) { /* exact in every type */
        int64_t k = (int64_t)rng_below(&r, 201) - 100;
        m->params->block[i] = (float)k / 64;
    }
    return m;
}

static size_t
count_files(const char *end)
{
    DIR *d = opendir(folder);
    size_t n = 0, length = strlen(end);

    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        n += strlen(e->d_name) >= length && strcmp(e->d_name + strlen(e->d_name) - length, end) == 0;
    if (d != NULL)
        (void)closedir(d);
    return n;
}

static bool
loads_as(const struct model *m, struct err *err)
{
    struct model *again = NULL;
    bool same = model_load(&again, folder, err) == OK &&
                memcmp(m->params->block, again->params->block, m->params->count * sizeof(float)) == 0;

    model_free(again);
    return same;
}

static void
empty_folder(void)
{
    DIR *d = opendir(folder);

    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            (void)unlink(path_of(e->d_name));
    if (d != NULL)
        (void)closedir(d);
}

static void
test_shards(enum dtype t, bool tied)
{
    struct model *m = some_model(tied);
    struct weights *w = NULL;
    struct err err = {0};

    CHECK(model_save_as(folder, &m->config, m->params, &(struct save_options){t, 200, NULL}, &err) == OK &&
              count_files(".safetensors") > 5 && count_files(".index.json") == 1 && loads_as(m, &err),
        "%s in shards, and back: %s", dtype_name(t), err.text);
    CHECK(weights_open(&w, folder, &err) == OK && weights_bytes(w) == m->params->count * dtype_size(t) &&
              weights_find(w, "model.norm.weight")->dtype == t && weights_find(w, "model.norm") == NULL,
        "all of it is there, in that type");
    CHECK((weights_find(w, "lm_head.weight") == NULL) == tied, "a tied head is not");
    weights_close(w);
    CHECK(model_save_as(folder, &m->config, m->params, &(struct save_options){t, SHARD_BYTES, NULL}, &err) == OK &&
              count_files(".index.json") == 0 && loads_as(m, &err),
        "as one file, which takes the place of the shards");
    m->params->block[0] += 1;
    CHECK(model_save_as(folder, &m->config, m->params, &(struct save_options){t, 200, NULL}, &err) == OK &&
              !folder_has(folder, "model.safetensors") && loads_as(m, &err),
        "and shards take the place of the one file");
    model_free(m);
    empty_folder();
}

static void
test_too_large(void)
{
    struct model *m = some_model(true);
    struct err err;

    m->params->block[3] = 70000;
    CHECK(model_save_as(folder, &m->config, m->params, &(struct save_options){DTYPE_F16, SHARD_BYTES, NULL}, &err) ==
                  DATA &&
              strstr(err.text, "model.embed_tokens.weight") != NULL && count_files("") == 2,
        "70000 as float16: %s", err.text);
    model_free(m);
}

/* A head in the file of a model whose head is tied is not looked at. */
static void
test_tied_head(void)
{
    struct model *m = some_model(false), *again = NULL;
    struct err err;

    CHECK(model_save(folder, &m->config, m->params, &err) == OK, "an untied model");
    m->config.tied = true;
    CHECK(config_save(folder, &m->config, NULL, DTYPE_F32, &err) == OK && model_load(&again, folder, &err) == OK &&
              again->params->head == again->params->embed &&
              memcmp(again->params->embed, m->params->embed, 66 * sizeof(float)) == 0,
        "tied by config.json: the embedding is the head");
    model_free(again);
    model_free(m);
    empty_folder();
}

/* ---- indexes ---- */

#define ONE "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}   "
#define TWO "{\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}   "

static void
write_shard(const char *name, const char *header)
{
    unsigned char bytes[128] = {0};
    struct err err;

    bytes[0] = (unsigned char)strlen(header);
    memcpy(bytes + 8, header, strlen(header));
    CHECK(folder_write(folder, name, bytes, 8 + strlen(header) + 4, &err) == OK, "shard %s", name);
}

static void
test_indexes(void)
{
    static const struct {
        const char *index, *message; /* NULL: fine */
    } cases[] = {
        {"{\"weight_map\":{\"a\":\"1.st\",\"b\":\"2.st\"}}", NULL},
        {"{\"metadata\":{\"total_size\":8},\"weight_map\":{\"b\":\"2.st\",\"a\":\"1.st\"}}", NULL},
        {"{\"weight_map\":{\"a\":\"1.st\",\"b\":\"1.st\"}}", "tensor b is not in 1.st"},
        {"{\"weight_map\":{\"a\":\"2.st\",\"b\":\"1.st\"}}", "tensor a is in 1.st, but in another file"},
        {"{\"weight_map\":{\"a\":\"1.st\",\"c\":\"2.st\"}}", "tensor b of 2.st is not in the weight_map"},
        {"{\"weight_map\":{\"a\":\"1.st\",\"b\":\"2.st\",\"c\":\"2.st\"}}", "tensor c is not in 2.st"},
        {"{\"weight_map\":{\"a\":\"1.st\",\"b\":\"3.st\"}}", "tensor a"},
        {"{\"weight_map\":{\"a\":\"1.st\",\"a\":\"2.st\"}}", "weight_map: a: comes twice"},
        {"{\"weight_map\":{\"a\":\"1.st\"},\"weight_map\":{}}", "weight_map: comes twice"},
        {"{\"weight_map\":{\"a\":\"../1.st\"}}", "weight_map: ../1.st: not the name of a file in this folder"},
        {"{\"weight_map\":{\"a\":\"..\"}}", "not the name of a file"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "weight_map: /etc/passwd: not the name of a file"},
        {"{\"weight_map\":{\"a\":\"x/1.st\"}}", "not the name of a file"},
        {"{\"weight_map\":{\"a\":\"1.st\\u0000\"}}", "not the name of a file"},
        {"{\"weight_map\":{\"a\":\"\"}}", "not the name of a file"},
        {"{\"weight_map\":{\"a\":\".\"}}", "not the name of a file"},
        {"{\"weight_map\":{\"a\\u0000\":\"1.st\"}}", "contains the byte 0"},
        {"{\"weight_map\":{\"a\":1}}", "expected names of files"},
        {"{\"weight_map\":{}}", "expected a map of tensors to files"},
        {"{\"weight_map\":[]}", "expected a map of tensors to files"},
        {"[]", "expected a map of tensors to files"},
        {"", "not JSON"},
        {"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"},
    };
    struct weights *w = NULL;
    struct err err;

    write_shard("1.st", ONE);
    write_shard("2.st", TWO);
    write_shard("3.st", ONE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum status st;

        if (folder_write(folder, "model.safetensors.index.json", cases[i].index, strlen(cases[i].index), &err) != OK)
            CHECK(false, "an index: %s", err.text);
        st = weights_open(&w, folder, &err);
        CHECK(cases[i].message == NULL ? st == OK : st == DATA && strstr(err.text, cases[i].message) != NULL,
            "index %zu: %s", i, st == OK ? "fine" : err.text);
        weights_close(w);
    }
    CHECK(folder_write(folder, "model.safetensors.index.json", "{\"weight_map\":{\"a\":\"4.st\"}}", 27, &err) == OK &&
              weights_open(&w, folder, &err) == NOINPUT && strstr(err.text, "4.st") != NULL,
        "a shard that is not there: %s", err.text);
    write_shard("model.safetensors", TWO);
    CHECK(weights_open(&w, folder, &err) == OK && weights_files(w) == 1 && weights_find(w, "b") != NULL,
        "a single file comes before an index");
    weights_close(w);
    CHECK(unlink(path_of("model.safetensors")) == 0, "it is removed");
}

/* More files than are opened, and a name longer than any. */
static void
test_index_sizes(void)
{
    struct buf index = {0};
    struct weights *w = NULL;
    struct err err;
    bool fine = buf_printf(&index, &err, "{\"weight_map\":{\"a\":\"0\"") == OK;

    for (int i = 1; fine && i <= SHARDS_MAX; i++)
        fine = buf_printf(&index, &err, ",\"%d\":\"%d\"", i, i) == OK;
    fine = fine && buf_printf(&index, &err, "}}") == OK &&
           folder_write(folder, "model.safetensors.index.json", index.p, index.n, &err) == OK;
    CHECK(fine && weights_open(&w, folder, &err) == DATA && strstr(err.text, "more than") != NULL,
        "an index of %d files: %s", SHARDS_MAX + 1, err.text);
    index.n = 0;
    fine = buf_printf(&index, &err, "{\"weight_map\":{\"a\":\"%0256d\"}}", 1) == OK &&
           folder_write(folder, "model.safetensors.index.json", index.p, index.n, &err) == OK;
    CHECK(fine && weights_open(&w, folder, &err) == DATA && strstr(err.text, "not the name of a file") != NULL,
        "a name of 256 bytes");
    buf_free(&index);
}

/* An index that is cut off or has a bit flipped is fine or a data error, or names a file that is not there. */
static void
test_index_damage(void)
{
    static const char index[] = "{\"metadata\":{\"total_size\":8},\"weight_map\":{\"a\":\"1.st\",\"b\":\"2.st\"}}";
    char broken[sizeof index];
    size_t n = sizeof index - 1, refused = 0, absent = 0, other = 0;
    struct weights *w = NULL;
    struct err err;
    enum status st;

    for (size_t i = 0; i < n; i++) {
        st = folder_write(folder, "model.safetensors.index.json", index, i, &err);
        refused += st == OK && weights_open(&w, folder, &err) == DATA;
    }
    CHECK(refused == n, "cut off at every byte: a data error");
    for (size_t bit = 0; bit < 8 * n; bit++) {
        memcpy(broken, index, n);
        broken[bit / 8] = (char)(broken[bit / 8] ^ 1 << bit % 8);
        if ((st = folder_write(folder, "model.safetensors.index.json", broken, n, &err)) == OK)
            st = weights_open(&w, folder, &err);
        weights_close(w);
        absent += st == NOINPUT;
        other += st != OK && st != DATA && st != NOINPUT;
    }
    CHECK(other == 0 && absent > 0, "each single bit flipped: fine, a data error, or a file that is not there");
}

int
main(void)
{
    if (!folder_begin())
        return 1;
    num_init(2);
    test_every_half(DTYPE_F16, 5);
    test_every_half(DTYPE_BF16, 8);
    test_rounding(DTYPE_F16, 5);
    test_rounding(DTYPE_BF16, 8);
    test_not_finite();
    test_shards(DTYPE_F32, true);
    test_shards(DTYPE_F16, false);
    test_shards(DTYPE_BF16, true);
    test_too_large();
    test_tied_head();
    test_indexes();
    test_index_sizes();
    test_index_damage();
    empty_folder();
    folder_end();
    return unit_done();
}
