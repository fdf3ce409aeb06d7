/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layers - the layers of the Llama architecture, each a pair of plain functions: outputs, inputs, sizes; no allocation,
 * no globals.
 *
 * Matrices are row-major with the shapes given; letters as in model.h. A backward function adds to the gradients of
 * what is shared (weights, the residual stream) and overwrites the others; which is said at each. Threads take chunks
 * of fixed size, and sums over chunks are joined in order: bits do not depend on how many threads there are. Arrays are
 * aligned to 64 bytes.
 */
#ifndef LAYERS_H
#define LAYERS_H

#include "model/model.h"

/*
 * What a product reads: float32, or bfloat16 where h is not NULL (f is then not looked at). Producers of such a matrix
 * take both: y is written in any case, h too if it is not NULL.
 */
struct operand {
    const float *f;
    bf16 *h;
};
/* Products of bfloat16 are over whole PADs of rows: a matrix (T, …) of which one reads or writes has room for these. */
#define PAD ((size_t)64)
static inline size_t
padded(size_t T)
{
    return (T + PAD - 1) / PAD * PAD;
}

/* y (T,D) = rows id of w (V,D). */
void embed_forward(float *y, const float *w, const int32_t *id, size_t T, size_t D);
/* dw (V,D) += dy (T,D) at rows id, those of row … row + rows - 1 alone. */
void embed_backward(float *dw, const float *dy, const int32_t *id, size_t T, size_t D, size_t row, size_t rows);

/* RMSNorm (Zhang and Sennrich 2019): y, h (T,D) = x * rstd * w, rstd (T) = 1 / sqrt(mean of x^2 + eps). */
void norm_forward(float *y, bf16 *h, float *rstd, const float *x, const float *w, double eps, size_t T, size_t D);
#define NORM_CHUNK 64
/* How many rows partial has below. */
size_t norm_partials(size_t T);
/* dx (T,D) +=, dw (D) += unless it is NULL; partial is scratch of (norm_partials(T), D). */
void norm_backward(float *dx, float *dw, float *partial, const float *dy, const float *x, const float *rstd,
    const float *w, size_t T, size_t D);

/* h (T,N) = y as bfloat16, by our threads. */
void half_rows(bf16 *h, const float *y, size_t T, size_t N);

/*
 * y (T,N) = beta y + x (T,K) w^T, w (N,K): the way linear layers are stored; beta is 0 or 1. m is for bfloat16 operands
 * (both or neither); their rows behind T are set to 0, and those of y are then overwritten.
 */
void linear_forward(
    float *y, struct operand x, struct operand w, size_t T, size_t N, size_t K, int beta, struct mul16 *m);
/* dx (T,K) = beta dx + dy w; dw (N,K) += dy^T x unless it is NULL. */
void linear_backward(float *dx, float *dw, struct operand dy, struct operand x, struct operand w, size_t T, size_t N,
    size_t K, int beta, struct mul16 *m);

/* ---- adapters (adapter.c) ---- */

#define ADAPTER_STREAM ((uint64_t)1 << 60) /* of random numbers, the first of them */
/* (T,R) each; the halves are NULL unless operands are of bfloat16. */
struct lora_scratch {
    size_t R;
    float *u, *du;
    bf16 *u16, *du16;
};
/* y (T,N) += LORA_SCALE (x A^T) B^T; a and b are w's as operands. */
void adapter_forward(float *y, struct lora_scratch *s, struct operand x, const struct adapter *w, struct operand a,
    struct operand b, size_t T, struct mul16 *m);
/* dx (T,K) += and dw's a and b +=. */
void adapter_backward(float *dx, struct adapter *dw, struct lora_scratch *s, struct operand dy, struct operand x,
    const struct adapter *w, struct operand a, struct operand b, size_t T, struct mul16 *m);

/*
 * Rotary embedding (Su et al. 2021) in Hugging Face's layout: element i of a head's first half turns with element i of
 * its second. x holds heads (of E) in the first `heads` of each row of ld floats; pos (T) are positions, cosine and
 * sine tables of (positions, E/2) by rope_table.
 */
void rope_forward(
    float *x, size_t ld, size_t heads, const float *cosine, const float *sine, const uint32_t *pos, size_t T, size_t E);
/* The inverse turn, of gradients, in place. */
void rope_backward(float *dx, size_t ld, size_t heads, const float *cosine, const float *sine, const uint32_t *pos,
    size_t T, size_t E);

/* SwiGLU (Shazeer 2020): y, h (T,F) = silu(gate) * up; gu (T,2F) holds gate, then up in each row. */
void swiglu_forward(float *y, bf16 *h, const float *gu, size_t T, size_t F);
/* dgu, h (T,2F) = the gradient; dgu may be gu itself. */
void swiglu_backward(float *dgu, bf16 *h, const float *dy, const float *gu, size_t T, size_t F);

/* ---- attention (attention.c) ---- */

/* Sequences behind each other: sequence s has the rows start[s] … start[s+1]-1. */
struct ragged {
    size_t n;
    const uint32_t *start; /* n + 1 */
    size_t longest;
};

/* Scratch of both below in floats, all threads together. */
size_t attention_scratch(const struct ragged *r, size_t E, int threads);

/*
 * Causal attention within each sequence, grouped queries (Ainslie et al. 2023): qkv (T, (H+2G)E) holds H queries, G
 * keys and G values in each row; y (T,HE); lse (T,H) is the log of each row's softmax sum, kept for the backward pass.
 */
void attention_forward(
    float *y, float *lse, float *scratch, const float *qkv, const struct ragged *r, size_t H, size_t G, size_t E);
/* dqkv (T, (H+2G)E) = the gradient, from dy and what the forward pass was given and gave. */
void attention_backward(float *dqkv, float *scratch, const float *dy, const float *lse, const float *qkv,
    const struct ragged *r, size_t H, size_t G, size_t E);

/* ---- losses (loss.c, selfsim.c) ---- */

/*
 * Softmax cross-entropy: logits (n,V) become their gradient, (softmax - one at target) * scale of the row; loss (n) is
 * -log softmax at target, without the scale.
 */
void cross_entropy(float *loss, float *logits, const int32_t *target, const float *scale, size_t n, size_t V);

/*
 * One modality's self-similarity: the mean over pairs i < j of |cos(c_i, c_j) - cos(e_i, e_j)| for the K rows of e
 * (K,D), whose centroids have the cosines c (K,K). e rows are read from embed at id (K); where dembed is not NULL,
 * scale times the gradient is added there. scratch: selfsim_scratch(K, D) floats. 0 for K < 2; rows of length 0 have
 * cosine 0 and no gradient.
 */
size_t selfsim_scratch(size_t K, size_t D);
double selfsim(float *dembed, float *scratch, const float *embed, const int32_t *id, const float *c, size_t K, size_t D,
    double scale);

#endif
