/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Embedding, RMSNorm, linear, rotary and SwiGLU layers, forward and backward, as in Llama 2 and 3 (Touvron et al. 2023,
 * Grattafiori et al. 2024; the arithmetic of transformers' modeling_llama.py). Linear layers cost 2TNK operations
 * forward and twice that backward; the others one or two passes over their arrays.
 */
#include <math.h>
#include <string.h>

#include "model/fast.h"
#include "model/layers.h"

#define ROWS 32    /* of a chunk of elementwise work */
#define COLUMNS 64 /* of a chunk of the embedding's gradient */

#define PRAGMA(x) _Pragma(#x)
/* weight: operations an element, about. */
#define PARALLEL(elements, weight) \
    PRAGMA(omp parallel for schedule(static) num_threads(num_threads_for((elements) * (weight))))

void
embed_forward(float *y, const float *w, const int32_t *id, size_t T, size_t D)
{
    PARALLEL(T * D, 1)
    for (size_t t = 0; t < T; t++)
        memcpy(y + t * D, w + (size_t)id[t] * D, D * sizeof *y);
}

/* Threads take columns: an embedding's gradient is summed over t in order, whoever does it. */
void
embed_backward(float *dw, const float *dy, const int32_t *id, size_t T, size_t D, size_t row, size_t rows)
{
    PARALLEL(T * D, 1)
    for (size_t j = 0; j < D; j += COLUMNS) {
        size_t n = D - j < COLUMNS ? D - j : COLUMNS;

        for (size_t t = 0; t < T; t++) {
            float *to = dw + (size_t)id[t] * D + j;
            const float *from = dy + t * D + j;

            if ((size_t)id[t] - row >= rows)
                continue;
#pragma omp simd
            for (size_t i = 0; i < n; i++)
                to[i] += from[i];
        }
    }
}

void
norm_forward(float *y, bf16 *h, float *rstd, const float *x, const float *w, double eps, size_t T, size_t D)
{
    PARALLEL(T * D, 4)
    for (size_t t = 0; t < T; t++) {
        const float *row = x + t * D;
        float *out = y + t * D, sum = 0, r;

#pragma omp simd reduction(+ : sum)
        for (size_t i = 0; i < D; i++)
            sum += row[i] * row[i];
        r = (float)(1.0 / sqrt((double)sum / (double)D + eps));
        rstd[t] = r;
#pragma omp simd
        for (size_t i = 0; i < D; i++)
            out[i] = row[i] * r * w[i];
        if (h != NULL)
            bf16_pack(h + t * D, out, D);
    }
}

size_t
norm_partials(size_t T)
{
    return (T + NORM_CHUNK - 1) / NORM_CHUNK;
}

/* One row: dx_i += r (w_i dy_i - x_i r^2 / D sum_j w_j dy_j x_j); its share of dw into part. */
static void
norm_row(float *dx, float *part, const float *dy, const float *x, const float *w, float r, size_t D)
{
    float sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < D; i++)
        sum += w[i] * dy[i] * x[i];
    sum *= r * r / (float)D;
#pragma omp simd
    for (size_t i = 0; i < D; i++) {
        float g = dy[i] * r;

        dx[i] += g * w[i] - x[i] * (r * sum);
        part[i] += g * x[i];
    }
}

void
norm_backward(float *dx, float *dw, float *partial, const float *dy, const float *x, const float *rstd, const float *w,
    size_t T, size_t D)
{
    size_t chunks = norm_partials(T);

    PARALLEL(T * D, 8)
    for (size_t c = 0; c < chunks; c++) {
        size_t end = (c + 1) * NORM_CHUNK < T ? (c + 1) * NORM_CHUNK : T;

        memset(partial + c * D, 0, D * sizeof *partial);
        for (size_t t = c * NORM_CHUNK; t < end; t++)
            norm_row(dx + t * D, partial + c * D, dy + t * D, x + t * D, w, rstd[t], D);
    }
    for (size_t c = 0; dw != NULL && c < chunks; c++)
        vec_axpy(dw, 1, partial + c * D, D);
}

void
half_rows(bf16 *h, const float *y, size_t T, size_t N)
{
    PARALLEL(T * N, 1)
    for (size_t t = 0; t < T; t++)
        bf16_pack(h + t * N, y + t * N, N);
}

/* 0 is what rows behind the last add to a sum over rows. */
static void
clear_pad(bf16 *h, size_t T, size_t N)
{
    memset(h + T * N, 0, (padded(T) - T) * N * sizeof *h);
}

