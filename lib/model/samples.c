/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks by sampling: a line a sample. Each has a stream of its own: the first is the same however many there are. */
#include <stdlib.h>
#include <string.h>

#include "model/block.h"
#include "model/decode.h"

struct samples {
    struct block_job job;
    size_t n; /* lines */
    struct line *line;
};

static void
samples_end(void *state)
{
    struct samples *s = state;

    if (s == NULL)
        return;
    for (size_t k = 0; k < s->n; k++)
        line_free(&s->line[k]);
    free(s->line);
    free(s);
}

static enum status
samples_begin(void **state, const struct block_job *job, const struct tail *start, struct err *err)
{
    const struct grammar *g = job->o->grammar;
    struct samples *s = calloc(1, sizeof *s);
    enum status st = OK;

    *state = s;
    if (s == NULL)
        return err_memory(err);
    s->job = *job;
    if ((s->line = calloc(job->o->samples, sizeof *s->line)) == NULL)
        return err_memory(err);
    for (size_t k = 0; st == OK && k < job->o->samples; k++) {
        struct line *line = &s->line[s->n++];

        st = line_new(line, job->d, job->request->prompt, rng_seed(job->key, SAMPLES + k), g->n_slots + 2, err);
        if (st == OK) {
            line->scored = true;
            line_add(line, g->start);
            tail_copy(line->tail, start, job->d);
        }
    }
    return st;
}

static size_t
samples_lines(struct line **lines, void *state)
{
    struct samples *s = state;
    size_t n = 0;

    for (size_t k = 0; k < s->n; k++) {
        struct line *line = &s->line[k];

        line->allowed = s->job.o->masked ? s->job.masks->block[line->place.slot] : NULL;
        if (line->on)
            lines[n++] = line;
    }
    return n;
}

/* The tokens have been drawn. */
static enum status
samples_take(bool *done, void *state, const float *logits, struct err *err)
{
    struct samples *s = state;

    (void)logits;
    (void)err;
    *done = true;
    for (size_t k = 0; k < s->n; k++) {
        struct line *line = &s->line[k];

        if (!line->on)
            continue;
        line_add(line, line->drawn);
        place_next(&line->place, s->job.o->grammar, line->drawn);
        line->on = !line->place.ended && !line->place.malformed;
        *done = *done && !line->on;
    }
    return OK;
}

static size_t
samples_feed(struct sequence *seqs, void *state)
{
    struct samples *s = state;
    size_t n = 0;

    for (size_t k = 0; k < s->n; k++)
        if (s->line[k].on) {
            s->line[k].row = n;
            seqs[n++] = line_rest(&s->line[k], s->job.cache);
        }
    return n;
}

/* A merge would be as good; samples are few. Stable: the one drawn first stays first. */
static void
sort_candidates(struct candidate *c, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && c[j - 1].logprob < c[j].logprob; j--) {
            struct candidate x = c[j];

            c[j] = c[j - 1];
            c[j - 1] = x;
        }
}

static enum status
samples_report(struct generation *out, const void *state, struct err *err)
{
    const struct samples *s = state;
    enum status st = OK;

    for (size_t k = 0; st == OK && k < s->n; k++) {
        const struct line *line = &s->line[k];

        st = generation_add(out, s->n,
            &(struct candidate){.logprob = line->logprob, .n = line->after.n - 1, .malformed = line->place.malformed},
            line->token + 1, err);
    }
    sort_candidates(out->candidate, out->n_candidates);
    return st;
}

const struct block_way samples_way = {
    samples_begin, samples_lines, samples_take, samples_feed, samples_report, samples_end};
