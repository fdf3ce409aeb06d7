/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of bfloat16 matrices by products of float32, for processors whose bfloat16 oneDNN does not know. Slices of A
 * and B are widened on their way, which costs (m + n) / mn of the product; nothing is rounded by it.
 */
#include "num/widened.h"

#include <cblas.h>

#define SLICE 256 /* of k */

size_t
widened_floats(size_t m, size_t n)
{
    return (m + n) * SLICE;
}

static void
widen(float *out, const bf16 *X, size_t ld, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++)
        bf16_unpack(out + i * cols, X + i * ld, cols);
}

void
widened_mul(float *C, size_t ldc, const bf16 *A, size_t lda, bool ta, const bf16 *B, size_t ldb, bool tb, size_t m,
    size_t n, size_t K, int beta, float *work)
{
    float *a = work, *b = work + m * SLICE;

    for (size_t k = 0; k < K; k += SLICE) {
        size_t slice = K - k < SLICE ? K - k : SLICE;

        widen(a, A + (ta ? k * lda : k), lda, ta ? slice : m, ta ? m : slice);
        widen(b, B + (tb ? k : k * ldb), ldb, tb ? n : slice, tb ? slice : n);
        cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (blasint)m,
            (blasint)n, (blasint)slice, 1, a, (blasint)(ta ? m : slice), b, (blasint)(tb ? slice : n),
            k == 0 ? (float)beta : 1, C, (blasint)ldc);
    }
}
