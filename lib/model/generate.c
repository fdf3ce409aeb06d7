/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From prompts to recommendations and words. Each request has a seat and goes its own way:
 *
 *   1. its prompt into a cache, and start of the block behind it; where the model decides, its first token before that
 *   2. the block, in one of the ways of block.h
 *   3. words behind the first candidate, drawn token by token
 *
 * A pass of the network takes along what all seats want next, prompts and tokens of blocks and words side by side, so
 * that a seat that becomes free is taken at once and passes stay full (Yu et al. 2022, iteration-level scheduling).
 *
 * Draws of a request come from (seed, its id): one stream for the decision, one for the words, one a sample. So the
 * first sample is the same however many are asked for, and the words depend on the first candidate alone.
 *
 * Cost and memory: those of decode.c and of the block's way; V floats a row of logits in flight.
 */
#include <stdlib.h>
#include <string.h>

#include "model/block.h"
#include "model/decode.h"

#define HELD_MOST \
    ((size_t)256 << 20) /* floats of keys and values, beyond which no request is taken in besides others */

/* What the next pass does for a seat. */
enum phase { FREE, PROMPT, START, BLOCK, SPEAK };

struct seat {
    enum phase phase;
    const struct request *request;
    struct generation *out;
    struct block_job job;
    struct line main; /* the words */
    void *state;      /* of the block's way */
    size_t row;       /* of logits: its first in this pass */
    size_t held;      /* floats of keys and values, about */
    bool block;       /* whether the way shall be taken on with them */
    bool found;       /* whether the way is done */
    double since;
    struct err err;
};

struct generator {
    struct decoder *d;
    const struct generate_options *o;
    const struct block_way *way;
    size_t n, V, width, held; /* held: by all seats */
    struct masks masks;
    struct sampler **hand; /* (threads) */
    int threads;
    struct seat *seat;      /* (n) */
    float *logits;          /* (n * width, V) */
    struct sequence *seq;   /* (n * width) */
    struct cache **cache;   /* (n) prompts of a pass */
    struct id_span *prompt; /* (n) */
    struct line **line;     /* (n * width) to draw for */
};

/* ---- the generator ---- */

static void
leave(struct generator *g, struct seat *s)
{
    if (s->phase == FREE)
        return;
    if (g->o->grammar != NULL)
        g->way->end(s->state);
    line_free(&s->main);
    decoder_return(g->d, s->job.cache);
    g->held -= s->held;
    *s = (struct seat){.phase = FREE};
}

void
generator_free(struct generator *g)
{
    if (g == NULL)
        return;
    for (size_t i = 0; g->seat != NULL && i < g->n; i++)
        leave(g, &g->seat[i]);
    for (int i = 0; g->hand != NULL && i < g->threads; i++)
        sampler_free(g->hand[i]);
    if (g->o->grammar != NULL)
        masks_fini(&g->masks);
    free(g->hand);
    free(g->seat);
    free(g->logits);
    free(g->seq);
    free(g->cache);
    free(g->prompt);
    free(g->line);
    free(g);
}

static enum status
generator_init(struct generator *g, struct err *err)
{
    size_t all = g->n * g->width;
    enum status st;

    g->seat = calloc(g->n, sizeof *g->seat);
    g->hand = calloc((size_t)g->threads, sizeof *g->hand);
    g->seq = calloc(all, sizeof *g->seq);
    g->cache = calloc(g->n, sizeof *g->cache);
    g->prompt = calloc(g->n, sizeof *g->prompt);
    g->line = calloc(all, sizeof *g->line);
    g->logits = calloc(all, g->V * sizeof(float));
    if (!g->seat || !g->hand || !g->seq || !g->cache || !g->prompt || !g->line || !g->logits)
        return err_memory(err);
    if (g->o->grammar != NULL && (st = masks_new(&g->masks, g->o->grammar, g->V, err)) != OK)
        return st;
    for (int i = 0; i < g->threads; i++)
        if ((st = sampler_new(&g->hand[i], g->V, err)) != OK)
            return st;
    return OK;
}

