/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The best of many tracks: groups follow each other in a ranking, and within one the order is that of a hash. What a
 * large group costs is hashing its tracks: a few nanoseconds each, since they are hashed side by side, and as good as
 * nothing for those that come too late to matter.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "music/matcher.h"

#define SIDE 16 /* tracks hashed at a time */

static int
likelier(const void *a, const void *b)
{
    const struct likely *x = a, *y = b;

    if (x->logprob != y->logprob)
        return x->logprob > y->logprob ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static enum status
begin_ranking(struct matcher *m, size_t top, struct err *err)
{
    struct entry *p;

    m->found = m->heap = m->room = m->n_pairs = m->n_alone = 0;
    if (top > m->cap) {
        if ((p = realloc(m->best, top * sizeof(*p))) == NULL)
            return err_memory(err);
        m->best = p;
        m->cap = top;
    }
    if (m->now > UINT32_MAX - 2) { /* once in two thousand million queries */
        memset(m->mark, 0, m->items->n * sizeof(*m->mark));
        m->now = 0;
    }
    m->now += 2;
    return OK;
}

enum status
match_begin(struct likely **order, struct matcher *m, struct str query, const struct match_candidate *candidates,
    size_t n, const uint32_t *drop, size_t n_drop, size_t top, struct err *err)
{
    *order = NULL;
    if (begin_ranking(m, top, err) != OK || (*order = calloc(n + 1, sizeof(**order))) == NULL)
        return err_memory(err);
    for (size_t i = 0; i < n; i++)
        (*order)[i] = (struct likely){candidates[i].logprob, i};
    if (n > 1)
        qsort(*order, n, sizeof(**order), likelier);
    m->query = hash64(m->seed, query.p, query.n);
    for (size_t i = 0; i < n_drop; i++)
        m->mark[match_position(m, &m->items->codes[drop[i]], drop[i])] = m->now - 1;
    return OK;
}

static bool
sooner(const struct entry *x, const struct entry *y)
{
    if (x->key != y->key)
        return x->key > y->key;
    return x->hash != y->hash ? x->hash < y->hash : x->track < y->track;
}

void
match_group(struct matcher *m, size_t top)
{
    m->heap = 0;
    m->room = top - m->found;
    m->bound = UINT64_MAX;
}

/*
 * Hashes are as good as random: fewer than room of n lie below room + 4 sqrt(room) parts in n once in ten thousand
 * times. Without the bound some room log(n / room) more would be pushed, and pushed out again. Tracks that are marked
 * count in n: if too few are left, match_short says so.
 */
void
match_expect(struct matcher *m, size_t n)
{
    size_t parts = m->room + 4 * (size_t)sqrt((double)m->room) + 8;

    if (n > 2 * parts)
        m->bound = UINT64_MAX / n * parts;
}

bool
match_short(struct matcher *m)
{
    if (m->heap == m->room || m->bound == UINT64_MAX)
        return false;
    m->heap = 0;
    m->bound = UINT64_MAX;
    return true;
}

/* Into a heap of n entries, whose first is the last in order, x in the place of the first. */
static void
replace(struct entry *e, size_t n, struct entry x)
{
    size_t at = 0;

    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        child += child + 1 < n && sooner(&e[child], &e[child + 1]);
        if (!sooner(&x, &e[child]))
            break;
        e[at] = e[child];
    }
    e[at] = x;
}

static void
push(struct matcher *m, struct entry x)
{
    struct entry *e = m->best + m->found;
    size_t at = m->heap;

    if (m->heap == m->room) {
        if (sooner(&x, &e[0]))
            replace(e, m->heap, x);
        return;
    }
    for (m->heap++; at > 0 && sooner(&e[(at - 1) / 2], &x); at = (at - 1) / 2)
        e[at] = e[(at - 1) / 2];
    e[at] = x;
}

/* Hashes n (≤ SIDE) tracks, all at once if their ids have one size. */
static void
hash_some(uint64_t *hash, const struct matcher *m, const uint32_t *pos, size_t n)
{
    const char *id[SIDE];
    size_t size = m->id_at[pos[0] + 1] - m->id_at[pos[0]];
    bool one = n > 1;

    for (size_t i = 0; i < SIDE; i++)
        id[i] = m->id + m->id_at[pos[i < n ? i : 0]]; /* the places of a few are filled up: it is cheaper */
    for (size_t i = 0; i < n; i++)
        one = one && m->id_at[pos[i] + 1] - m->id_at[pos[i]] == size;
    if (one)
        hash64_sixteen(hash, m->query, id, size);
    for (size_t i = 0; i < n && !one; i++)
        hash[i] = hash64(m->query, id[i], m->id_at[pos[i] + 1] - m->id_at[pos[i]]);
}

/* Brings near what the SIDE positions from number i on will need: each would be waited for in turn. */
static void
look_ahead(const struct matcher *m, const uint32_t *pos, size_t n, size_t i)
{
    for (size_t j = i + SIDE; j < n && j < i + (size_t)2 * SIDE; j++)
        __builtin_prefetch(&m->id_at[pos[j]]);
    for (size_t j = i; j < n && j < i + SIDE; j++)
        __builtin_prefetch(m->id + m->id_at[pos[j]]);
}

void
match_offer(struct matcher *m, const uint32_t *pos, size_t n, uint64_t key)
{
    uint64_t hash[SIDE];

    look_ahead(m, pos, n, 0);
    for (size_t i = 0; i < n && m->room > 0; i += SIDE) {
        size_t k = n - i < SIDE ? n - i : SIDE;

        look_ahead(m, pos, n, i + SIDE);
        hash_some(hash, m, pos + i, k);
        /* Marks are looked at last: most tracks come too late for the ranking, and theirs would have to be fetched. */
        for (size_t j = 0; j < k; j++) {
            uint32_t at = pos[i + j];

            if (hash[j] <= m->bound &&
                (m->heap < m->room || key > m->best[m->found].key || hash[j] <= m->best[m->found].hash) &&
                m->mark[at] < m->now - 1)
                push(m, (struct entry){key, hash[j], m->order[at], at});
        }
    }
}

size_t
match_settle(struct matcher *m)
{
    struct entry *e = m->best + m->found;
    size_t n = m->heap;

    for (size_t left = n; left-- > 1;) { /* the heap into its order, the last first */
        struct entry last = e[0];

        replace(e, left, e[left]);
        e[left] = last;
    }
    for (size_t i = 0; i < n; i++)
        m->mark[e[i].pos] = m->now;
    m->found += n;
    m->heap = m->room = 0;
    return n;
}