void
linear_forward(float *y, struct operand x, struct operand w, size_t T, size_t N, size_t K, int beta, struct mul16 *m)
{
    if (x.h == NULL) {
        mat_mul(y, N, x.f, K, false, w.f, K, true, T, N, K, 1, (float)beta);
        return;
    }
    clear_pad(x.h, T, K);
    mul16(m, y, N, x.h, K, false, w.h, K, true, padded(T), N, K, beta);
}

void
linear_backward(float *dx, float *dw, struct operand dy, struct operand x, struct operand w, size_t T, size_t N,
    size_t K, int beta, struct mul16 *m)
{
    if (dy.h == NULL) {
        mat_mul(dx, K, dy.f, N, false, w.f, K, false, T, K, N, 1, (float)beta);
        if (dw != NULL)
            mat_mul(dw, K, dy.f, N, true, x.f, K, false, N, K, T, 1, 1);
        return;
    }
    clear_pad(dy.h, T, N);
    clear_pad(x.h, T, K);
    mul16(m, dx, K, dy.h, N, false, w.h, K, false, padded(T), K, N, beta);
    if (dw != NULL)
        mul16(m, dw, K, dy.h, N, true, x.h, K, false, N, K, padded(T), 1);
}

/* Turns one head by the angles of one position: sign -1 is the inverse. */
static void
turn(float *x, const float *cosine, const float *sine, float sign, size_t half)
{
#pragma omp simd
    for (size_t i = 0; i < half; i++) {
        float a = x[i], b = x[i + half], s = sine[i] * sign, c = cosine[i];

        x[i] = a * c - b * s;
        x[i + half] = b * c + a * s;
    }
}

static void
rope(float *x, size_t ld, size_t heads, const float *cosine, const float *sine, const uint32_t *pos, size_t T, size_t E,
    float sign)
{
    PARALLEL(T * heads * E, 4)
    for (size_t t = 0; t < T; t++)
        for (size_t h = 0; h < heads; h++)
            turn(x + t * ld + h * E, cosine + pos[t] * (E / 2), sine + pos[t] * (E / 2), sign, E / 2);
}

void
rope_forward(
    float *x, size_t ld, size_t heads, const float *cosine, const float *sine, const uint32_t *pos, size_t T, size_t E)
{
    rope(x, ld, heads, cosine, sine, pos, T, E, 1);
}

void
rope_backward(
    float *dx, size_t ld, size_t heads, const float *cosine, const float *sine, const uint32_t *pos, size_t T, size_t E)
{
    rope(dx, ld, heads, cosine, sine, pos, T, E, -1);
}

void
rope_table(float *cosine, float *sine, const struct model_config *c, size_t from, size_t n)
{
    size_t half = c->E / 2;

    for (size_t i = 0; i < half; i++) {
        double f = pow(c->rope_theta, -2.0 * (double)i / (double)c->E), wave = 2 * M_PI / f;

        /* llama3: long waves are stretched by the factor, short ones are left, those between are blended. */
        if (c->rope_scaled && wave > (double)c->rope_original / c->rope_low)
            f /= c->rope_factor;
        else if (c->rope_scaled && wave >= (double)c->rope_original / c->rope_high) {
            double s = ((double)c->rope_original / wave - c->rope_low) / (c->rope_high - c->rope_low);

            f = (1 - s) * f / c->rope_factor + s * f;
        }
        for (size_t p = 0; p < n; p++) {
            cosine[p * half + i] = (float)cos((double)(from + p) * f);
            sine[p * half + i] = (float)sin((double)(from + p) * f);
        }
    }
}

void
swiglu_forward(float *y, bf16 *h, const float *gu, size_t T, size_t F)
{
    PARALLEL(T * F, 16)
    for (size_t t = 0; t < T; t++) {
        const float *g = gu + t * 2 * F, *u = g + F;
        float *out = y + t * F;

#pragma omp simd
        for (size_t i = 0; i < F; i++)
            out[i] = g[i] * fast_sigmoid(g[i]) * u[i];
        if (h != NULL)
            bf16_pack(h + t * F, out, F);
    }
}

void
swiglu_backward(float *dgu, bf16 *h, const float *dy, const float *gu, size_t T, size_t F)
{
    PARALLEL(T * F, 24)
    for (size_t t = 0; t < T; t++) {
        const float *g = gu + t * 2 * F, *u = g + F, *d = dy + t * F;
        float *dg = dgu + t * 2 * F, *du = dg + F;

#pragma omp simd
        for (size_t i = 0; i < F; i++) {
            float x = g[i], s = fast_sigmoid(x), m = d[i] * s;

            dg[i] = m * u[i] * (1.0F + x * (1.0F - s));
            du[i] = m * x;
        }
        if (h != NULL)
            bf16_pack(h + t * 2 * F, dg, 2 * F);
    }
}
