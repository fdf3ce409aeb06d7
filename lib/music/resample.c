/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resample - any sampling rate to AUDIO_RATE, by a windowed sinc in polyphase form (Smith, "Digital Audio Resampling",
 * 2002; Kaiser's window).
 *
 * Output n lies at n M / L of the input, L / M the ratio of the rates in lowest terms. Its filter is one of P = L
 * phases, or, of a strange ratio, the nearest below of 1024. The pass band ends at 0.95 of the lower half rate, where a
 * filter passes a half; it reaches over 24 zeros of the sinc on either side. Time: 2 * 24 / 0.95 products a sample of
 * the higher rate.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "music/audio.h"

#define ZEROS 24
#define ROLLOFF 0.95
#define BETA 7.0 /* side lobes below -70 dB */
#define PHASES ((size_t)1024)

struct resampler {
    size_t L, M, phases, half, taps; /* taps is 2 half */
    float *filter;                   /* (phases, taps) */
    struct sound in;                 /* input from half - 1 samples before the next output's place on */
    size_t rest;                     /* of that place, in 1 / L of an input sample */
};

enum status
sound_add(struct sound *s, const float *x, size_t n, struct err *err)
{
    if (n > s->cap - s->n) {
        size_t cap = s->cap + s->cap / 2 + n + 4096;
        float *p = realloc(s->x, cap * sizeof(*p)); /* seconds and rates are bounded: no overflow */
        if (p == NULL)
            return err_memory(err);
        s->x = p;
        s->cap = cap;
    }
    if (x != NULL)
        memcpy(s->x + s->n, x, n * sizeof(*x));
    else
        memset(s->x + s->n, 0, n * sizeof(*x));
    s->n += n;
    return OK;
}

void
sound_free(struct sound *s)
{
    free(s->x);
    *s = (struct sound){0};
}

/* The modified Bessel function of order 0. */
static double
bessel(double x)
{
    double sum = 1, term = 1;

    for (int k = 1; term > 1e-12 * sum; k++) {
        term *= (x / (2 * k)) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

/* Each phase's filter, its sum 1. */
static void
make_filters(struct resampler *r, double cutoff)
{
    for (size_t p = 0; p < r->phases; p++) {
        float *h = r->filter + p * r->taps;
        double sum = 0;

        for (size_t j = 0; j < r->taps; j++) {
            double t = (double)j - (double)(r->half - 1) - (double)p / (double)r->phases, u = t / (double)r->half;
            double a = 3.14159265358979323846 * cutoff * t;
            double v = (fabs(a) < 1e-9 ? 1 : sin(a) / a) * (fabs(u) < 1 ? bessel(BETA * sqrt(1 - u * u)) : 0);
            h[j] = (float)v;
            sum += v;
        }
        for (size_t j = 0; j < r->taps; j++)
            h[j] = (float)((double)h[j] / sum);
    }
}

static size_t
common_divisor(size_t a, size_t b)
{
    while (b != 0) {
        size_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

enum status
resampler_new(struct resampler **out, unsigned rate, struct err *err)
{
    struct resampler *r = calloc(1, sizeof(*r));
    size_t d = common_divisor(AUDIO_RATE, rate);
    double cutoff = ROLLOFF * (rate > AUDIO_RATE ? (double)AUDIO_RATE / rate : 1);

    *out = r;
    if (r == NULL)
        return err_memory(err);
    r->L = AUDIO_RATE / d;
    r->M = rate / d;
    r->phases = r->L < PHASES ? r->L : PHASES;
    r->half = (size_t)ceil(ZEROS / cutoff);
    r->taps = 2 * r->half;
    if ((r->filter = malloc(r->phases * r->taps * sizeof(*r->filter))) == NULL ||
        sound_add(&r->in, NULL, r->half - 1, err) != OK) { /* silence before the first sample */
        resampler_free(r);
        *out = NULL;
        return err_memory(err);
    }
    make_filters(r, cutoff);
    return OK;
}

void
resampler_free(struct resampler *r)
{
    if (r == NULL)
        return;
    free(r->filter);
    sound_free(&r->in);
    free(r);
}

enum status
resampler_add(struct sound *out, struct resampler *r, const float *x, size_t n, bool last, struct err *err)
{
    size_t at = 0; /* of the filter's first sample in r->in */

    if (sound_add(&r->in, x, n, err) != OK || (last && sound_add(&r->in, NULL, r->half, err) != OK))
        return SYSTEM;
    while (at + r->taps <= r->in.n) {
        float y = vec_dot(r->in.x + at, r->filter + r->rest * r->phases / r->L * r->taps, r->taps);
        if (sound_add(out, &y, 1, err) != OK)
            return SYSTEM;
        r->rest += r->M;
        at += r->rest / r->L;
        r->rest %= r->L;
    }
    /* A step is shorter than a filter: at is within what there is. */
    memmove(r->in.x, r->in.x + at, (r->in.n - at) * sizeof(*r->in.x));
    r->in.n -= at;
    return OK;
}
