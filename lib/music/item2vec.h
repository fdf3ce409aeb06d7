/* SPDX-License-Identifier: Apache-2.0 */
/* item2vec - what reading and training share. Private to lib/music. */
#ifndef ITEM2VEC_H
#define ITEM2VEC_H

#include "music/music.h"
#include "num/num.h"

#define GUIDE 65536 /* steps of the table that guides draws */

/* Streams of random numbers; that of an epoch's draws is ITEM2VEC_DRAW + epoch. */
enum { ITEM2VEC_INIT = 1, ITEM2VEC_ORDER, ITEM2VEC_DRAW };

struct list {
    size_t at, n;  /* its tracks in entry */
    uint64_t hash; /* of its id */
};

struct item2vec {
    struct item2vec_options o;
    struct ids *ids;
    uint32_t *entry; /* tracks of all playlists */
    size_t n_entries, cap_entries;
    struct list *list;
    size_t n_lists, cap_lists;
    uint64_t *seen, added; /* by track: the last playlist that had it (with a window only); playlists so far */
    size_t cap_seen;
    uint32_t tracks;
    uint64_t *count;    /* playlists of a track; 0 where it is too rare or alone */
    float *vec[2];      /* (tracks, dim) input and output vectors */
    float *square[2];   /* AdaGrad's sums of mean squares */
    double *cumulative; /* of the unigram distribution to the power */
    uint32_t *guide;    /* (GUIDE + 1) */
};

/* After the last playlist: drops what is too rare, makes tables and vectors. */
enum status item2vec_prepare(struct item2vec *iv, struct err *err);

#endif
