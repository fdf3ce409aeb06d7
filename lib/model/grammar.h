/* SPDX-License-Identifier: Apache-2.0 */
/* grammar - masks, and blocks by beam search. Private to lib/model. */
#ifndef GRAMMAR_H
#define GRAMMAR_H

#include "model/model.h"

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

/* What a request is worth knowing of while blocks are searched. */
struct prompt {
    struct cache *cache;
    struct generation *out;
};
/*
 * Fills the candidates of n prompts by beam search. logits (n, V) are those behind start, which is the one token of
 * each start[i]. SYSTEM, DATA.
 */
enum status beam_search(struct decoder *d, const struct prompt *prompts, struct tail *const *start, size_t n,
    const float *logits, const struct masks *masks, const struct generate_options *o, struct err *err);

#endif
