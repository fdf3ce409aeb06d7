/* SPDX-License-Identifier: Apache-2.0 */
/* join - one embedding file of a join (joinside.c). Private to lib/music. */
#ifndef JOIN_H
#define JOIN_H

#include "music/music.h"

struct side {
    const char *path;
    bool hold;
    int m; /* -1 until the first record */
    int fd;
    uint64_t base;        /* where the stream begins in the file */
    size_t largest;       /* bytes of a record, with what follows it */
    struct buf buf;       /* what was read last */
    uint64_t at;          /* of buf.p[0] */
    struct points points; /* the vector at hand; with hold all of them */
    msgpack_unpacked unpacked;
};

/* Opens for fetching, unless hold. NOINPUT; DATA for what cannot be read by position, such as a pipe. */
enum status side_open(struct side *s, const char *path, bool hold, struct err *err);
void side_close(struct side *s);
/* Checks an embedding record of the first pass, finds its modality and id; notes how large records are. With hold its
 * vector is the last of points then. */
enum status side_check(struct side *s, const struct rec *rec, struct str *id, struct err *err);
/* The record that begins at position at: its id and its vector of points.dim numbers, which live until the next call.
 * DATA where there is none such any more; IO. */
enum status side_fetch(struct str *id, const float **v, struct side *s, uint64_t at, struct err *err);

#endif
