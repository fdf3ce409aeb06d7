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
/* DIR/config.json, every size bounded and checked against the others. */
enum status config_load(struct model_config *out, const char *dir, struct err *err);

/* ---- parameters (params.c, safetensors.c) ---- */

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
    float *embed; /* (V, D) */
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
/* Reads a Hugging Face folder (config.json, model.safetensors) whose tensors are float32, float16 or bfloat16. */
enum status model_load(struct model **out, const char *dir, struct err *err);
void model_free(struct model *m);

#endif
