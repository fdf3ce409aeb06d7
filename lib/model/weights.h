/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weights - the files of a model folder: numbers of their types, tensors in and out, what else lies there.
 */
#ifndef WEIGHTS_H
#define WEIGHTS_H

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

/* ---- files of a folder (folder.c) ---- */

#define FOLDER_FILE_MAX ((size_t)256 << 20)
/* Makes dir; fine if it is there. NOCREATE. */
enum status folder_make(const char *dir, struct err *err);
/* NOCREATE, with both numbers, where less than bytes is free on the disk of dir. */
enum status folder_room(const char *dir, uint64_t bytes, struct err *err);
/* Writes DIR/NAME, whole or not at all. */
enum status folder_write(const char *dir, const char *name, const void *bytes, size_t n, struct err *err);
/* Deletes DIR/NAME; fine if it is not there. IO. */
enum status folder_remove(const char *dir, const char *name, struct err *err);
/* Whether DIR/NAME is there (NAME alone if dir is NULL), and whether two paths are one folder. */
bool folder_has(const char *dir, const char *name);
bool folder_same(const char *a, const char *b);
/* Copies NAME between folders; OK without a copy if it is not in from. */
enum status folder_carry(const char *to, const char *from, const char *name, struct err *err);
/* Names of all that is carried from model to model besides configuration and weights; NULL behind the last. */
extern const char *const folder_files[];
/* Carries those that are in from and not in to. */
enum status folder_carry_rest(const char *to, const char *from, struct err *err);

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

#endif
