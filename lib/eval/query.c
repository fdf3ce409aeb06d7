/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query - what a baseline reads of a prompt: the requests so far and the tracks that were already played.
 *
 * The history's last user entry is the request to be answered.
 */
#include <string.h>

#include "eval/eval.h"

enum status
query_get(struct query *out, const msgpack_object *map, struct err *err)
{
    enum status st;

    *out = (struct query){.turn = map_find(map, "turn")};
    if ((st = map_id(&out->id, map, "query_id", err)) != OK ||
        (st = map_array(&out->history, map, "history", err)) != OK)
        return st;
    if (map_has(map, "relevant") && (st = map_array(&out->relevant, map, "relevant", err)) != OK)
        return st;
    for (uint32_t i = 0; i < out->history->via.array.size; i++) {
        const msgpack_object *entry = &out->history->via.array.ptr[i];
        struct str s;
        if ((st = obj_map(entry, "history", err)) != OK || (st = map_str(&s, entry, "role", err)) != OK ||
            (st = map_str(&s, entry, "content", err)) != OK)
            return err_context(err, "history: entry %u", i + 1);
    }
    return OK;
}

/* The content of history entry i if it is of that role. query_get has checked its shape. */
static bool
entry_of(struct str *content, const struct query *q, uint32_t i, const char *role)
{
    const msgpack_object *entry = &q->history->via.array.ptr[i];
    struct str s;

    return map_str(&s, entry, "role", NULL) == OK && str_eq(s, str_of(role)) &&
           map_str(content, entry, "content", NULL) == OK;
}

enum status
query_text(struct buf *out, const struct query *q, bool all, struct err *err)
{
    uint32_t n = q->history->via.array.size, first = 0;
    enum status st;
    struct str s;

    out->n = 0;
    if (!all)
        for (uint32_t i = 0; i < n; i++)
            if (entry_of(&s, q, i, "user"))
                first = i;
    for (uint32_t i = first; i < n; i++)
        if (entry_of(&s, q, i, "user") &&
            ((st = buf_adds(out, s, err)) != OK || (st = buf_adds(out, STR("\n"), err)) != OK))
            return st;
    return OK;
}

void
query_seen(uint8_t *seen, const struct query *q, const struct ids *catalogue)
{
    struct str s;

    memset(seen, 0, ids_count(catalogue));
    for (uint32_t i = 0; i < q->history->via.array.size; i++) {
        if (!entry_of(&s, q, i, "music"))
            continue;
        uint32_t t = ids_find(catalogue, s);
        if (t != IDS_NONE)
            seen[t] = 1;
    }
}
