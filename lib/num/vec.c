/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors: float data, double sums. The lanes of a sum are written out rather than left to the vectoriser, since a loop
 * that is peeled for alignment would sum in an order that depends on the address. O(n) time, no memory.
 */
#include "num/num.h"

#include <math.h>

#define LANES 8

/* Sums of products: LANES partial sums over k mod LANES, joined in pairs. */
static double
sum_products(const float *x, const float *y, size_t n)
{
    double s[LANES] = {0};
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            s[j] += (double)x[i + j] * (double)y[i + j];
    for (size_t j = 0; i < n; i++, j++)
        s[j] += (double)x[i] * (double)y[i];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

float
vec_dot(const float *x, const float *y, size_t n)
{
    return (float)sum_products(x, y, n);
}

double
vec_norm(const float *x, size_t n)
{
    return sqrt(sum_products(x, x, n));
}

bool
vec_unit(float *x, size_t n)
{
    double norm = vec_norm(x, n);

    if (!(norm > 0))
        return false;
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((double)x[i] / norm);
    return true;
}

void
vec_axpy(float *y, float a, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}
