/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seeds - k-means++ (Arthur, Vassilvitskii 2007) by matrix products.
 *
 * Each seed is drawn with probability in proportion to the squared distance D² to the nearest seed before it. To
 * bring D² up to date after each draw is to read all vectors k times. Here several seeds are drawn between two such
 * passes, by rejection (after Cohen-Addad, Lattanzi, Norouzi-Fard, Sohler, Svensson, "Fast and Accurate k-Means++ via
 * Rejection Sampling", NeurIPS 2020): a vector is proposed by its D² of the last pass and taken with probability D²
 * now over D² then, which needs its distances to the seeds drawn since and no others. The distribution is the same. A
 * pass is the product of all vectors with one panel of new seeds. Passes come after 1, 1, 2, 4, … draws, up to a
 * panel, since D² falls fast in the beginning; small problems take one draw a pass.
 *
 * Cost: 2 n k dim operations in products. Memory: 12 bytes a vector.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lloyd.h"

#define ONE_BY_ONE 0x1p29 /* n k dim, up to which every draw has its pass */
#define TRIES 3           /* proposals a draw at which a pass is due */
#define NEAR 1e-4F        /* of the squared length: below, distances by products are worth nothing */
#define ROWS ((size_t)96)

struct seeder {
    const struct cloud *cloud;
    float *centroid;
    size_t k;
    struct rng rng;
    float *d;     /* (n) D² as of the last pass */
    double *sum;  /* (n) running sums of d */
    size_t done;  /* seeds that d knows of */
    size_t drawn; /* seeds there are */
    float *norm2; /* (n); NULL one by one */
    void *memory; /* of a packed panel */
    float *half;  /* (panel) half the squared lengths of its seeds */
    size_t panel;
};

/* A vector by its share of d; any if all are 0. */
static size_t
propose(struct seeder *s)
{
    size_t n = s->cloud->n, low = 0, high = n - 1;
    double at;

    if (!(s->sum[n - 1] > 0))
        return (size_t)rng_below(&s->rng, n);
    at = rng_unit(&s->rng) * s->sum[n - 1];
    while (low < high) { /* the first whose running sum is above at */
        size_t middle = low + (high - low) / 2;

        if (s->sum[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    while (low > 0 && !(s->d[low] > 0))
        low--;
    return low;
}

/* Whether vector i is taken in spite of the seeds that d does not know of. */
static bool
keeps(struct seeder *s, size_t i)
{
    float now = s->d[i];

    if (s->done == s->drawn)
        return true;
    for (size_t c = s->done; c < s->drawn; c++) {
        float x = nearest_distance(cloud_at(s->cloud, i), s->centroid + c * s->cloud->dim, s->cloud->dim);
        now = x < now ? x : now;
    }
    return rng_unit(&s->rng) * (double)s->d[i] < (double)now;
}

/* D² to the seeds done … drawn - 1 of m vectors from at on, by products. */
static void
pass_rows(struct seeder *s, const struct packed *p, float *tile, size_t at, size_t m)
{
    size_t dim = s->cloud->dim;
    const void *x[ROWS];
    float *y[ROWS];

    for (size_t i = 0; i < m; i++) {
        x[i] = cloud_at(s->cloud, at + i);
        y[i] = tile + i * s->panel;
    }
    packed_some(y, x, p, m, 0, 1);
    for (size_t i = 0; i < m; i++) {
        float least = INFINITY, norm2 = s->norm2[at + i];
        size_t best = 0;

        for (size_t c = 0; c < s->drawn - s->done; c++)
            if (s->half[c] - y[i][c] < least) {
                least = s->half[c] - y[i][c];
                best = c;
            }
        least = norm2 + 2 * least;
        if (!(least > NEAR * norm2))
            least = nearest_distance(x[i], s->centroid + (s->done + best) * dim, dim);
        s->d[at + i] = least < s->d[at + i] ? least : s->d[at + i];
    }
}

static void
pass_products(struct seeder *s)
{
    size_t n = s->cloud->n, dim = s->cloud->dim, m = s->drawn - s->done;
    struct packed p;

    packed_init(&p, s->memory, PACK_F32, m, dim);
    (void)packed_put(&p, 0, m, (struct packed_source){s->centroid + s->done * dim, false});
    for (size_t c = 0; c < m; c++) {
        const float *v = s->centroid + (s->done + c) * dim;
        s->half[c] = vec_dot(v, v, dim) / 2;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads())
    for (size_t at = 0; at < n; at += ROWS) {
        float tile[ROWS * 64] __attribute__((aligned(64)));

        pass_rows(s, &p, tile, at, n - at < ROWS ? n - at : ROWS);
    }
}

/* Brings d up to date. */
static void
pass(struct seeder *s)
{
    size_t n = s->cloud->n, dim = s->cloud->dim;
    double sum = 0;

    if (s->norm2 != NULL && s->drawn - s->done > 1)
        pass_products(s);
    else {
        const float *v = s->centroid + s->done * dim;

#pragma omp parallel for schedule(static) num_threads(num_threads())
        for (size_t i = 0; i < n; i++) {
            float x = nearest_distance(cloud_at(s->cloud, i), v, dim);
            s->d[i] = x < s->d[i] ? x : s->d[i];
        }
    }
    for (size_t i = 0; i < n; i++)
        s->sum[i] = sum += (double)s->d[i];
    s->done = s->drawn;
}

static void
draw_all(struct seeder *s)
{
    size_t n = s->cloud->n, dim = s->cloud->dim, batch = 1, tries = 0;

    for (size_t i = 0; i < n; i++)
        s->d[i] = INFINITY;
    while (s->drawn < s->k) {
        size_t i = s->drawn == 0 ? (size_t)rng_below(&s->rng, n) : propose(s);

        tries++;
        if (keeps(s, i))
            memcpy(s->centroid + s->drawn++ * dim, cloud_at(s->cloud, i), dim * sizeof(float));
        if (s->drawn - s->done < batch && tries < TRIES * batch && s->drawn < s->k)
            continue;
        if (s->drawn < s->k)
            pass(s);
        batch = s->norm2 == NULL || s->drawn < 2 ? 1 : s->drawn < s->panel ? s->drawn : s->panel;
        tries = 0;
    }
}

enum status
seeds_draw(float *centroid, double *spread, size_t k, const struct cloud *cloud, uint64_t seed, struct err *err)
{
    struct seeder s = {.cloud = cloud, .centroid = centroid, .k = k, .rng = rng_seed(seed, 0x6b6d6e73)};
    bool many = (double)cloud->n * (double)k * (double)cloud->dim > ONE_BY_ONE;
    size_t bytes;
    enum status st = OK;

    s.panel = packed_panel();
    s.d = calloc(cloud->n, sizeof(*s.d));
    s.sum = calloc(cloud->n, sizeof(*s.sum));
    s.half = calloc(s.panel, sizeof(*s.half));
    s.norm2 = many ? calloc(cloud->n, sizeof(*s.norm2)) : NULL;
    if (!packed_size(&bytes, PACK_F32, s.panel, cloud->dim) || (s.memory = aligned_alloc(64, bytes)) == NULL ||
        s.d == NULL || s.sum == NULL || s.half == NULL || (many && s.norm2 == NULL))
        st = err_memory(err);
    if (st == OK && many)
#pragma omp parallel for schedule(static) num_threads(num_threads())
        for (size_t i = 0; i < cloud->n; i++)
            s.norm2[i] = vec_dot(cloud_at(cloud, i), cloud_at(cloud, i), cloud->dim);
    if (st == OK) {
        draw_all(&s);
        *spread = s.sum[cloud->n - 1];
    }
    free(s.d);
    free(s.sum);
    free(s.half);
    free(s.norm2);
    free(s.memory);
    return st;
}
