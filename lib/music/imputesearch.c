/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imputesearch - codes of modalities that a track lacks, from training tracks that are like it.
 *
 * The likeness of two tracks is the sum of cosines over the modalities of the one that asks; a modality that the other
 * lacks adds nothing. Of the nearest training tracks that have the missing modality the most frequent code is taken; of
 * equally frequent ones that with the greater sum of likeness, then the lower. Exact search by products: 2 operations a
 * training track and number, at the speed of products where some ten records ask at once, of memory where one does.
 * Threads share the training tracks; each keeps the nearest of its own, in the order of (likeness, track), and what all
 * have is merged: neither their number nor a record's company changes a code.
 */
#include <stdlib.h>
#include <string.h>

#include "impute.h"

#define ROWS 96 /* records that search together */

/* A neighbour of one record. */
struct near {
    float like;
    uint32_t track;
};

/* What one record still asks for: a modality. */
struct ask {
    uint32_t row; /* of the search */
    int m;
};

/* The nearest so far of the asks, as one thread knows them. */
struct found {
    struct near *near; /* (asks, k), best first */
    size_t *n;         /* (asks) */
};

struct search {
    const struct imputer *im;
    size_t k, n, n_asks; /* neighbours; records that ask; what they ask */
    uint32_t *record;    /* (n) which they are */
    uint64_t *except;    /* (n) id of a track that does not count; or NULL */
    struct ask *ask;     /* by row */
    float *X;            /* (n, dim) */
    bf16 *half;          /* (n, stride), rounded; or NULL */
    size_t stride;
    int threads;
    struct found *found; /* (threads) */
};

static bool
better(struct near a, struct near b)
{
    return a.like > b.like || (!(a.like < b.like) && a.track < b.track);
}

static void
insert(struct near *near, size_t *n, size_t k, struct near one)
{
    size_t i;

    if (*n == k && !better(one, near[k - 1]))
        return;
    i = *n < k ? (*n)++ : k - 1;
    for (; i > 0 && better(one, near[i - 1]); i--)
        near[i] = near[i - 1];
    near[i] = one;
}

/* How many of n numbers are not below x. */
static size_t
count_from(const float *like, size_t n, float x)
{
    uint32_t count = 0;

#pragma omp simd reduction(+ : count)
    for (size_t i = 0; i < n; i++)
        count += like[i] < x ? 0U : 1U;
    return count;
}

/* Offers the tracks of a panel, whose likenesses are like, to one ask. */
static void
offer(const struct search *s, struct found *f, size_t a, const float *like, size_t panel)
{
    const struct ask *ask = &s->ask[a];
    size_t from = panel * s->im->panel, n = s->im->n - from < s->im->panel ? s->im->n - from : s->im->panel;
    struct near *near = f->near + a * s->k;

    if (f->n[a] == s->k && count_from(like, n, near[s->k - 1].like) == 0)
        return;
    for (size_t t = 0; t < n; t++) {
        const struct trained *other = &s->im->track[from + t];

        if ((other->has >> ask->m & 1U) != 0 && (s->except == NULL || s->except[ask->row] != other->id))
            insert(near, &f->n[a], s->k, (struct near){like[t], (uint32_t)(from + t)});
    }
}

/* Products of all records with one panel, ROWS at a time. tile: (ROWS, panel). */
static void
search_panel(const struct search *s, struct found *f, float *tile, size_t panel)
{
    const struct imputer *im = s->im;
    struct packed p = {im->kind, im->panel, im->dim, im->panel_bytes, im->packed[panel]};
    size_t a = 0;

    for (size_t at = 0; at < s->n; at += ROWS) {
        size_t m = s->n - at < ROWS ? s->n - at : ROWS;
        const void *x[ROWS];
        float *y[ROWS];

        for (size_t i = 0; i < m; i++) {
            x[i] = s->half != NULL ? (const void *)(s->half + (at + i) * s->stride) : s->X + (at + i) * im->dim;
            y[i] = tile + i * im->panel;
        }
        packed_some(y, x, &p, m, 0, 1);
        for (; a < s->n_asks && s->ask[a].row < at + m; a++)
            offer(s, f, a, y[s->ask[a].row - at], panel);
    }
}

