/* SPDX-License-Identifier: Apache-2.0 */
/* panel - the layout of a packed matrix, which pack.c writes, packed.c and slices.c read. Private to lib/num. */
#ifndef PANEL_H
#define PANEL_H

#include "num/block.h"
#include "num/num.h"

#define GROUP 32 /* of k that share a scale */

static inline size_t
round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

/* What K numbers of each row of a panel take. */
static inline size_t
panel_bytes(enum packing kind, size_t K)
{
    switch (kind) {
    case PACK_BF16:
    case PACK_WIDE:
        return PANEL * round_up(K, 2) * sizeof(bf16);
    case PACK_Q8:
        return PANEL * (K + round_up(K, GROUP) / GROUP * sizeof(float));
    default:
        return PANEL * K * sizeof(float);
    }
}

_Static_assert(RM <= 6, "WITH_ROWS has a case for each number of rows");

/* DO(n, ...) for the constant n that m is, from 1 to RM: so many rows are held in registers. */
#define ROWS_CASE(n, DO, ...) \
    case n: \
        DO((n < RM ? n : RM), __VA_ARGS__); \
        break
#define WITH_ROWS(m, DO, ...) \
    switch (m) { \
        ROWS_CASE(1, DO, __VA_ARGS__); \
        ROWS_CASE(2, DO, __VA_ARGS__); \
        ROWS_CASE(3, DO, __VA_ARGS__); \
        ROWS_CASE(4, DO, __VA_ARGS__); \
        ROWS_CASE(5, DO, __VA_ARGS__); \
        ROWS_CASE(6, DO, __VA_ARGS__); \
    }

/* VL eight-bit numbers as floats. */
INLINE vec
vec_widen(const unsigned char *q)
{
    /* gcc 12 would take the last lines number by number. */
#if defined __AVX512F__
    return (vec)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)q)));
#elif defined __AVX2__
    return (vec)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)q)));
#else
    typedef int32_t ivec __attribute__((vector_size(VL * sizeof(int32_t))));
    typedef int8_t bvec __attribute__((vector_size(VL)));
    bvec b;

    memcpy(&b, q, sizeof b);
    return __builtin_convertvector(__builtin_convertvector(b, ivec), vec);
#endif
}

/* M rows of X (M,K), at most ROW_BLOCK, times panel q of bfloat16 or eight bits: columns of Y (slices.c). */
void sliced_rows(float *Y, size_t ldy, const float *X, const struct packed *P, size_t M, size_t q);

#endif
