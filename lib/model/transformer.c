/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Llama forward and backward (arithmetic of transformers' modeling_llama.py): x += attention(norm(x)), x +=
 * SwiGLU(norm(x)), a norm and the head at the end.
 *
 * Projections that read the same rows lie behind each other in the block of parameters, so that queries, keys and
 * values are one product, and gate and up another. About 6 operations a parameter and token forward and backward,
 * besides attention and the head, which only trained rows pay. Memory a token and layer: 5D + 2HE + 2GE + 3F floats
 * (without backward one layer's).
 */
#include "model/transformer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_LOGITS ((size_t)1 << 20) /* logits at a time */
#define HEAD_ROWS_MIN 16
#define HEAD_ROWS_MAX 512

struct layer_acts {
    float *x;   /* (T,D) what comes in */
    float *n1;  /* (T,D) its norm */
    float *r1;  /* (T) and 1 / rms */
    float *qkv; /* (T,(H+2G)E) turned */
    float *att; /* (T,HE) */
    float *lse; /* (T,H) */
    float *mid; /* (T,D) after attention */
    float *n2;  /* (T,D) */
    float *r2;  /* (T) */
    float *gu;  /* (T,2F) gate and up; their gradient afterwards */
    float *act; /* (T,F) */
};

struct acts {
    struct model_config c;
    size_t T, longest, head_rows;
    bool backward;
    void *base;
    struct layer_acts *layer;                      /* without backward all L are the same memory */
    float *out;                                    /* (T,D) after the last layer */
    float *cosine, *sine;                          /* (longest, E/2) */
    uint32_t *pos;                                 /* (T) */
    float *attention;                              /* scratch */
    float *hx, *hn, *hr, *logits;                  /* the head's rows: (rows,D), (rows,D), (rows), (rows,V) */
    float *dhx, *dhn;                              /* (rows,D) */
    float *dx, *dn, *datt, *dqkv, *dact, *partial; /* (T,D), (T,D), (T,HE), (T,(H+2G)E), (T,F), (norm_partials,D) */
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

static void
carve_layer(struct layer_acts *l, struct carver *v, const struct model_config *c, size_t T)
{
    size_t q = (c->H + 2 * c->G) * c->E;

    l->n1 = carve(v, T, c->D);
    l->r1 = carve(v, T, 1);
    l->qkv = carve(v, T, q);
    l->att = carve(v, T, c->H * c->E);
    l->lse = carve(v, T, c->H);
    l->mid = carve(v, T, c->D);
    l->n2 = carve(v, T, c->D);
    l->r2 = carve(v, T, 1);
    l->gu = carve(v, T, 2 * c->F);
    l->act = carve(v, T, c->F);
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
}

static void
carve_all(struct acts *a, struct carver *v)
{
    const struct model_config *c = &a->c;
    struct ragged r = {0, NULL, a->longest};

    v->n = 0;
    for (size_t i = 0; i < c->L; i++) {
        struct layer_acts *l = &a->layer[i];

        if (a->backward || i == 0)
            carve_layer(l, v, c, a->T);
        else
            *l = a->layer[0];
        /* Without a backward pass two residual streams take turns. */
        l->x = a->backward || i < 2 ? carve(v, a->T, c->D) : a->layer[i - 2].x;
    }
    a->out = carve(v, a->T, c->D);
    a->cosine = carve(v, a->longest, c->E / 2);
    a->sine = carve(v, a->longest, c->E / 2);
    a->pos = carve(v, a->T, 1);
    a->attention = carve(v, 1, attention_scratch(&r, c->E, num_threads()));
    a->hx = carve(v, a->head_rows, c->D);
    a->hn = carve(v, a->head_rows, c->D);
    a->hr = carve(v, a->head_rows, 1);
    a->logits = carve(v, a->head_rows, c->V);
    if (a->backward)
        carve_backward(a, v);
}

static enum status
acts_allocate(struct acts *a, struct err *err)
{
    struct carver v = {0};

    a->head_rows = HEAD_LOGITS / a->c.V;
    a->head_rows = a->head_rows < HEAD_ROWS_MIN ? HEAD_ROWS_MIN : a->head_rows;
    a->head_rows = a->head_rows > HEAD_ROWS_MAX ? HEAD_ROWS_MAX : a->head_rows;
    if ((a->layer = calloc(a->c.L, sizeof *a->layer)) == NULL)
        return err_memory(err);
    carve_all(a, &v);
    if (v.overflow)
        return err_set(err, SYSTEM, "a batch of %zu tokens needs more memory than there can be", a->T);
    if ((v.base = a->base = aligned_alloc(64, v.n)) == NULL)
        return err_memory(err);
    carve_all(a, &v);
    rope_table(a->cosine, a->sine, &a->c, 0, a->longest);
    return OK;
}

enum status
acts_new(struct acts **out, const struct model_config *c, size_t T, size_t longest, bool backward, struct err *err)
{
    struct acts *a = calloc(1, sizeof *a);
    enum status st = OK;

    *out = NULL;
    if (a == NULL)
        return err_memory(err);
    *a = (struct acts){.c = *c, .T = T, .longest = longest, .backward = backward};
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
    free(a->base);
    free(a->layer);
    free(a);
}

/* ---- forward ---- */

static void
layer_forward(
    float *out, struct acts *a, struct layer_acts *l, const struct model_layer *w, const struct ragged *r, size_t T)
{
    const struct model_config *c = &a->c;
    size_t D = c->D, F = c->F, q = c->H * c->E, n = (c->H + 2 * c->G) * c->E;

    assert(w->wk == w->wq + q * D && w->wv == w->wk + c->G * c->E * D && w->w_up == w->w_gate + F * D);
    norm_forward(l->n1, l->r1, l->x, w->attn_norm, c->norm_eps, T, D);
    linear_forward(l->qkv, l->n1, w->wq, T, n, D, 0);
    rope_forward(l->qkv, n, c->H + c->G, a->cosine, a->sine, a->pos, T, c->E);
    attention_forward(l->att, l->lse, a->attention, l->qkv, r, c->H, c->G, c->E);
    memcpy(l->mid, l->x, T * D * sizeof *l->mid);
    linear_forward(l->mid, l->att, w->wo, T, D, q, 1);
    norm_forward(l->n2, l->r2, l->mid, w->ffn_norm, c->norm_eps, T, D);
    linear_forward(l->gu, l->n2, w->w_gate, T, 2 * F, D, 0);
    swiglu_forward(l->act, l->gu, T, F);
    memcpy(out, l->mid, T * D * sizeof *out);
    linear_forward(out, l->act, w->w_down, T, D, F, 1);
}

void
transformer_forward(struct acts *a, const struct params *p, const int32_t *id, const struct ragged *r)
{
    size_t T = r->start[r->n], L = a->c.L;

    assert(T <= a->T && r->longest <= a->longest);
    for (size_t s = 0; s < r->n; s++)
        for (uint32_t t = r->start[s]; t < r->start[s + 1]; t++)
            a->pos[t] = t - r->start[s];
    embed_forward(a->layer[0].x, p->embed, id, T, a->c.D);
    for (size_t i = 0; i < L; i++)
        layer_forward(i + 1 < L ? a->layer[i + 1].x : a->out, a, &a->layer[i], &p->layer[i], r, T);
    if (a->backward)
        memset(a->dx, 0, T * a->c.D * sizeof *a->dx);
}

/* ---- the head ---- */

/* Logits of at most head_rows rows. */
static void
logits_forward(float *logits, struct acts *a, const struct params *p, const uint32_t *row, size_t n)
{
    size_t D = a->c.D;

    for (size_t i = 0; i < n; i++)
        memcpy(a->hx + i * D, a->out + row[i] * D, D * sizeof *a->hx);
    norm_forward(a->hn, a->hr, a->hx, p->norm, a->c.norm_eps, n, D);
    linear_forward(logits, a->hn, p->head, n, a->c.V, D, 0);
}

void
head_logits(float *logits, struct acts *a, const struct params *p, const uint32_t *row, size_t n)
{
    for (size_t i = 0; i < n; i += a->head_rows)
        logits_forward(logits + i * a->c.V, a, p, row + i, n - i < a->head_rows ? n - i : a->head_rows);
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
        linear_backward(a->dhn, grads->head, a->logits, a->hn, p->head, m, V, D);
        memset(a->dhx, 0, m * D * sizeof *a->dhx);
        norm_backward(a->dhx, grads->norm, a->partial, a->dhn, a->hx, a->hr, p->norm, m, D);
        for (size_t j = 0; j < m; j++)
            vec_axpy(a->dx + row[i + j] * D, 1, a->dhx + j * D, D);
    }
}

/* ---- backward ---- */

/* dx, the gradient of what the layer gave, becomes that of what came in. */
static void
layer_backward(struct acts *a, struct model_layer *g, struct layer_acts *l, const struct model_layer *w,
    const struct ragged *r, size_t T)
{
    const struct model_config *c = &a->c;
    size_t D = c->D, F = c->F, q = c->H * c->E, n = (c->H + 2 * c->G) * c->E;

    linear_backward(a->dact, g->w_down, a->dx, l->act, w->w_down, T, D, F);
    swiglu_backward(l->gu, a->dact, l->gu, T, F);
    linear_backward(a->dn, g->w_gate, l->gu, l->n2, w->w_gate, T, 2 * F, D);
    norm_backward(a->dx, g->ffn_norm, a->partial, a->dn, l->mid, l->r2, w->ffn_norm, T, D);
    linear_backward(a->datt, g->wo, a->dx, l->att, w->wo, T, D, q);
    attention_backward(a->dqkv, a->attention, a->datt, l->att, l->lse, l->qkv, r, c->H, c->G, c->E);
    rope_backward(a->dqkv, n, c->H + c->G, a->cosine, a->sine, a->pos, T, c->E);
    linear_backward(a->dn, g->wq, a->dqkv, l->n1, w->wq, T, n, D);
    norm_backward(a->dx, g->attn_norm, a->partial, a->dn, l->x, l->r1, w->attn_norm, T, D);
}

void
transformer_backward(
    struct acts *a, struct params *grads, const struct params *p, const int32_t *id, const struct ragged *r)
{
    size_t T = r->start[r->n];

    assert(a->backward);
    for (size_t i = a->c.L; i-- > 0;)
        layer_backward(a, &grads->layer[i], &a->layer[i], &p->layer[i], r, T);
    embed_backward(grads->embed, a->dx, id, T, a->c.D);
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
    else if ((st = acts_new(&a, &m->config, T, T, false, err)) == OK) {
        for (size_t t = 0; t < T; t++)
            row[t] = (uint32_t)t;
        transformer_forward(a, m->params, ids, &r);
        head_logits(logits, a, m->params, row, T);
    }
    acts_free(a);
    free(row);
    return st;
}
