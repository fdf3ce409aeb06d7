/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adam - the optimiser's step over a block of parameters.
 */
#ifndef ADAM_H
#define ADAM_H

#include "model/train.h"

/* Pieces of the block of parameters: n numbers from at on, with weight decay or without. */
struct span {
    size_t at, n;
    bool decay;
};
struct spans {
    size_t n;
    struct span *piece; /* in the order of the block */
};
/* What is trained of m (spans.c). SYSTEM. */
enum status spans_init(struct spans *s, const struct model *m, const struct sft_options *o, struct err *err);
void spans_fini(struct spans *s);
/* Pieces that lie behind each other as one, from *next (0 at first) on; false behind the last. */
bool spans_run(size_t *at, size_t *n, size_t *next, const struct spans *s);

/* The learning rate of step 1 … steps. */
double adam_rate(const struct sft_options *o, uint64_t step, uint64_t steps);
/* The length of all gradients together. */
double adam_norm(const struct params *grads, const struct spans *s);

/* First and second moments of count numbers each, as float32 (f) or as bfloat16 (h): the other is NULL. */
struct moments {
    size_t count;
    float *f[2];
    bf16 *h[2];
};
/* Zeros, which take no memory where nothing is written. SYSTEM; m is then still to be freed. */
enum status moments_init(struct moments *m, size_t count, bool half, struct err *err);
void moments_fini(struct moments *m);
/* n numbers of moment i (0 or 1) from `at` on, as float32; bfloat16 comes back as it was. */
void moments_get(float *out, const struct moments *m, int i, size_t at, size_t n);
void moments_set(struct moments *m, int i, size_t at, const float *from, size_t n);

/* One step: gradients times scale (from clipping) into moments and weights; p->half follows, if there is one. */
void adam_step(struct params *p, struct moments *m, const struct params *grads, const struct spans *s,
    const struct sft_options *o, uint64_t step, double rate, double scale);

#endif
