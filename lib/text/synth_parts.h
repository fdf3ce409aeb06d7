/* SPDX-License-Identifier: Apache-2.0 */
/*
 * synth_parts - what synth.c is made of: a catalogue to ask about, frames to ask in, names as people type
 * them. Private to this room.
 */
#ifndef SYNTH_PARTS_H
#define SYNTH_PARTS_H

#include "text/text.h"

/* ---- names (synth_name.c) ---- */

enum name_kind { NAME_ARTIST, NAME_TITLE, NAME_OTHER };

/* How somebody types, for a whole conversation. */
struct typing {
    bool lower, no_marks, ascii;
    double slips; /* typing errors a name */
};
struct typing typing_draw(struct rng *r);

/* The letters and digits of a name that identify it: lower case, without accents, marks, blanks, "the", (…), feat. */
enum status name_key(struct buf *out, struct str name, enum name_kind kind, struct err *err);

/*
 * Appends name as somebody types it: without what is in brackets or behind " - " or "feat.", at times in part; never
 * empty unless name is. r NULL: the whole cleaned name as written.
 */
enum status name_type(
    struct buf *out, struct str name, enum name_kind kind, const struct typing *t, struct rng *r, struct err *err);

/* Changes text from byte `from` on as somebody types it: lower case, accents, one slip with t->slips. */
enum status typing_apply(struct buf *text, size_t from, const struct typing *t, struct rng *r, struct err *err);

/* ---- the catalogue (synth_catalogue.c) ---- */

#define SONG_NONE UINT32_MAX
#define SONG_MAX_VALUES 64 /* artists or tags of one track that are looked at */

struct span {
    size_t at, n;
};
struct song {
    struct span title, album, key, lyrics;
    uint32_t artist, n_artists; /* a run of catalogue.value: what each is called, and which it is */
    uint32_t tag, n_tags;
    uint64_t year, tempo; /* 0: not known */
    bool cold;
};
struct value {
    uint32_t id; /* in artists or tags */
    struct span name;
};
/* Which warm songs a value has: song[start[id]] … song[start[id + 1] - 1]. */
struct postings {
    uint32_t *start, *song;
};
struct catalogue {
    struct ids *ids, *artists, *tags;
    struct song *song;
    struct value *value;
    size_t n_values, cap_values, cap_songs;
    uint32_t n;
    struct buf text;
    struct postings by_artist, by_tag;
    uint32_t *warm, n_warm; /* songs; and the artists that have any: */
    uint32_t *live, n_live;
};
enum status synth_catalogue_load(struct catalogue **out, const char *path, struct err *err);
void synth_catalogue_free(struct catalogue *c);
struct str synth_catalogue_text(const struct catalogue *c, struct span s);
bool song_by(const struct catalogue *c, uint32_t song, uint32_t artist);
bool song_tagged(const struct catalogue *c, uint32_t song, uint32_t tag);

/* ---- frames (synth_frames.c) ---- */

enum slot {
    SLOT_ARTIST,
    SLOT_ARTIST2,
    SLOT_TRACK,
    SLOT_ALBUM,
    SLOT_TAG,
    SLOT_YEAR,
    SLOT_TEMPO,
    SLOT_KEY,
    SLOT_LYRICS,
    SLOT_PLAYLIST,
    SLOTS
};
enum intent {
    ASK_ARTIST,
    ASK_TRACK,
    ASK_ALBUM,
    ASK_TAG,
    ASK_YEAR,
    ASK_TEMPO,
    ASK_KEY,
    ASK_LYRICS,
    ASK_LIKE,
    ASK_MORE,
    SAY_HELLO,
    SAY_PRAISE,
    SAY_OK,
    SAY_REJECT,
    SAY_REJECT_ARTIST,
    ANSWER_ARTIST,
    ANSWER_TAG,
    ANSWER_ANY,
    ANSWER_ASK,
    FILL_PLAYLIST,
    INTENTS
};
struct frames;
enum status frames_load(struct frames **out, const char *path, struct err *err);
void frames_free(struct frames *f);
uint64_t frames_of_users(const struct frames *f);
bool frames_have(const struct frames *f, enum intent intent);
/* A frame of that intent whose slots are all in the set `slots` (bits 1 << SLOT), by weight; false if there is none. */
bool frames_draw(struct str *out, const struct frames *f, enum intent intent, unsigned slots, struct rng *r);
/* Every word of text occurs in what users say without a name: it asks for nothing in particular. */
bool frames_plain(const struct frames *f, struct str text);
/* Appends frame with its slots filled. */
enum status frame_fill(struct buf *out, struct str frame, const struct buf fill[SLOTS], struct err *err);

#endif
