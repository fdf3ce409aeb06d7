/* SPDX-License-Identifier: Apache-2.0 */
/* widened - a product of bfloat16 matrices where the processor has none. Private to lib/num. */
#ifndef WIDENED_H
#define WIDENED_H

#include "num/num.h"

/* Floats of `work` for a product of m x n. */
size_t widened_floats(size_t m, size_t n);
/* As mul16, on the calling thread. */
void widened_mul(float *C, size_t ldc, const bf16 *A, size_t lda, bool ta, const bf16 *B, size_t ldb, bool tb, size_t m,
    size_t n, size_t K, int beta, float *work);

#endif
