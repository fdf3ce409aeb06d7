/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model folders: what is written is read back to the last bit; config.json and model.safetensors as hostile input.
 * Values of half-precision numbers are by hand from IEEE 754 and the definition of bfloat16.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/model.h"
#include "model/safetensors.h"
#include "unit.h"

#include "folder.h"

/* ---- config.json ---- */

#define BASE \
    "\"model_type\":\"llama\",\"vocab_size\":32,\"hidden_size\":8,\"num_hidden_layers\":1,\"num_attention_heads\":2," \
    "\"intermediate_size\":16"

static enum status
try_config(struct model_config *c, const char *text, struct err *err)
{
    write_file("config.json", text, strlen(text));
    return config_load(c, folder, err);
}

/* Field by field: between fields there may be anything. */
static bool
same_config(const struct model_config *a, const struct model_config *b)
{
    struct buf x = {0}, y = {0};
    struct err err;
    bool same =
        config_json(&x, a, &err) == OK && config_json(&y, b, &err) == OK && x.n == y.n && memcmp(x.p, y.p, x.n) == 0;

    buf_free(&x);
    buf_free(&y);
    return same;
}

static void
test_config_reads(void)
{
    static const char scaled[] =
        "{" BASE ",\"num_key_value_heads\":1,\"head_dim\":6,\"rms_norm_eps\":1e-5,\"rope_theta\":500000.0,"
        "\"tie_word_embeddings\":true,\"bos_token_id\":1,\"eos_token_id\":[2,3],\"max_position_embeddings\":131072,"
        "\"rope_scaling\":{\"factor\":32.0,\"high_freq_factor\":4.0,\"low_freq_factor\":1.0,"
        "\"original_max_position_embeddings\":8192,\"rope_type\":\"llama3\"}}";
    struct model_config c, again;
    struct buf text = {0};
    struct err err;

    CHECK(try_config(&c, "{" BASE "}", &err) == OK, "the least config.json");
    CHECK(c.G == 2 && c.E == 4 && c.bos == -1 && c.n_eos == 0 && !c.tied && !c.rope_scaled && c.max_positions == 2048,
        "its defaults are those of transformers");
    NEAR(c.rope_theta, 10000, 0, "rope_theta by default");
    NEAR(c.norm_eps, 1e-6, 0, "rms_norm_eps by default");
    CHECK(try_config(&c, scaled, &err) == OK, "a config.json in the manner of Llama 3.2");
    CHECK(c.G == 1 && c.E == 6 && c.tied && c.rope_scaled && c.rope_original == 8192 && c.bos == 1 && c.n_eos == 2 &&
              c.eos[1] == 3 && c.max_positions == 131072,
        "its values");
    NEAR(c.rope_factor, 32, 0, "rope_scaling.factor");
    CHECK(config_json(&text, &c, &err) == OK && buf_add(&text, "", 1, &err) == OK, "written");
    CHECK(try_config(&again, text.p, &err) == OK && same_config(&c, &again), "and read back: the same");
    buf_free(&text);
    CHECK(try_config(&c, "{\"rope_parameters\":{\"rope_theta\":5000.0},\"rope_theta\":7," BASE "}", &err) == OK &&
              c.rope_theta == 5000 && !c.rope_scaled,
        "rope_parameters without a type");
    CHECK(try_config(&c, "{\"model_max_length\":1000000000000000019884624838656,\"rope_scaling\":{}," BASE "}", &err) ==
              OK,
        "an integer of Python's");
}

static void
test_config_ends(void)
{
    struct model_config c;
    struct err err;

    CHECK(try_config(&c, "{\"eos_token_id\":[2,3]," BASE "}", &err) == OK && config_load_ends(&c, folder, &err) == OK &&
              c.n_eos == 2 && c.eos[1] == 3,
        "no generation_config.json");
    write_file("generation_config.json", "{\"eos_token_id\":null}", 21);
    CHECK(config_load_ends(&c, folder, &err) == OK && c.n_eos == 2, "one that names no end");
    write_file("generation_config.json", "{\"eos_token_id\":[5,6,7]}", 24);
    CHECK(config_load_ends(&c, folder, &err) == OK && c.n_eos == 3 && c.eos[0] == 5 && c.eos[2] == 7, "its ends");
    write_file("generation_config.json", "{\"eos_token_id\":4}", 18);
    CHECK(config_load_ends(&c, folder, &err) == OK && c.n_eos == 1 && c.eos[0] == 4, "its end");
    write_file("generation_config.json", "{\"eos_token_id\":99}", 19);
    CHECK(config_load_ends(&c, folder, &err) == DATA && strstr(err.text, "generation_config.json: eos") != NULL,
        "an end that is no token: %s", err.text);
    write_file("generation_config.json", "{", 1);
    CHECK(config_load_ends(&c, folder, &err) == DATA, "not JSON: %s", err.text);
    CHECK(folder_remove(folder, "generation_config.json", &err) == OK, "removed");
}

