/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exponential of many floats, and log-sum-exp.
 *
 * exp(x) = 2^n exp(r) with n = round(x / ln 2) and |r| ≤ ln 2 / 2, ln 2 taken off in two parts, and exp(r) by the
 * polynomial of Cephes' expf (Moshier, 1989). No branches, so that the compiler makes vectors of it: about 1 ns a
 * number where expf of the C library, which stays scalar, takes 5. Relative error below 3e-7 (tests/unit/test_exp.c
 * holds it against exp of the C library). Below -87.3 the result is 0 (there are no subnormal results), so -INFINITY is
 * a mask; arguments above 88.3 count as 88.3.
 */
#include "num/num.h"

#include <math.h>
#include <string.h>

#define BLOCK 256 /* numbers at a time in vec_logsumexp */
#define LANES 8   /* of its partial sums */

static inline float
exp_one(float x)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it leaves the rounded integer in the low bits */
    float in = x < -87.3f ? -87.3f : x > 88.3f ? 88.3f : x;
    float shifted = in * 1.44269504f + magic;
    float n = shifted - magic, r, y, scale;
    uint32_t bits;

    r = in - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * (r * r) + r + 1.0f;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127) << 23; /* the magic's own bits are shifted out */
    memcpy(&scale, &bits, sizeof scale);
    return x < -87.3f ? 0.0f : y * scale;
}

void
vec_exp(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = exp_one(x[i]);
}

float
vec_max(const float *x, size_t n)
{
    float lane[16], most;
    size_t i = 0;

    for (size_t j = 0; j < 16; j++)
        lane[j] = -INFINITY;
    for (; i + 16 <= n; i += 16)
        for (size_t j = 0; j < 16; j++)
            lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
    most = lane[0];
    for (size_t j = 1; j < 16; j++)
        most = lane[j] > most ? lane[j] : most;
    for (; i < n; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

double
vec_logsumexp(const float *x, size_t n)
{
    float most = vec_max(x, n), e[BLOCK];
    double sum[LANES] = {0}, all = 0;

    if (n == 0 || isinf(most))
        return (double)most;
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t m = n - i < BLOCK ? n - i : BLOCK, j = 0;

        for (size_t k = 0; k < m; k++)
            e[k] = exp_one(x[i + k] - most);
        for (; j + LANES <= m; j += LANES)
            for (size_t k = 0; k < LANES; k++)
                sum[k] += (double)e[j + k];
        for (; j < m; j++)
            sum[0] += (double)e[j];
    }
    for (size_t k = 0; k < LANES; k++)
        all += sum[k];
    return (double)most + log(all);
}
