/* SPDX-License-Identifier: Apache-2.0 */
/* grammar - what a block may be. Private to lib/model. */
#ifndef GRAMMAR_H
#define GRAMMAR_H

#include "model/generate.h"

/* Which tokens are allowed where: each (V), 1 or 0. */
struct masks {
    uint8_t *block[GRAMMAR_MAX_SLOTS + 1]; /* after a token of slot number i (0: after start) */
    uint8_t *decide;                       /* the first token, where the model decides */
    uint8_t *words;
    uint8_t *all;
};
enum status masks_new(struct masks *m, const struct grammar *g, size_t V, struct err *err);
void masks_fini(struct masks *m);

/* Where a block stands: the slot of its last token. */
struct place {
    size_t slot; /* 0 after start */
    bool ended, malformed;
};
void place_next(struct place *p, const struct grammar *g, int32_t token);

#endif
