/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idlist - ids in the order of a matrix's rows: the lines of a text file, or the strings of an .npy file.
 * They are read from the mapped file one after another; memory is that of one id.
 */
#include <stdlib.h>
#include <string.h>

#include "stream/stream.h"

struct id_list {
    const char *name;
    struct mapped file;
    struct npy a;
    bool npy;
    size_t n, next; /* ids; the one that comes next */
    const char *p;  /* where its line begins */
    struct buf text;
};

static size_t
count_lines(const char *p, size_t n)
{
    size_t lines = n > 0 && p[n - 1] != '\n';

    for (const char *end = p + n; n > 0 && (p = memchr(p, '\n', (size_t)(end - p))) != NULL; lines++, p++)
        ;
    return lines;
}

/* What kind of file it is, and how many ids it has. */
static enum status
look(struct id_list *l, struct err *err)
{
    size_t mark = l->file.n >= 3 && memcmp(l->file.p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* of files made on Windows */

    l->npy = npy_is(l->file.p, l->file.n);
    l->p = (const char *)l->file.p + mark;
    l->n = l->npy ? 0 : count_lines(l->p, l->file.n - mark);
    if (!l->npy)
        return OK;
    if (npy_parse(&l->a, l->file.p, l->file.n, err) != OK)
        return err_context(err, "%s", l->name);
    if ((l->a.kind != NPY_BYTES && l->a.kind != NPY_UNICODE) || l->a.columns != 1)
        return err_set(err, DATA, "%s: expected one column of strings", l->name);
    l->n = l->a.rows;
    return OK;
}

enum status
id_list_open(struct id_list **out, const char *path, struct err *err)
{
    struct id_list *l = calloc(1, sizeof(*l));
    enum status st;

    *out = NULL;
    if (l == NULL)
        return err_memory(err);
    l->name = strcmp(path, "-") == 0 ? "stdin" : path;
    if ((st = file_map(&l->file, path, err)) != OK || (st = look(l, err)) != OK) {
        id_list_free(l);
        return st;
    }
    *out = l;
    return OK;
}

void
id_list_free(struct id_list *l)
{
    if (l == NULL)
        return;
    file_unmap(&l->file);
    buf_free(&l->text);
    free(l);
}

size_t
id_list_count(const struct id_list *l)
{
    return l->n;
}

static struct str
next_line(struct id_list *l)
{
    size_t left = (size_t)((const char *)l->file.p + l->file.n - l->p);
    const char *end = memchr(l->p, '\n', left);
    struct str line = {l->p, end == NULL ? left : (size_t)(end - l->p)};

    l->p = end == NULL ? l->p + left : end + 1;
    if (line.n > 0 && line.p[line.n - 1] == '\r') /* of those, too */
        line.n--;
    return line;
}

enum status
id_list_next(struct str *id, struct id_list *l, struct err *err)
{
    enum status st = OK;

    if (l->next == l->n)
        return END;
    l->next++;
    if (!l->npy)
        *id = next_line(l);
    else if ((st = npy_string(&l->text, &l->a, l->next - 1, err)) == OK)
        *id = (struct str){l->text.p, l->text.n};
    if (st == OK && id->n == 0)
        st = err_set(err, DATA, "an empty id");
    else if (st == OK && (utf8_span(id->p, id->n) != id->n || memchr(id->p, '\0', id->n) != NULL))
        st = err_set(err, DATA, "an id that is not UTF-8 text");
    else if (st == OK && memchr(id->p, '\n', id->n) != NULL) /* mp2npy writes one a line */
        st = err_set(err, DATA, "an id with a line break");
    return st == DATA ? err_context(err, "%s: %s %zu", l->name, l->npy ? "string" : "line", l->next) : st;
}
