/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beam search over the slots of a block: the beams of all prompts of a batch advance together, those of a prompt over
 * its one cache.
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

#include "model/decode.h"
#include "model/grammar.h"

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

struct search {
    struct decoder *d;
    const struct generate_options *o;
    const struct masks *masks;
    size_t V, n;         /* prompts */
    struct beam *beams;  /* (n, beams), best first */
    struct beam *next;   /* the generation after */
    size_t *count;       /* (n) beams there are */
    struct option *heap; /* (n, beams) */
    float *logits;       /* (n * beams, V) */
    struct sequence *seq;
    const struct prompt *prompts;
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

/* Offers every way to go on from beam number b. False where the logits are not finite. */
static bool
offer_beam(struct option *heap, size_t *n, const struct search *s, const struct beam *b, uint32_t number)
{
    const float *logits = s->logits + b->row * s->V;
    const uint8_t *allowed = s->o->masked ? s->masks->block[b->place.slot] : s->masks->all;
    double lse = vec_logsumexp(logits, s->V), base = b->score - lse;

    if (!isfinite(lse))
        return false;
    for (size_t i = 0; i < s->V; i++) {
        double score = base + (double)logits[i];

        if (allowed[i] && (*n < s->o->beams || score >= heap[0].score))
            heap_offer(heap, n, s->o->beams, (struct option){score, number, (int32_t)i});
    }
    return true;
}

static void
grow(struct beam *to, const struct beam *parent, const struct option *x, const struct search *s)
{
    struct tail *own = to->tail;

    *to = *parent;
    to->tail = own;
    to->score = x->score;
    if (x->token < 0)
        return;
    to->token[to->n++] = x->token;
    place_next(&to->place, s->o->grammar, x->token);
    if (!to->place.ended && !to->place.malformed)
        tail_copy(own, parent->tail, s->d);
}

/* The next generation of prompt i's beams. */
static bool
advance(struct search *s, size_t i)
{
    size_t N = s->o->beams, n = 0;
    struct option *heap = s->heap + i * N;
    struct beam *old = s->beams + i * N, *new = s->next + i *N;

    for (size_t b = 0; b < s->count[i]; b++) {
        if (old[b].place.ended || old[b].place.malformed)
            heap_offer(heap, &n, N, (struct option){old[b].score, (uint32_t)b, -1});
        else if (!offer_beam(heap, &n, s, &old[b], (uint32_t)b))
            return false;
    }
    qsort(heap, n, sizeof *heap, compare_options);
    for (size_t b = 0; b < n; b++)
        grow(&new[b], &old[heap[b].parent], &heap[b], s);
    s->count[i] = n;
    return true;
}

/* Computes the logits behind every beam that goes on. more is false if there is none. */
static enum status
extend(struct search *s, bool *more, struct err *err)
{
    size_t rows = 0;

    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < s->count[i]; k++) {
            struct beam *b = &s->beams[i * s->o->beams + k];

            if (b->place.ended || b->place.malformed)
                continue;
            b->row = rows;
            s->seq[rows++] = (struct sequence){
                .cache = s->prompts[i].cache, .tail = b->tail, .more = {.ids = &b->token[b->n - 1], .n = 1}};
        }
    *more = rows > 0;
    return rows == 0 ? OK : decoder_extend(s->logits, s->d, s->seq, rows, err);
}

static enum status
step(struct search *s, struct err *err)
{
    struct beam *swap = s->beams;
    bool finite = true;

#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads()) reduction(&& : finite)
    for (size_t i = 0; i < s->n; i++)
        finite = advance(s, i) && finite;
    s->beams = s->next;
    s->next = swap;
    return finite ? OK : err_set(err, DATA, "the model's logits are not finite");
}

static enum status
report(const struct search *s, struct err *err)
{
    for (size_t i = 0; i < s->n; i++) {
        struct generation *g = s->prompts[i].out;

        if (s->count[i] == 0)
            return err_set(err, DATA, "no token is allowed here");
        if ((g->candidate = calloc(s->count[i], sizeof *g->candidate)) == NULL)
            return err_memory(err);
        for (size_t k = 0; k < s->count[i]; k++) {
            const struct beam *b = &s->beams[i * s->o->beams + k];
            struct candidate *c = &g->candidate[g->n_candidates++];

            *c = (struct candidate){.logprob = b->score, .n = b->n, .malformed = b->place.malformed};
            if ((c->token = malloc(sizeof b->token)) == NULL)
                return err_memory(err);
            memcpy(c->token, b->token, b->n * sizeof *b->token);
        }
    }
    return OK;
}

static void
search_fini(struct search *s)
{
    for (size_t i = 0; s->beams != NULL && s->next != NULL && i < s->n * s->o->beams; i++) {
        tail_free(s->beams[i].tail);
        tail_free(s->next[i].tail);
    }
    free(s->beams);
    free(s->next);
    free(s->count);
    free(s->heap);
    free(s->logits);
    free(s->seq);
}

static enum status
search_init(struct search *s, struct tail *const *start, const float *logits, struct err *err)
{
    size_t N = s->o->beams, all = s->n * N, room = s->o->grammar->n_slots + 2;
    enum status st;

    s->beams = calloc(all, sizeof *s->beams);
    s->next = calloc(all, sizeof *s->next);
    s->count = calloc(s->n, sizeof *s->count);
    s->heap = calloc(all, sizeof *s->heap);
    s->logits = calloc(all, s->V * sizeof(float));
    s->seq = calloc(all, sizeof *s->seq);
    if (!s->beams || !s->next || !s->count || !s->heap || !s->logits || !s->seq)
        return err_memory(err);
    for (size_t i = 0; i < all; i++)
        if ((st = tail_new(&s->beams[i].tail, s->d, room, err)) != OK ||
            (st = tail_new(&s->next[i].tail, s->d, room, err)) != OK)
            return st;
    for (size_t i = 0; i < s->n; i++) {
        tail_copy(s->beams[i * N].tail, start[i], s->d);
        s->beams[i * N].row = i;
        s->count[i] = 1;
    }
    memcpy(s->logits, logits, s->n * s->V * sizeof(float));
    return OK;
}

enum status
beam_search(struct decoder *d, const struct prompt *prompts, struct tail *const *start, size_t n, const float *logits,
    const struct masks *masks, const struct generate_options *o, struct err *err)
{
    struct search s = {.d = d, .o = o, .masks = masks, .V = d->m->config.V, .n = n, .prompts = prompts};
    bool more = true;
    enum status st;

    if ((st = search_init(&s, start, logits, err)) != OK)
        goto out;
    while (more)
        if ((st = step(&s, err)) != OK || (st = extend(&s, &more, err)) != OK)
            goto out;
    st = report(&s, err);
out:
    search_fini(&s);
    return st;
}
