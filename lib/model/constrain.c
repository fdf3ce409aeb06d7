/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact best tracks of a catalogue by the model's own probability: best-first search (Hart, Nilsson, Raphael 1968)
 * over its prefix tree (trie.h).
 *
 * P(tuple) is the product of the probabilities of its tokens and of the end; P(track) = P(tuple) / n for the n tracks
 * of the tuple. An open prefix v has tokens that were scored and others below that were not. No track below it can have
 * more than its bound, b(v) = P(v) / the smallest n below; nor can the j-th best of them have more than P(v) / j, since
 * all together have P(v) at most.
 *
 * Which prefixes must be expanded? Let F be the probability of the N-th best track, which nobody knows yet. What must
 * be is b(v) >= F, with equality since tracks that tie are told apart by a hash elsewhere. Now take the prefixes in
 * the order of their bounds, and count for v the tracks that can have more than b(v): those of tuples that are known
 * to, and for each open w before v at most min(tracks below w, P(w) / b(v)). If these are fewer than N, the N-th best
 * has at most b(v): F <= b(v), and v must be expanded whatever comes of the others. So all v up to the first for which
 * they are N or more go through the network together, and none of them in vain. Where there is no such v left, N
 * tracks are known that no open prefix can beat or equal: the end.
 *
 * What is expanded is an edge: a chain of tokens without a branch is one expansion and goes through in one pass. At
 * most CONSTRAIN_ROWS tokens of a request are in a pass: a bound that its neighbours have no part in, so that a search
 * which is stopped (max_expand) ends with the same result, whatever shares its passes.
 *
 * Logarithms of probabilities are float64; a step's is cut off at 0, so that a bound never rises. Where P(w) / b(v) is
 * compared with a count it is taken a little larger: the model's probabilities are float32 and need not add up to 1.
 *
 * Memory: an expanded prefix keeps its keys and values until what is below it is expanded or the search ends: as many
 * tokens as it has, 2 L G E floats each; 32 bytes an open prefix.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/block.h"
#include "model/decode.h"
#include "model/trie.h"

#define SLACK 1e-4 /* of a sum of probabilities */

/* A prefix: its node's parent and the first token of its edge are scored. */
struct open {
    double bound, logp;
    uint32_t node, held;
};
/* Keys and values of an expanded prefix: as many open ones begin with it. */
struct held {
    struct tail *tail;
    size_t open;
};
struct found {
    double score, logp; /* of one of its tracks, and of the tuple */
    uint32_t tuple;
    size_t tracks; /* that were not dropped */
};
struct taken {
    struct open open;
    struct tail *tail;
};

struct hunt {
    struct block_job job;
    const struct trie *t;
    size_t N, expansions;
    bool exact;
    struct tail *start; /* until the root is expanded */
    struct open *heap;  /* best on top */
    size_t n_open, cap_open;
    struct found *found; /* best first, none that is worse than N tracks */
    size_t n_found, cap_found;
    struct held *held;
    size_t n_held, cap_held;
    struct taken taken[CONSTRAIN_ROWS];
    size_t n_taken;
};

/* ---- what is open ---- */

/* Whether a comes before b. Equal bounds go by their place in the tree: the order is the same everywhere. */
static bool
before(const struct open *a, const struct open *b)
{
    return a->bound != b->bound ? a->bound > b->bound : a->node < b->node;
}

static enum status
heap_push(struct hunt *h, struct open x, struct err *err)
{
    size_t i;

    if (h->n_open == h->cap_open) {
        size_t cap = h->cap_open == 0 ? 256 : 2 * h->cap_open;
        struct open *p = realloc(h->heap, cap * sizeof *p);

        if (p == NULL)
            return err_memory(err);
        h->heap = p;
        h->cap_open = cap;
    }
    for (i = h->n_open++; i > 0 && before(&x, &h->heap[(i - 1) / 2]); i = (i - 1) / 2)
        h->heap[i] = h->heap[(i - 1) / 2];
    h->heap[i] = x;
    return OK;
}

static void
heap_pop(struct hunt *h)
{
    struct open x = h->heap[--h->n_open];
    size_t i = 0;

    for (size_t child; (child = 2 * i + 1) < h->n_open; i = child) {
        child += child + 1 < h->n_open && before(&h->heap[child + 1], &h->heap[child]);
        if (!before(&h->heap[child], &x))
            break;
        h->heap[i] = h->heap[child];
    }
    if (h->n_open > 0)
        h->heap[i] = x;
}

/* ---- what is known ---- */

/* The score of the N-th best track so far; -INFINITY while there are fewer. */
static double
nth(const struct hunt *h)
{
    size_t tracks = 0;

    for (size_t i = 0; i < h->n_found; i++)
        if ((tracks += h->found[i].tracks) >= h->N)
            return h->found[i].score;
    return -INFINITY;
}

