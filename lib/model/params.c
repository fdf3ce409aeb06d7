/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters: one block that a table of tensors cuts up. The table also gives the names by which Hugging Face files
 * know them and which of them weight decay spares. 4 bytes a parameter.
 */
#include <stdlib.h>

#include "model/model.h"

#define PER_LAYER 9
#define ALIGN 64
#define PIECE ((size_t)1 << 14) /* numbers that a thread packs at a time */

/* Walks the table: each tensor is added to out (where that is not NULL) and, where base is not NULL, given its place in
 * the block. */
struct walk {
    struct tensor *out;
    size_t n, count;
    float *base;
    bool overflow;
};

static float *
add(struct walk *w, size_t layer, const char *name, size_t rows, size_t cols)
{
    struct tensor only_counted, *t = w->out == NULL ? &only_counted : &w->out[w->n++];

    *t = (struct tensor){.rows = rows, .cols = cols, .decay = cols > 0, .count = rows};
    if (layer == SIZE_MAX)
        (void)snprintf(t->name, sizeof t->name, "%s.weight", name);
    else
        (void)snprintf(t->name, sizeof t->name, "model.layers.%zu.%s.weight", layer, name);
    if (cols > 0 && !size_mul(&t->count, rows, cols))
        w->overflow = true;
    t->p = w->base == NULL ? NULL : w->base + w->count;
    if (__builtin_add_overflow(w->count, t->count, &w->count))
        w->overflow = true;
    return t->p;
}

static void
add_layer(struct walk *w, struct model_layer *l, size_t i, const struct model_config *c)
{
    size_t q = c->H * c->E, kv = c->G * c->E;

    l->attn_norm = add(w, i, "input_layernorm", c->D, 0);
    l->wq = add(w, i, "self_attn.q_proj", q, c->D);
    l->wk = add(w, i, "self_attn.k_proj", kv, c->D);
    l->wv = add(w, i, "self_attn.v_proj", kv, c->D);
    l->wo = add(w, i, "self_attn.o_proj", c->D, q);
    l->ffn_norm = add(w, i, "post_attention_layernorm", c->D, 0);
    l->w_gate = add(w, i, "mlp.gate_proj", c->F, c->D);
    l->w_up = add(w, i, "mlp.up_proj", c->F, c->D);
    l->w_down = add(w, i, "mlp.down_proj", c->D, c->F);
}

static void
add_adapters(struct walk *w, struct adapter *a, size_t i, size_t rank, const struct model_config *c)
{
    size_t q = c->H * c->E;

    a[ADAPT_QKV] = (struct adapter){.N = q + 2 * c->G * c->E, .K = c->D};
    a[ADAPT_WO] = (struct adapter){.N = c->D, .K = q};
    a[ADAPT_GATE_UP] = (struct adapter){.N = 2 * c->F, .K = c->D};
    a[ADAPT_DOWN] = (struct adapter){.N = c->D, .K = c->F};
    for (int k = 0; k < ADAPTED; k++) {
        a[k].a = add(w, i, "adapter_a", rank, a[k].K);
        a[k].b = add(w, i, "adapter_b", a[k].N, rank);
    }
}

static void
cut_up(struct params *p, struct walk *w, const struct model_config *c)
{
    w->n = w->count = 0;
    p->embed = add(w, SIZE_MAX, "model.embed_tokens", c->V, c->D);
    for (size_t i = 0; i < c->L; i++)
        add_layer(w, &p->layer[i], i, c);
    p->norm = add(w, SIZE_MAX, "model.norm", c->D, 0);
    p->head = c->tied ? p->embed : add(w, SIZE_MAX, "lm_head", c->V, c->D);
    p->n_tensors = w->n;
    for (size_t i = 0; p->rank > 0 && i < c->L; i++)
        add_adapters(w, p->adapter + i * ADAPTED, i, p->rank, c);
}

