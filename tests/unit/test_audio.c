/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resampling against the sine that was sampled, at common and strange rates, in one piece and in pieces; the
 * spectrogram against a plain Fourier sum in double.
 */
#include <stdlib.h>
#include <string.h>

#include "music/audio.h"
#include "unit.h"

#define PI 3.14159265358979323846

/* A second of a sine at rate, resampled; cut into pieces of at most piece samples. */
static struct sound
resampled(unsigned rate, double hertz, size_t piece)
{
    struct sound out = {0};
    struct resampler *r = NULL;
    float *x = malloc(rate * sizeof(*x));
    struct err err;

    if (x == NULL || resampler_new(&r, rate, &err) != OK)
        abort();
    for (size_t i = 0; i < rate; i++)
        x[i] = (float)sin(2 * PI * hertz * (double)i / rate);
    for (size_t at = 0; at < rate; at += piece)
        if (resampler_add(&out, r, x + at, rate - at < piece ? rate - at : piece, false, &err) != OK)
            abort();
    if (resampler_add(&out, r, NULL, 0, true, &err) != OK)
        abort();
    resampler_free(r);
    free(x);
    return out;
}

/* The largest distance from the sine at AUDIO_RATE, or from nothing, away from both ends. */
static double
worst(const struct sound *s, double hertz)
{
    double most = 0;

    for (size_t i = 200; i + 200 < s->n; i++) {
        double d = fabs((double)s->x[i] - (hertz > 0 ? sin(2 * PI * hertz * (double)i / AUDIO_RATE) : 0));
        most = d > most ? d : most;
    }
    return most;
}

static void
test_resampler(void)
{
    static const unsigned rates[] = {8000, 11025, 22050, 32000, 44100, 48000, 96000, 22051, 44056};

    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct sound s = resampled(rates[i], 1000, rates[i]), pieces = resampled(rates[i], 1000, 777);
        CHECK(s.n >= AUDIO_RATE && s.n <= AUDIO_RATE + 1, "a second at %u is a second: %zu samples", rates[i], s.n);
        CHECK(worst(&s, 1000) < 2e-3, "1 kHz at %u is 1 kHz to %.1e", rates[i], worst(&s, 1000));
        CHECK(s.n == pieces.n && memcmp(s.x, pieces.x, s.n * sizeof(*s.x)) == 0, "in pieces, too");
        sound_free(&s);
        sound_free(&pieces);
    }
    for (unsigned rate = 44100; rate <= 48000; rate += 3900) {
        struct sound low = resampled(rate, 6500, rate), high = resampled(rate, 8700, rate);
        CHECK(worst(&low, 6500) < 2e-3, "6.5 kHz at %u stays: %.1e", rate, worst(&low, 6500));
        CHECK(worst(&high, 0) < 1e-3, "8.7 kHz at %u goes: %.1e", rate, worst(&high, 0));
        sound_free(&low);
        sound_free(&high);
    }
}

/* Power of bin k of the first frame, by the definition. */
static double
power_of(const float *x, size_t k)
{
    double re = 0, im = 0, sum = 0;

    for (size_t i = 0; i < MEL_WINDOW; i++) {
        double w = 0.5 - 0.5 * cos(2 * PI * (double)i / MEL_WINDOW),
               a = 2 * PI * (double)(k * i % MEL_WINDOW) / MEL_WINDOW;
        re += w * (double)x[i] * cos(a);
        im += w * (double)x[i] * sin(a);
        sum += w * w;
    }
    return (re * re + im * im) / sum;
}

static double
mel_to_hertz(double corner)
{
    double low = 2595 * log10(1 + 40.0 / 700), high = 2595 * log10(1 + 7600.0 / 700);

    return 700 * (pow(10, (low + corner * (high - low) / (MEL_BANDS + 1)) / 2595) - 1);
}

static void
test_melspec(void)
{
    static float x[MEL_WINDOW + MEL_HOP], L[2 * MEL_BANDS];
    struct melspec *m = NULL;
    struct rng rng = rng_seed(1, 1);
    double most = 0;
    struct err err;

    for (size_t i = 0; i < MEL_WINDOW + MEL_HOP; i++)
        x[i] = (float)(0.3 * rng_normal(&rng));
    if (melspec_new(&m, &err) != OK)
        abort();
    CHECK(melspec_frames(MEL_WINDOW - 1) == 0 && melspec_frames(MEL_WINDOW + MEL_HOP) == 2, "frames are counted");
    melspec_run(L, m, x, MEL_WINDOW + MEL_HOP);
    for (int b = 20; b < MEL_BANDS; b++) { /* wide enough for several bins */
        double low = mel_to_hertz(b), middle = mel_to_hertz(b + 1), high = mel_to_hertz(b + 2), sum = 0, all = 0;
        for (size_t k = 0; k <= MEL_WINDOW / 2; k++) {
            double f = (double)k * AUDIO_RATE / MEL_WINDOW,
                   w = fmin((f - low) / (middle - low), (high - f) / (high - middle));
            sum += w > 0 ? w * power_of(x, k) : 0;
            all += w > 0 ? w : 0;
        }
        most = fmax(most, fabs((double)L[b] - log(sum / all + 1e-8)));
    }
    CHECK(most < 1e-4, "a frame is what the definition says, to %.1e", most);
    melspec_run(L, m, x + MEL_HOP, MEL_WINDOW);
    melspec_free(m);
}

int
main(void)
{
    num_init(1);
    test_resampler();
    test_melspec();
    return unit_done();
}
