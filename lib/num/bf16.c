/* SPDX-License-Identifier: Apache-2.0 */
/* bfloat16 to and from float32: one pass, as fast as memory. */
#include "num/num.h"

void
bf16_pack(bf16 *y, const float *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        y[i] = bf16_round(x[i]);
}

void
bf16_unpack(float *y, const bf16 *x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        y[i] = bf16_widen(x[i]);
}
