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
/* The tracks of a record's history that are in the catalogue, each once and in ascending order: *n of them in *tracks,
 * which the caller frees, also on failure; none where the record has no history. DATA, SYSTEM. */
enum status items_history(
    uint32_t **tracks, size_t *n, const struct items *items, const msgpack_object *map, struct err *err);

/* ---- vectors of one modality (points.c) ---- */

/* The key of map's vector of m: "vector" in an embedding record of that modality, the modality's name in a joined
 * record; NULL where the record has none. DATA for an embedding of an unknown modality. */
enum status points_key(const char **key, const msgpack_object *map, enum modality m, struct err *err);

/* A growing table, row-major; all zero is empty. dim is set by the first vector. */
struct points {
    float *v; /* (n, dim) */
    size_t n, dim, cap;
};
/* Appends the vector at key; DATA if its dimension is not that of those before it. */
/* map_vector of what distances are computed from: DATA where their squares would not fit float32. */
#define POINTS_LONGEST 6e18
enum status points_vector(float *out, size_t n, const msgpack_object *map, const char *key, struct err *err);
enum status points_add(struct points *p, const msgpack_object *map, const char *key, struct err *err);
void points_free(struct points *p);

/* ---- vectors to learn from, all or a sample (picks.c) ---- */

/*
 * A growing table, row-major; all zero is empty. With most set, it holds that many vectors at most: those with the
 * least keys of all that were offered, so that the order of the stream does not matter.
 *
 *     picks_take(&p, map, key, &err) ... p.next may be changed, or be let go ... picks_keep(&p, id_hash, &err)
 */
struct picks {
    float *v;      /* (n, dim) */
    uint64_t *key; /* (n) */
    size_t n, dim, cap, most;
    float *next;    /* (dim) what picks_take read last */
    uint32_t *heap; /* (n) rows, the largest key first, each before two others; from n == most on */
};
/* Reads the vector at key into next; the first sets dim. DATA if its dimension is not that of those before it. */
enum status picks_take(struct picks *p, const msgpack_object *map, const char *key, struct err *err);
/* Keeps next under a key, unless there are enough with lesser ones. SYSTEM. */
enum status picks_keep(struct picks *p, uint64_t key, struct err *err);
/* Puts the vectors into the order of their keys. SYSTEM. */
enum status picks_sort(struct picks *p, struct err *err);
void picks_free(struct picks *p);
/* Rows by keys, equal keys by rows. */
struct keyed {
    uint64_t key;
    uint32_t row;
};
void keyed_sort(struct keyed *x, size_t n);

/* ---- embeddings of several modalities to their tracks (join.c, joinside.c) ---- */

struct joiner;
/*
 * One embedding file a modality, in any order; paths are borrowed. The files are read from end to end once, and again
 * by position as the tracks come, so they must be regular files (DATA); with hold they are read into memory instead. A
 * record that is no embedding, or of a track that its file had before, is given to bad(arg, rec, why) and left out;
 * without bad it is DATA.
 */
enum status joiner_new(struct joiner **out, const char *const *paths, size_t n, bool hold,
    void (*bad)(void *arg, const struct rec *rec, const struct err *why), void *arg, struct err *err);
void joiner_free(struct joiner *j);
/* DATA if the track cannot be joined, or comes twice: its own fault, unlike what joiner_write returns, which is that of
 * an embedding file. Once a track, before joiner_write. */
enum status joiner_check(struct joiner *j, const msgpack_object *track, struct err *err);
enum status joiner_write(struct rec_writer *w, struct joiner *j, const msgpack_object *track, struct err *err);
/* How many embeddings were of a track that their file had before. */
uint64_t joiner_twice(const struct joiner *j);
/* Behind the last track: how many embeddings are of no track; and writes them, file by file, unless they are held. */
uint64_t joiner_left_over(const struct joiner *j);
enum status joiner_write_left(struct rec_writer *w, struct joiner *j, struct err *err);

/* ---- clustering (kmeans.c) ---- */

struct kmeans_options {
    size_t k, iterations;
    uint64_t seed;
    bool unit;           /* spherical: centroids of length 1; the vectors must have it, too */
    bool half;           /* products of bfloat16, where that is faster; the result is the same */
    double target;       /* end once the inertia is not above; 0 for only where nothing changes */
    const uint64_t *key; /* (n) of each vector, whatever its place: samples go by it; NULL for the place */
};
struct kmeans {
    size_t k, dim;
    float *centroid; /* (k, dim) */
    uint64_t *count; /* vectors nearest to it */
    double inertia;  /* sum of squared distances to the nearest centroid */
    size_t live;     /* clusters with a vector */
    size_t iterations;
    double looked; /* comparisons of a vector with all centroids that all rounds made, a vector */
};
/* n vectors X (n, dim), n ≥ k ≥ 1. The same bits for any number of threads. SYSTEM. */
enum status kmeans_run(struct kmeans **out, const float *X, size_t n, size_t dim, const struct kmeans_options *o,
    void (*progress)(void *arg, size_t iteration, double inertia), void *arg, struct err *err);
