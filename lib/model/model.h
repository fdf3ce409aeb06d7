/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model - the Llama 3 architecture: checkpoints, forward and backward, losses, optimiser, decoding.
 *
 * Letters: V vocabulary, D hidden size, L layers, H query heads, G key/value heads, E head size, F feed-forward size, T
 * tokens of a batch (ragged: sequences lie behind each other, nothing is padded).
 */
#ifndef MODEL_H
#define MODEL_H

#include "music/music.h"
#include "num/num.h"
#include "stream/stream.h"

/* ---- the floats of files (dtype.c) ---- */

enum dtype { DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_OTHER };
/* Bytes of a number; its name in safetensors, "BF16"; and back: DTYPE_OTHER for any other name. */
size_t dtype_size(enum dtype t);
const char *dtype_name(enum dtype t);
enum dtype dtype_of(struct str name);
/* n numbers that lie at from, aligned to nothing, as float32: exact. Returns the index of the first that is not finite;
 * n if all are. */
size_t dtype_to_f32(float *out, const void *from, size_t n, enum dtype t);
/* The reverse, rounded to the nearest, ties to even; out is aligned to nothing. Returns the index of the first that is
 * not finite as t, n if all are. */
size_t dtype_from_f32(void *out, const float *x, size_t n, enum dtype t);

/* ---- config.json (config.c, configout.c) ---- */

#define MODEL_MAX_EOS 8
/* The largest sizes that are read; their products are checked besides. */
#define MODEL_MAX_V ((size_t)1 << 22)
#define MODEL_MAX_D ((size_t)1 << 15)
#define MODEL_MAX_L ((size_t)512)
#define MODEL_MAX_H ((size_t)512)
#define MODEL_MAX_E ((size_t)1024)
#define MODEL_MAX_F ((size_t)1 << 18)
#define MODEL_MAX_POSITIONS ((size_t)1 << 24)

struct model_config {
    size_t V, D, L, H, G, E, F;
    size_t max_positions;
    double norm_eps, rope_theta;
    bool rope_scaled; /* rope_scaling of type llama3 */
    double rope_factor, rope_low, rope_high;
    size_t rope_original;
    bool tied; /* lm_head is the embedding */
    int32_t bos, eos[MODEL_MAX_EOS];
    size_t n_eos;
};
/* DIR/config.json, every size bounded and checked against the others; bos is -1 where there is none. NOINPUT, DATA. */
enum status config_load(struct model_config *out, const char *dir, struct err *err);
/* The same of a file of any name, and of an object that was parsed already. */
enum status config_read(struct model_config *out, const char *path, struct err *err);
enum status config_parse(struct model_config *out, struct json object, struct err *err);
/* Appends c as config.json of transformers. */
enum status config_json(struct buf *out, const struct model_config *c, struct err *err);
/* Appends text, a config.json of the same model, with c's vocabulary size and the type t of its weights in place of its
 * own; every other key stays. */
enum status config_json_like(
    struct buf *out, struct str text, const struct model_config *c, enum dtype t, struct err *err);
/* Appends the generation_config.json that goes with it. */
enum status config_generation_json(struct buf *out, const struct model_config *c, struct err *err);
/* The same for tokenizer_config.json, without which transformers guesses the tokenizer's class from the architecture.
 * bos and eos are tokens' names; empty for none. */
enum status config_tokenizer_json(
    struct buf *out, const struct model_config *c, struct str bos, struct str eos, struct err *err);

/* ---- tensors where they lie (weights.c, shards.c, safetensors.c) ---- */

#define WEIGHT_MAX_DIMS 8
struct weight {
    const char *name, *file; /* file: within the folder */
    const char *type;        /* as the file names it */
    enum dtype dtype;        /* DTYPE_OTHER: no float that is read here */
    size_t dims, dim[WEIGHT_MAX_DIMS];
    size_t count, bytes;
    const unsigned char *p; /* aligned to nothing: read numbers by memcpy, or by dtype_to_f32 */
};
/*
 * The tensors of a model folder, mapped and read-only: model.safetensors, or the shards of its index. The files must
 * not be cut off as long as they are open (SIGBUS). NOINPUT, IO; DATA for anything that is not as it should be: see
 * safetensors.h; an index that leads out of the folder, or does not say what the shards hold.
 */
