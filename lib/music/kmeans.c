/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kmeans - Lloyd's algorithm (1982) with exact assignment.
 *
 * Seeds: k-means++ (Arthur and Vassilvitskii 2007) over a seeded sample of at most 64 vectors a cluster, since its K
 * passes over everything would cost as much as a round of Lloyd and run at the speed of memory. A cluster that loses
 * its last vector takes the vector that lies farthest from its centroid. Spherical variant: Dhillon and Modha 2001; the
 * mean is scaled to length 1.
 *
 * A round costs 2 n K dim operations in matrix products; memory beyond the vectors is 16 bytes a vector, K dim doubles
 * and a tile of at most 16 MB. The sums of a round are taken over a cluster's vectors in their order, a cluster to a
 * thread: no number of threads changes a bit. Ties go to the lower index.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "music/music.h"
#include "num/num.h"

#define SAMPLE_PER_CLUSTER 64
#define TILE_FLOATS ((size_t)4 << 20)
#define LANES 16

struct run {
    const struct kmeans_options *o;
    const float *X; /* (n, dim) */
    size_t n, dim;
    struct kmeans *km;
    uint32_t *code;  /* (n) cluster of each vector */
    float *distance; /* (n) squared, to its centroid */
    float *norm;     /* (n) squared length */
    float *half;     /* (k) half the squared length of a centroid */
    float *tile;     /* (rows, k) products */
    size_t rows;     /* of a tile */
    uint32_t *order; /* (n) vectors by cluster */
    size_t *start;   /* (k + 1) where a cluster begins in order */
    size_t changed;
};

/* Squared distance, in lanes that are written out: the order of the sum is the source's, not the vectoriser's. */
static float
squared_distance(const float *x, const float *y, size_t n)
{
    float s[LANES] = {0}, sum = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) {
            float d = x[i + j] - y[i + j];
            s[j] += d * d;
        }
    for (; i < n; i++)
        s[i % LANES] += (x[i] - y[i]) * (x[i] - y[i]);
    for (size_t j = 0; j < LANES; j++)
        sum += s[j];
    return sum;
}

/* The index at which the running sum of d passes a uniform share of the whole; any index if all are 0. */
static size_t
draw(struct rng *rng, const float *d, size_t n)
{
    double total = 0, at, sum = 0;
    size_t last = 0;

    for (size_t i = 0; i < n; i++)
        total += (double)d[i];
    if (!(total > 0))
        return (size_t)rng_below(rng, n);
    at = rng_unit(rng) * total;
    for (size_t i = 0; i < n; i++) {
        if (d[i] > 0)
            last = i;
        sum += (double)d[i];
        if (sum > at)
            return last;
    }
    return last;
}

/* k-means++ over the sample (m indices of vectors); d has room for m. */
static void
seed_from(struct run *r, struct rng *rng, const uint32_t *sample, float *d, size_t m)
{
    size_t dim = r->dim;

    for (size_t i = 0; i < m; i++)
        d[i] = INFINITY;
    for (size_t c = 0; c < r->km->k; c++) {
        size_t pick = c == 0 ? (size_t)rng_below(rng, m) : draw(rng, d, m);
        float *centroid = r->km->centroid + c * dim;

        memcpy(centroid, r->X + (size_t)sample[pick] * dim, dim * sizeof(float));
#pragma omp parallel for schedule(static) num_threads(num_threads())
        for (size_t i = 0; i < m; i++) {
            float x = squared_distance(r->X + (size_t)sample[i] * dim, centroid, dim);
            d[i] = x < d[i] ? x : d[i];
        }
    }
}

static enum status
seed_centroids(struct run *r, struct err *err)
{
    size_t m = r->o->k * SAMPLE_PER_CLUSTER < r->n ? r->o->k * SAMPLE_PER_CLUSTER : r->n;
    struct rng rng = rng_seed(r->o->seed, 0x6b6d6e73);
    uint32_t *sample = r->order; /* free until the first round */
    float *d = malloc(m * sizeof(*d));

    if (d == NULL)
        return err_memory(err);
    for (size_t i = 0; i < r->n; i++)
        sample[i] = (uint32_t)i;
    for (size_t i = 0; i < m && m < r->n; i++) { /* the first m of a Fisher-Yates shuffle */
        size_t j = i + (size_t)rng_below(&rng, r->n - i);
        uint32_t t = sample[i];
        sample[i] = sample[j];
        sample[j] = t;
    }
    seed_from(r, &rng, sample, d, m);
    free(d);
    return OK;
}

/* The nearest centroid of vector i, whose products with all of them are in dot. */
static uint32_t
nearest(const struct run *r, const float *dot)
{
    uint32_t best = 0;
    float least = r->half[0] - dot[0];

    for (size_t c = 1; c < r->km->k; c++) {
        float x = r->half[c] - dot[c];
        if (x < least) {
            least = x;
            best = (uint32_t)c;
        }
    }
    return best;
}

/* Assigns every vector: |x - c|² is least where |c|²/2 - x·c is. */
static void
assign(struct run *r)
{
    size_t k = r->km->k, dim = r->dim, changed = 0;

    for (size_t c = 0; c < k; c++) {
        const float *v = r->km->centroid + c * dim;
        r->half[c] = vec_dot(v, v, dim) / 2;
    }
    for (size_t at = 0; at < r->n; at += r->rows) {
        size_t m = r->n - at < r->rows ? r->n - at : r->rows;

        mat_mul(r->tile, k, r->X + at * dim, dim, false, r->km->centroid, dim, true, m, k, dim, 1, 0);
#pragma omp parallel for schedule(static) reduction(+ : changed) num_threads(num_threads())
        for (size_t i = 0; i < m; i++) {
            uint32_t c = nearest(r, r->tile + i * k);
            changed += c != r->code[at + i];
            r->code[at + i] = c;
            /* Not from the product: that would lose the small distances to cancellation. */
            r->distance[at + i] = squared_distance(r->X + (at + i) * dim, r->km->centroid + c * dim, dim);
        }
    }
    r->changed = changed;
}

