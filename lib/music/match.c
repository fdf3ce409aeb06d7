/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match - tracks whose codes agree with generated ones (Doh, Choi, Nam 2025, §4.4).
 *
 * The weights 25, 16, 9, 4, 1 of the codes that agree are summed; the order is: exact matches by candidate, the largest
 * sum over the candidates, the likelier candidate, a seeded hash of query and track. 25 = 16 + 9 makes four pairs of
 * the 32 subsets tie: the one with the playlist token goes first (the paper leaves that open).
 *
 * So a ranking is a row of groups, each the tracks that agree with one candidate in one subset, and ends with the group
 * that fills it. The groups whose first modality is m come from one scan of the list of the candidate's code of m,
 * which is made when the first of them is due: most queries never look beyond the lists of the first two modalities.
 * Tracks that agree in m alone are many, and a bit each is kept of them. Only where fewer tracks than asked for agree
 * in anything, all others are hashed to fill the ranking.
 */
#include <stdlib.h>

#include "music/matcher.h"

#define CHUNK 256

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
        m->subset[m->rank[a]] = a;
    }
}

enum status
matcher_new(struct matcher **out, const struct items *items, uint64_t seed, struct err *err)
{
    struct matcher *m = calloc(1, sizeof(*m));
    enum status st;

    *out = NULL;
    if (m == NULL)
        return err_memory(err);
    m->items = items;
    m->seed = seed;
    rank_subsets(m);
    m->mark = calloc((size_t)items->n + 1, sizeof(*m->mark));
    if (m->mark != NULL)
        num_large_pages(m->mark, ((size_t)items->n + 1) * sizeof(*m->mark));
    st = m->mark == NULL ? err_memory(err) : match_lists(m, err);
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
        free(m->list[i].start);
        free(m->list[i].pos);
        for (int other = 0; other < MODALITIES; other++)
            free(m->list[i].code[other]);
    }
    free(m->order);
    free(m->id);
    free(m->id_at);
    free(m->mark);
    free(m->best);
    free(m->pair);
    free(m->alone);
    free(m);
}

/* Ends a group: its entries become hits. */
static void
take(struct match_hit *hits, struct matcher *m, bool exact, int sum)
{
    size_t n = match_settle(m);

    for (size_t i = m->found - n; i < m->found; i++)
        hits[i] = (struct match_hit){
            .track = m->best[i].track, .id = match_id(m, m->best[i].pos), .exact = exact, .sum = sum};
}

/* The tracks that have exactly the candidate's codes: they lie side by side. */
static void
exact_group(struct match_hit *hits, struct matcher *m, const struct codes *codes, size_t top)
{
    int sum = 0;

    for (int i = 0; i < MODALITIES; i++)
        sum += codes->code[i] != CODE_NONE ? (int)modality_weight[i] : 0;
    match_group(m, top);
    for (uint32_t i = match_position(m, codes, 0); i < m->items->n; i++) {
        if (!codes_equal(codes, &m->items->codes[m->order[i]]))
            break;
        match_offer(m, &i, 1, 0);
    }
    take(hits, m, true, sum);
}

static enum status
keep_pair(struct matcher *m, uint32_t pos, uint32_t agree, struct err *err)
{
    if (m->n_pairs == m->cap_pairs) {
        size_t cap = m->cap_pairs * 2 + 1024;
        struct pair *p = realloc(m->pair, cap * sizeof(*p));
        if (p == NULL)
            return err_memory(err);
        m->pair = p;
        m->cap_pairs = cap;
    }
    m->pair[m->n_pairs++] = (struct pair){pos, agree};
    return OK;
}

/* Room for a bit more for each of n tracks. */
static enum status
grow_alone(struct matcher *m, size_t n, struct err *err)
{
    size_t words = m->n_alone + n / MATCH_WORD + 1;
    void *p;

    if (words <= m->cap_alone)
        return OK;
    if ((p = realloc(m->alone, 2 * words * sizeof(*m->alone))) == NULL)
        return err_memory(err);
    m->alone = p;
    m->cap_alone = 2 * words;
    return OK;
}

/*
 * Of n tracks from entry at of the list of mod on: bits of those that agree in nothing else; those that do, but in no
 * earlier modality, become pairs (they are in its list).
 */
static enum status
keep(uint64_t *alone, struct matcher *m, const struct codes *codes, int mod, size_t at, size_t n, struct err *err)
{
    uint64_t agree[MODALITIES], any = 0, earlier = 0;

    match_agree(agree, m, mod, at, n, codes);
    for (int i = 0; i < MODALITIES; i++) {
        any |= agree[i];
        earlier |= i < mod ? agree[i] : 0;
    }
    *alone = ~any & UINT64_MAX >> (MATCH_WORD - n);
    for (uint64_t bits = any & ~earlier; bits != 0; bits &= bits - 1) {
        int i = __builtin_ctzll(bits);
        uint32_t subset = 1U << mod;

        for (int other = 0; other < MODALITIES; other++)
            subset |= (uint32_t)(agree[other] >> i & 1) << other;
        if (keep_pair(m, match_entry(m, mod, at + (size_t)i), subset, err) != OK)
            return SYSTEM;
    }
    return OK;
}

