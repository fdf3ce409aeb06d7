/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audioread - the sound of a file: WAV, FLAC, Ogg, MP3 and what else libsndfile decodes, mixed to one channel and
 * resampled as it comes. What a header claims is not believed: memory is that of the seconds that are there and asked
 * for.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sndfile.h>

#include "music/audio.h"

#define RATE_MIN 1000
#define RATE_MAX 768000
#define CHUNK ((size_t)1 << 15) /* samples of all channels at a time */

struct source {
    int fd;
    SNDFILE *file;
    SF_INFO info;
    struct resampler *resampler; /* NULL where the rate is ours */
    float chunk[CHUNK], mono[CHUNK];
};

/* Devices and pipes would be waited for: a regular file, or DATA. */
static enum status
open_regular(struct source *s, const char *path, struct err *err)
{
    struct stat sb;

    if ((s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0)
        return err_errno(err, errno == EMFILE || errno == ENFILE || errno == ENOMEM ? SYSTEM : DATA, "%s", path);
    if (fstat(s->fd, &sb) != 0)
        return err_errno(err, DATA, "%s", path);
    return S_ISREG(sb.st_mode) ? OK : err_set(err, DATA, "%s: not a regular file", path);
}

/* The library's messages, without line breaks. */
static enum status
refuse(const char *path, const char *why, struct err *err)
{
    return err_set(err, DATA, "%s: %.*s", path, (int)strcspn(why, "\n"), why);
}

static enum status
open_source(struct source *s, const char *path, struct err *err)
{
    enum status st = open_regular(s, path, err);

    if (st != OK)
        return st;
        /* Why opening failed is kept for all threads in one place. */
#pragma omp critical(sndfile)
    {
        if ((s->file = sf_open_fd(s->fd, SFM_READ, &s->info, SF_FALSE)) == NULL)
            st = refuse(path, sf_strerror(NULL), err);
    }
    if (st != OK)
        return st;
    if (s->info.samplerate < RATE_MIN || s->info.samplerate > RATE_MAX)
        return err_set(
            err, DATA, "%s: expected %d to %d samples a second, got %d", path, RATE_MIN, RATE_MAX, s->info.samplerate);
    if (s->info.channels < 1 || (size_t)s->info.channels > CHUNK)
        return err_set(err, DATA, "%s: %d channels", path, s->info.channels);
    return s->info.samplerate == AUDIO_RATE ? OK : resampler_new(&s->resampler, (unsigned)s->info.samplerate, err);
}

/* The mean of the channels of n frames, into mono. */
static void
mix(struct source *s, size_t n)
{
    size_t C = (size_t)s->info.channels;

    for (size_t i = 0; i < n; i++) {
        float sum = 0;
        for (size_t c = 0; c < C; c++)
            sum += s->chunk[i * C + c];
        s->mono[i] = sum / (float)C;
    }
}

static enum status
read_all(struct sound *out, struct source *s, const char *path, size_t frames, struct err *err)
{
    size_t most = CHUNK / (size_t)s->info.channels, n;
    enum status st = OK;

    for (; st == OK && frames > 0; frames -= n) {
        sf_count_t got = sf_readf_float(s->file, s->chunk, (sf_count_t)(frames < most ? frames : most));
        if ((n = got < 0 ? 0 : (size_t)got) == 0)
            break;
        mix(s, n);
        for (size_t i = 0; i < n; i++)
            if (!isfinite(s->mono[i]))
                return err_set(err, DATA, "%s: a sample that is not finite", path);
        st = s->resampler == NULL ? sound_add(out, s->mono, n, err)
                                  : resampler_add(out, s->resampler, s->mono, n, false, err);
    }
    if (st == OK && sf_error(s->file) != SF_ERR_NO_ERROR)
        st = refuse(path, sf_strerror(s->file), err);
    return st == OK && s->resampler != NULL ? resampler_add(out, s->resampler, NULL, 0, true, err) : st;
}

enum status
sound_read(struct sound *out, const char *path, double seconds, struct err *err)
{
    struct source *s = calloc(1, sizeof(*s));
    enum status st;

    out->n = 0;
    if (s == NULL)
        return err_memory(err);
    s->fd = -1;
    if ((st = open_source(s, path, err)) == OK)
        st = read_all(out, s, path, (size_t)(seconds * s->info.samplerate), err);
    if (s->file != NULL)
        (void)sf_close(s->file); /* only read from */
    if (s->fd >= 0)
        (void)close(s->fd);
    resampler_free(s->resampler);
    free(s);
    return st;
}
