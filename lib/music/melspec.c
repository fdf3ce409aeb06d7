/* SPDX-License-Identifier: Apache-2.0 */
/*
 * melspec - log-mel spectrogram: Hann windows of 64 ms, 20 ms apart, 64 triangles of equal width on the mel scale
 * (2595 log10(1 + f / 700); Davis and Mermelstein 1980) from 40 to 7600 Hz, each of sum 1.
 * Time: one real FFT of 1024 (kissfft), some 1000 products and 64 logarithms a frame.
 */
#include <math.h>
#include <stdlib.h>

#include <kiss_fftr.h>

#include "music/audio.h"

#define BINS (MEL_WINDOW / 2 + 1)
#define LOWEST 40.0
#define HIGHEST 7600.0
#define SILENCE 1e-8F /* added to the power: -80 dB of a full scale */

struct melspec {
    kiss_fftr_cfg fft;
    float window[MEL_WINDOW]; /* scaled so that the power of noise does not depend on it */
    uint16_t from[MEL_BANDS], n[MEL_BANDS];
    float weight[MEL_BANDS][BINS]; /* of bins from, from + 1, … */
    float framed[MEL_WINDOW], power[BINS];
    kiss_fft_cpx bin[BINS];
};

static double
mel(double hertz)
{
    return 2595 * log10(1 + hertz / 700);
}

static double
hertz_of(double m)
{
    return 700 * (pow(10, m / 2595) - 1);
}

/* Band b reaches from corner b to corner b + 2. One that is narrower than a bin takes the bin at its middle. */
static void
make_band(struct melspec *m, int b)
{
    double step = (mel(HIGHEST) - mel(LOWEST)) / (MEL_BANDS + 1), at = mel(LOWEST) + b * step;
    double low = hertz_of(at), middle = hertz_of(at + step), high = hertz_of(at + 2 * step), sum = 0;
    const double width = (double)AUDIO_RATE / MEL_WINDOW;

    m->from[b] = (uint16_t)(floor(low / width) + 1);
    for (double f = m->from[b] * width; f < high; f += width) {
        double w = fmin((f - low) / (middle - low), (high - f) / (high - middle));
        m->weight[b][m->n[b]++] = (float)w;
        sum += w;
    }
    if (m->n[b] == 0) {
        m->from[b] = (uint16_t)lround(middle / width);
        m->weight[b][m->n[b]++] = 1;
        sum = 1;
    }
    for (int i = 0; i < m->n[b]; i++)
        m->weight[b][i] = (float)((double)m->weight[b][i] / sum);
}

enum status
melspec_new(struct melspec **out, struct err *err)
{
    struct melspec *m = calloc(1, sizeof(*m));
    double sum = 0;

    *out = m;
    if (m == NULL || (m->fft = kiss_fftr_alloc(MEL_WINDOW, 0, NULL, NULL)) == NULL) {
        melspec_free(m);
        *out = NULL;
        return err_memory(err);
    }
    for (int i = 0; i < MEL_WINDOW; i++) {
        double w = 0.5 - 0.5 * cos(2 * 3.14159265358979323846 * i / MEL_WINDOW);
        m->window[i] = (float)w;
        sum += w * w;
    }
    for (int i = 0; i < MEL_WINDOW; i++)
        m->window[i] = (float)((double)m->window[i] / sqrt(sum));
    for (int b = 0; b < MEL_BANDS; b++)
        make_band(m, b);
    return OK;
}

void
melspec_free(struct melspec *m)
{
    if (m == NULL)
        return;
    kiss_fftr_free(m->fft);
    free(m);
}

size_t
melspec_frames(size_t samples)
{
    return samples < MEL_WINDOW ? 0 : 1 + (samples - MEL_WINDOW) / MEL_HOP;
}

void
melspec_run(float *L, struct melspec *m, const float *x, size_t samples)
{
    for (size_t t = 0; t < melspec_frames(samples); t++) {
        for (size_t i = 0; i < MEL_WINDOW; i++)
            m->framed[i] = x[t * MEL_HOP + i] * m->window[i];
        kiss_fftr(m->fft, m->framed, m->bin);
        for (size_t i = 0; i < BINS; i++)
            m->power[i] = m->bin[i].r * m->bin[i].r + m->bin[i].i * m->bin[i].i;
        for (size_t b = 0; b < MEL_BANDS; b++) {
            float sum = SILENCE;
            for (size_t i = 0; i < m->n[b]; i++)
                sum += m->weight[b][i] * m->power[m->from[b] + i];
            L[t * MEL_BANDS + b] = logf(sum);
        }
    }
}