struct weights;
enum status weights_open(struct weights **out, const char *dir, struct err *err);
/* The same of one file of any name. */
enum status weights_open_file(struct weights **out, const char *path, struct err *err);
void weights_close(struct weights *w);
/* The files; the bytes of all data; and all tensors, *n of them, in the order of their names. */
size_t weights_files(const struct weights *w);
uint64_t weights_bytes(const struct weights *w);
const struct weight *weights_all(size_t *n, const struct weights *w);
/* One of them; NULL if it is not there. It lives until weights_close, as all its pointers do. */
const struct weight *weights_find(const struct weights *w, const char *name);
/* One that must be there, of floats, and of that shape (cols 0: a vector of rows): DATA. */
enum status weights_get(
    const struct weight **out, const struct weights *w, const char *name, size_t rows, size_t cols, struct err *err);
/* Its pages may go from memory until they are touched again. */
void weight_drop(const struct weight *t);
/* DATA if one of t's numbers is not finite. */
enum status weights_check(const struct weights *w, const struct weight *t, struct err *err);
/* One by weights_get as rows * cols float32 into out, by all threads: DATA, too, for a number that is not finite. */
enum status weights_read(
    float *out, const struct weights *w, const char *name, size_t rows, size_t cols, struct err *err);

/* ---- tensors out (safewrite.c) ---- */

/* Numbers of a tensor to be written, where they lie: aligned to nothing. */
struct piece {
    const void *p;
    enum dtype dtype;
    size_t count;
};
#define PIECES 3
/* A tensor is what its pieces hold, one behind the other. */
struct saved {
    const char *name;
    enum dtype dtype;  /* in the file */
    size_t rows, cols; /* cols 0: a vector of rows */
    size_t n;
    struct piece piece[PIECES];
};
#define SHARD_BYTES UINT64_C(5000000000) /* the largest file, as transformers has it */
#define SHARD_NAME 64
/*
 * Writes DIR/model.safetensors; or, where that would have more than shard bytes of data (a tensor alone may have more),
 * shards and their index. What another model left there is removed. Each file is whole or absent. Bytes of a piece that
 * has the file's type stay as they are. DATA where a number is too large for its type.
 */
enum status weights_write(const char *dir, const struct saved *t, size_t n, uint64_t shard, struct err *err);
/* How many files that makes, and the name of the i-th of n. */
size_t weights_shards(const struct saved *t, size_t n, uint64_t shard);
void weights_shard_name(char out[SHARD_NAME], size_t i, size_t n);

/* ---- parameters (params.c, load.c, save.c) ---- */

/* One of them, by the name that Hugging Face files give it. */
struct tensor {
    char name[96];
    size_t rows, cols, count; /* cols 0: a vector of rows */
    float *p;
    bool decay; /* weight decay applies: not to norms */
};

struct model_layer {
    float *attn_norm; /* (D) */
    float *wq;        /* (H*E, D) */
    float *wk, *wv;   /* (G*E, D) */
    float *wo;        /* (D, H*E) */
    float *ffn_norm;  /* (D) */
    float *w_gate;    /* (F, D) */
    float *w_up;      /* (F, D) */
    float *w_down;    /* (D, F) */
};

/* A low-rank addition to a linear layer (Hu et al. 2021, LoRA): y += LORA_SCALE (x A^T) B^T. */
#define LORA_SCALE 2.0F
struct adapter {
    size_t N, K;
    float *a; /* (R, K) */
    float *b; /* (N, R) */
};
/* Of what a layer computes as one product: queries, keys and values; gate and up. */
enum adapted { ADAPT_QKV, ADAPT_WO, ADAPT_GATE_UP, ADAPT_DOWN, ADAPTED };

