/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GGUF, version 3: all numbers little-endian, a string its length in 8 bytes and then its bytes, shapes the innermost
 * dimension first. Rows of Q8_0 are blocks of 32 numbers: a scale in float16, which is the largest magnitude over 127,
 * and a signed byte each, rounded with ties away from zero.
 */
#include "model/gguf.h"

#include <math.h>
#include <string.h>

#define VERSION 3

void
gguf_free(struct gguf *g)
{
    buf_free(&g->keys);
    buf_free(&g->infos);
}

static enum status
add_u32(struct buf *b, uint32_t x, struct err *err)
{
    return buf_add(b, &x, sizeof x, err);
}

static enum status
add_u64(struct buf *b, uint64_t x, struct err *err)
{
    return buf_add(b, &x, sizeof x, err);
}

static enum status
add_str(struct buf *b, struct str s, struct err *err)
{
    enum status st = add_u64(b, s.n, err);

    return st == OK ? buf_adds(b, s, err) : st;
}

static enum status
add_key(struct gguf *g, const char *key, enum gguf_value type, struct err *err)
{
    enum status st = add_str(&g->keys, str_of(key), err);

    g->n_keys++;
    return st == OK ? add_u32(&g->keys, (uint32_t)type, err) : st;
}

enum status
gguf_u32(struct gguf *g, const char *key, uint32_t value, struct err *err)
{
    enum status st = add_key(g, key, GGUF_U32, err);

    return st == OK ? add_u32(&g->keys, value, err) : st;
}

enum status
gguf_f32(struct gguf *g, const char *key, float value, struct err *err)
{
    enum status st = add_key(g, key, GGUF_REAL32, err);

    return st == OK ? buf_add(&g->keys, &value, sizeof value, err) : st;
}

enum status
gguf_bool(struct gguf *g, const char *key, bool value, struct err *err)
{
    enum status st = add_key(g, key, GGUF_BOOL, err);

    return st == OK ? buf_add(&g->keys, value ? "\1" : "\0", 1, err) : st;
}

enum status
gguf_str(struct gguf *g, const char *key, struct str value, struct err *err)
{
    enum status st = add_key(g, key, GGUF_STRING, err);

    return st == OK ? add_str(&g->keys, value, err) : st;
}

enum status
gguf_array(struct gguf *g, const char *key, enum gguf_value of, uint64_t n, struct err *err)
{
    enum status st = add_key(g, key, GGUF_ARRAY, err);

    if (st == OK)
        st = add_u32(&g->keys, (uint32_t)of, err);
    return st == OK ? add_u64(&g->keys, n, err) : st;
}

enum status
gguf_add_str(struct gguf *g, struct str value, struct err *err)
{
    return add_str(&g->keys, value, err);
}

enum status
gguf_add_i32(struct gguf *g, int32_t value, struct err *err)
{
    return buf_add(&g->keys, &value, sizeof value, err);
}

/* ---- tensors ---- */

size_t
gguf_row_bytes(enum gguf_type type, size_t n)
{
    return type == GGUF_Q8_0 ? n / GGUF_BLOCK * (2 + GGUF_BLOCK) : n * (type == GGUF_F32 ? 4 : 2);
}

enum status
gguf_tensor(struct gguf *g, const char *name, enum gguf_type type, size_t rows, size_t cols, struct err *err)
{
    size_t bytes;
    enum status st = add_str(&g->infos, str_of(name), err);

    if (!size_mul(&bytes, cols > 0 ? rows : 1, gguf_row_bytes(type, cols > 0 ? cols : rows)))
        return err_set(err, DATA, "tensor %s: too large", name);
    if (st == OK)
        st = add_u32(&g->infos, cols > 0 ? 2 : 1, err);
    if (st == OK && cols > 0)
        st = add_u64(&g->infos, cols, err);
    if (st == OK)
        st = add_u64(&g->infos, rows, err);
    if (st == OK)
        st = add_u32(&g->infos, (uint32_t)type, err);
    if (st == OK)
        st = add_u64(&g->infos, g->at, err);
    g->n_tensors++;
    g->at += (bytes + GGUF_ALIGN - 1) / GGUF_ALIGN * GGUF_ALIGN;
    return st;
}

static bool
q8_block(unsigned char *out, const float *x)
{
    float most = 0, scale, inverse;
    uint16_t half;

    for (size_t i = 0; i < GGUF_BLOCK; i++)
        most = fmaxf(most, fabsf(x[i]));
    scale = most / 127;
    inverse = scale > 0 ? 1 / scale : 0;
    if (dtype_from_f32(&half, &scale, 1, DTYPE_F16) < 1)
        return false;
    memcpy(out, &half, sizeof half);
    for (size_t i = 0; i < GGUF_BLOCK; i++)
        out[2 + i] = (unsigned char)(signed char)roundf(x[i] * inverse);
    return true;
}

bool
gguf_row(unsigned char *out, const float *x, size_t n, enum gguf_type type)
{
    bool fine = true;

    if (type != GGUF_Q8_0)
        return dtype_from_f32(out, x, n, type == GGUF_F32 ? DTYPE_F32 : type == GGUF_F16 ? DTYPE_F16 : DTYPE_BF16) == n;
    for (size_t i = 0; i < n / GGUF_BLOCK; i++)
        fine = q8_block(out + i * (2 + GGUF_BLOCK), x + i * GGUF_BLOCK) && fine;
    return fine;
}

/* ---- out ---- */

enum status
gguf_write_pad(struct rec_writer *out, uint64_t bytes, struct err *err)
{
    static const char zeros[GGUF_ALIGN];

    return rec_raw(out, zeros, (GGUF_ALIGN - bytes % GGUF_ALIGN) % GGUF_ALIGN, err);
}

enum status
gguf_write_head(struct rec_writer *out, const struct gguf *g, struct err *err)
{
    struct buf b = {0};
    enum status st;

    if ((st = buf_adds(&b, STR("GGUF"), err)) == OK && (st = add_u32(&b, VERSION, err)) == OK &&
        (st = add_u64(&b, g->n_tensors, err)) == OK && (st = add_u64(&b, g->n_keys, err)) == OK &&
        (st = rec_raw(out, b.p, b.n, err)) == OK && (st = rec_raw(out, g->keys.p, g->keys.n, err)) == OK &&
        (st = rec_raw(out, g->infos.p, g->infos.n, err)) == OK)
        st = gguf_write_pad(out, b.n + g->keys.n + g->infos.n, err);
    buf_free(&b);
    return st;
}
