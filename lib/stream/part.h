/* SPDX-License-Identifier: Apache-2.0 */
/* part - records dealt to many files or commands: all of mpsplit that others would not need to see. */
#ifndef STREAM_PART_H
#define STREAM_PART_H

#include "stream/stream.h"

struct parts;
/*
 * n outputs named PREFIX0.mp … PREFIX(n-1).mp, numbers as wide as the last. With a command, each is instead a pipe to
 * `sh -c command` with FILE (that name) and PART (its number, from 0) in its environment; all n run at once. NOCREATE, SYSTEM.
 */
enum status parts_open(struct parts **out, size_t n, const char *prefix, const char *command, struct err *err);
/* The record's bytes as they came. A command that stops reading is not an error; how it ends decides. */
enum status parts_add(struct parts *parts, size_t part, const struct rec *r, struct err *err);
/* Commits the files, or waits for the commands: SYSTEM where one did not end with status 0. parts is freed. */
enum status parts_close(struct parts *parts, struct err *err);

#endif