/* All parameters are one block that a table cuts up: saving, the optimiser and gradients are each one loop over it. */
struct params {
    size_t count;
    float *block;
    size_t n_tensors;
    struct tensor *tensor; /* in the order of the block: embedding, layers, norm, head (unless tied) */
    void *base;            /* what the block was allocated as */
    bf16 *half;            /* the block as bfloat16, for products (params_half); else NULL */
    float *embed;          /* (V, D) */
    size_t n_layers;
    struct model_layer *layer;
    float *norm;             /* (D) */
    float *head;             /* (V, D); == embed if tied */
    size_t row, rows;        /* as gradients: of embedding and head what is wanted; all to begin with */
    size_t rank;             /* of adapters; 0 for none */
    struct adapter *adapter; /* (L, ADAPTED), in the block behind the tensors of the table */
};
/* How many there are; SIZE_MAX if no size_t can tell. */
size_t params_count(const struct model_config *c);
/* Names and shapes alone, p NULL, as struct params has them; the caller frees the list. */
enum status params_list(struct tensor **out, size_t *n, const struct model_config *c, struct err *err);
/* Zeroed parameters of that shape (also used for gradients), with adapters of that rank. */
enum status params_new(struct params **out, const struct model_config *c, size_t rank, struct err *err);
void params_free(struct params *p);
/*
 * Gradients of the given rows of embedding and head alone, and of adapters: the pointers of all others become NULL.
 * Their memory is never touched, and so costs nothing.
 */
void grads_freeze(struct params *grads, size_t row, size_t rows);
/* A copy with adapters that change nothing yet: A is drawn, uniform in ±1/sqrt(K), B is 0. SYSTEM. */
enum status params_adapt(struct params **out, const struct params *p, const struct model_config *c, size_t rank,
    uint64_t seed, struct err *err);
/* A copy without adapters, into which those of p are added. SYSTEM. */
enum status params_merge(struct params **out, const struct params *p, const struct model_config *c, struct err *err);
/* Makes p->half, and brings it up to date. SYSTEM. */
enum status params_half(struct params *p, struct err *err);

struct model {
    struct model_config config;
    struct params *params;
};
/* Those of one file of that shape; and written: float32, canonical, whole or not at all. */
enum status params_read(struct params **out, const struct model_config *c, const char *path, struct err *err);
enum status params_write(const char *path, const struct params *p, struct err *err);

/* A model with zeroed parameters. */
enum status model_new(struct model **out, const struct model_config *c, struct err *err);
/* Reads a Hugging Face folder (config.json; model.safetensors, or shards) whose tensors are float32, float16 or
 * bfloat16. Where the head is tied, a head in the files is not looked at, as in transformers. */
enum status model_load(struct model **out, const char *dir, struct err *err);
void model_free(struct model *m);
struct save_options {
    enum dtype dtype;
    uint64_t shard;   /* weights_write */
    const char *like; /* a folder whose config.json has keys that are to stay, or NULL */
};
/* Writes the weights, then DIR/config.json; makes DIR if it is not there (not its parents). A tied head is written
 * once, as the embedding. Each file is whole or absent. */
enum status model_save_as(const char *dir, const struct model_config *c, const struct params *p,
    const struct save_options *o, struct err *err);
/* How many files of weights that makes; 0 without memory. */
size_t params_shards(const struct params *p, enum dtype t, uint64_t shard);
/* model_save_as float32, in the sizes of transformers, with a config.json of our own. */
enum status model_save(const char *dir, const struct model_config *c, const struct params *p, struct err *err);
/* config.json alone, for weights of type t. */
enum status config_save(const char *dir, const struct model_config *c, const char *like, enum dtype t, struct err *err);

/* ---- forward (layers.c, transformer.c) ---- */

/* Cosines and sines (n, E/2) of the rotary embedding at positions from, from + 1, …, llama3's scaling included. */
void rope_table(float *cosine, float *sine, const struct model_config *c, size_t from, size_t n);

/* logits (T,V) of one sequence of T ids in 0 … V-1, without a cache: what cached decoding is compared with. SYSTEM;
 * DATA for a bad id. */
