/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpemerge - merging the symbols of a word by rank (Sennrich, Haddow, Birch 2016, §3.2; the order of Hugging Face
 * tokenizers: lowest rank first, then leftmost).
 *
 * Words up to SHORT symbols: the ranks of neighbours are kept in an array that is searched anew for each merge. Longer
 * ones: a heap of pairs over a linked list, so that one endless word costs n log n and not n².
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "text/bpe.h"

#define SHORT 48

static size_t
hash_pair(uint64_t pair, size_t slots)
{
    uint64_t h = pair * UINT64_C(0x9e3779b97f4a7c15);

    h ^= h >> 29;
    h *= UINT64_C(0xbf58476d1ce4e5b9);
    return (size_t)(h >> 32) & (slots - 1);
}

enum status
merges_init(struct merges *m, size_t n, struct err *err)
{
    m->n = 0;
    m->slots = 64;
    while (m->slots < 2 * n)
        m->slots *= 2;
    if ((m->slot = calloc(m->slots, sizeof(*m->slot))) == NULL)
        return err_memory(err);
    for (size_t i = 0; i < m->slots; i++)
        m->slot[i].rank = MERGE_NONE;
    return OK;
}

void
merges_add(struct merges *m, uint32_t left, uint32_t right, uint32_t rank, uint32_t id)
{
    uint64_t pair = (uint64_t)left << 32 | right;
    size_t i = hash_pair(pair, m->slots);

    assert(m->n < m->slots / 2 + 1);
    while (m->slot[i].rank != MERGE_NONE && m->slot[i].pair != pair)
        i = (i + 1) & (m->slots - 1);
    m->n += m->slot[i].rank == MERGE_NONE;
    m->slot[i] = (struct merge){pair, rank, id};
}

const struct merge *
merges_find(const struct merges *m, uint32_t left, uint32_t right)
{
    uint64_t pair = (uint64_t)left << 32 | right;

    for (size_t i = hash_pair(pair, m->slots); m->slot[i].rank != MERGE_NONE; i = (i + 1) & (m->slots - 1))
        if (m->slot[i].pair == pair)
            return &m->slot[i];
    return NULL;
}

static void
apply_short(uint32_t *id, size_t *n_io, const struct merges *m)
{
    const struct merge *pair[SHORT];
    size_t n = *n_io;

    for (size_t i = 0; i + 1 < n; i++)
        pair[i] = merges_find(m, id[i], id[i + 1]);
    for (;;) {
        size_t best = n;
        uint32_t rank = MERGE_NONE;
        for (size_t i = 0; i + 1 < n; i++)
            if (pair[i] != NULL && pair[i]->rank < rank) {
                rank = pair[i]->rank;
                best = i;
            }
        if (best == n)
            break;
        id[best] = pair[best]->id;
        memmove(id + best + 1, id + best + 2, (n - best - 2) * sizeof(*id));
        /* pair[best] was consumed; those behind move with their symbols. */
        if (n - best > 2)
            memmove(pair + best, pair + best + 1, (n - best - 2) * sizeof(*pair));
        n--;
        if (best + 1 < n)
            pair[best] = merges_find(m, id[best], id[best + 1]);
        if (best > 0)
            pair[best - 1] = merges_find(m, id[best - 1], id[best]);
    }
    *n_io = n;
}

struct link {
    uint32_t id, prev, next; /* next is n at the end; a symbol that is gone has id BPE_NONE */
};

struct wait {
    uint32_t rank, at;
};

static bool
wait_less(struct wait a, struct wait b)
{
    return a.rank != b.rank ? a.rank < b.rank : a.at < b.at;
}

static void
heap_push(struct wait *h, size_t *n, struct wait x)
{
    size_t i = (*n)++;

    for (; i > 0 && wait_less(x, h[(i - 1) / 2]); i = (i - 1) / 2)
        h[i] = h[(i - 1) / 2];
    h[i] = x;
}

static struct wait
heap_pop(struct wait *h, size_t *n)
{
    struct wait top = h[0], x = h[--*n];
    size_t i = 0;

    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= *n)
            break;
        if (c + 1 < *n && wait_less(h[c + 1], h[c]))
            c++;
        if (!wait_less(h[c], x))
            break;
        h[i] = h[c];
        i = c;
    }
    h[i] = x;
    return top;
}

/* Queues the pair that begins at symbol i, if it can be merged. */
static void
offer(struct wait *heap, size_t *n_heap, const struct link *l, uint32_t i, uint32_t n, const struct merges *m)
{
    const struct merge *p = l[i].next < n ? merges_find(m, l[i].id, l[l[i].next].id) : NULL;

    if (p != NULL)
        heap_push(heap, n_heap, (struct wait){p->rank, i});
}

static void
apply_heap(struct link *l, struct wait *heap, uint32_t n, const struct merges *m)
{
    size_t n_heap = 0;

    for (uint32_t i = 0; i + 1 < n; i++)
        offer(heap, &n_heap, l, i, n, m);
    while (n_heap > 0) {
        struct wait w = heap_pop(heap, &n_heap);
        uint32_t i = w.at, j = l[i].next;
        const struct merge *p;
        /* What was queued may be gone: what stands there now is judged anew. */
        if (l[i].id == BPE_NONE || j >= n || (p = merges_find(m, l[i].id, l[j].id)) == NULL || p->rank != w.rank)
            continue;
        l[i].id = p->id;
        l[i].next = l[j].next;
        l[j].id = BPE_NONE;
        if (l[j].next < n)
            l[l[j].next].prev = i;
        if (l[i].prev != UINT32_MAX)
            offer(heap, &n_heap, l, l[i].prev, n, m);
        offer(heap, &n_heap, l, i, n, m);
    }
}

enum status
merges_apply(uint32_t *id, size_t *n_io, const struct merges *m, struct merge_work *work, struct err *err)
{
    /* Each merge takes one pair out and puts at most two in: never more than 2n wait. */
    size_t n = *n_io, size, each = sizeof(struct link) + 2 * sizeof(struct wait), k = 0;
    struct link *l;

    if (n <= SHORT) {
        apply_short(id, n_io, m);
        return OK;
    }
    if (n >= UINT32_MAX || !size_mul(&size, n, each))
        return err_set(err, DATA, "a word of %zu bytes is too long", n);
    if (size > work->size) {
        free(work->block);
        work->size = 0;
        if ((work->block = malloc(size)) == NULL)
            return err_memory(err);
        work->size = size;
    }
    l = work->block;
    for (size_t i = 0; i < n; i++)
        l[i] = (struct link){id[i], i == 0 ? UINT32_MAX : (uint32_t)i - 1, (uint32_t)i + 1};
    apply_heap(l, (struct wait *)(l + n), (uint32_t)n, m);
    for (size_t i = 0; i < n; i++)
        if (l[i].id != BPE_NONE)
            id[k++] = l[i].id;
    *n_io = k;
    return OK;
}
