/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrix products.
 *
 * mat_mul cuts C into tiles whose size follows from M and N alone; each tile is one sgemm of OpenBLAS on one thread, so
 * a tile's bits depend on neither the number of threads nor which of them took it. 2MNK operations, no memory of its
 * own.
 *
 * mat_rows is for few rows, where sgemm spends its time on packing, and promises more: an element is summed over k in
 * an order that depends on K alone, VL interleaved partial sums that are joined by halves. W is read as it lies, along
 * k; a block of C is kept in registers: one row costs one pass over W at the speed of memory, eight rows come near the
 * speed of the FMA units. packed.c has the same for matrices that are used again and again.
 */
#include "num/num.h"

#include <string.h>

#include <cblas.h>

#include "num/block.h"
#include "num/tile.h"

/* ---- tiles over BLAS ---- */

#define TILE_MAX 1024
#define TILE_MIN 64
#define TILES 2 /* as many at least, so that two threads have the same to do */

static size_t
cut(size_t n, size_t parts)
{
    size_t each = (n + parts - 1) / parts;

    return (each + 15) / 16 * 16; /* whole vectors, but for the last tile */
}

struct tiles
tiles_of(size_t M, size_t N)
{
    struct tiles t = {.rows = (M + TILE_MAX - 1) / TILE_MAX, .cols = (N + TILE_MAX - 1) / TILE_MAX};

    while (t.rows * t.cols < TILES) {
        if (M / t.rows >= N / t.cols && M / t.rows >= 2 * TILE_MIN)
            t.rows *= 2;
        else if (N / t.cols >= 2 * TILE_MIN)
            t.cols *= 2;
        else
            break;
    }
    t.m = cut(M, t.rows);
    t.n = cut(N, t.cols);
    t.rows = (M + t.m - 1) / t.m;
    t.cols = (N + t.n - 1) / t.n;
    return t;
}

void
mat_mul(float *C, size_t ldc, const float *A, size_t lda, bool ta, const float *B, size_t ldb, bool tb, size_t M,
    size_t N, size_t K, float alpha, float beta)
{
    struct tiles cuts;

    if (M == 0 || N == 0)
        return;
    cuts = tiles_of(M, N);
    /* A region even for one tile: see threads.c. */
#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads_for(M *N *K))
    for (size_t t = 0; t < cuts.rows * cuts.cols; t++) {
        size_t i = t / cuts.cols * cuts.m, j = t % cuts.cols * cuts.n;
        size_t m = M - i < cuts.m ? M - i : cuts.m, n = N - j < cuts.n ? N - j : cuts.n;

        cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (blasint)m,
            (blasint)n, (blasint)K, alpha, A + (ta ? i : i * lda), (blasint)lda, B + (tb ? j * ldb : j), (blasint)ldb,
            beta, C + i * ldc + j, (blasint)ldc);
    }
}

/* ---- few rows ---- */

/* The first n lanes, the others 0. */
INLINE vec
vec_load_part(const float *p, size_t n)
{
    vec v = {0};

    memcpy(&v, p, n * sizeof(float));
    return v;
}

/* Halves are added until one lane is left. */
INLINE float
vec_sum(vec v)
{
    float s[VL];

    memcpy(s, &v, sizeof v);
    for (size_t half = VL / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            s[i] += s[i + half];
    return s[0];
}

/* acc[i][j] += row i of X times row j of W, lane by lane, of `lanes` (≤ VL) elements of k. */
INLINE void
add_products(vec acc[RM][RV], const float *X, const float *W, size_t m, size_t n, size_t K, size_t lanes)
{
    vec w[RV];

    for (size_t j = 0; j < n; j++)
        w[j] = vec_load_part(W + j * K, lanes);
    for (size_t i = 0; i < m; i++) {
        vec x = vec_load_part(X + i * K, lanes);

        for (size_t j = 0; j < n; j++)
            acc[i][j] += x * w[j];
    }
}

/* The block of m (≤ RM) rows and n (≤ RV) columns: both are constants where it is called. */
INLINE void
dot_block(float *Y, const float *X, const float *W, size_t m, size_t n, size_t N, size_t K)
{
    vec acc[RM][RV] = {{{0}}};
    size_t k = 0;

    for (; k + VL <= K; k += VL)
        add_products(acc, X + k, W + k, m, n, K, VL);
    if (k < K)
        add_products(acc, X + k, W + k, m, n, K, K - k);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++)
            Y[i * N + j] = vec_sum(acc[i][j]);
}

/* One stripe of n columns and m rows, in blocks of RM, then of one row: the order over k is the same in both. */
INLINE void
dot_stripe(float *Y, const float *X, const float *W, size_t m, size_t n, size_t N, size_t K)
{
    size_t i = 0;

    for (; i + RM <= m; i += RM)
        dot_block(Y + i * N, X + i * K, W, RM, n, N, K);
    for (; i < m; i++)
        dot_block(Y + i * N, X + i * K, W, 1, n, N, K);
}

void
mat_rows(float *Y, const float *X, const float *W, size_t M, size_t N, size_t K)
{
    size_t stripes = (N + RV - 1) / RV, blocks = (M + ROW_BLOCK - 1) / ROW_BLOCK;

#pragma omp parallel for collapse(2) schedule(static) num_threads(num_threads_for(M *N *K))
    for (size_t b = 0; b < blocks; b++)
        for (size_t s = 0; s < stripes; s++) {
            size_t i = b * ROW_BLOCK, m = M - i < ROW_BLOCK ? M - i : ROW_BLOCK;
            size_t j = s * RV, n = N - j;

            if (n >= RV)
                dot_stripe(Y + i * N + j, X + i * K, W + j * K, m, RV, N, K);
            else
                for (; j < N; j++)
                    dot_stripe(Y + i * N + j, X + i * K, W + j * K, m, 1, N, K);
        }
}
