/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One embedding file of a join: checked from end to end once, then read by position. A position that lies behind the
 * last one within AHEAD is taken for reading on, and a large piece is read; any other costs one record.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "music/join.h"

#define AHEAD ((size_t)1 << 18)

enum status
side_open(struct side *s, const char *path, bool hold, struct err *err)
{
    struct stat sb;
    off_t base;

    s->path = path;
    s->hold = hold;
    s->m = -1;
    msgpack_unpacked_init(&s->unpacked);
    if (hold)
        return OK;
    s->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0)
        return err_errno(err, NOINPUT, "%s", path);
    if (fstat(s->fd, &sb) != 0)
        return err_errno(err, IO, "%s", path);
    if (!S_ISREG(sb.st_mode) || (base = lseek(s->fd, 0, SEEK_CUR)) < 0)
        return err_set(err, DATA,
            "%s: a pipe or device, and vectors are read by position: write them to a file first, or use --hold", path);
    s->base = (uint64_t)base;
    return OK;
}

void
side_close(struct side *s)
{
    if (s->fd >= 0 && s->fd != STDIN_FILENO)
        (void)close(s->fd); /* only read from: nothing can be lost */
    msgpack_unpacked_destroy(&s->unpacked);
    buf_free(&s->buf);
    points_free(&s->points);
}

enum status
side_check(struct side *s, const struct rec *rec, struct str *id, struct err *err)
{
    struct str name;
    int m;

    if (map_id(id, &rec->map, "track_id", err) != OK || map_str(&name, &rec->map, "modality", err) != OK)
        return err->status;
    if ((m = modality_find(name)) < 0)
        return err_set(err, DATA, "modality: expected playlist, semantic, metadata, lyrics or audio, got \"%.*s\"",
            name.n > 40 ? 40 : (int)name.n, name.p);
    if (s->m >= 0 && m != s->m)
        return err_set(
            err, DATA, "modality: expected %s as in the records before, got %s", modality_name[s->m], modality_name[m]);
    if (!s->hold)
        s->points.n = 0; /* it is fetched again */
    if (points_add(&s->points, &rec->map, "vector", err) != OK)
        return err->status;
    s->m = m;
    if (rec->size + 1 > s->largest)
        s->largest = rec->size + 1;
    return OK;
}

/* Makes buf hold the bytes from at on, as many as a record may have, or all there are. */
static enum status
read_from(struct side *s, uint64_t at, struct err *err)
{
    uint64_t end = s->at + s->buf.n;
    bool on = at >= s->at && at <= end + AHEAD;
    size_t want = on ? AHEAD + s->largest : s->largest;
    ssize_t got;

    if (at >= s->at && at < end && end - at >= s->largest)
        return OK;
    s->buf.n = 0;
    if (buf_reserve(&s->buf, want, err) != OK)
        return SYSTEM;
    s->at = at;
    while (s->buf.n < want) {
        got = pread(s->fd, s->buf.p + s->buf.n, want - s->buf.n, (off_t)(s->base + at + s->buf.n));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, IO, "%s: read", s->path);
        if (got == 0)
            break;
        s->buf.n += (size_t)got;
    }
    return OK;
}

/* The record at p of at most n bytes, decoded. */
static enum status
decode(struct side *s, const char *p, size_t n, struct err *err)
{
    size_t size, end = 0;

    if (rec_scan(&size, p, n, n, err) != OK || size >= n || p[size] != '\n' ||
        msgpack_unpack_next(&s->unpacked, p, size, &end) != MSGPACK_UNPACK_SUCCESS || end != size ||
        s->unpacked.data.type != MSGPACK_OBJECT_MAP)
        return err_set(err, DATA, "there was a record when it was read first: the file has changed");
    return OK;
}

enum status
side_fetch(struct str *id, const float **v, struct side *s, uint64_t at, struct err *err)
{
    enum status st = read_from(s, at, err);
    size_t n;

    if (st != OK)
        return st;
    n = s->buf.n - (size_t)(at - s->at);
    if ((st = decode(s, s->buf.p + (at - s->at), n < s->largest ? n : s->largest, err)) == OK &&
        (st = map_id(id, &s->unpacked.data, "track_id", err)) == OK) {
        s->points.n = 0; /* only its dimension and room stay */
        st = points_add(&s->points, &s->unpacked.data, "vector", err);
    }
    if (st == DATA)
        return err_context(err, "%s: byte %llu", s->path, (unsigned long long)at);
    *v = s->points.v;
    return st;
}
