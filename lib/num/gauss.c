/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A normal distribution with the mean and covariance of the rows of a matrix, and draws from it.
 *
 * Sums are in float64; the covariance (divided by n, not n - 1, as in the code of Hewitt 2021) is computed in tiles of
 * fixed size by dgemm, over chunks of rows in order, so that threads do not change it. It is factored by Cholesky with
 * pivoting (LAPACK's dpstrf; Higham 2009), which also takes the singular covariance of fewer rows than columns: what is
 * left behind its rank is within rounding of zero. Cost: n D^2 + D^3/3 operations to fit, D^2 a draw. Memory: D^2
 * float64.
 */
#include "num/num.h"

#include <stdlib.h>
#include <string.h>

#include <cblas.h>
#include <lapacke.h>

#define TILE 256
#define CHUNK 512 /* rows at a time */

struct gauss {
    size_t D, rank;
    double *mean;   /* (D) */
    double *factor; /* (D, D) by columns: lower triangle of the pivoted covariance */
    lapack_int *pivot;
};

void
gauss_free(struct gauss *g)
{
    if (g == NULL)
        return;
    free(g->mean);
    free(g->factor);
    free(g->pivot);
    free(g);
}

static void
column_means(struct gauss *g, const float *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < g->D; j++)
            g->mean[j] += (double)rows[i * g->D + j];
    for (size_t j = 0; j < g->D; j++)
        g->mean[j] /= (double)n;
}

/* Rows from … of columns col … col + width, less their means, into out (TILE a row). */
static void
centre(double *out, const struct gauss *g, const float *rows, size_t from, size_t count, size_t col, size_t width)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < width; j++)
            out[i * TILE + j] = (double)rows[(from + i) * g->D + col + j] - g->mean[col + j];
}

/* The tile of the covariance at (a, b), a ≥ b: its lower triangle is all that is needed. */
static void
tile(const struct gauss *g, const float *rows, size_t n, double scale, size_t a, size_t b, double *work)
{
    double *x = work, *y = work + CHUNK * TILE;
    size_t wa = g->D - a < TILE ? g->D - a : TILE, wb = g->D - b < TILE ? g->D - b : TILE;

    for (size_t i = 0; i < n; i += CHUNK) {
        size_t m = n - i < CHUNK ? n - i : CHUNK;

        centre(x, g, rows, i, m, a, wa);
        centre(y, g, rows, i, m, b, wb);
        /* factor[b + …][a + …] by rows is the element (a, b) by columns. */
        cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)wb, (blasint)wa, (blasint)m, scale / (double)n, y,
            TILE, x, TILE, 1, g->factor + b * g->D + a, (blasint)g->D);
    }
}

static enum status
covariance(struct gauss *g, const float *rows, size_t n, double scale, struct err *err)
{
    size_t side = (g->D + TILE - 1) / TILE;
    bool fine = true;

#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads()) reduction(&& : fine)
    for (size_t t = 0; t < side * side; t++) {
        double *work = NULL;

        if (t / side < t % side)
            continue;
        work = malloc(2 * (size_t)CHUNK * TILE * sizeof *work);
        if (work != NULL)
            tile(g, rows, n, scale, t / side * TILE, t % side * TILE, work);
        fine = fine && work != NULL;
        free(work);
    }
    return fine ? OK : err_memory(err);
}

static enum status
factorise(struct gauss *g, struct err *err)
{
    double *work = calloc(2 * g->D, sizeof *work);
    lapack_int rank = 0, D = (lapack_int)g->D, info = 0;

    if (work == NULL)
        return err_memory(err);
        /* In a region of threads: see threads.c. */
#pragma omp parallel num_threads(num_threads())
#pragma omp single
    info = LAPACKE_dpstrf_work(LAPACK_COL_MAJOR, 'L', D, g->factor, D, g->pivot, &rank, -1.0, work);
    free(work);
    if (info < 0)
        return err_set(err, DATA, "the rows have no covariance");
    g->rank = (size_t)rank;
    return OK;
}

enum status
gauss_fit(struct gauss **out, const float *rows, size_t n, size_t D, double scale, struct err *err)
{
    struct gauss *g = calloc(1, sizeof *g);
    size_t count;
    enum status st;

    *out = NULL;
    if (g == NULL)
        return err_memory(err);
    g->D = D;
    if (size_mul(&count, D, D)) {
        g->mean = calloc(D, sizeof *g->mean);
        g->factor = calloc(count, sizeof *g->factor);
        g->pivot = calloc(D, sizeof *g->pivot);
    }
    if (g->mean == NULL || g->factor == NULL || g->pivot == NULL)
        st = err_memory(err);
    else if (n == 0)
        st = err_set(err, DATA, "no rows to take a mean of");
    else {
        column_means(g, rows, n);
        st = scale > 0 ? covariance(g, rows, n, scale, err) : OK;
        if (st == OK && scale > 0)
            st = factorise(g, err);
    }
    if (st != OK) {
        gauss_free(g);
        return st;
    }
    *out = g;
    return OK;
}

enum status
gauss_draw(float *row, const struct gauss *g, struct rng *r, struct err *err)
{
    double *x = calloc(g->D, sizeof *x);

    if (x == NULL)
        return err_memory(err);
    for (size_t k = 0; k < g->rank; k++) {
        double z = rng_normal(r);
        const double *column = g->factor + k * g->D;

        for (size_t i = k; i < g->D; i++)
            x[i] += column[i] * z;
    }
    for (size_t i = 0; i < g->D; i++)
        row[i] = (float)g->mean[i];
    for (size_t i = 0; g->rank > 0 && i < g->D; i++) {
        size_t at = (size_t)g->pivot[i] - 1;

        row[at] = (float)(g->mean[at] + x[i]);
    }
    free(x);
    return OK;
}
