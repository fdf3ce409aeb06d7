/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding: the Llama 3 forward pass (Grattafiori et al. 2024, §3.2) with keys and values kept.
 *
 * A token's row meets the others in attention only, and there in an order that its own positions set: what it gives
 * does not depend on what shares its batch, nor on the number of threads. Matrices are packed once (packed.c).
 * Prompts of a batch are sorted; of each only what its neighbour does not begin with is computed, layer by layer, and
 * the rest copied; so is what a prompt of an earlier pass began with (prefix.c).
 *
 * Cost: 2 operations a parameter and token, and 4 L H E a position seen. Memory: the weights twice (as they were
 * loaded, and packed: 4, 2 or 1.125 bytes each), 2 L G E floats a position of a cache, 2 D + 2 H E + 3 F floats a row
 * in flight.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/decode.h"

/* ---- caches ---- */

static size_t
vectors(size_t n)
{
    return (n + VECTOR - 1) / VECTOR * VECTOR;
}

enum status
cache_new(struct cache **out, const struct decoder *d, size_t capacity, struct err *err)
{
    const struct model_config *c = &d->m->config;
    struct cache *a = calloc(1, sizeof *a);
    size_t rows, k, v;

    *out = NULL;
    if (a == NULL)
        return err_memory(err);
    a->cap = vectors(capacity > 0 ? capacity : 1);
    if (size_mul(&rows, c->L * c->G, a->cap) && size_mul(&k, rows, c->E) && size_mul(&v, rows, d->P)) {
        a->ids = calloc(a->cap, sizeof *a->ids);
        /* Zeros: what lies behind the last position is multiplied by a weight of 0, and must be finite. */
        a->k = calloc(k, sizeof(float));
        a->v = calloc(v, sizeof(float));
    }
    if (a->ids == NULL || a->k == NULL || a->v == NULL) {
        cache_free(a);
        return err_memory(err);
    }
    *out = a;
    return OK;
}

void
cache_free(struct cache *a)
{
    if (a == NULL)
        return;
    free(a->ids);
    free(a->k);
    free(a->v);
    free(a);
}

size_t
cache_tokens(const struct cache *a)
{
    return a->n;
}

enum status
tail_new(struct tail **out, const struct decoder *d, size_t capacity, struct err *err)
{
    const struct model_config *c = &d->m->config;
    struct tail *t = calloc(1, sizeof *t);
    size_t count;

    *out = NULL;
    if (t == NULL)
        return err_memory(err);
    t->cap = capacity;
    if (size_mul(&count, capacity, 2 * c->L * c->G * c->E))
        t->kv = malloc(count == 0 ? 1 : count * sizeof(float));
    if (t->kv == NULL) {
        free(t);
        return err_memory(err);
    }
    *out = t;
    return OK;
}

void
tail_free(struct tail *t)
{
    if (t == NULL)
        return;
    free(t->kv);
    free(t);
}

void
tail_copy(struct tail *to, const struct tail *from, const struct decoder *d)
{
    const struct model_config *c = &d->m->config;
    size_t kv = c->G * c->E;

    to->n = from->n;
    for (size_t i = 0; i < 2 * c->L; i++)
        memcpy(to->kv + i * to->cap * kv, from->kv + i * from->cap * kv, from->n * kv * sizeof(float));
}

void
cache_copy(struct cache *to, const struct cache *from, size_t n, size_t l, const struct decoder *d)
{
    const struct model_config *c = &d->m->config;

    for (size_t g = l * c->G; g < (l + 1) * c->G; g++) {
        for (size_t e = g * c->E; e < (g + 1) * c->E; e++)
            memcpy(to->k + e * to->cap, from->k + e * from->cap, n * sizeof(float));
        memcpy(to->v + g * to->cap * d->P, from->v + g * from->cap * d->P, n * d->P * sizeof(float));
    }
}

/* ---- the model, packed ---- */

