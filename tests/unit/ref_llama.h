/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ref_llama - the Llama architecture once more, in double and in straightforward loops, written from the published
 * equations (RMSNorm: Zhang and Sennrich 2019; rotary embedding: Su et al. 2021 with llama3's scaling as transformers
 * documents it; SwiGLU: Shazeer 2020; grouped queries: Ainslie et al. 2023). Nothing of lib/ is used: what the tests
 * hold the real layers against.
 */
#ifndef REF_LLAMA_H
#define REF_LLAMA_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct ref_shape {
    size_t V, D, L, H, G, E, F;
    double eps, theta;
    int scaled;
    double factor, low, high, original;
};

/* y (T,D) = x / rms(x) * w */
static inline void
ref_norm(double *y, const double *x, const double *w, double eps, size_t T, size_t D)
{
    for (size_t t = 0; t < T; t++) {
        double mean = 0;

        for (size_t i = 0; i < D; i++)
            mean += x[t * D + i] * x[t * D + i] / (double)D;
        for (size_t i = 0; i < D; i++)
            y[t * D + i] = x[t * D + i] / sqrt(mean + eps) * w[i];
    }
}

/* y (T,N) = x (T,K) w^T, w (N,K) */
static inline void
ref_linear(double *y, const double *x, const double *w, size_t T, size_t N, size_t K)
{
    for (size_t t = 0; t < T; t++)
        for (size_t n = 0; n < N; n++) {
            double sum = 0;

#pragma omp simd reduction(+ : sum)
            for (size_t k = 0; k < K; k++)
                sum += x[t * K + k] * w[n * K + k];
            y[t * N + n] = sum;
        }
}

/* The angle by which pair i turns from one position to the next. */
static inline double
ref_frequency(const struct ref_shape *c, size_t i)
{
    double f = 1 / pow(c->theta, (double)(2 * i) / (double)c->E), wavelength = 2 * M_PI / f, smooth;

    if (!c->scaled || wavelength < c->original / c->high)
        return f;
    if (wavelength > c->original / c->low)
        return f / c->factor;
    smooth = (c->original / wavelength - c->low) / (c->high - c->low);
    return (1 - smooth) * f / c->factor + smooth * f;
}

/* One head at one position: (x1 + i x2) times e^(i angle). */
static inline void
ref_rope(double *x, const struct ref_shape *c, size_t position)
{
    size_t half = c->E / 2;

    for (size_t i = 0; i < half; i++) {
        double angle = (double)position * ref_frequency(c, i), a = x[i], b = x[half + i];

        x[i] = a * cos(angle) - b * sin(angle);
        x[half + i] = a * sin(angle) + b * cos(angle);
    }
}

/* One sequence of S tokens: qkv (S, (H+2G)E), y (S,HE). */
static inline void
ref_attention(double *y, const double *qkv, size_t S, size_t H, size_t G, size_t E)
{
    size_t ld = (H + 2 * G) * E;
    double *p = malloc((S + 1) * sizeof *p);

    for (size_t h = 0; h < H; h++)
        for (size_t t = 0; t < S; t++) {
            size_t kv = h / (H / G);
            double sum = 0;

            for (size_t s = 0; s <= t; s++) {
                double dot = 0;

                for (size_t i = 0; i < E; i++)
                    dot += qkv[t * ld + h * E + i] * qkv[s * ld + (H + kv) * E + i];
                p[s] = exp(dot / sqrt((double)E));
                sum += p[s];
            }
            for (size_t i = 0; i < E; i++) {
                double v = 0;

                for (size_t s = 0; s <= t; s++)
                    v += p[s] / sum * qkv[s * ld + (H + G + kv) * E + i];
                y[t * H * E + h * E + i] = v;
            }
        }
    free(p);
}

/* y (T,F) = silu(gate) * up from gu (T,2F) */
static inline void
ref_swiglu(double *y, const double *gu, size_t T, size_t F)
{
    for (size_t t = 0; t < T; t++)
        for (size_t i = 0; i < F; i++) {
            double g = gu[t * 2 * F + i];

            y[t * F + i] = g / (1 + exp(-g)) * gu[t * 2 * F + F + i];
        }
}

/* -log softmax(logits)[target] */
static inline double
ref_cross_entropy(const double *logits, size_t V, int32_t target)
{
    double most = logits[0], sum = 0;

    for (size_t i = 0; i < V; i++)
        most = logits[i] > most ? logits[i] : most;
    for (size_t i = 0; i < V; i++)
        sum += exp(logits[i] - most);
    return log(sum) + most - logits[target];
}

/* Where one layer's parameters begin, in the order attn_norm wq wk wv wo ffn_norm gate up down. */
static inline size_t
ref_layer_size(const struct ref_shape *c)
{
    return 2 * c->D + (2 * c->H + 2 * c->G) * c->E * c->D + 3 * c->F * c->D;
}

/* x (S,D) through one layer whose parameters begin at w. */
static inline void
ref_layer(double *x, const double *w, const struct ref_shape *c, size_t S)
{
    size_t D = c->D, q = c->H * c->E, n = (c->H + 2 * c->G) * c->E;
    const double *qkv_w = w + D, *wo = qkv_w + n * D, *ffn_norm = wo + D * q, *gate = ffn_norm + D;
    double *norm = calloc(S * D, sizeof *norm), *qkv = calloc(S * n, sizeof *qkv), *att = calloc(S * q, sizeof *att);
    double *gu = calloc(S * 2 * c->F, sizeof *gu), *act = calloc(S * c->F, sizeof *act),
           *add = calloc(S * D, sizeof *add);

    ref_norm(norm, x, w, c->eps, S, D);
    ref_linear(qkv, norm, qkv_w, S, n, D);
    for (size_t t = 0; t < S; t++)
        for (size_t h = 0; h < c->H + c->G; h++)
            ref_rope(qkv + t * n + h * c->E, c, t);
    ref_attention(att, qkv, S, c->H, c->G, c->E);
    ref_linear(add, att, wo, S, D, q);
    for (size_t i = 0; i < S * D; i++)
        x[i] += add[i];
    ref_norm(norm, x, ffn_norm, c->eps, S, D);
    ref_linear(gu, norm, gate, S, 2 * c->F, D);
    ref_swiglu(act, gu, S, c->F);
    ref_linear(add, act, gate + 2 * c->F * D, S, D, c->F);
    for (size_t i = 0; i < S * D; i++)
        x[i] += add[i];
    free(norm);
    free(qkv);
    free(att);
    free(gu);
    free(act);
    free(add);
}

/* logits (S,V) of one sequence; w: embedding, layers, norm, and the head unless tied. */
static inline void
ref_llama(double *logits, const double *w, const struct ref_shape *c, int tied, const int32_t *id, size_t S)
{
    size_t D = c->D;
    const double *layers = w + c->V * D, *norm_w = layers + c->L * ref_layer_size(c);
    double *x = calloc(S * D, sizeof *x), *norm = calloc(S * D, sizeof *norm);

    for (size_t t = 0; t < S; t++)
        for (size_t i = 0; i < D; i++)
            x[t * D + i] = w[(size_t)id[t] * D + i];
    for (size_t l = 0; l < c->L; l++)
        ref_layer(x, layers + l * ref_layer_size(c), c, S);
    ref_norm(norm, x, norm_w, c->eps, S, D);
    ref_linear(logits, norm, tied ? w : norm_w + D, S, c->V, D);
    free(x);
    free(norm);
}

#endif
