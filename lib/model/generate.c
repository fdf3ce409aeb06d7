/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From prompts to recommendations and words: the prompts of a batch go through each phase together.
 *
 *   1. the prompts into caches; where the model decides, its first token
 *   2. start of the block, then the block by samples or by beams (beam.c)
 *   3. words behind the first candidate, drawn token by token
 *
 * Draws of a request come from (seed, its id): one stream for the decision, one for the words, one a sample. So the
 * first sample is the same however many are asked for, and the words depend on the first candidate alone.
 *
 * Cost and memory: those of decode.c and beam.c; V floats a sequence in flight.
 */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "model/decode.h"
#include "model/grammar.h"

enum stream { DECIDE, WORDS, SAMPLES };

/* A sequence that tokens are drawn for. */
struct line {
    size_t request;
    struct tail *tail;
    struct rng rng;
    struct id_span after; /* what followed the prompt so far, for the penalty */
    int32_t *token;       /* (room) its memory */
    size_t room;
    int32_t drawn;
    bool on;
    double logprob;
    struct place place;
    const uint8_t *allowed;
    size_t row; /* of logits */
};

struct run {
    struct decoder *d;
    const struct generate_options *o;
    const struct request *requests;
    struct generation *out;
    size_t n, V;
    struct masks masks;
    struct cache **caches;
    uint64_t *key;         /* (n) seeds of the streams */
    struct sampler **hand; /* (threads) */
    float *logits;         /* (n * width, V) */
    struct line *main;     /* (n) the words */
    struct sequence *seq;  /* (n * width) */
};

static size_t
width_of(const struct generate_options *o)
{
    return o->grammar == NULL || o->beams > 0 || o->samples == 0 ? 1 : o->samples;
}

/* ---- limits ---- */

static size_t
block_tokens(const struct generate_options *o)
{
    return o->grammar == NULL ? 0 : o->grammar->n_slots + 2;
}

size_t
generate_room(const struct model *m, const struct generate_options *o)
{
    size_t block = block_tokens(o);

    return m->config.max_positions > block ? m->config.max_positions - block : 0;
}

#define BATCH_ROWS ((size_t)2048)       /* sequences in flight */
#define BATCH_LOGITS ((size_t)16 << 20) /* floats */
#define BATCH_CACHE ((size_t)256 << 20) /* floats, at POSITIONS a prompt */
#define BATCH_MOST ((size_t)64)
#define POSITIONS 1024

size_t
generate_batch(const struct model *m, const struct generate_options *o)
{
    const struct model_config *c = &m->config;
    size_t width = o->beams > width_of(o) ? o->beams : width_of(o), n = BATCH_MOST, by;
    size_t positions = c->max_positions < POSITIONS ? c->max_positions : POSITIONS;

    n = (by = BATCH_ROWS / width) < n ? by : n;
    n = (by = BATCH_LOGITS / width / c->V) < n ? by : n;
    n = (by = BATCH_CACHE / (2 * c->L * c->G * c->E) / positions) < n ? by : n;
    return n > 0 ? n : 1;
}

void
generation_fini(struct generation *g)
{
    for (size_t i = 0; i < g->n_candidates; i++)
        free(g->candidate[i].token);
    free(g->candidate);
    free(g->word);
    *g = (struct generation){0};
}

/* ---- lines ---- */

static enum status
line_new(struct line *line, const struct run *r, size_t request, uint64_t stream, size_t room, struct err *err)
{
    *line = (struct line){.request = request, .on = true, .room = room, .rng = rng_seed(r->key[request], stream)};
    if ((line->token = calloc(room, sizeof *line->token)) == NULL)
        return err_memory(err);
    line->after.ids = line->token;
    return tail_new(&line->tail, r->d, room, err);
}

static void
line_free(struct line *line)
{
    free(line->token);
    tail_free(line->tail);
}

static void
line_add(struct line *line, int32_t token)
{
    line->token[line->after.n++] = token;
}

