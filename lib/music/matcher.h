/* SPDX-License-Identifier: Apache-2.0 */
/* matcher - what the two ways to rank share (matchlists.c, matchbest.c). Private to lib/music. */
#ifndef MATCHER_H
#define MATCHER_H

#include "music/music.h"
#include "num/num.h"

#define SUBSETS (1U << MODALITIES)
#define MATCH_WORD 64 /* tracks of which one number holds a bit each */

/*
 * A track has a position: its place in the order of the tuples (playlist code first, absence before all codes). So the
 * tracks of one tuple lie side by side, and so do those of one playlist code.
 */

/* The tracks of each code of one modality, positions ascending. */
struct list {
    uint32_t *start; /* (codes + 1) */
    uint32_t codes;  /* one more than the largest */
    uint32_t *pos;   /* positions; NULL for the playlist modality, where they are the index itself */
    /* Their other codes, beside each other so that a scan reads what it compares: CODE_MAX is also absence. There is
     * room behind them for MATCH_WORD. */
    uint16_t *code[MODALITIES];
};

/* One way in which a track comes into a ranking. */
struct entry {
    uint64_t key, hash; /* larger keys go first, smaller hashes */
    uint32_t track, pos;
};

/* A candidate by its probability. */
struct likely {
    double logprob;
    size_t at;
};

/* A track that agrees with a candidate in more than one modality. */
struct pair {
    uint32_t pos, agree;
};

/* What one candidate and list have come to, once it is known: pairs, and words of bits for those that agree alone. */
struct span {
    bool known;
    uint32_t subsets; /* bits of those that the pairs agree in */
    size_t from, to, alone;
    size_t n_alone; /* tracks */
};

struct matcher {
    const struct items *items;
    uint64_t seed;
    uint32_t *order; /* the track at a position */
    char *id;        /* ids by position, behind each other */
    size_t *id_at;   /* (items + 1) */
    struct list list[MODALITIES];
    unsigned rank[SUBSETS], subset[SUBSETS]; /* 0 for the empty subset … 31; and back */
    int sum[SUBSETS];
    /* of the query at hand */
    uint32_t *mark; /* by position: now - 1 is left out, now is in the ranking; older is neither */
    uint32_t now;
    uint64_t query;
    struct entry *best; /* the ranking so far, then a heap of what goes on with it */
    size_t cap;
    size_t found, room, heap; /* entries ranked; those that the heap may have; and has */
    uint64_t bound;           /* of the hashes that are looked at */
    struct pair *pair;
    size_t n_pairs, cap_pairs;
    uint64_t *alone;
    size_t n_alone, cap_alone;
};

/* ---- the lists (matchlists.c) ---- */

/* Of the track at a position: what a query has hashed is near at hand here. */
static inline struct str
match_id(const struct matcher *m, uint32_t pos)
{
    return (struct str){m->id + m->id_at[pos], m->id_at[pos + 1] - m->id_at[pos]};
}

/* The position of entry i of the list of mod. */
static inline uint32_t
match_entry(const struct matcher *m, int mod, size_t i)
{
    return m->list[mod].pos == NULL ? (uint32_t)i : m->list[mod].pos[i];
}

enum status match_lists(struct matcher *m, struct err *err);
/* The first position of a tuple, or where it would be; of those with the tuple the first whose track is not below t. */
uint32_t match_position(const struct matcher *m, const struct codes *codes, uint32_t t);
/* Where the tracks of a code begin in its list; *to behind the last. */
size_t match_range(size_t *to, const struct matcher *m, int mod, int32_t code);
/* Of n entries of a list, 0 < n ≤ MATCH_WORD, bits of those that agree with codes in each of the other modalities. */
void match_agree(
    uint64_t agree[MODALITIES], const struct matcher *m, int mod, size_t at, size_t n, const struct codes *codes);

/* ---- the best of many (matchbest.c) ---- */

/* Begins a query: marks what is dropped, makes room for top tracks. Its n candidates in order, likelier first, then by
 * place; to be freed. */
enum status match_begin(struct likely **order, struct matcher *m, struct str query,
    const struct match_candidate *candidates, size_t n, const uint32_t *drop, size_t n_drop, size_t top,
    struct err *err);
/* Begins a group, which holds the best of what is offered until it is full with the ranking. */
void match_group(struct matcher *m, size_t top);
/* Of the n tracks that the group will be offered, all of one key, those are looked at whose hashes are small enough for
 * about as many as there is room for. */
void match_expect(struct matcher *m, size_t n);
/* Whether there were too few of them: all must be offered once more, and all will be looked at. */
bool match_short(struct matcher *m);
/* Offers n positions, of which those that are marked are passed over. */
void match_offer(struct matcher *m, const uint32_t *pos, size_t n, uint64_t key);
/* Ends it: the group's entries are sorted and marked, and follow those that were ranked. Returns how many. */
size_t match_settle(struct matcher *m);

#endif