/* Where the next matrix goes; without memory sizes are added up alone. */
struct packer {
    enum packing packing;
    unsigned char *memory;
    size_t bytes;
    bool overflow;
};

static void
pack(struct packed *out, struct packer *r, const float *w, size_t rows, size_t cols)
{
    size_t size = 0;

    if (!packed_size(&size, r->packing, rows, cols) || size > SIZE_MAX / 2 - r->bytes)
        r->overflow = true;
    else if (r->memory != NULL)
        packed_make(out, r->memory + r->bytes, r->packing, (struct packed_source){w, NULL}, rows, cols);
    r->bytes += r->overflow ? 0 : size;
}

/* Walks all matrices: once to add up, once to pack. */
static void
pack_all(struct decoder *d, struct packer *r)
{
    const struct model_config *c = &d->m->config;
    const struct params *p = d->m->params;
    size_t q = c->H * c->E, kv = c->G * c->E;

    r->bytes = 0;
    for (size_t l = 0; l < c->L; l++) {
        const struct model_layer *w = &p->layer[l];
        struct packed_layer *o = &d->layer[l];

        assert(w->wk == w->wq + q * c->D && w->wv == w->wk + kv * c->D && w->w_up == w->w_gate + c->F * c->D);
        pack(&o->qkv, r, w->wq, q + 2 * kv, c->D);
        pack(&o->wo, r, w->wo, c->D, q);
        pack(&o->gate_up, r, w->w_gate, 2 * c->F, c->D);
        pack(&o->down, r, w->w_down, c->D, c->F);
    }
    pack(&d->head, r, p->head, c->V, c->D);
}

static enum status
pack_model(struct decoder *d, struct err *err)
{
    struct packer r = {.packing = d->packing};

    pack_all(d, &r);
    if (r.overflow || (r.memory = d->block = aligned_alloc(64, r.bytes)) == NULL)
        return err_memory(err);
    num_large_pages(d->block, r.bytes);
    pack_all(d, &r);
    return OK;
}

static enum status
tables(struct decoder *d, struct err *err)
{
    const struct model_config *c = &d->m->config;
    size_t count;

    if (!size_mul(&count, c->max_positions, c->E / 2) || (d->cos = calloc(count, sizeof(float))) == NULL ||
        (d->sin = calloc(count, sizeof(float))) == NULL)
        return err_memory(err);
    rope_table(d->cos, d->sin, c, 0, c->max_positions);
    return OK;
}

enum status
decoder_new(struct decoder **out, const struct model *m, enum packing packing, struct err *err)
{
    struct decoder *d = calloc(1, sizeof *d);
    enum status st;

    *out = NULL;
    if (d == NULL)
        return err_memory(err);
    d->m = m;
    d->packing = packing;
    d->P = vectors(m->config.E);
    d->layer = calloc(m->config.L, sizeof *d->layer);
    if (d->layer == NULL)
        st = err_memory(err);
    else if ((st = pack_model(d, err)) == OK)
        st = tables(d, err);
    if (st != OK) {
        decoder_free(d);
        return st;
    }
    *out = d;
    return OK;
}

void
decoder_free(struct decoder *d)
{
    if (d == NULL)
        return;
    prefixes_fini(d);
    free(d->layer);
    free(d->block);
    free(d->cos);
    free(d->sin);
    free(d);
}

/* ---- the network ---- */

/* Of n rows: x and h (n,D), qkv (n,(H+2G)E), a (n,HE), gu (n,2F), act (n,F); half for products of bfloat16. */
struct work {
    float *x, *h, *qkv, *a, *gu, *act;
    bf16 *half;
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
    free(w->half);
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
    w->half = calloc(n, (widest + 1) * sizeof(bf16));
    if (w->x && w->h && w->qkv && w->a && w->gu && w->act && w->half)
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
    size_t half = d->m->config.E / 2;
    const float *cs = d->cos + position * half, *sn = d->sin + position * half;

