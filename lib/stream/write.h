/* SPDX-License-Identifier: Apache-2.0 */
/* write - what the building of records (put.c) and their way into a file (write.c) share. Private to lib/stream. */
#ifndef WRITE_H
#define WRITE_H

#include "stream/stream.h"

struct open {
    size_t at;  /* of the header byte in buf */
    uint32_t n; /* pairs or elements so far */
    bool map;
};

struct rec_writer {
    int fd;
    char *path;
    char *temporary; /* cli_temporary's; NULL where the output is written in place: stdout, a device, a pipe */
    struct buf buf;
    size_t start; /* of the record being built in buf */
    struct open open[REC_MAX_DEPTH];
    unsigned depth;
    bool memory;    /* nothing is handed to the system */
    bool key_given; /* put_key has written the key of the next value */
    struct err err; /* the first failure since rec_begin; status OK if none */
    uint64_t written;
    msgpack_packer pk;
};

/* Appends to what is held. A failure is kept in w->err, as every failure of a record is until it ends. Returns 0, as
 * msgpack-c's packer wants it, which writes through this. */
int writer_append(void *w, const char *bytes, size_t n);
/* Notes a failure, if it is the record's first. */
void writer_fail(struct rec_writer *w, enum status st, const char *what);

#endif
