/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bootstrap - 95 % intervals by resampling conversations (Efron, Tibshirani, "An Introduction to the Bootstrap", 1993,
 * ch. 13: the percentile interval).
 *
 * Turns of one conversation hang together, so whole conversations are drawn with replacement, as many as there are. A
 * difference of two columns is taken inside each resample, which pairs the systems turn by turn. Quantiles interpolate
 * linearly between order statistics (type 7 of Hyndman, Fan 1996: the default of R and NumPy).
 *
 * Time: samples * conversations * columns. Memory: 8 bytes * samples * columns.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/eval.h"

/* What one draw of conversation c adds to the sums and to the count. */
static double
weight_of(const uint64_t *count, size_t c, bool by_conversation)
{
    return by_conversation ? 1.0 / (double)count[c] : 1.0;
}

static void
resample(struct boot *b, double *total, size_t s, const uint64_t *count, const double *sum, bool by_conversation,
    uint64_t seed)
{
    struct rng rng = rng_seed(seed, s);
    double n = 0;

    memset(total, 0, b->columns * sizeof(*total));
    for (size_t i = 0; i < b->conversations; i++) {
        size_t c = (size_t)rng_below(&rng, b->conversations);
        double w = weight_of(count, c, by_conversation);
        n += (double)count[c] * w;
        for (size_t j = 0; j < b->columns; j++)
            total[j] += sum[c * b->columns + j] * w;
    }
    for (size_t j = 0; j < b->columns; j++)
        b->draw[j * b->samples + s] = total[j] / n;
}

enum status
boot_run(struct boot **out, const uint64_t *count, const double *sum, size_t conversations, size_t columns,
    bool by_conversation, uint64_t seed, size_t samples, struct err *err)
{
    struct boot *b = calloc(1, sizeof(*b));
    double *total = calloc(columns, sizeof(*total)), n = 0;
    size_t cells;

    if (b == NULL || total == NULL || !size_mul(&cells, columns, samples) || cells > SIZE_MAX / sizeof(double) ||
        (b->mean = calloc(columns, sizeof(*b->mean))) == NULL || (b->draw = malloc(cells * sizeof(*b->draw))) == NULL ||
        (b->sort = malloc(samples * sizeof(*b->sort))) == NULL) {
        free(total);
        boot_free(b);
        return err_memory(err);
    }
    b->conversations = conversations;
    b->columns = columns;
    b->samples = samples;
    for (size_t c = 0; c < conversations; c++) {
        double w = weight_of(count, c, by_conversation);
        b->observations += count[c];
        n += (double)count[c] * w;
        for (size_t j = 0; j < columns; j++)
            b->mean[j] += sum[c * columns + j] * w;
    }
    for (size_t j = 0; j < columns; j++)
        b->mean[j] /= n;
    for (size_t s = 0; s < samples; s++)
        resample(b, total, s, count, sum, by_conversation, seed);
    free(total);
    *out = b;
    return OK;
}

void
boot_free(struct boot *b)
{
    if (b == NULL)
        return;
    free(b->mean);
    free(b->draw);
    free(b->sort);
    free(b);
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Of n sorted numbers. */
static double
quantile(const double *x, size_t n, double p)
{
    double at = p * (double)(n - 1);
    size_t i = (size_t)floor(at);

    return i + 1 < n ? x[i] + (at - (double)i) * (x[i + 1] - x[i]) : x[n - 1];
}

void
boot_interval(double *low, double *high, struct boot *b, size_t i, size_t j)
{
    for (size_t s = 0; s < b->samples; s++)
        b->sort[s] = b->draw[i * b->samples + s] - (j == BOOT_ALONE ? 0 : b->draw[j * b->samples + s]);
    qsort(b->sort, b->samples, sizeof(*b->sort), by_value);
    *low = quantile(b->sort, b->samples, 0.025);
    *high = quantile(b->sort, b->samples, 0.975);
}
