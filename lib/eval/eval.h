/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eval - baselines that rank tracks (BM25, popularity, random) and the measures that judge rankings.
 *
 * Strings and objects taken from a record live as long as the record; everything else belongs to the
 * structure that it was read into.
 */
#ifndef EVAL_H
#define EVAL_H

#include "num/num.h"
#include "stream/stream.h"

/* ---- words (words.c) ---- */

/*
 * Cuts text into lower-case words: runs of letters, marks and digits in the sense of Unicode. Not for
 * two threads at a time.
 */
struct words;
enum status words_new(struct words **out, struct err *err);
void words_free(struct words *w);
/* Begins with text, which need not outlive the call. DATA if it is not UTF-8. */
enum status words_start(struct words *w, struct str text, struct err *err);
/* The next word, which lives until words_start; false after the last. */
bool words_next(struct str *word, struct words *w);

/* ---- BM25 (bm25.c) ---- */

/* Documents are added in order, text by text, then the index is built once; then it answers. */
struct bm25;
enum status bm25_new(struct bm25 **out, double k1, double b, struct err *err);
void bm25_free(struct bm25 *x);
/* Adds the words of text to the current document, the first of which is there from the beginning. */
enum status bm25_add(struct bm25 *x, struct str text, struct err *err);
/* Ends the current document, empty or not, and begins the next. */
enum status bm25_end_document(struct bm25 *x, struct err *err);
/* After the last document. */
enum status bm25_build(struct bm25 *x, struct err *err);
/* Adds to score[document] what each word of text is worth, every time that it occurs there. */
enum status bm25_query(double *score, struct bm25 *x, struct str text, struct err *err);

/* ---- the catalogue and what is asked of it (catalogue.c, query.c) ---- */

/* Reads track records: ids numbered in stream order. A track_id that comes twice is DATA. each (may be NULL) sees every
 * record after its id was numbered. */
enum status catalogue_load(struct ids **out, const char *path,
    enum status (*each)(void *arg, const struct rec *rec, struct err *err), void *arg, struct err *err);

/* One prompt. Everything is borrowed from its record. */
struct query {
    struct str id;
    const msgpack_object *turn, *relevant; /* NULL where the prompt has none */
    const msgpack_object *history;
};
enum status query_get(struct query *out, const msgpack_object *map, struct err *err);
/* The last request, or all requests, one after another, into out (emptied first), each ended by a line break. */
enum status query_text(struct buf *out, const struct query *q, bool all, struct err *err);
/* Sets seen[i] = 1 for the tracks of the history, and the others to 0. */
void query_seen(uint8_t *seen, const struct query *q, const struct ids *catalogue);

/* ---- the best of the catalogue (rank.c) ---- */

struct ranked {
    double score;
    uint64_t tie; /* the larger goes first among equal scores */
    uint32_t track;
};
/*
 * The n best tracks by score, best first, into top (which has room for that many); returns how many there are. Tracks
 * with skip[i] != 0 are left out. Equal scores go by a hash of (seed, query, track).
 */
size_t rank_top(struct ranked *top, size_t n, const double *score, const uint8_t *skip, const struct ids *catalogue,
    uint64_t seed, struct str query);
/* The ranking record of q. */
enum status rank_put(struct rec_writer *w, const struct query *q, const struct ranked *top, size_t n,
    const struct ids *catalogue, struct err *err);

/* ---- measures (measure.c) ---- */

/* hit[i] tells whether the track at rank i (from 0) is relevant; n ranks, relevant tracks in all; k cuts. */
struct measure {
    const char *name;
    const char *explanation; /* definition and source, as --help prints it */
    size_t k;
    double (*value)(const uint8_t *hit, size_t n, size_t relevant, size_t k);
};
#define MEASURES 6
extern const struct measure measures[MEASURES];

/* ---- intervals (bootstrap.c) ---- */

/*
 * Means and their intervals by a percentile bootstrap over conversations. A column is what is averaged (a measure of a
 * system).
 */
