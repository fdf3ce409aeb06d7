/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nearestgroup - centroids into groups of equal size of such as lie together: halves by the main direction of what is
 * to be halved, found by a few steps of the power method, until a half is a group. 40 k dim operations; the answer of a
 * search never depends on the groups.
 */
#include "nearest.h"

#include <stdlib.h>

#define STEPS 4

struct scored {
    float score;
    uint32_t c;
};

static int
by_score(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;

    if (x->score < y->score || x->score > y->score)
        return x->score < y->score ? -1 : 1;
    return x->c < y->c ? -1 : x->c > y->c;
}

/* The mean of the centroids of list. */
static void
middle(float *mean, const struct scored *list, size_t n, const float *centroid, size_t dim)
{
    for (size_t j = 0; j < dim; j++)
        mean[j] = 0;
    for (size_t i = 0; i < n; i++)
        vec_axpy(mean, 1 / (float)n, centroid + (size_t)list[i].c * dim, dim);
}

/* Sorts list along its main direction. work: 3 dim numbers. */
static void
line_up(struct scored *list, size_t n, const float *centroid, size_t dim, float *work)
{
    float *mean = work, *direction = work + dim, *next = work + 2 * dim, most = -1;
    size_t far = 0;

    middle(mean, list, n, centroid, dim);
    for (size_t i = 0; i < n; i++) {
        float d = nearest_distance(centroid + (size_t)list[i].c * dim, mean, dim);
        if (d > most) {
            most = d;
            far = i;
        }
    }
    for (size_t j = 0; j < dim; j++)
        direction[j] = centroid[(size_t)list[far].c * dim + j] - mean[j];
    for (int step = 0; step < STEPS && vec_unit(direction, dim); step++) {
        float at = vec_dot(direction, mean, dim);

        for (size_t j = 0; j < dim; j++)
            next[j] = 0;
        for (size_t i = 0; i < n; i++) {
            const float *v = centroid + (size_t)list[i].c * dim;
            float s = vec_dot(direction, v, dim) - at;

            list[i].score = s;
            vec_axpy(next, s, v, dim);
            vec_axpy(next, -s, mean, dim);
        }
        for (size_t j = 0; j < dim; j++)
            direction[j] = next[j];
    }
    qsort(list, n, sizeof(*list), by_score);
}

static void
halve(struct scored *list, size_t n, size_t width, const float *centroid, size_t dim, float *work)
{
    size_t groups = (n + width - 1) / width, first = groups / 2 * width;

    if (groups < 2)
        return;
    line_up(list, n, centroid, dim, work);
    halve(list, first, width, centroid, dim, work);
    halve(list + first, n - first, width, centroid, dim, work);
}

enum status
nearest_group(struct nearest *n, const float *centroid, struct err *err)
{
    struct scored *list = calloc(n->k, sizeof(*list));
    float *work = calloc(n->dim, 3 * sizeof(*work));
    enum status st = list == NULL || work == NULL ? err_memory(err) : OK;

    for (size_t c = 0; c < n->k && st == OK; c++)
        list[c].c = (uint32_t)c;
    if (st == OK)
        halve(list, n->k, n->width, centroid, n->dim, work);
    for (size_t i = 0; i < n->k && st == OK; i++) {
        n->of[i] = list[i].c;
        n->at[list[i].c] = (uint32_t)i;
    }
    free(list);
    free(work);
    return st;
}
