/* SPDX-License-Identifier: Apache-2.0 */
/*
 * impute - codes of modalities that a track lacks, from training tracks that are like it.
 *
 * The likeness of two tracks is the sum of cosines over the modalities of the one that asks; a modality that the other
 * lacks adds nothing. Of the nearest training tracks that have the missing modality the most frequent code is taken; of
 * equally frequent ones that with the greater sum of likeness, then the lower. Exact search: training tracks x dim
 * multiply-adds a modality and record. Memory: the training tracks' vectors. A record's codes do not depend on what
 * shares its batch (mat_rows).
 */
#include <stdlib.h>
#include <string.h>

#include "music/music.h"
#include "num/num.h"

#define TILE ((size_t)4096) /* training tracks at a time */

struct imputer {
    const struct codebooks *books;
    uint32_t n, cap;
    float *v[MODALITIES]; /* (n, dim) of length 1; zeros where absent */
    unsigned *has;        /* (n) bits of modalities */
    struct codes *codes;  /* (n) */
};

/* A neighbour of one record. */
struct near {
    float like;
    uint32_t track;
};

struct search {
    size_t n, k;       /* records; neighbours of each */
    float *unit;       /* (n, dim of the modality at hand) */
    float *dot, *like; /* (n, TILE) */
    struct near *near; /* (n, MODALITIES, k), best first */
    size_t *found;     /* (n, MODALITIES) */
};

static enum status
grow(struct imputer *im, struct err *err)
{
    uint32_t cap = im->cap == 0 ? 1024 : im->cap * 2;
    size_t bytes;
    void *p;

    if (cap < im->cap)
        return err_memory(err);
    for (int m = 0; m < MODALITIES; m++) {
        if (!size_mul(&bytes, cap, im->books->dim[m] * sizeof(float)) ||
            (p = realloc(im->v[m], bytes > 0 ? bytes : 1)) == NULL)
            return err_memory(err);
        im->v[m] = p;
    }
    if ((p = realloc(im->has, cap * sizeof(*im->has))) == NULL)
        return err_memory(err);
    im->has = p;
    if ((p = realloc(im->codes, cap * sizeof(*im->codes))) == NULL)
        return err_memory(err);
    im->codes = p;
    im->cap = cap;
    return OK;
}

/* A joined record, unless it is cold. */
static enum status
add_track(void *arg, const struct rec *rec, struct err *err)
{
    struct imputer *im = arg;
    unsigned has = 0;
    bool cold = false;

    if (map_has(&rec->map, "cold") && map_bool(&cold, &rec->map, "cold", err) != OK)
        return err->status;
    if (cold)
        return OK;
    if (im->n == im->cap && grow(im, err) != OK)
        return err->status;
    for (int m = 0; m < MODALITIES; m++) {
        size_t dim = im->books->dim[m];
        float *v = im->v[m] + (size_t)im->n * dim;

        memset(v, 0, dim * sizeof(*v));
        if (dim == 0 || !map_has(&rec->map, modality_name[m]))
            continue;
        if (map_vector(v, dim, &rec->map, modality_name[m], err) != OK)
            return err->status;
        has |= 1U << m;
    }
    if (has != 0)
        im->has[im->n++] = has;
    return OK;
}

/* The codes of the training tracks; then their vectors to length 1. */
static enum status
settle(struct imputer *im, struct err *err)
{
    int32_t *code = calloc((size_t)im->n + 1, sizeof(*code));
    enum status st = code == NULL ? err_memory(err) : OK;

    for (int m = 0; m < MODALITIES && st == OK; m++) {
        size_t dim = im->books->dim[m];

        if (dim > 0)
            st = assign_nearest(code, im->books, (enum modality)m, im->v[m], im->n, err);
        for (uint32_t i = 0; i < im->n && st == OK; i++) {
            bool there = (im->has[i] >> m & 1U) != 0;
            im->codes[i].code[m] = there ? code[i] : CODE_NONE;
            if (there)
                (void)vec_unit(im->v[m] + (size_t)i * dim, dim); /* without direction it is like nothing */
        }
    }
    free(code);
    return st;
}

enum status
imputer_load(struct imputer **out, const char *path, const struct codebooks *books, struct err *err)
{
    struct imputer *im = calloc(1, sizeof(*im));
    enum status st;

    *out = NULL;
    if (im == NULL)
        return err_memory(err);
    im->books = books;
    if ((st = rec_each(path, add_track, im, err)) == OK)
        st = settle(im, err);
    if (st == OK)
        *out = im;
    else
        imputer_free(im);
    return st;
}

void
imputer_free(struct imputer *im)
{
    if (im == NULL)
        return;
    for (int m = 0; m < MODALITIES; m++)
        free(im->v[m]);
    free(im->has);
    free(im->codes);
    free(im);
}

uint32_t
imputer_tracks(const struct imputer *im)
{
    return im->n;
}

