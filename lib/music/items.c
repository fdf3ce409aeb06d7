/* SPDX-License-Identifier: Apache-2.0 */
/*
 * items - the catalogue in memory: track ids and their codes, in the order of the stream.
 * Memory: about 24 bytes, the id and 20 bytes of codes a track. Linear time.
 */
#include <stdlib.h>

#include "music/music.h"

struct loader {
    struct items *items;
    uint32_t cap;
};

static enum status
add_item(void *arg, const struct rec *rec, struct err *err)
{
    struct loader *l = arg;
    struct items *items = l->items;
    struct codes codes;
    struct str id;
    uint32_t index;

    if (map_id(&id, &rec->map, "track_id", err) != OK || codes_get(&codes, &rec->map, "codes", err) != OK)
        return err->status;
    if (ids_add(&index, items->ids, id, err) != OK)
        return err->status;
    if (index < items->n)
        return err_set(err, DATA, "track_id: \"%.*s\" comes twice", id.n > 80 ? 80 : (int)id.n, id.p);
    if (items->n == l->cap) {
        uint32_t cap = l->cap == 0 ? 1024 : l->cap * 2;
        struct codes *p = realloc(items->codes, (size_t)cap * sizeof(*p));
        if (p == NULL)
            return err_memory(err);
        items->codes = p;
        l->cap = cap;
    }
    items->codes[items->n++] = codes;
    return OK;
}

enum status
items_load(struct items **out, const char *path, struct err *err)
{
    struct loader l = {.items = calloc(1, sizeof(struct items))};
    enum status st;

    *out = NULL;
    if (l.items == NULL)
        return err_memory(err);
    if ((st = ids_new(&l.items->ids, err)) == OK)
        st = rec_each(path, add_item, &l, err);
    if (st == OK)
        *out = l.items;
    else
        items_free(l.items);
    return st;
}

void
items_free(struct items *items)
{
    if (items == NULL)
        return;
    ids_free(items->ids);
    free(items->codes);
    free(items);
}

static int
compare_tracks(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

enum status
items_history(uint32_t **tracks, size_t *n, const struct items *items, const msgpack_object *map, struct err *err)
{
    const msgpack_object *list;
    struct str role, id;
    size_t found = 0;

    *tracks = NULL;
    *n = 0;
    if (!map_has(map, "history"))
        return OK;
    if (map_array(&list, map, "history", err) != OK)
        return err->status;
    if ((*tracks = calloc((size_t)list->via.array.size + 1, sizeof(**tracks))) == NULL)
        return err_memory(err);
    for (uint32_t i = 0; i < list->via.array.size; i++) {
        const msgpack_object *turn = &list->via.array.ptr[i];
        uint32_t track;

        if (obj_map(turn, "history", err) != OK || map_str(&role, turn, "role", err) != OK)
            return err->status == DATA ? err_context(err, "history: %u", i + 1) : err->status;
        if (!str_eq(role, STR("music")))
            continue;
        if (map_str(&id, turn, "content", err) != OK)
            return err_context(err, "history: %u", i + 1);
        if ((track = ids_find(items->ids, id)) != IDS_NONE)
            (*tracks)[found++] = track;
    }
    qsort(*tracks, found, sizeof(**tracks), compare_tracks);
    for (size_t i = 0; i < found; i++)
        if (*n == 0 || (*tracks)[*n - 1] != (*tracks)[i])
            (*tracks)[(*n)++] = (*tracks)[i];
    return OK;
}
