/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map - the bytes of a whole file: mapped where it is one, read into memory where it is a pipe or was read from.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream/stream.h"

static size_t
page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* m's bytes are the n > 0 of fd, from its first on, and a page that can be read follows: false with errno. */
static bool
map_fd(struct mapped *m, int fd, size_t n)
{
    char *p = mmap(NULL, n + page(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return false;
    if (mmap(p, n, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED) {
        int why = errno;
        (void)munmap(p, n + page());
        errno = why;
        return false;
    }
    (void)madvise(p, n, MADV_SEQUENTIAL); /* a hint */
    m->p = m->map = p;
    m->n = n;
    return true;
}

enum status
file_map(struct mapped *out, const char *path, struct err *err)
{
    bool in = strcmp(path, "-") == 0;
    enum status st = OK;
    struct stat sb;
    int fd;

    *out = (struct mapped){.p = ""};
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
    if (fstat(fd, &sb) != 0 || (sb.st_size > 0 && !map_fd(out, fd, (size_t)sb.st_size))) /* no bytes cannot be mapped */
        st = err_errno(err, IO, "%s: map", in ? "stdin" : path);
    if (!in)
        (void)close(fd); /* only read from; the mapping stays */
    return st;
}

bool
file_map_stream(struct mapped *out, FILE *f)
{
    struct stat sb;

    *out = (struct mapped){.p = ""};
    if (ftello(f) != 0 || fstat(fileno(f), &sb) != 0 || !S_ISREG(sb.st_mode) || sb.st_size == 0 ||
        !map_fd(out, fileno(f), (size_t)sb.st_size))
        return false;
    (void)fseeko(f, 0, SEEK_END); /* as if it had been read: standard input may have other readers */
    return true;
}

void
file_passed(const struct mapped *m, size_t from, size_t to)
{
    from -= from % page();
    to -= to % page();
    if (m->map != NULL && from < to)
        (void)madvise((char *)m->map + from, to - from, MADV_DONTNEED);
}

void
file_unmap(struct mapped *m)
{
    if (m->map != NULL)
        (void)munmap(m->map, m->n + page());
    buf_free(&m->held);
    *m = (struct mapped){0};
}
