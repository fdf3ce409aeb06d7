/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other way to rank: no sums of weights, but what the model itself gives a track, its tuple's probability divided
 * among the tracks that have the tuple. A candidate costs the shortest of its codes' lists of tracks.
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

/* The modality whose list of tracks with these codes is the shortest; MODALITIES if a code has no track. */
static int
shortest_list(const struct matcher *m, const struct codes *codes)
{
    int best = MODALITIES;
    uint32_t fewest = UINT32_MAX;

    for (int mod = 0; mod < MODALITIES; mod++) {
        int32_t c = codes->code[mod];
        uint32_t n;

        if (c == CODE_NONE)
            continue;
        if ((uint32_t)c >= m->codes[mod])
            return MODALITIES;
        n = m->start[mod][c + 1] - m->start[mod][c];
        if (n < fewest) {
            fewest = n;
            best = mod;
        }
    }
    return best;
}

/* Appends the tracks that have all of the candidate's codes to touched, with their share of it under work's key. */
static void
share(struct matcher *m, const struct match_candidate *candidate)
{
    const struct codes *codes = &candidate->codes;
    int mod = shortest_list(m, codes);
    uint32_t first = m->n_touched, same = 0;
    uint64_t key;

    if (mod == MODALITIES)
        return;
    for (uint32_t i = m->start[mod][codes->code[mod]]; i < m->start[mod][codes->code[mod] + 1]; i++) {
        uint32_t t = m->list[mod][i];

        if (!codes_equal(codes, &m->items->codes[t]))
            continue;
        same++;
        if (m->work[t].stamp != m->stamp) { /* a likelier candidate may have had the same codes */
            m->work[t].stamp = m->stamp;
            m->touched[m->n_touched++] = t;
        }
    }
    key = ordered(candidate->logprob - log((double)same));
    for (uint32_t i = first; i < m->n_touched; i++)
        m->work[m->touched[i]].key = key;
}

enum status
matcher_exact(struct match_hit *hits, size_t *n_hits, size_t top, struct matcher *m, struct str query,
    const struct match_candidate *candidates, size_t n, const uint32_t *drop, size_t n_drop, struct err *err)
{
    uint64_t hash = hash64(m->seed, query.p, query.n);
    struct likely *order;

    *n_hits = 0;
    if (match_begin(&order, m, candidates, n, err) != OK)
        return SYSTEM;
    for (size_t i = 0; i < n; i++)
        share(m, &candidates[order[i].at]);
    free(order);
    if (match_touched(n_hits, m, hash, drop, n_drop, top, err) != OK)
        return SYSTEM;
    for (size_t i = 0; i < *n_hits; i++)
        hits[i] = (struct match_hit){
            .track = m->entry[i].track, .exact = true, .sum = 0, .logprob = unordered(m->entry[i].key)};
    return OK;
}
