/* SPDX-License-Identifier: Apache-2.0 */
/* gguf_read - a parser of GGUF files, version 3, by ggml's docs/gguf.md; it shares nothing with the writer. */
#ifndef GGUF_READ_H
#define GGUF_READ_H

#include <string.h>

#include "stream/stream.h"

struct file {
    struct buf b;
    size_t at;
    bool broken;
    uint64_t n_tensors, n_keys, data;
};

static inline uint64_t
number(struct file *f, size_t bytes)
{
    uint64_t x = 0;

    if (f->at + bytes > f->b.n) {
        f->broken = true;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++)
        x |= (uint64_t)(unsigned char)f->b.p[f->at + i] << (8 * i);
    f->at += bytes;
    return x;
}

static inline struct str
text(struct file *f)
{
    uint64_t n = number(f, 8);
    struct str s = {f->b.p + f->at, n};

    if (f->broken || n > f->b.n - f->at) {
        f->broken = true;
        return STR("");
    }
    f->at += n;
    return s;
}

static inline size_t
value_size(uint64_t type)
{
    static const size_t size[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

    return type < 13 ? size[type] : 0;
}

static inline void
skip_value(struct file *f, uint64_t type)
{
    if (type == 8)
        (void)text(f);
    else if (type == 9) {
        uint64_t of = number(f, 4), n = number(f, 8);

        for (uint64_t i = 0; i < n && !f->broken; i++)
            skip_value(f, of);
    } else if (value_size(type) == 0)
        f->broken = true;
    else
        (void)number(f, value_size(type));
}

/* Leaves f behind the type of the key's value; 99 if it is not there. */
static inline uint64_t
find_key(struct file *f, const char *key)
{
    f->at = 24;
    for (uint64_t i = 0; i < f->n_keys && !f->broken; i++) {
        struct str k = text(f);
        uint64_t type = number(f, 4);

        if (str_eq(k, str_of(key)))
            return type;
        skip_value(f, type);
    }
    return 99;
}

static inline bool
is_u32(struct file *f, const char *key, uint32_t want)
{
    return find_key(f, key) == 4 && number(f, 4) == want;
}

static inline bool
is_text(struct file *f, const char *key, const char *want)
{
    return find_key(f, key) == 8 && str_eq(text(f), str_of(want));
}

static inline bool
is_real(struct file *f, const char *key, float want)
{
    uint32_t bits;

    memcpy(&bits, &want, sizeof bits);
    return find_key(f, key) == 6 && number(f, 4) == bits;
}

/* Where the data of a tensor begin, and its type; 0 if it is not there. */
static inline size_t
find_tensor(uint64_t *type, struct file *f, const char *name, uint64_t rows, uint64_t cols)
{
    (void)find_key(f, "");
    for (uint64_t i = 0; i < f->n_tensors && !f->broken; i++) {
        struct str s = text(f);
        uint64_t dims = number(f, 4), first = number(f, 8), second = dims > 1 ? number(f, 8) : 0, at;

        *type = number(f, 4);
        at = number(f, 8);
        if (str_eq(s, str_of(name)))
            return at % 32 == 0 &&
                           (cols > 0 ? dims == 2 && first == cols && second == rows : dims == 1 && first == rows)
                       ? f->data + at
                       : 0;
    }
    return 0;
}

static inline bool
open_file(struct file *f, const char *path)
{
    struct err err;

    *f = (struct file){0};
    if (file_read(&f->b, path, 1 << 24, &err) != OK || f->b.n < 24 || memcmp(f->b.p, "GGUF\3\0\0\0", 8) != 0)
        return false;
    f->at = 8;
    f->n_tensors = number(f, 8);
    f->n_keys = number(f, 8);
    (void)find_key(f, "");
    for (uint64_t i = 0; i < f->n_tensors && !f->broken; i++) {
        (void)text(f);
        f->at += 8 * number(f, 4) + 12;
    }
    f->data = (f->at + 31) / 32 * 32;
    return !f->broken;
}

#endif
