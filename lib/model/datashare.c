/* SPDX-License-Identifier: Apache-2.0 */
/* datashare - examples from the process that read them to those that have read nothing. */
#include <stdlib.h>
#include <string.h>

#include "model/dataset.h"

struct sizes {
    size_t n, n_tokens, longest, text;
    uint32_t names;
};

/* Names as one text; their lengths come besides, since a name may hold any byte. */
static enum status
put_names(struct buf *text, uint32_t *length, const struct ids *names, struct err *err)
{
    enum status st = OK;

    for (uint32_t i = 0; st == OK && i < ids_count(names); i++) {
        struct str s = ids_str(names, i);

        length[i] = (uint32_t)s.n;
        st = buf_adds(text, s, err);
    }
    return st;
}

static enum status
get_names(struct ids *names, const struct buf *text, const uint32_t *length, uint32_t n, struct err *err)
{
    const char *at = text->p;
    enum status st = OK;

    for (uint32_t i = 0, index; st == OK && i < n; at += length[i++])
        st = ids_add(&index, names, (struct str){at, length[i]}, err);
    return st;
}

static enum status
share_names(struct dataset *d, const struct sizes *z, struct err *err)
{
    struct buf text = {0};
    uint32_t *length = calloc((size_t)z->names + 1, sizeof *length);
    bool mine = team_rank() == 0;
    enum status st = length == NULL ? err_memory(err) : buf_reserve(&text, z->text + 1, err);

    if (st == OK && mine)
        st = put_names(&text, length, d->names, err);
    if (st == OK && (st = team_share(length, z->names * sizeof *length, err)) == OK &&
        (st = team_share(text.p, z->text, err)) == OK && !mine)
        st = get_names(d->names, &text, length, z->names, err);
    buf_free(&text);
    free(length);
    return st;
}

enum status
dataset_share(struct dataset *d, struct err *err)
{
    struct sizes z = {.n = d->n, .n_tokens = d->n_tokens, .longest = d->longest, .names = ids_count(d->names)};
    enum status st;

    if (team_size() == 1)
        return OK;
    for (uint32_t i = 0; i < z.names; i++)
        z.text += ids_str(d->names, i).n;
    if ((st = team_share(&z, sizeof z, err)) != OK)
        return st;
    if (team_rank() > 0) {
        d->n = d->cap = z.n;
        d->n_tokens = d->cap_tokens = z.n_tokens;
        d->longest = z.longest;
        d->example = calloc(z.n + 1, sizeof *d->example);
        d->token = calloc(z.n_tokens + 1, sizeof *d->token);
        d->trained = calloc(z.n_tokens + 1, sizeof *d->trained);
        if (d->example == NULL || d->token == NULL || d->trained == NULL)
            return err_memory(err);
    }
    if ((st = share_names(d, &z, err)) != OK || (st = team_share(d->example, z.n * sizeof *d->example, err)) != OK ||
        (st = team_share(d->token, z.n_tokens * sizeof *d->token, err)) != OK)
        return st;
    return team_share(d->trained, z.n_tokens * sizeof *d->trained, err);
}
