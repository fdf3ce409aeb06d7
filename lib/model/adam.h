/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adam - the optimiser's step over a block of parameters.
 */
#ifndef ADAM_H
#define ADAM_H

#include "model/model.h"

/* The learning rate of step 1 … steps. */
double adam_rate(const struct sft_options *o, uint64_t step, uint64_t steps);
/* The length of all gradients together. */
double adam_norm(const struct params *grads);
/* One step: gradients times scale (from clipping) into moments and weights. */
void adam_step(struct params *p, struct params *moment1, struct params *moment2, const struct params *grads,
    const struct sft_options *o, uint64_t step, double rate, double scale);

#endif