void kmeans_free(struct kmeans *km);

/*
 * The same for vectors that come one after another and do not fit into memory (minibatch.c): what does not depend on
 * their number is batch vectors, batch ≥ k. iterations, target and key of o do not count. count and inertia are those
 * of the time when a vector was seen.
 */
struct minibatch;
enum status minibatch_new(
    struct minibatch **out, size_t batch, size_t dim, const struct kmeans_options *o, struct err *err);
void minibatch_free(struct minibatch *mb);
/* x is copied. SYSTEM. */
enum status minibatch_add(struct minibatch *mb, const float *x, struct err *err);
/* Behind the last; at least k were added. SYSTEM. */
enum status minibatch_end(struct kmeans **out, struct minibatch *mb, struct err *err);

/* ---- codes of vectors (assign.c) ---- */

/* The codebook of one modality made ready to be searched; it is borrowed. half: with products of bfloat16, for the same
 * codes. SYSTEM. */
struct assigner;
enum status assigner_new(
    struct assigner **out, const struct codebooks *books, enum modality m, bool half, struct err *err);
void assigner_free(struct assigner *a);
/*
 * The nearest centroid of each row of X (n, dim of the codebook). Squared Euclidean distance, ties to the lower
 * index; a row's code does not depend on the other rows. Not for two callers at once.
 */
void assigner_look(int32_t *code, const struct assigner *a, const float *X, size_t n);

/* ---- missing codes (impute.c, imputesearch.c) ---- */

/*
 * Training tracks to impute from: those of a joined stream that are not cold, with their vectors and codes in memory;
 * half: the vectors rounded to bfloat16. Dimensions are those of the codebooks, which are borrowed.
 */
struct imputer;
enum status imputer_load(
    struct imputer **out, const char *path, const struct codebooks *books, bool half, struct err *err);
void imputer_free(struct imputer *im);
uint32_t imputer_tracks(const struct imputer *im);
/* The most frequent code of the training tracks; CODE_NONE if none has one. */
int32_t imputer_common(const struct imputer *im, enum modality m);
/*
 * Fills CODE_NONE of codes[0 … n-1] where there is a codebook and a training track to learn from, and sets the bit 1 <<
 * m of imputed[i]. X[m] is (n, dim of m), its row i counts if has[i] has the bit 1 << m. A record of no modality stays
 * as it is. except, unless NULL: (n) hash64(0, track_id) of the training track that record i does not learn from.
 * SYSTEM.
 */
enum status imputer_fill(struct codes *codes, unsigned *imputed, const struct imputer *im, const float *const *X,
    const unsigned *has, const uint64_t *except, size_t n, size_t neighbours, struct err *err);

/* ---- use of the codes (usage.c) ---- */

struct usage;
enum status usage_new(struct usage **out, const struct codebooks *books, struct err *err);
void usage_free(struct usage *u);
enum status usage_add(struct usage *u, const struct codes *codes, unsigned imputed, struct err *err);
struct usage_of {
    uint64_t tracks, imputed; /* that have a code of the modality; of them by imputation */
    size_t codes, used;       /* clusters there are, and those with a track */
    uint64_t largest;         /* tracks of the largest cluster */
    double perplexity;        /* exp of the entropy of the codes */
};
struct usage_of usage_of(const struct usage *u, enum modality m);
/* Writes one record: {tracks, tuples, alone, largest_tuple, tracks_per_tuple, modalities: {playlist: {…}, …}}. */
enum status usage_write(struct rec_writer *w, const struct usage *u, struct err *err);

/* ---- from codes to tracks (match.c): §4.4 of the paper; by probability (matchexact.c) ---- */

struct match_candidate {
    struct codes codes;
    double logprob;
};
struct match_hit {
    uint32_t track; /* index into the items */
    struct str id;  /* its id, as long as the matcher lives */
    bool exact;
    int sum;        /* of the weights that agree, over the best candidate */
    double logprob; /* matcher_exact: the track's own */
};
struct matcher;
/* Lists of the items, which are borrowed. Memory: 76 bytes a track, its id once more, and what a query needs. */
enum status matcher_new(struct matcher **out, const struct items *items, uint64_t seed, struct err *err);
void matcher_free(struct matcher *m);
/* Writes the items as a file that is read faster than their records (matchindex.c). NOCREATE, IO, SYSTEM. */
enum status matcher_save(const struct matcher *m, const char *path, struct err *err);
/* Reads it; the order of the tracks is not that of the records. DATA for anything else, NOINPUT, IO, SYSTEM. */
enum status items_load_index(struct items **out, const char *path, struct err *err);
/*
 * The best top tracks into hits, without those for which drop (n_drop indices) names them; *n_hits of them. Exact
 * matches by candidate; then the largest sum, with the playlist token first where two subsets have one sum; then the
 * likelier candidate; then a hash of (seed, query, track). Without candidates there are no hits.
 */
enum status matcher_rank(struct match_hit *hits, size_t *n_hits, size_t top, struct matcher *m, struct str query,
    const struct match_candidate *candidates, size_t n, const uint32_t *drop, size_t n_drop, struct err *err);

