/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transformer - the layers put together: forward with what backward needs, the loss at chosen rows, backward.
 *
 * The order of calls: transformer_forward, then head_loss any number of times (its gradient adds up in acts), then
 * transformer_backward once.
 */
#ifndef TRANSFORMER_H
#define TRANSFORMER_H

#include "model/layers.h"

/* All that a forward and backward pass over at most T tokens writes to: one block, cut up by a table. */
struct acts;

enum acts_kind {
    ACTS_BACKWARD = 1,  /* keep what transformer_backward needs */
    ACTS_HALF = 2,      /* products of bfloat16; the parameters must have a half */
    ACTS_RECOMPUTE = 4, /* of each layer keep the input alone, and compute the rest again for the backward pass */
};
/* rank: of the parameters' adapters; kind: a set of these; longest: of one sequence. SYSTEM. */
enum status acts_new(struct acts **out, const struct model_config *c, size_t rank, size_t T, size_t longest,
    unsigned kind, struct err *err);
void acts_free(struct acts *a);

/* SYSTEM if any product since acts_new failed: what was computed is then worth nothing. */
enum status acts_status(const struct acts *a, struct err *err);

/* Tokens id (start[n]) of the sequences in r through all layers but the head. */
void transformer_forward(struct acts *a, const struct params *p, const int32_t *id, const struct ragged *r);

/*
 * The head at n rows: row[i] predicts target[i]; loss (n). Where grads is not NULL, scale[i] times the gradient is
 * added to grads (see grads_freeze) and, for transformer_backward, to acts (then call it once for each forward pass).
 */
void head_loss(float *loss, struct acts *a, struct params *grads, const struct params *p, const uint32_t *row,
    const int32_t *target, const float *scale, size_t n);

/* logits (n,V) at rows row; with products of bfloat16 there is room for whole PADs of rows (layers.h). */
void head_logits(float *logits, struct acts *a, const struct params *p, const uint32_t *row, size_t n);

/* Adds to grads what lies below the head, for the batch of the last transformer_forward. */
void transformer_backward(
    struct acts *a, struct params *grads, const struct params *p, const int32_t *id, const struct ragged *r);

#endif