enum status model_logits(float *logits, const struct model *m, const int32_t *ids, size_t T, struct err *err);

/* ---- tokens by name (added.c) ---- */

/* The ids of n names among the added_tokens of DIR/tokenizer.json: NOINPUT; DATA naming the first that is not there. */
enum status added_tokens_find(int32_t *id, const char *dir, const struct str *name, size_t n, struct err *err);
/* The rows of the music tokens, which lie behind each other from <|playlist-0|> to <end_of_music>; DATA if one is none
 * of V. */
enum status added_tokens_music(size_t *row, size_t *rows, const char *dir, size_t V, struct err *err);

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

/* Before the work, in process 0: makes k->save with trained.ids and the files of the folder from that go along, and
 * sees to kept_room. USAGE where both folders are one. */
enum status result_begin(const struct kept *k, const char *from, const struct dataset *d, bool all, struct err *err);
/* After it: saves the model of lowest validation loss, of that step, and forgets what need not be kept. */
enum status result_end(
    uint64_t *step, const struct kept *k, const struct sft *t, const struct save_options *o, struct err *err);

/* ---- beginnings (init.c) ---- */

/*
 * Weights at random: normal of deviation std, those that add to the residual stream divided by sqrt(2 L) (Radford et
 * al. 2019); norms 1.
 */
void init_random(struct model *m, uint64_t seed, double std);
/*
 * The model of a folder with n tokens behind its vocabulary of first tokens, as tensors to be written. New rows of
 * embedding and head are drawn from the normal distribution with the mean of the first rows and their covariance times
 * scale (Hewitt 2021); all others lie in the folder's files, which stay open. The embedding keeps its rows if it has
 * more than first + n.
 */
struct extension {
    struct weights *base;
    struct model_config base_config, config; /* as it was, and with the new tokens */
    size_t first, n, n_tensors;
    float *embed, *head;  /* (n, D) new rows; head is NULL where it is tied */
    struct tensor *table; /* names and shapes as they were */
    struct saved *tensor; /* (n_tensors) what is to be written, borrowed from all of these */
    enum dtype dtype;     /* of the embedding there */
};
/* dtype: what all tensors are written as; DTYPE_OTHER: each as it is. NOINPUT, IO, SYSTEM; DATA for a folder that is
 * none, a number that is not finite, and an embedding with fewer rows than first. */
enum status init_extend(struct extension **out, const char *dir, size_t first, size_t n, uint64_t seed, double scale,
    enum dtype dtype, struct err *err);
void extension_free(struct extension *x);

/* ---- a folder that comes whole or not at all (draft.c) ---- */

struct draft {
    const char *to;        /* borrowed */
    struct buf dir, names; /* where it is built, a string; and the strings of what may lie in it */
};
/* Makes the folder TO.newPID. NOCREATE. */
enum status draft_begin(struct draft *d, const char *to, struct err *err);
/* Before a file of that name is written into d->dir.p. */
enum status draft_name(struct draft *d, const char *name, struct err *err);
/* Renames it. NOCREATE where something other than an empty folder is there. Whatever fails: end the program by cli_die,
 * which removes what is named. */
enum status draft_end(struct draft *d, struct err *err);
void draft_fini(struct draft *d);

/* ---- files of a folder (folder.c) ---- */

#define FOLDER_FILE_MAX ((size_t)256 << 20)
/* Makes dir; fine if it is there. NOCREATE. */
enum status folder_make(const char *dir, struct err *err);
/* NOCREATE, with both numbers, where less than bytes is free on the disk of dir. */
enum status folder_room(const char *dir, uint64_t bytes, struct err *err);
/* Writes DIR/NAME, whole or not at all. */
enum status folder_write(const char *dir, const char *name, const void *bytes, size_t n, struct err *err);
/* Whether DIR/NAME is there (NAME alone if dir is NULL), and whether two paths are one folder. */
bool folder_has(const char *dir, const char *name);
bool folder_same(const char *a, const char *b);
/* Copies NAME between folders; OK without a copy if it is not in from. */
enum status folder_carry(const char *to, const char *from, const char *name, struct err *err);
/* Names of all that is carried from model to model besides configuration and weights; NULL behind the last. */
extern const char *const folder_files[];
/* Carries those that are in from and not in to. */
enum status folder_carry_rest(const char *to, const char *from, struct err *err);

