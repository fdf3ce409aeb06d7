/* SPDX-License-Identifier: Apache-2.0 */
/*
 * minibatch - k-means over a stream that does not fit into memory (Sculley, "Web-Scale K-Means Clustering", WWW 2010).
 *
 * The first batch is clustered by kmeans.c. Of every further one each vector goes to its nearest centroid, and each
 * centroid to the mean of all vectors that have come to it so far: what Sculley's rate of 1 over the count leads to,
 * batch by batch. A cluster that nothing has come to takes the vector of the batch that lies farthest from its
 * centroid. 2 n k dim operations in products. Memory: the batch, and the centroids three times.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lloyd.h"

#define ROUNDS 20 /* of Lloyd over the first batch */

struct minibatch {
    struct kmeans_options o;
    size_t batch, dim, n; /* n: vectors in X */
    float *X;             /* (batch, dim) */
    uint32_t *code;       /* (batch) */
    float *distance;      /* (batch) */
    struct nearest nearest;
    struct nearest_work **work; /* one a thread */
    int threads;
    double *mean;      /* (k, dim) of all that came to a cluster */
    struct kmeans *km; /* NULL until the first batch */
};

enum status
minibatch_new(struct minibatch **out, size_t batch, size_t dim, const struct kmeans_options *o, struct err *err)
{
    struct minibatch *mb = calloc(1, sizeof(*mb));
    size_t bytes;
    enum status st = OK;

    *out = NULL;
    if (mb == NULL)
        return err_memory(err);
    mb->o = *o;
    mb->o.iterations = ROUNDS;
    mb->o.target = 0;
    mb->o.key = NULL;
    mb->batch = batch;
    mb->dim = dim;
    mb->threads = num_threads();
    if (!size_mul(&bytes, batch, dim) || (mb->X = calloc(batch, dim * sizeof(*mb->X))) == NULL ||
        (mb->code = calloc(batch, sizeof(*mb->code))) == NULL ||
        (mb->distance = calloc(batch, sizeof(*mb->distance))) == NULL ||
        (mb->mean = calloc(o->k, dim * sizeof(*mb->mean))) == NULL ||
        (mb->work = calloc((size_t)mb->threads, sizeof(struct nearest_work *))) == NULL)
        st = err_memory(err);
    if (st == OK)
        st = nearest_init(&mb->nearest, o->k, dim, o->half, NULL, err);
    for (int t = 0; t < mb->threads && st == OK; t++)
        st = nearest_work_new(&mb->work[t], &mb->nearest, err);
    if (st == OK)
        *out = mb;
    else
        minibatch_free(mb);
    return st;
}

void
minibatch_free(struct minibatch *mb)
{
    if (mb == NULL)
        return;
    for (int t = 0; mb->work != NULL && t < mb->threads; t++)
        nearest_work_free(mb->work[t]);
    free(mb->work);
    nearest_fini(&mb->nearest);
    free(mb->X);
    free(mb->code);
    free(mb->distance);
    free(mb->mean);
    kmeans_free(mb->km);
    free(mb);
}

/* The nearest centroids of m vectors from at on. */
static void
assign(struct minibatch *mb, size_t at, size_t m, struct nearest_work *w)
{
    struct nearest_block block = {.n = m};
    size_t groups = mb->nearest.groups;

    for (size_t r = 0; r < m; r++) {
        block.x[r] = mb->X + (at + r) * mb->dim;
        block.norm2[r] = nearest_norm2(&mb->nearest, block.x[r]);
        block.groups[r] = groups == NEAREST_GROUPS ? UINT32_MAX : (1U << groups) - 1;
        block.code[r] = NEAREST_NONE;
    }
    nearest_look(&block, &mb->nearest, w);
    memcpy(mb->code + at, block.code, m * sizeof(*mb->code));
    memcpy(mb->distance + at, block.distance, m * sizeof(*mb->distance));
}

/* Clusters without a vector take the farthest of the batch. */
static void
fill_empty(struct minibatch *mb)
{
    for (size_t c = 0; c < mb->o.k; c++) {
        size_t far = 0;

        if (mb->km->count[c] > 0)
            continue;
        for (size_t i = 1; i < mb->n; i++)
            far = mb->distance[i] > mb->distance[far] ? i : far;
        if (!(mb->distance[far] > 0))
            return;
        mb->code[far] = (uint32_t)c;
        mb->distance[far] = 0;
        mb->km->count[c] = 0; /* its first vector will be all of its mean */
    }
}

/* The vectors of the batch into the means of their clusters, in order; a centroid's numbers are one thread's. */
static void
move(struct minibatch *mb)
{
    size_t dim = mb->dim;

    for (size_t i = 0; i < mb->n; i++) {
        double *mean = mb->mean + (size_t)mb->code[i] * dim;
        const float *x = mb->X + i * dim;
        double rate = 1 / (double)++mb->km->count[mb->code[i]];

        for (size_t j = 0; j < dim; j++)
            mean[j] += ((double)x[j] - mean[j]) * rate;
        mb->km->inertia += (double)mb->distance[i];
    }
    mb->km->live = 0;
    for (size_t c = 0; c < mb->o.k; c++) {
        float *v = mb->km->centroid + c * dim;

        if (mb->km->count[c] == 0)
            continue;
        mb->km->live++;
        for (size_t j = 0; j < dim; j++)
            v[j] = (float)mb->mean[c * dim + j];
        if (mb->o.unit && !vec_unit(v, dim)) /* they cancel out */
            v[0] = 1;
    }
}

/* The first batch: clusters, and their means. */
static enum status
begin(struct minibatch *mb, struct err *err)
{
    enum status st = kmeans_run(&mb->km, mb->X, mb->n, mb->dim, &mb->o, NULL, NULL, err);

    if (st != OK)
        return st;
    mb->km->inertia = 0;
    memset(mb->km->count, 0, mb->o.k * sizeof(*mb->km->count));
    mb->km->iterations = 0;
    return OK;
}

static enum status
flush(struct minibatch *mb, struct err *err)
{
    size_t rows = nearest_work_rows(mb->work[0]);

    if (mb->km == NULL && begin(mb, err) != OK)
        return err->status;
    nearest_set(&mb->nearest, mb->km->centroid);
#pragma omp parallel num_threads(mb->threads)
    {
        struct nearest_work *w = mb->work[num_thread()];

#pragma omp for schedule(dynamic, 1)
        for (size_t at = 0; at < mb->n; at += rows)
            assign(mb, at, mb->n - at < rows ? mb->n - at : rows, w);
    }
    fill_empty(mb);
    move(mb);
    mb->km->iterations++;
    mb->n = 0;
    return OK;
}

enum status
minibatch_add(struct minibatch *mb, const float *x, struct err *err)
{
    memcpy(mb->X + mb->n++ * mb->dim, x, mb->dim * sizeof(*x));
    return mb->n < mb->batch ? OK : flush(mb, err);
}

enum status
minibatch_end(struct kmeans **out, struct minibatch *mb, struct err *err)
{
    enum status st = mb->n > 0 ? flush(mb, err) : OK;

    *out = NULL;
    if (st == OK) {
        *out = mb->km;
        mb->km = NULL;
    }
    return st;
}
