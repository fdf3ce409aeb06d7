/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block - vectors, and how large a block of a product is held in registers, by the instruction set that the compiler
 * was given. Private to lib/num.
 */
#ifndef BLOCK_H
#define BLOCK_H

#include <stdint.h>
#include <string.h>

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "num/num.h"

#if defined __AVX512F__
#define VL 16 /* floats of a vector register */
#define RM 6  /* a block of C in registers: rows */
#define RV 4  /* and vectors a row */
#elif defined __AVX__
#define VL 8
#define RM 6
#define RV 2
#else
#define VL 4
#define RM 4
#define RV 2
#endif
#define PANEL (RV * VL)
#define ROW_BLOCK (8 * RM) /* rows of X that a thread takes with a panel */

typedef float vec __attribute__((vector_size(VL * sizeof(float))));
typedef uint32_t uvec __attribute__((vector_size(VL * sizeof(uint32_t))));

#define INLINE static inline __attribute__((always_inline))

INLINE vec
vec_load(const float *p)
{
    vec v;

    memcpy(&v, p, sizeof v);
    return v;
}

/* acc + the products of pairs of bfloat16: x the same pair in all lanes. */
INLINE vec
pair_product(vec acc, uvec w, uint32_t x)
{
#ifdef __AVX512BF16__
    return (vec)_mm512_dpbf16_ps((__m512)acc, (__m512bh)w, (__m512bh)_mm512_set1_epi32((int)x));
#else
    uvec w_even = w << 16, w_odd = w & 0xffff0000U;
    vec a, b;

    memcpy(&a, &w_even, sizeof a);
    memcpy(&b, &w_odd, sizeof b);
    acc += bf16_widen((bf16)x) * a;
    return acc + bf16_widen((bf16)(x >> 16)) * b;
#endif
}

#endif