struct boot {
    size_t conversations, columns, samples;
    uint64_t observations;
    double *mean; /* (columns) */
    double *draw; /* (columns, samples): the mean in each resample */
    double *sort; /* (samples): scratch */
};
/*
 * count[c] observations (≥ 1) of conversation c, whose sums are sum[c * columns + j]. The mean is over all
 * observations, or, with by_conversation, of the conversations' means. Resample s is the same for every column and for
 * every call with the same number of conversations. conversations, columns, samples ≥ 1.
 */
enum status boot_run(struct boot **out, const uint64_t *count, const double *sum, size_t conversations, size_t columns,
    bool by_conversation, uint64_t seed, size_t samples, struct err *err);
void boot_free(struct boot *b);
/* The 2.5 % and 97.5 % quantiles of column i, or of column i minus column j where j is not BOOT_ALONE. */
#define BOOT_ALONE SIZE_MAX
void boot_interval(double *low, double *high, struct boot *b, size_t i, size_t j);

/* ---- turns to be scored and what systems made of them (truth.c, run.c, trec.c) ---- */

enum subset { ALL, WARM, COLD, SUBSETS };
extern const char *const subset_suffix[SUBSETS]; /* "", ".warm", ".cold" */

struct turn {
    uint32_t conversation, number;  /* number is 0 where the prompt has no turn */
    uint32_t first, count[SUBSETS]; /* relevant[first … first + count[ALL] - 1]; count of each subset */
};
struct truth {
    struct ids *queries;       /* a turn's index is its query's */
    struct ids *conversations; /* query_id up to its last colon */
    struct ids *tracks;        /* relevant anywhere */
    struct turn *turns;
    uint32_t *relevant; /* index in tracks; distinct within a turn */
    uint8_t *known;     /* by index in tracks: 0, or 1 + whether it is cold */
    size_t n, n_relevant, turns_cap, relevant_cap, known_cap;
};
/*
 * Reads prompts. tracks (may be NULL) tells warm from cold: a track that is not there is neither. A query_id that comes
 * twice, or without a colon, is DATA.
 */
enum status truth_load(struct truth **out, const char *prompts, const char *tracks, struct err *err);
void truth_free(struct truth *t);
/* DATA, naming the first, where a conversation is in the file of ids, one a line. */
enum status truth_refuse(const struct truth *t, const char *path, struct err *err);

/* A system's values: value[turn * SUBSETS * MEASURES + subset * MEASURES + measure]; a missing ranking leaves 0. */
struct run {
    const char *name;
    double *value;
    uint8_t *seen; /* by turn */
    size_t missing;
};
/*
 * Reads rankings of one system and judges each. A query that truth does not have or that comes twice, and a track that
 * comes twice in one ranking, are DATA. trec (may be NULL) takes the run in trec_eval's format.
 */
enum status run_load(struct run *out, const struct truth *t, const char *name, const char *path,
    struct rec_writer *trec, struct err *err);
void run_fini(struct run *r);

/* Writes the relevant tracks of a subset in trec_eval's qrels format. */
enum status truth_qrels(struct rec_writer *w, const struct truth *t, enum subset subset, struct err *err);

/* ---- match analysis (matched.c; Doh, Choi, Nam 2025, §5.2) ---- */

enum match_kind { MATCH_MALFORMED, MATCH_EXACT, MATCH_PARTIAL, MATCH_KINDS };
extern const char *const match_name[MATCH_KINDS]; /* "match_malformed", … */
/* How a system's unmasked samples match the catalogue: count[turn * MATCH_KINDS + kind]. */
struct matched {
    const char *name;
    uint64_t *count;
};
/* items: the catalogue's codes. Every candidate of a generation is one sample. */
enum status matched_load(
    struct matched *out, const struct truth *t, const char *name, const char *path, const char *items, struct err *err);
void matched_fini(struct matched *m);

/* ---- metric records (grade.c) ---- */

struct grading {
    const struct truth *truth;
    const struct run *runs;
    size_t n_runs;
    const struct matched *matched;
    size_t n_matched;
    bool subsets; /* warm and cold are known */
    uint64_t seed;
    size_t samples;
};
/* Writes every figure. DATA if no turn has a relevant track. */
enum status grade(struct rec_writer *w, const struct grading *g, struct err *err);

#endif
