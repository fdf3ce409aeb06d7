/* SPDX-License-Identifier: Apache-2.0 */
/*
 * room - growing arrays and what trec_eval takes, for the files of this folder only.
 */
#ifndef EVAL_ROOM_H
#define EVAL_ROOM_H

#include "eval/eval.h"

/*
 * Makes room for n elements of size bytes in the array at *p (p is a T **), which has *cap of them; it grows by
 * doubling, and what is new is zero.
 */
enum status room(void *p, size_t *cap, size_t n, size_t size, struct err *err);

/* DATA for an id with a blank, which trec_eval would read as two columns. */
enum status trec_check(struct str id, struct err *err);

/* Line rank (from 0) of n of a query, with a score that falls from line to line. line is scratch. */
enum status trec_put(struct rec_writer *w, struct buf *line, struct str query, struct str track, size_t rank, size_t n,
    const char *system, struct err *err);

#endif
