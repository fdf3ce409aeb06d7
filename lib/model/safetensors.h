/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors - one file of named tensors: 8 bytes with the length of a JSON header (little-endian), the header, the
 * data. The file is checked as hostile input before anything of its size is allocated, and mapped, not read.
 */
#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include "model/weights.h"

struct safetensors;

/*
 * Maps path and checks its header whole: NOINPUT, IO; DATA where the header's length or JSON is wrong, a key comes
 * twice, a type is not known, a shape does not have the bytes of its range, ranges overlap or leave holes or do not end
 * with the file; a Git LFS pointer is told by name. A file that somebody cuts off while it is mapped ends the program
 * by SIGBUS: that can't be checked beforehand.
 */
enum status safetensors_open(struct safetensors **out, const char *path, struct err *err);
/* The same of n bytes in memory, which are borrowed. */
enum status safetensors_parse(struct safetensors **out, const void *bytes, size_t n, struct err *err);
void safetensors_close(struct safetensors *f);

/* The size of all data. */
uint64_t safetensors_bytes(const struct safetensors *f);
/* Its tensors, *n of them, in the order of their names; their file is NULL. */
const struct weight *safetensors_tensors(size_t *n, const struct safetensors *f);

/* Writes n tensors as path, whole or not at all. DATA where a number is too large for its type. */
enum status safetensors_write(const char *path, const struct saved *tensor, size_t n, struct err *err);

/* ---- keys (keys.c) ---- */

/* DATA "KEY: comes twice" where a key of an object does: readers differ in which they take. */
enum status keys_once(struct json object, struct err *err);

/* ---- the index of a model in several files (shards.c) ---- */

#define SHARDS_MAX 4096
/* weight_map of a model.safetensors.index.json: names of tensors and of files, each numbered. */
struct shards {
    struct ids *tensors, *files;
    uint32_t *file_of; /* (tensors) */
};
/* DATA for what is no index, a key that comes twice, and a file's name with a slash or two dots in it. */
enum status shards_parse(struct shards **out, struct str text, struct err *err);
void shards_free(struct shards *s);

#endif
