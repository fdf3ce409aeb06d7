/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block - ways to find the block behind a prompt, each a few rows of the network at a time, so that those of many
 * prompts go through it together. Private to lib/model.
 */
#ifndef BLOCK_H
#define BLOCK_H

#include "model/grammar.h"

/* ---- lines (line.c): sequences that tokens are drawn for ---- */

struct line {
    struct id_span before, after; /* the prompt, and what followed it so far: the penalty is for both */
    struct tail *tail;
    struct rng rng;
    int32_t *token; /* (room) the memory of after */
    size_t room;
    const uint8_t *allowed; /* NULL: any token */
    const float *logits;    /* (V) to draw from */
    int32_t drawn;
    bool scored;    /* whether logprob is wanted */
    double logprob; /* of all that was drawn */
    bool on;        /* for its owner: whether it goes on */
    struct place place;
    size_t row; /* for its owner */
};
enum status line_new(
    struct line *line, const struct decoder *d, struct id_span before, struct rng rng, size_t room, struct err *err);
void line_free(struct line *line);
void line_add(struct line *line, int32_t token);
/* What its tail lacks of after, to go through the network. */
struct sequence line_rest(const struct line *line, struct cache *cache);
/* Draws a token for each. hand has a sampler a thread. DATA of the first that fails, whichever thread came first. */
enum status lines_draw(struct line *const *lines, size_t n, struct sampler *const *hand, const struct draw_options *o,
    size_t V, struct err *err);

/* ---- ways ---- */

/* What all ways know of a request. The cache is filled. */
struct block_job {
    struct decoder *d;
    const struct generate_options *o;
    const struct masks *masks;
    size_t V;
    struct cache *cache;
    const struct request *request;
    uint64_t key; /* seeds its streams of draws */
};

struct block_way {
    /* start is a tail of <start_of_music> alone, and copied. */
    enum status (*begin)(void **state, const struct block_job *job, const struct tail *start, struct err *err);
    /* The lines that want a draw before take, from the row of logits that each names; NULL where nothing is drawn. */
    size_t (*lines)(struct line **lines, void *state);
    /* Goes on with the logits of the sequences that feed gave; at first those behind start, one row. */
    enum status (*take)(bool *done, void *state, const float *logits, struct err *err);
    /* What shall go through the network next: at most block_width sequences and rows of logits. */
    size_t (*feed)(struct sequence *seqs, void *state);
    /* Once done: the candidates. */
    enum status (*report)(struct generation *out, const void *state, struct err *err);
    void (*end)(void *state);
};
extern const struct block_way samples_way, beams_way, constrain_way;
const struct block_way *block_way(const struct generate_options *o);
/* Rows of logits that a request may want of a pass, at most. */
size_t block_width(const struct generate_options *o);
#define CONSTRAIN_ROWS 64
/* Tokens of a block at most, start and end included. */
size_t block_tokens(const struct generate_options *o);
/* How many requests memory allows at once, given so many rows of logits each. At least 1. */
size_t block_seats(const struct model_config *c, size_t width);

/* The stream of draws of the first sample; those of others follow. */
enum stream { DECIDE, WORDS, SAMPLES };

/* Appends a candidate of n tokens to g, which has room for max. */
enum status generation_add(
    struct generation *g, size_t max, const struct candidate *c, const int32_t *token, struct err *err);

#endif
