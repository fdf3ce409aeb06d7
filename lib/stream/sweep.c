/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep - what SIGKILL and power cuts leave: files FILE.tmp.XXXXXX that were being written. A writer holds a lock on
 * its own (write.c), which ends with it: whatever can be locked is nobody's. Where the file system has no locks nothing
 * is removed. One pass over the folder.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "stream/stream.h"
#include "stream/temporary.h"

/* Whether name is that of a temporary of base; or, where more is true, of any file whose name begins so. */
static bool
is_temporary(const char *name, const char *base, bool more)
{
    size_t n = strlen(name), mark = strlen(TEMPORARY_MARK), end = mark + strlen(TEMPORARY_RANDOM), k = strlen(base);

    if (n < k + end || strncmp(name, base, k) != 0 || memcmp(name + n - end, TEMPORARY_MARK, mark) != 0)
        return false;
    return more || n == k + end;
}

static enum status
remove_unlocked(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    enum status st = OK;

    if (fd < 0)
        return OK; /* gone meanwhile, or not ours to open */
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && unlink(path) != 0 && errno != ENOENT)
        st = err_errno(err, IO, "%s: remove", path);
    (void)close(fd); /* nothing was written */
    return st;
}

enum status
rec_sweep(const char *path, bool more, struct err *err)
{
    char *real = more ? NULL : realpath(path, NULL); /* a link's target is what is replaced */
    const char *at = real != NULL ? real : path, *slash = strrchr(at, '/'), *base = slash == NULL ? at : slash + 1;
    struct buf name = {0};
    DIR *d = NULL;
    enum status st = buf_printf(&name, err, "%.*s.%c", (int)(base - at), at, 0);

    if (st == OK)
        d = opendir(name.p);
    for (const struct dirent *e; st == OK && d != NULL && (e = readdir(d)) != NULL;) {
        if (!is_temporary(e->d_name, base, more))
            continue;
        name.n = 0;
        if ((st = buf_printf(&name, err, "%.*s%s%c", (int)(base - at), at, e->d_name, 0)) == OK)
            st = remove_unlocked(name.p, err);
    }
    if (d != NULL)
        (void)closedir(d); /* only read from */
    buf_free(&name);
    free(real);
    return st;
}
