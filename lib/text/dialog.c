/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dialog - a conversation from its record: turns, and within a turn user, music, assistant.
 *
 * A turn begins with each entry of the user. Sources differ in whether the music or the words about
 * it come first; here it is always the music, since the words answer for it.
 */
#include <stdlib.h>
#include <string.h>

#include "text/text.h"

const char *const role_name[ROLES] = {"user", "music", "assistant"};

void
dialog_free(struct dialog *d)
{
    free(d->entry);
    *d = (struct dialog){0};
}

static enum status
read_role(enum role *out, const msgpack_object *o, struct err *err)
{
    struct str s;

    if (map_str(&s, o, "role", err) != OK)
        return DATA;
    for (int r = 0; r < ROLES; r++)
        if (str_eq(s, str_of(role_name[r]))) {
            *out = (enum role)r;
            return OK;
        }
    return err_set(err, DATA, "role: expected user, music or assistant, got '%.*s'", (int)(s.n < 40 ? s.n : 40), s.p);
}

static enum status
read_entry(struct dialog *d, const msgpack_object *o, struct err *err)
{
    struct entry e = {.train = true};

    if (obj_map(o, "turn", err) != OK || read_role(&e.role, o, err) != OK ||
        map_str(&e.content, o, "content", err) != OK)
        return DATA;
    if (map_has(o, "train") && map_bool(&e.train, o, "train", err) != OK)
        return DATA;
    if (e.role == USER || d->turns == 0)
        d->turns++;
    e.turn = d->turns;
    d->entry[d->n++] = e;
    return OK;
}

/* Stable: several tracks, or several answers, stay in their order. Turns are short. */
static void
sort_within_turns(struct dialog *d)
{
    for (size_t i = 1; i < d->n; i++) {
        struct entry e = d->entry[i];
        size_t k = i;
        for (; k > 0 && d->entry[k - 1].turn == e.turn && d->entry[k - 1].role > e.role; k--)
            d->entry[k] = d->entry[k - 1];
        d->entry[k] = e;
    }
}

enum status
dialog_read(struct dialog *d, const msgpack_object *map, struct err *err)
{
    const msgpack_object *turns;
    uint32_t n;

    d->n = 0;
    d->turns = 0;
    if (map_id(&d->id, map, "dialog_id", err) != OK || map_array(&turns, map, "turns", err) != OK)
        return DATA;
    n = turns->via.array.size;
    if (n > d->cap) {
        struct entry *p = realloc(d->entry, n * sizeof(*p));
        if (p == NULL)
            return err_memory(err);
        d->entry = p;
        d->cap = n;
    }
    for (uint32_t i = 0; i < n; i++)
        if (read_entry(d, &turns->via.array.ptr[i], err) != OK)
            return err_context(err, "turns: entry %u", i + 1);
    sort_within_turns(d);
    return OK;
}
