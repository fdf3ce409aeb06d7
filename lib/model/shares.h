/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shares - the gradient of a step as the sum of a fixed number of shares, which processes divide among themselves.
 *
 * The sum is ((share 0 + share 1) + share 2) + …, whoever computed which: as many processes as there are shares, or
 * one, come to the same bytes. A share without examples is left out.
 */
#ifndef SHARES_H
#define SHARES_H

#include "model/adam.h"

#define MAX_SHARES 64

struct shares {
    size_t n, first, end;      /* all; those of this process: first … end-1 */
    size_t slots;              /* the most that a process has */
    const struct spans *spans; /* of parameters: what is trained */
    struct params **grads;     /* [0] has the sum in the end */
    size_t n_grads;
    bool used[MAX_SHARES];       /* in this step */
    float *out, *in, *own, *all; /* between processes: (N, slots, PIECE) twice, (PIECE), (N, PIECE); else NULL */
};

/* n shares for gradients of m's parameters; o and spans say what is trained. Memory: 4 bytes a parameter for each share
 * of this process, at least two where n is not 1; pages that no step needs are not touched. USAGE for fewer shares than
 * processes; SYSTEM. */
enum status shares_init(struct shares *s, size_t n, const struct model *m, const struct sft_options *o,
    const struct spans *spans, struct err *err);
void shares_fini(struct shares *s);
/* Before a step of that many micro-batches. */
void shares_begin(struct shares *s, size_t micros);
/* Share k's micro-batches are from … below *end. */
size_t shares_from(size_t *end, const struct shares *s, size_t k, size_t micros);
/* Zeroed gradients for share k, one of this process and used; between the two calls alone. */
struct params *shares_open(struct shares *s, size_t k);
void shares_close(struct shares *s, size_t k);
/* After the last: grads[0] becomes the sum of all processes' shares. SYSTEM. */
enum status shares_sum(struct shares *s, struct err *err);
/* Which process has share k. */
size_t shares_owner(const struct shares *s, size_t k);

#endif
