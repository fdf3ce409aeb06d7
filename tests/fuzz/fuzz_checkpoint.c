/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a safetensors file: fine or refused in one line; every tensor of a fine one lies within it, and its
 * numbers can be read. The same bytes as an index and as a config.json.
 */
#include <string.h>

#include "fuzz.h"
#include "model/model.h"
#include "model/safetensors.h"

static const char *
message(const struct err *err)
{
    return err->text[0] == 0 || strchr(err->text, '\n') != NULL ? "an empty message, or one of several lines" : NULL;
}

static void
try_tensors(const uint8_t *bytes, size_t n)
{
    struct safetensors *f;
    struct err err = {0};
    enum status st = safetensors_parse(&f, bytes, n, &err);
    const struct weight *t;
    size_t count, data = 0;

    if (st != OK) {
        fuzz_must(st == DATA ? message(&err) : "safetensors_parse: neither OK nor DATA");
        return;
    }
    t = safetensors_tensors(&count, f);
    for (size_t i = 0; i < count; i++) {
        float x[64];

        if (t[i].p < bytes || t[i].bytes > n || (size_t)(t[i].p - bytes) > n - t[i].bytes)
            fuzz_must("a tensor outside of the file");
        if (i > 0 && strcmp(t[i - 1].name, t[i].name) >= 0)
            fuzz_must("tensors out of order");
        data += t[i].bytes;
        if (t[i].dtype != DTYPE_OTHER)
            for (size_t k = 0; k < t[i].count; k += 64)
                (void)dtype_to_f32(
                    x, t[i].p + k * dtype_size(t[i].dtype), t[i].count - k < 64 ? t[i].count - k : 64, t[i].dtype);
    }
    if (data != safetensors_bytes(f))
        fuzz_must("tensors that are not all of the data");
    safetensors_close(f);
}

static void
try_index(struct str text)
{
    struct shards *s;
    struct err err = {0};
    enum status st = shards_parse(&s, text, &err);

    if (st != OK) {
        fuzz_must(st == DATA ? message(&err) : "shards_parse: neither OK nor DATA");
        return;
    }
    for (uint32_t i = 0; i < ids_count(s->tensors); i++) {
        struct str file = ids_str(s->files, s->file_of[i]);

        if (s->file_of[i] >= ids_count(s->files) || file.n == 0 || memchr(file.p, '/', file.n) != NULL ||
            memmem(file.p, file.n, "..", 2) != NULL)
            fuzz_must("a file outside of the folder");
    }
    shards_free(s);
}

static void
try_config(struct json_parser *parser, struct str text)
{
    struct model_config c, again;
    struct buf out = {0};
    struct json root;
    struct err err = {0};
    enum status st;

    if (json_parse(&root, parser, text.p, text.n, &err) != OK)
        return;
    if ((st = config_parse(&c, root, &err)) != OK) {
        fuzz_must(st == DATA ? message(&err) : "config_parse: neither OK nor DATA");
        return;
    }
    /* What follows it reads back as the same. */
    if (config_json_like(&out, text, &c, DTYPE_BF16, &err) != OK ||
        json_parse(&root, parser, out.p, out.n, &err) != OK || config_parse(&again, root, &err) != OK ||
        memcmp(&c, &again, sizeof c) != 0)
        fuzz_must("config_json_like: another model");
    buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static struct json_parser *parser;
    struct str text = {(const char *)bytes, n};

    if (parser == NULL && json_parser_new(&parser, NULL) != OK)
        abort();
    try_tensors(bytes, n);
    try_index(text);
    try_config(parser, text);
    return 0;
}
