/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block - vectors, and how large a block of a product is held in registers, by the instruction set that the compiler
 * was given. Private to lib/num.
 */
#ifndef BLOCK_H
#define BLOCK_H

#include <stdint.h>
#include <string.h>

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

#define INLINE static inline __attribute__((always_inline))

INLINE vec
vec_load(const float *p)
{
    vec v;

    memcpy(&v, p, sizeof v);
    return v;
}

#endif
