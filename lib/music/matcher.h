/* SPDX-License-Identifier: Apache-2.0 */
/* matcher - what the two ways to rank share. Private to lib/music. */
#ifndef MATCHER_H
#define MATCHER_H

#include "music/music.h"
#include "num/num.h"

#define SUBSETS (1U << MODALITIES)

/* What a query knows of a track that it touched. */
struct work {
    uint64_t key;   /* best so far, larger is better: exact, rank of the subset, candidate */
    uint32_t stamp; /* of the query, else key is old */
    uint32_t turn;  /* of the candidate, else agree is old */
    uint32_t agree; /* subset of the modalities that agree with this candidate */
    int sum;        /* of key's subset */
};

struct entry {
    uint64_t key, hash;
    uint32_t track;
};

/* A candidate by its probability. */
struct likely {
    double logprob;
    size_t at;
};

struct matcher {
    const struct items *items;
    uint64_t seed;
    uint32_t *list[MODALITIES];  /* tracks by code */
    uint32_t *start[MODALITIES]; /* (codes + 1) */
    uint32_t codes[MODALITIES];  /* one more than the largest */
    struct work *work;           /* (items) */
    uint32_t *touched;           /* (items) */
    uint32_t n_touched, stamp, turn;
    unsigned rank[SUBSETS]; /* 0 for the empty subset … 31 */
    int sum[SUBSETS];
    struct entry *entry; /* grows to what a query needs */
    size_t cap;
};

/* Begins a query: nothing is touched. Its n candidates in order, likelier first, then by place; to be freed. */
enum status match_begin(
    struct likely **order, struct matcher *m, const struct match_candidate *candidates, size_t n, struct err *err);
/* The best top of the tracks that were touched and are not dropped, as entries by their keys; *found of them. */
enum status match_touched(
    size_t *found, struct matcher *m, uint64_t query, const uint32_t *drop, size_t n_drop, size_t top, struct err *err);
/* Room for n entries. */
enum status match_need(struct matcher *m, size_t n, struct err *err);
/* The entry of track t. Its hash is of the track's id: the order does not depend on the catalogue's. */
struct entry match_entry(const struct matcher *m, uint64_t query, uint32_t t, uint64_t key);
/* The first top of n entries by key, hash, track, in order; returns how many. */
size_t match_select(struct entry *e, size_t n, size_t top);
/* Whether t is among n tracks. */
bool match_dropped(const uint32_t *drop, size_t n, uint32_t t);

#endif
