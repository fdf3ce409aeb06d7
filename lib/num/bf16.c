/* SPDX-License-Identifier: Apache-2.0 */
/* bfloat16 to and from float32: one pass, as fast as memory. */
#include "num/num.h"

#include <string.h>

void
bf16_pack(bf16 *y, const float *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        uint32_t u, nan;

        memcpy(&u, &x[i], sizeof u);
        nan = (u & 0x7fffffffU) > 0x7f800000U;
        u = nan ? u | 0x00400000U : u + 0x7fffU + (u >> 16 & 1U);
        y[i] = (bf16)(u >> 16);
    }
}

void
bf16_unpack(float *y, const bf16 *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        uint32_t u = (uint32_t)x[i] << 16;

        memcpy(&y[i], &u, sizeof u);
    }
}
