/* SPDX-License-Identifier: Apache-2.0 */
/*
 * train - fine-tuning: examples, self-similarity, the run, what it keeps.
 */
#ifndef TRAIN_H
#define TRAIN_H

#include "model/model.h"
#include "music/music.h"

/* ---- fine-tuning: data (dataset.c) ---- */

/*
 * Examples in memory: 5 bytes a token and about 100 bytes an example. labels[i] is the token that position i should
 * have been predicted to be (equal to ids[i]) or -100 where nothing is learnt: the shift by one is made here, as in
 * transformers.
 */
struct dataset;
enum sft_task { TASK_DIALOG, TASK_PLAYLIST, TASKS };
/* c bounds ids and lengths. */
enum status dataset_new(struct dataset **out, const struct model_config *c, struct err *err);
void dataset_free(struct dataset *d);
/* One example record; split valid is kept apart, split test is refused, none means train. DATA. */
enum status dataset_add(struct dataset *d, const msgpack_object *map, struct err *err);
/* After the last: puts examples into the order of their ids, so that the order in which they came does not matter. DATA
 * if an id comes twice or nothing is there to train on. */
enum status dataset_close(struct dataset *d, struct err *err);
/* In a team of processes (num.h): what process 0 has closed becomes that of all, whose d are new. SYSTEM. */
enum status dataset_share(struct dataset *d, struct err *err);
/* Appends the ids of what is trained on (dialog_id or playlist_id where the record has one, else
 * example_id without its /VERSION), sorted, each once, one a line. */
enum status dataset_trained(struct buf *out, const struct dataset *d, struct err *err);

/* ---- fine-tuning: the run (sft.c, adam.c, checkpoint.c) ---- */

enum decay { DECAY_COSINE, DECAY_LINEAR, DECAY_CONSTANT };

/* What is trained: all; the rows of the music tokens in embedding and head; these and adapters. */
enum train { TRAIN_ALL, TRAIN_NEW_ROWS, TRAIN_LORA };

struct sft_options {
    uint64_t seed;
    enum train train;
    uint64_t rank;    /* of adapters that m->params have, with TRAIN_LORA */
    size_t row, rows; /* unless TRAIN_ALL: the rows of the music tokens */
    uint64_t steps;   /* 0: as many as epochs times the training examples fill */
    double epochs;
    uint64_t batch, batch_tokens;      /* examples a step; or tokens a step where that is not 0 */
    uint64_t micro_tokens;             /* that go through the model at once; at least those of the longest example */
    uint64_t shares;                   /* 1 … 64, that a step's gradient is the sum of; at least one a process */
    double mix;                        /* share of dialogues in a batch */
    double rate;                       /* peak learning rate */
    uint64_t warmup;                   /* steps from 0 to rate, linear */
    enum decay decay;                  /* from there to 0 at the last step */
    double weight_decay, beta1, beta2; /* AdamW */
    double clip;                       /* of the gradient's norm; 0 for none */
    double lambda;                     /* weight of the self-similarity loss */
    uint64_t valid_every;              /* steps */
    uint64_t valid_max;                /* examples of a task in a validation, about; 0 for all */
    bool half;                         /* products of bfloat16 */
    bool half_moments;                 /* moments of bfloat16 */
    bool recompute;                    /* activations are computed again for the backward pass: less memory */
};

/* Sets train and rank from "all", "new-rows" or "lora:R" (trained.c). USAGE. */
enum status trained_parse(struct sft_options *o, const char *what, struct err *err);
/* Finds the rows of the music tokens by DIR/tokenizer.json, and gives m adapters, drawn from o->seed, where o asks for
 * them. NOINPUT, DATA, SYSTEM. */
enum status trained_adapt(struct model *m, struct sft_options *o, const char *dir, struct err *err);

/* Tokens of one modality and the cosines (K,K) of what they stand for; both borrowed by sft_new. */
struct selfsim_target {
    size_t K;
    int32_t *id;
    float *cosine;
    enum modality modality;
};

/*
 * Those of the modalities that have centroids in the files, *n of them, their tokens found in DIR/tokenizer.json and
 * below V; target is zeroed before, and freed by selfsim_targets_fini whatever comes of it. modality: see music.h.
 */
enum status selfsim_targets(struct selfsim_target target[MODALITIES], size_t *n, const struct opt_list *files,
    const char *dir, size_t V, struct err *err);
void selfsim_targets_fini(struct selfsim_target target[MODALITIES]);
/*
 * Over all pairs of t's tokens: the mean absolute difference between the cosine of two embeddings and that of what they
 * stand for, which is the self-similarity loss; and the correlation of the two. 0 where there are no pairs, or nothing
 * varies. SYSTEM, DATA.
 */
enum status selfsim_measure(double *difference, double *correlation, const struct selfsim_target *t,
    const struct weights *w, const struct model_config *c, struct err *err);

