/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax cross-entropy over rows of logits, forward and backward in one: three passes over them. Sums over the
 * vocabulary are of float in vector lanes of up to SPAN numbers, and of double between those spans.
 */
#include <math.h>

#include "model/fast.h"
#include "model/layers.h"

#define SPAN 1024

/* Row of V logits: becomes exp(logit - max); returns the sum. */
static double
exp_row(float *row, float most, size_t V)
{
    double sum = 0;

    for (size_t j = 0; j < V; j += SPAN) {
        size_t end = V - j < SPAN ? V : j + SPAN;
        float part = 0;

#pragma omp simd reduction(+ : part)
        for (size_t i = j; i < end; i++) {
            float e = fast_exp(row[i] - most);

            row[i] = e;
            part += e;
        }
        sum += (double)part;
    }
    return sum;
}

void
cross_entropy(float *loss, float *logits, const int32_t *target, const float *scale, size_t n, size_t V)
{
#pragma omp parallel for schedule(static) num_threads(num_threads_for(n *V * 16))
    for (size_t r = 0; r < n; r++) {
        float *row = logits + r * V, most = row[0], at = row[target[r]], factor;
        double sum;

#pragma omp simd reduction(max : most)
        for (size_t j = 0; j < V; j++)
            most = row[j] > most ? row[j] : most;
        sum = exp_row(row, most, V);
        loss[r] = (float)(log(sum) + (double)most - (double)at);
        factor = (float)((double)scale[r] / sum);
#pragma omp simd
        for (size_t j = 0; j < V; j++)
            row[j] *= factor;
        row[target[r]] -= scale[r];
    }
}