static enum status
add_found(struct hunt *h, uint32_t tuple, double logp, struct err *err)
{
    struct found x = {.score = logp - log((double)h->t->tracks[tuple]), .logp = logp, .tuple = tuple};
    size_t i, tracks = 0;

    x.tracks = h->t->tracks[tuple];
    for (size_t k = 0; k < h->job.request->n_dropped; k++)
        x.tracks -= h->job.request->dropped[k] == tuple;
    if (x.tracks == 0 || x.score < nth(h))
        return OK;
    if (h->n_found == h->cap_found) {
        size_t cap = h->cap_found == 0 ? 128 : 2 * h->cap_found;
        struct found *p = realloc(h->found, cap * sizeof *p);

        if (p == NULL)
            return err_memory(err);
        h->found = p;
        h->cap_found = cap;
    }
    for (i = h->n_found++; i > 0; i--) {
        const struct found *y = &h->found[i - 1];

        if (y->score > x.score || (y->score == x.score && y->tuple < x.tuple))
            break;
        h->found[i] = *y;
    }
    h->found[i] = x;
    /* What is worse than N tracks is out; what equals the last of them may take its place. */
    for (i = 0; i < h->n_found && (tracks < h->N || h->found[i].score == h->found[i - 1].score); i++)
        tracks += h->found[i].tracks;
    h->n_found = i;
    return OK;
}

/* ---- which prefixes must be expanded ---- */

/* The first prefix of the heap, given that those taken come before it. */
static bool
must_expand(const struct hunt *h)
{
    const struct open *v = &h->heap[0];
    size_t tracks = 0;

    for (size_t i = 0; i < h->n_found && h->found[i].score > v->bound; i++)
        tracks += h->found[i].tracks;
    for (size_t i = 0; i < h->n_taken && tracks < h->N; i++) {
        const struct open *w = &h->taken[i].open;
        size_t below = h->t->node[w->node].tracks;
        double most = exp(w->logp - v->bound) * (1 + SLACK);

        if (w->bound > v->bound)
            tracks += most < (double)below ? (size_t)most : below;
    }
    return tracks < h->N;
}

/* The keys and values of what an open prefix begins with, and room for its edge. */
static enum status
take_open(struct hunt *h, struct err *err)
{
    struct taken *x = &h->taken[h->n_taken];
    struct held *from = &h->held[h->heap[0].held];
    enum status st;

    x->open = h->heap[0];
    heap_pop(h);
    if ((st = tail_new(&x->tail, h->job.d, h->t->node[x->open.node].to + 1, err)) != OK)
        return st;
    h->n_taken++;
    h->expansions++;
    tail_copy(x->tail, from->tail, h->job.d);
    if (--from->open == 0) {
        tail_free(from->tail);
        from->tail = NULL;
    }
    return OK;
}

/* Takes from the heap what goes through the network next; none at the end. */
static enum status
choose(struct hunt *h, struct err *err)
{
    size_t rows = 0, max = h->job.o->max_expand;
    enum status st;

    h->exact = true;
    while (h->n_open > 0 && must_expand(h)) {
        const struct trie_node *v = &h->t->node[h->heap[0].node];

        if (max > 0 && h->expansions >= max) {
            h->exact = h->n_taken > 0; /* not known yet if some are on their way */
            break;
        }
        if ((rows += v->to - v->from) > CONSTRAIN_ROWS)
            break;
        if ((st = take_open(h, err)) != OK)
            return st;
    }
    return OK;
}

/* ---- expansion ---- */

/* The log probability of a token; above 0 only by rounding. */
static double
log_chance(const float *logits, int32_t token, double lse)
{
    double x = (double)logits[token] - lse;

    return x < 0 ? x : 0;
}

/* Behind a node where tuples part: what they go on with is scored and opened, or known where it is an end. tail, which
 * is taken over, holds the node's prefix. */
static enum status
open_children(struct hunt *h, const struct trie_node *v, double logp, const float *logits, double lse,
    struct tail *tail, struct err *err)
{
    double least = nth(h);
    size_t open = 0;
    enum status st = OK;

    if (h->n_held == h->cap_held) {
        size_t cap = h->cap_held == 0 ? 64 : 2 * h->cap_held;
        struct held *p = realloc(h->held, cap * sizeof *p);

        if (p == NULL) {
            tail_free(tail);
            return err_memory(err);
        }
        h->held = p;
        h->cap_held = cap;
    }
    h->held[h->n_held] = (struct held){.tail = tail};
    for (uint32_t k = 0; st == OK && k < v->n_children; k++) {
        const struct trie_node *c = &h->t->node[v->child + k];
        struct open x = {.node = v->child + k, .held = (uint32_t)h->n_held};

        if (c->from == h->t->tuple[c->tuple].n) {
            st = add_found(h, c->tuple, logp + log_chance(logits, h->job.o->grammar->end, lse), err);
            continue;
        }
        x.logp = logp + log_chance(logits, h->t->tuple[c->tuple].token[c->from], lse);
        x.bound = x.logp - log((double)c->fewest);
        if (x.bound < least)
            continue;
        st = heap_push(h, x, err);
        open += st == OK;
    }
    if (open == 0) {
        tail_free(tail);
        return st;
    }
    h->held[h->n_held++].open = open;
    return st;
}

