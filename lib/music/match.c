/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match - tracks whose codes agree with generated ones (Doh, Choi, Nam 2025, §4.4).
 *
 * The weights 25, 16, 9, 4, 1 of the codes that agree are summed; the order is: exact matches by candidate, the largest
 * sum over the candidates, the likelier candidate, a seeded hash of query and track. 25 = 16 + 9 makes four pairs of
 * the 32 subsets tie: the one with the playlist token goes first (the paper leaves that open).
 *
 * Tracks are found through inverted lists, one a (modality, code), so that a query costs what its candidates' lists
 * hold and a sort; only where fewer tracks than asked for agree in anything, all others are hashed to fill the ranking.
 */
#include <stdlib.h>
#include <string.h>

#include "music/matcher.h"

#define EXACT ((uint64_t)1 << 63)

/* Ranks the subsets by their sum, the playlist token (bit 0) first on a tie. */
static void
rank_subsets(struct matcher *m)
{
    for (unsigned a = 0; a < SUBSETS; a++) {
        m->sum[a] = 0;
        for (unsigned i = 0; i < MODALITIES; i++)
            m->sum[a] += (a >> i & 1U) != 0 ? (int)modality_weight[i] : 0;
    }
    for (unsigned a = 0; a < SUBSETS; a++) {
        m->rank[a] = 0;
        for (unsigned b = 0; b < SUBSETS; b++)
            m->rank[a] += m->sum[b] < m->sum[a] || (m->sum[b] == m->sum[a] && (b & 1U) < (a & 1U));
    }
}

/* Counting sort of the tracks by their code of one modality. */
static enum status
index_modality(struct matcher *m, int mod, struct err *err)
{
    const struct items *items = m->items;
    uint32_t *start;

    for (uint32_t t = 0; t < items->n; t++)
        if (items->codes[t].code[mod] >= (int32_t)m->codes[mod])
            m->codes[mod] = (uint32_t)items->codes[t].code[mod] + 1;
    start = m->start[mod] = calloc((size_t)m->codes[mod] + 2, sizeof(*start));
    m->list[mod] = calloc((size_t)items->n + 1, sizeof(uint32_t));
    if (start == NULL || m->list[mod] == NULL)
        return err_memory(err);
    for (uint32_t t = 0; t < items->n; t++)
        if (items->codes[t].code[mod] != CODE_NONE)
            start[items->codes[t].code[mod] + 2]++;
    for (uint32_t c = 2; c <= m->codes[mod] + 1; c++)
        start[c] += start[c - 1];
    /* start[c + 1] moves from the beginning of c to its end, which is where c + 1 begins. */
    for (uint32_t t = 0; t < items->n; t++)
        if (items->codes[t].code[mod] != CODE_NONE)
            m->list[mod][start[items->codes[t].code[mod] + 1]++] = t;
    return OK;
}

enum status
matcher_new(struct matcher **out, const struct items *items, uint64_t seed, struct err *err)
{
    struct matcher *m = calloc(1, sizeof(*m));
    enum status st = OK;

    *out = NULL;
    if (m == NULL)
        return err_memory(err);
    m->items = items;
    m->seed = seed;
    rank_subsets(m);
    m->work = calloc((size_t)items->n + 1, sizeof(*m->work));
    m->touched = calloc((size_t)items->n + 1, sizeof(*m->touched));
    if (m->work == NULL || m->touched == NULL)
        st = err_memory(err);
    for (int mod = 0; mod < MODALITIES && st == OK; mod++)
        st = index_modality(m, mod, err);
    if (st == OK)
        *out = m;
    else
        matcher_free(m);
    return st;
}

void
matcher_free(struct matcher *m)
{
    if (m == NULL)
        return;
    for (int i = 0; i < MODALITIES; i++) {
        free(m->list[i]);
        free(m->start[i]);
    }
    free(m->work);
    free(m->touched);
    free(m->entry);
    free(m);
}

/* Notes that track t agrees with the candidate at hand in modality mod. */
static void
touch(struct matcher *m, uint32_t t, int mod)
{
    struct work *w = &m->work[t];

    if (w->stamp != m->stamp) {
        *w = (struct work){.stamp = m->stamp};
        m->touched[m->n_touched++] = t;
    }
    if (w->turn != m->turn) {
        w->turn = m->turn;
        w->agree = 0;
    }
    w->agree |= 1U << mod;
}

/* The tracks of one candidate's lists; place and likely number the candidate from 0, best first. */
static void
visit(struct matcher *m, const struct codes *codes, size_t place, size_t likely)
{
    m->turn++;
    for (int mod = 0; mod < MODALITIES; mod++) {
        int32_t c = codes->code[mod];
        if (c == CODE_NONE || (uint32_t)c >= m->codes[mod])
            continue;
        for (uint32_t i = m->start[mod][c]; i < m->start[mod][c + 1]; i++)
            touch(m, m->list[mod][i], mod);
    }
    for (int mod = 0; mod < MODALITIES; mod++) {
        int32_t c = codes->code[mod];
        if (c == CODE_NONE || (uint32_t)c >= m->codes[mod])
            continue;
        for (uint32_t i = m->start[mod][c]; i < m->start[mod][c + 1]; i++) {
            uint32_t t = m->list[mod][i];
            struct work *w = &m->work[t];
            bool exact = codes_equal(codes, &m->items->codes[t]);
            uint64_t key = exact ? EXACT | (UINT32_MAX - (uint64_t)place)
                                 : (uint64_t)m->rank[w->agree] << 32 | (UINT32_MAX - (uint64_t)likely);
            if (key > w->key) {
                w->key = key;
                w->sum = m->sum[w->agree];
            }
        }
    }
}

