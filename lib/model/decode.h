/* SPDX-License-Identifier: Apache-2.0 */
/* decode - what the files of decoding share: the caches and one pass of the network over rows. Private to lib/model. */
#ifndef DECODE_H
#define DECODE_H

#include "model/generate.h"

/* Keys and values of a prompt: keys transposed, (L, G, E, cap), values (L, G, cap, P), P being E in whole vectors. */
struct cache {
    size_t n, cap; /* tokens held, and room for; cap in whole vectors */
    int32_t *ids;  /* (cap): which tokens */
    float *k, *v;
    bool lent;     /* of a decoder's own: whether somebody has it */
    uint64_t used; /* of a decoder's own: when it was of use last */
};

/*
 * Keys and values of what follows a prompt: (L, G, 2, cap, E), so that a head reads one block from end to end. With
 * weights of bfloat16, whose products round what they are given, they are bfloat16 too: of many sequences they are as
 * many bytes as the weights.
 */
struct tail {
    size_t n, cap;
    unsigned char *kv;
};

#define VECTOR 16 /* caches are laid out in whole vectors of so many floats */

/* The caches that a decoder owns, lent or kept for what later prompts begin with. */
struct prefixes {
    struct cache **cache;
    size_t n, cap;
    uint64_t clock;
};

struct packed_layer {
    float *attn_norm, *ffn_norm;          /* (D) */
    struct packed qkv, wo, gate_up, down; /* queries, keys and values; gate and up: rows behind each other */
};

struct decoder {
    struct model_config config;
    size_t P;             /* E, rounded up to whole vectors */
    bool half;            /* tails are of bfloat16, else of float */
    struct weight embed;  /* (V, D), where it lies */
    unsigned char *block; /* of which the next three have pieces */
    struct packed_layer *layer;
    float *norm; /* (D) */
    struct packed head;
    float *cos, *sin; /* (turns, E/2): of as many positions as were needed so far */
    size_t turns;
    struct prefixes prefixes;
};

/* One token on its way through the network. */
struct row {
    int32_t token;
    size_t position;
    struct cache *cache;
    size_t n_cache; /* positions of cache that it sees; its own is the last of them if tail is NULL */
    struct tail *tail;
    size_t n_tail; /* positions of tail that it sees, its own the last */
};

/* The first n positions of from are also those of to. */
struct share {
    struct cache *to;
    const struct cache *from;
    size_t n;
};

/* The keys (cap, E) of key/value head g in layer l; values: its values. */
void *tail_of(const struct tail *t, const struct decoder *d, size_t l, size_t g, bool values);

/*
 * Passes rows through the network, filling their caches, and what is shared after them, in the order given. Rows of one
 * cache stand together. logits (n_last, V) are those of the rows numbered last[].
 */
enum status decoder_rows(float *logits, struct decoder *d, const struct row *rows, size_t n, const struct share *shares,
    size_t n_shares, const size_t *last, size_t n_last, struct err *err);

/* How many tokens two sequences begin with alike. */
size_t ids_common(const int32_t *a, size_t n, const int32_t *b, size_t m);
/* The cache of the decoder's own that begins with most of the first n ids; NULL if none begins with any. */
const struct cache *prefix_find(size_t *shared, struct decoder *d, const int32_t *ids, size_t n);
void prefixes_fini(struct decoder *d);

/* Positions 0 … n-1 of layer l of to become those of from. */
void cache_copy(struct cache *to, const struct cache *from, size_t n, size_t l, const struct decoder *d);

/*
 * Attention (attend.c): A (n, H*E) of queries Q (n, H*E), ldq floats from row to row, after the rotary embedding, in
 * layer l. SYSTEM.
 */
enum status attend(float *A, const float *Q, size_t ldq, const struct decoder *d, size_t l, const struct row *rows,
    size_t n, struct err *err);

#endif
