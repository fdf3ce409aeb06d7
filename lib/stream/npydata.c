/* SPDX-License-Identifier: Apache-2.0 */
/*
 * npydata - elements of .npy files: numbers as float32, strings as UTF-8; and float32 matrices written.
 *
 * A half is widened by its bits and one product with 2^112, which is exact for subnormals, too. Rows of a matrix in
 * Fortran order are gathered column by column, so a caller asks for a block of rows at a time.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stream/stream.h"

#define TILE ((size_t)16)

static inline float
half_widen(uint16_t h)
{
    uint32_t u = (uint32_t)(h & 0x7fffU) << 13, sign = (uint32_t)(h & 0x8000U) << 16;
    float x;

    if ((h & 0x7c00U) == 0x7c00U)
        u |= 0x7f800000U; /* infinity, and NaN */
    else {
        memcpy(&x, &u, sizeof(x));
        x *= 0x1p112F;
        memcpy(&u, &x, sizeof(u));
    }
    u |= sign;
    memcpy(&x, &u, sizeof(x));
    return x;
}

/* n elements of one kind that lie behind each other, to every stride-th place of out. */
static inline void
convert(float *out, size_t stride, const unsigned char *p, size_t n, enum npy_kind kind, bool big)
{
    for (size_t i = 0; i < n; i++) {
        if (kind == NPY_F16) {
            uint16_t h;
            memcpy(&h, p + 2 * i, sizeof(h));
            out[i * stride] = half_widen(big ? __builtin_bswap16(h) : h);
        } else if (kind == NPY_F32) {
            uint32_t u;
            memcpy(&u, p + 4 * i, sizeof(u));
            u = big ? __builtin_bswap32(u) : u;
            memcpy(out + i * stride, &u, sizeof(u));
        } else {
            uint64_t u;
            double x;
            memcpy(&u, p + 8 * i, sizeof(u));
            u = big ? __builtin_bswap64(u) : u;
            memcpy(&x, &u, sizeof(x));
            out[i * stride] = (float)x;
        }
    }
}

/* The same, a loop for each kind: the compiler makes vectors of it. */
static void
convert_any(float *out, size_t stride, const unsigned char *p, size_t n, const struct npy *a)
{
    switch ((int)a->kind << 1 | a->big) {
    case NPY_F16 << 1:
        convert(out, stride, p, n, NPY_F16, false);
        break;
    case NPY_F16 << 1 | 1:
        convert(out, stride, p, n, NPY_F16, true);
        break;
    case NPY_F32 << 1:
        convert(out, stride, p, n, NPY_F32, false);
        break;
    case NPY_F32 << 1 | 1:
        convert(out, stride, p, n, NPY_F32, true);
        break;
    case NPY_F64 << 1:
        convert(out, stride, p, n, NPY_F64, false);
        break;
    default:
        convert(out, stride, p, n, NPY_F64, true);
        break;
    }
}

void
npy_rows(float *out, const struct npy *a, size_t from, size_t n)
{
    if (!a->fortran) {
        const unsigned char *p = a->data + from * a->columns * a->width;
        if (a->kind == NPY_F32 && !a->big)
            memcpy(out, p, n * a->columns * sizeof(*out));
        else
            convert_any(out, 1, p, n * a->columns, a);
        return;
    }
    /* Tile by tile, so that the cache lines that are written stay near until they are full. */
    for (size_t c0 = 0; c0 < a->columns; c0 += TILE)
        for (size_t r0 = 0; r0 < n; r0 += TILE)
            for (size_t c = c0; c < a->columns && c < c0 + TILE; c++)
                convert_any(out + r0 * a->columns + c, a->columns, a->data + (c * a->rows + from + r0) * a->width,
                    n - r0 < TILE ? n - r0 : TILE, a);
}

size_t
npy_not_finite(const float *x, size_t n)
{
    uint32_t bad = 0;
    size_t i;

    for (i = 0; i < n; i++) { /* without a branch: vectors */
        uint32_t u;
        memcpy(&u, x + i, sizeof(u));
        bad |= (u & 0x7f800000U) == 0x7f800000U;
    }
    if (bad == 0)
        return n;
    for (i = 0; i < n && isfinite(x[i]); i++)
        ;
    return i;
}

static enum status
add_code_point(struct buf *out, uint32_t c, struct err *err)
{
    unsigned char u[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return err_set(err, DATA, "not a character: U+%04X", c);
    for (size_t i = n; i-- > 1; c >>= 6)
        u[i] = (unsigned char)(0x80 | (c & 0x3f));
    u[0] = (unsigned char)(n == 1 ? c : (0xf00U >> n & 0xff) | c);
    return buf_add(out, u, n, err);
}

enum status
npy_string(struct buf *out, const struct npy *a, size_t i, struct err *err)
{
    const unsigned char *p = a->data + i * a->width;
    size_t n = a->width;

    out->n = 0;
    if (a->kind == NPY_BYTES) {
        while (n > 0 && p[n - 1] == 0)
            n--;
        return buf_add(out, p, n, err);
    }
    while (n > 0 && (p[n - 1] | p[n - 2] | p[n - 3] | p[n - 4]) == 0)
        n -= 4;
    for (size_t k = 0; k < n; k += 4) {
        uint32_t c;
        memcpy(&c, p + k, sizeof(c));
        if (add_code_point(out, a->big ? __builtin_bswap32(c) : c, err) != OK)
            return err->status;
    }
    return OK;
}

/* ---- a matrix out ---- */

/*
 * The number of rows stands in front of them: a file of our own is patched in the end; for any other output the rows
 * wait in memory.
 */
struct npy_writer {
    struct rec_writer *w; /* borrowed */
    struct buf held;
    size_t rows, columns;
    bool patched;
};

enum status
npy_writer_new(struct npy_writer **out, struct rec_writer *w, struct err *err)
{
    struct npy_writer *nw = calloc(1, sizeof(*nw));
    char header[NPY_HEADER];

    *out = nw;
    if (nw == NULL)
        return err_memory(err);
    nw->w = w;
    nw->patched = rec_patchable(w);
    npy_header(header, 0, 0);
    if (nw->patched && rec_raw(w, header, sizeof(header), err) != OK) {
        npy_writer_free(nw);
        *out = NULL;
        return err->status;
    }
    return OK;
}

void
npy_writer_free(struct npy_writer *nw)
{
    if (nw == NULL)
        return;
    buf_free(&nw->held);
    free(nw);
}

enum status
npy_writer_row(struct npy_writer *nw, const float *row, size_t n, struct err *err)
{
    if (nw->rows > 0 && n != nw->columns)
        return err_set(err, DATA, "expected %zu numbers, got %zu", nw->columns, n);
    nw->columns = n;
    nw->rows++;
    return nw->patched ? rec_raw(nw->w, row, n * sizeof(*row), err) : buf_add(&nw->held, row, n * sizeof(*row), err);
}

enum status
npy_writer_end(struct npy_writer *nw, struct err *err)
{
    char header[NPY_HEADER];

    npy_header(header, nw->rows, nw->columns);
    rec_count(nw->w, nw->rows);
    if (nw->patched)
        return rec_patch(nw->w, 0, header, sizeof(header), err);
    return rec_raw(nw->w, header, sizeof(header), err) != OK ? err->status
                                                             : rec_raw(nw->w, nw->held.p, nw->held.n, err);
}