static int
likelier(const void *a, const void *b)
{
    const struct likely *x = a, *y = b;

    if (x->logprob != y->logprob)
        return x->logprob > y->logprob ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static int
compare(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->key != y->key)
        return x->key > y->key ? -1 : 1;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->track < y->track ? -1 : x->track > y->track;
}

enum status
match_need(struct matcher *m, size_t n, struct err *err)
{
    struct entry *p;

    if (n <= m->cap)
        return OK;
    if ((p = realloc(m->entry, n * sizeof(*p))) == NULL)
        return err_memory(err);
    m->entry = p;
    m->cap = n;
    return OK;
}

struct entry
match_entry(const struct matcher *m, uint64_t query, uint32_t t, uint64_t key)
{
    struct str id = ids_str(m->items->ids, t);

    return (struct entry){key, hash64(query, id.p, id.n), t};
}

/* A heap of the best ones, worst on top, spares sorting the rest. */
size_t
match_select(struct entry *e, size_t n, size_t top)
{
    size_t heap = n < top ? n : top;

    for (size_t i = 0; i < n && top > 0; i++) {
        size_t at = i < heap ? i : 0;
        struct entry x = e[i];

        if (i < heap) {
            for (; at > 0 && compare(&x, &e[(at - 1) / 2]) > 0; at = (at - 1) / 2)
                e[at] = e[(at - 1) / 2];
        } else {
            if (compare(&x, &e[0]) >= 0)
                continue;
            for (size_t child; (child = 2 * at + 1) < heap; at = child) {
                child += child + 1 < heap && compare(&e[child + 1], &e[child]) > 0;
                if (compare(&x, &e[child]) >= 0)
                    break;
                e[at] = e[child];
            }
        }
        e[at] = x;
    }
    if (heap > 0)
        qsort(e, heap, sizeof(*e), compare);
    return heap;
}

bool
match_dropped(const uint32_t *drop, size_t n, uint32_t t)
{
    for (size_t i = 0; i < n; i++)
        if (drop[i] == t)
            return true;
    return false;
}

/* Appends up to top - n tracks that agree in nothing. */
static enum status
fill(size_t *n, size_t top, struct matcher *m, uint64_t query, const uint32_t *drop, size_t n_drop, struct err *err)
{
    size_t at = *n;

    if (match_need(m, at + m->items->n, err) != OK)
        return SYSTEM;
    for (uint32_t t = 0; t < m->items->n; t++)
        if (m->work[t].stamp != m->stamp && !match_dropped(drop, n_drop, t))
            m->entry[at++] = match_entry(m, query, t, 0);
    *n += match_select(m->entry + *n, at - *n, top - *n);
    return OK;
}

enum status
match_begin(
    struct likely **order, struct matcher *m, const struct match_candidate *candidates, size_t n, struct err *err)
{
    if ((*order = calloc(n + 1, sizeof(**order))) == NULL)
        return err_memory(err);
    for (size_t i = 0; i < n; i++)
        (*order)[i] = (struct likely){candidates[i].logprob, i};
    qsort(*order, n, sizeof(**order), likelier);
    m->stamp++;
    m->turn = 0;
    m->n_touched = 0;
    return OK;
}

enum status
match_touched(
    size_t *found, struct matcher *m, uint64_t query, const uint32_t *drop, size_t n_drop, size_t top, struct err *err)
{
    size_t n = 0;

    if (match_need(m, m->n_touched, err) != OK)
        return SYSTEM;
    for (uint32_t i = 0; i < m->n_touched; i++)
        if (!match_dropped(drop, n_drop, m->touched[i]))
            m->entry[n++] = match_entry(m, query, m->touched[i], m->work[m->touched[i]].key);
    *found = match_select(m->entry, n, top);
    return OK;
}

enum status
matcher_rank(struct match_hit *hits, size_t *n_hits, size_t top, struct matcher *m, struct str query,
    const struct match_candidate *candidates, size_t n, const uint32_t *drop, size_t n_drop, struct err *err)
{
    uint64_t hash = hash64(m->seed, query.p, query.n);
    struct likely *order;
    size_t found = 0;

    *n_hits = 0;
    if (n == 0)
        return OK;
    if (match_begin(&order, m, candidates, n, err) != OK)
        return SYSTEM;
    for (size_t i = 0; i < n; i++)
        visit(m, &candidates[order[i].at].codes, order[i].at, i);
    free(order);
    if (match_touched(&found, m, hash, drop, n_drop, top, err) != OK)
        return SYSTEM;
    if (found < top && fill(&found, top, m, hash, drop, n_drop, err) != OK)
        return SYSTEM;
    for (size_t i = 0; i < found; i++) {
        uint32_t t = m->entry[i].track;
        bool touched = m->work[t].stamp == m->stamp;
        hits[i] = (struct match_hit){
            .track = t, .exact = touched && (m->work[t].key & EXACT) != 0, .sum = touched ? m->work[t].sum : 0};
    }
    *n_hits = found;
    return OK;
}