/* ---- for llama.cpp (export.c, gguf.c, ggufvocab.c) ---- */

enum gguf_as { GGUF_AS_IT_IS, GGUF_AS_F32, GGUF_AS_F16, GGUF_AS_BF16, GGUF_AS_Q8 };
/*
 * Writes the model and tokenizer of folder DIR as one GGUF file, whole or not at all. Matrices get the type of as
 * (float32 where a row is not whole blocks of Q8_0), vectors are float32. add_bos: a text begins with c's bos. NOINPUT,
 * NOCREATE, IO, SYSTEM; DATA for a number that is not finite, or a tokenizer that llama.cpp does not know.
 */
enum status model_export_gguf(const char *path, const char *dir, const struct model_config *c, const struct weights *w,
    enum gguf_as as, bool add_bos, struct err *err);

/* ---- looking at a model (info.c) ---- */

#define CHECKSUM 65 /* SHA-256 as text, with the terminator */
/*
 * SHA-256 of the bytes of each tensor, in the order of weights_all; and of all of them, which does not depend on how
 * they are dealt to files: that of the lines "NAME TYPE [ROWS,COLS] CHECKSUM", in that order. SYSTEM.
 */
enum status weights_checksums(char (*each)[CHECKSUM], char all[CHECKSUM], const struct weights *w, struct err *err);
/*
 * Over all pairs of t's tokens: the mean absolute difference between the cosine of two embeddings and that of what they
 * stand for, which is the self-similarity loss; and the correlation of the two. 0 where there are no pairs, or nothing
 * varies. SYSTEM, DATA.
 */
enum status selfsim_measure(double *difference, double *correlation, const struct selfsim_target *t,
    const struct weights *w, const struct model_config *c, struct err *err);

/* ---- decoding (decoder.c, decode.c, cache.c, prefix.c, prefill.c, attend.c) ----
 *
 * A decoder is a model made ready: it borrows the model or the mapped weights, which must not change. The keys and
 * values of a prompt are a cache; those of what is generated after it a tail, of which many may share one cache.
 * Nothing computed for one sequence depends on the others of a batch or on the number of threads. */
struct decoder;
struct cache;
struct tail;
/*
 * Packs the matrices as packing says: 4, 2 or 1.125 bytes a parameter; PACK_F32 keeps what a file has as bfloat16 as
 * PACK_WIDE. decoder_open packs from the files of a folder, which must stay open. SYSTEM; DATA for a tensor that is
 * missing, of another shape, or has a number that is not finite.
 */
enum status decoder_new(struct decoder **out, const struct model *m, enum packing packing, struct err *err);
enum status decoder_open(
    struct decoder **out, const struct model_config *c, const struct weights *w, enum packing packing, struct err *err);
void decoder_free(struct decoder *d);
/* Room for capacity tokens. */
enum status cache_new(struct cache **out, const struct decoder *d, size_t capacity, struct err *err);
void cache_free(struct cache *a);
size_t cache_tokens(const struct cache *a);
enum status tail_new(struct tail **out, const struct decoder *d, size_t capacity, struct err *err);
void tail_free(struct tail *t);
/* to becomes a copy of from, which must fit. */
void tail_copy(struct tail *to, const struct tail *from, const struct decoder *d);

/* A sequence of token ids. */
struct id_span {
    const int32_t *ids;
    size_t n;
};
/* Caches that the decoder owns: what a later prompt begins with is copied from them and not computed again, also after
 * decoder_return, until their memory is wanted (prefix.c). decoder_lend gives an empty one. SYSTEM. */
enum status decoder_lend(struct cache **out, struct decoder *d, size_t capacity, struct err *err);
void decoder_return(struct decoder *d, struct cache *a);

