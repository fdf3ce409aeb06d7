/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AdamW (Loshchilov and Hutter 2019, algorithm 2, with the decay scaled by the learning rate as in PyTorch), clipping
 * by the global norm (Pascanu et al. 2013), warm-up and decay of the learning rate. One pass over weights, gradients
 * and moments.
 */
#include "model/adam.h"

#include <math.h>

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
double
adam_norm(const struct params *grads)
{
    double sum = 0, part[CHUNKS_AT_ONCE];

    for (size_t from = 0; from < grads->count; from += CHUNK * CHUNKS_AT_ONCE) {
        size_t left = grads->count - from, chunks = (left + CHUNK - 1) / CHUNK;

        chunks = chunks < CHUNKS_AT_ONCE ? chunks : CHUNKS_AT_ONCE;
#pragma omp parallel for schedule(static) num_threads(num_threads_for(left))
        for (size_t c = 0; c < chunks; c++) {
            size_t n = left - c * CHUNK < CHUNK ? left - c * CHUNK : CHUNK;
            double norm = vec_norm(grads->block + from + c * CHUNK, n);

            part[c] = norm * norm;
        }
        for (size_t c = 0; c < chunks; c++)
            sum += part[c];
    }
    return sqrt(sum);
}

struct factors {
    float beta1, beta2, grad, keep, step, root; /* root: 1 / sqrt(1 - beta2^step) */
};

static void
update(float *w, float *m, float *v, const float *g, const struct factors *f, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        float x = g[i] * f->grad;

        m[i] = f->beta1 * m[i] + (1.0F - f->beta1) * x;
        v[i] = f->beta2 * v[i] + (1.0F - f->beta2) * (x * x);
        w[i] = w[i] * f->keep - f->step * m[i] / (sqrtf(v[i]) * f->root + (float)EPSILON);
    }
}

void
adam_step(struct params *p, struct params *moment1, struct params *moment2, const struct params *grads,
    const struct sft_options *o, uint64_t step, double rate, double scale)
{
    struct factors f = {.beta1 = (float)o->beta1, .beta2 = (float)o->beta2, .grad = (float)scale};

    f.step = (float)(rate / (1 - pow(o->beta1, (double)step)));
    f.root = (float)(1 / sqrt(1 - pow(o->beta2, (double)step)));
    for (size_t i = 0; i < p->n_tensors; i++) {
        size_t n = p->tensor[i].count;

        f.keep = p->tensor[i].decay ? (float)(1 - rate * o->weight_decay) : 1;
#pragma omp parallel for schedule(static) num_threads(num_threads_for(n * 8))
        for (size_t j = 0; j < n; j += CHUNK)
            update(p->tensor[i].p + j, moment1->tensor[i].p + j, moment2->tensor[i].p + j, grads->tensor[i].p + j, &f,
                n - j < CHUNK ? n - j : CHUNK);
    }
}
