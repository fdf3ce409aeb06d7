/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audioembed - a vector of how a recording sounds, without a model: statistics over time of its log-mel spectrogram.
 *
 * What lies more than 12 nepers of power (52 dB) below the loudest place counts as that far below it. Of each frame the
 * first coefficients of a cosine transform over the bands are taken (MFCC: Davis and Mermelstein 1980), c0 the
 * loudness, c1 … the shape of the spectrum. The blocks of a vector:
 *
 *     0 … 19    timbre: means of c1 … c20
 *     20 … 39   how much it varies: logarithms of the deviations of c0 … c19 over time
 *     40 … 59   how fast: the same of differences over 40 ms
 *     60 … 91   rhythm: the autocorrelation of the onsets (the bands' mean rise from frame to frame), lags of 0.24 to
 *               1.48 s, every 40 ms
 *
 * Each block is centred and scaled by constants, close to means and deviations over a handful of recordings, since a
 * vector must not depend on the other tracks of its run; the whole has length 1. Pitch and words do not count, nor does
 * a change of the volume as long as the quietest parts stay above the floor of the spectrogram.
 *
 * Time: some 0.5 ms a second of sound besides decoding. Memory: 80 kB a second of sound.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "music/audio.h"

#define RANGE 12.0F
#define COEFFICIENTS 21 /* c0 … c20 */
#define TIMBRE 20
#define SPREAD 20
#define LAGS 32
#define LAG_FIRST 12 /* frames */
#define LAG_STEP 2
#define SHORTEST 1.0 /* seconds */

_Static_assert(AUDIO_DIM == TIMBRE + 2 * SPREAD + LAGS, "the blocks are the vector");

struct audioembed {
    double seconds;
    struct sound sound;
    struct melspec *mel;
    float cosine[COEFFICIENTS][MEL_BANDS];
    float *L, *C, *onset; /* (frames, MEL_BANDS), (frames, COEFFICIENTS), (frames) */
    size_t cap;           /* frames */
};

enum status
audioembed_new(struct audioembed **out, double seconds, struct err *err)
{
    struct audioembed *a = calloc(1, sizeof(*a));

    *out = a;
    if (a == NULL || melspec_new(&a->mel, err) != OK) {
        audioembed_free(a);
        *out = NULL;
        return err_memory(err);
    }
    a->seconds = seconds;
    for (int k = 0; k < COEFFICIENTS; k++)
        for (int b = 0; b < MEL_BANDS; b++)
            a->cosine[k][b] = (float)(sqrt(2.0 / MEL_BANDS) * cos(3.14159265358979323846 / MEL_BANDS * (b + 0.5) * k));
    return OK;
}

void
audioembed_free(struct audioembed *a)
{
    if (a == NULL)
        return;
    sound_free(&a->sound);
    melspec_free(a->mel);
    free(a->L);
    free(a->C);
    free(a->onset);
    free(a);
}

static enum status
reserve(struct audioembed *a, size_t frames, struct err *err)
{
    float *L, *C, *onset;

    if (frames <= a->cap)
        return OK;
    if ((L = realloc(a->L, frames * MEL_BANDS * sizeof(*L))) != NULL)
        a->L = L;
    if ((C = realloc(a->C, frames * COEFFICIENTS * sizeof(*C))) != NULL)
        a->C = C;
    if ((onset = realloc(a->onset, frames * sizeof(*onset))) != NULL)
        a->onset = onset;
    if (L == NULL || C == NULL || onset == NULL)
        return err_memory(err);
    a->cap = frames;
    return OK;
}

/* The floor, the coefficients, and the onsets without their mean. False where all is silence. */
static bool
transform(struct audioembed *a, size_t frames)
{
    float most = vec_max(a->L, frames * MEL_BANDS), least = most - RANGE;
    double mean = 0;

    for (size_t i = 0; i < frames * MEL_BANDS; i++)
        a->L[i] = a->L[i] > least ? a->L[i] : least;
    for (size_t t = 0; t < frames; t++) {
        const float *now = a->L + t * MEL_BANDS, *before = t > 0 ? now - MEL_BANDS : now;
        float rise = 0;
        for (size_t k = 0; k < COEFFICIENTS; k++)
            a->C[t * COEFFICIENTS + k] = vec_dot(now, a->cosine[k], MEL_BANDS);
        for (size_t b = 0; b < MEL_BANDS; b++)
            rise += now[b] > before[b] ? now[b] - before[b] : 0;
        a->onset[t] = rise / MEL_BANDS;
        mean += (double)a->onset[t] / (double)frames;
    }
    for (size_t t = 0; t < frames; t++)
        a->onset[t] = (float)((double)a->onset[t] - mean);
    return most > logf(2e-8F); /* twice what the spectrogram adds to nothing */
}

/* Mean and deviation of n numbers, COEFFICIENTS apart, or of their differences over lag of them. */
static void
moments(double *mean, double *deviation, const float *x, size_t n, size_t lag)
{
    double sum = 0, square = 0;

    for (size_t t = lag; t < n; t++)
        sum += (double)x[t * COEFFICIENTS] - (lag > 0 ? (double)x[(t - lag) * COEFFICIENTS] : 0);
    *mean = sum / (double)(n - lag);
    for (size_t t = lag; t < n; t++) {
        double d = (double)x[t * COEFFICIENTS] - (lag > 0 ? (double)x[(t - lag) * COEFFICIENTS] : 0) - *mean;
        square += d * d;
    }
    *deviation = sqrt(square / (double)(n - lag));
}

static void
rhythm(float *v, const float *onset, size_t frames)
{
    double all = 1e-9;

    for (size_t t = 0; t < frames; t++)
        all += (double)onset[t] * (double)onset[t];
    for (size_t i = 0; i < LAGS; i++) {
        size_t lag = LAG_FIRST + i * LAG_STEP;
        double sum = 0;
        for (size_t t = lag; t < frames; t++)
            sum += (double)onset[t] * (double)onset[t - lag];
        v[i] = (float)(4 * sum / all / sqrt(LAGS));
    }
}

/* The constants are those of the head of the file: timbre of its own scale, deviations by what is usual of ck. */
static void
fill(float *v, const struct audioembed *a, size_t frames)
{
    double mean, deviation, unused;

    for (int k = 1; k <= TIMBRE; k++) {
        moments(&mean, &unused, a->C + k, frames, 0);
        v[k - 1] = (float)((mean - (k == 1 ? 17 : 0)) / 8.4 * pow(k, -0.15));
    }
    for (int k = 0; k < SPREAD; k++) {
        moments(&unused, &deviation, a->C + k, frames, 0);
        v[TIMBRE + k] = (float)(1.25 * log((deviation + 0.1) / (2.4 * pow(k + 1, -0.6) + 0.1)) / sqrt(SPREAD));
        moments(&unused, &deviation, a->C + k, frames, 2);
        v[TIMBRE + SPREAD + k] = (float)(2 * log((deviation + 0.1) / (2 * pow(k + 1, -0.75) + 0.1)) / sqrt(SPREAD));
    }
    rhythm(v + TIMBRE + 2 * SPREAD, a->onset, frames);
}

enum status
audioembed_file(float *vector, double *seconds, struct audioembed *a, const char *path, struct err *err)
{
    size_t frames;
    enum status st;

    *seconds = 0;
    if ((st = sound_read(&a->sound, path, a->seconds, err)) != OK)
        return st;
    *seconds = (double)a->sound.n / AUDIO_RATE;
    if (*seconds < SHORTEST)
        return err_set(err, DATA, "%s: expected at least %g s of sound, got %.4f", path, SHORTEST, *seconds);
    frames = melspec_frames(a->sound.n);
    if ((st = reserve(a, frames, err)) != OK)
        return st;
    melspec_run(a->L, a->mel, a->sound.x, a->sound.n);
    for (size_t i = 0; i < frames * MEL_BANDS; i++)
        if (!isfinite(a->L[i]))
            return err_set(err, DATA, "%s: samples far beyond full scale", path);
    if (!transform(a, frames))
        return err_set(err, DATA, "%s: silence", path);
    fill(vector, a, frames);
    (void)vec_unit(vector, AUDIO_DIM);
    return OK;
}
