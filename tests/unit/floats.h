/* SPDX-License-Identifier: Apache-2.0 */
/* floats - random matrices, and the plain product that others are compared with. After unit.h. */
#ifndef FLOATS_H
#define FLOATS_H

#include <stdlib.h>
#include <string.h>

#include "num/num.h"

static inline float *
random_floats(struct rng *r, size_t n)
{
    float *x = malloc((n + 1) * sizeof *x);

    for (size_t i = 0; x != NULL && i < n; i++)
        x[i] = (float)rng_normal(r);
    return x;
}

/* Element (i, j) of op(X). */
static inline double
at(const float *x, size_t ld, bool t, size_t i, size_t j)
{
    return (double)(t ? x[j * ld + i] : x[i * ld + j]);
}

/* The largest |C - reference| over sqrt(K). */
static inline double
worst(const float *C, const float *C0, const float *A, bool ta, const float *B, bool tb, size_t M, size_t N, size_t K,
    double alpha, double beta)
{
    double most = 0;

    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++) {
            double want = beta * (double)C0[i * N + j], d;

            for (size_t k = 0; k < K; k++)
                want += alpha * at(A, ta ? M : K, ta, i, k) * at(B, tb ? K : N, tb, k, j);
            d = fabs((double)C[i * N + j] - want) / sqrt((double)K + 1);
            if (!(d <= most))
                most = d;
        }
    return most;
}

/* Rounded to bfloat16 and back, so that the plain product of floats is the reference. */
static inline bf16 *
half_floats(float *x, size_t n)
{
    bf16 *h = malloc((n + 1) * sizeof *h);

    bf16_pack(h, x, n);
    bf16_unpack(x, h, n);
    return h;
}

#endif
