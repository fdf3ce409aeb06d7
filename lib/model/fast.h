/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fast - the exponential that the compiler can put into vectors: libm's is a call for each number.
 *
 * exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln 2 / 2, exp(r) by the polynomial of Cephes' expf (Moshier): within
 * 2 units in the last place over [-87, 88]; below that 2^-126 or so instead of a subnormal, above it the value at the
 * bound.
 */
#ifndef FAST_H
#define FAST_H

#include <stdint.h>
#include <string.h>

static inline float
fast_exp(float x)
{
    const float round = 12582912.0F; /* 1.5 * 2^23: adding it leaves the nearest integer in the low bits */
    float z, n, r, p, scale;
    uint32_t bits;

    x = x < -87.0F ? -87.0F : x;
    x = x > 88.0F ? 88.0F : x;
    z = x * 1.44269504088896341F + round;
    n = z - round;
    r = x - n * 0.693359375F;
    r = r + n * 2.12194440e-4F;
    p = 1.9875691500e-4F;
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * (r * r) + (r + 1.0F);
    memcpy(&bits, &z, sizeof bits);
    bits = (bits << 23) + 0x3F800000U;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

static inline float
fast_sigmoid(float x)
{
    return 1.0F / (1.0F + fast_exp(-x));
}

#endif
