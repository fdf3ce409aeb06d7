/* SPDX-License-Identifier: Apache-2.0 */
/* scan - private to lib/stream: the bounded walk over MessagePack bytes, resumable as more arrive. */
#ifndef SCAN_H
#define SCAN_H

#include "stream/stream.h"

struct scan {
    size_t at;                    /* bytes walked */
    size_t max;                   /* an object may not be larger */
    unsigned depth;               /* containers open */
    uint64_t left[REC_MAX_DEPTH]; /* objects still to come in each; a map counts keys and values */
    bool whole;                   /* the object is complete: at is its size */
};

void scan_start(struct scan *s, size_t max);

/*
 * Walks on, given the n bytes from the object's start: OK when it is whole, END when more bytes are
 * needed, DATA (with the byte's place within the object in err) when no more bytes can mend it.
 */
enum status scan_step(struct scan *s, const unsigned char *p, size_t n, struct err *err);

#endif
