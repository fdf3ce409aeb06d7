/* SPDX-License-Identifier: Apache-2.0 */
/* What a generation is, how much of it fits, and the whole of it for requests that are all there (generate.c). */
#include <stdlib.h>
#include <string.h>

#include "model/block.h"
#include "model/decode.h"

/* ---- limits ---- */

size_t
block_tokens(const struct generate_options *o)
{
    return o->grammar == NULL ? 0 : o->grammar->n_slots + 2;
}

size_t
generate_room(const struct model_config *c, const struct generate_options *o)
{
    size_t block = block_tokens(o);

    return c->max_positions > block ? c->max_positions - block : 0;
}

const struct block_way *
block_way(const struct generate_options *o)
{
    return o->trie != NULL ? &constrain_way : o->beams > 0 ? &beams_way : &samples_way;
}

size_t
block_width(const struct generate_options *o)
{
    if (o->grammar == NULL)
        return 1;
    return o->trie != NULL ? CONSTRAIN_ROWS : o->beams > 0 ? o->beams : o->samples;
}

#define BATCH_ROWS ((size_t)2048)       /* sequences in flight */
#define BATCH_LOGITS ((size_t)16 << 20) /* floats */
#define BATCH_MOST ((size_t)64)

size_t
block_seats(const struct model_config *c, size_t width)
{
    size_t n = BATCH_MOST, by;

    n = (by = BATCH_ROWS / width) < n ? by : n;
    n = (by = BATCH_LOGITS / width / c->V) < n ? by : n;
    return n > 0 ? n : 1;
}

/* ---- what comes out ---- */

void
generation_fini(struct generation *g)
{
    for (size_t i = 0; i < g->n_candidates; i++)
        free(g->candidate[i].token);
    free(g->candidate);
    free(g->word);
    *g = (struct generation){0};
}

enum status
generation_add(struct generation *g, size_t max, const struct candidate *c, const int32_t *token, struct err *err)
{
    struct candidate *to;

    if (g->candidate == NULL && (g->candidate = calloc(max, sizeof *g->candidate)) == NULL)
        return err_memory(err);
    to = &g->candidate[g->n_candidates];
    *to = *c;
    if ((to->token = calloc(c->n + 1, sizeof *to->token)) == NULL)
        return err_memory(err);
    memcpy(to->token, token, c->n * sizeof *token);
    g->n_candidates++;
    return OK;
}

/* ---- all of it ---- */

enum status
generate(struct generation *out, struct decoder *d, const struct request *requests, size_t n,
    const struct generate_options *o, struct err *err)
{
    struct generator *g;
    size_t added = 0, done = 0;
    enum status st = generator_new(&g, d, o, err);

    for (size_t i = 0; i < n; i++)
        out[i] = (struct generation){0};
    while (st == OK && done < n) {
        while (st == OK && added < n && generator_places(g) > 0) {
            st = generator_add(g, &requests[added], &out[added], err);
            added++;
        }
        if (st == OK)
            st = generator_pass(g, err);
        while (done < added && out[done].done)
            done++;
    }
    generator_free(g);
    for (size_t i = 0; st != OK && i < n; i++)
        generation_fini(&out[i]);
    return st;
}