/*
 * The same of exact matches alone, by probability: a track's is its candidate's divided by the number of tracks that
 * have these codes (those of drop included). Equal ones go by the hash.
 */
enum status matcher_exact(struct match_hit *hits, size_t *n_hits, size_t top, struct matcher *m, struct str query,
    const struct match_candidate *candidates, size_t n, const uint32_t *drop, size_t n_drop, struct err *err);

/* ---- playlist embeddings (item2vec.c, skipgram.c) ---- */

#define ITEM2VEC_WINDOW_MAX 96

struct item2vec_options {
    size_t dim, epochs, negative, min_count;
    size_t window; /* tracks on either side that are a track's context, at most; 0 for the whole playlist */
    double rate, subsample;
    uint64_t seed;
    bool hogwild; /* threads do not keep an order: faster, with several of them never the same twice */
};
struct item2vec;
enum status item2vec_new(struct item2vec **out, const struct item2vec_options *o, struct err *err);
void item2vec_free(struct item2vec *iv);
/* Adds a playlist; a track that repeats counts once. */
enum status item2vec_add(struct item2vec *iv, const msgpack_object *playlist, struct err *err);
/* progress is called after each epoch with the mean loss of a track. */
enum status item2vec_train(
    struct item2vec *iv, void (*progress)(void *arg, size_t epoch, double loss), void *arg, struct err *err);
const struct ids *item2vec_ids(const struct item2vec *iv);
/* The vector of a track, options.dim numbers; NULL if it was never trained (rare, or alone in its playlists). */
const float *item2vec_vector(const struct item2vec *iv, uint32_t track);

/* ---- text embeddings (ngrams.c, textembed.c) ---- */

struct textembed_options {
    enum modality modality; /* SEMANTIC, METADATA or LYRICS */
    size_t dim;
    uint64_t seed;
};
struct textembed;
enum status textembed_new(struct textembed **out, const struct textembed_options *o, struct err *err);
void textembed_free(struct textembed *te);
/* Adds the text of a track; END if it has none for the modality. Unknown keys are ignored. */
enum status textembed_add(struct textembed *te, const msgpack_object *track, struct err *err);
enum status textembed_fit(struct textembed *te, struct err *err);
/* After the fit: the tracks that had text, in order, and their vectors of length 1. */
uint32_t textembed_count(const struct textembed *te);
struct str textembed_id(const struct textembed *te, uint32_t i);
const float *textembed_vector(const struct textembed *te, uint32_t i);

/* ---- audio embeddings (audioembed.c; audioread.c, resample.c, melspec.c) ---- */

#define AUDIO_DIM 92
struct audioembed;
/* Work space of one thread; of a recording the first seconds count. */
enum status audioembed_new(struct audioembed **out, double seconds, struct err *err);
void audioembed_free(struct audioembed *a);
/* The vector of a file, AUDIO_DIM numbers, of length 1; seconds: how much of it was read. DATA, naming the file, where
 * it is missing, broken, silent or shorter than a second; SYSTEM. */
enum status audioembed_file(float *vector, double *seconds, struct audioembed *a, const char *path, struct err *err);

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

/* ---- playlists in that layout, of known truth (mpdsynth.c; world.c, worldtext.c, worldlist.c, mpdslice.c) ---- */

#define WORLD_GENRES 64
#define WORLD_MOODS 8
#define WORLD_TRACKS_MIN 10000
#define WORLD_TRACKS_MAX 200000000

struct mpdsynth_options {
    uint64_t seed;
    uint64_t first, n;    /* pids first … first + n - 1, in files of SLICE_PLAYLISTS */
    size_t tracks;        /* of the catalogue that they are drawn from, WORLD_TRACKS_MIN … WORLD_TRACKS_MAX */
    size_t genres, moods; /* 1 … WORLD_GENRES, 1 … WORLD_MOODS */
    size_t lyrics;        /* words of a track's, about; 0 for none */
    size_t dim;           /* of audio-like vectors, at least 1 */
    const char *dir;      /* of mpd.slice.A-B.json; NULL for one after another to json */
};
#define SLICE_PLAYLISTS 1000
/* Where it goes; all borrowed, and NULL where it is not wanted (json: where there is a dir). */
struct mpdsynth_out {
    struct rec_writer *json, *tracks, *audio, *truth;
};
struct mpdsynth_counts {
    uint64_t slices, playlists, entries;
    uint64_t tracks; /* distinct ones among the entries */
};
/*
 * Writes slices; then, of each track that they hold, in the order of the catalogue, a track record, an embedding of
 * modality audio and a truth record, behind the truth records of the playlists. A playlist depends on the seed, its pid
 * and the sizes of the catalogue alone; nothing depends on num_threads(). progress is called with the playlists done.
 * NOCREATE, IO, CLOSED, SYSTEM.
 */
enum status mpdsynth_run(struct mpdsynth_counts *count, const struct mpdsynth_options *o,
    const struct mpdsynth_out *out, void (*progress)(void *arg, uint64_t playlists), void *arg, struct err *err);

/* ---- training, validation and test playlists (split.c) ---- */

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
