/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Causal attention with grouped queries over ragged sequences (Vaswani et al. 2017; Ainslie et al. 2023), without
 * keeping the matrix of weights: a block of BLOCK queries is taken at a time, and the backward pass computes its
 * weights again from the log-sums (Dao et al. 2022, FlashAttention, §3.1). A row's scores are all there at once, so
 * that softmax needs no running maximum.
 *
 * A thread takes one key/value head of one sequence with all the query heads that share it: nothing is summed between
 * threads. Keys and values are transposed once for all of them, and so are the gradients that come out, so that each
 * product is mat_chain over rows as they lie: sgemm would pack matrices that are used once. Of a sequence with S
 * tokens: about S (S + BLOCK) E multiply-adds a head forward and 2.5 times that backward; 2 BLOCK + 4 E rows of S
 * floats of scratch a thread.
 */
#include <math.h>
#include <string.h>

#include <omp.h>

#include "model/fast.h"
#include "model/layers.h"

#define BLOCK 32

/* What one thread works at: one query head of a sequence of S tokens, and its part of the scratch memory. */
struct head {
    const float *q, *k, *v; /* first row of the sequence; ld apart */
    size_t ld, S, E;
    float scale;
    float *kt, *vt, *dkt, *dvt; /* (E,width) transposed: keys, values, their gradients */
    float *p, *dp;              /* (BLOCK,width) */
    float *qt, *yt;             /* (E,BLOCK) */
    size_t width;               /* S as whole vectors */
};

static size_t
whole(size_t n)
{
    return (n + 15) / 16 * 16;
}

static size_t
thread_floats(const struct ragged *r, size_t E)
{
    return (2 * BLOCK + 4 * E) * whole(r->longest) + 2 * E * BLOCK;
}

size_t
attention_scratch(const struct ragged *r, size_t E, int threads)
{
    return thread_floats(r, E) * (size_t)threads;
}

static void
use_scratch(struct head *h, float *own)
{
    h->width = whole(h->S);
    h->p = own;
    h->dp = h->p + BLOCK * h->width;
    h->kt = h->dp + BLOCK * h->width;
    h->vt = h->kt + h->E * h->width;
    h->dkt = h->vt + h->E * h->width;
    h->dvt = h->dkt + h->E * h->width;
    h->qt = h->dvt + h->E * h->width;
    h->yt = h->qt + h->E * BLOCK;
}

/* out (E,ld) = x^T, x (S,E); 0 behind S. */
static void
transpose(float *out, size_t ld, const float *x, size_t ldx, size_t S, size_t E)
{
    for (size_t i = 0; i < E; i++) {
        for (size_t t = 0; t < S; t++)
            out[i * ld + t] = x[t * ldx + i];
        memset(out + i * ld + S, 0, (ld - S) * sizeof *out);
    }
}

/* C (m,n) = A (m,k) B (k,n) */
static void
product(float *C, size_t ldc, const float *A, size_t lda, const float *B, size_t ldb, size_t m, size_t n, size_t k)
{
    for (size_t i = 0; i < m; i++)
        memset(C + i * ldc, 0, n * sizeof *C);
    mat_chain(C, ldc, A, lda, B, ldb, m, n, k);
}

/* p[0..n) = softmax of scale p, p[n..width) = 0; returns the log of its sum of exponentials. */
static float
softmax_row(float *p, float scale, size_t n, size_t width)
{
    float most = p[0], sum = 0, inverse;

#pragma omp simd reduction(max : most)
    for (size_t j = 0; j < n; j++)
        most = p[j] > most ? p[j] : most;
#pragma omp simd reduction(+ : sum)
    for (size_t j = 0; j < n; j++) {
        float e = fast_exp((p[j] - most) * scale);

        p[j] = e;
        sum += e;
    }
    inverse = 1.0F / sum;
#pragma omp simd
    for (size_t j = 0; j < n; j++)
        p[j] *= inverse;
    memset(p + n, 0, (width - n) * sizeof *p);
    return most * scale + logf(sum);
}

static void
head_forward(float *y, size_t ldy, float *lse, size_t ldl, const struct head *h)
{
    for (size_t i = 0; i < h->S; i += BLOCK) {
        size_t m = h->S - i < BLOCK ? h->S - i : BLOCK, n = i + m;

        product(h->p, h->width, h->q + i * h->ld, h->ld, h->kt, h->width, m, whole(n), h->E);
        for (size_t a = 0; a < m; a++)
            lse[(i + a) * ldl] = softmax_row(h->p + a * h->width, h->scale, i + a + 1, n);
        product(y + i * ldy, ldy, h->p, h->width, h->v, h->ld, m, h->E, n);
    }
}

/*
 * From scores and the gradient of the weights dP: the weights P, and dS = P (dP - delta) scale with delta the sum of
 * P dP over the row, which is what y dy is; both 0 right of the diagonal.
 */