static void
test_config_refuses(void)
{
    static const char *const bad[][2] = {
        {"", "config.json"},
        {"[]", "expected an object"},
        {"{\"vocab_size\":32}", "hidden_size: missing"},
        {"{" BASE ",\"vocab_size\":0}", "vocab_size: comes twice"},
        {"{\"vocab_size\":-1," BASE "}", "vocab_size: expected a whole number"},
        {"{\"vocab_size\":1.5," BASE "}", "vocab_size: expected a whole number"},
        {"{\"vocab_size\":18446744073709551615," BASE "}", "vocab_size: expected a whole number"},
        {"{\"vocab_size\":99999999999," BASE "}", "vocab_size: expected 2 to "},
        {"{\"num_attention_heads\":3,\"num_key_value_heads\":2," BASE "}", "not a multiple"},
        {"{\"head_dim\":5," BASE "}", "head_dim: expected an even number, got 5"},
        {"{\"num_attention_heads\":16,\"num_key_value_heads\":16," BASE "}", "more than hidden_size"},
        {"{\"model_type\":\"gpt2\"," BASE "}", "model_type: expected \"llama\""},
        {"{\"hidden_act\":\"gelu\"," BASE "}", "hidden_act: expected \"silu\""},
        {"{\"attention_bias\":true," BASE "}", "attention_bias"},
        {"{\"rms_norm_eps\":\"x\"," BASE "}", "rms_norm_eps: expected a number"},
        {"{\"rope_theta\":0," BASE "}", "rope_theta: expected 1 to"},
        {"{\"rope_scaling\":{\"rope_type\":\"yarn\"}," BASE "}", "rope_type: expected \"llama3\""},
        {"{\"rope_scaling\":{\"rope_type\":\"llama3\",\"low_freq_factor\":4}," BASE "}",
            "rope_scaling: factor: missing"},
        {"{\"rope_scaling\":{\"type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,\"high_freq_factor\":4,"
         "\"original_max_position_embeddings\":64}," BASE "}",
            "low_freq_factor is not below"},
        {"{\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}," BASE "}", "rope_type: expected \"llama3\""},
        {"{\"rope_scaling\":{\"factor\":2}," BASE "}", "rope_scaling: rope_type: missing"},
        {"{\"rope_parameters\":{\"rope_type\":\"yarn\"}," BASE "}", "rope_parameters: rope_type: expected"},
        {"{\"rope_parameters\":{\"partial_rotary_factor\":0.5}," BASE "}",
            "rope_parameters: partial_rotary_factor: 0.5 is not supported"},
        {"{\"max_position_embeddings\":1000000000000000019884624838656," BASE "}", "expected a whole number"},
        {"{\"mlp_bias\":true," BASE "}", "mlp_bias"},
        {"{\"sliding_window\":4096," BASE "}", "sliding_window: not supported"},
        {"{\"use_sliding_window\":true," BASE "}", "use_sliding_window: not supported"},
        {"{\"quantization_config\":{\"bits\":4}," BASE "}", "quantization_config: not supported"},
        {"{\"pretraining_tp\":2," BASE "}", "pretraining_tp"},
        {"{\"partial_rotary_factor\":0.5," BASE "}", "partial_rotary_factor"},
        {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "Git LFS pointer"},
        {"{\"rope_scaling\":7," BASE "}", "rope_scaling: expected an object"},
        {"{\"eos_token_id\":32," BASE "}", "eos_token_id: expected token ids below 32"},
        {"{\"eos_token_id\":[1,2,3,4,5,6,7,8,9]," BASE "}", "at most 8"},
        {"{\"tie_word_embeddings\":1," BASE "}", "tie_word_embeddings: expected true or false"},
    };
    struct model_config c;
    struct err err;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        enum status st = try_config(&c, bad[i][0], &err);

        CHECK(st == DATA && strstr(err.text, bad[i][1]) != NULL, "config %zu: %s", i, st == OK ? "fine" : err.text);
    }
    CHECK(config_load(&c, "/no/such/folder", &err) == NOINPUT, "no folder");
}

