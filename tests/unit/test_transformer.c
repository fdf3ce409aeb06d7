/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transformer: logits and gradients of whole small models against the plain double-precision model of ref_llama.h, and
 * what must not change bits: the number of threads.
 */
#include <stdlib.h>
#include <string.h>

#include "model/transformer.h"
#include "ref_llama.h"
#include "unit.h"

#define N_SEQ 3
#define TOKENS 150

static const struct model_config shapes[] = {
    {.V = 61, .D = 24, .L = 2, .H = 4, .G = 2, .E = 6, .F = 40, .norm_eps = 1e-5, .rope_theta = 10000, .tied = true},
    {.V = 37,
        .D = 20,
        .L = 3,
        .H = 3,
        .G = 1,
        .E = 8,
        .F = 17,
        .norm_eps = 1e-6,
        .rope_theta = 500,
        .rope_scaled = true,
        .rope_factor = 8,
        .rope_low = 1,
        .rope_high = 4,
        .rope_original = 64},
};

/* Three sequences of 1, 80 and 69 tokens; every third token is trained. */
struct batch {
    int32_t id[TOKENS], target[TOKENS];
    uint32_t start[N_SEQ + 1], row[TOKENS];
    float scale[TOKENS];
    size_t n;
    struct ragged r;
};

static void
batch_make(struct batch *b, size_t V)
{
    struct rng r = rng_seed(3, 4);

    *b = (struct batch){.start = {0, 1, 81, TOKENS}};
    b->r = (struct ragged){N_SEQ, b->start, 80};
    for (size_t t = 0; t < TOKENS; t++)
        b->id[t] = (int32_t)rng_below(&r, V);
    for (size_t s = 0; s < N_SEQ; s++)
        for (uint32_t t = b->start[s]; t + 1 < b->start[s + 1]; t += 3) {
            b->row[b->n] = t;
            b->target[b->n] = b->id[t + 1];
            b->scale[b->n++] = t % 2 == 0 ? 0.03F : 0.01F;
        }
}

static struct ref_shape
ref_of(const struct model_config *c)
{
    return (struct ref_shape){c->V, c->D, c->L, c->H, c->G, c->E, c->F, c->norm_eps, c->rope_theta, c->rope_scaled,
        c->rope_factor, c->rope_low, c->rope_high, (double)c->rope_original};
}

/* Weights of a size that makes attention and gates far from linear. */
static void
randomise(struct params *p)
{
    struct rng r = rng_seed(1, 1);

    for (size_t i = 0; i < p->n_tensors; i++)
        for (size_t j = 0; j < p->tensor[i].count; j++)
            p->tensor[i].p[j] =
                (float)(rng_normal(&r) * (p->tensor[i].decay ? 0.4 : 0.2) + (p->tensor[i].decay ? 0 : 1));
}

static double
ref_loss(const double *w, const struct model_config *c, const struct batch *b)
{
    struct ref_shape s = ref_of(c);
    double *logits = malloc(TOKENS * c->V * sizeof *logits), sum = 0;

    for (size_t i = 0; i < N_SEQ; i++)
        ref_llama(logits + b->start[i] * c->V, w, &s, c->tied, b->id + b->start[i], b->start[i + 1] - b->start[i]);
    for (size_t i = 0; i < b->n; i++)
        sum += (double)b->scale[i] * ref_cross_entropy(logits + b->row[i] * c->V, c->V, b->target[i]);
    free(logits);
    return sum;
}

static double *
doubles(const float *x, size_t n)
{
    double *y = malloc(n * sizeof *y);

    for (size_t i = 0; i < n; i++)
        y[i] = (double)x[i];
    return y;
}

static double
our_gradient(struct params *g, const struct model_config *c, const struct params *p, const struct batch *b, int threads,
    unsigned kind)
{
    struct acts *a = NULL;
    struct err err;
    float loss[TOKENS];
    double sum = 0;

    num_init(threads);
    memset(g->block, 0, g->count * sizeof *g->block);
    CHECK(acts_new(&a, c, p->rank, TOKENS, 80, ACTS_BACKWARD | kind, &err) == OK, "memory for a batch");
    transformer_forward(a, p, b->id, &b->r);
    head_loss(loss, a, g, p, b->row, b->target, b->scale, b->n);
    transformer_backward(a, g, p, b->id, &b->r);
    CHECK(acts_status(a, &err) == OK, "products");
    acts_free(a);
    for (size_t i = 0; i < b->n; i++)
        sum += (double)(b->scale[i] * loss[i]);
    return sum;
}

