/* SPDX-License-Identifier: Apache-2.0 */
/* tiny - a random model for tests, small enough for brute force; its vocabulary ends in music tokens. */
#ifndef TINY_H
#define TINY_H

#include <stdlib.h>
#include <string.h>

#include "model/generate.h"

enum { TINY_V = 40, TINY_K = 4, TINY_SLOTS = 3, TINY_FIRST = 26, TINY_START = 38, TINY_END = 39, TINY_EOS = 1 };

/* Grouped queries, an untied head, heads of E numbers: with 6 nothing is a multiple of what kernels like. */
static inline struct model *
tiny_model_heads(uint64_t seed, double scale, size_t E)
{
    struct model_config c = {.V = TINY_V,
        .D = 20,
        .L = 2,
        .H = 4,
        .G = 2,
        .E = E,
        .F = 28,
        .max_positions = 64,
        .norm_eps = 1e-5,
        .rope_theta = 10000,
        .bos = 0,
        .eos = {TINY_EOS},
        .n_eos = 1};
    struct rng rng = rng_seed(seed, 7);
    struct model *m = NULL;

    if (model_new(&m, &c, NULL) != OK)
        return NULL;
    for (size_t i = 0; i < m->params->count; i++)
        m->params->block[i] = (float)(scale * rng_normal(&rng));
    for (size_t t = 0; t < m->params->n_tensors; t++)
        for (size_t i = 0; m->params->tensor[t].cols == 0 && i < m->params->tensor[t].count; i++)
            m->params->tensor[t].p[i] += 1;
    return m;
}

static inline struct model *
tiny_model(uint64_t seed, double scale)
{
    return tiny_model_heads(seed, scale, 6);
}

static inline struct grammar
tiny_grammar(uint8_t slot[TINY_V])
{
    memset(slot, 0, TINY_V);
    for (size_t i = 0; i < TINY_SLOTS * TINY_K; i++)
        slot[TINY_FIRST + i] = (uint8_t)(1 + i / TINY_K);
    return (struct grammar){.start = TINY_START, .end = TINY_END, .n_slots = TINY_SLOTS, .slot = slot};
}

#endif