/* ---- model.safetensors ---- */

/* A file of that header (filled up with blanks) and n bytes of data. */
static size_t
build(unsigned char *out, const char *header, const void *data, size_t n)
{
    size_t length = (strlen(header) + 7) / 8 * 8;

    memset(out, 0, 8);
    out[0] = (unsigned char)(length & 255);
    out[1] = (unsigned char)(length >> 8);
    memset(out + 8, ' ', length);
    memcpy(out + 8, header, strlen(header));
    if (n > 0)
        memcpy(out + 8 + length, data, n);
    return 8 + length + n;
}

static enum status
try_file(const unsigned char *bytes, size_t n, struct err *err)
{
    struct weights *w = NULL;
    enum status st;
    float x[4];

    write_file("a.safetensors", bytes, n);
    if ((st = weights_open_file(&w, path_of("a.safetensors"), err)) == OK)
        st = weights_read(x, w, "a", 2, 0, err);
    weights_close(w);
    return st;
}

#define A(dtype, shape, from, to) \
    "\"a\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"
#define B(from, to) ",\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[" from "," to "]}"

static void
test_headers(void)
{
    static const char data[16];
    static const struct {
        const char *header, *message; /* NULL: fine */
        size_t n;
    } cases[] = {
        {"{" A("F32", "[2]", "0", "8") "}", NULL, 8},
        {"{\"__metadata__\":{\"format\":\"pt\"}," A("F32", "[2]", "0", "8") B("8", "12") "}", NULL, 12},
        {"{" A("F32", "[2]", "4", "12") B("0", "4") "}", NULL, 12},
        {"{" A("F32", "[2]", "0", "8") "}", "expected 8 bytes of data, got 9", 9},
        {"{" A("F32", "[2]", "0", "8") "}", "expected 8 bytes of data, got 7", 7},
        {"{" A("F32", "[2]", "0", "8") B("4", "8") "}", "overlap", 8},
        {"{" A("F32", "[2]", "0", "8") B("9", "13") "}", "hole", 13},
        {"{" A("F32", "[2]", "1", "9") "}", "hole", 9},
        {"{" A("F32", "[2]", "0", "8") "," A("F32", "[2]", "8", "16") "}", "comes twice", 16},
        {"{" A("F32", "[3]", "0", "8") "}", "its shape has 12 bytes, its data_offsets 8", 8},
        {"{" A("F32", "[2]", "8", "0") "}", "before it begins", 8},
        {"{" A("F32", "[4611686018427387904,4]", "0", "0") "}", "too large", 0},
        {"{" A("F32", "[4611686018427387904]", "0", "0") "}", "too large", 0},
        {"{" A("F32", "[-1]", "0", "8") "}", "whole numbers", 8},
        {"{" A("F32", "[1,1,1,1,1,1,1,1,2]", "0", "8") "}", "at most 8 dimensions", 8},
        {"{" A("F32", "[2]", "0", "18446744073709551615") "}", "its shape has 8 bytes", 8},
        {"{" A("F33", "[2]", "0", "8") "}", "F33 is not known", 8},
        {"{" A("I32", "[2]", "0", "8") "}", "expected F32, F16 or BF16, got I32", 8},
        {"{" A("F32", "[1,2]", "0", "8") "}", "expected shape [2]", 8},
        {"{" A("F32", "[2,1]", "0", "8") "}", "expected shape [2]", 8},
        {"{" A("F32", "[]", "0", "4") "}", "expected shape [2]", 4},
        {"{\"a\":1}", "expected an object", 0},
        {"{\"c\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "tensor a: missing", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", "expected two numbers", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]}}", "expected two numbers", 8},
        {"{\"a\\u0000\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "contains the byte 0", 8},
        /* What is empty lies nowhere in particular. */
        {"{" A("F32", "[2]", "0", "8") ",\"b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", NULL, 8},
        {"[]", "header: expected an object", 0},
        {"{", "a.safetensors", 0},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", "__metadata__: comes twice", 0},
        {"{\"__metadata__\":7," A("F32", "[2]", "0", "8") "}", "__metadata__: expected an object", 8},
        {"{\"__metadata__\":{\"format\":1}," A("F32", "[2]", "0", "8") "}", "__metadata__: format: expected a string",
            8},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,8]}}",
            "tensor a: dtype: comes twice", 8},
    };
    static const char lfs[] = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 2471645608\n";
    unsigned char bytes[512];
    struct err err;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum status st = try_file(bytes, build(bytes, cases[i].header, data, cases[i].n), &err);

        CHECK(cases[i].message == NULL ? st == OK : st == DATA && strstr(err.text, cases[i].message) != NULL,
            "header %zu: %s", i, st == OK ? "fine" : err.text);
    }
    memset(bytes, 0xff, 16);
    CHECK(try_file(bytes, 16, &err) == DATA && strstr(err.text, "a header of 18446744073709551615 bytes") != NULL,
        "a header of 2^64 - 1 bytes");
    memset(bytes, 0, 16);
    bytes[0] = 9;
    CHECK(try_file(bytes, 16, &err) == DATA && strstr(err.text, "a header of 9 bytes in a file of 16") != NULL,
        "a header that ends a byte behind the file");
    CHECK(
        try_file((const unsigned char *)lfs, strlen(lfs), &err) == DATA && strstr(err.text, "Git LFS pointer") != NULL,
        "a Git LFS pointer: %s", err.text);
}

