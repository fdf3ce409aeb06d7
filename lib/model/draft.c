/* SPDX-License-Identifier: Apache-2.0 */
/*
 * draft - a folder that is built beside its place and renamed when it is whole. What may come to lie in it is named
 * before, so that a failure or a signal leaves none of it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/weights.h"

static enum status
path_of(struct buf *out, const struct draft *d, const char *name, struct err *err)
{
    out->n = 0;
    return buf_printf(out, err, "%s%s%s%c", d->dir.p, *name == 0 ? "" : "/", name, 0);
}

enum status
draft_name(struct draft *d, const char *name, struct err *err)
{
    struct buf path = {0};
    char *copy;
    enum status st;

    if ((st = path_of(&path, d, name, err)) == OK && (st = cli_temporary(&copy, path.p, err)) == OK)
        st = buf_add(&d->names, name, strlen(name) + 1, err);
    buf_free(&path);
    return st;
}

enum status
draft_begin(struct draft *d, const char *to, struct err *err)
{
    size_t n = strlen(to);
    enum status st;

    *d = (struct draft){.to = to};
    while (n > 1 && to[n - 1] == '/')
        n--;
    if ((st = buf_printf(&d->dir, err, "%.*s.new%ld%c", (int)n, to, (long)getpid(), 0)) != OK)
        return st;
    if ((st = draft_name(d, "", err)) != OK || mkdir(d->dir.p, 0777) == 0)
        return st;
    (void)err_errno(err, NOCREATE, "%s", d->dir.p);
    cli_keep(d->dir.p); /* another's */
    return NOCREATE;
}

enum status
draft_end(struct draft *d, struct err *err)
{
    struct buf path = {0};
    enum status st = OK;

    if (rename(d->dir.p, d->to) != 0)
        return err_errno(err, NOCREATE, "%s", d->to);
    for (size_t i = 0; st == OK && i < d->names.n; i += strlen(d->names.p + i) + 1)
        if ((st = path_of(&path, d, d->names.p + i, err)) == OK)
            cli_keep(path.p);
    buf_free(&path);
    return st;
}

void
draft_fini(struct draft *d)
{
    buf_free(&d->dir);
    buf_free(&d->names);
}