/* Tokens, at least one, to be appended to a tail that follows a cache. */
struct sequence {
    struct cache *cache;
    struct tail *tail;
    struct id_span more;
    bool each; /* logits are wanted after each token, not after the last alone */
};
/* What goes through the network together. */
struct pass {
    /* Prompts of 1 … max_positions tokens that are below V, into empty caches that have room for them. */
    size_t n_prompts;
    struct cache *const *caches;
    const struct id_span *prompts;
    /* Those of one cache beside each other; the cache is filled, or a prompt of this pass fills it. */
    size_t n_seqs;
    const struct sequence *seqs;
};
/*
 * One pass. What several prompts begin with, and what a cache of the decoder's begins with, is not computed again.
 * logits (rows, V): one after each prompt, then those of the sequences, in order. SYSTEM.
 */
enum status decoder_pass(float *logits, struct decoder *d, const struct pass *pass, struct err *err);
/* Prompts alone, and sequences alone. */
enum status decoder_prompts(float *logits, struct decoder *d, struct cache *const *caches,
    const struct id_span *prompts, size_t n, struct err *err);
enum status decoder_extend(float *logits, struct decoder *d, const struct sequence *seqs, size_t n, struct err *err);

/* ---- drawing a token (sample.c) ---- */

struct draw_options {
    double temperature, top_p, penalty; /* above 0; in (0, 1]; above 0, 1 for none */
    bool greedy;                        /* the likeliest token; penalty and masks hold */
};
struct sampler; /* scratch memory of one thread */
enum status sampler_new(struct sampler **out, size_t V, struct err *err);
void sampler_free(struct sampler *s);
/*
 * Draws from logits (V) one token whose allowed[] is not 0 (NULL: any). The penalty is for the tokens of before and
 * after. Uses one number of rng, none if greedy. DATA where nothing is allowed or nothing is finite.
 */
enum status sampler_draw(int32_t *token, struct sampler *s, const float *logits, const uint8_t *allowed,
    struct id_span before, struct id_span after, const struct draw_options *o, struct rng *rng, struct err *err);

/* ---- a catalogue of blocks (trie.c) ---- */

#define GRAMMAR_MAX_SLOTS 16
/* The music tokens of a track. */
struct tuple {
    size_t n; /* 1 … GRAMMAR_MAX_SLOTS */
    int32_t token[GRAMMAR_MAX_SLOTS];
};
/* The distinct tuples of n tracks as a prefix tree. of[i] becomes the number of the tuple of track i. SYSTEM. */
struct trie;
enum status trie_new(struct trie **out, uint32_t *of, const struct tuple *tracks, size_t n, struct err *err);
void trie_free(struct trie *t);
size_t trie_tuples(const struct trie *t);

/* ---- music and words (grammar.c, prompt.c, generate.c, and the ways of block.h) ---- */

#define GRAMMAR_NEVER 255
/* A block: start, then a token of at least one slot, slots in order and each at most once, then end. */
struct grammar {
    int32_t start, end;
    size_t n_slots;
    /* (V) 1 + the slot that a token is of; GRAMMAR_NEVER for music that is no slot; 0 for others, start and end too */
    uint8_t *slot;
};
struct generate_options {
    struct draw_options draw;
    uint64_t seed;
    const struct grammar *grammar; /* NULL: text alone, nothing masked */
    size_t samples, beams;         /* beams 0: samples; else samples is not looked at */
    const struct trie *trie;       /* not NULL: the best of its tuples, and neither samples nor beams */
    size_t top, max_expand;        /* how many tracks; prefixes to expand, at most (0: all it takes) */
    size_t max_tokens;             /* of the words; 0 for none */
    bool masked;
    bool decide; /* the model's first token decides whether there is music; else there is */
};
/* tokens behind start: of slots, then end; a malformed one (never if masked) has whatever was drawn. */
struct candidate {
    double logprob; /* natural logarithm of the unmasked probability at temperature 1 of all its tokens */
    size_t n;
    int32_t *token;
    bool malformed;
    size_t tracks; /* of the trie that have this tuple; 0 without one */
};
struct generation {
    bool done;
    /* Best first. None if the model decided so, without a grammar, or where every track of the trie was dropped. */
    size_t n_candidates;
    struct candidate *candidate;
    bool exact; /* of a trie: whether the search ended by itself */
    size_t expansions;
    double seconds; /* from when it was taken in until its candidates were known */
    size_t n_words;
    int32_t *word; /* without the token that ended them */
};
void generation_fini(struct generation *g);
struct request {
    struct id_span prompt; /* 1 … generate_room tokens below V */
    struct str id;         /* draws come from (seed, id) */
    /* Of a trie: the tuples of tracks that are not to be recommended, one a track. */
    const uint32_t *dropped;
    size_t n_dropped;
};
/* The longest prompt behind which there is room for a block (for one token without a grammar); 0 if there is none at
 * all. */