/* Counts, and the vectors by cluster in their own order. */
static void
group(struct run *r)
{
    size_t k = r->km->k, *start = r->start;

    memset(start, 0, (k + 1) * sizeof(*start));
    for (size_t i = 0; i < r->n; i++)
        start[r->code[i] + 1]++;
    r->km->live = 0;
    for (size_t c = 0; c < k; c++) {
        r->km->count[c] = start[c + 1];
        r->km->live += start[c + 1] > 0;
        start[c + 1] += start[c];
    }
    for (size_t i = 0; i < r->n; i++)
        r->order[start[r->code[i]]++] = (uint32_t)i;
    for (size_t c = k; c > 0; c--)
        start[c] = start[c - 1];
    start[0] = 0;
}

/* The vector farthest from its centroid whose cluster has others; n if none is away from its centroid. */
static size_t
farthest(const struct run *r)
{
    size_t best = r->n;

    for (size_t i = 0; i < r->n; i++)
        if (r->distance[i] > 0 && r->km->count[r->code[i]] > 1 && (best == r->n || r->distance[i] > r->distance[best]))
            best = i;
    return best;
}

/* Gives every empty cluster the farthest vector, which makes it a cluster of its own. */
static void
reseed(struct run *r)
{
    bool any = false;

    for (size_t c = 0; c < r->km->k; c++) {
        size_t i;
        if (r->km->count[c] > 0 || (i = farthest(r)) == r->n)
            continue;
        r->km->count[r->code[i]]--;
        r->km->count[c] = 1;
        r->code[i] = (uint32_t)c;
        r->distance[i] = 0;
        any = true;
    }
    if (any)
        group(r);
}

/* Means; an empty cluster, and under unit one whose vectors cancel out, keeps its place. */
static void
update(struct run *r, double *sums)
{
    size_t dim = r->dim;

#pragma omp parallel for schedule(dynamic, 4) num_threads(num_threads())
    for (size_t c = 0; c < r->km->k; c++) {
        double *sum = sums + c * dim, norm = 0;
        size_t n = r->start[c + 1] - r->start[c];

        memset(sum, 0, dim * sizeof(*sum));
        for (size_t i = r->start[c]; i < r->start[c + 1]; i++) {
            const float *x = r->X + (size_t)r->order[i] * dim;
            for (size_t j = 0; j < dim; j++)
                sum[j] += (double)x[j];
        }
        for (size_t j = 0; j < dim; j++)
            norm += sum[j] * sum[j];
        norm = r->o->unit ? sqrt(norm) : (double)n;
        for (size_t j = 0; j < dim && norm > 0; j++)
            r->km->centroid[c * dim + j] = (float)(sum[j] / norm);
    }
}

static double
inertia(const struct run *r)
{
    double sum = 0;

    for (size_t i = 0; i < r->n; i++)
        sum += (double)r->distance[i];
    return sum;
}

static enum status
run_new(struct run *r, struct err *err)
{
    size_t k = r->o->k, n = r->n;

    r->rows = TILE_FLOATS / k > 0 ? TILE_FLOATS / k : 1;
    r->rows = r->rows > n ? n : r->rows;
    r->code = calloc(n, sizeof(*r->code));
    r->distance = calloc(n, sizeof(*r->distance));
    r->half = calloc(k, sizeof(*r->half));
    r->tile = calloc(r->rows, k * sizeof(*r->tile));
    r->order = calloc(n, sizeof(*r->order));
    r->start = calloc(k + 1, sizeof(*r->start));
    if ((r->km = calloc(1, sizeof(*r->km))) == NULL)
        return err_memory(err);
    r->km->k = k;
    r->km->dim = r->dim;
    r->km->centroid = calloc(k, r->dim * sizeof(float));
    r->km->count = calloc(k, sizeof(*r->km->count));
    if (r->code == NULL || r->distance == NULL || r->half == NULL || r->tile == NULL || r->order == NULL ||
        r->start == NULL || r->km->centroid == NULL || r->km->count == NULL)
        return err_memory(err);
    return OK;
}

enum status
kmeans_run(struct kmeans **out, const float *X, size_t n, size_t dim, const struct kmeans_options *o,
    void (*progress)(void *arg, size_t iteration, double inertia), void *arg, struct err *err)
{
    struct run r = {.o = o, .X = X, .n = n, .dim = dim};
    double *sums = NULL;
    enum status st;

    *out = NULL;
    if ((st = run_new(&r, err)) != OK || (st = seed_centroids(&r, err)) != OK)
        goto done;
    if ((sums = calloc(o->k, dim * sizeof(*sums))) == NULL) {
        st = err_memory(err);
        goto done;
    }
    assign(&r);
    group(&r);
    for (size_t i = 0; i < o->iterations; i++) {
        reseed(&r);
        update(&r, sums);
        assign(&r);
        group(&r);
        r.km->iterations = i + 1;
        if (progress != NULL)
            progress(arg, i + 1, inertia(&r));
        if (r.changed == 0 && (r.km->live == o->k || farthest(&r) == n))
            break;
    }
    r.km->inertia = inertia(&r);
done:
    free(r.code);
    free(r.distance);
    free(r.half);
    free(r.tile);
    free(r.order);
    free(r.start);
    free(sums);
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
