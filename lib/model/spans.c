/* SPDX-License-Identifier: Apache-2.0 */
/* spans - which pieces of the block of parameters are trained. */
#include <stdlib.h>

#include "model/adam.h"

static void
add(struct spans *s, size_t at, size_t n, bool decay)
{
    if (n > 0)
        s->piece[s->n++] = (struct span){at, n, decay};
}

/* The rows of the music tokens in embedding and head. */
static void
add_rows(struct spans *s, const struct params *p, const struct model_config *c, size_t row, size_t rows)
{
    add(s, (size_t)(p->embed - p->block) + row * c->D, rows * c->D, true);
    if (!c->tied)
        add(s, (size_t)(p->head - p->block) + row * c->D, rows * c->D, true);
}

enum status
spans_init(struct spans *s, const struct model *m, const struct sft_options *o, struct err *err)
{
    const struct params *p = m->params;
    size_t adapters = p->rank > 0 ? m->config.L * ADAPTED * 2 : 0;

    *s = (struct spans){0};
    if ((s->piece = calloc(p->n_tensors + adapters + 2, sizeof *s->piece)) == NULL)
        return err_memory(err);
    if (o->train != TRAIN_ALL)
        add_rows(s, p, &m->config, o->row, o->rows);
    for (size_t i = o->train == TRAIN_ALL ? 0 : p->n_tensors; i < p->n_tensors + adapters; i++)
        add(s, (size_t)(p->tensor[i].p - p->block), p->tensor[i].count, p->tensor[i].decay);
    return OK;
}

void
spans_fini(struct spans *s)
{
    free(s->piece);
    *s = (struct spans){0};
}

bool
spans_run(size_t *at, size_t *n, size_t *next, const struct spans *s)
{
    if (*next == s->n)
        return false;
    *at = s->piece[*next].at;
    *n = 0;
    while (*next < s->n && s->piece[*next].at == *at + *n)
        *n += s->piece[(*next)++].n;
    return true;
}