/* Central differences of the double model at a sample of every tensor. */
static void
check_gradient(const struct params *p, const struct params *g, const struct model_config *c, const struct batch *b)
{
    double *w = doubles(p->block, p->count);
    struct rng r = rng_seed(9, 9);

    for (size_t i = 0; i < p->n_tensors; i++) {
        const struct tensor *t = &p->tensor[i];
        size_t at = (size_t)(t->p - p->block);
        double worst = 0, size = 0;

        for (size_t j = 0; j < t->count; j++)
            size += pow((double)g->block[at + j], 2) / (double)t->count;
        size = sqrt(size);
        for (size_t j = 0; j < 12; j++) {
            size_t k = at + rng_below(&r, t->count);
            double was = w[k], up, down, d;

            w[k] = was + 1e-5;
            up = ref_loss(w, c, b);
            w[k] = was - 1e-5;
            down = ref_loss(w, c, b);
            w[k] = was;
            d = fabs((up - down) / 2e-5 - (double)g->block[k]) / fmax(fabs((double)g->block[k]), size);
            if (!(d <= worst))
                worst = d;
        }
        CHECK(size > 0 && worst <= 1e-3, "gradient of %s: relative error %.1e", t->name, worst);
    }
    free(w);
}

static void
check_logits(const struct params *p, const struct model_config *c, const struct batch *b)
{
    struct model m = {*c, (struct params *)(uintptr_t)p};
    struct ref_shape s = ref_of(c);
    size_t S = 80;
    float *logits = malloc(S * c->V * sizeof *logits);
    double *want = malloc(S * c->V * sizeof *want), *w = doubles(p->block, p->count), worst = 0;
    struct err err;

    CHECK(model_logits(logits, &m, b->id, S, &err) == OK, "model_logits");
    ref_llama(want, w, &s, c->tied, b->id, S);
    for (size_t i = 0; i < S * c->V; i++) {
        double d = fabs(want[i] - (double)logits[i]);

        if (!(d <= worst))
            worst = d;
    }
    CHECK(worst <= 1e-4, "logits of an independent model: largest difference %.1e", worst);
    CHECK(model_logits(logits, &m, (const int32_t[]){0, (int32_t)c->V}, 2, &err) == DATA, "an id of %zu is refused",
        c->V);
    free(logits);
    free(want);
    free(w);
}

/* With bfloat16 the gradient g of float32 is met up to rounding, a tensor at a time; bits depend on nothing else. */
static void
check_half(struct params *p, const struct params *g, const struct model_config *c, const struct batch *b, double loss)
{
    struct params *h1 = NULL, *h2 = NULL;
    struct err err;
    double half;

    CHECK(
        params_half(p, &err) == OK && params_new(&h1, c, 0, &err) == OK && params_new(&h2, c, 0, &err) == OK, "memory");
    half = our_gradient(h1, c, p, b, 1, ACTS_HALF);
    NEAR(half, loss, 2e-2 * loss, "loss with bfloat16");
    CHECK(half != loss, "bfloat16 was used");
    CHECK(our_gradient(h2, c, p, b, 2, ACTS_HALF | ACTS_RECOMPUTE) == half &&
              memcmp(h1->block, h2->block, h1->count * sizeof(float)) == 0,
        "bfloat16: same gradient bits for 1 and 2 threads, and with activations computed again");
    for (size_t i = 0; i < g->n_tensors; i++) {
        const float *x = g->tensor[i].p, *y = h1->tensor[i].p;
        size_t n = g->tensor[i].count;
        double cosine = (double)vec_dot(x, y, n) / (vec_norm(x, n) * vec_norm(y, n));

        CHECK(cosine > 0.995, "bfloat16: gradient of %s: cosine to that of float32 %.5f", g->tensor[i].name, cosine);
    }
    params_free(h1);
    params_free(h2);
}

#define RANK 3

