/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding: the Llama 3 forward pass (Grattafiori et al. 2024, §3.2) with keys and values kept.
 *
 * A token's row meets the others in attention only, and there in an order that its own positions set: what it gives
 * does not depend on what shares its batch, nor on the number of threads. Matrices are packed once (decoder.c).
 * Prompts of a batch are sorted; of each only what its neighbour does not begin with is computed, layer by layer, and
 * the rest copied; so is what a prompt of an earlier pass began with (prefix.c).
 *
 * Cost: 2 operations a parameter and token, and 4 L H E a position seen. Memory: the packed weights, 2 L G E numbers a
 * position of a cache, 2 D + 2 H E + 3 F floats a row in flight and the widest of them again.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/decode.h"

/* Of n rows: x and h (n,D), qkv (n,(H+2G)E), a (n,HE), gu (n,2F), act (n,F); scratch for the products. */
struct work {
    float *x, *h, *qkv, *a, *gu, *act, *scratch;
};

static void
work_free(struct work *w)
{
    free(w->x);
    free(w->h);
    free(w->qkv);
    free(w->a);
    free(w->gu);
    free(w->act);
    free(w->scratch);
}

static enum status
work_new(struct work *w, const struct model_config *c, size_t n, struct err *err)
{
    size_t q = c->H * c->E, widest = c->D > c->F ? c->D : c->F;

    widest = widest > q ? widest : q;
    w->x = calloc(n, c->D * sizeof(float));
    w->h = calloc(n, c->D * sizeof(float));
    w->qkv = calloc(n, (q + 2 * c->G * c->E) * sizeof(float));
    w->a = calloc(n, q * sizeof(float));
    w->gu = calloc(n, 2 * c->F * sizeof(float));
    w->act = calloc(n, c->F * sizeof(float));
    w->scratch = calloc(n, (widest + 1) * sizeof(float));
    if (w->x && w->h && w->qkv && w->a && w->gu && w->act && w->scratch)
        return OK;
    work_free(w);
    return err_memory(err);
}

/* Root mean square norm (Zhang, Sennrich 2019) of n rows. */
static void
norm_rows(float *out, const float *x, const float *weight, size_t n, size_t D, double eps)
{
#pragma omp parallel for schedule(static) num_threads(num_threads_for(n *D * 8))
    for (size_t i = 0; i < n; i++) {
        double length = vec_norm(x + i * D, D);
        float scale = (float)(1 / sqrt(length * length / (double)D + eps));

        for (size_t j = 0; j < D; j++)
            out[i * D + j] = x[i * D + j] * scale * weight[j];
    }
}

/* Rotary embedding (Su et al. 2021) of count heads, in transformers' order: element i turns with element i + E/2. */
static void
rotate(float *x, const struct decoder *d, size_t count, size_t position)
{
    size_t half = d->config.E / 2;
    const float *cs = d->cos + position * half, *sn = d->sin + position * half;

    for (size_t h = 0; h < count; h++, x += 2 * half)
        for (size_t i = 0; i < half; i++) {
            float a = x[i], b = x[i + half];

            x[i] = a * cs[i] - b * sn[i];
            x[i + half] = b * cs[i] + a * sn[i];
        }
}

/* Angles up to the last position of rows: of those that a model may have, few are ever needed. */
static enum status
turn_upto(struct decoder *d, const struct row *rows, size_t n, struct err *err)
{
    const struct model_config *c = &d->config;
    size_t most = 0, half = c->E / 2, to = d->turns == 0 ? 256 : d->turns;
    float *cosine, *sine;

    for (size_t i = 0; i < n; i++)
        most = rows[i].position > most ? rows[i].position : most;
    if (most < d->turns)
        return OK;
    while (to <= most)
        to *= 2;
    to = to < c->max_positions ? to : c->max_positions;
    if ((cosine = realloc(d->cos, to * half * sizeof *cosine)) == NULL)
        return err_memory(err);
    d->cos = cosine;
    if ((sine = realloc(d->sin, to * half * sizeof *sine)) == NULL)
        return err_memory(err);
    d->sin = sine;
    rope_table(cosine + d->turns * half, sine + d->turns * half, c, d->turns, to - d->turns);
    d->turns = to;
    return OK;
}

/* n numbers to place at of what begins at to. */
static void
put_numbers(void *to, size_t at, const float *x, size_t n, bool half)
{
    if (half)
        bf16_pack((bf16 *)to + at, x, n);
    else
        memcpy((float *)to + at, x, n * sizeof *x);
}