static enum status
search_all(struct search *s, struct err *err)
{
    float *tiles = calloc((size_t)s->threads * ROWS, s->im->panel * sizeof(*tiles));

    if (tiles == NULL)
        return err_memory(err);
#pragma omp parallel num_threads(s->threads)
    {
        size_t t = (size_t)num_thread();

#pragma omp for schedule(dynamic, 16)
        for (size_t panel = 0; panel < s->im->n_packed; panel++)
            search_panel(s, &s->found[t], tiles + t * ROWS * s->im->panel, panel);
    }
    free(tiles);
    for (int t = 1; t < s->threads; t++)
        for (size_t a = 0; a < s->n_asks; a++)
            for (size_t i = 0; i < s->found[t].n[a]; i++)
                insert(s->found[0].near + a * s->k, &s->found[0].n[a], s->k, s->found[t].near[a * s->k + i]);
    return OK;
}

/* The most frequent code of the neighbours. */
static int32_t
vote(const struct imputer *im, int m, const struct near *near, size_t n)
{
    int32_t best = CODE_NONE;
    size_t most = 0;
    double best_like = 0;

    for (size_t i = 0; i < n; i++) {
        int32_t code = im->track[near[i].track].codes.code[m];
        size_t count = 0;
        double like = 0;

        for (size_t j = 0; j < n; j++)
            if (im->track[near[j].track].codes.code[m] == code) {
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

/* Who asks for what. */
static void
list_asks(struct search *s, const struct codes *codes, const unsigned *has, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t before = s->n_asks;

        for (int m = 0; m < MODALITIES && has[i] != 0; m++)
            if (s->im->books->k[m] > 0 && codes[i].code[m] == CODE_NONE)
                s->ask[s->n_asks++] = (struct ask){(uint32_t)s->n, m};
        if (s->n_asks > before)
            s->record[s->n++] = (uint32_t)i;
    }
}

static enum status
search_new(struct search *s, const struct codes *codes, const float *const *X, const unsigned *has,
    const uint64_t *except, size_t n, struct err *err)
{
    s->record = calloc(n + 1, sizeof(*s->record));
    s->ask = calloc(n * MODALITIES + 1, sizeof(*s->ask));
    s->found = calloc((size_t)s->threads, sizeof(*s->found));
    if (s->record == NULL || s->ask == NULL || s->found == NULL)
        return err_memory(err);
    list_asks(s, codes, has, n);
    s->stride = s->im->kind == PACK_BF16 ? (s->im->dim + 1) / 2 * 2 : 0;
    s->X = calloc(s->n + 1, s->im->dim * sizeof(*s->X) + 1);
    s->half = s->stride > 0 ? calloc(s->n + 1, s->stride * sizeof(*s->half)) : NULL;
    s->except = except != NULL ? calloc(s->n + 1, sizeof(*s->except)) : NULL;
    if (s->X == NULL || (s->stride > 0 && s->half == NULL) || (except != NULL && s->except == NULL))
        return err_memory(err);
    for (int t = 0; t < s->threads; t++) {
        s->found[t].near = calloc(s->n_asks + 1, s->k * sizeof(*s->found[t].near));
        s->found[t].n = calloc(s->n_asks + 1, sizeof(*s->found[t].n));
        if (s->found[t].near == NULL || s->found[t].n == NULL)
            return err_memory(err);
    }
    for (size_t i = 0; i < s->n; i++) {
        imputer_join(s->X + i * s->im->dim, s->im, X, s->record[i], has[s->record[i]]);
        if (s->half != NULL)
            bf16_pack(s->half + i * s->stride, s->X + i * s->im->dim, s->im->dim);
        if (s->except != NULL)
            s->except[i] = except[s->record[i]];
    }
    return OK;
}

static void
search_fini(struct search *s)
{
    for (int t = 0; s->found != NULL && t < s->threads; t++) {
        free(s->found[t].near);
        free(s->found[t].n);
    }
    free(s->found);
    free(s->record);
    free(s->ask);
    free(s->X);
    free(s->half);
    free(s->except);
}

enum status
imputer_fill(struct codes *codes, unsigned *imputed, const struct imputer *im, const float *const *X,
    const unsigned *has, const uint64_t *except, size_t n, size_t neighbours, struct err *err)
{
    struct search s = {.im = im, .k = neighbours, .threads = num_threads()};
    enum status st;

    memset(imputed, 0, n * sizeof(*imputed));
    if ((st = search_new(&s, codes, X, has, except, n, err)) == OK && s.n > 0)
        st = search_all(&s, err);
    for (size_t a = 0; a < s.n_asks && st == OK; a++)
        if (s.found[0].n[a] > 0) {
            uint32_t i = s.record[s.ask[a].row];

            codes[i].code[s.ask[a].m] = vote(im, s.ask[a].m, s.found[0].near + a * s.k, s.found[0].n[a]);
            imputed[i] |= 1U << s.ask[a].m;
        }
    search_fini(&s);
    return st;
}
