/* SPDX-License-Identifier: Apache-2.0 */
/*
 * item2vec - vectors of tracks from the playlists that hold them: skip-gram with negative sampling where the whole
 * playlist is the context (Mikolov et al. 2013; Barkan and Koenigstein, "Item2Vec", 2016; the playlist modality of Doh,
 * Choi, Nam 2025, §4.1).
 *
 * A playlist of n tracks is one small matrix problem: the products of its input vectors (n, dim) with the output
 * vectors of the same n tracks and of m tracks drawn from the unigram distribution to the power 3/4 (Ji et al. 2016
 * share negatives likewise). So an epoch costs about 6 dim n (n + m) operations a playlist, nearly all in matrix
 * products.
 *
 * Any number of threads gives the same bits: BLOCK playlists at a time take their gradients in parallel against vectors
 * that stand still; then each vector adds what came for it in the order of the playlists, vectors being shared out
 * among the threads. Departures from word2vec: a track counts once in a playlist however long that is (the mean over
 * its context, not the sum; else the few longest would drown the others); at most PIECE tracks of a playlist are taken
 * in an epoch, drawn anew; steps are AdaGrad's (Duchi, Hazan, Singer 2011) with one accumulator a vector, since a
 * block's gradients are sums of very different sizes.
 *
 * Memory: 4 bytes an entry of a playlist, 8 dim + 8 bytes a track, and the work of a block.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "music/music.h"
#include "num/num.h"

#define BLOCK 64
#define PIECE 256
#define DRAWN 128 /* negatives of a playlist, at most */
#define POWER 0.75

enum { STREAM_INIT = 1, STREAM_ORDER, STREAM_DRAW };

struct list {
    size_t at, n;  /* its tracks in entry */
    uint64_t hash; /* of its id */
};

struct item2vec {
    struct item2vec_options o;
    struct ids *ids;
    uint32_t *entry; /* tracks of all playlists */
    size_t n_entries, cap_entries;
    struct list *list;
    size_t n_lists, cap_lists;
    uint32_t tracks;
    uint64_t *count;    /* playlists of a track; 0 where it is too rare or alone */
    float *vec[2];      /* (tracks, dim) input and output vectors */
    float *square[2];   /* AdaGrad's sums of mean squares */
    double *cumulative; /* of the unigram distribution to the power */
};

/* The gradients of one playlist of a block. */
struct piece {
    uint32_t track[PIECE + DRAWN]; /* its tracks, then the drawn ones */
    size_t n, m;
    float *rows[2];                 /* (n, dim) input and (n + m, dim) output vectors */
    float *gradient[2];             /* the same shapes */
    float square[2][PIECE + DRAWN]; /* mean squares of the gradients */
    float *score;                   /* (n, n + m) products, then their gradients */
    double loss;
};

/* ---- reading ---- */

enum status
item2vec_new(struct item2vec **out, const struct item2vec_options *o, struct err *err)
{
    struct item2vec *iv = calloc(1, sizeof(*iv));

    *out = NULL;
    if (iv == NULL)
        return err_memory(err);
    iv->o = *o;
    if (ids_new(&iv->ids, err) != OK) {
        free(iv);
        return SYSTEM;
    }
    *out = iv;
    return OK;
}

void
item2vec_free(struct item2vec *iv)
{
    if (iv == NULL)
        return;
    ids_free(iv->ids);
    free(iv->entry);
    free(iv->list);
    free(iv->count);
    for (int side = 0; side < 2; side++) {
        free(iv->vec[side]);
        free(iv->square[side]);
    }
    free(iv->cumulative);
    free(iv);
}

/* Room for more entries and one more list. */
static enum status
reserve(struct item2vec *iv, size_t more, struct err *err)
{
    void *p;

    if (iv->n_entries + more > iv->cap_entries) {
        size_t cap = (iv->n_entries + more) + (iv->n_entries + more) / 2 + 4096;
        if ((p = realloc(iv->entry, cap * sizeof(*iv->entry))) == NULL)
            return err_memory(err);
        iv->entry = p;
        iv->cap_entries = cap;
    }
    if (iv->n_lists == iv->cap_lists) {
        size_t cap = iv->cap_lists + iv->cap_lists / 2 + 1024;
        if ((p = realloc(iv->list, cap * sizeof(*iv->list))) == NULL)
            return err_memory(err);
        iv->list = p;
        iv->cap_lists = cap;
    }
    return OK;
}

