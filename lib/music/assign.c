/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assign - the nearest centroid of a vector: its music token (Doh, Choi, Nam 2025, §4.1).
 *
 * |x - c|² is least where |c|²/2 - x·c is. The products come from mat_rows, whose bits for a row do not depend on the
 * other rows. n k dim multiply-adds; memory for one tile of products.
 */
#include <stdlib.h>

#include "music/music.h"
#include "num/num.h"

#define TILE_ROWS 256

/* The index of the least half[c] - dot[c]; the lower one on a tie. */
static int32_t
least(const float *half, const float *dot, size_t k)
{
    size_t best = 0;

    for (size_t c = 1; c < k; c++)
        if (half[c] - dot[c] < half[best] - dot[best])
            best = c;
    return (int32_t)best;
}

enum status
assign_nearest(int32_t *code, const struct codebooks *books, enum modality m, const float *X, size_t n, struct err *err)
{
    size_t k = books->k[m], dim = books->dim[m], rows = n < TILE_ROWS ? n : TILE_ROWS;
    float *half = calloc(k, sizeof(*half)), *dot = calloc(rows + 1, k * sizeof(*dot));
    enum status st = half == NULL || dot == NULL ? err_memory(err) : OK;

    for (size_t c = 0; c < k && st == OK; c++)
        half[c] = vec_dot(books->v[m] + c * dim, books->v[m] + c * dim, dim) / 2;
    for (size_t at = 0; at < n && st == OK; at += rows) {
        size_t some = n - at < rows ? n - at : rows;

        mat_rows(dot, X + at * dim, books->v[m], some, k, dim);
        for (size_t i = 0; i < some; i++)
            code[at + i] = least(half, dot + i * k, k);
    }
    free(half);
    free(dot);
    return st;
}