enum status
generator_new(struct generator **out, struct decoder *d, const struct generate_options *o, struct err *err)
{
    const struct model_config *c = &d->config;
    struct generator *g = calloc(1, sizeof *g);
    enum status st;

    *out = NULL;
    if (g == NULL)
        return err_memory(err);
    *g = (struct generator){.d = d, .o = o, .way = block_way(o), .V = c->V, .threads = num_threads()};
    g->width = block_width(o) > 2 ? block_width(o) : 2; /* a prompt and start behind it */
    g->n = block_seats(c, g->width);
    if ((st = generator_init(g, err)) == OK)
        *out = g;
    else
        generator_free(g);
    return st;
}

size_t
generator_places(const struct generator *g)
{
    size_t n = 0;

    for (size_t i = 0; i < g->n && g->held < HELD_MOST; i++)
        n += g->seat[i].phase == FREE;
    return n;
}

enum status
generator_add(struct generator *g, const struct request *request, struct generation *out, struct err *err)
{
    struct rng rng = rng_seed_id(g->o->seed, request->id.p, request->id.n);
    const struct model_config *c = &g->d->config;
    struct seat *s = g->seat;
    size_t room = block_tokens(g->o) + g->o->max_tokens + 1;
    enum status st;

    *out = (struct generation){0};
    while (s->phase != FREE)
        s++;
    *s = (struct seat){.phase = PROMPT, .request = request, .out = out, .since = cli_seconds()};
    s->held = (request->prompt.n + room + g->width * block_tokens(g->o)) * 2 * c->L * c->G * c->E;
    g->held += s->held;
    s->job = (struct block_job){
        .d = g->d, .o = g->o, .masks = &g->masks, .V = g->V, .request = request, .key = rng_u64(&rng)};
    if ((st = decoder_lend(&s->job.cache, g->d, request->prompt.n, err)) != OK ||
        (st = line_new(
             &s->main, g->d, request->prompt, rng_seed(s->job.key, g->o->decide ? DECIDE : WORDS), room, err)) != OK) {
        leave(g, s);
        return st;
    }
    if (g->o->grammar != NULL && !g->o->decide)
        line_add(&s->main, g->o->grammar->start);
    return OK;
}

/* ---- a pass ---- */

/* What all seats want to go through the network. Rows of logits: those of prompts first. */
static void
collect(struct pass *pass, struct generator *g)
{
    size_t rows;

    *pass = (struct pass){.caches = g->cache, .prompts = g->prompt, .seqs = g->seq};
    for (size_t i = 0; i < g->n; i++) {
        struct seat *s = &g->seat[i];

        if (s->phase != PROMPT)
            continue;
        s->row = pass->n_prompts;
        g->cache[pass->n_prompts] = s->job.cache;
        g->prompt[pass->n_prompts++] = s->request->prompt;
    }
    rows = pass->n_prompts;
    for (size_t i = 0; i < g->n; i++) {
        struct seat *s = &g->seat[i];
        struct sequence *seq = g->seq + pass->n_seqs;
        size_t n = 1;

        if (s->phase == FREE || (s->phase == PROMPT && s->main.after.n == 0))
            continue;
        s->row = rows;
        if (s->phase == BLOCK)
            n = g->way->feed(seq, s->state);
        else
            *seq = line_rest(&s->main, s->job.cache);
        for (size_t k = 0; k < n; k++)
            rows += seq[k].each ? seq[k].more.n : 1;
        pass->n_seqs += n;
    }
}

/* Draws what is drawn from this pass: words, decisions, samples. */
static enum status
draw(struct generator *g, struct err *err)
{
    size_t n = 0;

    for (size_t i = 0; i < g->n; i++) {
        struct seat *s = &g->seat[i];
        const float *logits = g->logits + s->row * g->V;
        size_t k = 0;

        if (s->phase == FREE)
            continue;
        if (s->block) {
            if (g->way->lines != NULL)
                k = g->way->lines(g->line + n, s->state);
            for (size_t j = n; j < n + k; j++)
                g->line[j]->logits = logits + g->line[j]->row * g->V;
            n += k;
            continue;
        }
        s->main.allowed = g->o->grammar == NULL || !g->o->masked ? NULL
                          : s->phase == PROMPT                   ? g->masks.decide
                                                                 : g->masks.words;
        s->main.logits = logits;
        g->line[n++] = &s->main;
    }
    return lines_draw(g->line, n, g->hand, &g->o->draw, g->V, err);
}

