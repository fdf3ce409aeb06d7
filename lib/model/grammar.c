/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar of a block as masks over the vocabulary: one for each slot that the last token may be of. (slots + 3) V
 * bytes.
 */
#include <stdlib.h>

#include "model/grammar.h"

enum status
masks_new(struct masks *m, const struct grammar *g, size_t V, struct err *err)
{
    size_t count = g->n_slots + 4, bytes;
    uint8_t *p = NULL;

    *m = (struct masks){0};
    if (!size_mul(&bytes, count, V) || (p = calloc(bytes, 1)) == NULL)
        return err_memory(err);
    for (size_t k = 0; k <= g->n_slots; k++, p += V) {
        m->block[k] = p;
        for (size_t i = 0; i < V; i++)
            p[i] = g->slot[i] > k && g->slot[i] <= g->n_slots;
        p[g->end] = k > 0;
    }
    m->decide = p;
    m->words = p + V;
    m->all = p + 2 * V;
    for (size_t i = 0; i < V; i++) {
        m->all[i] = 1;
        m->words[i] = m->decide[i] = g->slot[i] == 0 && (int32_t)i != g->end && (int32_t)i != g->start;
    }
    m->decide[g->start] = 1;
    return OK;
}

void
masks_fini(struct masks *m)
{
    free(m->block[0]);
    *m = (struct masks){0};
}

void
place_next(struct place *p, const struct grammar *g, int32_t token)
{
    size_t slot = g->slot[token];

    if (token == g->end && p->slot > 0)
        p->ended = true;
    else if (slot > p->slot && slot <= g->n_slots)
        p->slot = slot;
    else
        p->malformed = true;
}
