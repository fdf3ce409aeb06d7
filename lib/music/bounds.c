/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bounds - assignment that skips what cannot change.
 *
 * After Ding, Zhao, Shen, Musuvathi, Mytkowicz, "Yinyang K-Means", ICML 2015: for each vector an upper bound of the
 * distance to its own centroid, and for each group of centroids a lower bound of the distance to all others in it.
 * Centroids that move by m loosen the bounds by m. A group whose lower bound stays above the upper bound is not looked
 * at; a vector with no other group neither. Groups are of whole panels of a product, so that what is left to do runs at
 * the speed of products. All bounds are rounded to the safe side: the result is that of looking at everything.
 *
 * Memory: 24 bytes a vector and 4 a vector and group.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lloyd.h"

#define CHUNK ((size_t)1024) /* vectors whose bounds a thread looks through at a time */
#define LOOSE 0x1p-20F       /* relative: more than the rounding of a step */

struct bounds {
    const struct cloud *cloud;
    struct nearest nearest;
    struct nearest_work **work; /* one a thread */
    int threads;
    float *last;                 /* (k, dim) centroids of the last assignment */
    float *moved;                /* (k) how far each has moved since */
    float drift[NEAREST_GROUPS]; /* the most of a group */
    uint32_t *code;              /* (n) */
    float *distance;             /* (n) squared, to code: as it was when it was last looked at */
    float *upper;                /* (n) of the distance to code */
    float *lower;                /* (n, groups) */
    float *norm2;                /* (n) */
    uint32_t *groups;            /* (n) where to look */
    uint32_t *list;              /* (n) the vectors to look at */
    size_t n_list;
    double looked;
    bool begun;
};

static enum status
room(struct bounds *b, struct err *err)
{
    size_t n = b->cloud->n, k = b->nearest.k;

    b->last = calloc(k, b->cloud->dim * sizeof(*b->last));
    b->moved = calloc(k, sizeof(*b->moved));
    b->code = calloc(n, sizeof(*b->code));
    b->distance = calloc(n, sizeof(*b->distance));
    b->upper = calloc(n, sizeof(*b->upper));
    b->lower = calloc(n, b->nearest.groups * sizeof(*b->lower));
    b->norm2 = calloc(n, sizeof(*b->norm2));
    b->groups = calloc(n, sizeof(*b->groups));
    b->list = calloc(n, sizeof(*b->list));
    b->work = calloc((size_t)b->threads, sizeof(struct nearest_work *));
    if (b->last == NULL || b->moved == NULL || b->code == NULL || b->distance == NULL || b->upper == NULL ||
        b->lower == NULL || b->norm2 == NULL || b->groups == NULL || b->list == NULL || b->work == NULL)
        return err_memory(err);
    for (int t = 0; t < b->threads; t++)
        if (nearest_work_new(&b->work[t], &b->nearest, err) != OK)
            return err->status;
    return OK;
}

enum status
bounds_new(struct bounds **out, const struct cloud *cloud, size_t k, bool half, const float *mean, struct err *err)
{
    struct bounds *b = calloc(1, sizeof(*b));
    enum status st;

    *out = NULL;
    if (b == NULL)
        return err_memory(err);
    b->cloud = cloud;
    b->threads = num_threads();
    if ((st = nearest_init(&b->nearest, k, cloud->dim, half, mean, err)) == OK && (st = room(b, err)) == OK) {
#pragma omp parallel for schedule(static) num_threads(num_threads())
        for (size_t i = 0; i < cloud->n; i++)
            b->norm2[i] = nearest_norm2(&b->nearest, cloud_at(cloud, i));
        *out = b;
    } else
        bounds_free(b);
    return st;
}

void
bounds_free(struct bounds *b)
{
    if (b == NULL)
        return;
    for (int t = 0; b->work != NULL && t < b->threads; t++)
        nearest_work_free(b->work[t]);
    free(b->work);
    free(b->last);
    free(b->moved);
    free(b->code);
    free(b->distance);
    free(b->upper);
    free(b->lower);
    free(b->norm2);
    free(b->groups);
    free(b->list);
    nearest_fini(&b->nearest);
    free(b);
}

/* How far the centroids have gone since the last time. */
static void
measure_drift(struct bounds *b, const float *centroid)
{
    size_t dim = b->cloud->dim;
    float up = (float)(1 + b->nearest.slack) + LOOSE;

#pragma omp parallel for schedule(static) num_threads(num_threads_for(b->nearest.k *dim))
    for (size_t c = 0; c < b->nearest.k; c++)
        b->moved[c] = sqrtf(nearest_distance(centroid + c * dim, b->last + c * dim, dim)) * up;
    for (size_t g = 0; g < b->nearest.groups; g++)
        b->drift[g] = 0;
    for (size_t c = 0; c < b->nearest.k; c++) {
        float *most = &b->drift[nearest_group_of(&b->nearest, (uint32_t)c)];
        *most = b->moved[c] > *most ? b->moved[c] : *most;
    }
}

