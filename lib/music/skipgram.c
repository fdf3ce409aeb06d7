/* SPDX-License-Identifier: Apache-2.0 */
/*
 * skipgram - the training of item2vec: skip-gram with negative sampling (Mikolov et al. 2013) where the whole playlist
 * is the context (Barkan and Koenigstein, "Item2Vec", 2016; the playlist modality of Doh, Choi, Nam 2025, §4.1), or a
 * window of its tracks.
 *
 * A piece of n tracks with c in their contexts is one small matrix problem: the products of n input vectors with the
 * output vectors of the c tracks and of m tracks drawn from the unigram distribution to the power 3/4 (Ji et al. 2016
 * share negatives likewise). Without a window a playlist is one piece and n = c; with one a piece has SPAN tracks, and
 * each its own reach within the window, drawn as in word2vec. An epoch costs 6 dim n (c + m) operations a piece, in
 * matrix products, and four vectors a track to fetch and to write.
 *
 * Any number of threads gives the same bits: BLOCK pieces at a time take their gradients in parallel against vectors
 * that stand still; then each vector adds what came for it in the order of the pieces, vectors being shared out among
 * the threads. With hogwild a thread takes the steps of a piece as soon as it has them (Niu, Recht, Ré, Wright 2011):
 * what another thread writes meanwhile may be lost, which learning survives and sameness does not. The steps
 * of a block repeat each other in part, those taken one by one do not, and go half as far.
 *
 * Departures from word2vec: a track counts once in a playlist however long that is (the mean over its context, not the
 * sum; else the few longest would drown the others); without a window at most PIECE tracks of a playlist are taken in
 * an epoch, drawn anew; steps are AdaGrad's (Duchi, Hazan, Singer 2011) with one accumulator a vector, since a block's
 * gradients are sums of very different sizes.
 */
#include <math.h>
#include <stdlib.h>

#include "music/item2vec.h"

#define BLOCK 64
#define PIECE 256
#define SPAN 64     /* tracks of a piece within a window */
#define DRAWN 64    /* negatives of a piece, at most */
#define LOSSES 4096 /* pieces, about, from which an epoch's loss is estimated */
#define BITS 4096   /* of the filter that finds drawn tracks which the playlist has */
#define LANES 16

/* Where a piece begins in its playlist. */
struct unit {
    uint32_t list, from;
};

/* The gradients of one piece of a block. */
struct piece {
    uint32_t track[PIECE + DRAWN];  /* those of the contexts, then the drawn ones */
    size_t n, c, m;                 /* tracks with an input vector; contexts; drawn */
    size_t shift;                   /* the first of the n among the contexts */
    uint8_t reach[PIECE];           /* of each of the n, within a window */
    float *gradient[2];             /* (n, dim) and (c + m, dim) */
    float square[2][PIECE + DRAWN]; /* mean squares of the gradients */
    bool wants_loss;
    double loss;
};

/* What a thread works in. */
struct work {
    float *rows[2]; /* (n, dim) input and (c + m, dim) output vectors */
    float *score;   /* (n, c + m) products, then their gradients */
};

struct training {
    struct item2vec *iv;
    struct unit *unit;
    size_t n_units;
    uint32_t *order;
    struct piece *piece; /* (BLOCK) */
    struct work *work;   /* (threads) */
};

/* ---- what a piece is made of ---- */

