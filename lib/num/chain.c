/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C += A B for small matrices that lie inside larger ones, as attention has them: on the calling thread, nothing
 * packed.
 *
 * Every element of C is one chain of multiply-adds over k = 0, 1, … that begins with what was there. So its bits depend
 * on its row of A and its column of B alone, and rows of zeros at the end of B, or zeros at the end of A's row, leave
 * them as they are. A block of C is held in registers; B must be readable in whole vectors only up to column N. 2MNK
 * operations.
 */
#include "num/num.h"

#include <string.h>

#include "num/block.h"

/* A block of ROWS rows of VECS vectors, with a row of B beside it, fills the registers: 32 with AVX-512, else 16. */
#ifdef __AVX512F__
#define ROWS 8
#else
#define ROWS 6
#endif
#define VECS 2
#define ALONE 8 /* vectors of a block of one row, where the chains would otherwise wait for each other */

/* m rows of v vectors, m v ≤ ROWS VECS: constants where it is called. */
INLINE void
block(float *C, size_t ldc, const float *A, size_t lda, const float *B, size_t ldb, size_t m, size_t v, size_t K)
{
    vec acc[ROWS][ALONE];

    /* Vector by vector: an array that is copied whole would live in memory and not in registers. */
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < v; j++)
            memcpy(&acc[i][j], C + i * ldc + j * VL, sizeof(vec));
    for (size_t k = 0; k < K; k++) {
        vec b[ALONE];

        for (size_t j = 0; j < v; j++)
            memcpy(&b[j], B + k * ldb + j * VL, sizeof(vec));
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < v; j++)
                acc[i][j] += A[i * lda + k] * b[j];
    }
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < v; j++)
            memcpy(C + i * ldc + j * VL, &acc[i][j], sizeof(vec));
}

INLINE void
stripe(float *C, size_t ldc, const float *A, size_t lda, const float *B, size_t ldb, size_t M, size_t v, size_t K)
{
    size_t i = 0;

    for (; i + ROWS <= M; i += ROWS)
        block(C + i * ldc, ldc, A + i * lda, lda, B, ldb, ROWS, v, K);
    for (; i < M; i++)
        block(C + i * ldc, ldc, A + i * lda, lda, B, ldb, 1, v, K);
}

void
mat_chain(float *C, size_t ldc, const float *A, size_t lda, const float *B, size_t ldb, size_t M, size_t N, size_t K)
{
    size_t j = 0;

    for (; M < ROWS && j + ALONE * VL <= N; j += ALONE * VL)
        for (size_t i = 0; i < M; i++)
            block(C + i * ldc + j, ldc, A + i * lda, lda, B + j, ldb, 1, ALONE, K);
    for (; j + VECS * VL <= N; j += VECS * VL)
        stripe(C + j, ldc, A, lda, B + j, ldb, M, VECS, K);
    for (; j + VL <= N; j += VL)
        stripe(C + j, ldc, A, lda, B + j, ldb, M, 1, K);
    for (; j < N; j++)
        for (size_t i = 0; i < M; i++) {
            float acc = C[i * ldc + j];

            for (size_t k = 0; k < K; k++)
                acc = __builtin_fmaf(A[i * lda + k], B[k * ldb + j], acc);
            C[i * ldc + j] = acc;
        }
}
