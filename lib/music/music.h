/* SPDX-License-Identifier: Apache-2.0 */
/*
 * music - modalities, music tokens, codebooks, items, matching (Doh, Choi, Nam 2025, §4.1 and §4.4).
 */
#ifndef MUSIC_H
#define MUSIC_H

#include "num/num.h"
#include "stream/stream.h"

/* ---- modalities (modality.c): this order is the order of tokens, weights and everything else ---- */

enum modality { PLAYLIST, SEMANTIC, METADATA, LYRICS, AUDIO, MODALITIES };

extern const char *const modality_name[MODALITIES];
extern const double modality_weight[MODALITIES]; /* 25 16 9 4 1: §4.4, Table … of the paper */
/* -1 if there is none of that name. */
int modality_find(struct str name);

/* The codes of a track: one a modality, CODE_NONE where it has none. */
#define CODE_NONE (-1)
struct codes {
    int32_t code[MODALITIES];
};
#define CODE_MAX 65535 /* the largest index of a centroid */
bool codes_equal(const struct codes *a, const struct codes *b);
/* {playlist: 53, …} at key of map; at least one code. Unknown names and codes above CODE_MAX are DATA. */
enum status codes_get(struct codes *out, const msgpack_object *map, const char *key, struct err *err);
void codes_put(struct rec_writer *w, const char *key, const struct codes *codes);

/* ---- music tokens as text (token.c) ---- */

#define MUSIC_START "<start_of_music>"
#define MUSIC_END "<end_of_music>"
/* "<|playlist-53|>" into out, terminated; returns its length. */
size_t token_name(char out[32], enum modality m, int32_t code);
/* Reads such a name; false if s is not one. */
bool token_parse(enum modality *m, int32_t *code, struct str s);
/* <start_of_music><|playlist-53|>…<end_of_music> appended to out. */
enum status token_block(struct buf *out, const struct codes *codes, struct err *err);

/* ---- codebooks (codebook.c) ---- */

/* Centroids of up to five modalities: vector of modality m's code k is v[m] + k * dim[m]. */
struct codebooks {
    size_t k[MODALITIES], dim[MODALITIES]; /* k is 0 where there is no codebook */
    float *v[MODALITIES];
    uint64_t *count[MODALITIES];
};
/* Reads centroid records from each path; indices of a modality must be 0 … k-1 each once, in any order. */
enum status codebooks_load(struct codebooks **out, const char *const *paths, size_t n, struct err *err);
void codebooks_free(struct codebooks *books);

/* ---- items (items.c) ---- */

/* The catalogue: tracks and their codes, in stream order. */
struct items {
    struct ids *ids; /* track_id <-> index */
    struct codes *codes;
    uint32_t n;
};
/* A track_id that comes twice is DATA. */
enum status items_load(struct items **out, const char *path, struct err *err);
void items_free(struct items *items);

#endif
