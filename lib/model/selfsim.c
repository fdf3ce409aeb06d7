/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The self-similarity loss of TalkPlay (Doh, Choi and Nam 2025, §4.3): music tokens' embeddings shall be as similar to
 * each other as the centroids that they stand for.
 *
 * With u_i = e_i / |e_i|, S = U U^T and s_ij = sign(S_ij - C_ij), the loss is the mean of |S_ij - C_ij| over the n
 * pairs i < j, dL/du_i = sum_j s_ij u_j / n and dL/de_i = (dL/du_i - (dL/du_i . u_i) u_i) / |e_i|. Where the difference
 * is 0 so is s: a subgradient. 4 K^2 D operations, K^2 + 2 K D floats.
 */
#include <math.h>

#include "model/layers.h"

size_t
selfsim_scratch(size_t K, size_t D)
{
    return K * K + 2 * K * D + K;
}

/* s becomes the signs; the sum of |s - c| over i < j. Rows' sums are joined in order. */
static double
signs(float *s, const float *c, size_t K)
{
    double sum = 0;

    for (size_t i = 0; i < K; i++) {
        double row = 0;

        for (size_t j = 0; j < K; j++) {
            float d = s[i * K + j] - c[i * K + j];

            if (j > i)
                row += fabs((double)d);
            s[i * K + j] = i == j || d == 0 ? 0.0F : d > 0 ? 1.0F : -1.0F;
        }
        sum += row;
    }
    return sum;
}

double
selfsim(float *dembed, float *scratch, const float *embed, const int32_t *id, const float *c, size_t K, size_t D,
    double scale)
{
    float *s = scratch, *u = s + K * K, *du = u + K * D, *length = du + K * D;
    double pairs = (double)K * ((double)K - 1) / 2, sum;

    if (K < 2)
        return 0;
    for (size_t i = 0; i < K; i++) {
        const float *e = embed + (size_t)id[i] * D;

        length[i] = (float)vec_norm(e, D);
        for (size_t j = 0; j < D; j++)
            u[i * D + j] = length[i] > 0 ? e[j] / length[i] : 0;
    }
    mat_mul(s, K, u, D, false, u, D, true, K, K, D, 1, 0);
    sum = signs(s, c, K);
    if (dembed == NULL)
        return sum / pairs;
    mat_mul(du, D, s, K, false, u, D, false, K, D, K, 1, 0);
    for (size_t i = 0; i < K; i++) {
        float *d = dembed + (size_t)id[i] * D, along;

        if (!(length[i] > 0))
            continue;
        along = vec_dot(du + i * D, u + i * D, D);
        vec_axpy(d, (float)(scale / pairs / (double)length[i]), du + i * D, D);
        vec_axpy(d, (float)(-scale / pairs * (double)along / (double)length[i]), u + i * D, D);
    }
    return sum / pairs;
}