/* What was taken, with the logits behind each token of its edge. The tail is taken over. */
static enum status
expand(struct hunt *h, const struct taken *x, const float *logits, struct err *err)
{
    const struct trie_node *v = &h->t->node[x->open.node];
    const struct tuple *tuple = &h->t->tuple[v->tuple];
    double logp = x->open.logp, lse = 0;
    enum status st = OK;

    for (uint32_t k = v->from; k < v->to; k++, logits += h->job.V) {
        bool last = k + 1 == v->to;

        if (!isfinite(lse = vec_logsumexp(logits, h->job.V))) {
            st = err_set(err, DATA, "the model's logits are not finite");
            break;
        }
        if (last && v->n_children > 0)
            return open_children(h, v, logp, logits, lse, x->tail, err);
        logp += log_chance(logits, last ? h->job.o->grammar->end : tuple->token[k + 1], lse);
    }
    tail_free(x->tail);
    return st == OK ? add_found(h, v->tuple, logp, err) : st;
}

/* The root, with the logits behind start. */
static enum status
expand_root(struct hunt *h, const float *logits, struct err *err)
{
    struct tail *tail = h->start;
    double lse = vec_logsumexp(logits, h->job.V);

    h->start = NULL;
    h->expansions = 1;
    if (isfinite(lse))
        return open_children(h, h->t->node, 0, logits, lse, tail, err);
    tail_free(tail);
    return err_set(err, DATA, "the model's logits are not finite");
}

static enum status
constrain_take(bool *done, void *state, const float *logits, struct err *err)
{
    struct hunt *h = state;
    size_t n = h->n_taken, i = 0;
    enum status st = h->start != NULL ? expand_root(h, logits, err) : OK;

    for (; st == OK && i < n; i++) {
        const struct trie_node *v = &h->t->node[h->taken[i].open.node];

        st = expand(h, &h->taken[i], logits, err);
        logits += (v->to - v->from) * h->job.V;
    }
    for (; i < n; i++)
        tail_free(h->taken[i].tail);
    h->n_taken = 0;
    if (st == OK)
        st = choose(h, err);
    *done = h->n_taken == 0;
    return st;
}

static size_t
constrain_feed(struct sequence *seqs, void *state)
{
    struct hunt *h = state;

    for (size_t i = 0; i < h->n_taken; i++) {
        const struct trie_node *v = &h->t->node[h->taken[i].open.node];

        seqs[i] = (struct sequence){.cache = h->job.cache,
            .tail = h->taken[i].tail,
            .more = {.ids = h->t->tuple[v->tuple].token + v->from, .n = v->to - v->from},
            .each = true};
    }
    return h->n_taken;
}

/* ---- beginning and end ---- */

static void
constrain_end(void *state)
{
    struct hunt *h = state;

    if (h == NULL)
        return;
    tail_free(h->start);
    for (size_t i = 0; i < h->n_taken; i++)
        tail_free(h->taken[i].tail);
    for (size_t i = 0; i < h->n_held; i++)
        tail_free(h->held[i].tail);
    free(h->heap);
    free(h->found);
    free(h->held);
    free(h);
}

static enum status
constrain_begin(void **state, const struct block_job *job, const struct tail *start, struct err *err)
{
    struct hunt *h = calloc(1, sizeof *h);
    enum status st;

    *state = h;
    if (h == NULL)
        return err_memory(err);
    h->job = *job;
    h->t = job->o->trie;
    h->N = job->o->top;
    if ((st = tail_new(&h->start, job->d, 1, err)) == OK)
        tail_copy(h->start, start, job->d);
    return st;
}

static enum status
constrain_report(struct generation *out, const void *state, struct err *err)
{
    const struct hunt *h = state;
    enum status st = OK;

    out->exact = h->exact;
    out->expansions = h->expansions;
    for (size_t i = 0; st == OK && i < h->n_found; i++) {
        const struct found *f = &h->found[i];
        const struct tuple *tuple = &h->t->tuple[f->tuple];
        int32_t token[GRAMMAR_MAX_SLOTS + 1];

        memcpy(token, tuple->token, tuple->n * sizeof *token);
        token[tuple->n] = h->job.o->grammar->end;
        st = generation_add(out, h->n_found,
            &(struct candidate){.logprob = f->logp, .n = tuple->n + 1, .tracks = h->t->tracks[f->tuple]}, token, err);
    }
    return st;
}

const struct block_way constrain_way = {
    constrain_begin, NULL, constrain_take, constrain_feed, constrain_report, constrain_end};
