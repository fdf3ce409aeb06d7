/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Y = X W^T for a W that is used again and again, laid out in panels (pack.c) and kept as float32, as bfloat16 or as
 * eight-bit numbers.
 *
 * PACK_BF16 rounds X to bfloat16, too, and sums pairs in float32 as one instruction of AVX512_BF16 does. PACK_Q8 and
 * PACK_WIDE widen the numbers of W in registers, X stays float32: the latter computes what PACK_F32 does of the same
 * numbers, bit by bit, from half the memory.
 *
 * Each element of Y is one chain over k = 0, 1, … in its lane: its bits depend on its row of X and of W alone. A block
 * of Y is held in registers. One row costs one pass over W at the speed of memory (4, 2 and 1.125 bytes a weight),
 * eight rows come near the speed of the FMA units.
 */
#include "num/panel.h"

typedef int32_t ivec __attribute__((vector_size(VL * sizeof(int32_t))));
typedef int8_t bvec __attribute__((vector_size(VL)));

/* ---- blocks: m (a constant) rows times one panel, of whose columns n count ---- */

INLINE void
store(float *Y, vec acc[RM][RV], size_t m, size_t n, size_t ldy)
{
    for (size_t i = 0; i < m; i++)
        memcpy(Y + i * ldy, acc[i], n * sizeof(float));
}

INLINE void
block_f32(float *Y, size_t ldy, const float *X, const float *p, size_t m, size_t n, size_t K)
{
    vec acc[RM][RV] = {{{0}}};

    for (size_t k = 0; k < K; k++) {
        vec w[RV];

        for (size_t j = 0; j < RV; j++)
            w[j] = vec_load(p + k * PANEL + j * VL);
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < RV; j++)
                acc[i][j] += X[i * K + k] * w[j];
    }
    store(Y, acc, m, n, ldy);
}

/* X in bfloat16, rows of whole pairs. */
INLINE void
block_bf16(float *Y, size_t ldy, const bf16 *X, const bf16 *p, size_t m, size_t n, size_t K)
{
    vec acc[RM][RV] = {{{0}}};
    size_t ldx = round_up(K, 2);

    for (size_t k = 0; k < K; k += 2) {
        uvec w[RV];

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
block_wide(float *Y, size_t ldy, const float *X, const bf16 *p, size_t m, size_t n, size_t K)
{
    vec acc[RM][RV] = {{{0}}};

    for (size_t k = 0; k < K; k += 2) {
        uvec w[RV], part[RV];

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

INLINE vec
widen(const unsigned char *q)
{
#ifdef __AVX512F__
    /* gcc 12 would take the next lines number by number. */
    return (vec)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)q)));
#else
    bvec b;

    memcpy(&b, q, sizeof b);
    return __builtin_convertvector(__builtin_convertvector(b, ivec), vec);
#endif
}

INLINE void
block_q8(float *Y, size_t ldy, const float *X, const unsigned char *p, size_t m, size_t n, size_t K)
{
    vec acc[RM][RV] = {{{0}}};

    for (size_t k = 0; k < K; k += GROUP) {
        const unsigned char *q = p + PANEL * sizeof(float);
        size_t end = K - k < GROUP ? K - k : GROUP;
        vec part[RM][RV] = {{{0}}};

        for (size_t g = 0; g < end; g++) {
            vec w[RV];

            for (size_t j = 0; j < RV; j++)
                w[j] = widen(q + g * PANEL + j * VL);
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

/* One panel with the rows from .. to - 1, by one of the blocks above: x, ldx and p as that takes them. */
#define ROWS(block, x, ldx, p) \
    do { \
        for (; from + RM <= to; from += RM) \
            block(Y + from * ldy, ldy, (x) + from * (ldx), p, RM, n, K); \
        for (; from + 2 <= to; from += 2) \
            block(Y + from * ldy, ldy, (x) + from * (ldx), p, 2, n, K); \
        for (; from < to; from++) \
            block(Y + from * ldy, ldy, (x) + from * (ldx), p, 1, n, K); \
    } while (0)

static void
rows_f32(float *Y, size_t ldy, const float *X, const float *p, size_t from, size_t to, size_t n, size_t K)
{
    ROWS(block_f32, X, K, p);
}

static void
rows_bf16(float *Y, size_t ldy, const bf16 *X, const bf16 *p, size_t from, size_t to, size_t n, size_t K)
{
    ROWS(block_bf16, X, round_up(K, 2), p);
}

static void
rows_wide(float *Y, size_t ldy, const float *X, const bf16 *p, size_t from, size_t to, size_t n, size_t K)
{
    ROWS(block_wide, X, K, p);
}

/* Of an eight-bit block twice as much is in registers. */
static void
rows_q8(float *Y, size_t ldy, const float *X, const unsigned char *p, size_t from, size_t to, size_t n, size_t K)
{
    for (; from + RM / 2 <= to; from += RM / 2)
        block_q8(Y + from * ldy, ldy, X + from * K, p, RM / 2, n, K);
    for (; from < to; from++)
        block_q8(Y + from * ldy, ldy, X + from * K, p, 1, n, K);
}

size_t
packed_scratch(const struct packed *P, size_t M)
{
    return P->kind == PACK_BF16 ? M * round_up(P->K, 2) : 0;
}

/* X as rows of whole pairs. */
static void
round_rows(bf16 *half, const float *X, size_t M, size_t K)
{
#pragma omp parallel for schedule(static) num_threads(num_threads_for(M *K))
    for (size_t i = 0; i < M; i++) {
        bf16_pack(half + i * round_up(K, 2), X + i * K, K);
        if (K % 2 > 0)
            half[(i + 1) * round_up(K, 2) - 1] = 0;
    }
}

void
packed_rows(float *Y, size_t ldy, const float *X, const struct packed *P, size_t M, bf16 *scratch)
{
    size_t N = P->N, K = P->K, panels = (N + PANEL - 1) / PANEL, blocks = (M + ROW_BLOCK - 1) / ROW_BLOCK;

    if (P->kind == PACK_BF16)
        round_rows(scratch, X, M, K);
#pragma omp parallel for collapse(2) schedule(static) num_threads(num_threads_for(M *N *K))
    for (size_t b = 0; b < blocks; b++)
        for (size_t q = 0; q < panels; q++) {
            size_t from = b * ROW_BLOCK, to = M - from < ROW_BLOCK ? M : from + ROW_BLOCK;
            size_t j = q * PANEL, n = N - j < PANEL ? N - j : PANEL;
            const void *p = P->p + q * P->stride;

            if (P->kind == PACK_BF16)
                rows_bf16(Y + j, ldy, scratch, p, from, to, n, K);
            else if (P->kind == PACK_Q8)
                rows_q8(Y + j, ldy, X, p, from, to, n, K);
            else if (P->kind == PACK_WIDE)
                rows_wide(Y + j, ldy, X, p, from, to, n, K);
            else
                rows_f32(Y + j, ldy, X, p, from, to, n, K);
        }
}
