/* SPDX-License-Identifier: Apache-2.0 */
/*
 * synth - conversations about playlists, simulated without a language model.
 *
 * A simulated user has a playlist in mind and asks for its tracks, by one intent a turn; the
 * recommender's answer is known, since it comes from the playlist. Words come from frames that were
 * learnt from people; names are mangled as people mangle them. See synth.c.
 */
#ifndef SYNTH_H
#define SYNTH_H

#include "num/num.h"
#include "stream/stream.h"

struct synth_options {
    uint64_t seed;
    double dialogs; /* dialogues a playlist: the whole part always, the rest by chance */
    double cover;   /* if above 0, instead: how often each track of a playlist is asked for */
};

/* What was made so far. */
struct synth_counts {
    uint64_t dialogs, turns, rejections, skipped; /* skipped: playlists without a usable track */
};

struct synth;

/*
 * Reads tracks and frames whole: memory grows with both (about 300 bytes and the text a track) and with nothing else.
 * NOINPUT, IO; DATA for a bad record, for a track_id that comes twice, and where there is no frame for users.
 */
enum status synth_new(
    struct synth **out, const char *tracks, const char *frames, const struct synth_options *o, struct err *err);
void synth_free(struct synth *s);

/* Distinct frames of what users say. */
uint64_t synth_frames(const struct synth *s);
struct synth_counts synth_counts(const struct synth *s);

/*
 * Writes the dialogues of one playlist record, none if it has no usable track: a track is usable that is in the catalogue
 * and, unless the playlist's split is valid or test, not cold. They depend on the seed, the playlist and the two files alone.
 * DATA if the record is not a playlist.
 */
enum status synth_playlist(struct rec_writer *w, struct synth *s, const struct rec *playlist, struct err *err);

#endif