/* The groups that may have a centroid nearer to vector i than its own. */
static uint32_t
within(const struct bounds *b, size_t i)
{
    const float *lower = b->lower + i * b->nearest.groups;
    float upper = b->upper[i] * ((float)(1 + 2 * b->nearest.slack) + LOOSE);
    uint32_t groups = 0;

    for (size_t g = 0; g < b->nearest.groups; g++)
        groups |= (uint32_t) !(upper < lower[g]) << g;
    return groups;
}

/* Loosens the bounds of vector i by what the centroids have moved; where it must be looked for then. */
static uint32_t
loosen(struct bounds *b, size_t i)
{
    float *lower = b->lower + i * b->nearest.groups;

    for (size_t g = 0; g < b->nearest.groups; g++)
        lower[g] = (lower[g] - b->drift[g]) * (1 - LOOSE);
    b->upper[i] = (b->upper[i] + b->moved[b->code[i]]) * (1 + LOOSE);
    if (within(b, i) == 0)
        return 0;
    b->distance[i] = nearest_distance(
        cloud_at(b->cloud, i), b->nearest.centroid + (size_t)b->code[i] * b->cloud->dim, b->cloud->dim);
    b->upper[i] = sqrtf(b->distance[i]) * ((float)(1 + b->nearest.slack) + LOOSE);
    return within(b, i);
}

/* The vectors to look at, in order. */
static void
list_up(struct bounds *b)
{
    size_t n = b->cloud->n;

    b->n_list = 0;
    if (b->begun) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads())
        for (size_t at = 0; at < n; at += CHUNK)
            for (size_t i = at; i < n && i < at + CHUNK; i++)
                b->groups[i] = loosen(b, i);
    } else
        for (size_t i = 0; i < n; i++) {
            b->groups[i] = b->nearest.groups == 32 ? UINT32_MAX : (1U << b->nearest.groups) - 1;
            b->code[i] = NEAREST_NONE;
        }
    for (size_t i = 0; i < n; i++) {
        if (b->groups[i] != 0)
            b->list[b->n_list++] = (uint32_t)i;
        b->looked += (double)__builtin_popcount(b->groups[i]) / (double)b->nearest.groups;
    }
}

/* Looks at m vectors of the list; how many changed. */
static size_t
look(struct bounds *b, const uint32_t *list, size_t m, struct nearest_work *w)
{
    struct nearest_block block = {.n = m};
    size_t changed = 0;

    for (size_t r = 0; r < m; r++) {
        size_t i = list[r];

        block.x[r] = cloud_at(b->cloud, i);
        block.norm2[r] = b->norm2[i];
        block.groups[r] = b->groups[i];
        block.code[r] = b->code[i];
        block.distance[r] = b->distance[i];
        block.bound[r] = b->lower + i * b->nearest.groups;
    }
    nearest_look(&block, &b->nearest, w);
    for (size_t r = 0; r < m; r++) {
        size_t i = list[r];

        changed += b->code[i] != block.code[r];
        b->code[i] = block.code[r];
        b->distance[i] = block.distance[r];
        b->upper[i] = sqrtf(block.distance[r]) * ((float)(1 + b->nearest.slack) + LOOSE);
    }
    return changed;
}

enum status
bounds_assign(size_t *changed, struct bounds *b, const float *centroid, struct err *err)
{
    size_t n_changed = 0, rows = nearest_work_rows(b->work[0]);

    if (!b->begun && nearest_group(&b->nearest, centroid, err) != OK)
        return err->status;
    if (b->begun)
        measure_drift(b, centroid);
    nearest_set(&b->nearest, centroid);
    list_up(b);
#pragma omp parallel num_threads(b->threads) reduction(+ : n_changed)
    {
        struct nearest_work *w = b->work[num_thread()];

#pragma omp for schedule(dynamic, 1)
        for (size_t at = 0; at < b->n_list; at += rows)
            n_changed += look(b, b->list + at, b->n_list - at < rows ? b->n_list - at : rows, w);
    }
    memcpy(b->last, centroid, b->nearest.k * b->cloud->dim * sizeof(*centroid));
    b->nearest.centroid = b->last;
    b->begun = true;
    *changed = n_changed;
    return OK;
}

const uint32_t *
bounds_code(const struct bounds *b)
{
    return b->code;
}

const float *
bounds_distance(struct bounds *b)
{
    size_t dim = b->cloud->dim;

#pragma omp parallel for schedule(static) num_threads(num_threads())
    for (size_t i = 0; i < b->cloud->n; i++)
        b->distance[i] = nearest_distance(cloud_at(b->cloud, i), b->last + (size_t)b->code[i] * dim, dim);
    return b->distance;
}

void
bounds_move(struct bounds *b, size_t i, uint32_t c)
{
    b->code[i] = c;
    b->distance[i] = 0;
    b->upper[i] = INFINITY;
    for (size_t g = 0; g < b->nearest.groups; g++)
        b->lower[i * b->nearest.groups + g] = 0;
}

double
bounds_looked(const struct bounds *b)
{
    return b->looked;
}