/* A line of the log. */
struct sft_log {
    uint64_t step;
    bool valid;
    double loss, task[TASKS], selfsim; /* loss = task[0] + task[1] + lambda selfsim */
    double rate, norm;                 /* norm: of the gradient before clipping; 0 for valid */
    uint64_t tokens;                   /* that went through the model in this step, or in this validation */
};
/* As fields of a record or map that the caller has begun. */
void sft_log_put(struct rec_writer *w, const struct sft_log *l);

struct sft;
/*
 * Everything but m is borrowed too; m->params are what is trained. Memory: 4 bytes a parameter, 2 more with products of
 * bfloat16; 12 one that is trained (gradient, two moments), 8 with moments of bfloat16, and 4 more where a step is of
 * several micro-batches and several shares; and the activations of a micro-batch. In a team of processes (num.h) all
 * make the same calls, with the same arguments.
 */
enum status sft_new(struct sft **out, struct model *m, const struct dataset *d, const struct sft_options *o,
    const struct selfsim_target *target, size_t n_targets, struct err *err);
void sft_free(struct sft *t);
uint64_t sft_step_count(const struct sft *t); /* done */
uint64_t sft_step_total(const struct sft *t);
/* One optimiser step. DATA where the loss is not finite. */
enum status sft_step(struct sft *t, struct err *err);
/* Whether validation is due after the step just done; it is never if there is nothing to validate with. */
bool sft_valid_due(const struct sft *t);
/* Validates. Where that was the best so far, sft_best_step is the step just done: its weights are to be kept now. */
enum status sft_validate(struct sft *t, struct err *err);
/* The step of lowest validation loss; false before the first validation. */
bool sft_best_step(uint64_t *step, const struct sft *t);
/* All lines so far, those before a resume included. */
const struct sft_log *sft_log(size_t *n, const struct sft *t);

/* Whether all processes of a team run the same: DATA, saying which does not, where model, data or options differ. */
enum status sft_agree(const struct sft *t, struct err *err);
/* Writes all that sft_resume needs as a stream of records, replacing path whole. */
enum status sft_checkpoint(const char *path, const struct sft *t, struct err *err);
/* Puts t, fresh from sft_new, where the checkpoint was. DATA naming what differs if data, options, seed or starting
 * model are others. */
enum status sft_resume(struct sft *t, const char *path, struct err *err);

/* ---- fine-tuning: what a run keeps (kept.c) ---- */

/*
 * Checkpoints, and the weights of lowest validation loss so far: files CHECKPOINT.best-STEP, or SAVE/model.best-STEP
 * where there are no checkpoints. All is borrowed but prefix. In a team of processes all make these calls as far as
 * kept_validate, and process 0 writes.
 */
struct kept {
    const char *save, *checkpoint; /* folder of the result; NULL for no checkpoints */
    const struct model *m;         /* that is trained */
    struct buf prefix;
    uint64_t named; /* the step of the best weights that the checkpoint on disk names */
};
enum status kept_init(struct kept *k, const char *save, const char *checkpoint, const struct model *m, struct err *err);
void kept_fini(struct kept *k);
/* NOCREATE where the result, the best weights and a checkpoint (of all parameters or of few) have no room on disk, the
 * latter two twice, as they are when replaced. */
enum status kept_room(const struct kept *k, bool all, struct err *err);
/* A fresh t to where the checkpoint was, if there is one and resume is true; else old files of best weights go. What
 * killed runs left half written goes always. DATA, too, where the weights that the checkpoint names are not there. */
enum status kept_begin(struct kept *k, struct sft *t, bool resume, struct err *err);
/* After a step: validates if that is due, and keeps the weights if they are the best so far, adapters merged. */
enum status kept_validate(const struct kept *k, struct sft *t, struct err *err);
/* Writes a checkpoint; of best weights those that it names stay. */
enum status kept_checkpoint(struct kept *k, const struct sft *t, struct err *err);
/* The weights of lowest validation loss, or the last where nothing was validated, and their step: for kept_release. */
enum status kept_result(
    struct params **out, uint64_t *step, const struct kept *k, const struct sft *t, struct err *err);
void kept_release(const struct kept *k, struct params *p);
/* When the result is saved: without checkpoints the files of best weights go. */
enum status kept_end(const struct kept *k, struct err *err);

/* ---- fine-tuning: what a run leaves (result.c) ---- */

/* Before the work, in process 0: makes k->save and sees to kept_room. USAGE where it is the folder from. */
enum status result_begin(const struct kept *k, const char *from, bool all, struct err *err);
/* After it: saves the model of lowest validation loss, of that step, with trained.ids and the files of o->like that go
 * along, and no other of that name; forgets what need not be kept. */
enum status result_end(uint64_t *step, const struct kept *k, const struct sft *t, const struct dataset *d,
    const struct save_options *o, struct err *err);

#endif
