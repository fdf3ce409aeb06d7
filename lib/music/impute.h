/* SPDX-License-Identifier: Apache-2.0 */
/* impute - the training tracks that codes are imputed from, as impute.c holds them. Private to lib/music. */
#ifndef IMPUTE_H
#define IMPUTE_H

#include "music/music.h"

/* What is known of a training track besides its vectors. */
struct trained {
    uint64_t id;  /* a hash of its track_id */
    unsigned has; /* bits of modalities */
    struct codes codes;
};

struct imputer {
    const struct codebooks *books;
    struct assigner *assigner[MODALITIES]; /* NULL where there is no codebook; until all are loaded */
    enum packing kind;
    size_t dim;                               /* of the vectors of a track behind each other: */
    size_t at[MODALITIES], width[MODALITIES]; /* where each begins, and its dimension made even */
    int order[MODALITIES];                    /* in which they are compared: those first that tell most tracks apart */
    size_t panel, panel_bytes;                /* tracks of a panel */
    uint32_t n, cap;
    struct trained *track;  /* (n) */
    unsigned char **packed; /* a panel of tracks each: their vectors, of length 1 each, zeros where absent */
    size_t n_packed;
    int32_t common[MODALITIES]; /* the most frequent code; CODE_NONE without any */

    /* While they are loaded: */
    float *stage[MODALITIES]; /* (STAGE, dim) */
    float *unit;              /* (STAGE, dim of all) */
    int32_t *code;            /* (STAGE) */
    size_t staged;
};

/*
 * The vectors of a record behind each other, each of length 1 or zeros, into out (dim numbers); the row of X[m] is i.
 * What fills an odd one up is left as it was.
 */
void imputer_join(float *out, const struct imputer *im, const float *const *X, size_t i, unsigned has);

#endif
