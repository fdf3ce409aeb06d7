/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assign - the nearest centroid of a vector: its music token (Doh, Choi, Nam 2025, §4.1). The search is that of kmeans
 * (nearest.c): products exclude, squared distances decide, so that a vector's code depends on nothing else. 2 k dim
 * operations a vector; memory for the centroids twice.
 */
#include <stdlib.h>
#include <string.h>

#include "music/music.h"
#include "nearest.h"

#define TILE_ROWS 6 /* that a product holds in registers */

struct assigner {
    struct nearest nearest;
    struct nearest_work **work; /* one a thread */
    int threads;
};

enum status
assigner_new(struct assigner **out, const struct codebooks *books, enum modality m, bool half, struct err *err)
{
    struct assigner *a = calloc(1, sizeof(*a));
    enum status st;

    *out = NULL;
    if (a == NULL)
        return err_memory(err);
    a->threads = num_threads();
    st = nearest_init(&a->nearest, books->k[m], books->dim[m], half, NULL, err);
    if (st == OK && (a->work = calloc((size_t)a->threads, sizeof(struct nearest_work *))) == NULL)
        st = err_memory(err);
    for (int t = 0; t < a->threads && st == OK; t++)
        st = nearest_work_new(&a->work[t], &a->nearest, err);
    if (st != OK) {
        assigner_free(a);
        return st;
    }
    nearest_set(&a->nearest, books->v[m]);
    *out = a;
    return OK;
}

void
assigner_free(struct assigner *a)
{
    if (a == NULL)
        return;
    for (int t = 0; a->work != NULL && t < a->threads; t++)
        nearest_work_free(a->work[t]);
    free(a->work);
    nearest_fini(&a->nearest);
    free(a);
}

static void
look(int32_t *code, const struct assigner *a, const float *X, size_t m, struct nearest_work *w)
{
    struct nearest_block block = {.n = m};
    size_t groups = a->nearest.groups;

    for (size_t r = 0; r < m; r++) {
        block.x[r] = X + r * a->nearest.dim;
        block.norm2[r] = nearest_norm2(&a->nearest, block.x[r]);
        block.groups[r] = groups == NEAREST_GROUPS ? UINT32_MAX : (1U << groups) - 1;
        block.code[r] = NEAREST_NONE;
    }
    nearest_look(&block, &a->nearest, w);
    for (size_t r = 0; r < m; r++)
        code[r] = (int32_t)block.code[r];
}

void
assigner_look(int32_t *code, const struct assigner *a, const float *X, size_t n)
{
    size_t threads = (size_t)a->threads, most = nearest_work_rows(a->work[0]);
    size_t turns = (n + most * threads - 1) / (most * threads); /* of each thread */
    size_t rows = turns > 0 ? (n + turns * threads - 1) / (turns * threads) : most;

    /* As many blocks for one thread as for another; how they are cut changes no code. */
    rows = (rows + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
    rows = rows < most ? rows : most;
#pragma omp parallel num_threads(a->threads)
    {
        struct nearest_work *w = a->work[num_thread()];

#pragma omp for schedule(dynamic, 1)
        for (size_t at = 0; at < n; at += rows)
            look(code + at, a, X + at * a->nearest.dim, n - at < rows ? n - at : rows, w);
    }
}
