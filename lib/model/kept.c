/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The best weights of a run that goes on: a file a step, so that the one which a checkpoint names is never written over
 * before another checkpoint names another. One pass over the weights each time.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/model.h"

#define MARK ".best-"

static enum status
path_of(struct buf *out, const char *prefix, uint64_t step, struct err *err)
{
    out->n = 0;
    return buf_printf(out, err, "%s" MARK "%" PRIu64 "%c", prefix, step, 0);
}

enum status
kept_save(const char *prefix, uint64_t step, const struct params *p, struct err *err)
{
    struct buf path = {0};
    enum status st = path_of(&path, prefix, step, err);

    if (st == OK)
        st = params_write(path.p, p, err);
    buf_free(&path);
    return st;
}

/* Whether a file of that name holds kept weights of this prefix (without its folder), and of which step. */
static bool
is_kept(uint64_t *step, const char *name, const char *prefix)
{
    size_t n = strlen(prefix);
    char *end;

    if (strncmp(name, prefix, n) != 0 || strncmp(name + n, MARK, strlen(MARK)) != 0)
        return false;
    name += n + strlen(MARK);
    if (*name < '0' || *name > '9')
        return false;
    errno = 0;
    *step = strtoull(name, &end, 10);
    return errno == 0 && *end == 0;
}

enum status
kept_forget(const char *prefix, uint64_t step, struct err *err)
{
    const char *slash = strrchr(prefix, '/'), *base = slash == NULL ? prefix : slash + 1;
    struct buf path = {0};
    DIR *d = NULL;
    enum status st = buf_printf(&path, err, "%.*s.%c", (int)(base - prefix), prefix, 0);

    if (st == OK && (d = opendir(path.p)) == NULL)
        st = err_errno(err, IO, "%s", path.p);
    for (const struct dirent *e; st == OK && (e = readdir(d)) != NULL;) {
        uint64_t of;

        if (is_kept(&of, e->d_name, base) && of != step && (st = path_of(&path, prefix, of, err)) == OK &&
            unlink(path.p) != 0 && errno != ENOENT)
            st = err_errno(err, IO, "%s", path.p);
    }
    if (d != NULL)
        (void)closedir(d); /* only read from */
    buf_free(&path);
    return st;
}

enum status
kept_check(const char *prefix, uint64_t step, const struct model_config *c, struct err *err)
{
    struct weights *w = NULL;
    struct buf path = {0};
    enum status st = path_of(&path, prefix, step, err);

    if (st == OK && (st = weights_open_file(&w, path.p, err)) == NOINPUT)
        st = err_set(err, DATA, "%s: the weights that the interrupted run kept are not there", path.p);
    if (st == OK && weights_bytes(w) != params_count(c) * sizeof(float))
        st = err_set(err, DATA, "%s: not of this model's size", path.p);
    weights_close(w);
    buf_free(&path);
    return st;
}

enum status
kept_load(struct params **out, const char *prefix, uint64_t step, const struct model_config *c, struct err *err)
{
    struct buf path = {0};
    enum status st = path_of(&path, prefix, step, err);

    *out = NULL;
    if (st == OK)
        st = params_read(out, c, path.p, err);
    buf_free(&path);
    return st;
}
