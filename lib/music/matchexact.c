/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other way to rank: no sums of weights, but what the model itself gives a track, its tuple's probability divided
 * among the tracks that have the tuple. A candidate costs a search for its tuple and a hash for each of them.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "music/matcher.h"

/* Doubles as integers of the same order. */
static uint64_t
ordered(double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return bits >> 63 != 0 ? ~bits : bits | (uint64_t)1 << 63;
}

static double
unordered(uint64_t key)
{
    uint64_t bits = key >> 63 != 0 ? key & ~((uint64_t)1 << 63) : ~key;
    double x;

    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* Offers the tracks that have exactly the candidate's codes; they are marked, since another one may have the same. */
static void
share(struct matcher *m, const struct match_candidate *candidate)
{
    const struct codes *codes = &candidate->codes;
    uint32_t from = match_position(m, codes, 0), to = from;
    uint64_t key;

    while (to < m->items->n && codes_equal(codes, &m->items->codes[m->order[to]]))
        to++;
    key = ordered(candidate->logprob - log((double)(to - from)));
    for (uint32_t i = from; i < to; i++) {
        match_offer(m, &i, 1, key);
        m->mark[i] = m->now;
    }
}

enum status
matcher_exact(struct match_hit *hits, size_t *n_hits, size_t top, struct matcher *m, struct str query,
    const struct match_candidate *candidates, size_t n, const uint32_t *drop, size_t n_drop, struct err *err)
{
    struct likely *order;

    *n_hits = 0;
    if (match_begin(&order, m, query, candidates, n, drop, n_drop, top, err) != OK)
        return SYSTEM;
    match_group(m, top);
    for (size_t i = 0; i < n; i++)
        share(m, &candidates[order[i].at]);
    free(order);
    *n_hits = match_settle(m);
    for (size_t i = 0; i < *n_hits; i++)
        hits[i] = (struct match_hit){.track = m->best[i].track,
            .id = match_id(m, m->best[i].pos),
            .exact = true,
            .logprob = unordered(m->best[i].key)};
    return OK;
}
