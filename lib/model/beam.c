/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beam search over the slots of a block: the beams of a prompt advance together, over its one cache.
 *
 * Blocks that have ended stay in the beam and compete; since a probability only falls as a block grows, no block can
 * overtake one that has dropped out for good reason. It ends when all have ended: after at most slots + 1 steps. With
 * as many beams as there are blocks the result is exact. Order: score, then the parent's place, then the token's id; so
 * it is the same everywhere.
 *
 * Cost of a step: one row of the network a beam, and one comparison a beam and allowed token. Memory: V floats a beam
 * for logits and two tails a beam.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/block.h"
#include "model/decode.h"

struct beam {
    double score;
    struct place place;
    size_t n;
    int32_t token[GRAMMAR_MAX_SLOTS + 1];
    struct tail *tail;
    size_t row; /* of logits, unless it has ended */
};

/* A beam and the token that would go on; -1 for a beam that has ended and stays. */
struct option {
    double score;
    uint32_t parent;
    int32_t token;
};

struct beams {
    struct block_job job;
    size_t N, count;     /* beams there may be, and there are */
    struct beam *beam;   /* (N) best first */
    struct beam *next;   /* (N) the generation after */
    struct option *heap; /* (N) */
};

/* Whether a comes before b. */
static bool
before(const struct option *a, const struct option *b)
{
    if (a->score != b->score)
        return a->score > b->score;
    return a->parent != b->parent ? a->parent < b->parent : a->token < b->token;
}

/* Root of the heap is the last in order: lets x in if it comes before that or there is room. */
static void
heap_offer(struct option *heap, size_t *n, size_t max, struct option x)
{
    size_t i;

    if (*n < max) {
        for (i = (*n)++; i > 0 && before(&heap[(i - 1) / 2], &x); i = (i - 1) / 2)
            heap[i] = heap[(i - 1) / 2];
        heap[i] = x;
        return;
    }
    if (!before(&x, &heap[0]))
        return;
    for (i = 0;;) {
        size_t child = 2 * i + 1;

        if (child >= max)
            break;
        if (child + 1 < max && before(&heap[child], &heap[child + 1]))
            child++;
        if (!before(&x, &heap[child]))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = x;
}

static int
compare_options(const void *a, const void *b)
{
    return before(a, b) ? -1 : before(b, a);
}

/* Offers every way to go on from beam number b, with the logits behind it. False where these are not finite. */
static bool
offer_beam(struct option *heap, size_t *n, const struct beams *s, uint32_t number, const float *logits)
{
    const struct beam *b = &s->beam[number];
    const struct block_job *job = &s->job;
    const uint8_t *allowed = job->o->masked ? job->masks->block[b->place.slot] : job->masks->all;
    double lse = vec_logsumexp(logits, job->V), base = b->score - lse;

    if (!isfinite(lse))
        return false;
    for (size_t i = 0; i < job->V; i++) {
        double score = base + (double)logits[i];

        if (allowed[i] && (*n < s->N || score >= heap[0].score))
            heap_offer(heap, n, s->N, (struct option){score, number, (int32_t)i});
    }
    return true;
}

static void
grow(struct beam *to, const struct beam *parent, const struct option *x, const struct block_job *job)
{
    struct tail *own = to->tail;

    *to = *parent;
    to->tail = own;
    to->score = x->score;
    if (x->token < 0)
        return;
    to->token[to->n++] = x->token;
    place_next(&to->place, job->o->grammar, x->token);
    if (!to->place.ended && !to->place.malformed)
        tail_copy(own, parent->tail, job->d);
}

static bool
is_over(const struct beam *b)
{
    return b->place.ended || b->place.malformed;
}

/* The next generation. */
static enum status
beams_take(bool *done, void *state, const float *logits, struct err *err)
{
    struct beams *s = state;
    struct beam *swap = s->beam;
    size_t n = 0;

    for (size_t b = 0; b < s->count; b++) {
        if (is_over(&s->beam[b]))
            heap_offer(s->heap, &n, s->N, (struct option){s->beam[b].score, (uint32_t)b, -1});
        else if (!offer_beam(s->heap, &n, s, (uint32_t)b, logits + s->beam[b].row * s->job.V))
            return err_set(err, DATA, "the model's logits are not finite");
    }
    if (n == 0)
        return err_set(err, DATA, "no token is allowed here");
    qsort(s->heap, n, sizeof *s->heap, compare_options);
    *done = true;
    for (size_t b = 0; b < n; b++) {
        grow(&s->next[b], &s->beam[s->heap[b].parent], &s->heap[b], &s->job);
        *done = *done && is_over(&s->next[b]);
    }
    s->count = n;
    s->beam = s->next;
    s->next = swap;
    return OK;
}

static size_t
beams_feed(struct sequence *seqs, void *state)
{
    struct beams *s = state;
    size_t n = 0;

    for (size_t k = 0; k < s->count; k++) {
        struct beam *b = &s->beam[k];

        if (is_over(b))
            continue;
        b->row = n;
        seqs[n++] =
            (struct sequence){.cache = s->job.cache, .tail = b->tail, .more = {.ids = &b->token[b->n - 1], .n = 1}};
    }
    return n;
}

static enum status
beams_report(struct generation *out, const void *state, struct err *err)
{
    const struct beams *s = state;
    enum status st = OK;

    for (size_t k = 0; st == OK && k < s->count; k++) {
        const struct beam *b = &s->beam[k];

        st = generation_add(out, s->count,
            &(struct candidate){.logprob = b->score, .n = b->n, .malformed = b->place.malformed}, b->token, err);
    }
    return st;
}

static void
beams_end(void *state)
{
    struct beams *s = state;

    if (s == NULL)
        return;
    for (size_t i = 0; s->beam != NULL && s->next != NULL && i < s->N; i++) {
        tail_free(s->beam[i].tail);
        tail_free(s->next[i].tail);
    }
    free(s->beam);
    free(s->next);
    free(s->heap);
    free(s);
}

static enum status
beams_begin(void **state, const struct block_job *job, const struct tail *start, struct err *err)
{
    struct beams *s = calloc(1, sizeof *s);
    size_t room = job->o->grammar->n_slots + 2;
    enum status st;

    *state = s;
    if (s == NULL)
        return err_memory(err);
    s->job = *job;
    s->N = job->o->beams;
    s->beam = calloc(s->N, sizeof *s->beam);
    s->next = calloc(s->N, sizeof *s->next);
    s->heap = calloc(s->N, sizeof *s->heap);
    if (s->beam == NULL || s->next == NULL || s->heap == NULL)
        return err_memory(err);
    for (size_t i = 0; i < s->N; i++)
        if ((st = tail_new(&s->beam[i].tail, job->d, room, err)) != OK ||
            (st = tail_new(&s->next[i].tail, job->d, room, err)) != OK)
            return st;
    tail_copy(s->beam[0].tail, start, job->d);
    s->count = 1;
    return OK;
}

const struct block_way beams_way = {beams_begin, NULL, beams_take, beams_feed, beams_report, beams_end};
