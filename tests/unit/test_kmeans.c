/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kmeans: bit for bit what Lloyd's algorithm gives when every vector is compared with every centroid, in double and in
 * plain loops, from the same seeds: with products of float32 and of bfloat16, for 1 and 4 threads, whatever the bounds
 * skip. The vectors are whole multiples of 1/256, so that the sums of the reference are exact, too.
 */
#include <stdlib.h>
#include <string.h>

#include "music/lloyd.h"
#include "unit.h"

struct set {
    size_t n, k, dim;
    double spread, offset; /* of the centres that the vectors lie around; 0: around one */
    bool unit;
};

static float *
vectors(const struct set *s)
{
    struct rng r = rng_seed(3, s->n);
    float *X = malloc(s->n * s->dim * sizeof *X), *centre = malloc(s->k * s->dim * sizeof *centre);

    for (size_t i = 0; i < s->k * s->dim; i++)
        centre[i] = (float)(s->spread * rng_normal(&r) + s->offset);
    for (size_t i = 0; i < s->n; i++) {
        size_t c = (size_t)rng_below(&r, s->k);

        for (size_t j = 0; j < s->dim; j++)
            X[i * s->dim + j] = (float)(floor(256 * ((double)centre[c * s->dim + j] + rng_normal(&r))) / 256);
    }
    free(centre);
    return X;
}

static struct kmeans *
run(const float *X, const struct set *s, size_t iterations, bool half, int threads)
{
    struct kmeans_options o = {.k = s->k, .iterations = iterations, .seed = 1, .unit = s->unit, .half = half};
    struct kmeans *km = NULL;
    struct err err;

    num_init(threads);
    CHECK(kmeans_run(&km, X, s->n, s->dim, &o, NULL, NULL, &err) == OK, "%zu x %zu: %zu clusters", s->n, s->dim, s->k);
    return km;
}

/* The nearest centroid in double; the lower index on a tie. */
static size_t
nearest_plain(const float *x, const float *centroid, const struct set *s)
{
    double least = INFINITY;
    size_t best = 0;

    for (size_t c = 0; c < s->k; c++) {
        double sum = 0;

        for (size_t j = 0; j < s->dim; j++) {
            double d = (double)x[j] - (double)centroid[c * s->dim + j];
            sum += d * d;
        }
        if (sum < least) {
            least = sum;
            best = c;
        }
    }
    return best;
}

/* Rounds of Lloyd from these centroids on, until nothing changes; how many. */
static size_t
lloyd_plain(float *centroid, const float *X, const struct set *s, size_t iterations)
{
    double *sum = malloc(s->k * s->dim * sizeof *sum), *count = malloc(s->k * sizeof *count);
    size_t *code = malloc(s->n * sizeof *code), changed = 1, round = 0;

    for (size_t i = 0; i < s->n; i++)
        code[i] = nearest_plain(X + i * s->dim, centroid, s);
    for (; round < iterations && changed > 0; round++) {
        memset(sum, 0, s->k * s->dim * sizeof *sum);
        memset(count, 0, s->k * sizeof *count);
        for (size_t i = 0; i < s->n; i++) {
            count[code[i]]++;
            for (size_t j = 0; j < s->dim; j++)
                sum[code[i] * s->dim + j] += (double)X[i * s->dim + j];
        }
        for (size_t c = 0; c < s->k; c++) {
            double norm = 0;

            for (size_t j = 0; j < s->dim; j++)
                norm += sum[c * s->dim + j] * sum[c * s->dim + j];
            norm = s->unit ? sqrt(norm) : count[c];
            for (size_t j = 0; j < s->dim && norm > 0; j++)
                centroid[c * s->dim + j] = (float)(sum[c * s->dim + j] / norm);
        }
        changed = 0;
        for (size_t i = 0; i < s->n; i++) {
            size_t c = nearest_plain(X + i * s->dim, centroid, s);
            changed += c != code[i];
            code[i] = c;
        }
    }
    free(sum);
    free(count);
    free(code);
    return round;
}

static void
check(const struct set *s, size_t iterations)
{
    float *X = vectors(s);
    struct kmeans *seeds = run(X, s, 0, false, 2);
    size_t numbers = s->k * s->dim, rounds = lloyd_plain(seeds->centroid, X, s, iterations);

    for (int which = 0; which < 3; which++) {
        struct kmeans *km = run(X, s, iterations, which > 0, which == 1 ? 1 : 4);

        CHECK(memcmp(km->centroid, seeds->centroid, numbers * sizeof(float)) == 0 && km->iterations == rounds,
            "%zu rounds are those of plain Lloyd: products of %s, %d threads", rounds,
            which > 0 ? "bfloat16" : "float32", which == 1 ? 1 : 4);
        CHECK(km->looked < (double)(rounds + 1) * (s->n == 2000 && iterations > 10 ? 0.5 : 1.001),
            "bounds skip: %.1f of %zu looks", km->looked, rounds + 1);
        kmeans_free(km);
    }
    kmeans_free(seeds);
    free(X);
}

