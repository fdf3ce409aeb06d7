/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and values: of prompts, which many sequences may share, and of what follows them. 2 L G E numbers a position.
 */
#include <stdlib.h>
#include <string.h>

#include "model/decode.h"

static size_t
vectors(size_t n)
{
    return (n + VECTOR - 1) / VECTOR * VECTOR;
}

enum status
cache_new(struct cache **out, const struct decoder *d, size_t capacity, struct err *err)
{
    const struct model_config *c = &d->config;
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

/* Bytes of a position of a tail's head: a key, or a value. */
static size_t
position_bytes(const struct decoder *d)
{
    return d->config.E * (d->half ? sizeof(bf16) : sizeof(float));
}

enum status
tail_new(struct tail **out, const struct decoder *d, size_t capacity, struct err *err)
{
    const struct model_config *c = &d->config;
    struct tail *t = calloc(1, sizeof *t);
    size_t count;

    *out = NULL;
    if (t == NULL)
        return err_memory(err);
    t->cap = capacity;
    if (size_mul(&count, capacity, 2 * c->L * c->G * position_bytes(d)))
        t->kv = malloc(count == 0 ? 1 : count);
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
    size_t each = position_bytes(d);

    to->n = from->n;
    for (size_t i = 0; i < 2 * d->config.L * d->config.G; i++)
        memcpy(to->kv + i * to->cap * each, from->kv + i * from->cap * each, from->n * each);
}

void *
tail_of(const struct tail *t, const struct decoder *d, size_t l, size_t g, bool values)
{
    return t->kv + (2 * (l * d->config.G + g) + values) * t->cap * position_bytes(d);
}

void
cache_copy(struct cache *to, const struct cache *from, size_t n, size_t l, const struct decoder *d)
{
    const struct model_config *c = &d->config;

    for (size_t g = l * c->G; g < (l + 1) * c->G; g++) {
        for (size_t e = g * c->E; e < (g + 1) * c->E; e++)
            memcpy(to->k + e * to->cap, from->k + e * from->cap, n * sizeof(float));
        memcpy(to->v + g * to->cap * d->P, from->v + g * from->cap * d->P, n * d->P * sizeof(float));
    }
}