static int
compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

enum status
item2vec_add(struct item2vec *iv, const msgpack_object *playlist, struct err *err)
{
    const msgpack_object *tracks;
    uint32_t *entry;
    struct str id;
    size_t n = 0;

    if (map_id(&id, playlist, "playlist_id", err) != OK || map_array(&tracks, playlist, "tracks", err) != OK)
        return err->status;
    /* Nothing is added before all of it has been checked. */
    for (uint32_t i = 0; i < tracks->via.array.size; i++) {
        struct str s;
        if (obj_str(&s, &tracks->via.array.ptr[i], "tracks", err) != OK)
            return err->status;
    }
    if (reserve(iv, tracks->via.array.size, err) != OK)
        return err->status;
    entry = iv->entry + iv->n_entries;
    for (uint32_t i = 0; i < tracks->via.array.size; i++) {
        struct str s;
        if (obj_str(&s, &tracks->via.array.ptr[i], "tracks", err) != OK || ids_add(&entry[i], iv->ids, s, err) != OK)
            return err->status;
    }
    /* Sorted, so that what repeats stands together; the order of a playlist means nothing here. */
    if (tracks->via.array.size > 1)
        qsort(entry, tracks->via.array.size, sizeof(*entry), compare_u32);
    for (uint32_t i = 0; i < tracks->via.array.size; i++)
        if (n == 0 || entry[i] != entry[n - 1])
            entry[n++] = entry[i];
    iv->list[iv->n_lists++] = (struct list){iv->n_entries, n, hash64(iv->o.seed, id.p, id.n)};
    iv->n_entries += n;
    return OK;
}

/* ---- preparation ---- */

/* Drops rare tracks, then playlists of fewer than two; counts what is left. */
static void
prune(struct item2vec *iv)
{
    size_t lists = 0;

    for (size_t i = 0; i < iv->n_entries; i++)
        iv->count[iv->entry[i]]++;
    for (size_t l = 0; l < iv->n_lists; l++) {
        struct list *list = &iv->list[l];
        size_t n = 0;

        for (size_t i = 0; i < list->n; i++)
            if (iv->count[iv->entry[list->at + i]] >= iv->o.min_count)
                iv->entry[list->at + n++] = iv->entry[list->at + i];
        list->n = n;
        if (n >= 2)
            iv->list[lists++] = *list;
    }
    iv->n_lists = lists;
    memset(iv->count, 0, iv->tracks * sizeof(*iv->count));
    for (size_t l = 0; l < lists; l++)
        for (size_t i = 0; i < iv->list[l].n; i++)
            iv->count[iv->entry[iv->list[l].at + i]]++;
}

static enum status
prepare(struct item2vec *iv, struct err *err)
{
    struct rng rng = rng_seed(iv->o.seed, STREAM_INIT);
    size_t n = iv->tracks = ids_count(iv->ids), floats;
    double sum = 0;

    if (!size_mul(&floats, n, iv->o.dim))
        return err_memory(err);
    iv->count = calloc(n + 1, sizeof(*iv->count));
    iv->cumulative = calloc(n + 1, sizeof(*iv->cumulative));
    for (int side = 0; side < 2; side++) {
        iv->vec[side] = calloc(floats + 1, sizeof(float));
        iv->square[side] = calloc(n + 1, sizeof(float));
        if (iv->vec[side] == NULL || iv->square[side] == NULL)
            return err_memory(err);
    }
    if (iv->count == NULL || iv->cumulative == NULL)
        return err_memory(err);
    prune(iv);
    for (size_t i = 0; i < n; i++)
        iv->cumulative[i] = sum += iv->count[i] > 0 ? pow((double)iv->count[i], POWER) : 0;
    for (size_t i = 0; i < floats; i++)
        iv->vec[0][i] = (float)((rng_unit(&rng) - 0.5) / (double)iv->o.dim);
    return OK;
}

/* ---- one playlist ---- */

