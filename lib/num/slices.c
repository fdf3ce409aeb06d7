/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many rows times a panel of bfloat16 or of eight-bit numbers, by products of float32: a slice of the panel is widened
 * once, into the first cache, and all rows pass over it. An element of Y has the bits that the blocks of packed.c give
 * it, which widen on the way: for few rows they are faster, since then memory is the limit.
 */
#include "num/panel.h"

#define SLICE (VL == 16 ? 128 : 256) /* of k, whole groups: 16 KB of floats, 32 where the registers are wide */

struct slice {
    const unsigned char *next; /* the slice behind it, packed */
    size_t bytes;              /* of this one, packed: about as many as that one has */
    float w[SLICE * PANEL];
    float scale[SLICE / GROUP * PANEL]; /* of eight-bit numbers */
    float sum[ROW_BLOCK * PANEL];       /* of the rows so far */
} __attribute__((aligned(64)));

/* ---- widening ---- */

/* n numbers of k from p on, in pairs. */
static void
widen_half(struct slice *s, const unsigned char *p, size_t n)
{
    for (size_t k = 0; k < n; k += 2)
        for (size_t j = 0; j < PANEL; j += VL) {
            uvec w, odd;

            memcpy(&w, p + k * PANEL * sizeof(bf16) + j * 2 * sizeof(bf16), sizeof w);
            odd = w & 0xffff0000U;
            w <<= 16;
            memcpy(s->w + k * PANEL + j, &w, sizeof w);
            memcpy(s->w + (k + 1) * PANEL + j, &odd, sizeof odd); /* behind an odd n: a zero that nobody multiplies */
        }
}

/* The same of groups of eight-bit numbers. */
static void
widen_q8(struct slice *s, const unsigned char *p, size_t n)
{
    for (size_t k = 0; k < n; k += GROUP) {
        size_t end = n - k < GROUP ? n - k : GROUP;

        memcpy(s->scale + k / GROUP * PANEL, p, PANEL * sizeof(float));
        p += PANEL * sizeof(float);
        for (size_t i = 0; i < end * PANEL; i += VL) {
            vec w = vec_widen(p + i);

            memcpy(s->w + k * PANEL + i, &w, sizeof w);
        }
        p += end * PANEL;
    }
}

/* ---- products ---- */

/* acc[i][j] += the products of the numbers k … end - 1; m is a constant. */
INLINE void
add_products(vec acc[RM][RV], const float *X, size_t K, const float *w0, size_t m, size_t k, size_t end)
{
#pragma GCC unroll 4
    for (; k < end; k++) {
        vec w[RV];

        for (size_t j = 0; j < RV; j++)
            w[j] = vec_load(w0 + k * PANEL + j * VL);
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < RV; j++)
                acc[i][j] += X[i * K + k] * w[j];
    }
}

/* sum (m, PANEL) goes on with the products of n numbers. */
INLINE void
pass_half(float *sum, const float *X, size_t K, const struct slice *s, size_t m, size_t n)
{
    vec acc[RM][RV];

    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < RV; j++)
            acc[i][j] = vec_load(sum + i * PANEL + j * VL);
    add_products(acc, X, K, s->w, m, 0, n);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < RV; j++)
            memcpy(sum + i * PANEL + j * VL, &acc[i][j], sizeof(vec));
}

INLINE void
pass_q8(float *sum, const float *X, size_t K, const struct slice *s, size_t m, size_t n)
{
    for (size_t k = 0; k < n; k += GROUP) {
        vec part[RM][RV] = {{{0}}};

        add_products(part, X, K, s->w, m, k, n - k < GROUP ? n : k + GROUP);
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < RV; j++) {
                vec acc = vec_load(sum + i * PANEL + j * VL);

                acc += part[i][j] * vec_load(s->scale + k / GROUP * PANEL + j * VL);
                memcpy(sum + i * PANEL + j * VL, &acc, sizeof acc);
            }
    }
}

#define PASS(m, pass) pass(s->sum + at * PANEL, X + at * K, K, s, m, n)

/* M rows in as few passes as there can be, of about as many rows each; each fetches its share of what comes next. */
#define PASSES(pass) \
    do { \
        size_t at = 0, passes = (M + RM - 1) / RM, share = s->bytes / passes; \
        for (size_t i = 0; i < passes; i++) { \
            size_t m = (M - at + passes - i - 1) / (passes - i); \
            prefetch(s->next + i * share, share); \
            WITH_ROWS(m, PASS, pass) \
            at += m; \
        } \
    } while (0)

static void
rows_half(struct slice *s, const float *X, size_t K, size_t M, size_t n)
{
    PASSES(pass_half);
}

static void
rows_q8(struct slice *s, const float *X, size_t K, size_t M, size_t n)
{
    PASSES(pass_q8);
}

void
sliced_rows(float *Y, size_t ldy, const float *X, const struct packed *P, size_t M, size_t q)
{
    size_t K = P->K, j = q * PANEL, columns = P->N - j < PANEL ? P->N - j : PANEL;
    const unsigned char *p = P->p + q * P->stride;
    struct slice s;

    memset(s.sum, 0, M * PANEL * sizeof *s.sum);
    for (size_t k = 0; k < K; k += SLICE, p = s.next) {
        size_t n = K - k < SLICE ? K - k : SLICE;

        s.bytes = panel_bytes(P->kind, n);
        s.next = p + s.bytes; /* of the next panel where this one ends */
        if (P->kind == PACK_Q8) {
            widen_q8(&s, p, n);
            rows_q8(&s, X + k, K, M, n);
        } else {
            widen_half(&s, p, n);
            rows_half(&s, X + k, K, M, n);
        }
    }
    for (size_t i = 0; i < M; i++)
        memcpy(Y + i * ldy + j, s.sum + i * PANEL, columns * sizeof *Y);
}
