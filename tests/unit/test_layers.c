/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layers: what each gives against ref_llama.h, and its gradient against central differences of that double-precision
 * reference (relative error at most 1e-3 of the larger of the element and the gradient's root mean square). The
 * objective is a random weighting of outputs.
 */
#include <stdlib.h>
#include <string.h>

#include "model/layers.h"
#include "ref_llama.h"
#include "unit.h"

enum {
    T = 70, /* more than one block of attention */
    D = 20,
    F = 17,
    H = 4,
    G = 2,
    E = 6,
    Q = (H + 2 * G) * E,
    V = 23,
    N = 13,
    CODES = 12,
    MOST = 4096
};

static const uint32_t start[] = {0, 1, 3, T};
static const struct ragged ragged = {3, start, T - 3};
static float weight[MOST]; /* of the outputs in the objective */
static int32_t id[T];

static double
objective(const double *y, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)weight[i] * y[i];
    return sum;
}

static double
of_norm(const double *x)
{
    double y[T * D];

    ref_norm(y, x, x + T * D, 1e-5, T, D);
    return objective(y, T * D);
}

static double
of_linear(const double *x)
{
    double y[T * N];

    ref_linear(y, x, x + T * D, T, N, D);
    return objective(y, T * N);
}

static double
of_rope(const double *x)
{
    struct ref_shape c = {.E = E, .theta = 100};
    double y[T * 2 * E];

    memcpy(y, x, sizeof y);
    for (size_t t = 0; t < T; t++)
        for (size_t h = 0; h < 2; h++)
            ref_rope(y + (t * 2 + h) * E, &c, t % 50);
    return objective(y, T * 2 * E);
}

static double
of_attention(const double *x)
{
    double y[T * H * E];

    for (size_t s = 0; s < 3; s++)
        ref_attention(y + start[s] * H * E, x + start[s] * Q, start[s + 1] - start[s], H, G, E);
    return objective(y, T * H * E);
}

static double
of_swiglu(const double *x)
{
    double y[T * F];

    ref_swiglu(y, x, T, F);
    return objective(y, T * F);
}

static double
of_embed(const double *x)
{
    double y[T * D];

    for (size_t t = 0; t < T; t++)
        memcpy(y + t * D, x + (size_t)id[t] * D, D * sizeof *y);
    return objective(y, T * D);
}

static double
of_cross_entropy(const double *x)
{
    double y[T];

    for (size_t t = 0; t < T; t++)
        y[t] = ref_cross_entropy(x + t * V, V, id[t]);
    return objective(y, T);
}

/* 0.7 times the loss of 12 embeddings against fixed cosines. */
static float cosine[CODES * CODES];
static double
of_selfsim(const double *x)
{
    double sum = 0;

    for (size_t i = 0; i < CODES; i++)
        for (size_t j = i + 1; j < CODES; j++) {
            const double *a = x + (size_t)id[i] * D, *b = x + (size_t)id[j] * D;
            double ab = 0, aa = 0, bb = 0;

            for (size_t k = 0; k < D; k++) {
                ab += a[k] * b[k];
                aa += a[k] * a[k];
                bb += b[k] * b[k];
            }
            sum += fabs((double)cosine[i * CODES + j] - ab / sqrt(aa * bb));
        }
    return 0.7 * sum / (CODES * (CODES - 1) / 2.0);
}

/* value: what our layer makes of x, as the objective; gradient (n): ours. */
static void
check(const char *name, double (*f)(const double *), const float *x, const float *gradient, size_t n, double value)
{
    double *point = malloc(n * sizeof *point), size = 0, worst = 0;
    struct rng r = rng_seed(5, 5);

    for (size_t i = 0; i < n; i++) {
        point[i] = (double)x[i];
        size += (double)gradient[i] * (double)gradient[i] / (double)n;
    }
    size = sqrt(size);
    NEAR(value, f(point), 2e-5 * (1 + fabs(value)), "%s: forward", name);
    for (size_t k = 0; k < 100; k++) {
        size_t i = rng_below(&r, n);
        double was = point[i], up, down, d;

        point[i] = was + 1e-5;
        up = f(point);
        point[i] = was - 1e-5;
        down = f(point);
        point[i] = was;
        d = fabs((up - down) / 2e-5 - (double)gradient[i]) / fmax(size, fabs((double)gradient[i]));
        if (!(d <= worst))
            worst = d;
    }
    CHECK(size > 0 && worst <= 1e-3, "%s: gradient, relative error %.1e", name, worst);
    free(point);
}

