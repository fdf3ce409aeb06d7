/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dataset - how examples lie in memory, and the order in which steps draw them.
 */
#ifndef DATASET_H
#define DATASET_H

#include "model/train.h"

struct example {
    uint32_t id, source; /* of dataset.names */
    enum sft_task task;
    bool valid;
    size_t at, n; /* its tokens; the last one is trained. n is 0 where none is */
};

struct dataset {
    struct model_config config;
    struct ids *names;
    struct example *example;
    size_t n, cap, longest;
    int32_t *token;
    bool *trained; /* a label: predicting this token counts */
    size_t n_tokens, cap_tokens;
};

/* 64 bits that change when anything that training sees does. */
uint64_t dataset_hash(const struct dataset *d);

/* The examples of one task in an order that each epoch draws anew from (seed, epoch, example_id). */
struct draw {
    uint64_t seed, epoch;
    enum sft_task task;
    uint32_t *order;
    uint64_t *key;
    size_t n, at;
};
enum status draw_init(struct draw *w, const struct dataset *d, enum sft_task task, uint64_t seed, struct err *err);
void draw_fini(struct draw *w);
/* Goes to a place; DATA if there is no such place. */
enum status draw_seek(struct draw *w, const struct dataset *d, uint64_t epoch, size_t at, struct err *err);
/* The next example without taking it, and taking it. n is not 0. */
const struct example *draw_peek(const struct draw *w, const struct dataset *d);
void draw_take(struct draw *w, const struct dataset *d);

#endif
