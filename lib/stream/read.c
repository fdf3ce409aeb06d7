/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read - records from a file descriptor.
 *
 * A reader never searches for 0x0A (payloads contain it) and never resynchronises: what is not a
 * whole record is an error with its position. read(2) and not stdio, so that a record is handed on as
 * soon as its last byte is there: stages can talk to each other through pipes turn by turn.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scan.h"

#define CHUNK ((size_t)1 << 18)

struct rec_reader {
    int fd;
    char *name; /* as messages call it */
    size_t max;
    struct buf buf;  /* bytes received; those before at are used up */
    size_t at;       /* the current record's first byte in buf */
    uint64_t offset; /* of buf.p[at] within the file */
    uint64_t number; /* of the record at at */
    bool eof;
    msgpack_unpacked unpacked;
    struct rec rec;
};

enum status
rec_open(struct rec_reader **out, const char *path, size_t max_bytes, struct err *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    struct rec_reader *in = calloc(1, sizeof(*in));

    *out = NULL;
    if (in == NULL || (in->name = strdup(is_stdin ? "stdin" : path)) == NULL) {
        free(in);
        return err_memory(err);
    }
    in->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (in->fd < 0) {
        (void)err_errno(err, NOINPUT, "%s", path);
        free(in->name);
        free(in);
        return NOINPUT;
    }
    in->max = max_bytes == 0 ? REC_MAX_BYTES : max_bytes;
    msgpack_unpacked_init(&in->unpacked);
    *out = in;
    return OK;
}

void
rec_close(struct rec_reader *in)
{
    if (in == NULL)
        return;
    msgpack_unpacked_destroy(&in->unpacked);
    if (in->fd != STDIN_FILENO)
        (void)close(in->fd); /* only read from: nothing can be lost */
    buf_free(&in->buf);
    free(in->name);
    free(in);
}

/* Receives more bytes, or sets eof. The unused bytes move to the front first. */
static enum status
receive(struct rec_reader *in, struct err *err)
{
    struct buf *b = &in->buf;
    ssize_t got;

    if (in->at > 0) {
        memmove(b->p, b->p + in->at, b->n - in->at);
        b->n -= in->at;
        in->at = 0;
    }
    if (buf_reserve(b, CHUNK, err) != OK)
        return SYSTEM;
    do
        got = read(in->fd, b->p + b->n, b->cap - b->n);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_errno(err, IO, "%s: read", in->name);
    b->n += (size_t)got;
    in->eof = got == 0;
    return OK;
}

static enum status
at_position(const struct rec_reader *in, struct err *err)
{
    return err_context(
        err, "%s: record %llu, byte %llu", in->name, (unsigned long long)in->number, (unsigned long long)in->offset);
}

/* Receives until the object at in->at and the byte behind it are there: its size, or END at a clean end. */
static enum status
gather(size_t *size, struct rec_reader *in, struct err *err)
{
    struct scan scan;

    scan_start(&scan, in->max);
    for (;;) {
        size_t have = in->buf.n - in->at;
        enum status st = have == 0 ? END : scan_step(&scan, (unsigned char *)in->buf.p + in->at, have, err);

        if (st == DATA)
            return at_position(in, err);
        if (st == OK && have > scan.at) {
            *size = scan.at;
            return OK;
        }
        if (in->eof && have == 0)
            return END;
        if (in->eof) {
            (void)err_set(err, DATA, "the record is cut off after %zu bytes", have);
            return at_position(in, err);
        }
        if ((st = receive(in, err)) != OK)
            return st;
    }
}

/* The decoded object borrows the bytes, which stay put until the next receive. */
static enum status
decode(msgpack_unpacked *unpacked, const char *p, size_t size, struct err *err)
{
    size_t end = 0;
    msgpack_unpack_return r = msgpack_unpack_next(unpacked, p, size, &end);

    if (r == MSGPACK_UNPACK_NOMEM_ERROR)
        return err_memory(err);
    if (r != MSGPACK_UNPACK_SUCCESS || end != size)
        return err_set(err, DATA, "not MessagePack");
    if (unpacked->data.type != MSGPACK_OBJECT_MAP)
        return err_set(err, DATA, "expected a map, got %s", obj_type(&unpacked->data));
    return OK;
}

enum status
rec_read(struct rec **rec, struct rec_reader *in, struct err *err)
{
    size_t size = 0;
    enum status st;
    const char *p;

    *rec = NULL;
    in->number++;
    if ((st = gather(&size, in, err)) != OK)
        return st;
    p = in->buf.p + in->at;
    if (p[size] != '\n') {
        (void)err_set(
            err, DATA, "expected byte 0x0a behind the record's %zu bytes, got 0x%02x", size, (unsigned char)p[size]);
        return at_position(in, err);
    }
    if ((st = decode(&in->unpacked, p, size, err)) != OK)
        return st == DATA ? at_position(in, err) : st;
    in->rec = (struct rec){in->unpacked.data, in->name, in->number, in->offset, p, size};
    in->at += size + 1;
    in->offset += size + 1;
    *rec = &in->rec;
    return OK;
}

uint64_t
rec_position(const struct rec_reader *in)
{
    return in->offset;
}

/* A record and all that it borrows from. */
struct kept {
    struct rec rec;
    msgpack_unpacked unpacked;
    char *bytes, *file;
};

enum status
rec_keep(struct rec **own, const struct rec *rec, struct err *err)
{
    struct kept *k = calloc(1, sizeof(*k));
    enum status st;

    *own = NULL;
    if (k == NULL)
        return err_memory(err);
    msgpack_unpacked_init(&k->unpacked);
    k->bytes = malloc(rec->size);
    k->file = strdup(rec->file);
    if (k->bytes == NULL || k->file == NULL) {
        rec_free(&k->rec);
        return err_memory(err);
    }
    memcpy(k->bytes, rec->bytes, rec->size);
    if ((st = decode(&k->unpacked, k->bytes, rec->size, err)) != OK) {
        rec_free(&k->rec);
        return st;
    }
    k->rec = *rec;
    k->rec.map = k->unpacked.data;
    k->rec.bytes = k->bytes;
    k->rec.file = k->file;
    *own = &k->rec;
    return OK;
}

void
rec_free(struct rec *own)
{
    struct kept *k = (struct kept *)own; /* rec is its first member */

    if (k == NULL)
        return;
    msgpack_unpacked_destroy(&k->unpacked);
    free(k->bytes);
    free(k->file);
    free(k);
}

enum status
rec_context(struct err *err, const struct rec *rec)
{
    return err_context(
        err, "%s: record %llu, byte %llu", rec->file, (unsigned long long)rec->number, (unsigned long long)rec->offset);
}

enum status
rec_each(const char *path, enum status (*each)(void *arg, const struct rec *rec, struct err *err), void *arg,
    struct err *err)
{
    struct rec_reader *in;
    struct rec *rec;
    enum status st = rec_open(&in, path, 0, err);

    if (st != OK)
        return st;
    while ((st = rec_read(&rec, in, err)) == OK)
        if ((st = each(arg, rec, err)) != OK) {
            if (st == DATA)
                (void)rec_context(err, rec);
            break;
        }
    rec_close(in);
    return st == END ? OK : st;
}
