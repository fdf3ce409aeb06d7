/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Causal attention with grouped queries over ragged sequences (Vaswani et al. 2017; Ainslie et al. 2023), without keeping the matrix of
 * weights: a block of BLOCK queries is taken at a time, and the backward pass computes its weights again from the log-sums (Dao et al.
 * 2022, FlashAttention, §3.1). A row's scores are all there at once, so that softmax needs no running maximum.
 *
 * A thread takes one key/value head of one sequence with all the query heads that share it: nothing is summed between threads.
 * Of a sequence with S tokens: about S^2 E operations a head forward and 2.5 times that backward; two blocks of BLOCK x S
 * floats of scratch a thread.
 */
#include <math.h>
#include <string.h>

#include <cblas.h>
#include <omp.h>

#include "model/fast.h"
#include "model/layers.h"

#define BLOCK 64

/* What one thread works at: one query head. */
struct head {
    const float *q, *k, *v; /* first row of the sequence; ld apart */
    size_t ld, S, E;
    float scale;
};

static size_t
row_floats(size_t S)
{
    return (S + 15) / 16 * 16; /* rows of scores begin at whole vectors */
}

static size_t
thread_floats(const struct ragged *r)
{
    return 2 * BLOCK * row_floats(r->longest) + BLOCK;
}

size_t
attention_scratch(const struct ragged *r, size_t E, int threads)
{
    (void)E;
    return thread_floats(r) * (size_t)threads;
}

/* C (m,n) = alpha A B^T, all rows ld* apart; called by threads, each on its own part: BLAS runs on one thread here. */
static void
times_t(float *C, size_t ldc, const float *A, size_t lda, const float *B, size_t ldb, size_t m, size_t n, size_t k,
    float alpha)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)m, (blasint)n, (blasint)k, alpha, A, (blasint)lda, B,
        (blasint)ldb, 0, C, (blasint)ldc);
}

static void
times(float *C, size_t ldc, const float *A, size_t lda, const float *B, size_t ldb, size_t m, size_t n, size_t k,
    float beta)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1, A, (blasint)lda, B,
        (blasint)ldb, beta, C, (blasint)ldc);
}

/* C (m,n) += A^T B, A (k,m). */
static void
t_times(float *C, size_t ldc, const float *A, size_t lda, const float *B, size_t ldb, size_t m, size_t n, size_t k)
{
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1, A, (blasint)lda, B,
        (blasint)ldb, 1, C, (blasint)ldc);
}

/* p[0..n) = exp(p - max), p[n..width) = 0; returns log of the sum, and scales p to sum 1. */
static float
softmax_row(float *p, size_t n, size_t width)
{
    float most = p[0], sum = 0, inverse;

#pragma omp simd reduction(max : most)
    for (size_t j = 0; j < n; j++)
        most = p[j] > most ? p[j] : most;
#pragma omp simd reduction(+ : sum)
    for (size_t j = 0; j < n; j++) {
        float e = fast_exp(p[j] - most);

        p[j] = e;
        sum += e;
    }
    inverse = 1.0F / sum;
#pragma omp simd
    for (size_t j = 0; j < n; j++)
        p[j] *= inverse;
    memset(p + n, 0, (width - n) * sizeof *p);
    return most + logf(sum);
}

static void
head_forward(float *y, size_t ldy, float *lse, size_t ldl, float *p, const struct head *h)
{
    for (size_t i = 0; i < h->S; i += BLOCK) {
        size_t m = h->S - i < BLOCK ? h->S - i : BLOCK, n = i + m, ldp = row_floats(n);

        times_t(p, ldp, h->q + i * h->ld, h->ld, h->k, h->ld, m, n, h->E, h->scale);
        for (size_t a = 0; a < m; a++)
            lse[(i + a) * ldl] = softmax_row(p + a * ldp, i + a + 1, n);
        times(y + i * ldy, ldy, p, ldp, h->v, h->ld, m, h->E, n, 0);
    }
}

