/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gguf - the file format of ggml and llama.cpp, version 3 (docs/gguf.md of ggml): keys with typed values, then names,
 * shapes and places of tensors, then their data, each at a multiple of 32 bytes. Written only.
 */
#ifndef GGUF_H
#define GGUF_H

#include "model/model.h"

/* Types of values and of tensors, by their numbers in the format. */
enum gguf_value { GGUF_U32 = 4, GGUF_I32 = 5, GGUF_REAL32 = 6, GGUF_BOOL = 7, GGUF_STRING = 8, GGUF_ARRAY = 9 };
enum gguf_type { GGUF_F32 = 0, GGUF_F16 = 1, GGUF_Q8_0 = 8, GGUF_BF16 = 30 };
#define GGUF_ALIGN ((size_t)32)
#define GGUF_BLOCK ((size_t)32) /* numbers of a block of Q8_0 */

/* What comes before the data; all zero is empty. */
struct gguf {
    struct buf keys, infos;
    uint64_t n_keys, n_tensors, at; /* at: where the next tensor's data begin */
};
void gguf_free(struct gguf *g);
/* Each appends a key and its value: SYSTEM. */
enum status gguf_u32(struct gguf *g, const char *key, uint32_t value, struct err *err);
enum status gguf_f32(struct gguf *g, const char *key, float value, struct err *err);
enum status gguf_bool(struct gguf *g, const char *key, bool value, struct err *err);
enum status gguf_str(struct gguf *g, const char *key, struct str value, struct err *err);
/* An array of n elements, which follow by gguf_add_str or gguf_add_i32. */
enum status gguf_array(struct gguf *g, const char *key, enum gguf_value of, uint64_t n, struct err *err);
enum status gguf_add_str(struct gguf *g, struct str value, struct err *err);
enum status gguf_add_i32(struct gguf *g, int32_t value, struct err *err);

/* A tensor of rows times cols numbers (cols 0: a vector of rows), behind those before it. */
enum status gguf_tensor(
    struct gguf *g, const char *name, enum gguf_type type, size_t rows, size_t cols, struct err *err);
/* Bytes of a row of n numbers, of which Q8_0 wants whole blocks. */
size_t gguf_row_bytes(enum gguf_type type, size_t n);
/* n numbers as type: false if one of them is not finite there. */
bool gguf_row(unsigned char *out, const float *x, size_t n, enum gguf_type type);
/* Everything before the data; and what fills up the data of a tensor of that many bytes. */
enum status gguf_write_head(struct rec_writer *out, const struct gguf *g, struct err *err);
enum status gguf_write_pad(struct rec_writer *out, uint64_t bytes, struct err *err);

/* ---- tokenizer.json as keys (ggufvocab.c) ---- */

/*
 * Appends the keys tokenizer.ggml.* of the tokenizer of folder DIR, a byte-level BPE whose split llama.cpp knows by
 * name, for the rows of c's embedding: those without a token are called unused. add_bos: whether a text begins with c's
 * bos. NOINPUT; DATA naming what llama.cpp has no word for.
 */
enum status gguf_vocabulary(
    struct gguf *g, const char *dir, const struct model_config *c, bool add_bos, struct err *err);

#endif
