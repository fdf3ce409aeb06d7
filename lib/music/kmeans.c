/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kmeans - Lloyd's algorithm (1982) with exact assignment.
 *
 * Seeds: greedy k-means++ (seeds.c) over a sample of at most 32 vectors a cluster. Where the sample is not
 * everything, Lloyd's rounds over it, and over samples twice as large until one is everything, refine the seeds first
 * (after Bradley and Fayyad, "Refining Initial Points for K-Means Clustering", ICML 1998), unless the seeds show no
 * clusters; over the first sample centroids are also moved to where they are of more use (relocate.c). Most of the way
 * is gone at a small part of the price. A sample is the vectors with the least keys, so that the larger holds the
 * smaller and their order in the stream does not matter. A cluster that loses its last vector takes the vector that
 * lies farthest from its centroid. Spherical variant: Dhillon and Modha 2001; the mean is scaled to length 1.
 *
 * A round costs at most 2 n k dim operations in matrix products (nearest.c), less where bounds show that nothing can
 * change (bounds.c), and two rows of memory a vector that changes (sums.c). Memory beyond the vectors: about 40 bytes
 * a vector and 4 for every 64 clusters, up to 128; 16 bytes a number of the centroids; a tile of at most 6 MB a
 * thread. No number of threads changes a bit, nor does the kind of products. Ties go to the lower index.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lloyd.h"

#define SAMPLE 32        /* vectors a cluster that seeds are drawn from, and first refined with */
#define GAIN 0.003       /* share of the inertia that a round over a sample must gain for another */
#define SAMPLE_ROUNDS 12 /* over a sample, at most */
#define RELOCATIONS 6    /* over the first sample, at most */
#define MOVED 0.001      /* share of the inertia that one must gain for another */
#define MEAN_OF 4096     /* vectors that give the mean for products of bfloat16 */

struct run {
    const struct kmeans_options *o;
    const float *X; /* (n, dim) */
    size_t n, dim;
    float *mean;
    struct kmeans *km;
    void (*progress)(void *arg, size_t iteration, double inertia);
    void *arg;
};

/* One set of vectors under way. */
struct rounds {
    struct bounds *bounds;
    struct sums *sums;
    uint64_t *count; /* (k) */
    double inertia;
    size_t live;
};

/* ---- empty clusters ---- */

/* The vector farthest from its centroid whose cluster has others; n if none is away from its centroid. */
static size_t
farthest(const struct rounds *s, const float *distance, size_t n)
{
    const uint32_t *code = bounds_code(s->bounds);
    size_t best = n;

    for (size_t i = 0; i < n; i++)
        if (distance[i] > 0 && s->count[code[i]] > 1 && (best == n || distance[i] > distance[best]))
            best = i;
    return best;
}

/*
 * Gives every empty cluster the farthest vector, which makes it a cluster of its own; false if there is none to give.
 */
static bool
reseed(struct rounds *s, size_t n, size_t k)
{
    const float *distance = bounds_distance(s->bounds);
    bool any = false;

    for (size_t c = 0; c < k; c++) {
        size_t i;
        if (s->count[c] > 0 || (i = farthest(s, distance, n)) == n)
            continue;
        s->count[bounds_code(s->bounds)[i]]--;
        s->count[c] = 1;
        bounds_move(s->bounds, i, (uint32_t)c);
        any = true;
    }
    if (any)
        sums_follow(s->sums, bounds_code(s->bounds));
    return any;
}

/* ---- rounds ---- */

static enum status
assign(size_t *changed, struct rounds *s, const struct run *r, struct err *err)
{
    size_t k = r->o->k;

    if (bounds_assign(changed, s->bounds, r->km->centroid, err) != OK)
        return err->status;
    sums_follow(s->sums, bounds_code(s->bounds));
    memcpy(s->count, sums_count(s->sums), k * sizeof(*s->count));
    s->live = 0;
    for (size_t c = 0; c < k; c++)
        s->live += s->count[c] > 0;
    s->inertia = sums_inertia(s->sums, r->km->centroid);
    return OK;
}

/* Rounds over the vectors of cloud, all of them or a sample. */
static enum status
go_round(struct rounds *s, struct run *r, const struct cloud *cloud, bool all, struct err *err)
{
    size_t k = r->o->k, changed, most = all ? r->o->iterations : SAMPLE_ROUNDS;
    enum status st = assign(&changed, s, r, err);

    for (size_t i = 0; i < most && st == OK && (!all || !(s->inertia <= r->o->target)); i++) {
        double before = s->inertia;
        bool moved = s->live < k && reseed(s, cloud->n, k);

        sums_means(r->km->centroid, s->sums, r->o->unit);
        if ((st = assign(&changed, s, r, err)) != OK)
            break;
        if (!all && s->inertia > before * (1 - GAIN))
            break;
        if (all) {
            r->km->iterations = i + 1;
            if (r->progress != NULL)
                r->progress(r->arg, i + 1, s->inertia);
        }
        if (changed == 0 && (s->live == k || !moved))
            break;
    }
    return st;
}