/* dS = P (dP - delta) in place of dP, times scale; both are 0 right of the diagonal. */
static void
softmax_rows_backward(float *p, float *dp, size_t ld, const float *lse, size_t ldl, const float *delta,
    const struct head *h, size_t i, size_t m, size_t n)
{
    for (size_t a = 0; a < m; a++) {
        float *prow = p + a * ld, *drow = dp + a * ld, log_sum = lse[(i + a) * ldl], d = delta[a], s = h->scale;
        size_t live = i + a + 1;

#pragma omp simd
        for (size_t j = 0; j < live; j++) {
            float w = fast_exp(prow[j] - log_sum);

            prow[j] = w;
            drow[j] = w * (drow[j] - d) * s;
        }
        memset(prow + live, 0, (n - live) * sizeof *prow);
        memset(drow + live, 0, (n - live) * sizeof *drow);
    }
}

/* dq = ; dk, dv += ; all of them ld apart. */
static void
head_backward(float *dq, float *dk, float *dv, const float *dy, const float *y, size_t ldy, const float *lse,
    size_t ldl, float *scratch, const struct head *h)
{
    size_t ld = h->ld, E = h->E;
    float *p = scratch, *dp = p + BLOCK * row_floats(h->S), *delta = dp + BLOCK * row_floats(h->S);

    for (size_t i = 0; i < h->S; i += BLOCK) {
        size_t m = h->S - i < BLOCK ? h->S - i : BLOCK, n = i + m, ldp = row_floats(n);

        for (size_t a = 0; a < m; a++) {
            const float *u = y + (i + a) * ldy, *du = dy + (i + a) * ldy;
            float sum = 0;

#pragma omp simd reduction(+ : sum)
            for (size_t j = 0; j < E; j++)
                sum += u[j] * du[j];
            delta[a] = sum;
        }
        times_t(p, ldp, h->q + i * ld, ld, h->k, ld, m, n, E, h->scale);
        times_t(dp, ldp, dy + i * ldy, ldy, h->v, ld, m, n, E, 1);
        softmax_rows_backward(p, dp, ldp, lse, ldl, delta, h, i, m, n);
        times(dq + i * ld, ld, dp, ldp, h->k, ld, m, E, n, 0);
        t_times(dk, ld, dp, ldp, h->q + i * ld, ld, n, E, m);
        t_times(dv, ld, p, ldp, dy + i * ldy, ldy, n, E, m);
    }
}

void
attention_forward(
    float *y, float *lse, float *scratch, const float *qkv, const struct ragged *r, size_t H, size_t G, size_t E)
{
    size_t ld = (H + 2 * G) * E, share = H / G, per_thread = thread_floats(r);

#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads_for(r->start[r->n] * r->longest * H * E))
    for (size_t task = 0; task < r->n * G; task++) {
        size_t t0 = r->start[task / G], g = task % G;
        const float *row = qkv + t0 * ld;
        float *own = scratch + (size_t)omp_get_thread_num() * per_thread;

        for (size_t i = g * share; i < (g + 1) * share; i++) {
            struct head h = {row + i * E, row + (H + g) * E, row + (H + G + g) * E, ld, r->start[task / G + 1] - t0, E,
                1.0F / sqrtf((float)E)};

            head_forward(y + t0 * H * E + i * E, H * E, lse + t0 * H + i, H, own, &h);
        }
    }
}

void
attention_backward(float *dqkv, float *scratch, const float *dy, const float *y, const float *lse, const float *qkv,
    const struct ragged *r, size_t H, size_t G, size_t E)
{
    size_t ld = (H + 2 * G) * E, share = H / G, per_thread = thread_floats(r);

#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads_for(r->start[r->n] * r->longest * H * E))
    for (size_t task = 0; task < r->n * G; task++) {
        size_t t0 = r->start[task / G], S = r->start[task / G + 1] - t0, g = task % G;
        const float *row = qkv + t0 * ld;
        float *drow = dqkv + t0 * ld, *dk = drow + (H + g) * E, *dv = drow + (H + G + g) * E;
        float *own = scratch + (size_t)omp_get_thread_num() * per_thread;

        for (size_t t = 0; t < S; t++) {
            memset(dk + t * ld, 0, E * sizeof *dk);
            memset(dv + t * ld, 0, E * sizeof *dv);
        }
        for (size_t i = g * share; i < (g + 1) * share; i++) {
            struct head h = {row + i * E, row + (H + g) * E, row + (H + G + g) * E, ld, S, E, 1.0F / sqrtf((float)E)};

            head_backward(drow + i * E, dk, dv, dy + t0 * H * E + i * E, y + t0 * H * E + i * E, H * E,
                lse + t0 * H + i, H, own, &h);
        }
    }
}
