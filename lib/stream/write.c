/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write - canonical records into a file that appears whole or not at all.
 *
 * A record is gathered in memory, since the number of pairs stands in front of them: put_map leaves
 * one byte for the header, put_close widens it where more than 15 pairs came.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream/stream.h"
#include "stream/temporary.h"

#define FLUSH_AT ((size_t)1 << 18)

struct open {
    size_t at;  /* of the header byte in buf */
    uint32_t n; /* pairs or elements so far */
    bool map;
};

struct rec_writer {
    int fd;
    char *path, *temporary; /* temporary is NULL where the output is written in place: stdout, a device, a pipe */
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

static void
fail(struct rec_writer *w, enum status st, const char *what)
{
    if (w->err.status == OK)
        (void)err_set(&w->err, st, "%s", what);
}

/* msgpack-c's packer writes through this. */
static int
append(void *data, const char *bytes, size_t n)
{
    struct rec_writer *w = data;
    struct err err;

    if (w->err.status == OK && buf_add(&w->buf, bytes, n, &err) != OK)
        w->err = err;
    return 0;
}

static mode_t
default_mode(void)
{
    mode_t mask = umask(0);

    (void)umask(mask);
    return (mode_t)(0666 & ~mask);
}

/* Creates and locks a file of w->temporary's pattern; -1 and errno. */
static int
create_locked(struct rec_writer *w)
{
    size_t random = strlen(w->temporary) - strlen(TEMPORARY_RANDOM);
    struct stat sb;

    for (;;) {
        int fd = mkostemp(w->temporary, O_CLOEXEC);

        if (fd < 0)
            return -1;
        (void)flock(fd, LOCK_EX); /* where there are no locks, nobody sweeps */
        if (fstat(fd, &sb) != 0 || sb.st_nlink > 0)
            return fd;
        /* A sweep came in between. */
        (void)close(fd);
        (void)strcpy(w->temporary + random, TEMPORARY_RANDOM);
    }
}

/* A file beside the target, on the same file system, so that the rename is atomic. */
static enum status
open_beside(struct rec_writer *w, struct err *err)
{
    size_t n = strlen(w->path) + sizeof(TEMPORARY_MARK TEMPORARY_RANDOM);

    if ((w->temporary = malloc(n)) == NULL)
        return err_memory(err);
    (void)snprintf(w->temporary, n, "%s" TEMPORARY_MARK TEMPORARY_RANDOM, w->path);
    if ((w->fd = create_locked(w)) < 0) {
        (void)err_errno(err, NOCREATE, "%s", w->path);
        free(w->temporary);
        w->temporary = NULL;
        return NOCREATE;
    }
    (void)fchmod(w->fd, default_mode());
    return cli_temporary(w->temporary, err);
}

static enum status
open_target(struct rec_writer *w, const char *path, struct err *err)
{
    struct stat sb;
    bool exists;

    if (strcmp(path, "-") == 0) {
        w->fd = STDOUT_FILENO;
        return (w->path = strdup("stdout")) == NULL ? err_memory(err) : OK;
    }
    exists = stat(path, &sb) == 0;
    /* A link stays a link: what it points to is replaced. */
    w->path = exists && S_ISREG(sb.st_mode) ? realpath(path, NULL) : strdup(path);
    if (w->path == NULL)
        return err_memory(err);
    if (!exists || S_ISREG(sb.st_mode))
        return open_beside(w, err);
    if (S_ISDIR(sb.st_mode))
        return err_set(err, NOCREATE, "%s: is a folder", path);
    if ((w->fd = open(path, O_WRONLY | O_CLOEXEC)) < 0)
        return err_errno(err, NOCREATE, "%s", path);
    return OK;
}

enum status
rec_create(struct rec_writer **out, const char *path, struct err *err)
{
    struct rec_writer *w = calloc(1, sizeof(*w));
    enum status st;

    *out = NULL;
    if (w == NULL)
        return err_memory(err);
    w->fd = -1;
    if ((st = open_target(w, path, err)) != OK) {
        rec_discard(w);
        return st;
    }
    msgpack_packer_init(&w->pk, w, append);
    *out = w;
    return OK;
}

enum status
rec_create_fd(struct rec_writer **out, int fd, const char *name, struct err *err)
{
    enum status st = rec_in_memory(out, err);

    if (st == OK) {
        (*out)->memory = false;
        (*out)->fd = fd;
        if (((*out)->path = strdup(name)) != NULL)
            return OK;
        rec_discard(*out); /* closes fd */
        *out = NULL;
        return err_memory(err);
    }
    (void)close(fd);
    return st;
}

enum status
rec_in_memory(struct rec_writer **out, struct err *err)
{
    struct rec_writer *w = calloc(1, sizeof(*w));

    *out = w;
    if (w == NULL)
        return err_memory(err);
    w->fd = -1;
    w->memory = true;
    msgpack_packer_init(&w->pk, w, append);
    return OK;
}

struct str
rec_memory(const struct rec_writer *w)
{
    return (struct str){w->buf.p, w->depth > 0 ? w->start : w->buf.n};
}

void
rec_empty(struct rec_writer *w)
{
    w->depth = 0;
    w->buf.n = 0;
}

void
rec_discard(struct rec_writer *w)
{
    if (w == NULL)
        return;
    if (w->fd >= 0 && w->fd != STDOUT_FILENO)
        (void)close(w->fd); /* thrown away anyway */
    if (w->temporary != NULL) {
        (void)unlink(w->temporary);
        cli_keep(w->temporary);
    }
    buf_free(&w->buf);
    free(w->temporary);
    free(w->path);
    free(w);
}

/* ---- building a record ---- */

static void
open_container(struct rec_writer *w, bool map)
{
    if (w->depth == REC_MAX_DEPTH) {
        fail(w, DATA, "the record is nested too deep");
        return;
    }
    w->open[w->depth++] = (struct open){w->buf.n, 0, map};
    (void)append(w, "\0", 1);
}

void
rec_begin(struct rec_writer *w)
{
    w->err.status = OK;
    if (w->depth > 0)
        w->buf.n = w->start; /* drop what was not ended */
    w->depth = 0;
    w->key_given = false;
    w->start = w->buf.n;
    open_container(w, true);
}

/* Counts the pair or element that begins here, and writes its key. */
static void
begin_value(struct rec_writer *w, const char *key)
{
    if (w->depth == 0) {
        fail(w, SYSTEM, "a value outside a record");
        return;
    }
    if (w->key_given) {
        w->key_given = false;
        return;
    }
    w->open[w->depth - 1].n++;
    if (w->open[w->depth - 1].map != (key != NULL))
        fail(w, SYSTEM, "a key in an array, or none in a map");
    if (key != NULL)
        (void)msgpack_pack_str_with_body(&w->pk, key, strlen(key));
}

static void
pack_str(struct rec_writer *w, struct str s)
{
    if (s.n > UINT32_MAX)
        fail(w, DATA, "a string longer than 4 GiB");
    else
        (void)msgpack_pack_str_with_body(&w->pk, s.p, s.n);
}

static void
pack_f64(struct rec_writer *w, double x)
{
    if (!isfinite(x))
        fail(w, DATA, "a number that is not finite");
    (void)msgpack_pack_double(&w->pk, x);
}

static void
pack_ext(struct rec_writer *w, int8_t type, const void *bytes, size_t n)
{
    const char *p = bytes;

    if (n > UINT32_MAX) {
        fail(w, DATA, "an extension longer than 4 GiB");
        return;
    }
    for (size_t i = 0; type == REC_EXT_VECTOR && i + sizeof(float) <= n; i += sizeof(float)) {
        float x;
        memcpy(&x, p + i, sizeof(x));
        if (!isfinite(x))
            fail(w, DATA, "a vector with a number that is not finite");
    }
    (void)msgpack_pack_ext_with_body(&w->pk, bytes, n, type);
}

/* Depth is bounded: objects come from rec_read. */
static void
pack_object(struct rec_writer *w, const msgpack_object *o)
{
    switch (o->type) {
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        pack_f64(w, o->via.f64);
        break;
    case MSGPACK_OBJECT_EXT:
        pack_ext(w, o->via.ext.type, o->via.ext.ptr, o->via.ext.size);
        break;
    case MSGPACK_OBJECT_ARRAY:
        (void)msgpack_pack_array(&w->pk, o->via.array.size);
        for (uint32_t i = 0; i < o->via.array.size; i++)
            pack_object(w, &o->via.array.ptr[i]);
        break;
    case MSGPACK_OBJECT_MAP:
        (void)msgpack_pack_map(&w->pk, o->via.map.size);
        for (uint32_t i = 0; i < o->via.map.size; i++) {
            pack_object(w, &o->via.map.ptr[i].key);
            pack_object(w, &o->via.map.ptr[i].val);
        }
        break;
    default:
        (void)msgpack_pack_object(&w->pk, *o);
    }
}

void
put_str(struct rec_writer *w, const char *key, struct str value)
{
    begin_value(w, key);
    pack_str(w, value);
}

void
put_text(struct rec_writer *w, const char *key, const char *value)
{
    put_str(w, key, str_of(value));
}

void
put_u64(struct rec_writer *w, const char *key, uint64_t value)
{
    begin_value(w, key);
    (void)msgpack_pack_uint64(&w->pk, value);
}

void
put_i64(struct rec_writer *w, const char *key, int64_t value)
{
    begin_value(w, key);
    (void)msgpack_pack_int64(&w->pk, value);
}

void
put_f64(struct rec_writer *w, const char *key, double value)
{
    begin_value(w, key);
    pack_f64(w, value);
}

void
put_bool(struct rec_writer *w, const char *key, bool value)
{
    begin_value(w, key);
    (void)(value ? msgpack_pack_true(&w->pk) : msgpack_pack_false(&w->pk));
}

void
put_nil(struct rec_writer *w, const char *key)
{
    begin_value(w, key);
    (void)msgpack_pack_nil(&w->pk);
}

void
put_vector(struct rec_writer *w, const char *key, const float *value, size_t n)
{
    begin_value(w, key);
    pack_ext(w, REC_EXT_VECTOR, value, n * sizeof(*value));
}

void
put_bin(struct rec_writer *w, const char *key, const void *bytes, size_t n)
{
    begin_value(w, key);
    if (n > UINT32_MAX)
        fail(w, DATA, "binary longer than 4 GiB");
    else
        (void)msgpack_pack_bin_with_body(&w->pk, bytes, n);
}

void
put_ext(struct rec_writer *w, const char *key, int8_t type, const void *bytes, size_t n)
{
    begin_value(w, key);
    pack_ext(w, type, bytes, n);
}

void
put_object(struct rec_writer *w, const char *key, const msgpack_object *value)
{
    begin_value(w, key);
    pack_object(w, value);
}

void
put_map(struct rec_writer *w, const char *key)
{
    begin_value(w, key);
    open_container(w, true);
}

void
put_array(struct rec_writer *w, const char *key)
{
    begin_value(w, key);
    open_container(w, false);
}

void
put_key(struct rec_writer *w, struct str key)
{
    begin_value(w, "");
    if (w->err.status != OK)
        return;
    w->buf.n--; /* the empty key that begin_value wrote is one byte */
    pack_str(w, key);
    w->key_given = true;
}

/* Widens the header byte at o->at for more than 15 entries. */
static void
widen_header(struct rec_writer *w, const struct open *o)
{
    size_t more = o->n > UINT16_MAX ? 4 : 2, body = w->buf.n - o->at - 1;
    unsigned char *p;
    struct err err;

    if (buf_reserve(&w->buf, more, &err) != OK) {
        w->err = err;
        return;
    }
    p = (unsigned char *)w->buf.p + o->at;
    memmove(p + 1 + more, p + 1, body);
    p[0] = (unsigned char)(more == 2 ? (o->map ? 0xde : 0xdc) : (o->map ? 0xdf : 0xdd));
    for (size_t i = 0; i < more; i++)
        p[1 + i] = (unsigned char)(o->n >> (8 * (more - 1 - i)));
    w->buf.n += more;
}

void
put_close(struct rec_writer *w)
{
    struct open *o;

    if (w->depth == 0) {
        fail(w, SYSTEM, "put_close without an open map or array");
        return;
    }
    o = &w->open[--w->depth];
    if (w->err.status != OK)
        return;
    if (o->n < 16)
        w->buf.p[o->at] = (char)((o->map ? 0x80 : 0x90) | o->n);
    else
        widen_header(w, o);
}

static bool
in_list(struct str s, const char *const *list)
{
    for (; list != NULL && *list != NULL; list++)
        if (str_eq(s, str_of(*list)))
            return true;
    return false;
}

void
put_rest(struct rec_writer *w, const msgpack_object *map, const char *const *skip)
{
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[i];
        struct str key = {kv->key.via.str.ptr, kv->key.via.str.size};

        if (kv->key.type != MSGPACK_OBJECT_STR) {
            fail(w, DATA, "a key that is not a string");
            return;
        }
        if (!in_list(key, skip)) {
            put_key(w, key);
            put_object(w, NULL, &kv->val);
        }
    }
}