size_t
params_count(const struct model_config *c)
{
    struct walk w = {0};
    struct model_layer layer;

    for (size_t i = 0; i < c->L; i++)
        add_layer(&w, &layer, i, c);
    (void)add(&w, SIZE_MAX, "", c->V, c->D);
    (void)add(&w, SIZE_MAX, "", c->D, 0);
    if (!c->tied)
        (void)add(&w, SIZE_MAX, "", c->V, c->D);
    return w.overflow ? SIZE_MAX : w.count;
}

enum status
params_list(struct tensor **out, size_t *n, const struct model_config *c, struct err *err)
{
    struct params shape = {.layer = calloc(c->L, sizeof *shape.layer)};
    struct walk w = {.out = calloc(3 + PER_LAYER * c->L, sizeof *w.out)};
    enum status st = shape.layer == NULL || w.out == NULL ? err_memory(err) : OK;

    if (st == OK)
        cut_up(&shape, &w, c);
    free(shape.layer);
    if (st == OK && w.overflow)
        st = err_set(err, DATA, "the model has more parameters than a machine can address");
    if (st != OK) {
        free(w.out);
        w.out = NULL;
    }
    *out = w.out;
    *n = w.n;
    return st;
}

static enum status
allocate(struct params *p, const struct model_config *c, struct err *err)
{
    struct walk w = {0};
    size_t bytes, most = 3 + (PER_LAYER + 2 * ADAPTED) * c->L;

    if ((p->layer = calloc(c->L, sizeof *p->layer)) == NULL || (p->tensor = calloc(most, sizeof *p->tensor)) == NULL ||
        (p->adapter = calloc(c->L * ADAPTED, sizeof *p->adapter)) == NULL)
        return err_memory(err);
    w.out = p->tensor;
    cut_up(p, &w, c);
    if (w.overflow || w.count > SIZE_MAX / sizeof(float) - ALIGN)
        return err_set(err, DATA, "the model has more parameters than a machine can address");
    p->count = w.count;
    bytes = (p->count * sizeof(float) + ALIGN - 1) / ALIGN * ALIGN;
    /* Fresh pages are zero already: a large block costs memory only as it is written. */
    if ((p->base = calloc(1, bytes + ALIGN)) == NULL)
        return err_memory(err);
    num_large_pages(p->base, bytes);
    p->block = (float *)(((uintptr_t)p->base + ALIGN - 1) / ALIGN * ALIGN);
    w.base = p->block;
    cut_up(p, &w, c);
    return OK;
}

enum status
params_new(struct params **out, const struct model_config *c, size_t rank, struct err *err)
{
    struct params *p = calloc(1, sizeof *p);
    enum status st = OK;

    *out = NULL;
    if (p == NULL)
        return err_memory(err);
    p->rank = rank;
    p->n_layers = c->L;
    p->rows = c->V;
    st = allocate(p, c, err);
    if (st != OK) {
        params_free(p);
        return st;
    }
    *out = p;
    return OK;
}

void
grads_freeze(struct params *grads, size_t row, size_t rows)
{
    for (size_t i = 0; i < grads->n_layers; i++)
        grads->layer[i] = (struct model_layer){0};
    grads->norm = NULL;
    grads->row = row;
    grads->rows = rows;
}

enum status
params_half(struct params *p, struct err *err)
{
    if (p->half == NULL) {
        if ((p->half = malloc(p->count * sizeof *p->half)) == NULL)
            return err_memory(err);
        num_large_pages(p->half, p->count * sizeof *p->half);
    }
#pragma omp parallel for schedule(static) num_threads(num_threads_for(p->count))
    for (size_t i = 0; i < p->count; i += PIECE)
        bf16_pack(p->half + i, p->block + i, p->count - i < PIECE ? p->count - i : PIECE);
    return OK;
}

void
params_free(struct params *p)
{
    if (p == NULL)
        return;
    free(p->base);
    free(p->half);
    free(p->layer);
    free(p->tensor);
    free(p->adapter);
    free(p);
}
