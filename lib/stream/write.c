/* SPDX-License-Identifier: Apache-2.0 */
/* write - records (put.c) into a file that appears whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream/temporary.h"
#include "stream/write.h"

#define FLUSH_AT ((size_t)1 << 18)

static mode_t
default_mode(void)
{
    mode_t mask = umask(0);

    (void)umask(mask);
    return (mode_t)(0666 & ~mask);
}

static void
forget_temporary(struct rec_writer *w)
{
    cli_keep(w->temporary);
    w->temporary = NULL;
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
    struct buf pattern = {0};
    enum status st = buf_printf(&pattern, err, "%s" TEMPORARY_MARK TEMPORARY_RANDOM "%c", w->path, 0);

    if (st == OK)
        st = cli_temporary(&w->temporary, pattern.p, err);
    buf_free(&pattern);
    if (st != OK)
        return st;
    if ((w->fd = create_locked(w)) < 0) {
        (void)err_errno(err, NOCREATE, "%s", w->path);
        forget_temporary(w);
        return NOCREATE;
    }
    (void)fchmod(w->fd, default_mode());
    return OK;
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
    msgpack_packer_init(&w->pk, w, writer_append);
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
    msgpack_packer_init(&w->pk, w, writer_append);
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
        forget_temporary(w);
    }
    buf_free(&w->buf);
    free(w->path);
    free(w);
}

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
        writer_fail(w, SYSTEM, "a map or array was not closed");
    (void)writer_append(w, "\n", 1);
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
            forget_temporary(w);
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
