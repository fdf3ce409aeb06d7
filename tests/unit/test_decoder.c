/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoders from files: the bits of one from memory, for every type of file and kind of weights, with the embedding as
 * head or not; and numbers that are not finite, wherever they are.
 */
#include "unit.h"

#include "folder.h"
#include "tiny.h"

enum { N = 9 };
static const int32_t ids[N] = {3, 1, 4, 1, 5, 9, 2, 6, 5};

/* The logits behind ids; false if it does not run. */
static bool
logits_of(float logits[TINY_V], struct decoder *d)
{
    struct cache *cache = NULL;
    struct id_span prompt = {ids, N};
    bool fine =
        d != NULL && cache_new(&cache, d, N, NULL) == OK && decoder_prompts(logits, d, &cache, &prompt, 1, NULL) == OK;

    cache_free(cache);
    decoder_free(d);
    return fine;
}

static void
remove_files(void)
{
    (void)remove(path_of("model.safetensors"));
    (void)remove(path_of("config.json"));
}

/* m as a file of type t; then both ways to a decoder of it. */
static void
check_file(const struct model *m, enum dtype t, enum packing packing)
{
    static const char *const name[] = {"float32", "bfloat16", "eight bits"};
    struct save_options o = {t, SHARD_BYTES, NULL};
    struct decoder *mapped = NULL, *read = NULL;
    struct model *again = NULL;
    struct weights *w = NULL;
    float one[TINY_V], two[TINY_V];
    struct err err = {OK, ""};
    bool fine = model_save_as(folder, &m->config, m->params, &o, &err) == OK && weights_open(&w, folder, &err) == OK &&
                decoder_open(&mapped, &m->config, w, packing, &err) == OK && model_load(&again, folder, &err) == OK &&
                decoder_new(&read, again, packing, &err) == OK;

    fine = logits_of(one, mapped) && fine;
    fine = logits_of(two, read) && fine;
    CHECK(fine && memcmp(one, two, sizeof one) == 0, "%s of %s, %s: mapped as read%s", name[packing], dtype_name(t),
        m->config.tied ? "tied" : "untied", err.text);
    weights_close(w);
    model_free(again);
    remove_files();
}

/* A NaN in one tensor after the other. */
static void
check_finite(struct model *m, enum dtype t, enum packing packing)
{
    struct save_options o = {t, SHARD_BYTES, NULL};
    bool found = true;

    for (size_t i = 0; i < m->params->n_tensors; i++) {
        struct tensor *x = &m->params->tensor[i];
        size_t size = dtype_size(t), at = x->count * 2 / 3;
        const struct weight *there = NULL;
        struct decoder *d = NULL;
        struct weights *w = NULL;
        struct err err = {OK, ""};
        FILE *f;

        found = found && model_save_as(folder, &m->config, m->params, &o, &err) == OK &&
                weights_open(&w, folder, &err) == OK && (there = weights_find(w, x->name)) != NULL &&
                (f = fopen(path_of("model.safetensors"), "r+b")) != NULL;
        if (found) {
            /* 0xff everywhere is a NaN in each type. Data begin behind the header, which has its length first. */
            const struct weight *first = weights_all(&(size_t){0}, w);
            unsigned char length[8];
            long head = 0;

            found = fread(length, 1, 8, f) == 8;
            for (int b = 7; b >= 0; b--)
                head = head << 8 | length[b];
            for (size_t k = 0; k < m->params->n_tensors; k++)
                first = weights_all(&(size_t){0}, w)[k].p < first->p ? &weights_all(&(size_t){0}, w)[k] : first;
            found = found && fseek(f, 8 + head + (there->p - first->p) + (long)(at * size), SEEK_SET) == 0 &&
                    fwrite("\xff\xff\xff\xff", 1, size, f) == size;
            found = fclose(f) == 0 && found;
        }
        found = found && decoder_open(&d, &m->config, w, packing, &err) == DATA && d == NULL &&
                strstr(err.text, x->name) != NULL && strstr(err.text, "not finite") != NULL;
        if (!found) {
            CHECK(false, "%s: %s", x->name, err.text);
            decoder_free(d);
        }
        weights_close(w);
        remove_files();
    }
    CHECK(found, "a number of %s that is not finite is refused in each tensor, kind %d", dtype_name(t), packing);
}

int
main(void)
{
    static const enum dtype types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};

    num_init(2);
    CHECK(folder_begin(), "a folder");
    for (int tied = 0; tied < 2; tied++) {
        struct model *m = tiny_model_heads(3, 0.3, 16);

        if (tied) {
            struct model_config c = m->config;

            c.tied = true;
            model_free(m);
            m = NULL;
            if (model_new(&m, &c, NULL) == OK)
                init_random(m, 4, 0.3);
        }
        for (size_t t = 0; t < 3; t++)
            for (int packing = PACK_F32; packing <= PACK_Q8; packing++) {
                check_file(m, types[t], (enum packing)packing);
                check_finite(m, types[t], (enum packing)packing);
            }
        model_free(m);
    }
    folder_end();
    return unit_done();
}
