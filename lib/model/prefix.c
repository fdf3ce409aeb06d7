/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What prompts begin with, kept from one pass to the next. The turns of a conversation begin with each other, and all
 * prompts of a run with the system message: a decoder keeps the caches that it lent, and a new prompt copies the
 * longest prefix that any of them has.
 *
 * Those that nobody has are let go, the one of least recent use first, when they take more than KEPT_FLOATS together or
 * are more than KEPT_MOST. A copy has the bits of what it is copied from, and these depend on the tokens alone: what is
 * kept changes how long a run takes, and nothing else. Cost of a search: a comparison a cache, and of the tokens that
 * agree.
 */
#include <stdlib.h>

#include "model/decode.h"

#define KEPT_FLOATS ((size_t)64 << 20)
#define KEPT_MOST ((size_t)512)

size_t
ids_common(const int32_t *a, size_t n, const int32_t *b, size_t m)
{
    size_t i = 0;

    while (i < n && i < m && a[i] == b[i])
        i++;
    return i;
}

static size_t
cache_floats(const struct cache *a, const struct decoder *d)
{
    const struct model_config *c = &d->config;

    return a->cap * c->L * c->G * (c->E + d->P);
}

/* Lets caches go until those that nobody has are few enough. */
static void
make_room(struct decoder *d)
{
    struct prefixes *p = &d->prefixes;

    for (;;) {
        size_t idle = 0, floats = 0, oldest = SIZE_MAX;

        for (size_t i = 0; i < p->n; i++) {
            if (p->cache[i]->lent)
                continue;
            idle++;
            floats += cache_floats(p->cache[i], d);
            if (oldest == SIZE_MAX || p->cache[i]->used < p->cache[oldest]->used)
                oldest = i;
        }
        if (idle <= KEPT_MOST && floats <= KEPT_FLOATS)
            return;
        cache_free(p->cache[oldest]);
        p->cache[oldest] = p->cache[--p->n];
    }
}

enum status
decoder_lend(struct cache **out, struct decoder *d, size_t capacity, struct err *err)
{
    struct prefixes *p = &d->prefixes;
    enum status st;

    *out = NULL;
    if (p->n == p->cap) {
        size_t cap = p->cap == 0 ? 64 : 2 * p->cap;
        struct cache **more = realloc(p->cache, cap * sizeof(struct cache *));

        if (more == NULL)
            return err_memory(err);
        p->cache = more;
        p->cap = cap;
    }
    if ((st = cache_new(out, d, capacity, err)) != OK)
        return st;
    (*out)->lent = true;
    p->cache[p->n++] = *out;
    return OK;
}

void
decoder_return(struct decoder *d, struct cache *a)
{
    if (a == NULL)
        return;
    a->lent = false;
    a->used = ++d->prefixes.clock;
    make_room(d);
}

const struct cache *
prefix_find(size_t *shared, struct decoder *d, const int32_t *ids, size_t n)
{
    struct prefixes *p = &d->prefixes;
    struct cache *best = NULL;

    *shared = 0;
    for (size_t i = 0; i < p->n; i++) {
        size_t same = ids_common(ids, n, p->cache[i]->ids, p->cache[i]->n);

        if (same > *shared) {
            *shared = same;
            best = p->cache[i];
        }
    }
    if (best != NULL)
        best->used = ++p->clock;
    return best;
}

void
prefixes_fini(struct decoder *d)
{
    for (size_t i = 0; i < d->prefixes.n; i++)
        cache_free(d->prefixes.cache[i]);
    free(d->prefixes.cache);
}