/* Rounds over a sample after centroids have been moved, as long as the inertia falls by it. */
static enum status
improve(struct rounds *s, struct run *r, const struct cloud *cloud, struct err *err)
{
    size_t numbers = r->o->k * r->dim, moved = 0;
    float *before = calloc(numbers, sizeof(*before));
    enum status st = before == NULL ? err_memory(err) : OK;

    for (int i = 0; i < RELOCATIONS && st == OK; i++) {
        double inertia = s->inertia;

        memcpy(before, r->km->centroid, numbers * sizeof(*before));
        st = relocate(&moved, r->km->centroid, r->o->k, cloud, bounds_code(s->bounds), s->count, err);
        if (st != OK || moved == 0 || (st = go_round(s, r, cloud, false, err)) != OK)
            break;
        if (s->inertia > inertia * (1 - MOVED)) {
            if (s->inertia > inertia)
                memcpy(r->km->centroid, before, numbers * sizeof(*before));
            break;
        }
    }
    free(before);
    return st;
}

static void
take_over(struct run *r, struct rounds *s)
{
    const float *distance = bounds_distance(s->bounds);

    memcpy(r->km->count, s->count, r->o->k * sizeof(*s->count));
    r->km->live = s->live;
    r->km->looked = bounds_looked(s->bounds) / (double)r->n;
    for (size_t i = 0; i < r->n; i++)
        r->km->inertia += (double)distance[i];
}

static enum status
cluster(struct run *r, const uint32_t *row, size_t n, bool first, struct err *err)
{
    struct cloud cloud = {r->X, row, n, r->dim};
    struct rounds s = {.count = calloc(r->o->k, sizeof(*s.count))};
    enum status st = s.count == NULL ? err_memory(err) : OK;

    if (st == OK && (st = bounds_new(&s.bounds, &cloud, r->o->k, r->o->half, r->mean, err)) == OK &&
        (st = sums_new(&s.sums, &cloud, r->o->k, err)) == OK)
        st = go_round(&s, r, &cloud, n == r->n, err);
    if (st == OK && first)
        st = improve(&s, r, &cloud, err);
    if (st == OK && n == r->n)
        take_over(r, &s);
    bounds_free(s.bounds);
    sums_free(s.sums);
    free(s.count);
    return st;
}

/* ---- samples ---- */

/* All rows by their keys; NULL without memory. */
static uint32_t *
shuffled(const struct run *r)
{
    struct keyed *all = calloc(r->n, sizeof(*all));
    uint32_t *row = calloc(r->n, sizeof(*row));

    for (size_t i = 0; i < r->n && all != NULL; i++) {
        uint64_t id = r->o->key == NULL ? i : r->o->key[i];
        all[i] = (struct keyed){hash64(r->o->seed, &id, sizeof(id)), (uint32_t)i};
    }
    if (all != NULL && row != NULL) {
        keyed_sort(all, r->n);
        for (size_t i = 0; i < r->n; i++)
            row[i] = all[i].row;
    } else {
        free(row);
        row = NULL;
    }
    free(all);
    return row;
}

/* The mean that products of bfloat16 leave out: any will do, a good one lets more be excluded. */
static void
find_mean(struct run *r)
{
    size_t step = r->n / MEAN_OF + 1, m = 0;

    for (size_t i = 0; i < r->n; i += step, m++)
        vec_axpy(r->mean, 1, r->X + i * r->dim, r->dim);
    for (size_t j = 0; j < r->dim; j++)
        r->mean[j] /= (float)m;
}

/*
 * Seeds, refined by ever larger samples if they tell more of the vectors than their mean does. If not, as where there
 * are no clusters, a small sample leads astray: its vectors stay with what they happened to begin with.
 */
static enum status
begin(struct run *r, struct err *err)
{
    size_t k = r->o->k, m = r->n;
    uint32_t *row = shuffled(r);
    struct cloud cloud = {r->X, row, r->n / SAMPLE > k ? k * SAMPLE : r->n, r->dim};
    double left = 1;
    enum status st;

    if (row == NULL)
        return err_memory(err);
    st = seeds_draw(r->km->centroid, &left, k, &cloud, r->o->seed, err);
    while (left < 1 && m / 2 >= k * SAMPLE)
        m /= 2;
    for (bool first = true; m < r->n && st == OK; m *= 2, first = false)
        st = cluster(r, row, m, first, err);
    free(row);
    return st;
}

enum status
kmeans_run(struct kmeans **out, const float *X, size_t n, size_t dim, const struct kmeans_options *o,
    void (*progress)(void *arg, size_t iteration, double inertia), void *arg, struct err *err)
{
    struct run r = {.o = o, .X = X, .n = n, .dim = dim, .progress = progress, .arg = arg};
    enum status st = OK;

    *out = NULL;
    if ((r.km = calloc(1, sizeof(*r.km))) == NULL)
        return err_memory(err);
    r.km->k = o->k;
    r.km->dim = dim;
    r.km->centroid = calloc(o->k, dim * sizeof(float));
    r.km->count = calloc(o->k, sizeof(*r.km->count));
    r.mean = o->half ? calloc(dim, sizeof(*r.mean)) : NULL;
    if (r.km->centroid == NULL || r.km->count == NULL || (o->half && r.mean == NULL))
        st = err_memory(err);
    if (st == OK && o->half)
        find_mean(&r);
    if (st == OK && (st = begin(&r, err)) == OK)
        st = cluster(&r, NULL, n, false, err);
    free(r.mean);
    if (st == OK)
        *out = r.km;
    else
        kmeans_free(r.km);
    return st;
}

void
kmeans_free(struct kmeans *km)
{
    if (km == NULL)
        return;
    free(km->centroid);
    free(km->count);
    free(km);
}
