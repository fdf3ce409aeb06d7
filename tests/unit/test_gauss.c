/* SPDX-License-Identifier: Apache-2.0 */
/* gauss_fit and gauss_draw: draws have the mean and covariance of the rows, which are made with a known one. */
#include <stdlib.h>
#include <string.h>

#include "num/num.h"
#include "unit.h"

enum { D = 5, N = 3000, DRAWS = 40000 };

/* Rows (a, 2a + b, -b, 3, a): rank 2, one column without variance. */
static void
make_rows(float *rows, size_t n)
{
    struct rng rng = rng_seed(9, 9);

    for (size_t i = 0; i < n; i++) {
        double a = rng_normal(&rng), b = rng_normal(&rng);
        double row[D] = {a, 2 * a + b, -b, 3, a};

        for (size_t j = 0; j < D; j++)
            rows[i * D + j] = (float)row[j];
    }
}

/* Mean and covariance, in plain loops. */
static void
moments(double *mean, double *cov, const float *rows, size_t n)
{
    for (size_t j = 0; j < D; j++) {
        mean[j] = 0;
        for (size_t i = 0; i < n; i++)
            mean[j] += (double)rows[i * D + j] / (double)n;
    }
    for (size_t j = 0; j < D; j++)
        for (size_t k = 0; k < D; k++) {
            cov[j * D + k] = 0;
            for (size_t i = 0; i < n; i++)
                cov[j * D + k] += ((double)rows[i * D + j] - mean[j]) * ((double)rows[i * D + k] - mean[k]) / (double)n;
        }
}

static void
copy_rows(float *out, const void *arg, size_t from, size_t n)
{
    const float *all = arg;

    memcpy(out, all + from * D, n * D * sizeof *out);
}

static double
distance(const double *a, const double *b, double scale, size_t n)
{
    double worst = 0;

    for (size_t i = 0; i < n; i++) {
        double e = fabs(a[i] * scale - b[i]);

        worst = !(e <= worst) ? e : worst;
    }
    return worst;
}

int
main(void)
{
    static float rows[N * D], drawn[DRAWS * D], again[40 * D];
    double mean[D], cov[D * D], mean2[D], cov2[D * D];
    struct gauss *g = NULL;
    bool fine = true;
    struct err err;

    num_init(2);
    make_rows(rows, N);
    moments(mean, cov, rows, N);
    CHECK(gauss_fit(&g, copy_rows, rows, N, D, 0.25, &err) == OK, "rows of rank 2 in 5 dimensions are fitted");
    CHECK(g != NULL && gauss_draw(drawn, g, DRAWS, 1, 2, &err) == OK, "draws are made");
    moments(mean2, cov2, drawn, DRAWS);
    CHECK(gauss_draw(again, g, 40, 1, 2, &err) == OK && memcmp(again, drawn, 32 * D * sizeof *again) == 0,
        "the same again");
    CHECK(distance(mean, mean2, 1, D) <= 0.03, "draws have the mean of the rows");
    CHECK(distance(cov, cov2, 0.25, D * D) <= 0.03, "and a quarter of their covariance");
    CHECK(cov2[3 * D + 3] < 1e-10, "a column that does not vary stays as it is");
    gauss_free(g);
    CHECK(gauss_fit(&g, copy_rows, rows, N, D, 0, &err) == OK && gauss_draw(drawn, g, 1, 1, 2, &err) == OK,
        "without a covariance");
    for (size_t j = 0; j < D; j++)
        fine = fine && fabs((double)drawn[j] - mean[j]) <= 1e-6;
    CHECK(fine, "a draw is the mean");
    gauss_free(g);
    CHECK(gauss_fit(&g, copy_rows, rows, 0, D, 1, &err) == DATA, "no rows are an error");
    gauss_free(g);
    return unit_done();
}