/* Of the centres that the vectors lie around, how many have a seed near them. */
static size_t
centres_met(const struct kmeans *seeds, const struct set *s)
{
    struct rng r = rng_seed(3, s->n); /* as in vectors() */
    float *centre = malloc(s->k * s->dim * sizeof *centre);
    bool *met = calloc(s->k, sizeof *met);
    size_t n = 0;

    for (size_t i = 0; i < s->k * s->dim; i++)
        centre[i] = (float)(s->spread * rng_normal(&r) + s->offset);
    for (size_t c = 0; c < s->k; c++) {
        size_t at = nearest_plain(seeds->centroid + c * s->dim, centre, s);

        n += !met[at];
        met[at] = true;
    }
    free(centre);
    free(met);
    return n;
}

/* Seeds are distinct vectors, and nearly every cluster has one; plain k-means++ leaves more than a fifth without. */
static void
test_seeds(void)
{
    static const struct set sets[] = {{2000, 100, 20, 2, 0, false}, {2000, 100, 300, 1.5, 0, false},
        {2000, 100, 20, 2, 50, false},
        {6400, 100, 20, 2, 0, false}}; /* the last is refined on a sample, where every cluster is found */

    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        const struct set *s = &sets[i];
        float *X = vectors(s);
        struct kmeans *one = run(X, s, 0, false, 1), *four = run(X, s, 0, false, 4);
        size_t met = centres_met(one, s);

        CHECK(one->live == s->k, "every seed is nearest to itself: no vector was drawn twice");
        CHECK(met >= (s->n > 32 * s->k ? s->k : s->k * 90 / 100), "%zu of %zu clusters have a seed", met, s->k);
        CHECK(memcmp(one->centroid, four->centroid, s->k * s->dim * sizeof(float)) == 0, "with 1 and 4 threads alike");
        kmeans_free(one);
        kmeans_free(four);
        free(X);
    }
}

/* Two centroids in one cluster and one between two others: each cluster gets its own. */
static void
test_relocate(void)
{
    float X[60][2], centroid[3][2] = {{-0.5F, 0}, {0.5F, 0}, {15, 0}};
    uint32_t code[60];
    uint64_t count[3] = {0};
    struct cloud cloud = {X[0], NULL, 60, 2};
    struct err err;
    size_t moved;

    for (size_t i = 0; i < 60; i++) {
        X[i][0] = (float)(i / 20 * 10) + ((float)(i % 5) - 2) / 4;
        X[i][1] = ((float)(i % 4) - 1.5F) / 4;
        code[i] = X[i][0] > 5 ? 2 : X[i][0] > 0;
        count[code[i]]++;
    }
    CHECK(relocate(&moved, centroid[0], 3, &cloud, code, count, &err) == OK && moved == 1, "one centroid moves");
    for (int c = 0; c < 3; c++) {
        bool near = false;

        for (int i = 0; i < 3; i++)
            near = near || (fabsf(centroid[i][0] - (float)(10 * c)) < 0.3F && fabsf(centroid[i][1]) < 0.3F);
        CHECK(near, "a centroid is at %d", 10 * c);
    }
    for (size_t i = 0; i < 60; i++)
        code[i] = (uint32_t)i / 20;
    for (int c = 0; c < 3; c++) {
        centroid[c][0] = (float)(10 * c);
        centroid[c][1] = 0;
        count[c] = 20;
    }
    CHECK(relocate(&moved, centroid[0], 3, &cloud, code, count, &err) == OK && moved == 0, "then none does");
}

/* Sums that are followed through changes have the bits of those that are taken anew. */
static void
test_sums(void)
{
    struct set s = {2000, 30, 19, 3, 0, false};
    float *X = vectors(&s), *a = calloc(s.k, s.dim * sizeof *a), *b = calloc(s.k, s.dim * sizeof *b);
    struct cloud cloud = {X, NULL, s.n, s.dim};
    uint32_t *code = calloc(s.n, sizeof *code);
    struct sums *follow, *anew;
    struct rng r = rng_seed(5, 5);
    struct err err;

    for (size_t i = 0; i < s.n * s.dim; i++)
        X[i] *= (float)rng_normal(&r); /* no longer multiples of anything */
    CHECK(sums_new(&follow, &cloud, s.k, &err) == OK && sums_new(&anew, &cloud, s.k, &err) == OK, "sums");
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < s.n; i++)
            code[i] = round == 0 || rng_below(&r, 4) == 0 ? (uint32_t)rng_below(&r, s.k) : code[i];
        sums_follow(follow, code);
    }
    sums_follow(anew, code);
    sums_means(a, follow, false);
    sums_means(b, anew, false);
    CHECK(memcmp(a, b, s.k * s.dim * sizeof *a) == 0, "sums followed through 50 rounds are those taken anew");
    sums_free(follow);
    sums_free(anew);
    free(code);
    free(a);
    free(b);
    free(X);
}

int
main(void)
{
    static const struct set sets[] = {
        {2000, 150, 37, 1.5, 0, false}, /* overlapping clusters, three groups of centroids */
        {700, 7, 128, 0, 0, false},     /* no clusters at all */
        {3000, 65, 3, 2, 100, false},   /* far from the origin */
        {900, 33, 20, 2, 0, true},      /* means of length 1 */
        {1500, 1100, 5, 4, 0, false},   /* few vectors a cluster */
        {6000, 9, 16, 1, 0, false},     /* seeds that were refined on samples */
        {500, 40, 1037, 6, 0, false},   /* vectors of several slices, of an odd length */
    };

    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        check(&sets[i], 3);
        check(&sets[i], 100);
    }
    test_seeds();
    test_relocate();
    test_sums();
    return unit_done();
}