static double
weighed(const float *y, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)weight[i] * (double)y[i];
    return sum;
}

_Alignas(64) static float x[MOST], dx[MOST], y[MOST], lse[T * H], rstd[T], partial[4 * D], scratch[1 << 17];

static void
reset(struct rng *r)
{
    for (size_t i = 0; i < MOST; i++) {
        x[i] = (float)rng_normal(r);
        weight[i] = (float)rng_normal(r);
    }
    for (size_t t = 0; t < T; t++)
        id[t] = (int32_t)(t < CODES ? t + 3 : rng_below(r, V));
    memset(dx, 0, sizeof dx);
}

#define X(p) ((struct operand){p, NULL})

static void
test_plain_layers(struct rng *r)
{
    reset(r);
    norm_forward(y, NULL, rstd, x, x + T * D, 1e-5, T, D);
    norm_backward(dx, dx + T * D, partial, weight, x, rstd, x + T * D, T, D);
    check("norm", of_norm, x, dx, T * D + D, weighed(y, T * D));
    reset(r);
    linear_forward(y, X(x), X(x + T * D), T, N, D, 0, NULL);
    linear_backward(dx, dx + T * D, X(weight), X(x), X(x + T * D), T, N, D, 0, NULL);
    check("linear", of_linear, x, dx, T * D + N * D, weighed(y, T * N));
    reset(r);
    swiglu_forward(y, NULL, x, T, F);
    swiglu_backward(dx, NULL, weight, x, T, F);
    check("swiglu", of_swiglu, x, dx, T * 2 * F, weighed(y, T * F));
    reset(r);
    embed_forward(y, x, id, T, D);
    embed_backward(dx, weight, id, T, D, 0, SIZE_MAX);
    check("embed", of_embed, x, dx, V * D, weighed(y, T * D));
}

static void
test_rope(struct rng *r)
{
    struct model_config c = {.E = E, .rope_theta = 100};
    float cosines[50 * E / 2], sines[50 * E / 2];
    uint32_t pos[T];

    reset(r);
    rope_table(cosines, sines, &c, 0, 50);
    for (uint32_t t = 0; t < T; t++)
        pos[t] = t % 50;
    memcpy(y, x, sizeof y);
    rope_forward(y, 2 * E, 2, cosines, sines, pos, T, E);
    memcpy(dx, weight, T * 2 * E * sizeof *dx);
    rope_backward(dx, 2 * E, 2, cosines, sines, pos, T, E);
    check("rope", of_rope, x, dx, T * 2 * E, weighed(y, T * 2 * E));
}

static void
test_attention(struct rng *r)
{
    reset(r);
    CHECK(attention_scratch(&ragged, E, num_threads()) <= sizeof scratch / sizeof *scratch, "scratch suffices");
    attention_forward(y, lse, scratch, x, &ragged, H, G, E);
    attention_backward(dx, scratch, weight, lse, x, &ragged, H, G, E);
    check("attention", of_attention, x, dx, T * Q, weighed(y, T * H * E));
}

static void
test_losses(struct rng *r)
{
    float loss[T];
    double value;

    reset(r);
    memcpy(y, x, sizeof y);
    cross_entropy(loss, y, id, weight, T, V);
    check("cross-entropy", of_cross_entropy, x, y, T * V, weighed(loss, T));
    reset(r);
    for (size_t i = 0; i < CODES * CODES; i++)
        cosine[i] = (float)(rng_unit(r) * 2 - 1);
    for (size_t i = 0; i < CODES; i++)
        for (size_t j = 0; j < i; j++)
            cosine[i * CODES + j] = cosine[j * CODES + i];
    value = 0.7 * selfsim(dx, scratch, x, id, cosine, CODES, D, 0.7);
    check("self-similarity", of_selfsim, x, dx, V * D, value);
    NEAR(selfsim(NULL, scratch, x, id, cosine, CODES, D, 0), value / 0.7, 1e-12, "self-similarity without gradient");
    NEAR(selfsim(dx, scratch, x, id, cosine, 1, D, 1), 0, 0, "self-similarity of one code is 0");
}

int
main(void)
{
    struct rng r = rng_seed(2, 3);

    num_init(2);
    test_plain_layers(&r);
    test_rope(&r);
    test_attention(&r);
    test_losses(&r);
    return unit_done();
}