/* Goes through the list of the candidate's code of mod. */
static enum status
scan(struct span *span, struct matcher *m, const struct codes *codes, int mod, struct err *err)
{
    size_t to, at = match_range(&to, m, mod, codes->code[mod]);

    if (grow_alone(m, to - at, err) != OK)
        return SYSTEM;
    *span = (struct span){.known = true, .from = m->n_pairs, .alone = m->n_alone};
    for (; at < to; at += MATCH_WORD, m->n_alone++) {
        uint64_t *alone = &m->alone[m->n_alone];

        if (keep(alone, m, codes, mod, at, to - at < MATCH_WORD ? to - at : MATCH_WORD, err) != OK)
            return SYSTEM;
        span->n_alone += (size_t)__builtin_popcountll(*alone);
    }
    span->to = m->n_pairs;
    for (size_t i = span->from; i < span->to; i++)
        span->subsets |= 1U << m->pair[i].agree;
    return OK;
}

/* Those that agree in mod alone. */
static void
offer_alone(struct matcher *m, const struct span *span, const struct codes *codes, int mod)
{
    size_t to, at = match_range(&to, m, mod, codes->code[mod]), n = 0;
    uint32_t pos[CHUNK];

    for (size_t i = span->alone; at < to; i++, at += MATCH_WORD) {
        for (uint64_t bits = m->alone[i]; bits != 0; bits &= bits - 1)
            pos[n++] = match_entry(m, mod, at + (size_t)__builtin_ctzll(bits));
        if (n > CHUNK - MATCH_WORD || to - at <= MATCH_WORD) {
            match_offer(m, pos, n, 0);
            n = 0;
        }
    }
}

/* Those of the pairs that agree in just this subset. */
static void
offer_pairs(struct matcher *m, const struct span *span, unsigned subset)
{
    uint32_t pos[CHUNK];
    size_t n = 0;

    for (size_t i = span->from; i < span->to && (span->subsets >> subset & 1U) != 0; i++) {
        if (m->pair[i].agree == subset)
            pos[n++] = m->pair[i].pos;
        if (n == CHUNK || i + 1 == span->to) {
            match_offer(m, pos, n, 0);
            n = 0;
        }
    }
}

/* The tracks that agree with the candidate in subset and nothing else. */
static enum status
group(struct matcher *m, const struct codes *codes, struct span *spans, unsigned subset, struct err *err)
{
    int mod = __builtin_ctz(subset);
    struct span *span = &spans[mod];

    for (int i = 0; i < MODALITIES; i++)
        if ((subset >> i & 1U) != 0 && codes->code[i] == CODE_NONE)
            return OK;
    if (!span->known && scan(span, m, codes, mod, err) != OK)
        return SYSTEM;
    if (subset == 1U << mod) {
        match_expect(m, span->n_alone);
        do
            offer_alone(m, span, codes, mod);
        while (match_short(m));
    } else
        offer_pairs(m, span, subset);
    return OK;
}

/* What agrees in nothing. */
static void
fill(struct match_hit *hits, struct matcher *m, size_t top)
{
    uint32_t pos[CHUNK];

    match_group(m, top);
    for (uint32_t at = 0; at < m->items->n; at += CHUNK) {
        uint32_t n = m->items->n - at < CHUNK ? m->items->n - at : CHUNK;
        for (uint32_t i = 0; i < n; i++)
            pos[i] = at + i;
        match_offer(m, pos, n, 0);
    }
    take(hits, m, false, 0);
}

enum status
matcher_rank(struct match_hit *hits, size_t *n_hits, size_t top, struct matcher *m, struct str query,
    const struct match_candidate *candidates, size_t n, const uint32_t *drop, size_t n_drop, struct err *err)
{
    struct span(*spans)[MODALITIES] = calloc(n + 1, sizeof(*spans));
    struct likely *order = NULL;
    enum status st = spans == NULL ? err_memory(err) : OK;

    *n_hits = 0;
    if (st == OK)
        st = match_begin(&order, m, query, candidates, n, drop, n_drop, top, err);
    for (size_t i = 0; i < n && st == OK && m->found < top; i++)
        exact_group(hits, m, &candidates[i].codes, top);
    for (unsigned rank = SUBSETS - 1; rank > 0 && st == OK; rank--)
        for (size_t i = 0; i < n && st == OK && m->found < top; i++) {
            match_group(m, top);
            st = group(m, &candidates[order[i].at].codes, spans[i], m->subset[rank], err);
            take(hits, m, false, m->sum[m->subset[rank]]);
        }
    if (st == OK && n > 0 && m->found < top)
        fill(hits, m, top);
    if (st == OK)
        *n_hits = m->found;
    free(spans);
    free(order);
    return st;
}
