/* SPDX-License-Identifier: Apache-2.0 */
/*
 * music - modalities, music tokens, codebooks, items, matching (Doh, Choi, Nam 2025, §4.1 and §4.4).
 */
#ifndef MUSIC_H
#define MUSIC_H

#include "num/num.h"
#include "stream/stream.h"

/* ---- modalities (modality.c): this order is the order of tokens, weights and everything else ---- */

enum modality { PLAYLIST, SEMANTIC, METADATA, LYRICS, AUDIO, MODALITIES };

extern const char *const modality_name[MODALITIES];
extern const double modality_weight[MODALITIES]; /* 25 16 9 4 1: §4.4, Table … of the paper */
/* -1 if there is none of that name. */
int modality_find(struct str name);

/* The codes of a track: one a modality, CODE_NONE where it has none. */
#define CODE_NONE (-1)
struct codes {
    int32_t code[MODALITIES];
};
#define CODE_MAX 65535 /* the largest index of a centroid */
bool codes_equal(const struct codes *a, const struct codes *b);
/* {playlist: 53, …} at key of map; at least one code. Unknown names and codes above CODE_MAX are DATA. */
enum status codes_get(struct codes *out, const msgpack_object *map, const char *key, struct err *err);
void codes_put(struct rec_writer *w, const char *key, const struct codes *codes);

/* ---- music tokens as text (token.c) ---- */

#define MUSIC_START "<start_of_music>"
#define MUSIC_END "<end_of_music>"
/* "<|playlist-53|>" into out, terminated; returns its length. */
size_t token_name(char out[32], enum modality m, int32_t code);
/* Reads such a name; false if s is not one. */
bool token_parse(enum modality *m, int32_t *code, struct str s);
/* <start_of_music><|playlist-53|>…<end_of_music> appended to out. */
enum status token_block(struct buf *out, const struct codes *codes, struct err *err);

/* ---- codebooks (codebook.c) ---- */

/* Centroids of up to five modalities: vector of modality m's code k is v[m] + k * dim[m]. */
struct codebooks {
    size_t k[MODALITIES], dim[MODALITIES]; /* k is 0 where there is no codebook */
    float *v[MODALITIES];
    uint64_t *count[MODALITIES];
};
/* Reads centroid records from each path; indices of a modality must be 0 … k-1 each once, in any order. */
enum status codebooks_load(struct codebooks **out, const char *const *paths, size_t n, struct err *err);
void codebooks_free(struct codebooks *books);

/* ---- items (items.c) ---- */

/* The catalogue: tracks and their codes, in stream order. */
struct items {
    struct ids *ids; /* track_id <-> index */
    struct codes *codes;
    uint32_t n;
};
/* A track_id that comes twice is DATA. */
enum status items_load(struct items **out, const char *path, struct err *err);
void items_free(struct items *items);

/* ---- the Million Playlist Dataset (mpd.c, mpdscan.c) ----
 *
 *     while (mpd_open(m, f, name), (st = mpd_next(&p, m, &err)) == OK)
 *         if (mpd_write(m, &p, &err) == DATA) ... p is a bad playlist, the next may be good ...
 */

#define MPD_MAX_SLICE ((size_t)1 << 30) /* bytes of one JSON document; those of the dataset have 33 MB */

struct mpd_playlist {
    uint64_t number; /* from 1, within the file */
    uint64_t byte;   /* of its first byte, within the file */
    struct str text; /* as it stands there; lives until the next mpd_next */
};
struct mpd_counts {
    uint64_t playlists, entries; /* written, and the tracks in them */
    uint64_t tracks;             /* distinct ones written */
    uint64_t wrong_counts;      /* num_tracks, num_albums, num_artists, num_samples, info.slice against what is there */
    uint64_t outside, untitled; /* pids outside the file's range; tracks without a name */
};
struct mpd;
/*
 * A parser that writes playlist records to playlists and, unless tracks is NULL, a track record to tracks for the first
 * entry of each distinct track. Both are borrowed. warn(arg, text) is called for claims that do not hold.
 */
enum status mpd_new(struct mpd **out, struct rec_writer *playlists, struct rec_writer *tracks,
    void (*warn)(void *arg, const char *text), void *arg, struct err *err);
void mpd_free(struct mpd *m);
/* Goes on with f, which holds one or more JSON documents; f and name are borrowed until the next mpd_open. */
void mpd_open(struct mpd *m, FILE *f, const char *name);
/*
 * The next playlist of f. END behind the last; DATA, with file and byte in err, for a file that is empty, cut off or no
 * slice at all, behind which there is no going on; IO.
 */
enum status mpd_next(struct mpd_playlist *p, struct mpd *m, struct err *err);
/* Writes p and the tracks that are new. DATA, without a position, for a bad playlist, of which nothing is written. */
enum status mpd_write(struct mpd *m, const struct mpd_playlist *p, struct err *err);
const struct mpd_counts *mpd_counts(const struct mpd *m);
/* The bare id of a spotify:track: URI, any other URI whole; of length 0 if there is none. */
struct str mpd_track_id(struct str uri);

/* ---- training, validation and test playlists (split.c) ---- */

enum split { SPLIT_TRAIN, SPLIT_VALID, SPLIT_TEST, SPLITS };
extern const char *const split_name[SPLITS];

struct split_options {
    uint64_t seed; /* of the test sample */
    size_t test;   /* playlists in it, at most */
    double valid;  /* share of the rest that validates */
    bool has_day;
    int64_t days; /* that day and those before it; more than 1 only with has_day */
    int64_t day;  /* of the test sample, in days since 1970 (UTC); without it the last that is there */
};
struct split_counts {
    uint64_t playlists[SPLITS]; /* written */
    uint64_t candidates;        /* playlists of the day of the test sample */
    uint64_t undated;           /* playlists without modified_at: never in the test sample */
    uint64_t tracks, cold;      /* distinct ones written; those in no training playlist */
    uint64_t repeated;          /* track records left out: their track had been written */
};
struct splitter;
enum status split_new(struct splitter **out, const struct split_options *o, struct err *err);
void split_free(struct splitter *s);
/* First pass: every playlist once. DATA for one that the second pass will refuse in the same words. */
enum status split_see(struct splitter *s, const msgpack_object *playlist, struct err *err);
/* Ends the first pass. day is that of the test sample; false if no playlist has a date. */
bool split_settle(int64_t *day, struct splitter *s);
/* Second pass: writes the playlist with its split. */
enum status split_playlist(struct rec_writer *w, struct splitter *s, const msgpack_object *playlist, struct err *err);
/* Behind the second pass: writes the track with cold, unless a record of this track was written before. */
enum status split_track(struct rec_writer *w, struct splitter *s, const msgpack_object *track, struct err *err);
const struct split_counts *split_counts(const struct splitter *s);
/* "2017-11-01" into days since 1970; USAGE if it is no date. And back, terminated. */
enum status split_day(int64_t *day, const char *text, struct err *err);
void split_day_text(char out[64], int64_t day);

#endif
