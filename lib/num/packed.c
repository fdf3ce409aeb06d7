/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Y = X W^T for a W that is used again and again, laid out in panels (pack.c) and kept as float32, as bfloat16 or as
 * eight-bit numbers.
 *
 * PACK_BF16 rounds X to bfloat16, too, and sums pairs in float32 as one instruction of AVX512_BF16 does; without that
 * instruction it is PACK_WIDE of a rounded X. PACK_Q8 and PACK_WIDE widen the numbers of W, in registers or once for
 * many rows (slices.c), X stays float32: the latter computes what PACK_F32 does of the same numbers, bit by bit, from
 * half the memory.
 *
 * Each element of Y is one chain over k = 0, 1, … in its lane: its bits depend on its row of X and of W alone. A block
 * of Y is held in registers. One row costs one pass over W at the speed of memory (4, 2 and 1.125 bytes a weight).
 * More rows pass over a panel that the cache holds; meanwhile the next panel is fetched, so that memory and the FMA
 * units work at the same time.
 */
#include "num/panel.h"

#define LINE 64 /* bytes of a cache line */

/* What to fetch of the next panel with each k. */
struct ahead {
    const unsigned char *p;
    size_t step; /* bytes */
};

INLINE void
fetch(struct ahead next, size_t k)
{
    __builtin_prefetch(next.p + k * next.step, 0, 2);
}

/* ---- blocks: m (a constant) rows times one panel, of whose columns n count ---- */

INLINE void
store(float *Y, vec acc[RM][RV], size_t m, size_t n, size_t ldy)
{
    for (size_t i = 0; i < m; i++)
        if (n == PANEL)
            memcpy(Y + i * ldy, acc[i], sizeof acc[i]);
        else
            memcpy(Y + i * ldy, acc[i], n * sizeof(float));
}

INLINE void
block_f32(float *Y, size_t ldy, const float *X, const float *p, size_t m, size_t n, size_t K, struct ahead next)
{
    vec acc[RM][RV] = {{{0}}};

#pragma GCC unroll 4
    for (size_t k = 0; k < K; k++) {
        vec w[RV];

        fetch(next, k);
        for (size_t j = 0; j < RV; j++)
            w[j] = vec_load(p + k * PANEL + j * VL);
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < RV; j++)
                acc[i][j] += X[i * K + k] * w[j];
    }
    store(Y, acc, m, n, ldy);
}

#ifdef __AVX512BF16__
/* X in bfloat16, rows of whole pairs. */
INLINE void
block_bf16(float *Y, size_t ldy, const bf16 *X, const bf16 *p, size_t m, size_t n, size_t K, struct ahead next)
{
    vec acc[RM][RV] = {{{0}}};
    size_t ldx = round_up(K, 2);

    for (size_t k = 0; k < K; k += 2) {
        uvec w[RV];

        fetch(next, k);
        fetch(next, k + 1);
        for (size_t j = 0; j < RV; j++)
            memcpy(&w[j], p + k * PANEL + j * 2 * VL, sizeof w[j]);
        for (size_t i = 0; i < m; i++) {
            uint32_t x;

            memcpy(&x, X + i * ldx + k, sizeof x);
            for (size_t j = 0; j < RV; j++)
                acc[i][j] = pair_product(acc[i][j], w[j], x);
        }
    }
    store(Y, acc, m, n, ldy);
}
#endif

/* acc[i][j] += x[i] w[j] of one k, x ldx apart. */
INLINE void
add_products(vec acc[RM][RV], const float *x, size_t ldx, const uvec bits[RV], size_t m)
{
    vec w[RV];

    memcpy(w, bits, sizeof w);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < RV; j++)
            acc[i][j] += x[i * ldx] * w[j];
}

/* bfloat16 widened: a pair's first number is the lower half of its word. */
INLINE void
block_wide(float *Y, size_t ldy, const float *X, const bf16 *p, size_t m, size_t n, size_t K, struct ahead next)
{
    vec acc[RM][RV] = {{{0}}};

    for (size_t k = 0; k < K; k += 2) {
        uvec w[RV], part[RV];

        fetch(next, k);
        fetch(next, k + 1);
        for (size_t j = 0; j < RV; j++) {
            memcpy(&w[j], p + k * PANEL + j * 2 * VL, sizeof w[j]);
            part[j] = w[j] << 16;
        }
        add_products(acc, X + k, K, part, m);
        if (k + 1 == K)
            break;
        for (size_t j = 0; j < RV; j++)
            part[j] = w[j] & 0xffff0000U;
        add_products(acc, X + k + 1, K, part, m);
    }
    store(Y, acc, m, n, ldy);
}

INLINE void
block_q8(float *Y, size_t ldy, const float *X, const unsigned char *p, size_t m, size_t n, size_t K, struct ahead next)
{
    vec acc[RM][RV] = {{{0}}};

    for (size_t k = 0; k < K; k += GROUP) {
        const unsigned char *q = p + PANEL * sizeof(float);
        size_t end = K - k < GROUP ? K - k : GROUP;
        vec part[RM][RV] = {{{0}}};

        for (size_t g = 0; g < end; g++) {
            vec w[RV];

            fetch(next, k + g);
            for (size_t j = 0; j < RV; j++)
                w[j] = vec_widen(q + g * PANEL + j * VL);
            for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < RV; j++)
                    part[i][j] += X[i * K + k + g] * w[j];
        }
        for (size_t j = 0; j < RV; j++) {
            vec scale;

            memcpy(&scale, p + j * sizeof scale, sizeof scale);
            for (size_t i = 0; i < m; i++)
                acc[i][j] += part[i][j] * scale;
        }
        p = q + end * PANEL;
    }
    store(Y, acc, m, n, ldy);
}