/* The blocks, each on its own; a failure is that of the first seat. */
static enum status
take(struct generator *g, struct err *err)
{
#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads())
    for (size_t i = 0; i < g->n; i++) {
        struct seat *s = &g->seat[i];

        s->err.status = OK;
        if (s->block)
            (void)g->way->take(&s->found, s->state, g->logits + s->row * g->V, &s->err);
    }
    for (size_t i = 0; i < g->n; i++)
        if (g->seat[i].err.status != OK) {
            if (err != NULL)
                *err = g->seat[i].err;
            return g->seat[i].err.status;
        }
    return OK;
}

/* ---- from phase to phase ---- */

static bool
ends(const struct model_config *c, int32_t token)
{
    for (size_t i = 0; i < c->n_eos; i++)
        if (c->eos[i] == token)
            return true;
    return false;
}

static void
finish(struct generator *g, struct seat *s)
{
    s->out->done = true;
    leave(g, s);
}

/* What was drawn becomes a word, or their end. */
static enum status
add_word(struct generator *g, struct seat *s, struct err *err)
{
    const struct model_config *c = &g->d->config;
    struct generation *out = s->out;

    s->phase = SPEAK;
    if (g->o->max_tokens == 0 || ends(c, s->main.drawn)) {
        finish(g, s);
        return OK;
    }
    if (out->word == NULL && (out->word = calloc(g->o->max_tokens, sizeof *out->word)) == NULL)
        return err_memory(err);
    out->word[out->n_words++] = s->main.drawn;
    line_add(&s->main, s->main.drawn);
    if (out->n_words == g->o->max_tokens || s->request->prompt.n + s->main.tail->n >= c->max_positions)
        finish(g, s);
    return OK;
}

/* The candidates are known: words go on behind the first. */
static enum status
end_block(struct generator *g, struct seat *s, struct err *err)
{
    const struct candidate *first;
    enum status st;

    if ((st = g->way->report(s->out, s->state, err)) != OK)
        return st;
    s->out->seconds = cli_seconds() - s->since;
    g->way->end(s->state);
    s->state = NULL;
    if (g->o->max_tokens == 0 || s->out->n_candidates == 0) {
        finish(g, s);
        return OK;
    }
    first = s->out->candidate;
    for (size_t k = 0; k < first->n; k++)
        line_add(&s->main, first->token[k]);
    s->main.rng = rng_seed(s->job.key, WORDS);
    s->phase = SPEAK;
    if (ends(&g->d->config, first->token[first->n - 1]))
        finish(g, s);
    return OK;
}

/* Behind a pass: a seat whose start has been through it begins its block. */
static enum status
begin_blocks(struct generator *g, struct err *err)
{
    enum status st;

    for (size_t i = 0; i < g->n; i++) {
        struct seat *s = &g->seat[i];

        s->block = s->phase == BLOCK;
        if (s->phase != START && (s->phase != PROMPT || s->main.after.n == 0))
            continue;
        if ((st = g->way->begin(&s->state, &s->job, s->main.tail, err)) != OK)
            return st;
        s->phase = BLOCK;
        s->block = true;
    }
    return OK;
}

static enum status
next_phase(struct generator *g, struct seat *s, struct err *err)
{
    if (s->phase == FREE)
        return OK;
    if (s->block)
        return s->found ? end_block(g, s, err) : OK;
    if (s->phase == PROMPT && g->o->decide) {
        if (s->main.drawn == g->o->grammar->start) {
            line_add(&s->main, g->o->grammar->start);
            s->phase = START;
            return OK;
        }
        s->main.rng = rng_seed(s->job.key, WORDS);
    }
    return add_word(g, s, err);
}

enum status
generator_pass(struct generator *g, struct err *err)
{
    struct pass pass;
    enum status st;

    collect(&pass, g);
    if (pass.n_prompts + pass.n_seqs == 0)
        return OK;
    if ((st = decoder_pass(g->logits, g->d, &pass, err)) != OK || (st = begin_blocks(g, err)) != OK ||
        (st = draw(g, err)) != OK || (st = take(g, err)) != OK)
        return st;
    for (size_t i = 0; i < g->n; i++)
        if ((st = next_phase(g, &g->seat[i], err)) != OK)
            return st;
    return OK;
}
