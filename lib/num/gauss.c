/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A normal distribution with the mean and covariance of the rows of a matrix, and draws from it.
 *
 * Sums are in float64; the covariance (divided by n, not n - 1, as in the code of Hewitt 2021) is summed over chunks of
 * rows in order, and within a chunk computed in tiles of fixed size by dsyrk and dgemm, so that threads do not change
 * it. It is factored by Cholesky with pivoting (LAPACK's dpstrf; Higham 2009), which also takes the singular covariance
 * of fewer rows than columns: what is left behind its rank is within rounding of zero. Draws are products of normal
 * numbers with the factor, many rows at a time.
 *
 * Cost: n D^2 + D^3/3 operations to fit, D^2 a draw. Rows are asked for twice, in pieces: memory is D^2 float64 and 12
 * bytes for each number of 512 rows.
 */
#include "num/num.h"

#include <stdlib.h>
#include <string.h>

#include <cblas.h>
#include <lapacke.h>

#define TILE ((size_t)256)
#define CHUNK ((size_t)512) /* rows at a time */
#define PART ((size_t)16)   /* of them, for a thread to fetch */
#define DRAWS ((size_t)32)  /* rows of one product */

struct gauss {
    size_t D, rank;
    double *mean;   /* (D) */
    double *factor; /* (D, D) by columns: lower triangle of the pivoted covariance, zeros above it */
    lapack_int *pivot;
};

/* Where rows come from, and a chunk of them. */
struct source {
    gauss_source *rows;
    const void *arg;
    size_t n;
    float *chunk;    /* (CHUNK, D) */
    double *centred; /* the same less the means */
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
fetch(struct source *s, const struct gauss *g, size_t from, size_t count)
{
#pragma omp parallel for schedule(static) num_threads(num_threads())
    for (size_t i = 0; i < count; i += PART) {
        size_t end = i + PART < count ? i + PART : count;

        s->rows(s->chunk + i * g->D, s->arg, from + i, end - i);
        for (size_t k = i * g->D; s->centred != NULL && k < end * g->D; k++)
            s->centred[k] = (double)s->chunk[k] - g->mean[k % g->D];
    }
}

static void
means(struct gauss *g, struct source *s)
{
    for (size_t i = 0; i < s->n; i += CHUNK) {
        size_t m = s->n - i < CHUNK ? s->n - i : CHUNK;

        fetch(s, g, i, m);
#pragma omp parallel for schedule(static) num_threads(num_threads())
        for (size_t j = 0; j < g->D; j += TILE)
            for (size_t r = 0; r < m; r++)
                for (size_t k = j; k < j + TILE && k < g->D; k++)
                    g->mean[k] += (double)s->chunk[r * g->D + k];
    }
    for (size_t j = 0; j < g->D; j++)
        g->mean[j] /= (double)s->n;
}

/* What m centred rows add to the tile of the covariance at (a, b), a ≥ b. By rows, (b, a) is the element (a, b) by
 * columns: the lower triangle there is the upper one here. */
static void
tile(struct gauss *g, const double *x, size_t m, double scale, size_t a, size_t b)
{
    size_t wa = g->D - a < TILE ? g->D - a : TILE, wb = g->D - b < TILE ? g->D - b : TILE;
    blasint D = (blasint)g->D;

    if (a == b)
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, (blasint)wa, (blasint)m, scale, x + a, D, 1,
            g->factor + b * g->D + a, D);
    else
        cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)wb, (blasint)wa, (blasint)m, scale, x + b, D,
            x + a, D, 1, g->factor + b * g->D + a, D);
}

static void
covariance(struct gauss *g, struct source *s, double scale)
{
    size_t side = (g->D + TILE - 1) / TILE;

    for (size_t i = 0; i < s->n; i += CHUNK) {
        size_t m = s->n - i < CHUNK ? s->n - i : CHUNK;

        fetch(s, g, i, m);
#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads())
        for (size_t t = 0; t < side * side; t++)
            if (t / side >= t % side)
                tile(g, s->centred, m, scale / (double)s->n, t / side * TILE, t % side * TILE);
    }
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

static enum status
fit(struct gauss *g, struct source *s, double scale, struct err *err)
{
    size_t count;

    if (s->n == 0)
        return err_set(err, DATA, "no rows to take a mean of");
    if (!size_mul(&count, g->D, g->D) || (g->mean = calloc(g->D, sizeof *g->mean)) == NULL ||
        (g->pivot = calloc(g->D, sizeof *g->pivot)) == NULL ||
        (s->chunk = calloc(g->D, CHUNK * sizeof *s->chunk)) == NULL)
        return err_memory(err);
    means(g, s);
    if (!(scale > 0))
        return OK;
    if ((g->factor = calloc(count, sizeof *g->factor)) == NULL ||
        (s->centred = calloc(g->D, CHUNK * sizeof *s->centred)) == NULL)
        return err_memory(err);
    covariance(g, s, scale);
    return factorise(g, err);
}

enum status
gauss_fit(struct gauss **out, gauss_source *rows, const void *arg, size_t n, size_t D, double scale, struct err *err)
{
    struct gauss *g = calloc(1, sizeof *g);
    struct source s = {.rows = rows, .arg = arg, .n = n};
    enum status st;

    *out = NULL;
    if (g == NULL)
        return err_memory(err);
    g->D = D;
    st = fit(g, &s, scale, err);
    free(s.chunk);
    free(s.centred);
    if (st != OK) {
        gauss_free(g);
        return st;
    }
    *out = g;
    return OK;
}

/* Rows from … of n, at most DRAWS of them; work has room for twice as many of float64. */
static void
draw(float *rows, const struct gauss *g, size_t n, uint64_t seed, uint64_t stream, double *work)
{
    double *z = work, *x = work + DRAWS * g->D;

    for (size_t i = 0; i < n; i++) {
        struct rng r = rng_seed(seed, stream + i);

        for (size_t k = 0; k < g->rank; k++)
            z[i * g->D + k] = rng_normal(&r);
    }
    /* By rows, the factor's lower triangle by columns is an upper one: row k is what z_k adds. */
    if (g->rank > 0)
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)n, (blasint)g->D, (blasint)g->rank, 1, z,
            (blasint)g->D, g->factor, (blasint)g->D, 0, x, (blasint)g->D);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < g->D; k++)
            rows[i * g->D + k] = (float)g->mean[k];
        for (size_t k = 0; g->rank > 0 && k < g->D; k++) {
            size_t at = (size_t)g->pivot[k] - 1;

            rows[i * g->D + at] = (float)(g->mean[at] + x[i * g->D + k]);
        }
    }
}

enum status
gauss_draw(float *rows, const struct gauss *g, size_t n, uint64_t seed, uint64_t stream, struct err *err)
{
    bool fine = true;

#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads()) reduction(&& : fine)
    for (size_t i = 0; i < n; i += DRAWS) {
        double *work = calloc(g->D, 2 * DRAWS * sizeof *work);

        if (work != NULL)
            draw(rows + i * g->D, g, n - i < DRAWS ? n - i : DRAWS, seed, stream + i, work);
        fine = fine && work != NULL;
        free(work);
    }
    return fine ? OK : err_memory(err);
}