/* ---- rows ---- */

/* Rows of X that meet one panel, and what their blocks fetch. */
struct part {
    size_t from, to;  /* rows */
    size_t n;         /* columns of Y */
    size_t passes;    /* over the panel: blocks */
    const void *next; /* the panel to fetch, NULL: none */
    size_t bytes;     /* of a panel */
};

/* What pass number i fetches. Where each has more than a line a k, memory is the limit: its own stream comes first. */
static struct ahead
ahead_of(const struct part *t, size_t i, const unsigned char *here, size_t K)
{
    size_t share = t->bytes / t->passes;

    if (t->next == NULL || share / K > LINE)
        return (struct ahead){here, 0};
    return (struct ahead){(const unsigned char *)t->next + i * share, share / K};
}

#define LEAST(a, b) ((a) < (b) ? (a) : (b))
#define BLOCK(m, most, block, x, ldx, p) \
    block(Y + at * ldy, ldy, (x) + at * (ldx), p, LEAST(m, most), t->n, K, ahead_of(t, i, (const void *)(p), K))

/* One panel with the rows of t, by one of the blocks above (x, ldx and p as that takes them), most rows at a time. */
#define ROWS(block, most, x, ldx, p) \
    do { \
        size_t at = t->from; \
        for (size_t i = 0; i < t->passes; i++) { \
            size_t m = (t->to - at + t->passes - i - 1) / (t->passes - i); \
            WITH_ROWS(m, BLOCK, most, block, x, ldx, p) \
            at += m; \
        } \
    } while (0)

static void
rows_f32(float *Y, size_t ldy, const float *X, const float *p, size_t K, const struct part *t)
{
    ROWS(block_f32, RM, X, K, p);
}

static void
rows_wide(float *Y, size_t ldy, const float *X, const bf16 *p, size_t K, const struct part *t)
{
    ROWS(block_wide, RM, X, K, p);
}

static void
rows_bf16(float *Y, size_t ldy, const void *X, const bf16 *p, size_t K, const struct part *t)
{
#ifdef __AVX512BF16__
    ROWS(block_bf16, RM, (const bf16 *)X, round_up(K, 2), p);
#else
    rows_wide(Y, ldy, X, p, K, t);
#endif
}

/* Of an eight-bit block twice as much is in registers. */
static void
rows_q8(float *Y, size_t ldy, const float *X, const unsigned char *p, size_t K, const struct part *t)
{
    ROWS(block_q8, RM / 2, X, K, p);
}

/* X rounded to bfloat16, as rows_bf16 takes it. */
static void
round_rows(void *out, const float *X, size_t M, size_t K)
{
#pragma omp parallel for schedule(static) num_threads(num_threads_for(M *K))
    for (size_t i = 0; i < M; i++) {
#ifdef __AVX512BF16__
        bf16 *half = (bf16 *)out + i * round_up(K, 2);

        bf16_pack(half, X + i * K, K);
        if (K % 2 > 0)
            half[K] = 0;
#else
        for (size_t k = i * K; k < (i + 1) * K; k++)
            ((float *)out)[k] = bf16_widen(bf16_round(X[k]));
#endif
    }
}

/* Whether products of this kind are those of float32. */
static bool
widens(enum packing kind)
{
#ifdef __AVX512BF16__
    return kind == PACK_WIDE || kind == PACK_Q8;
#else
    return kind != PACK_F32;
#endif
}

void
packed_rows(float *Y, size_t ldy, const float *X, const struct packed *P, size_t M, void *scratch)
{
    size_t N = P->N, K = P->K, panels = (N + PANEL - 1) / PANEL, blocks = (M + ROW_BLOCK - 1) / ROW_BLOCK;
    size_t most = P->kind == PACK_Q8 ? RM / 2 : RM;
    const float *x = P->kind == PACK_BF16 ? scratch : X;

    if (P->kind == PACK_BF16)
        round_rows(scratch, X, M, K);
#pragma omp parallel for collapse(2) schedule(static) num_threads(num_threads_for(M *N *K))
    for (size_t b = 0; b < blocks; b++)
        for (size_t q = 0; q < panels; q++) {
            size_t from = b * ROW_BLOCK, to = M - from < ROW_BLOCK ? M : from + ROW_BLOCK;
            size_t j = q * PANEL, n = N - j < PANEL ? N - j : PANEL;
            const void *p = P->p + q * P->stride;
            struct part t = {from, to, n, (to - from + most - 1) / most,
                q + 1 < panels ? P->p + (q + 1) * P->stride : NULL, P->stride};

            if (to - from > RM && widens(P->kind))
                sliced_rows(Y + from * ldy, ldy, x + from * K, P, to - from, q);
            else if (P->kind == PACK_BF16)
                rows_bf16(Y + j, ldy, scratch, p, K, &t);
            else if (P->kind == PACK_Q8)
                rows_q8(Y + j, ldy, X, p, K, &t);
            else if (P->kind == PACK_WIDE)
                rows_wide(Y + j, ldy, X, p, K, &t);
            else
                rows_f32(Y + j, ldy, X, p, K, &t);
        }
}
