/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model - the Llama 3 architecture: configuration, parameters, loading and saving, beginnings, the forward pass. The
 * rest of the room: weights.h (files), train.h (fine-tuning), generate.h (decoding).
 *
 * Letters: V vocabulary, D hidden size, L layers, H query heads, G key/value heads, E head size, F feed-forward size, T
 * tokens of a batch (ragged: sequences lie behind each other, nothing is padded).
 */
#ifndef MODEL_H
#define MODEL_H

#include "model/weights.h"

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
/* Puts the eos_token_id of DIR/generation_config.json, where it has one, in the place of c's: the ids that end what
 * transformers generates. OK where there is no such file; DATA. */
enum status config_load_ends(struct model_config *c, const char *dir, struct err *err);
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

/* Where a tokenizer (its file, or the folder it is in) has Llama 3's special tokens, its ids are the configuration's
 * (special.c). Errors of bpe_load. */
enum status special_find(struct model_config *c, const char *tokenizer, struct err *err);
/* Writes DIR/tokenizer_config.json of a model whose tokenizer.json stands there. Errors of bpe_load; NOCREATE, IO. */
enum status special_write(const char *dir, const struct model_config *c, struct err *err);

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

#endif
