/* SPDX-License-Identifier: Apache-2.0 */
/*
 * picks - vectors gathered from records: all, or a sample by the keys of their tracks.
 * Memory: the vectors, up to one and a half times while the table grows, and 8 bytes a vector; of a sample, 28.
 */
#include <stdlib.h>
#include <string.h>

#include "music/music.h"

/* Room for one more vector. */
static enum status
grow(struct picks *p, struct err *err)
{
    size_t cap = p->cap + p->cap / 2 + 1024, bytes;
    void *v;

    cap = p->most > 0 && cap > p->most ? p->most : cap;
    if (!size_mul(&bytes, cap, p->dim) || !size_mul(&bytes, bytes, sizeof(*p->v)) || (v = realloc(p->v, bytes)) == NULL)
        return err_memory(err);
    p->v = v;
    if ((v = realloc(p->key, cap * sizeof(*p->key))) == NULL)
        return err_memory(err);
    p->key = v;
    p->cap = cap;
    return OK;
}

enum status
picks_take(struct picks *p, const msgpack_object *map, const char *key, struct err *err)
{
    size_t dim;

    if (map_vector_size(&dim, map, key, err) != OK)
        return err->status;
    if (dim == 0)
        return err_set(err, DATA, "%s: expected at least 1 number, got 0", key);
    if (p->next == NULL) {
        if ((p->next = calloc(dim, sizeof(*p->next))) == NULL)
            return err_memory(err);
        p->dim = dim;
    }
    return points_vector(p->next, p->dim, map, key, err);
}

/* Moves the row at the heap's place i down to where it belongs. */
static void
sift(struct picks *p, size_t i)
{
    for (size_t child; (child = 2 * i + 1) < p->n; i = child) {
        uint32_t row = p->heap[i];

        if (child + 1 < p->n && p->key[p->heap[child + 1]] > p->key[p->heap[child]])
            child++;
        if (!(p->key[p->heap[child]] > p->key[row]))
            break;
        p->heap[i] = p->heap[child];
        p->heap[child] = row;
    }
}

static enum status
make_heap(struct picks *p, struct err *err)
{
    if ((p->heap = calloc(p->n, sizeof(*p->heap))) == NULL)
        return err_memory(err);
    for (size_t i = 0; i < p->n; i++)
        p->heap[i] = (uint32_t)i;
    for (size_t i = p->n / 2; i-- > 0;)
        sift(p, i);
    return OK;
}

enum status
picks_keep(struct picks *p, uint64_t key, struct err *err)
{
    size_t row = p->n;

    if (p->most > 0 && p->n == p->most) {
        if (p->heap == NULL && make_heap(p, err) != OK)
            return err->status;
        row = p->heap[0];
        if (!(key < p->key[row]))
            return OK;
    } else if (p->n == p->cap && grow(p, err) != OK)
        return err->status;
    memcpy(p->v + row * p->dim, p->next, p->dim * sizeof(*p->v));
    p->key[row] = key;
    if (row == p->n)
        p->n++;
    else
        sift(p, 0);
    return OK;
}

static int
by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

void
keyed_sort(struct keyed *x, size_t n)
{
    qsort(x, n, sizeof(*x), by_key);
}

/* Row i becomes what row order[i] was: along cycles, through next. */
static void
permute(struct picks *p, struct keyed *order)
{
    size_t bytes = p->dim * sizeof(*p->v);

    for (size_t first = 0; first < p->n; first++) {
        size_t to = first, from;

        if (order[first].row == first)
            continue;
        memcpy(p->next, p->v + first * p->dim, bytes);
        while ((from = order[to].row) != first) {
            memcpy(p->v + to * p->dim, p->v + from * p->dim, bytes);
            order[to].row = (uint32_t)to;
            to = from;
        }
        memcpy(p->v + to * p->dim, p->next, bytes);
        order[to].row = (uint32_t)to;
    }
}

enum status
picks_sort(struct picks *p, struct err *err)
{
    struct keyed *order = calloc(p->n + 1, sizeof(*order));

    if (order == NULL)
        return err_memory(err);
    for (size_t i = 0; i < p->n; i++)
        order[i] = (struct keyed){p->key[i], (uint32_t)i};
    keyed_sort(order, p->n);
    for (size_t i = 0; i < p->n; i++)
        p->key[i] = order[i].key;
    permute(p, order);
    free(order);
    return OK;
}

void
picks_free(struct picks *p)
{
    free(p->v);
    free(p->key);
    free(p->next);
    free(p->heap);
    *p = (struct picks){0};
}