/* A file that is large enough for its header, but a header that no model has; on disk it is a hole. */
static void
test_large_header(void)
{
    const unsigned char length[8] = {1, 0, 0x40, 6}; /* 100 MiB and a byte */
    struct weights *w = NULL;
    struct err err;

    write_file("a.safetensors", length, 8);
    CHECK(truncate(path_of("a.safetensors"), (100 << 20) + 9) == 0 &&
              weights_open_file(&w, path_of("a.safetensors"), &err) == DATA &&
              strstr(err.text, "a header of 104857601 bytes") != NULL,
        "a header of more than 100 MiB");
}

static void
test_damage(void)
{
    unsigned char bytes[512], broken[512];
    size_t n = build(bytes, "{" A("F32", "[2]", "0", "8") "}", "\0\0\x80\x3f\0\0\0\x40", 8);
    bool cut = true, flipped = true;
    struct err err;

    for (size_t i = 0; i < n; i++)
        cut = cut && try_file(bytes, i, &err) == DATA;
    CHECK(cut, "cut off at every byte: a data error");
    for (size_t bit = 0; bit < 8 * n; bit++) {
        enum status st;

        memcpy(broken, bytes, n);
        broken[bit / 8] ^= (unsigned char)(1 << bit % 8);
        st = try_file(broken, n, &err);
        flipped = flipped && (st == OK || st == DATA);
    }
    CHECK(flipped, "each single bit flipped: fine or a data error");
}

static void
test_halves(void)
{
    static const unsigned char f16[] = {0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00, 0xff, 0x7b};
    static const unsigned char half_bits[] = {0x80, 0x3f, 0x00, 0xc0, 0x49, 0x40, 0x01, 0x00};
    static const float want16[] = {1, -2, 0x1p-24F, 65504}, wantb[] = {1, -2, 3.140625F, 0x1p-133F};
    unsigned char bytes[512];
    struct weights *w = NULL;
    float x[4];
    struct err err;

    write_file("a.safetensors", bytes, build(bytes, "{" A("F16", "[2,2]", "0", "8") "}", f16, 8));
    CHECK(weights_open_file(&w, path_of("a.safetensors"), &err) == OK && weights_read(x, w, "a", 2, 2, &err) == OK &&
              memcmp(x, want16, sizeof x) == 0,
        "float16: 1, -2, the smallest and the largest number");
    CHECK(weights_read(x, w, "a", 2, 1, &err) == DATA && strstr(err.text, "expected shape [2, 1]") != NULL,
        "a matrix of other columns: %s", err.text);
    weights_close(w);
    write_file("a.safetensors", bytes, build(bytes, "{" A("BF16", "[4]", "0", "8") "}", half_bits, 8));
    CHECK(weights_open_file(&w, path_of("a.safetensors"), &err) == OK && weights_read(x, w, "a", 4, 0, &err) == OK &&
              memcmp(x, wantb, sizeof x) == 0,
        "bfloat16: 1, -2, 3.140625 and a subnormal");
    weights_close(w);
}

