/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Some panels of a packed matrix times rows that lie anywhere, whole or a part of K after the other, on the calling
 * thread: for searches that know where they need not look. The layout is that of packed.c, and so are the chains: an
 * element has the bits that packed_rows gives it.
 *
 * A panel is taken in slices of K that stay in the first cache while all rows pass; between slices the sums rest in Y.
 */
#include "num/block.h"
#include "num/num.h"

#define SLICE (VL == 16 ? 128 : 256) /* of k, even: 16 KB of a panel, 32 where the registers are wide */

size_t
packed_panel(void)
{
    return PANEL;
}

bool
packed_half_fast(void)
{
#ifdef __AVX512BF16__
    return true;
#else
    return false;
#endif
}

INLINE void
sums_load(vec acc[RM][RV], float *const *Y, size_t m, size_t col, bool fresh)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < RV; j++)
            acc[i][j] = fresh ? (vec){0} : vec_load(Y[i] + col + j * VL);
}

INLINE void
sums_store(float *const *Y, vec acc[RM][RV], size_t m, size_t col)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < RV; j++)
            memcpy(Y[i] + col + j * VL, &acc[i][j], sizeof(vec));
}

/* m (a constant) rows times the slice of a panel that p begins at; their numbers for it are those from at on. */
INLINE void
slice_f32(float *const *Y, const void *const *rows, const unsigned char *p, size_t m, size_t col, size_t at, size_t n,
    bool fresh)
{
    const float *w0 = (const float *)(const void *)p, *x[RM];
    vec acc[RM][RV];

    for (size_t i = 0; i < m; i++)
        x[i] = (const float *)rows[i] + at;
    sums_load(acc, Y, m, col, fresh);
#pragma GCC unroll 4
    for (size_t k = 0; k < n; k++) {
        vec w[RV];

        for (size_t j = 0; j < RV; j++)
            w[j] = vec_load(w0 + k * PANEL + j * VL);
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < RV; j++)
                acc[i][j] += x[i][k] * w[j];
    }
    sums_store(Y, acc, m, col);
}

INLINE void
slice_bf16(float *const *Y, const void *const *rows, const unsigned char *p, size_t m, size_t col, size_t at, size_t n,
    bool fresh)
{
    const bf16 *w0 = (const bf16 *)(const void *)p, *x[RM];
    vec acc[RM][RV];

    for (size_t i = 0; i < m; i++)
        x[i] = (const bf16 *)rows[i] + at;
    sums_load(acc, Y, m, col, fresh);
#pragma GCC unroll 4
    for (size_t k = 0; k < n; k += 2) {
        uvec w[RV];

        for (size_t j = 0; j < RV; j++)
            memcpy(&w[j], w0 + k * PANEL + j * 2 * VL, sizeof w[j]);
        for (size_t i = 0; i < m; i++) {
            uint32_t pair;

            memcpy(&pair, x[i] + k, sizeof pair);
            for (size_t j = 0; j < RV; j++)
                acc[i][j] = pair_product(acc[i][j], w[j], pair);
        }
    }
    sums_store(Y, acc, m, col);
}

#define ROWS(slice) \
    do { \
        size_t i = 0; \
        for (; i + RM <= M; i += RM) \
            slice(Y + i, X + i, p, RM, col, at, n, fresh); \
        for (; i + RM / 2 <= M; i += RM / 2) \
            slice(Y + i, X + i, p, RM / 2, col, at, n, fresh); \
        for (; i < M; i++) \
            slice(Y + i, X + i, p, 1, col, at, n, fresh); \
    } while (0)

static void
rows_f32(float *const *Y, const void *const *X, const unsigned char *p, size_t M, size_t col, size_t at, size_t n,
    bool fresh)
{
    ROWS(slice_f32);
}

static void
rows_bf16(float *const *Y, const void *const *X, const unsigned char *p, size_t M, size_t col, size_t at, size_t n,
    bool fresh)
{
    ROWS(slice_bf16);
}

/* Panel q of a part. */
static void
panel(float *const *Y, const void *const *X, const struct packed *P, size_t M, size_t q, struct packed_part part)
{
    size_t number = PANEL * (P->kind == PACK_BF16 ? sizeof(bf16) : sizeof(float));
    const unsigned char *p = P->p + q * P->stride + part.k * number;

    for (size_t at = 0; at < part.n; at += SLICE) {
        size_t n = part.n - at < SLICE ? part.n - at : SLICE;
        bool fresh = at == 0 && !part.more;

        if (P->kind == PACK_BF16)
            rows_bf16(Y, X, p + at * number, M, q * PANEL, at, n, fresh);
        else
            rows_f32(Y, X, p + at * number, M, q * PANEL, at, n, fresh);
    }
}

void
packed_some(float *const *Y, const void *const *X, const struct packed *P, size_t M, struct packed_part part)
{
    for (size_t q = part.from; q < part.to; q++)
        panel(Y, X, P, M, q, part);
}
