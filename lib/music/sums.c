/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sums - the sum of the vectors of each cluster, kept up to date by those that change.
 *
 * Numbers are added as whole multiples of a power of two, so small that the largest sum there can be has 62 bits:
 * sums of integers are exact in any order, so that what was added can be taken away again, and the means have the
 * same bits whether they were summed anew or followed through many rounds. For n vectors a number loses what is below
 * 2^(n's bits - 62) of the largest, for a million the last 2^-41. Two rows of memory are read for a vector that
 * changes. Memory: 12 bytes a vector, 8 a number of the centroids.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lloyd.h"

#define BITS 62

struct sums {
    const struct cloud *cloud;
    size_t k;
    double scale;
    double squares;                /* sum of the squared lengths */
    int64_t *sum;                  /* (k, dim) */
    uint64_t *count;               /* (k) */
    uint32_t *code;                /* (n) what is counted now; NEAREST_NONE for nothing */
    uint32_t *from, *to;           /* (n) vectors that leave and that join, by cluster */
    size_t *from_start, *to_start; /* (k + 1) */
};

/* The largest magnitude, and the sum of squares in the order of the vectors. */
static double
survey(struct sums *s, double *square)
{
    size_t dim = s->cloud->dim, n = s->cloud->n;
    float most = 0;

#pragma omp parallel for schedule(static) reduction(max : most) num_threads(num_threads())
    for (size_t i = 0; i < n; i++) {
        const float *x = cloud_at(s->cloud, i);
        float top = 0;

#pragma omp simd reduction(max : top)
        for (size_t j = 0; j < dim; j++) {
            float a = fabsf(x[j]);
            top = a > top ? a : top;
        }
        square[i] = vec_norm(x, dim) * vec_norm(x, dim);
        most = top > most ? top : most;
    }
    s->squares = 0;
    for (size_t i = 0; i < n; i++)
        s->squares += square[i];
    return (double)most;
}

enum status
sums_new(struct sums **out, const struct cloud *cloud, size_t k, struct err *err)
{
    struct sums *s = calloc(1, sizeof(*s));
    double *square = calloc(cloud->n, sizeof(*square)), most;
    int e = 0, bits = 0;

    *out = NULL;
    if (s == NULL || square == NULL)
        goto fail;
    s->cloud = cloud;
    s->k = k;
    s->sum = calloc(k, cloud->dim * sizeof(*s->sum));
    s->count = calloc(k, sizeof(*s->count));
    s->code = calloc(cloud->n, sizeof(*s->code));
    s->from = calloc(cloud->n, sizeof(*s->from));
    s->to = calloc(cloud->n, sizeof(*s->to));
    s->from_start = calloc(k + 1, sizeof(*s->from_start));
    s->to_start = calloc(k + 1, sizeof(*s->to_start));
    if (s->sum == NULL || s->count == NULL || s->code == NULL || s->from == NULL || s->to == NULL ||
        s->from_start == NULL || s->to_start == NULL)
        goto fail;
    most = survey(s, square);
    (void)frexp(most, &e);
    while (bits < 64 && (cloud->n >> bits) > 0)
        bits++;
    s->scale = most > 0 ? ldexp(1, BITS - bits - e) : 1;
    memset(s->code, 0xff, cloud->n * sizeof(*s->code));
    free(square);
    *out = s;
    return OK;
fail:
    free(square);
    sums_free(s);
    return err_memory(err);
}

void
sums_free(struct sums *s)
{
    if (s == NULL)
        return;
    free(s->sum);
    free(s->count);
    free(s->code);
    free(s->from);
    free(s->to);
    free(s->from_start);
    free(s->to_start);
    free(s);
}

/* The vectors that change, by what they have in by; start becomes where each cluster begins. */
static void
by_cluster(uint32_t *list, size_t *start, const struct sums *s, const uint32_t *code, const uint32_t *by)
{
    size_t n = s->cloud->n, k = s->k;

    memset(start, 0, (k + 1) * sizeof(*start));
    for (size_t i = 0; i < n; i++)
        if (s->code[i] != code[i] && by[i] != NEAREST_NONE)
            start[by[i] + 1]++;
    for (size_t c = 0; c < k; c++)
        start[c + 1] += start[c];
    for (size_t i = 0; i < n; i++)
        if (s->code[i] != code[i] && by[i] != NEAREST_NONE)
            list[start[by[i]]++] = (uint32_t)i;
    for (size_t c = k; c > 0; c--)
        start[c] = start[c - 1];
    start[0] = 0;
}

/* sum += sign times the vectors of list, as integers. */
static void
add(int64_t *sum, const struct sums *s, const uint32_t *list, size_t n, double signed_scale)
{
    for (size_t i = 0; i < n; i++) {
        const float *x = cloud_at(s->cloud, list[i]);

#pragma omp simd
        for (size_t j = 0; j < s->cloud->dim; j++)
            sum[j] += (int64_t)rint((double)x[j] * signed_scale);
    }
}

void
sums_follow(struct sums *s, const uint32_t *code)
{
    size_t dim = s->cloud->dim;

    by_cluster(s->from, s->from_start, s, code, s->code);
    by_cluster(s->to, s->to_start, s, code, code);
#pragma omp parallel for schedule(dynamic, 4) num_threads(num_threads())
    for (size_t c = 0; c < s->k; c++) {
        size_t left = s->from_start[c + 1] - s->from_start[c], joined = s->to_start[c + 1] - s->to_start[c];

        add(s->sum + c * dim, s, s->from + s->from_start[c], left, -s->scale);
        add(s->sum + c * dim, s, s->to + s->to_start[c], joined, s->scale);
        s->count[c] += joined;
        s->count[c] -= left;
    }
    memcpy(s->code, code, s->cloud->n * sizeof(*code));
}

const uint64_t *
sums_count(const struct sums *s)
{
    return s->count;
}

void
sums_means(float *centroid, const struct sums *s, bool unit)
{
    size_t dim = s->cloud->dim;

#pragma omp parallel for schedule(static) num_threads(num_threads_for(s->k *dim))
    for (size_t c = 0; c < s->k; c++) {
        const int64_t *sum = s->sum + c * dim;
        double norm = 0;

        for (size_t j = 0; j < dim && unit; j++) {
            double x = (double)sum[j] / s->scale;
            norm += x * x;
        }
        norm = unit ? sqrt(norm) : (double)s->count[c];
        for (size_t j = 0; j < dim && norm > 0; j++)
            centroid[c * dim + j] = (float)((double)sum[j] / s->scale / norm);
    }
}

double
sums_inertia(const struct sums *s, const float *centroid)
{
    double inertia = s->squares;

    for (size_t c = 0; c < s->k; c++) {
        const float *v = centroid + c * s->cloud->dim;
        double cross = 0, norm2 = 0;

        for (size_t j = 0; j < s->cloud->dim; j++) {
            cross += (double)v[j] * (double)s->sum[c * s->cloud->dim + j];
            norm2 += (double)v[j] * (double)v[j];
        }
        inertia += (double)s->count[c] * norm2 - 2 * cross / s->scale;
    }
    return inertia > 0 ? inertia : 0;
}