/* In a tensor that several threads read, and in more than one piece of it. */
static void
test_not_finite(void)
{
    static unsigned char bytes[400000];
    static float number[90000], out[90000];
    struct weights *w = NULL;
    struct err err;

    number[70000] = INFINITY;
    number[85000] = NAN;
    write_file("a.safetensors", bytes, build(bytes, "{" A("F32", "[90000]", "0", "360000") "}", number, sizeof number));
    CHECK(weights_open_file(&w, path_of("a.safetensors"), &err) == OK &&
              weights_read(out, w, "a", 90000, 0, &err) == DATA &&
              strstr(err.text, "element 70000 is not finite") != NULL,
        "the first number that is not finite is named: %s", err.text);
    CHECK(
        weights_check(w, weights_find(w, "a"), &err) == DATA && strstr(err.text, "element 70000 is not finite") != NULL,
        "and where nothing is kept of them");
    weights_close(w);
}

/* ---- folders ---- */

static void
test_folder(bool tied)
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
        .bos = 1,
        .eos = {2},
        .n_eos = 1,
        .tied = tied};
    struct model *m = NULL, *again = NULL;
    struct rng r = rng_seed(1, 1);
    struct buf a = {0}, b = {0};
    struct err err;

    CHECK(model_new(&m, &c, &err) == OK, "a new model");
    for (size_t i = 0; i < m->params->count; i++)
        m->params->block[i] = (float)rng_normal(&r);
    CHECK(model_save(folder, &c, m->params, &err) == OK && model_load(&again, folder, &err) == OK, "saved and loaded");
    CHECK(again != NULL && memcmp(again->params->block, m->params->block, m->params->count * sizeof(float)) == 0 &&
              same_config(&again->config, &c),
        "every bit is there again (%s)", tied ? "tied" : "untied");
    CHECK(file_read(&a, path_of("model.safetensors"), 1 << 20, &err) == OK &&
              model_save(folder, &c, again->params, &err) == OK &&
              file_read(&b, path_of("model.safetensors"), 1 << 20, &err) == OK && a.n == b.n &&
              memcmp(a.p, b.p, a.n) == 0,
        "saved again: the same bytes");
    CHECK((memmem(a.p, a.n, "lm_head.weight", 14) == NULL) == tied, "a tied head is not written twice");
    CHECK((m->params->head == m->params->embed) == tied, "and is the embedding");
    model_free(again);
    m->params->block[7] = NAN;
    CHECK(model_save(folder, &c, m->params, &err) == OK && model_load(&again, folder, &err) == DATA &&
              strstr(err.text, "model.embed_tokens.weight: element 7 is not finite") != NULL,
        "a NaN is refused");
    c.L = 3;
    CHECK(params_read(&(struct params *){NULL}, &c, path_of("model.safetensors"), &err) == DATA, "a missing layer");
    c.V = MODEL_MAX_V;
    c.D = MODEL_MAX_D;
    CHECK(params_read(&(struct params *){NULL}, &c, path_of("model.safetensors"), &err) == DATA &&
              strstr(err.text, "do not fit") != NULL,
        "a config.json that claims 550 GB of parameters costs nothing");
    model_free(m);
    buf_free(&a);
    buf_free(&b);
}

int
main(void)
{
    struct err err_room;

    if (!folder_begin())
        return 1;
    num_init(1);
    test_config_reads();
    test_config_ends();
    test_config_refuses();
    test_headers();
    test_large_header();
    test_damage();
    test_halves();
    test_not_finite();
    test_folder(true);
    test_folder(false);
    (void)unlink(path_of("config.json"));
    (void)unlink(path_of("model.safetensors"));
    (void)unlink(path_of("a.safetensors"));
    folder_end();
    CHECK(folder_room(".", 1, &err_room) == OK, "there is room for a byte");
    CHECK(folder_room(".", UINT64_MAX / 2, &err_room) == NOCREATE && strstr(err_room.text, "MB are needed") != NULL,
        "no disk has room for 8 exabytes: %s", err_room.text);
    return unit_done();
}