/* Draws a token for each line that is on, from its row of logits. */
static enum status
draw(struct run *r, struct line *lines, size_t n, struct err *err)
{
    struct err first = {OK, ""};
    size_t at = SIZE_MAX;

#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads())
    for (size_t i = 0; i < n; i++) {
        struct line *line = &lines[i];
        const float *logits = r->logits + line->row * r->V;
        struct err e;

        if (!line->on)
            continue;
        if (sampler_draw(&line->drawn, r->hand[omp_get_thread_num()], logits, line->allowed,
                r->requests[line->request].prompt, line->after, &r->o->draw, &line->rng, &e) == OK) {
            if (r->o->grammar != NULL)
                line->logprob += (double)logits[line->drawn] - vec_logsumexp(logits, r->V);
            continue;
        }
        /* The first in order is told, whichever thread came first. */
#pragma omp critical
        if (i < at) {
            at = i;
            first = e;
        }
    }
    return at == SIZE_MAX ? OK : err_set(err, first.status, "%s", first.text);
}

/* Each line that is on goes through the network: its last token, or the whole of what follows the prompt. */
static enum status
extend(struct run *r, struct line *lines, size_t n, bool whole, struct err *err)
{
    size_t rows = 0;

    for (size_t i = 0; i < n; i++) {
        struct line *line = &lines[i];
        size_t k = whole ? line->after.n : 1;

        if (!line->on)
            continue;
        line->row = rows;
        r->seq[rows++] = (struct sequence){.cache = r->caches[line->request],
            .tail = line->tail,
            .more = {.ids = line->token + line->after.n - k, .n = k}};
    }
    return decoder_extend(r->logits, r->d, r->seq, rows, err);
}

/* ---- the block ---- */

static int
compare_candidates(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    if (x->logprob != y->logprob)
        return x->logprob > y->logprob ? -1 : 1;
    return 0;
}

/* A merge would be as good; samples are few. Stable: the one drawn first stays first. */
static void
sort_candidates(struct candidate *c, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && compare_candidates(&c[j - 1], &c[j]) > 0; j--) {
            struct candidate x = c[j];

            c[j] = c[j - 1];
            c[j - 1] = x;
        }
}

static enum status
report_samples(struct run *r, const struct line *lines, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct line *line = &lines[i];
        struct generation *g = &r->out[line->request];
        size_t k = line->after.n - 1;
        struct candidate *c;

        if (g->candidate == NULL && (g->candidate = calloc(r->o->samples, sizeof *g->candidate)) == NULL)
            return err_memory(err);
        c = &g->candidate[g->n_candidates++];
        *c = (struct candidate){.logprob = line->logprob, .n = k, .malformed = line->place.malformed};
        if ((c->token = calloc(k + 1, sizeof *c->token)) == NULL)
            return err_memory(err);
        memcpy(c->token, line->token + 1, k * sizeof *c->token);
    }
    for (size_t i = 0; i < r->n; i++)
        sort_candidates(r->out[i].candidate, r->out[i].n_candidates);
    return OK;
}

static enum status
draw_blocks(struct run *r, struct line *lines, size_t n, struct err *err)
{
    enum status st;

    for (bool more = n > 0; more;) {
        more = false;
        for (size_t i = 0; i < n; i++)
            lines[i].allowed = r->o->masked ? r->masks.block[lines[i].place.slot] : NULL;
        if ((st = draw(r, lines, n, err)) != OK)
            return st;
        for (size_t i = 0; i < n; i++) {
            struct line *line = &lines[i];

            if (!line->on)
                continue;
            line_add(line, line->drawn);
            place_next(&line->place, r->o->grammar, line->drawn);
            line->on = !line->place.ended && !line->place.malformed;
            more = more || line->on;
        }
        if (more && (st = extend(r, lines, n, false, err)) != OK)
            return st;
    }
    return OK;
}

