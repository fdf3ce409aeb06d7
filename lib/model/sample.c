/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drawing a token from logits, in the order of transformers: repetition penalty (Keskar et al. 2019), mask,
 * temperature, nucleus (Holtzman et al. 2020: the fewest most likely tokens with at least top_p of the probability),
 * draw.
 *
 * Cost: V exponentials, and a sort of the tokens that may belong to the nucleus. Those below (1 - top_p) / V cannot:
 * all such together have less than 1 - top_p.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/generate.h"

#define BLOCK 64

struct chance {
    float p;
    int32_t token;
};

struct sampler {
    size_t V;
    float *score, *p; /* (V) */
    struct chance *chance;
    uint8_t *seen; /* (V) for the penalty */
};

enum status
sampler_new(struct sampler **out, size_t V, struct err *err)
{
    struct sampler *s = calloc(1, sizeof *s);

    *out = NULL;
    if (s == NULL)
        return err_memory(err);
    s->V = V;
    s->score = calloc(V, sizeof *s->score);
    s->p = calloc(V, sizeof *s->p);
    s->chance = calloc(V, sizeof *s->chance);
    s->seen = calloc(V, sizeof *s->seen);
    if (s->score == NULL || s->p == NULL || s->chance == NULL || s->seen == NULL) {
        sampler_free(s);
        return err_memory(err);
    }
    *out = s;
    return OK;
}

void
sampler_free(struct sampler *s)
{
    if (s == NULL)
        return;
    free(s->score);
    free(s->p);
    free(s->chance);
    free(s->seen);
    free(s);
}

/* Each token counts once, however often it came. */
static void
penalise(struct sampler *s, double penalty, struct id_span ids)
{
    for (size_t i = 0; i < ids.n; i++) {
        float *x = &s->score[ids.ids[i]];

        if (s->seen[ids.ids[i]])
            continue;
        s->seen[ids.ids[i]] = 1;
        *x = (float)(*x > 0 ? (double)*x / penalty : (double)*x * penalty);
    }
}

static void
forget(struct sampler *s, struct id_span ids)
{
    for (size_t i = 0; i < ids.n; i++)
        s->seen[ids.ids[i]] = 0;
}

/* The first of those that are the greatest: blocks without one are passed by whole. */
static int32_t
find(const float *score, size_t V, float greatest)
{
    size_t i = 0;

    for (; i + BLOCK <= V; i += BLOCK) {
        int32_t there = 0;

        for (size_t j = 0; j < BLOCK; j++)
            there |= score[i + j] == greatest;
        if (there != 0)
            break;
    }
    while (i + 1 < V && score[i] != greatest)
        i++;
    return (int32_t)i;
}

/* Likelier first, ties by id. */
static int
compare_chances(const void *a, const void *b)
{
    const struct chance *x = a, *y = b;

    if (x->p != y->p)
        return x->p > y->p ? -1 : 1;
    return x->token < y->token ? -1 : x->token > y->token;
}

/* -1 where a NaN spoils the sums. */
static int32_t
draw_nucleus(struct sampler *s, double top_p, struct rng *rng)
{
    double total = 0, sum = 0, mass, u;
    size_t n = 0, kept = 0;

    for (size_t i = 0; i < s->V; i++)
        total += (double)s->p[i];
    for (size_t i = 0; i < s->V; i++)
        if (s->p[i] > 0 && (double)s->p[i] >= total * (1 - top_p) / (double)s->V)
            s->chance[n++] = (struct chance){s->p[i], (int32_t)i};
    qsort(s->chance, n, sizeof *s->chance, compare_chances);
    while (kept < n && (kept == 0 || sum < top_p * total))
        sum += (double)s->chance[kept++].p;
    if (kept == 0)
        return -1;
    mass = sum;
    u = rng_unit(rng) * mass;
    sum = 0;
    for (size_t i = 0; i + 1 < kept; i++)
        if (u < (sum += (double)s->chance[i].p))
            return s->chance[i].token;
    return s->chance[kept - 1].token;
}

enum status
sampler_draw(int32_t *token, struct sampler *s, const float *logits, const uint8_t *allowed, struct id_span before,
    struct id_span after, const struct draw_options *o, struct rng *rng, struct err *err)
{
    float most;

    memcpy(s->score, logits, s->V * sizeof(float));
    if (o->penalty != 1) {
        penalise(s, o->penalty, before);
        penalise(s, o->penalty, after);
        forget(s, before);
        forget(s, after);
    }
    if (allowed != NULL)
        for (size_t i = 0; i < s->V; i++)
            if (!allowed[i])
                s->score[i] = -INFINITY;
    most = vec_max(s->score, s->V);
    if (!isfinite(most))
        return err_set(err, DATA, "no token is allowed here, or the model's logits are not finite");
    if (o->greedy) {
        *token = find(s->score, s->V, most);
        return OK;
    }
    for (size_t i = 0; i < s->V; i++)
        s->p[i] = (float)((double)(s->score[i] - most) / o->temperature);
    vec_exp(s->p, s->p, s->V);
    *token = draw_nucleus(s, o->top_p, rng);
    return *token >= 0 ? OK : err_set(err, DATA, "the model's logits are not finite");
}
