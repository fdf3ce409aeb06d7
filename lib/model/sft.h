/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sft - the state of a fine-tuning run, which sft.c advances, batch.c computes with, and checkpoint.c writes and reads.
 */
#ifndef SFT_H
#define SFT_H

#include "model/adam.h"
#include "model/dataset.h"
#include "model/shares.h"
#include "model/transformer.h"

#define NEVER UINT64_MAX

struct sft {
    struct model *m;
    const struct dataset *d;
    struct sft_options o;
    const struct selfsim_target *target;
    size_t n_targets;
    uint64_t steps, data_hash, target_hash, start_hash; /* of what the run was started with */

    /* What a checkpoint holds. */
    uint64_t step, tokens;
    struct draw draw[TASKS];
    struct moments moments;
    uint64_t best_step; /* NEVER before the first validation */
    double best_loss;
    struct sft_log *log;
    size_t n_log, cap_log;

    struct spans spans; /* of m's parameters: what is trained */
    bool has_valid;     /* there are examples to validate with */

    /* Scratch. */
    struct shares shares;
    struct acts *acts;
    float *selfsim;
    const struct example **pick; /* examples of the step, or of the validation */
    size_t max_pick, micro;      /* micro: tokens that go through the model at once */
    size_t *cut;                 /* (max_pick + 1) micro-batch k is pick[cut[k]] … pick[cut[k+1] - 1] */
    int32_t *id, *target_id;
    uint32_t *start, *row;
    float *scale, *loss;
    enum sft_task *row_task;
};

/*
 * Puts the first n of pick through the model: the mean losses by task, and how many tokens that were (batch.c). With
 * backward their gradient becomes shares.grads[0]. SYSTEM.
 */
enum status batch_run(double mean[TASKS], uint64_t *tokens, struct sft *t, size_t n, bool backward, struct err *err);

/* Appends to the log. */
enum status sft_log_add(struct sft *t, const struct sft_log *l, struct err *err);
/* A line of the log from such fields. */
enum status sft_log_get(struct sft_log *l, const msgpack_object *map, struct err *err);

#endif
