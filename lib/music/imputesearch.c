/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imputesearch - codes of modalities that a track lacks, from training tracks that are like it.
 *
 * The likeness of two tracks is the sum of cosines over the modalities of the one that asks; a modality that the other
 * lacks adds nothing. Of the nearest training tracks that have the missing modality the most frequent code is taken; of
 * equally frequent ones that with the greater sum of likeness, then the lower.
 *
 * Exact search by products, a modality after the other: those that a record lacks are passed over, and since no cosine
 * is above 1, a record is done with a panel of tracks as soon as none of them can come near enough. At most 2
 * operations a training track and number, at the speed of products where some ten records ask at once, of memory where
 * one does. Threads share the training tracks; each keeps the nearest of its own, in the order of (likeness, track),
 * and what all have is merged: neither their number nor a record's company changes a code.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "impute.h"

#define ROWS 96     /* records that search together */
#define CHANCE 0.4F /* what some track of a panel mostly has: not worth a look whether one has it */

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
    unsigned *has;       /* (n) what they have */
    uint64_t *except;    /* (n) id of a track that does not count; or NULL */
    struct ask *ask;     /* by row */
    uint32_t *first;     /* (n + 1) of a row's asks */
    float *X;            /* (n, dim) */
    bf16 *half;          /* (n, dim), rounded; or NULL */
    float gain[1U << MODALITIES];
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

/* The least likeness that row i can do with: that of the last neighbour, where all asks have as many as they want. */
static float
wanted(const struct search *s, const struct found *f, size_t i)
{
    float least = INFINITY;

    for (size_t a = s->first[i]; a < s->first[i + 1]; a++) {
        float like = f->n[a] < s->k ? -INFINITY : f->near[a * s->k + s->k - 1].like;

        least = like < least ? like : least;
    }
    return least;
}

/* For each set of modalities, as bits: more than any track can gain there, cosines and what their roundings come to. */
static void
set_gains(struct search *s)
{
    for (unsigned set = 0; set < 1U << MODALITIES; set++) {
        s->gain[set] = 0;
        for (int m = 0; m < MODALITIES; m++)
            if ((set >> m & 1U) != 0)
                s->gain[set] +=
                    1 + (s->half != NULL ? 0x1p-6F : 0x1p-18F) + (float)s->im->books->dim[m] * MODALITIES * 0x1p-23F;
    }
}

/* The rows of a block that are still looked at, with what they can do with and what is not yet multiplied. */
struct live {
    size_t n, row[ROWS];
    float want[ROWS];
    unsigned left[ROWS];
};

/* Products in modality m, into tile (rows, panel); then rows go that no track of the panel can come near enough to. */
static void
multiply(struct live *live, const struct search *s, float *tile, size_t panel, size_t at, int m)
{
    const struct imputer *im = s->im;
    struct packed p = {im->kind, im->panel, im->dim, im->panel_bytes, im->packed[panel]};
    const void *x[ROWS];
    float *y[ROWS];
    size_t n = 0, kept = 0;

    for (size_t j = 0; j < live->n; j++)
        if ((live->left[j] >> m & 1U) != 0) {
            size_t from = (at + live->row[j]) * im->dim + im->at[m];

            x[n] = s->half != NULL ? (const void *)(s->half + from) : s->X + from;
            y[n++] = tile + live->row[j] * im->panel;
        }
    packed_some(y, x, &p, n, (struct packed_part){.to = 1, .k = im->at[m], .n = im->width[m], .more = true});
    for (size_t j = 0; j < live->n; j++) {
        bool news = (live->left[j] >> m & 1U) != 0;
        unsigned left = live->left[j] & ~(1U << m);
        float least = live->want[j] - s->gain[left];

        if (news && least > CHANCE && count_from(tile + live->row[j] * im->panel, im->panel, least) == 0)
            continue;
        live->row[kept] = live->row[j];
        live->want[kept] = live->want[j];
        live->left[kept++] = left;
    }
    live->n = kept;
}

/* Products of all records with one panel, ROWS at a time. tile: (ROWS, panel). */
static void
search_panel(const struct search *s, struct found *f, float *tile, size_t panel)
{
    for (size_t at = 0; at < s->n; at += ROWS) {
        struct live live = {.n = s->n - at < ROWS ? s->n - at : ROWS};

        for (size_t i = 0; i < live.n; i++) {
            live.row[i] = i;
            live.want[i] = wanted(s, f, at + i);
            live.left[i] = s->has[at + i];
        }
        memset(tile, 0, live.n * s->im->panel * sizeof(*tile));
        for (int i = 0; i < MODALITIES; i++)
            multiply(&live, s, tile, panel, at, s->im->order[i]);
        for (size_t j = 0; j < live.n; j++)
            for (size_t a = s->first[at + live.row[j]]; a < s->first[at + live.row[j] + 1]; a++)
                offer(s, f, a, tile + live.row[j] * s->im->panel, panel);
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
        if (s->n_asks == before)
            continue;
        s->record[s->n] = (uint32_t)i;
        s->has[s->n] = has[i];
        s->first[++s->n] = (uint32_t)s->n_asks;
    }
}

static enum status
search_new(struct search *s, const struct codes *codes, const float *const *X, const unsigned *has,
    const uint64_t *except, size_t n, struct err *err)
{
    bool half = s->im->kind == PACK_BF16;

    s->record = calloc(n + 1, sizeof(*s->record));
    s->ask = calloc(n * MODALITIES + 1, sizeof(*s->ask));
    s->first = calloc(n + 1, sizeof(*s->first));
    s->has = calloc(n + 1, sizeof(*s->has));
    s->found = calloc((size_t)s->threads, sizeof(*s->found));
    if (s->record == NULL || s->ask == NULL || s->first == NULL || s->has == NULL || s->found == NULL)
        return err_memory(err);
    list_asks(s, codes, has, n);
    s->X = calloc(s->n + 1, s->im->dim * sizeof(*s->X) + 1);
    s->half = half ? calloc(s->n + 1, s->im->dim * sizeof(*s->half)) : NULL;
    s->except = except != NULL ? calloc(s->n + 1, sizeof(*s->except)) : NULL;
    if (s->X == NULL || (half && s->half == NULL) || (except != NULL && s->except == NULL))
        return err_memory(err);
    set_gains(s);
    for (int t = 0; t < s->threads; t++) {
        s->found[t].near = calloc(s->n_asks + 1, s->k * sizeof(*s->found[t].near));
        s->found[t].n = calloc(s->n_asks + 1, sizeof(*s->found[t].n));
        if (s->found[t].near == NULL || s->found[t].n == NULL)
            return err_memory(err);
    }
    for (size_t i = 0; i < s->n; i++) {
        imputer_join(s->X + i * s->im->dim, s->im, X, s->record[i], has[s->record[i]]);
        if (s->half != NULL)
            bf16_pack(s->half + i * s->im->dim, s->X + i * s->im->dim, s->im->dim);
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
    free(s->first);
    free(s->has);
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