/* ---- bytes out ---- */

static enum status
write_all(struct rec_writer *w, const char *p, size_t n, struct err *err)
{
    while (n > 0) {
        ssize_t done = write(w->fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return err_errno(err, errno == EPIPE ? CLOSED : IO, "%s: write", w->path);
        p += done;
        n -= (size_t)done;
    }
    return OK;
}

enum status
rec_flush(struct rec_writer *w, struct err *err)
{
    enum status st;

    if (w->memory)
        return OK;
    if ((st = write_all(w, w->buf.p, w->buf.n, err)) == OK)
        w->buf.n = 0;
    return st;
}

enum status
rec_end(struct rec_writer *w, struct err *err)
{
    put_close(w);
    if (w->err.status == OK && w->depth > 0)
        fail(w, SYSTEM, "a map or array was not closed");
    (void)append(w, "\n", 1);
    w->depth = 0;
    if (w->err.status != OK) {
        w->buf.n = w->start;
        if (err != NULL)
            *err = w->err;
        return w->err.status;
    }
    w->written++;
    return w->buf.n < FLUSH_AT ? OK : rec_flush(w, err);
}

enum status
rec_raw(struct rec_writer *w, const void *bytes, size_t n, struct err *err)
{
    enum status st;

    if (!w->memory && n >= FLUSH_AT) /* what is large is not gathered first */
        return (st = rec_flush(w, err)) == OK ? write_all(w, bytes, n, err) : st;
    if (buf_add(&w->buf, bytes, n, err) != OK)
        return SYSTEM;
    return w->buf.n < FLUSH_AT ? OK : rec_flush(w, err);
}

bool
rec_patchable(const struct rec_writer *w)
{
    return w->temporary != NULL;
}

enum status
rec_patch(struct rec_writer *w, uint64_t at, const void *bytes, size_t n, struct err *err)
{
    const char *p = bytes;

    if (rec_flush(w, err) != OK)
        return err->status;
    while (n > 0) {
        ssize_t done = pwrite(w->fd, p, n, (off_t)at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return err_errno(err, IO, "%s: write", w->path);
        p += done;
        at += (uint64_t)done;
        n -= (size_t)done;
    }
    return OK;
}

enum status
rec_commit(struct rec_writer *w, struct err *err)
{
    enum status st;

    if (w->depth > 0)
        w->buf.n = w->start; /* a record that was begun and not ended is not written */
    st = rec_flush(w, err);
    /* close reports what a network file system could not store: stdout is closed for that reason too */
    if (close(w->fd) != 0 && st == OK)
        st = err_errno(err, IO, "%s: close", w->path);
    w->fd = -1;
    if (st == OK && w->temporary != NULL) {
        if (rename(w->temporary, w->path) != 0)
            st = err_errno(err, NOCREATE, "%s", w->path);
        else
            cli_keep(w->temporary);
    }
    if (st == OK) {
        free(w->temporary);
        w->temporary = NULL;
    }
    rec_discard(w);
    return st;
}

uint64_t
rec_written(const struct rec_writer *w)
{
    return w->written;
}

void
rec_count(struct rec_writer *w, uint64_t n)
{
    w->written += n;
}
