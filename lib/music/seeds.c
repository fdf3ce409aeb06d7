/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seeds - greedy k-means++ by matrix products.
 *
 * k-means++ (Arthur, Vassilvitskii 2007) draws each seed with probability in proportion to the squared distance D² to
 * the nearest seed before it. The greedy variant, which its authors used and found better, draws several and keeps the
 * one that brings the sum of D² down most: two seeds in one cluster and none in another become rare, which no later
 * round would mend. Here CANDIDATES are drawn at once, one product gives their distances to all vectors, and the PICKS
 * best of them, each the best beside those before it, become seeds.
 *
 * Long vectors are projected on SHORT random signs before (Johnson, Lindenstrauss 1984; Achlioptas 2003): squared
 * distances keep their order but for an eighth of their size or so, which is enough to choose by.
 *
 * Cost: 2 n k dim CANDIDATES / PICKS operations in products, dim at most SHORT, and n k CANDIDATES sums. Memory: 4
 * (dim + CANDIDATES + 4) bytes a vector.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lloyd.h"

#define SHORT 128
#define CANDIDATES 32
#define PICKS 4
#define NEAR 1e-5F /* of the squared length: below, a distance by products is none */
#define ROWS 256   /* a block of vectors whose sums are one thread's */

struct seeder {
    size_t n, dim; /* of what distances are taken of */
    float *x;      /* (n, dim) with mean 0 */
    float *norm2;  /* (n) */
    float *d;      /* (n) D² */
    double *sum;   /* (n) running sums of d */
    float *c;      /* (CANDIDATES, dim) */
    float *t;      /* (n, CANDIDATES) D² if that candidate were a seed, too */
    float *part;   /* (blocks, CANDIDATES) sums of t over a block of rows */
    struct rng rng;
};

/* ---- the vectors ---- */

/* Rows from .. from + m - 1 of the cloud as SHORT sums of their numbers with random signs R (dim, SHORT). */
static void
project(struct seeder *s, const struct cloud *cloud, const float *R, float *rows, size_t from, size_t m)
{
    for (size_t i = 0; i < m; i++)
        memcpy(rows + i * cloud->dim, cloud_at(cloud, from + i), cloud->dim * sizeof(float));
    mat_mul(s->x + from * SHORT, SHORT, rows, cloud->dim, false, R, SHORT, false, m, SHORT, cloud->dim, 1, 0);
}

static enum status
project_all(struct seeder *s, const struct cloud *cloud, struct err *err)
{
    float *R = calloc(cloud->dim, SHORT * sizeof(*R)), *rows = calloc(ROWS, cloud->dim * sizeof(*rows));
    enum status st = R == NULL || rows == NULL ? err_memory(err) : OK;

    for (size_t i = 0; i < cloud->dim * SHORT && st == OK; i += 64) {
        uint64_t bits = rng_u64(&s->rng);

        for (size_t j = 0; j < 64; j++, bits >>= 1)
            R[i + j] = (bits & 1) != 0 ? 1 : -1;
    }
    for (size_t i = 0; i < s->n && st == OK; i += ROWS)
        project(s, cloud, R, rows, i, s->n - i < ROWS ? s->n - i : ROWS);
    free(R);
    free(rows);
    return st;
}

static enum status
center(struct seeder *s, struct err *err)
{
    double *mean = calloc(s->dim, sizeof(*mean));

    if (mean == NULL)
        return err_memory(err);
    for (size_t i = 0; i < s->n; i++)
        for (size_t j = 0; j < s->dim; j++)
            mean[j] += (double)s->x[i * s->dim + j];
    for (size_t i = 0; i < s->n; i++) {
        float *x = s->x + i * s->dim;

        for (size_t j = 0; j < s->dim; j++)
            x[j] -= (float)(mean[j] / (double)s->n);
        s->norm2[i] = vec_dot(x, x, s->dim);
    }
    free(mean);
    return OK;
}

/* ---- draws ---- */

static double
running_sums(struct seeder *s)
{
    double sum = 0;

    for (size_t i = 0; i < s->n; i++)
        s->sum[i] = sum += (double)s->d[i];
    return sum;
}

