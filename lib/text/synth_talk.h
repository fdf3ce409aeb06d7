/* SPDX-License-Identifier: Apache-2.0 */
/*
 * synth_talk - a simulated conversation under way: what is asked for (synth_ask.c), in which words (synth_say.c).
 * Private to this room.
 */
#ifndef SYNTH_TALK_H
#define SYNTH_TALK_H

#include "text/synth_parts.h"

#define ANSWERS 3     /* tracks of an answer, at most */
#define MAX_TURNS 8   /* turns of a dialogue, at most, but for a rejected one more */
#define ROAM_TURNS 12 /* turns of one who roams */

struct synth {
    struct synth_options o;
    struct catalogue *c;
    struct frames *f;
    struct synth_counts counts;
    uint32_t *pool; /* usable tracks of the playlist at hand, shuffled */
    size_t n_pool, cap_pool;
    uint64_t *seen, round; /* the last playlist that each track was met in, and the number of this one */
    struct buf fill[SLOTS], said, id;
};

/* One who roams cares for no playlist and names one artist after another. */
enum user { SATISFIED, INDIFFERENT, UNSATISFIED, ROAMING };

/* What is asked for, and the answer. */
struct request {
    enum intent intent;
    uint32_t value;   /* which artist or tag */
    struct str model; /* ASK_LIKE: whose music it should be like */
    uint32_t song[ANSWERS];
    size_t n;
    bool rejected;
};

/* A conversation under way. */
struct talk {
    struct synth *s;
    struct rec_writer *w;
    struct rng rng;
    struct typing typing;
    enum user user;
    size_t next; /* in the pool */
    uint32_t used[(ROAM_TURNS + 1) * ANSWERS];
    size_t n_used;
    struct request last;
    struct str opening; /* what was asked when the playlist was made; or empty */
    int turn;
};

static inline bool
chance(struct talk *t, double p)
{
    return rng_unit(&t->rng) < p;
}

/* ---- what is asked for (synth_ask.c) ---- */

bool ask_has(const struct request *q, uint32_t song);
/* The next track of the playlist that was not played; SONG_NONE when all were. */
uint32_t ask_take(struct talk *t);
/*
 * Any warm track that was not played: of any artist (then by is that artist) or any at all (IDS_NONE). SONG_NONE where
 * the draw was of one that was.
 */
uint32_t ask_stray(struct talk *t, uint32_t *by);
/* A track that is neither in the playlist nor by one of its artists; SONG_NONE if none was found. */
uint32_t ask_negative(struct talk *t);
/* Which of the n artists or tags that begin at first: mostly the first. */
uint32_t ask_value(struct talk *t, uint32_t first, uint32_t n);
/* Settles how song is asked for. A stray one came by way of an artist, or of itself: mostly that is what is said. */
void ask_aim(struct talk *t, struct request *q, uint32_t song, bool strayed, uint32_t by);
/* Adds tracks that were asked for as well: of the playlist, then warm ones of the catalogue. */
void ask_gather(struct talk *t, struct request *q);

/* ---- in which words (synth_say.c) ---- */

/* Fills the slots with what song is; typed: as the user types. Slots that stay empty are not asked for. */
enum status say_fill_song(struct talk *t, uint32_t song, const struct request *q, bool typed, struct err *err);
/* Appends one more sentence to what is said, of *frame unless that is NULL; nothing where there is no frame for it. */
enum status say_sentence(struct talk *t, enum intent intent, bool typed, struct str *frame, struct err *err);
/* Opens with a greeting or a reaction, as this user does. */
enum status say_react(struct talk *t, struct err *err);
/* The words for q. Sets the second track of a request for two artists, if the frame has both. */
enum status say_request(struct talk *t, struct request *q, struct err *err);
/* Writes the user's words, the answer's tracks and words. */
enum status say_play(struct talk *t, struct request *q, struct err *err);

#endif