/* Blocks by sampling, for the requests whose main line is on; row i of logits is behind the start of main line i. */
static enum status
samples(struct run *r, struct err *err)
{
    size_t n = 0, N = r->o->samples;
    struct line *lines = calloc(r->n * N, sizeof *lines);
    enum status st = lines == NULL ? err_memory(err) : OK;

    for (size_t i = 0; st == OK && i < r->n; i++)
        for (size_t k = 0; st == OK && r->main[i].on && k < N; k++) {
            struct line *line = &lines[n++];

            if ((st = line_new(line, r, i, SAMPLES + k, block_tokens(r->o), err)) != OK)
                break;
            line_add(line, r->o->grammar->start);
            line->row = r->main[i].row;
            tail_copy(line->tail, r->main[i].tail, r->d);
        }
    if (st == OK && (st = draw_blocks(r, lines, n, err)) == OK)
        st = report_samples(r, lines, n, err);
    for (size_t i = 0; i < n; i++)
        line_free(&lines[i]);
    free(lines);
    return st;
}

static enum status
beams(struct run *r, struct err *err)
{
    struct prompt *prompts = calloc(r->n, sizeof *prompts);
    struct tail **start = calloc(r->n, sizeof *start);
    enum status st = OK;
    size_t n = 0;

    if (prompts == NULL || start == NULL)
        st = err_memory(err);
    for (size_t i = 0; st == OK && i < r->n; i++)
        if (r->main[i].on) {
            prompts[n] = (struct prompt){.cache = r->caches[i], .out = &r->out[i]};
            start[n++] = r->main[i].tail;
        }
    if (st == OK && n > 0)
        st = beam_search(r->d, prompts, start, n, r->logits, &r->masks, r->o, err);
    free(prompts);
    free(start);
    return st;
}

/* Phase 1's decision, and the start of the block: afterwards the lines with music are on. */
static enum status
begin_block(struct run *r, struct err *err)
{
    enum status st;

    if (r->o->decide) {
        for (size_t i = 0; i < r->n; i++) {
            r->main[i].allowed = r->o->masked ? r->masks.decide : NULL;
            r->main[i].rng = rng_seed(r->key[i], DECIDE);
        }
        if ((st = draw(r, r->main, r->n, err)) != OK)
            return st;
    }
    for (size_t i = 0; i < r->n; i++) {
        struct line *line = &r->main[i];

        line->on = !r->o->decide || line->drawn == r->o->grammar->start;
        if (line->on)
            line_add(line, r->o->grammar->start);
    }
    return extend(r, r->main, r->n, false, err);
}

/* ---- words ---- */

static bool
ends(const struct model_config *c, int32_t token)
{
    for (size_t i = 0; i < c->n_eos; i++)
        if (c->eos[i] == token)
            return true;
    return false;
}

/* What was drawn becomes a word of request i, or its end. */
static enum status
add_word(struct run *r, size_t i, struct err *err)
{
    const struct model_config *c = &r->d->m->config;
    struct generation *g = &r->out[i];
    struct line *line = &r->main[i];

    if (ends(c, line->drawn)) {
        line->on = false;
        return OK;
    }
    if (g->word == NULL && (g->word = calloc(r->o->max_tokens, sizeof *g->word)) == NULL)
        return err_memory(err);
    g->word[g->n_words++] = line->drawn;
    line_add(line, line->drawn);
    line->on = g->n_words < r->o->max_tokens && r->requests[i].prompt.n + line->tail->n < c->max_positions;
    return OK;
}

/* Puts the main lines behind the first candidate, or behind their first word where the model decided for words. */
static enum status
begin_words(struct run *r, struct err *err)
{
    enum status st;

    for (size_t i = 0; i < r->n; i++) {
        struct line *line = &r->main[i];
        const struct generation *g = &r->out[i];

        line->rng = rng_seed(r->key[i], WORDS);
        line->tail->n = 0;
        line->on = true;
        if (g->n_candidates == 0) {
            if ((st = add_word(r, i, err)) != OK)
                return st;
            continue;
        }
        for (size_t k = 0; k < g->candidate[0].n; k++)
            line_add(line, g->candidate[0].token[k]);
        line->on = !ends(&r->d->m->config, line->token[line->after.n - 1]);
    }
    return extend(r, r->main, r->n, true, err);
}