/* The loss with adapters is that of the merged weights, as the independent model has it. */
static double
merged_loss(const struct params *p, const struct model_config *c, const struct batch *b)
{
    struct params *whole = NULL;
    struct err err;
    double *w, loss;

    CHECK(params_merge(&whole, p, c, &err) == OK, "merged");
    w = doubles(whole->block, whole->count);
    loss = ref_loss(w, c, b);
    params_free(whole);
    free(w);
    return loss;
}

/* Gradients of adapters and of a range of rows: those of an independent model, and nothing else is touched. */
static void
check_frozen(const struct params *p, const struct params *all, const struct model_config *c, const struct batch *b)
{
    struct params *q = NULL, *g = NULL;
    size_t row = c->V / 3, rows = 7, D = c->D, base = p->count, inside = 0, at;
    const float *embed;
    struct rng r = rng_seed(5, 6);
    struct err err;
    bool same = true;

    CHECK(params_adapt(&q, p, c, RANK, 1, &err) == OK && params_new(&g, c, RANK, &err) == OK, "parameters");
    grads_freeze(g, row, rows);
    (void)our_gradient(g, c, q, b, 2, 0);
    at = (size_t)(g->embed - g->block);
    embed = g->embed;
    for (size_t i = row * D; i < (row + rows) * D; i++)
        same = same && fabsf(embed[i] - all->embed[i]) <= 1e-6F;
    CHECK(same, "rows of the embedding have the gradient that they have when all is trained");
    for (size_t i = 0; i < base; i++)
        inside += g->block[i] != 0 && (i < at + row * D || i >= at + (row + rows) * D) &&
                  (c->tied || i < (size_t)(g->head - g->block) + row * D ||
                      i >= (size_t)(g->head - g->block) + (row + rows) * D);
    CHECK(inside == 0, "no other gradient is touched, but %zu were", inside);
    for (size_t i = base; i < q->count; i++)
        q->block[i] = (float)(0.2 * rng_normal(&r));
    NEAR(our_gradient(g, c, q, b, 1, 0), merged_loss(q, c, b), 1e-4, "loss with adapters");
    memset(g->block, 0, g->count * sizeof *g->block);
    (void)our_gradient(g, c, q, b, 1, ACTS_RECOMPUTE);
    for (size_t i = 0; i < 24; i++) {
        size_t k = base + rng_below(&r, q->count - base);
        float was = q->block[k];
        double up, down;

        q->block[k] = was + 2e-3F;
        up = merged_loss(q, c, b);
        q->block[k] = was - 2e-3F;
        down = merged_loss(q, c, b);
        q->block[k] = was;
        NEAR((double)g->block[k], (up - down) / 4e-3, 5e-3 * fabs((up - down) / 4e-3) + 1e-4, "gradient of an adapter");
    }
    params_free(q);
    params_free(g);
}

int
main(void)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct model_config *c = &shapes[i];
        struct params *p = NULL, *g1 = NULL, *g2 = NULL;
        struct batch b;
        struct err err;
        double *w, loss;

        CHECK(
            params_new(&p, c, 0, &err) == OK && params_new(&g1, c, 0, &err) == OK && params_new(&g2, c, 0, &err) == OK,
            "parameters");
        randomise(p);
        batch_make(&b, c->V);
        loss = our_gradient(g1, c, p, &b, 1, 0);
        w = doubles(p->block, p->count);
        NEAR(loss, ref_loss(w, c, &b), 1e-5, "loss of an independent model");
        CHECK(our_gradient(g2, c, p, &b, 2, 0) == loss && memcmp(g1->block, g2->block, g1->count * sizeof(float)) == 0,
            "same gradient bits for 1 and 2 threads");
        CHECK(our_gradient(g2, c, p, &b, 2, ACTS_RECOMPUTE) == loss &&
                  memcmp(g1->block, g2->block, g1->count * sizeof(float)) == 0,
            "same gradient bits with activations computed again");
        check_gradient(p, g1, c, &b);
        check_logits(p, c, &b);
        free(w);
        check_frozen(p, g1, c, &b);
        check_half(p, g1, c, &b, loss);
        params_free(p);
        params_free(g1);
        params_free(g2);
    }
    return unit_done();
}
