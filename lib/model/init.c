/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beginnings of a model: at random, or an existing one with rows for new tokens.
 *
 * New rows are drawn around the mean of the old ones (Hewitt, "Initializing New Word Embeddings for Pretrained Language
 * Models", 2021): a new token's logit then stays below the log-sum-exp of the old ones, and what the model said before
 * hardly changes.
 *
 * Random numbers come in chunks of fixed size, each from its own (seed, tensor, chunk): threads do not change them.
 *
 * An existing model is not read into memory: its tensors are written from where they lie (safewrite.c), old rows with
 * the bytes that they have. Memory is the new rows and the covariance.
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

/* ---- an existing one ---- */

static void
rows_of(float *out, const void *arg, size_t from, size_t n)
{
    const struct weight *t = arg;
    size_t D = t->dim[1];

    (void)dtype_to_f32(out, t->p + from * D * dtype_size(t->dtype), n * D, t->dtype);
}

/* n rows like the first of tensor NAME, which has V of them. */
static enum status
new_rows(float **out, const struct extension *x, const char *name, uint64_t stream, uint64_t seed, double scale,
    struct err *err)
{
    size_t D = x->base_config.D;
    const struct weight *t;
    struct gauss *g = NULL;
    enum status st;

    if ((st = weights_get(&t, x->base, name, x->base_config.V, D, err)) != OK ||
        (st = weights_check(x->base, t, err)) != OK)
        return st;
    if ((*out = calloc(x->n, D * sizeof **out)) == NULL)
        return err_memory(err);
    if ((st = gauss_fit(&g, rows_of, t, x->first, D, scale, err)) == OK)
        st = gauss_draw(*out, g, x->n, seed, stream, err);
    gauss_free(g);
    return st;
}

/* The place of NAME's numbers in base, and of new rows between old ones. */
static void
set_pieces(struct saved *s, const struct extension *x, const struct weight *t, const float *rows)
{
    size_t D = t->dims > 1 ? t->dim[1] : 1, size = dtype_size(t->dtype) * D, behind = x->first + x->n;

    s->piece[s->n++] = (struct piece){t->p, t->dtype, rows == NULL ? t->count : x->first * D};
    if (rows == NULL)
        return;
    s->piece[s->n++] = (struct piece){rows, DTYPE_F32, x->n * D};
    if (t->dim[0] > behind)
        s->piece[s->n++] = (struct piece){t->p + behind * size, t->dtype, (t->dim[0] - behind) * D};
}

static enum status
list_tensors(struct extension *x, enum dtype dtype, struct err *err)
{
    enum status st = params_list(&x->table, &x->n_tensors, &x->base_config, err);

    if (st == OK && (x->tensor = calloc(x->n_tensors, sizeof *x->tensor)) == NULL)
        return err_memory(err);
    for (size_t i = 0; st == OK && i < x->n_tensors; i++) {
        const struct tensor *from = &x->table[i];
        struct saved *s = &x->tensor[i];
        bool embed = i == 0, head = !x->config.tied && i + 1 == x->n_tensors;
        const struct weight *t;

        if ((st = weights_get(&t, x->base, from->name, from->rows, from->cols, err)) != OK ||
            (!embed && !head && (st = weights_check(x->base, t, err)) != OK))
            break;
        *s = (struct saved){.name = from->name,
            .dtype = dtype == DTYPE_OTHER ? t->dtype : dtype,
            .rows = embed || head ? x->config.V : from->rows,
            .cols = from->cols};
        set_pieces(s, x, t, embed ? x->embed : head ? x->head : NULL);
    }
    if (st == OK)
        x->dtype = x->tensor[0].dtype;
    return st;
}

enum status
init_extend(struct extension **out, const char *dir, size_t first, size_t n, uint64_t seed, double scale,
    enum dtype dtype, struct err *err)
{
    struct extension *x = calloc(1, sizeof *x);
    enum status st;

    *out = NULL;
    if (x == NULL)
        return err_memory(err);
    x->first = first;
    x->n = n;
    if ((st = config_load(&x->base_config, dir, err)) == OK && (st = weights_open(&x->base, dir, err)) == OK) {
        x->config = x->base_config;
        if (first + n > x->config.V)
            x->config.V = first + n;
        if (first > x->base_config.V)
            st = err_set(err, DATA, "the vocabulary has %zu tokens, the embedding %zu rows", first, x->base_config.V);
        else if (x->config.V > MODEL_MAX_V)
            st = err_set(err, DATA, "a vocabulary of %zu tokens: at most %zu", x->config.V, MODEL_MAX_V);
        else
            st = new_rows(&x->embed, x, "model.embed_tokens.weight", NEW_ROWS, seed, scale, err);
    }
    if (st == OK && !x->config.tied)
        st = new_rows(&x->head, x, "lm_head.weight", NEW_ROWS + NEW_HEAD, seed, scale, err);
    if (st == OK)
        st = list_tensors(x, dtype, err);
    if (st != OK) {
        extension_free(x);
        return st;
    }
    *out = x;
    return OK;
}

void
extension_free(struct extension *x)
{
    if (x == NULL)
        return;
    weights_close(x->base);
    free(x->embed);
    free(x->head);
    free(x->table);
    free(x->tensor);
    free(x);
}
