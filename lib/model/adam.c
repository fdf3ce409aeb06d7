/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AdamW (Loshchilov and Hutter 2019, algorithm 2, with the decay scaled by the learning rate as in PyTorch), clipping
 * by the global norm (Pascanu et al. 2013), warm-up and decay of the learning rate. One pass over weights, gradients
 * and moments.
 *
 * Moments of bfloat16 are rounded at random, up or down in proportion to what is cut off (Gupta et al. 2015): to the
 * nearest, a second moment would stand still, since what a step adds to it is less than half of its last bit. What is
 * drawn depends on the step and the place alone.
 */
#include "model/adam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EPSILON 1e-8
#define CHUNK ((size_t)1 << 14)
#define CHUNKS_AT_ONCE 1024

double
adam_rate(const struct sft_options *o, uint64_t step, uint64_t steps)
{
    double done;

    if (step <= o->warmup)
        return o->rate * (double)step / (double)o->warmup;
    if (o->decay == DECAY_CONSTANT)
        return o->rate;
    /* The last step still has a rate above 0: the decay would reach 0 one step later. */
    done = (double)(step - o->warmup - (o->warmup > 0 ? 0 : 1)) / (double)(steps - o->warmup + (o->warmup > 0 ? 1 : 0));
    return o->decay == DECAY_LINEAR ? o->rate * (1 - done) : o->rate * 0.5 * (1 + cos(M_PI * done));
}

/* Squares are summed in double, by chunk, and the chunks in order. */
static double
sum_squares(const float *x, size_t n)
{
    double sum = 0, part[CHUNKS_AT_ONCE];

    for (size_t from = 0; from < n; from += CHUNK * CHUNKS_AT_ONCE) {
        size_t left = n - from, chunks = (left + CHUNK - 1) / CHUNK;

        chunks = chunks < CHUNKS_AT_ONCE ? chunks : CHUNKS_AT_ONCE;
#pragma omp parallel for schedule(static) num_threads(num_threads_for(left))
        for (size_t c = 0; c < chunks; c++) {
            size_t m = left - c * CHUNK < CHUNK ? left - c * CHUNK : CHUNK;
            double norm = vec_norm(x + from + c * CHUNK, m);

            part[c] = norm * norm;
        }
        for (size_t c = 0; c < chunks; c++)
            sum += part[c];
    }
    return sum;
}

double
adam_norm(const struct params *grads, const struct spans *s)
{
    double sum = 0;

    for (size_t at, n, next = 0; spans_run(&at, &n, &next, s);)
        sum += sum_squares(grads->block + at, n);
    return sqrt(sum);
}

struct factors {
    float beta1, beta2, rest1, rest2, grad, keep, step, root; /* rest: 1 - beta; root: 1 / sqrt(1 - beta2^step) */
};

static void
update(float *w, float *m, float *v, const float *g, const struct factors *f, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        float x = g[i] * f->grad;

        m[i] = f->beta1 * m[i] + f->rest1 * x;
        v[i] = f->beta2 * v[i] + f->rest2 * (x * x);
        w[i] = w[i] * f->keep - f->step * m[i] / (sqrtf(v[i]) * f->root + (float)EPSILON);
    }
}

/* 32 bits that look random, of a 32-bit number (the finaliser of Wellons' hash-prospector, 2018). */
static inline uint32_t
scatter(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352dU;
    x ^= x >> 15;
    x *= 0x846ca68bU;
    return x ^ x >> 16;
}

/* Rounded up where the 16 random bits carry. Finite numbers only, which moments are where the norm was. */
static inline bf16
round_at_random(float x, uint32_t bits)
{
    uint32_t u;

    memcpy(&u, &x, sizeof u);
    return (bf16)((u + (bits & 0xffffU)) >> 16);
}

/* The same with moments of bfloat16; salt is the draw's. */
static void
update_half(float *w, bf16 *m, bf16 *v, const float *g, const struct factors *f, uint32_t salt, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        float x = g[i] * f->grad;
        float m1 = f->beta1 * bf16_widen(m[i]) + f->rest1 * x;
        float v1 = f->beta2 * bf16_widen(v[i]) + f->rest2 * (x * x);
        uint32_t bits = scatter(salt + (uint32_t)i);

        m[i] = round_at_random(m1, bits);
        v[i] = round_at_random(v1, bits >> 16);
        w[i] = w[i] * f->keep - f->step * m1 / (sqrtf(v1) * f->root + (float)EPSILON);
    }
}

static void
update_chunk(struct params *p, struct moments *m, const struct params *grads, const struct factors *f, uint64_t step,
    size_t at, size_t n)
{
    float *w = p->block + at;
    uint64_t place[2] = {step, at};

    if (m->f[0] != NULL)
        update(w, m->f[0] + at, m->f[1] + at, grads->block + at, f, n);
    else
        update_half(w, m->h[0] + at, m->h[1] + at, grads->block + at, f, (uint32_t)hash64(0, place, sizeof place), n);
    if (p->half != NULL)
        bf16_pack(p->half + at, w, n);
}

void
adam_step(struct params *p, struct moments *m, const struct params *grads, const struct spans *s,
    const struct sft_options *o, uint64_t step, double rate, double scale)
{
    struct factors f = {.beta1 = (float)o->beta1, .beta2 = (float)o->beta2, .grad = (float)scale};

    /* Of the rounded beta2 the rest would be off by a hundredth where beta2 is near 1. */
    f.rest1 = (float)(1 - o->beta1);
    f.rest2 = (float)(1 - o->beta2);
    f.step = (float)(rate / (1 - pow(o->beta1, (double)step)));
    f.root = (float)(1 / sqrt(1 - pow(o->beta2, (double)step)));
    for (size_t i = 0; i < s->n; i++) {
        size_t n = s->piece[i].n, at = s->piece[i].at;

        f.keep = s->piece[i].decay ? (float)(1 - rate * o->weight_decay) : 1;
#pragma omp parallel for schedule(static) num_threads(num_threads_for(n * 8))
        for (size_t j = 0; j < n; j += CHUNK)
            update_chunk(p, m, grads, &f, step, at + j, n - j < CHUNK ? n - j : CHUNK);
    }
}

/* ---- moments ---- */

enum status
moments_init(struct moments *m, size_t count, bool half, struct err *err)
{
    *m = (struct moments){.count = count};
    for (int i = 0; i < 2; i++) {
        if (half)
            m->h[i] = calloc(count + 1, sizeof *m->h[i]);
        else
            m->f[i] = calloc(count + 1, sizeof *m->f[i]);
        if (m->h[i] == NULL && m->f[i] == NULL)
            return err_memory(err);
        num_large_pages(half ? (void *)m->h[i] : m->f[i], count * (half ? sizeof(bf16) : sizeof(float)));
    }
    return OK;
}

void
moments_fini(struct moments *m)
{
    for (int i = 0; i < 2; i++) {
        free(m->f[i]);
        free(m->h[i]);
    }
    *m = (struct moments){0};
}

void
moments_get(float *out, const struct moments *m, int i, size_t at, size_t n)
{
    if (m->f[i] != NULL)
        memcpy(out, m->f[i] + at, n * sizeof *out);
    else
        bf16_unpack(out, m->h[i] + at, n);
}

void
moments_set(struct moments *m, int i, size_t at, const float *from, size_t n)
{
    if (m->f[i] != NULL)
        memcpy(m->f[i] + at, from, n * sizeof *from);
    else
        bf16_pack(m->h[i] + at, from, n);
}
