/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audio - sound as samples and as a log-mel spectrogram: private to lib/music.
 */
#ifndef AUDIO_H
#define AUDIO_H

#include "music/music.h"

#define AUDIO_RATE 16000

/* Mono samples at AUDIO_RATE; all zero is empty. */
struct sound {
    float *x;
    size_t n, cap;
};
enum status sound_add(struct sound *s, const float *x, size_t n, struct err *err);
void sound_free(struct sound *s);

/* Resampling of a stream at any rate to AUDIO_RATE (resample.c). */
struct resampler;
enum status resampler_new(struct resampler **out, unsigned rate, struct err *err);
void resampler_free(struct resampler *r);
/* Takes n more samples; what they give is appended to out. last: nothing follows. */
enum status resampler_add(struct sound *out, struct resampler *r, const float *x, size_t n, bool last, struct err *err);

/*
 * The first seconds of a file, its channels averaged, into out, which is emptied (audioread.c). DATA for a file that is
 * missing, not a regular one, or not sound that libsndfile reads.
 */
enum status sound_read(struct sound *out, const char *path, double seconds, struct err *err);

/* The spectrogram (melspec.c). */
#define MEL_BANDS 64
#define MEL_WINDOW 1024
#define MEL_HOP 320
struct melspec;
enum status melspec_new(struct melspec **out, struct err *err);
void melspec_free(struct melspec *m);
size_t melspec_frames(size_t samples); /* 0 below MEL_WINDOW samples */
/* Natural logarithms of the power in each band, L (frames, MEL_BANDS). */
void melspec_run(float *L, struct melspec *m, const float *x, size_t samples);

#endif