static enum status
words(struct run *r, struct err *err)
{
    enum status st;
    bool more;

    for (;;) {
        for (size_t i = 0; i < r->n; i++)
            r->main[i].allowed = r->o->grammar != NULL && r->o->masked ? r->masks.words : NULL;
        if ((st = draw(r, r->main, r->n, err)) != OK)
            return st;
        more = false;
        for (size_t i = 0; i < r->n; i++)
            if (r->main[i].on) {
                if ((st = add_word(r, i, err)) != OK)
                    return st;
                more = more || r->main[i].on;
            }
        if (!more)
            return OK;
        if ((st = extend(r, r->main, r->n, false, err)) != OK)
            return st;
    }
}

/* ---- all of it ---- */

static void
run_fini(struct run *r)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->caches != NULL)
            cache_free(r->caches[i]);
        if (r->main != NULL)
            line_free(&r->main[i]);
    }
    for (int i = 0; r->hand != NULL && i < num_threads(); i++)
        sampler_free(r->hand[i]);
    if (r->o->grammar != NULL)
        masks_fini(&r->masks);
    free(r->caches);
    free(r->key);
    free(r->hand);
    free(r->logits);
    free(r->main);
    free(r->seq);
}

static enum status
run_init(struct run *r, struct err *err)
{
    size_t all = r->n * width_of(r->o);
    enum status st;

    r->caches = calloc(r->n, sizeof *r->caches);
    r->key = calloc(r->n, sizeof *r->key);
    r->hand = calloc((size_t)num_threads(), sizeof *r->hand);
    r->main = calloc(r->n, sizeof *r->main);
    r->seq = calloc(all, sizeof *r->seq);
    r->logits = calloc(all, r->V * sizeof(float));
    if (!r->caches || !r->key || !r->hand || !r->main || !r->seq || !r->logits)
        return err_memory(err);
    if (r->o->grammar != NULL && (st = masks_new(&r->masks, r->o->grammar, r->V, err)) != OK)
        return st;
    for (int i = 0; i < num_threads(); i++)
        if ((st = sampler_new(&r->hand[i], r->V, err)) != OK)
            return st;
    for (size_t i = 0; i < r->n; i++) {
        const struct request *q = &r->requests[i];
        struct rng rng = rng_seed_id(r->o->seed, q->id.p, q->id.n);

        r->key[i] = rng_u64(&rng);
        if ((st = cache_new(&r->caches[i], r->d, q->prompt.n, err)) != OK ||
            (st = line_new(&r->main[i], r, i, WORDS, block_tokens(r->o) + r->o->max_tokens + 1, err)) != OK)
            return st;
        r->main[i].row = i;
    }
    return OK;
}

static enum status
prompts_in(struct run *r, struct err *err)
{
    struct id_span *prompts = calloc(r->n, sizeof *prompts);
    enum status st;

    if (prompts == NULL)
        return err_memory(err);
    for (size_t i = 0; i < r->n; i++)
        prompts[i] = r->requests[i].prompt;
    st = decoder_prompts(r->logits, r->d, r->caches, prompts, r->n, err);
    free(prompts);
    return st;
}

enum status
generate(struct generation *out, struct decoder *d, const struct request *requests, size_t n,
    const struct generate_options *o, struct err *err)
{
    struct run r = {.d = d, .o = o, .requests = requests, .out = out, .n = n, .V = d->m->config.V};
    enum status st;

    for (size_t i = 0; i < n; i++)
        out[i] = (struct generation){0};
    if (n == 0)
        return OK;
    if ((st = run_init(&r, err)) != OK || (st = prompts_in(&r, err)) != OK)
        goto out;
    if (o->grammar != NULL)
        if ((st = begin_block(&r, err)) != OK || (st = o->beams > 0 ? beams(&r, err) : samples(&r, err)) != OK)
            goto out;
    if (o->max_tokens > 0)
        if (o->grammar == NULL || (st = begin_words(&r, err)) == OK)
            st = words(&r, err);
out:
    run_fini(&r);
    if (st != OK)
        for (size_t i = 0; i < n; i++)
            generation_fini(&out[i]);
    return st;
}