size_t generate_room(const struct model_config *c, const struct generate_options *o);
/* The ids of a record as a prompt: *n of them in *ids, at least 1 and at most room, each below V; the caller frees
 * *ids, also on failure. DATA, SYSTEM. */
enum status prompt_ids(
    int32_t **ids, size_t *n, const msgpack_object *map, size_t room, const struct model_config *c, struct err *err);
/*
 * Requests on their way: first the block, by samples, by beams or from a trie, then words after the first candidate,
 * until an end of the model's or max_tokens or its last position. Each goes through the network at its own pace, all
 * that are there in one pass; what comes out for one does not depend on the others. Everything is borrowed.
 *
 *     while (requests are left or some are not done) {
 *         while (requests are left && generator_places(g) > 0)
 *             generator_add(g, request, &generation);      its done is false until it is
 *         generator_pass(g);
 *     }
 */
struct generator;
enum status generator_new(struct generator **out, struct decoder *d, const struct generate_options *o, struct err *err);
void generator_free(struct generator *g);
/* How many requests may be added now; at first as many as memory allows, at least 1. */
size_t generator_places(const struct generator *g);
/* out is filled by and by, to be freed by generation_fini once it is done; request may go then. SYSTEM. */
enum status generator_add(struct generator *g, const struct request *request, struct generation *out, struct err *err);
/* One pass of the network for all that are there. SYSTEM; DATA as sampler_draw: then nothing but generator_free may
 * follow, and each generation is still to be freed. */
enum status generator_pass(struct generator *g, struct err *err);
/* The whole of it for n requests. out is filled, or all of it freed on failure. */
enum status generate(struct generation *out, struct decoder *d, const struct request *requests, size_t n,
    const struct generate_options *o, struct err *err);

/* ---- the tracks of a catalogue (tracks.c), and answers as records (answer.c) ---- */

struct bpe;          /* text/text.h */
struct music_tokens; /* the same */
/* Item records and their tuples of the model's tokens. NOINPUT, SYSTEM; DATA where there is no track, or one has a code
 * without a token. */
struct tracks;
enum status tracks_load(struct tracks **out, const char *path, const struct music_tokens *music, struct err *err);
void tracks_free(struct tracks *t);
/* Lives as long as t; NULL without t. */
const struct trie *tracks_trie(const struct tracks *t);
/* The tuples, *n of them, of the tracks that are in the history of a record; the caller frees *tuples, also on failure.
 * DATA, SYSTEM. */
enum status tracks_history(
    uint32_t **tuples, size_t *n, const struct tracks *t, const msgpack_object *map, struct err *err);

/* How a generation becomes a record. */
struct answer {
    const struct bpe *bpe;            /* NULL: the words are ids alone */
    const struct music_tokens *music; /* what the candidates' tokens mean */
    bool constrained, words;          /* whether a trie was searched, and whether words were asked for */
};
/* Writes the generation record of x, with what it carries of its prompt's. DATA as rec_end; IO, SYSTEM. */
enum status answer_put(struct rec_writer *w, const msgpack_object *prompt, const struct generation *x,
    const struct answer *a, struct err *err);

#endif