/* A vector by its share of d, which are not all 0. */
static size_t
propose(struct seeder *s)
{
    size_t low = 0, high = s->n - 1;
    double at = rng_unit(&s->rng) * s->sum[s->n - 1];

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

/* t and its sums for m candidates. */
static void
try_all(struct seeder *s, const size_t *candidate, size_t m)
{
    float norm2[CANDIDATES];

    for (size_t j = 0; j < m; j++) {
        memcpy(s->c + j * s->dim, s->x + candidate[j] * s->dim, s->dim * sizeof(float));
        norm2[j] = s->norm2[candidate[j]];
    }
    mat_mul(s->t, CANDIDATES, s->x, s->dim, false, s->c, s->dim, true, s->n, m, s->dim, -2, 0);
#pragma omp parallel for schedule(static) num_threads(num_threads())
    for (size_t at = 0; at < s->n; at += ROWS) {
        float *part = s->part + at / ROWS * CANDIDATES;

        memset(part, 0, CANDIDATES * sizeof(*part));
        for (size_t i = at; i < s->n && i < at + ROWS; i++) {
            float *t = s->t + i * CANDIDATES, least = NEAR * s->norm2[i];

            for (size_t j = 0; j < m; j++) {
                float d = t[j] + s->norm2[i] + norm2[j];

                d = d > least ? d : 0;
                t[j] = d < s->d[i] ? d : s->d[i];
                part[j] += t[j];
            }
        }
    }
}

/* Candidate c is a seed now. */
static void
settle(struct seeder *s, size_t c, size_t m)
{
#pragma omp parallel for schedule(static) num_threads(num_threads())
    for (size_t at = 0; at < s->n; at += ROWS) {
        float *part = s->part + at / ROWS * CANDIDATES;

        memset(part, 0, CANDIDATES * sizeof(*part));
        for (size_t i = at; i < s->n && i < at + ROWS; i++) {
            float *t = s->t + i * CANDIDATES, d = s->d[i] = t[c];

            for (size_t j = 0; j < m; j++) {
                t[j] = t[j] < d ? t[j] : d;
                part[j] += t[j];
            }
        }
    }
}

/* The candidate that leaves the least; *left is how much. */
static size_t
best(double *left, const struct seeder *s, size_t m)
{
    double sum[CANDIDATES] = {0};
    size_t least = 0;

    for (size_t at = 0; at < s->n; at += ROWS)
        for (size_t j = 0; j < m; j++)
            sum[j] += (double)s->part[at / ROWS * CANDIDATES + j];
    for (size_t j = 1; j < m; j++)
        least = sum[j] < sum[least] ? j : least;
    *left = sum[least];
    return least;
}

/* Up to `most` seeds; at least one. */
static size_t
draw(struct seeder *s, size_t *seed, size_t most, size_t m)
{
    size_t candidate[CANDIDATES], n = 0;
    double before = running_sums(s), left;

    if (!(before > 0)) { /* fewer distinct vectors than seeds */
        seed[0] = (size_t)rng_below(&s->rng, s->n);
        return 1;
    }
    for (size_t j = 0; j < m; j++)
        candidate[j] = propose(s);
    try_all(s, candidate, m);
    for (; n < most; n++) {
        size_t c = best(&left, s, m);

        if (n > 0 && !(left < before))
            break; /* what is left of the candidates lies where seeds are */
        seed[n] = candidate[c];
        settle(s, c, m);
        s->d[seed[n]] = 0;
        before = left;
    }
    return n;
}

static void
draw_all(struct seeder *s, size_t *seed, size_t k)
{
    size_t drawn = 0;

    for (size_t i = 0; i < s->n; i++)
        s->d[i] = INFINITY;
    seed[drawn++] = (size_t)rng_below(&s->rng, s->n); /* the first evenly */
    try_all(s, seed, 1);
    settle(s, 0, 1);
    s->d[seed[0]] = 0;
    while (drawn < k) {
        size_t m = drawn * CANDIDATES / PICKS, most = drawn < PICKS ? drawn : PICKS;

        drawn += draw(s, seed + drawn, most < k - drawn ? most : k - drawn, m < CANDIDATES ? m : CANDIDATES);
    }
}

/* ---- the whole ---- */

static void
seeder_free(struct seeder *s)
{
    free(s->x);
    free(s->norm2);
    free(s->d);
    free(s->sum);
    free(s->c);
    free(s->t);
    free(s->part);
}

static enum status
seeder_init(struct seeder *s, const struct cloud *cloud, uint64_t seed, struct err *err)
{
    size_t n = cloud->n;

    *s = (struct seeder){.n = n, .dim = cloud->dim > SHORT ? SHORT : cloud->dim, .rng = rng_seed(seed, 0x6b6d6e73)};
    s->x = calloc(n, s->dim * sizeof(*s->x));
    s->norm2 = calloc(n, sizeof(*s->norm2));
    s->d = calloc(n, sizeof(*s->d));
    s->sum = calloc(n, sizeof(*s->sum));
    s->c = calloc(CANDIDATES, s->dim * sizeof(*s->c));
    s->t = calloc(n, CANDIDATES * sizeof(*s->t));
    s->part = calloc(n / ROWS + 1, CANDIDATES * sizeof(*s->part));
    if (s->x == NULL || s->norm2 == NULL || s->d == NULL || s->sum == NULL || s->c == NULL || s->t == NULL ||
        s->part == NULL)
        return err_memory(err);
    if (cloud->dim > SHORT) {
        if (project_all(s, cloud, err) != OK)
            return SYSTEM;
    } else
        for (size_t i = 0; i < n; i++)
            memcpy(s->x + i * s->dim, cloud_at(cloud, i), s->dim * sizeof(*s->x));
    return center(s, err);
}

enum status
seeds_draw(float *centroid, double *left, size_t k, const struct cloud *cloud, uint64_t seed, struct err *err)
{
    struct seeder s;
    enum status st = seeder_init(&s, cloud, seed, err);
    size_t *drawn = calloc(k, sizeof(*drawn));
    double variance = 0;

    if (drawn == NULL)
        st = err_memory(err);
    if (st == OK) {
        draw_all(&s, drawn, k);
        for (size_t c = 0; c < k; c++)
            memcpy(centroid + c * cloud->dim, cloud_at(cloud, drawn[c]), cloud->dim * sizeof(float));
        for (size_t i = 0; i < s.n; i++)
            variance += (double)s.norm2[i];
        *left = variance > 0 ? running_sums(&s) / variance : 0;
    }
    free(drawn);
    seeder_free(&s);
    return st;
}