static uint32_t
draw(const struct item2vec *iv, struct rng *rng)
{
    double at = rng_unit(rng) * iv->cumulative[iv->tracks - 1];
    uint32_t lo = 0, hi = iv->tracks - 1;

    while (lo < hi) { /* the first whose cumulative sum is above at */
        uint32_t mid = lo + (hi - lo) / 2;
        if (iv->cumulative[mid] > at)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* Which tracks of a playlist take part in this epoch, and the negatives. */
static void
choose(struct piece *p, const struct item2vec *iv, const struct list *list, size_t epoch)
{
    struct rng rng = rng_seed(list->hash, STREAM_DRAW + epoch);
    double total = (double)iv->n_entries;

    p->n = 0;
    for (size_t i = 0, seen = 0; i < list->n; i++) {
        uint32_t t = iv->entry[list->at + i];
        double keep = iv->o.subsample > 0 ? sqrt(iv->o.subsample * total / (double)iv->count[t]) : 1;
        if (keep < 1 && rng_unit(&rng) >= keep)
            continue;
        seen++; /* a reservoir of PIECE tracks (Vitter 1985, algorithm R) */
        if (p->n < PIECE)
            p->track[p->n++] = t;
        else {
            uint64_t at = rng_below(&rng, seen);
            if (at < PIECE)
                p->track[at] = t;
        }
    }
    p->m = p->n < 2 ? 0 : iv->o.negative * (p->n - 1) < DRAWN ? iv->o.negative * (p->n - 1) : DRAWN;
    for (size_t i = 0; i < p->m; i++)
        p->track[p->n + i] = draw(iv, &rng);
}

/*
 * Scores into gradients of the loss: of input i, the mean over the others of -log sigmoid(score), and negative times
 * the mean over the drawn ones of -log sigmoid(-score). What is drawn but in the playlist counts nothing.
 */
static void
score_gradients(struct piece *p, const struct item2vec *iv)
{
    size_t n = p->n, m = p->m;
    bool own[DRAWN];
    float wp = 1 / (float)(n - 1), wn = m > 0 ? (float)iv->o.negative / (float)m : 0;

    for (size_t j = 0; j < m; j++) {
        own[j] = false;
        for (size_t i = 0; i < n; i++)
            own[j] |= p->track[i] == p->track[n + j];
    }
    p->loss = 0;
    for (size_t i = 0; i < n; i++) {
        float *s = p->score + i * (n + m);
        for (size_t j = 0; j < n + m; j++) {
            float sigmoid = 1 / (1 + expf(-s[j]));
            float w = j < n ? (j == i ? 0 : wp) : (own[j - n] ? 0 : wn);
            float right = j < n ? sigmoid : 1 - sigmoid;
            p->loss -= w > 0 ? (double)(w * logf(right > 1e-30F ? right : 1e-30F)) : 0;
            s[j] = w * (sigmoid - (j < n ? 1.0F : 0.0F));
        }
    }
}

static void
piece_gradients(struct piece *p, const struct item2vec *iv)
{
    size_t dim = iv->o.dim, n = p->n, all = p->n + p->m;

    p->loss = 0;
    if (n < 2)
        return;
    for (size_t i = 0; i < all; i++) {
        if (i < n)
            memcpy(p->rows[0] + i * dim, iv->vec[0] + p->track[i] * dim, dim * sizeof(float));
        memcpy(p->rows[1] + i * dim, iv->vec[1] + p->track[i] * dim, dim * sizeof(float));
    }
    mat_mul(p->score, all, p->rows[0], dim, false, p->rows[1], dim, true, n, all, dim, 1, 0);
    score_gradients(p, iv);
    mat_mul(p->gradient[0], dim, p->score, all, false, p->rows[1], dim, false, n, dim, all, 1, 0);
    mat_mul(p->gradient[1], dim, p->score, all, true, p->rows[0], dim, false, all, dim, n, 1, 0);
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < (side == 0 ? n : all); i++) {
            const float *g = p->gradient[side] + i * dim;
            p->square[side][i] = vec_dot(g, g, dim) / (float)dim;
        }
}

/* ---- steps ---- */

static void
step(struct item2vec *iv, int side, const struct piece *p, size_t i, float rate)
{
    size_t dim = iv->o.dim;
    uint32_t track = p->track[i];

    iv->square[side][track] += p->square[side][i];
    if (iv->square[side][track] > 0)
        vec_axpy(iv->vec[side] + track * dim, -rate / sqrtf(iv->square[side][track]), p->gradient[side] + i * dim, dim);
}

/* Every thread goes through the whole block and takes its share of the tracks: each vector's steps keep the block's
 * order. */
static void
apply(struct item2vec *iv, const struct piece *piece, size_t n, float rate)
{
    uint32_t shares = (uint32_t)num_threads();

#pragma omp parallel for schedule(static, 1) num_threads(num_threads())
    for (uint32_t share = 0; share < shares; share++)
        for (size_t b = 0; b < n; b++) {
            const struct piece *p = &piece[b];
            for (size_t i = 0; p->n >= 2 && i < p->n + p->m; i++) {
                if (p->track[i] % shares != share)
                    continue;
                if (i < p->n)
                    step(iv, 0, p, i, rate);
                step(iv, 1, p, i, rate);
            }
        }
}

static enum status
pieces_new(struct piece *piece, size_t dim, struct err *err)
{
    for (size_t b = 0; b < BLOCK; b++) {
        struct piece *p = &piece[b];
        p->score = calloc(PIECE, (PIECE + DRAWN) * sizeof(float));
        for (int side = 0; side < 2; side++) {
            p->rows[side] = calloc(PIECE + DRAWN, dim * sizeof(float));
            p->gradient[side] = calloc(PIECE + DRAWN, dim * sizeof(float));
            if (p->score == NULL || p->rows[side] == NULL || p->gradient[side] == NULL)
                return err_memory(err);
        }
    }
    return OK;
}

static void
pieces_free(struct piece *piece)
{
    for (size_t b = 0; b < BLOCK && piece != NULL; b++) {
        free(piece[b].score);
        for (int side = 0; side < 2; side++) {
            free(piece[b].rows[side]);
            free(piece[b].gradient[side]);
        }
    }
    free(piece);
}

/* One pass over the playlists in a shuffled order; the mean loss of a track. */
static double
epoch_pass(struct item2vec *iv, struct piece *piece, uint32_t *order, size_t epoch)
{
    struct rng rng = rng_seed(iv->o.seed, ((uint64_t)epoch << 8) + STREAM_ORDER);
    double loss = 0, tracks = 0, total = (double)iv->o.epochs * (double)iv->n_lists;

    rng_shuffle(&rng, order, iv->n_lists);
    for (size_t at = 0; at < iv->n_lists; at += BLOCK) {
        size_t n = iv->n_lists - at < BLOCK ? iv->n_lists - at : BLOCK;
        double done = ((double)epoch * (double)iv->n_lists + (double)at) / total;

#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads())
        for (size_t b = 0; b < n; b++) {
            choose(&piece[b], iv, &iv->list[order[at + b]], epoch);
            piece_gradients(&piece[b], iv);
        }
        apply(iv, piece, n, (float)(iv->o.rate * (1 - done)));
        for (size_t b = 0; b < n; b++) {
            loss += piece[b].loss;
            tracks += piece[b].n >= 2 ? (double)piece[b].n : 0;
        }
    }
    return tracks > 0 ? loss / tracks : 0;
}

enum status
item2vec_train(struct item2vec *iv, void (*progress)(void *arg, size_t epoch, double loss), void *arg, struct err *err)
{
    struct piece *piece = calloc(BLOCK, sizeof(*piece));
    uint32_t *order = calloc(iv->n_lists + 1, sizeof(*order));
    enum status st = piece == NULL || order == NULL ? err_memory(err) : OK;

    if (iv->n_lists > UINT32_MAX)
        st = err_set(err, DATA, "more than %u playlists", UINT32_MAX);
    if (st == OK && (st = prepare(iv, err)) == OK)
        st = pieces_new(piece, iv->o.dim, err);
    for (size_t i = 0; i < iv->n_lists && st == OK; i++)
        order[i] = (uint32_t)i;
    for (size_t e = 0; e < iv->o.epochs && iv->n_lists > 0 && st == OK; e++) {
        double loss = epoch_pass(iv, piece, order, e);
        if (progress != NULL)
            progress(arg, e + 1, loss);
    }
    pieces_free(piece);
    free(order);
    return st;
}

const struct ids *
item2vec_ids(const struct item2vec *iv)
{
    return iv->ids;
}

const float *
item2vec_vector(const struct item2vec *iv, uint32_t track)
{
    return track < iv->tracks && iv->count[track] > 0 ? iv->vec[0] + track * iv->o.dim : NULL;
}
