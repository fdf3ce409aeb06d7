/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model - the Llama 3 architecture: checkpoints, forward and backward, losses, optimiser, decoding.
 *
 * Letters: V vocabulary, D hidden size, L layers, H query heads, G key/value heads, E head size, F feed-forward size, T tokens of
 * a batch (ragged: sequences lie behind each other, nothing is padded).
 */
#ifndef MODEL_H
#define MODEL_H

#include "num/num.h"
#include "stream/stream.h"

/* ---- config.json (config.c) ---- */

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

/* ---- parameters (params.c, safetensors.c, load.c) ---- */

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

/* All parameters are one block that a table cuts up: saving, the optimiser and gradients are each one loop over it. */
struct params {
    size_t count;
    float *block;
    size_t n_tensors;
    struct tensor *tensor; /* in the order of the block: embedding, layers, norm, head (unless tied) */
    void *base;            /* what the block was allocated as */
    float *embed;          /* (V, D) */
    struct model_layer *layer;
    float *norm; /* (D) */
    float *head; /* (V, D); == embed if tied */
};
/* Zeroed parameters of that shape (also used for gradients and moments). */
enum status params_new(struct params **out, const struct model_config *c, struct err *err);
void params_free(struct params *p);

struct model {
    struct model_config config;
    struct params *params;
};
/* The tensors of a model.safetensors of that shape; and written: float32, canonical, whole or not at all. */
enum status params_read(struct params **out, const struct model_config *c, const char *path, struct err *err);
enum status params_write(const char *path, const struct params *p, struct err *err);

/* A model with zeroed parameters. */
enum status model_new(struct model **out, const struct model_config *c, struct err *err);
/* Reads a Hugging Face folder (config.json, model.safetensors) whose tensors are float32, float16 or bfloat16. */
enum status model_load(struct model **out, const char *dir, struct err *err);
void model_free(struct model *m);
/* Writes DIR/model.safetensors, then DIR/config.json; makes DIR if it is not there (not its parents). A tied head is written once,
 * as the embedding. Each file is whole or absent. */
enum status model_save(const char *dir, const struct model_config *c, const struct params *p, struct err *err);

/* ---- forward (layers.c, transformer.c) ---- */

/* Cosines and sines (n, E/2) of the rotary embedding at positions from, from + 1, …, llama3's scaling included. */
void rope_table(float *cosine, float *sine, const struct model_config *c, size_t from, size_t n);

/* logits (T,V) of one sequence of T ids in 0 … V-1, without a cache: what cached decoding is compared with. SYSTEM; DATA for a bad id. */
enum status model_logits(float *logits, const struct model *m, const int32_t *ids, size_t T, struct err *err);

/* ---- files of a folder (load.c) ---- */

#define FOLDER_FILE_MAX ((size_t)256 << 20)
/* Makes dir; fine if it is there. NOCREATE. */
enum status folder_make(const char *dir, struct err *err);
/* Writes DIR/NAME, whole or not at all. */
enum status folder_write(const char *dir, const char *name, const void *bytes, size_t n, struct err *err);
/* Copies NAME between folders; OK without a copy if it is not in from. */
enum status folder_carry(const char *to, const char *from, const char *name, struct err *err);

#endif