/* Puts the key and value of row r where attention finds them. */
static void
keep(const struct row *r, const float *k, const float *v, const struct decoder *d, size_t l)
{
    const struct model_config *c = &d->config;

    for (size_t g = 0; g < c->G; g++) {
        const float *key = k + g * c->E, *value = v + g * c->E;

        if (r->tail != NULL) {
            put_numbers(tail_of(r->tail, d, l, g, false), (r->n_tail - 1) * c->E, key, c->E, d->half);
            put_numbers(tail_of(r->tail, d, l, g, true), (r->n_tail - 1) * c->E, value, c->E, d->half);
        } else {
            size_t at = (l * c->G + g) * r->cache->cap, p = r->n_cache - 1;

            for (size_t e = 0; e < c->E; e++)
                r->cache->k[at * c->E + e * r->cache->cap + p] = key[e];
            memcpy(r->cache->v + (at + p) * d->P, value, c->E * sizeof(float));
        }
    }
}

static enum status
attention(struct work *w, const struct decoder *d, size_t l, const struct row *rows, size_t n,
    const struct share *shares, size_t n_shares, struct err *err)
{
    const struct model_config *c = &d->config;
    const struct packed_layer *p = &d->layer[l];
    size_t q = c->H * c->E, ld = q + 2 * c->G * c->E;
    enum status st;

    norm_rows(w->h, w->x, p->attn_norm, n, c->D, c->norm_eps);
    packed_rows(w->qkv, ld, w->h, &p->qkv, n, w->scratch);
#pragma omp parallel for schedule(static) num_threads(num_threads_for(n *ld * 8))
    for (size_t i = 0; i < n; i++) {
        float *row = w->qkv + i * ld;

        rotate(row, d, c->H + c->G, rows[i].position);
        keep(&rows[i], row + q, row + q + c->G * c->E, d, l);
    }
    for (size_t i = 0; i < n_shares; i++)
        if (shares[i].n > 0)
            cache_copy(shares[i].to, shares[i].from, shares[i].n, l, d);
    if ((st = attend(w->a, w->qkv, ld, d, l, rows, n, err)) != OK)
        return st;
    packed_rows(w->h, c->D, w->a, &p->wo, n, w->scratch);
    for (size_t i = 0; i < n * c->D; i++)
        w->x[i] += w->h[i];
    return OK;
}

/* SwiGLU (Shazeer 2020). */
static void
feed_forward(struct work *w, const struct decoder *d, size_t l, size_t n)
{
    const struct model_config *c = &d->config;
    const struct packed_layer *p = &d->layer[l];

    norm_rows(w->h, w->x, p->ffn_norm, n, c->D, c->norm_eps);
    packed_rows(w->gu, 2 * c->F, w->h, &p->gate_up, n, w->scratch);
#pragma omp parallel for schedule(static) num_threads(num_threads_for(n * c->F * 16))
    for (size_t i = 0; i < n; i++) {
        const float *g = w->gu + i * 2 * c->F, *u = g + c->F;
        float *act = w->act + i * c->F;

        for (size_t j = 0; j < c->F; j++)
            act[j] = -g[j];
        vec_exp(act, act, c->F);
        for (size_t j = 0; j < c->F; j++)
            act[j] = g[j] * u[j] / (1 + act[j]);
    }
    packed_rows(w->h, c->D, w->act, &p->down, n, w->scratch);
    for (size_t i = 0; i < n * c->D; i++)
        w->x[i] += w->h[i];
}

enum status
decoder_rows(float *logits, struct decoder *d, const struct row *rows, size_t n, const struct share *shares,
    size_t n_shares, const size_t *last, size_t n_last, struct err *err)
{
    const struct model_config *c = &d->config;
    struct work w = {0};
    enum status st;

    if ((st = turn_upto(d, rows, n, err)) != OK || (st = work_new(&w, c, n, err)) != OK)
        return st;
    for (size_t i = 0; i < n; i++)
        (void)dtype_to_f32(w.x + i * c->D, d->embed.p + (size_t)rows[i].token * c->D * dtype_size(d->embed.dtype), c->D,
            d->embed.dtype);
    for (size_t l = 0; l < c->L; l++) {
        if ((st = attention(&w, d, l, rows, n, shares, n_shares, err)) != OK)
            goto out;
        feed_forward(&w, d, l, n);
    }
    for (size_t i = 0; i < n_last; i++)
        memcpy(w.h + i * c->D, w.x + last[i] * c->D, c->D * sizeof(float));
    norm_rows(w.h, w.h, d->norm, n_last, c->D, c->norm_eps);
    packed_rows(logits, c->V, w.h, &d->head, n_last, w.scratch);
out:
    work_free(&w);
    return st;
}