    for (size_t h = 0; h < count; h++, x += 2 * half)
        for (size_t i = 0; i < half; i++) {
            float a = x[i], b = x[i + half];

            x[i] = a * cs[i] - b * sn[i];
            x[i + half] = b * cs[i] + a * sn[i];
        }
}

/* Puts the key and value of row r where attention finds them. */
static void
keep(const struct row *r, const float *k, const float *v, const struct decoder *d, size_t l)
{
    const struct model_config *c = &d->m->config;
    size_t kv = c->G * c->E;

    if (r->tail != NULL) {
        float *to = r->tail->kv + (2 * l * r->tail->cap + r->n_tail - 1) * kv;

        memcpy(to, k, kv * sizeof(float));
        memcpy(to + r->tail->cap * kv, v, kv * sizeof(float));
        return;
    }
    for (size_t g = 0; g < c->G; g++) {
        size_t at = (l * c->G + g) * r->cache->cap, p = r->n_cache - 1;

        for (size_t e = 0; e < c->E; e++)
            r->cache->k[at * c->E + e * r->cache->cap + p] = k[g * c->E + e];
        memcpy(r->cache->v + (at + p) * d->P, v + g * c->E, c->E * sizeof(float));
    }
}

static enum status
attention(struct work *w, const struct decoder *d, size_t l, const struct row *rows, size_t n,
    const struct share *shares, size_t n_shares, struct err *err)
{
    const struct model_config *c = &d->m->config;
    const struct packed_layer *p = &d->layer[l];
    size_t q = c->H * c->E, ld = q + 2 * c->G * c->E;
    enum status st;

    norm_rows(w->h, w->x, d->m->params->layer[l].attn_norm, n, c->D, c->norm_eps);
    packed_rows(w->qkv, ld, w->h, &p->qkv, n, w->half);
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
    packed_rows(w->h, c->D, w->a, &p->wo, n, w->half);
    for (size_t i = 0; i < n * c->D; i++)
        w->x[i] += w->h[i];
    return OK;
}

/* SwiGLU (Shazeer 2020). */
static void
feed_forward(struct work *w, const struct decoder *d, size_t l, size_t n)
{
    const struct model_config *c = &d->m->config;
    const struct packed_layer *p = &d->layer[l];

    norm_rows(w->h, w->x, d->m->params->layer[l].ffn_norm, n, c->D, c->norm_eps);
    packed_rows(w->gu, 2 * c->F, w->h, &p->gate_up, n, w->half);
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
    packed_rows(w->h, c->D, w->act, &p->down, n, w->half);
    for (size_t i = 0; i < n * c->D; i++)
        w->x[i] += w->h[i];
}

enum status
decoder_rows(float *logits, struct decoder *d, const struct row *rows, size_t n, const struct share *shares,
    size_t n_shares, const size_t *last, size_t n_last, struct err *err)
{
    const struct model_config *c = &d->m->config;
    const struct params *p = d->m->params;
    struct work w = {0};
    enum status st;

    if ((st = work_new(&w, c, n, err)) != OK)
        return st;
    for (size_t i = 0; i < n; i++)
        memcpy(w.x + i * c->D, p->embed + (size_t)rows[i].token * c->D, c->D * sizeof(float));
    for (size_t l = 0; l < c->L; l++) {
        if ((st = attention(&w, d, l, rows, n, shares, n_shares, err)) != OK)
            goto out;
        feed_forward(&w, d, l, n);
    }
    for (size_t i = 0; i < n_last; i++)
        memcpy(w.h + i * c->D, w.x + last[i] * c->D, c->D * sizeof(float));
    norm_rows(w.h, w.h, p->norm, n_last, c->D, c->norm_eps);
    packed_rows(logits, c->V, w.h, &d->head, n_last, w.half);
out:
    work_free(&w);
    return st;
}
