/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Llama forward and backward (arithmetic of transformers' modeling_llama.py): x += attention(norm(x)), x +=
 * SwiGLU(norm(x)), a norm and the head at the end.
 *
 * Projections that read the same rows lie behind each other in the block of parameters, so that queries, keys and
 * values are one product, and gate and up another. About 6 operations a parameter and token forward and backward,
 * besides attention and the head, which only trained rows pay. Memory a token and layer: 5D + 2HE + 2GE + 3F floats
 * (without backward one layer's; recomputed, D floats and one layer's).
 *
 * With bfloat16 the products alone are of it: they read rounded copies of weights and activations and sum in float32,
 * in which all else is computed; what is kept for the backward pass of norms, attention and SwiGLU is the copy.
 */
#include "model/transformer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Logits at a time: few enough for the caches, rows enough to be worth a pass over the gradient of the head. */
#define HEAD_LOGITS ((size_t)1 << 22)
#define HEAD_ROWS_MIN 256
#define HEAD_ROWS_MAX 512

/* What a product will read: with bfloat16 that is h, and f is scratch that all layers share; else h is NULL. */
struct both {
    float *f;
    bf16 *h;
};

struct layer_acts {
    float *x;        /* (T,D) what comes in */
    struct both n1;  /* (T,D) its norm */
    float *r1;       /* (T) and 1 / rms */
    float *qkv;      /* (T,(H+2G)E) turned */
    struct both att; /* (T,HE) */
    float *lse;      /* (T,H) */
    float *mid;      /* (T,D) after attention */
    struct both n2;  /* (T,D) */
    float *r2;       /* (T) */
    float *gu;       /* (T,2F) gate and up; their gradient afterwards */
    struct both act; /* (T,F) */
};

struct acts {
    struct model_config c;
    size_t T, longest, head_rows; /* T and head_rows are whole PADs */
    bool backward, half, recompute;
    struct mul16 *m; /* NULL without half */
    struct lora_scratch lora;
    void *base;
    struct layer_acts *layer;                      /* but for x, L times the same memory unless all of it is kept */
    float *out;                                    /* (T,D) after the last layer */
    float *cosine, *sine;                          /* (longest, E/2) */
    uint32_t *pos;                                 /* (T) */
    float *attention;                              /* scratch */
    float *hx, *hr, *logits;                       /* the head's rows: (rows,D), (rows), (rows,V) */
    struct both hn;                                /* (rows,D) */
    float *dhx, *dhn;                              /* (rows,D) */
    float *dx, *dn, *datt, *dqkv, *dact, *partial; /* (T,D), (T,D), (T,HE), (T,(H+2G)E), (T,F), (norm_partials,D) */
    bf16 *dx16, *dqkv16, *dgu16, *dlogits16;       /* the same of gradients: (T,D), (T,(H+2G)E), (T,2F), (rows,V) */
};

/* ---- memory ---- */

struct carver {
    char *base; /* NULL while sizes are added up */
    size_t n;
    bool overflow;
};

static void *
carve(struct carver *v, size_t rows, size_t floats)
{
    size_t bytes, at = v->n;

    if (!size_mul(&bytes, rows, floats) || !size_mul(&bytes, bytes, sizeof(float)) || bytes > SIZE_MAX / 4 ||
        at > SIZE_MAX / 2)
        v->overflow = true;
    else
        v->n += (bytes + 63) / 64 * 64;
    return v->base == NULL || v->overflow ? NULL : v->base + at;
}

static bf16 *
carve16(struct carver *v, size_t rows, size_t numbers)
{
    return carve(v, rows, (numbers + 1) / 2);
}

/* shared: scratch for the float32 of it, the same for all layers. */
static struct both
carve_both(struct carver *v, const struct acts *a, float *shared, size_t rows, size_t numbers)
{
    if (!a->half)
        return (struct both){carve(v, rows, numbers), NULL};
    return (struct both){shared, carve16(v, rows, numbers)};
}

static void
carve_layer(struct layer_acts *l, struct carver *v, const struct acts *a, const struct layer_acts *shared)
{
    const struct model_config *c = &a->c;
    size_t T = a->T;

    l->n1 = carve_both(v, a, shared->n1.f, T, c->D);
    l->r1 = carve(v, T, 1);
    l->qkv = carve(v, T, (c->H + 2 * c->G) * c->E);
    l->att = carve_both(v, a, shared->att.f, T, c->H * c->E);
    l->lse = carve(v, T, c->H);
    l->mid = carve(v, T, c->D);
    l->n2 = carve_both(v, a, shared->n1.f, T, c->D);
    l->r2 = carve(v, T, 1);
    l->gu = carve(v, T, 2 * c->F);
    l->act = carve_both(v, a, shared->act.f, T, c->F);
}

/* The float32 of what is kept as bfloat16. */
static struct layer_acts
carve_shared(struct carver *v, const struct acts *a)
{
    struct layer_acts l = {0};

    if (a->half) {
        l.n1.f = carve(v, a->T, a->c.D);
        l.att.f = carve(v, a->T, a->c.H * a->c.E);
        l.act.f = carve(v, a->T, a->c.F);
    }
    return l;
}

static void
carve_backward(struct acts *a, struct carver *v)
{
    const struct model_config *c = &a->c;

    a->dhx = carve(v, a->head_rows, c->D);
    a->dhn = carve(v, a->head_rows, c->D);
    a->dx = carve(v, a->T, c->D);
    a->dn = carve(v, a->T, c->D);
    a->datt = carve(v, a->T, c->H * c->E);
    a->dqkv = carve(v, a->T, (c->H + 2 * c->G) * c->E);
    a->dact = carve(v, a->T, c->F);
    a->partial = carve(v, norm_partials(a->T), c->D);
    if (!a->half)
        return;
    a->dx16 = carve16(v, a->T, c->D);
    a->dqkv16 = carve16(v, a->T, (c->H + 2 * c->G) * c->E);
    a->dgu16 = carve16(v, a->T, 2 * c->F);
    a->dlogits16 = carve16(v, a->head_rows, c->V);
}

static void
carve_all(struct acts *a, struct carver *v)
{
    const struct model_config *c = &a->c;
    struct ragged r = {0, NULL, a->longest};
    struct layer_acts shared;

    v->n = 0;
    shared = carve_shared(v, a);
    for (size_t i = 0; i < c->L; i++) {
        struct layer_acts *l = &a->layer[i];

        if ((a->backward && !a->recompute) || i == 0)
            carve_layer(l, v, a, &shared);
        else
            *l = a->layer[0];
        /* Without a backward pass two residual streams take turns. */
        l->x = a->backward || i < 2 ? carve(v, a->T, c->D) : a->layer[i - 2].x;
    }
    a->out = carve(v, a->T, c->D);
    a->cosine = carve(v, a->longest, c->E / 2);
    a->sine = carve(v, a->longest, c->E / 2);
    a->pos = carve(v, a->T, 1);
    a->lora.u = carve(v, a->T, a->lora.R);
    a->lora.du = carve(v, a->T, a->lora.R);
    if (a->half) {
        a->lora.u16 = carve16(v, a->T, a->lora.R);
        a->lora.du16 = carve16(v, a->T, a->lora.R);
    }
    a->attention = carve(v, 1, attention_scratch(&r, c->E, num_threads()));
    a->hx = carve(v, a->head_rows, c->D);
    a->hn = carve_both(v, a, shared.n1.f, a->head_rows, c->D);
    a->hr = carve(v, a->head_rows, 1);
    a->logits = carve(v, a->head_rows, c->V);
    if (a->backward)
        carve_backward(a, v);
}

static enum status
acts_allocate(struct acts *a, struct err *err)
{
    struct carver v = {0};
    enum status st;

    a->head_rows = HEAD_LOGITS / a->c.V;
    a->head_rows = a->head_rows < HEAD_ROWS_MIN ? HEAD_ROWS_MIN : a->head_rows;
    a->head_rows = a->head_rows > HEAD_ROWS_MAX ? HEAD_ROWS_MAX : a->head_rows;
    a->head_rows = padded(a->head_rows < a->T ? a->head_rows : a->T);
    if (a->half && (st = mul16_new(&a->m, err)) != OK)
        return st;
    if ((a->layer = calloc(a->c.L, sizeof *a->layer)) == NULL)
        return err_memory(err);
    carve_all(a, &v);
    if (v.overflow)
        return err_set(err, SYSTEM, "a batch of %zu tokens needs more memory than there can be", a->T);
    if ((v.base = a->base = aligned_alloc(64, v.n)) == NULL)
        return err_memory(err);
    num_large_pages(a->base, v.n);
    carve_all(a, &v);
    rope_table(a->cosine, a->sine, &a->c, 0, a->longest);
    return OK;
}

enum status
acts_new(struct acts **out, const struct model_config *c, size_t rank, size_t T, size_t longest, unsigned kind,
    struct err *err)
{
    struct acts *a = calloc(1, sizeof *a);
    enum status st = OK;

    *out = NULL;
    if (a == NULL)
        return err_memory(err);
    *a = (struct acts){.c = *c,
        .T = padded(T),
        .longest = longest,
        .lora.R = rank,
        .backward = (kind & ACTS_BACKWARD) != 0,
        .half = (kind & ACTS_HALF) != 0,
        .recompute = (kind & ACTS_RECOMPUTE) != 0};
    if ((st = acts_allocate(a, err)) != OK) {
        acts_free(a);
        return st;
    }
    *out = a;
    return OK;
}

void
acts_free(struct acts *a)
{
    if (a == NULL)
        return;
    mul16_free(a->m);
    free(a->base);
    free(a->layer);
    free(a);
}

enum status
acts_status(const struct acts *a, struct err *err)
{
    return a->m == NULL ? OK : mul16_status(a->m, err);
}

/* ---- forward ---- */

static struct operand
weight(const struct params *p, const float *w)
{
    return (struct operand){w, p->half == NULL ? NULL : p->half + (w - p->block)};
}

static struct operand
kept(struct both x)
{
    return (struct operand){x.f, x.h};
}

/* y = beta y + what a linear layer makes of x, its adapter included. */
static void
project(float *y, struct acts *a, struct operand x, const struct params *p, const float *w, size_t layer,
    enum adapted which, size_t T, size_t N, size_t K, int beta)
{
    const struct adapter *d = &p->adapter[layer * ADAPTED + which];

    linear_forward(y, x, weight(p, w), T, N, K, beta, a->m);
    if (p->rank > 0)
        adapter_forward(y, &a->lora, x, d, weight(p, d->a), weight(p, d->b), T, a->m);
}

/* dx = the gradient; dw, unless it is NULL, and the adapter's are added to grads. */
static void
project_backward(float *dx, float *dw, struct acts *a, struct params *grads, struct operand dy, struct operand x,
    const struct params *p, const float *w, size_t layer, enum adapted which, size_t T, size_t N, size_t K)
{
    size_t i = layer * ADAPTED + which;
    const struct adapter *d = &p->adapter[i];

    linear_backward(dx, dw, dy, x, weight(p, w), T, N, K, 0, a->m);
    if (p->rank > 0)
        adapter_backward(dx, &grads->adapter[i], &a->lora, dy, x, d, weight(p, d->a), weight(p, d->b), T, a->m);
}

/* All of a layer but its last product. */
static void
layer_inside(struct acts *a, struct layer_acts *l, const struct params *p, size_t i, const struct ragged *r, size_t T)
{
    const struct model_config *c = &a->c;
    const struct model_layer *w = &p->layer[i];
    size_t D = c->D, F = c->F, q = c->H * c->E, n = (c->H + 2 * c->G) * c->E;

    assert(w->wk == w->wq + q * D && w->wv == w->wk + c->G * c->E * D && w->w_up == w->w_gate + F * D);
    norm_forward(l->n1.f, l->n1.h, l->r1, l->x, w->attn_norm, c->norm_eps, T, D);
    project(l->qkv, a, kept(l->n1), p, w->wq, i, ADAPT_QKV, T, n, D, 0);
    rope_forward(l->qkv, n, c->H + c->G, a->cosine, a->sine, a->pos, T, c->E);
    attention_forward(l->att.f, l->lse, a->attention, l->qkv, r, c->H, c->G, c->E);
    if (l->att.h != NULL)
        half_rows(l->att.h, l->att.f, T, q);
    memcpy(l->mid, l->x, T * D * sizeof *l->mid);
    project(l->mid, a, kept(l->att), p, w->wo, i, ADAPT_WO, T, D, q, 1);
    norm_forward(l->n2.f, l->n2.h, l->r2, l->mid, w->ffn_norm, c->norm_eps, T, D);
    project(l->gu, a, kept(l->n2), p, w->w_gate, i, ADAPT_GATE_UP, T, 2 * F, D, 0);
    swiglu_forward(l->act.f, l->act.h, l->gu, T, F);
}

void
transformer_forward(struct acts *a, const struct params *p, const int32_t *id, const struct ragged *r)
{
    size_t T = r->start[r->n], L = a->c.L, D = a->c.D;

    assert(a->half == (p->half != NULL) && T <= a->T && r->longest <= a->longest);
    for (size_t s = 0; s < r->n; s++)
        for (uint32_t t = r->start[s]; t < r->start[s + 1]; t++)
            a->pos[t] = t - r->start[s];
    embed_forward(a->layer[0].x, p->embed, id, T, a->c.D);
    for (size_t i = 0; i < L; i++) {
        struct layer_acts *l = &a->layer[i];
        float *out = i + 1 < L ? a->layer[i + 1].x : a->out;

        layer_inside(a, l, p, i, r, T);
        memcpy(out, l->mid, T * D * sizeof *out);
        project(out, a, kept(l->act), p, p->layer[i].w_down, i, ADAPT_DOWN, T, D, a->c.F, 1);
    }
    if (a->backward)
        memset(a->dx, 0, T * a->c.D * sizeof *a->dx);
}

/* ---- the head ---- */

/* A gradient as an operand: converted where products are of bfloat16. */
static struct operand
gradient(const struct acts *a, bf16 *half, const float *dy, size_t T, size_t N)
{
    if (a->half)
        half_rows(half, dy, T, N);
    return (struct operand){dy, a->half ? half : NULL};
}

/* Logits of at most head_rows rows. */
static void
logits_forward(float *logits, struct acts *a, const struct params *p, const uint32_t *row, size_t n)
{
    size_t D = a->c.D;

    for (size_t i = 0; i < n; i++)
        memcpy(a->hx + i * D, a->out + row[i] * D, D * sizeof *a->hx);
    norm_forward(a->hn.f, a->hn.h, a->hr, a->hx, p->norm, a->c.norm_eps, n, D);
    linear_forward(logits, kept(a->hn), weight(p, p->head), n, a->c.V, D, 0, a->m);
}

void
head_logits(float *logits, struct acts *a, const struct params *p, const uint32_t *row, size_t n)
{
    for (size_t i = 0; i < n; i += a->head_rows)
        logits_forward(logits + i * a->c.V, a, p, row + i, n - i < a->head_rows ? n - i : a->head_rows);
}

/* dhn of m rows, and the gradient of the head's rows that are trained. */
static void
head_backward_rows(struct acts *a, struct params *grads, const struct params *p, size_t m)
{
    size_t D = a->c.D, V = a->c.V, row = grads->row, rows = grads->rows;
    struct operand dy = gradient(a, a->dlogits16, a->logits, m, V);
    float *dw = grads->head + row * D;

    linear_backward(a->dhn, rows == V ? grads->head : NULL, dy, kept(a->hn), weight(p, p->head), m, V, D, 0, a->m);
    if (rows < V && a->half)
        mul16(a->m, dw, D, dy.h + row, V, true, a->hn.h, D, false, rows, D, padded(m), 1);
    else if (rows < V)
        mat_mul(dw, D, dy.f + row, V, true, a->hn.f, D, false, rows, D, m, 1, 1);
}

void
head_loss(float *loss, struct acts *a, struct params *grads, const struct params *p, const uint32_t *row,
    const int32_t *target, const float *scale, size_t n)
{
    size_t D = a->c.D, V = a->c.V;

    assert(grads == NULL || a->backward);
    for (size_t i = 0; i < n; i += a->head_rows) {
        size_t m = n - i < a->head_rows ? n - i : a->head_rows;

        logits_forward(a->logits, a, p, row + i, m);
        cross_entropy(loss + i, a->logits, target + i, scale + i, m, V);
        if (grads == NULL)
            continue;
        head_backward_rows(a, grads, p, m);
        memset(a->dhx, 0, m * D * sizeof *a->dhx);
        norm_backward(a->dhx, grads->norm, a->partial, a->dhn, a->hx, a->hr, p->norm, m, D);
        for (size_t j = 0; j < m; j++)
            vec_axpy(a->dx + row[i + j] * D, 1, a->dhx + j * D, D);
    }
}

/* ---- backward ---- */

/* dx, the gradient of what layer i gave, becomes that of what came in. */
static void
layer_backward(struct acts *a, struct params *grads, size_t i, const struct params *p, const struct ragged *r, size_t T)
{
    const struct model_config *c = &a->c;
    const struct model_layer *w = &p->layer[i];
    struct model_layer *g = &grads->layer[i];
    struct layer_acts *l = &a->layer[i];
    size_t D = c->D, F = c->F, q = c->H * c->E, n = (c->H + 2 * c->G) * c->E;
    struct operand dgu = {l->gu, a->dgu16};

    project_backward(a->dact, g->w_down, a, grads, gradient(a, a->dx16, a->dx, T, D), kept(l->act), p, w->w_down, i,
        ADAPT_DOWN, T, D, F);
    swiglu_backward(l->gu, a->dgu16, a->dact, l->gu, T, F);
    project_backward(a->dn, g->w_gate, a, grads, dgu, kept(l->n2), p, w->w_gate, i, ADAPT_GATE_UP, T, 2 * F, D);
    norm_backward(a->dx, g->ffn_norm, a->partial, a->dn, l->mid, l->r2, w->ffn_norm, T, D);
    project_backward(
        a->datt, g->wo, a, grads, gradient(a, a->dx16, a->dx, T, D), kept(l->att), p, w->wo, i, ADAPT_WO, T, D, q);
    attention_backward(a->dqkv, a->attention, a->datt, l->lse, l->qkv, r, c->H, c->G, c->E);
    rope_backward(a->dqkv, n, c->H + c->G, a->cosine, a->sine, a->pos, T, c->E);
    project_backward(
        a->dn, g->wq, a, grads, gradient(a, a->dqkv16, a->dqkv, T, n), kept(l->n1), p, w->wq, i, ADAPT_QKV, T, n, D);
    norm_backward(a->dx, g->attn_norm, a->partial, a->dn, l->x, l->r1, w->attn_norm, T, D);
}

void
transformer_backward(
    struct acts *a, struct params *grads, const struct params *p, const int32_t *id, const struct ragged *r)
{
    size_t T = r->start[r->n];

    assert(a->backward);
    for (size_t i = a->c.L; i-- > 0;) {
        /* What the last layer left is still there. */
        if (a->recompute && i + 1 < a->c.L)
            layer_inside(a, &a->layer[i], p, i, r, T);
        layer_backward(a, grads, i, p, r, T);
    }
    embed_backward(grads->embed, a->dx, id, T, a->c.D, grads->row, grads->rows);
}

enum status
model_logits(float *logits, const struct model *m, const int32_t *ids, size_t T, struct err *err)
{
    uint32_t start[2] = {0, (uint32_t)T}, *row = NULL;
    struct ragged r = {1, start, T};
    struct acts *a = NULL;
    enum status st = OK;

    for (size_t t = 0; t < T; t++)
        if (ids[t] < 0 || (size_t)ids[t] >= m->config.V)
            return err_set(err, DATA, "token id %d: expected 0 to %zu", ids[t], m->config.V - 1);
    if (T == 0)
        return OK;
    if ((row = malloc(T * sizeof *row)) == NULL)
        st = err_memory(err);
    else if ((st = acts_new(&a, &m->config, m->params->rank, T, T, 0, err)) == OK) {
        for (size_t t = 0; t < T; t++)
            row[t] = (uint32_t)t;
        transformer_forward(a, m->params, ids, &r);
        head_logits(logits, a, m->params, row, T);
    }
    acts_free(a);
    free(row);
    return st;
}