/* like[i][t] of n records and the training tracks at, at + 1, …, some of them. */
static void
likeness(struct search *s, const struct imputer *im, const float *const *X, const unsigned *has, size_t at, size_t some)
{
    memset(s->like, 0, s->n * TILE * sizeof(*s->like));
    for (int m = 0; m < MODALITIES; m++) {
        size_t dim = im->books->dim[m];

        if (dim == 0)
            continue;
        memcpy(s->unit, X[m], s->n * dim * sizeof(*s->unit));
        for (size_t i = 0; i < s->n; i++)
            (void)vec_unit(s->unit + i * dim, dim);
        mat_rows(s->dot, s->unit, im->v[m] + at * dim, s->n, some, dim);
        for (size_t i = 0; i < s->n; i++)
            if ((has[i] >> m & 1U) != 0)
                for (size_t t = 0; t < some; t++)
                    s->like[i * TILE + t] += s->dot[i * some + t];
    }
}

/* Puts one more track among the k nearest; equal ones stay in the order of the tracks. */
static void
insert(struct near *near, size_t *n, size_t k, struct near one)
{
    size_t i;

    if (*n == k && !(one.like > near[k - 1].like))
        return;
    i = *n < k ? (*n)++ : k - 1;
    for (; i > 0 && near[i - 1].like < one.like; i--)
        near[i] = near[i - 1];
    near[i] = one;
}

static void
search_tile(
    struct search *s, const struct imputer *im, const struct codes *codes, const unsigned *has, size_t at, size_t some)
{
#pragma omp parallel for schedule(dynamic, 4) num_threads(num_threads())
    for (size_t i = 0; i < s->n; i++)
        for (int m = 0; m < MODALITIES; m++) {
            size_t slot = i * MODALITIES + (size_t)m;

            if (im->books->k[m] == 0 || codes[i].code[m] != CODE_NONE || has[i] == 0)
                continue;
            for (size_t t = 0; t < some; t++)
                if ((im->has[at + t] >> m & 1U) != 0)
                    insert(s->near + slot * s->k, &s->found[slot], s->k,
                        (struct near){s->like[i * TILE + t], (uint32_t)(at + t)});
        }
}

/* The most frequent code of the neighbours. */
static int32_t
vote(const struct imputer *im, int m, const struct near *near, size_t n)
{
    int32_t best = CODE_NONE;
    size_t most = 0;
    double best_like = 0;

    for (size_t i = 0; i < n; i++) {
        int32_t code = im->codes[near[i].track].code[m];
        size_t count = 0;
        double like = 0;

        for (size_t j = 0; j < n; j++)
            if (im->codes[near[j].track].code[m] == code) {
                count++;
                like += (double)near[j].like;
            }
        if (count > most || (count == most && (like > best_like || (!(like < best_like) && code < best)))) {
            best = code;
            most = count;
            best_like = like;
        }
    }
    return best;
}

static enum status
search_new(struct search *s, const struct codebooks *books, struct err *err)
{
    size_t dim = 1;

    for (int m = 0; m < MODALITIES; m++)
        dim = books->dim[m] > dim ? books->dim[m] : dim;
    s->unit = calloc(s->n, dim * sizeof(*s->unit));
    s->dot = calloc(s->n, TILE * sizeof(*s->dot));
    s->like = calloc(s->n, TILE * sizeof(*s->like));
    s->near = calloc(s->n * MODALITIES, s->k * sizeof(*s->near));
    s->found = calloc(s->n * MODALITIES, sizeof(*s->found));
    return s->unit == NULL || s->dot == NULL || s->like == NULL || s->near == NULL || s->found == NULL ? err_memory(err)
                                                                                                       : OK;
}

static void
search_fini(struct search *s)
{
    free(s->unit);
    free(s->dot);
    free(s->like);
    free(s->near);
    free(s->found);
}

enum status
imputer_fill(struct codes *codes, unsigned *imputed, const struct imputer *im, const float *const *X,
    const unsigned *has, size_t n, size_t neighbours, struct err *err)
{
    struct search s = {.n = n, .k = neighbours};
    enum status st = OK;

    memset(imputed, 0, n * sizeof(*imputed));
    if (n > 0)
        st = search_new(&s, im->books, err);
    for (size_t at = 0; at < im->n && n > 0 && st == OK; at += TILE) {
        size_t some = im->n - at < TILE ? im->n - at : TILE;

        likeness(&s, im, X, has, at, some);
        search_tile(&s, im, codes, has, at, some);
    }
    for (size_t slot = 0; slot < n * MODALITIES && st == OK; slot++)
        if (s.found[slot] > 0) {
            size_t m = slot % MODALITIES;
            codes[slot / MODALITIES].code[m] = vote(im, (int)m, s.near + slot * s.k, s.found[slot]);
            imputed[slot / MODALITIES] |= 1U << m;
        }
    search_fini(&s);
    return st;
}
