/* SPDX-License-Identifier: Apache-2.0 */
/* Prompts as records have them. */
#include <stdlib.h>

#include "model/generate.h"

enum status
prompt_ids(
    int32_t **ids, size_t *n, const msgpack_object *map, size_t room, const struct model_config *c, struct err *err)
{
    const msgpack_object *list;
    enum status st;

    *ids = NULL;
    *n = 0;
    if ((st = map_array(&list, map, "ids", err)) != OK)
        return st;
    if (list->via.array.size == 0)
        return err_set(err, DATA, "ids: expected at least one token");
    if (list->via.array.size > room)
        return err_set(err, DATA, "ids: %u tokens, but there is room for %zu in the model's %zu positions",
            (unsigned)list->via.array.size, room, c->max_positions);
    if ((*ids = calloc(list->via.array.size, sizeof **ids)) == NULL)
        return err_memory(err);
    for (size_t i = 0; i < list->via.array.size; i++) {
        uint64_t id;

        if ((st = obj_u64(&id, &list->via.array.ptr[i], "ids", c->V - 1, err)) != OK)
            return st;
        (*ids)[(*n)++] = (int32_t)id;
    }
    return OK;
}
