/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map - the bytes of a whole file: mapped where it is one, read into memory where it is a pipe or standard input.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream/stream.h"

static enum status
map_fd(struct mapped *m, int fd, const char *name, struct err *err)
{
    struct stat sb;
    void *p;

    if (fstat(fd, &sb) != 0)
        return err_errno(err, IO, "%s: stat", name);
    m->p = "";
    if (sb.st_size == 0) /* mmap refuses no bytes at all */
        return OK;
    if ((p = mmap(NULL, (size_t)sb.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
        return err_errno(err, IO, "%s: map", name);
    (void)madvise(p, (size_t)sb.st_size, MADV_SEQUENTIAL); /* a hint */
    m->p = m->map = p;
    m->n = (size_t)sb.st_size;
    return OK;
}

enum status
file_map(struct mapped *out, const char *path, struct err *err)
{
    bool in = strcmp(path, "-") == 0;
    struct stat sb;
    enum status st;
    int fd;

    *out = (struct mapped){0};
    if ((in ? fstat(STDIN_FILENO, &sb) : stat(path, &sb)) != 0)
        return err_errno(err, in ? IO : NOINPUT, "%s", in ? "stdin" : path);
    /* Standard input may have been read from: mapped it would begin at the file's first byte again. */
    if (!S_ISREG(sb.st_mode) || (in && lseek(STDIN_FILENO, 0, SEEK_CUR) != 0)) {
        st = file_read(&out->held, path, SIZE_MAX / 2, err);
        out->p = out->held.p;
        out->n = out->held.n;
        return st;
    }
    if ((fd = in ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return err_errno(err, NOINPUT, "%s", path);
    st = map_fd(out, fd, in ? "stdin" : path, err);
    if (!in)
        (void)close(fd); /* only read from; the mapping stays */
    return st;
}

void
file_unmap(struct mapped *m)
{
    if (m->map != NULL)
        (void)munmap(m->map, m->n);
    buf_free(&m->held);
    *m = (struct mapped){0};
}