static uint32_t
draw(const struct item2vec *iv, struct rng *rng)
{
    double u = rng_unit(rng), at = u * iv->cumulative[iv->tracks - 1];
    uint32_t lo = iv->guide[(size_t)(u * GUIDE)], hi = iv->guide[(size_t)(u * GUIDE) + 1];

    while (lo < hi) { /* the first whose cumulative sum is above at */
        uint32_t mid = lo + (hi - lo) / 2;
        if (iv->cumulative[mid] > at)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* A track of the contexts. Without a window they are a reservoir of PIECE tracks (Vitter 1985, algorithm R). */
static void
add_track(struct piece *p, uint32_t t, size_t *seen, struct rng *rng)
{
    uint64_t at;

    ++*seen;
    if (p->c < PIECE)
        p->track[p->c++] = t;
    else if ((at = rng_below(rng, *seen)) < PIECE)
        p->track[at] = t;
}

/* Which tracks of a piece take part in this epoch, how far they reach, and the negatives. */
static void
choose(struct piece *p, const struct item2vec *iv, const struct unit *unit, size_t epoch)
{
    const struct list *list = &iv->list[unit->list];
    struct rng rng = rng_seed(list->hash, ITEM2VEC_DRAW + epoch + ((uint64_t)unit->from << 32));
    size_t window = iv->o.window, seen = 0, want;
    size_t from = unit->from > window ? unit->from - window : 0;
    size_t end = window == 0 || list->n - unit->from < SPAN ? list->n : unit->from + SPAN;
    size_t to = list->n - end < window ? list->n : end + window;
    double total = (double)iv->n_entries;

    p->c = p->n = p->shift = 0;
    for (size_t i = from; i < to; i++) {
        uint32_t t = iv->entry[list->at + i];
        double keep = iv->o.subsample > 0 ? sqrt(iv->o.subsample * total / (double)iv->count[t]) : 1;
        if (i == unit->from)
            p->shift = p->c;
        if (keep >= 1 || rng_unit(&rng) < keep)
            add_track(p, t, &seen, &rng);
        if (i + 1 == end)
            p->n = p->c - p->shift;
    }
    for (size_t i = 0; i < p->n && window > 0; i++)
        p->reach[i] = (uint8_t)(1 + rng_below(&rng, window));
    want = iv->o.negative * (p->c - (p->c > 0));
    p->m = p->c < 2 ? 0 : want < DRAWN ? want : DRAWN;
    for (size_t i = 0; i < p->m; i++)
        p->track[p->c + i] = draw(iv, &rng);
}

/* ---- gradients ---- */

/* Weights of the drawn tracks: what is drawn but in the playlist counts nothing. */
static void
weigh_drawn(float *weight, const struct piece *p, const struct item2vec *iv)
{
    uint64_t filter[BITS / 64] = {0};
    float each = p->m > 0 ? (float)iv->o.negative / (float)p->m : 0;

    for (size_t i = 0; i < p->c; i++) {
        uint32_t bit = (p->track[i] * 2654435761U) >> 20;
        filter[bit / 64] |= (uint64_t)1 << bit % 64;
    }
    for (size_t j = 0; j < p->m; j++) {
        uint32_t bit = (p->track[p->c + j] * 2654435761U) >> 20;
        weight[j] = each;
        for (size_t i = 0; i < p->c && (filter[bit / 64] >> bit % 64 & 1U) != 0; i++)
            if (p->track[i] == p->track[p->c + j])
                weight[j] = 0;
    }
}

/*
 * n scores into gradients of the loss, for tracks that are there or were drawn: weight times sigmoid(score) - there.
 * Returns the loss, weight times -log of the sigmoid that should be 1, if it is wanted.
 */
static double
to_gradients(float *s, const float *weight, size_t n, bool there, bool wants_loss)
{
    float e[PIECE + DRAWN], sign = there ? -1.0F : 1.0F;
    double loss = 0;

    for (size_t j = 0; j < n; j++)
        s[j] *= sign;
    vec_exp(e, s, n);
    for (size_t j = 0; j < n && wants_loss; j++)
        loss += (double)(weight[j] * log1pf(e[j]));
    for (size_t j = 0; j < n; j++)
        s[j] = sign * weight[j] * (e[j] / (1 + e[j]));
    return loss;
}

/*
 * Scores into gradients of the loss: of input i, the mean over its context of -log sigmoid(score), and negative times
 * the mean over the drawn ones of -log sigmoid(-score).
 */
static void
score_gradients(float *score, struct piece *p, const struct item2vec *iv)
{
    float drawn[DRAWN], there[PIECE];

    weigh_drawn(drawn, p, iv);
    p->loss = 0;
    for (size_t i = 0; i < p->n; i++) {
        float *s = score + i * (p->c + p->m), own;
        size_t at = i + p->shift, reach = iv->o.window > 0 ? p->reach[i] : PIECE;
        size_t lo = at > reach ? at - reach : 0, hi = p->c - at > reach + 1 ? at + reach + 1 : p->c;

        own = hi - lo > 1 ? 1 / (float)(hi - lo - 1) : 0;
        for (size_t j = lo; j < hi; j++)
            there[j] = j == at ? 0 : own;
        memset(s, 0, lo * sizeof(*s));
        p->loss += to_gradients(s + lo, there + lo, hi - lo, true, p->wants_loss);
        memset(s + hi, 0, (p->c - hi) * sizeof(*s));
        p->loss += to_gradients(s + p->c, drawn, p->m, false, p->wants_loss);
    }
}

static float
mean_square(const float *g, size_t dim)
{
    float lane[LANES] = {0}, sum = 0;
    size_t i = 0;

    for (; i + LANES <= dim; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            lane[j] += g[i + j] * g[i + j];
    for (; i < dim; i++)
        sum += g[i] * g[i];
    for (size_t j = 0; j < LANES; j++)
        sum += lane[j];
    return sum / (float)dim;
}

static void
piece_gradients(struct piece *p, struct work *w, const struct item2vec *iv)
{
    size_t dim = iv->o.dim, n = p->n, all = p->c + p->m;

    for (size_t i = 0; i < all; i++)
        memcpy(w->rows[1] + i * dim, iv->vec[1] + p->track[i] * dim, dim * sizeof(float));
    for (size_t i = 0; i < n; i++)
        memcpy(w->rows[0] + i * dim, iv->vec[0] + p->track[p->shift + i] * dim, dim * sizeof(float));
    mat_mul(w->score, all, w->rows[0], dim, false, w->rows[1], dim, true, n, all, dim, 1, 0);
    score_gradients(w->score, p, iv);
    mat_mul(p->gradient[0], dim, w->score, all, false, w->rows[1], dim, false, n, dim, all, 1, 0);
    mat_mul(p->gradient[1], dim, w->score, all, true, w->rows[0], dim, false, all, dim, n, 1, 0);
    for (size_t i = 0; i < n; i++)
        p->square[0][i] = mean_square(p->gradient[0] + i * dim, dim);
    for (size_t i = 0; i < all; i++)
        p->square[1][i] = mean_square(p->gradient[1] + i * dim, dim);
}

/* ---- steps ---- */

static void
step(struct item2vec *iv, int side, uint32_t track, const float *gradient, float square, float rate)
{
    float sum = iv->square[side][track] + square;

    iv->square[side][track] = sum;
    if (sum > 0)
        vec_axpy(iv->vec[side] + track * iv->o.dim, -rate / sqrtf(sum), gradient, iv->o.dim);
}

/* The steps that a piece asks of one of several shares of the tracks. */
static void
piece_steps(struct item2vec *iv, const struct piece *p, uint32_t share, uint32_t shares, float rate)
{
    size_t dim = iv->o.dim;

    for (size_t i = 0; p->c >= 2 && i < p->c + p->m; i++) {
        uint32_t track = p->track[i];
        if (track % shares != share)
            continue;
        if (i >= p->shift && i < p->shift + p->n)
            step(iv, 0, track, p->gradient[0] + (i - p->shift) * dim, p->square[0][i - p->shift], rate);
        step(iv, 1, track, p->gradient[1] + i * dim, p->square[1][i], rate);
    }
}

/* Every thread goes through the whole block and takes its share of the tracks: each vector's steps keep the block's
 * order. */
static void
block_steps(struct training *t, size_t n, float rate)
{
    uint32_t shares = (uint32_t)num_threads();

#pragma omp parallel for schedule(static, 1) num_threads(num_threads())
    for (uint32_t share = 0; share < shares; share++)
        for (size_t b = 0; b < n; b++)
            piece_steps(t->iv, &t->piece[b], share, shares, rate);
}

/* ---- the training ---- */

static enum status
training_room(struct training *t, struct err *err)
{
    size_t dim = t->iv->o.dim, threads = (size_t)num_threads();

    t->piece = calloc(BLOCK, sizeof(*t->piece));
    t->work = calloc(threads, sizeof(*t->work));
    if (t->piece == NULL || t->work == NULL)
        return err_memory(err);
    for (size_t i = 0; i < threads; i++)
        if ((t->work[i].score = calloc(PIECE, (PIECE + DRAWN) * sizeof(float))) == NULL)
            return err_memory(err);
    for (int side = 0; side < 2; side++) {
        for (size_t b = 0; b < BLOCK; b++)
            if ((t->piece[b].gradient[side] = calloc(PIECE + DRAWN, dim * sizeof(float))) == NULL)
                return err_memory(err);
        for (size_t i = 0; i < threads; i++)
            if ((t->work[i].rows[side] = calloc(PIECE + DRAWN, dim * sizeof(float))) == NULL)
                return err_memory(err);
    }
    return OK;
}

static void
training_free(struct training *t)
{
    for (int side = 0; side < 2; side++) {
        for (size_t b = 0; b < BLOCK && t->piece != NULL; b++)
            free(t->piece[b].gradient[side]);
        for (int i = 0; i < num_threads() && t->work != NULL; i++)
            free(t->work[i].rows[side]);
    }
    for (int i = 0; i < num_threads() && t->work != NULL; i++)
        free(t->work[i].score);
    free(t->piece);
    free(t->work);
    free(t->unit);
    free(t->order);
}

/* Cuts the playlists into pieces. */
static enum status
training_units(struct training *t, struct err *err)
{
    const struct item2vec *iv = t->iv;
    size_t span = iv->o.window == 0 ? SIZE_MAX : SPAN;

    for (int pass = 0; pass < 2; pass++) {
        t->n_units = 0;
        for (size_t l = 0; l < iv->n_lists; l++)
            for (size_t from = 0; from < iv->list[l].n; from = span < iv->list[l].n - from ? from + span : SIZE_MAX) {
                if (pass == 1)
                    t->unit[t->n_units] = (struct unit){(uint32_t)l, (uint32_t)from};
                t->n_units++;
            }
        if (pass == 0) {
            t->unit = calloc(t->n_units + 1, sizeof(*t->unit));
            t->order = calloc(t->n_units + 1, sizeof(*t->order));
            if (t->unit == NULL || t->order == NULL)
                return err_memory(err);
        }
    }
    for (size_t i = 0; i < t->n_units; i++)
        t->order[i] = (uint32_t)i;
    return t->n_units > UINT32_MAX ? err_set(err, DATA, "more than %u playlists", UINT32_MAX) : OK;
}

/* One pass over the pieces in a shuffled order; the mean loss of a track. */
static double
epoch_pass(struct training *t, size_t epoch)
{
    struct item2vec *iv = t->iv;
    struct rng rng = rng_seed(iv->o.seed, ((uint64_t)epoch << 8) + ITEM2VEC_ORDER);
    double loss = 0, tracks = 0, total = (double)iv->o.epochs * (double)t->n_units;
    size_t every = 1 + t->n_units / LOSSES;

    rng_shuffle(&rng, t->order, t->n_units);
    for (size_t at = 0; at < t->n_units; at += BLOCK) {
        size_t n = t->n_units - at < BLOCK ? t->n_units - at : BLOCK;
        double done = ((double)epoch * (double)t->n_units + (double)at) / total;
        float rate = (float)(iv->o.rate * (1 - done));

#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads())
        for (size_t b = 0; b < n; b++) {
            struct piece *p = &t->piece[b];
            choose(p, iv, &t->unit[t->order[at + b]], epoch);
            p->wants_loss = (at + b) % every == 0;
            if (p->c >= 2)
                piece_gradients(p, &t->work[num_thread()], iv);
            if (iv->o.hogwild)
                piece_steps(iv, p, 0, 1, rate);
        }
        if (!iv->o.hogwild)
            block_steps(t, n, rate);
        for (size_t b = 0; b < n; b++)
            if (t->piece[b].c >= 2 && t->piece[b].wants_loss) {
                loss += t->piece[b].loss;
                tracks += (double)t->piece[b].n;
            }
    }
    return tracks > 0 ? loss / tracks : 0;
}

enum status
item2vec_train(struct item2vec *iv, void (*progress)(void *arg, size_t epoch, double loss), void *arg, struct err *err)
{
    struct training t = {.iv = iv};
    enum status st = OK;

    if (iv->n_lists > UINT32_MAX)
        st = err_set(err, DATA, "more than %u playlists", UINT32_MAX);
    if (st == OK && (st = item2vec_prepare(iv, err)) == OK && (st = training_room(&t, err)) == OK)
        st = training_units(&t, err);
    for (size_t e = 0; e < iv->o.epochs && iv->n_lists > 0 && st == OK; e++) {
        double loss = epoch_pass(&t, e);
        if (progress != NULL)
            progress(arg, e + 1, loss);
    }
    training_free(&t);
    return st;
}