static void
softmax_rows_backward(const float *lse, size_t ldl, const struct head *h, size_t i, size_t m)
{
    for (size_t a = 0; a < m; a++) {
        float *p = h->p + a * h->width, *dp = h->dp + a * h->width;
        float log_sum = lse[(i + a) * ldl], delta = 0, s = h->scale;
        size_t live = i + a + 1, width = whole(i + m);

#pragma omp simd reduction(+ : delta)
        for (size_t j = 0; j < live; j++) {
            p[j] = fast_exp(p[j] * s - log_sum);
            delta += p[j] * dp[j];
        }
#pragma omp simd
        for (size_t j = 0; j < live; j++)
            dp[j] = p[j] * (dp[j] - delta) * s;
        memset(p + live, 0, (width - live) * sizeof *p);
        memset(dp + live, 0, (width - live) * sizeof *dp);
    }
}

/* dq = ; h->dkt, h->dvt += */
static void
head_backward(float *dq, const float *dy, size_t ldy, const float *lse, size_t ldl, const struct head *h)
{
    size_t ld = h->ld, E = h->E;

    for (size_t i = 0; i < h->S; i += BLOCK) {
        size_t m = h->S - i < BLOCK ? h->S - i : BLOCK, n = i + m;

        product(h->p, h->width, h->q + i * ld, ld, h->kt, h->width, m, whole(n), E);
        product(h->dp, h->width, dy + i * ldy, ldy, h->vt, h->width, m, whole(n), E);
        softmax_rows_backward(lse, ldl, h, i, m);
        product(dq + i * ld, ld, h->dp, h->width, h->k, ld, m, E, n);
        transpose(h->qt, BLOCK, h->q + i * ld, ld, m, E);
        transpose(h->yt, BLOCK, dy + i * ldy, ldy, m, E);
        mat_chain(h->dkt, h->width, h->qt, BLOCK, h->dp, h->width, E, whole(n), m);
        mat_chain(h->dvt, h->width, h->yt, BLOCK, h->p, h->width, E, whole(n), m);
    }
}

void
attention_forward(
    float *y, float *lse, float *scratch, const float *qkv, const struct ragged *r, size_t H, size_t G, size_t E)
{
    size_t ld = (H + 2 * G) * E, share = H / G, per_thread = thread_floats(r, E);

#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads_for(r->start[r->n] * r->longest * H * E))
    for (size_t task = 0; task < r->n * G; task++) {
        size_t t0 = r->start[task / G], g = task % G;
        const float *row = qkv + t0 * ld;
        struct head h = {.k = row + (H + g) * E, .v = row + (H + G + g) * E, .ld = ld, .E = E};

        h.S = r->start[task / G + 1] - t0;
        h.scale = 1.0F / sqrtf((float)E);
        use_scratch(&h, scratch + (size_t)omp_get_thread_num() * per_thread);
        transpose(h.kt, h.width, h.k, ld, h.S, E);
        for (size_t i = g * share; i < (g + 1) * share; i++) {
            h.q = row + i * E;
            head_forward(y + t0 * H * E + i * E, H * E, lse + t0 * H + i, H, &h);
        }
    }
}

void
attention_backward(float *dqkv, float *scratch, const float *dy, const float *lse, const float *qkv,
    const struct ragged *r, size_t H, size_t G, size_t E)
{
    size_t ld = (H + 2 * G) * E, share = H / G, per_thread = thread_floats(r, E);

#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads_for(r->start[r->n] * r->longest * H * E))
    for (size_t task = 0; task < r->n * G; task++) {
        size_t t0 = r->start[task / G], g = task % G;
        const float *row = qkv + t0 * ld, *dyrow = dy + t0 * H * E;
        float *drow = dqkv + t0 * ld;
        struct head h = {.k = row + (H + g) * E, .v = row + (H + G + g) * E, .ld = ld, .E = E};

        h.S = r->start[task / G + 1] - t0;
        h.scale = 1.0F / sqrtf((float)E);
        use_scratch(&h, scratch + (size_t)omp_get_thread_num() * per_thread);
        transpose(h.kt, h.width, h.k, ld, h.S, E);
        transpose(h.vt, h.width, h.v, ld, h.S, E);
        memset(h.dkt, 0, 2 * E * h.width * sizeof *h.dkt); /* dvt lies behind it */
        for (size_t i = g * share; i < (g + 1) * share; i++) {
            h.q = row + i * E;
            head_backward(drow + i * E, dyrow + i * E, H * E, lse + t0 * H + i, H, &h);
        }
        for (size_t t = 0; t < h.S; t++)
            for (size_t i = 0; i < E; i++) {
                drow[t * ld + (H + g) * E + i] = h.dkt[i * h.width + t];
                drow[t * ld + (H + G + g) * E + i] = h.dvt[i * h.width + t];
            }
    }
}
