/* SPDX-License-Identifier: Apache-2.0 */
/* path - private to lib/stream: where in a nested value a walk stands, for messages: "turns[3].content". */
#ifndef STREAM_PATH_H
#define STREAM_PATH_H

#include "stream/stream.h"

struct path {
    unsigned n;
    struct {
        struct str key; /* borrowed; p is NULL for an element of an array */
        size_t index;   /* from 0 */
    } step[REC_MAX_DEPTH + 1];
};

/* Each is undone by path_leave. A step beyond the deepest is counted and not kept. */
void path_key(struct path *p, struct str key);
void path_index(struct path *p, size_t index);
void path_leave(struct path *p);

/* Puts "PATH: " before err's text (nothing at the top); returns err->status. */
enum status path_context(struct err *err, const struct path *p);

#endif
