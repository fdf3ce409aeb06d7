/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beginnings of a model: at random, or an existing one with rows for new tokens.
 *
 * New rows are drawn around the mean of the old ones (Hewitt, "Initializing New Word Embeddings for Pretrained Language
 * Models", 2021): a new token's logit then stays below the log-sum-exp of the old ones, and what the model said before
 * hardly changes.
 *
 * Random numbers come in chunks of fixed size, each from its own (seed, tensor, chunk): threads do not change them.
 */
#include <math.h>
#include <string.h>

#include "model/model.h"

#define CHUNK ((size_t)65536)
#define NEW_ROWS ((uint64_t)1 << 62) /* streams of new rows lie above those of tensors */
#define NEW_HEAD ((uint64_t)1 << 61)

static bool
ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n >= m && strcmp(name + n - m, end) == 0;
}

void
init_random(struct model *m, uint64_t seed, double std)
{
    double residual = std / sqrt(2 * (double)m->config.L);

    for (size_t i = 0; i < m->params->n_tensors; i++) {
        struct tensor *t = &m->params->tensor[i];
        double s = ends_with(t->name, "o_proj.weight") || ends_with(t->name, "down_proj.weight") ? residual : std;

        if (t->cols == 0) {
            for (size_t j = 0; j < t->count; j++)
                t->p[j] = 1;
            continue;
        }
#pragma omp parallel for schedule(static) num_threads(num_threads())
        for (size_t c = 0; c < t->count; c += CHUNK) {
            struct rng rng = rng_seed(seed, ((uint64_t)i << 32) + c / CHUNK);

            for (size_t j = c; j < t->count && j < c + CHUNK; j++)
                t->p[j] = (float)(s * rng_normal(&rng));
        }
    }
}

/* Rows first … first + n - 1 of to, which belong to the V rows of to in place of old's. */
static enum status
new_rows(float *to, const float *old, size_t first, size_t n, size_t D, uint64_t seed, uint64_t stream, double scale,
    struct err *err)
{
    struct gauss *g = NULL;
    enum status st = gauss_fit(&g, old, first, D, scale, err);
    bool fine = true;

    if (st != OK)
        return st;
#pragma omp parallel for schedule(static) num_threads(num_threads()) reduction(&& : fine)
    for (size_t i = 0; i < n; i++) {
        struct rng rng = rng_seed(seed, stream + i);

        fine = gauss_draw(to + (first + i) * D, g, &rng, NULL) == OK && fine;
    }
    gauss_free(g);
    return fine ? OK : err_memory(err);
}

enum status
init_extend(
    struct model **out, const struct model *base, size_t first, size_t n, uint64_t seed, double scale, struct err *err)
{
    struct model_config c = base->config;
    struct model *m = NULL;
    size_t old = c.V, D = c.D;
    enum status st;

    *out = NULL;
    c.V = first + n > old ? first + n : old;
    if ((st = model_new(&m, &c, err)) != OK)
        return st;
    /* The tables of both have the same tensors in the same order; only embedding and head differ, in rows. */
    for (size_t i = 0; i < base->params->n_tensors; i++)
        memcpy(m->params->tensor[i].p, base->params->tensor[i].p, base->params->tensor[i].count * sizeof(float));
    if (first > old)
        st = err_set(err, DATA, "the vocabulary has %zu tokens, the embedding %zu rows", first, old);
    else
        st = new_rows(m->params->embed, base->params->embed, first, n, D, seed, NEW_ROWS, scale, err);
    if (st == OK && !c.tied)
        st = new_rows(m->params->head, base->params->head, first, n, D, seed, NEW_ROWS + NEW_HEAD, scale, err);
    if (st != OK) {
        model_free(m);
        return st;
    }
    *out = m;
    return OK;
}
