/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors - one file of named tensors: 8 bytes with the length of a JSON header (little-endian), the header, the
 * data.
 *
 * Reading takes float32, float16 and bfloat16 and gives float32; the file is checked as hostile input before anything
 * of its size is allocated. Writing is float32, canonical: the order given, no holes, the header filled up with blanks
 * to a multiple of 8.
 */
#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include "model/model.h"

struct safetensors;

/*
 * Opens path and checks its header whole: NOINPUT, IO; DATA where the header's length or JSON is wrong, a type is not
 * known, a shape does not have the bytes of its range, ranges overlap or leave holes or do not end with the file, or a
 * name comes twice.
 */
enum status safetensors_open(struct safetensors **out, const char *path, struct err *err);
void safetensors_close(struct safetensors *f);

/* The size of all data. */
uint64_t safetensors_bytes(const struct safetensors *f);

/* The tensor of that name and shape as float32 into out (rows * cols numbers; cols 0: a vector of rows). DATA if it is
 * missing, of another shape, or of a type that is no float. */
enum status safetensors_read(
    float *out, struct safetensors *f, const char *name, size_t rows, size_t cols, struct err *err);

/* Writes n tensors as path, whole or not at all. */
enum status safetensors_write(const char *path, const struct tensor *tensor, size_t n, struct err *err);

#endif
