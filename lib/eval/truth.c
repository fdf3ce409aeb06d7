/* SPDX-License-Identifier: Apache-2.0 */
/*
 * truth - the turns that are judged, what was relevant there, and which of that was warm or cold.
 *
 * Warm is a track of a training playlist, cold any other track of the catalogue (key cold of a track). The warm figure
 * keeps only the warm relevant tracks, and the cold figure only the cold ones; rankings stay as they are. Memory: the
 * ids of queries and relevant tracks.
 */
#include <stdlib.h>
#include <string.h>

#include "eval/eval.h"
#include "eval/room.h"

const char *const subset_suffix[SUBSETS] = {"", ".warm", ".cold"};

/* Adds a relevant track of the turn, once. */
static enum status
add_relevant(struct truth *t, struct turn *turn, struct str id, struct err *err)
{
    enum status st;
    uint32_t track;

    if ((st = ids_add(&track, t->tracks, id, err)) != OK ||
        (st = room(&t->relevant, &t->relevant_cap, t->n_relevant + 1, sizeof(*t->relevant), err)) != OK ||
        (st = room(&t->known, &t->known_cap, (size_t)track + 1, sizeof(*t->known), err)) != OK)
        return st;
    for (uint32_t i = 0; i < turn->count[ALL]; i++)
        if (t->relevant[turn->first + i] == track)
            return OK;
    t->relevant[t->n_relevant++] = track;
    turn->count[ALL]++;
    return OK;
}

static enum status
add_prompt(void *arg, const struct rec *rec, struct err *err)
{
    struct truth *t = arg;
    const msgpack_object *relevant = NULL;
    struct turn turn = {.first = (uint32_t)t->n_relevant};
    struct str id, track;
    const char *colon;
    uint64_t number = 0;
    uint32_t index;
    enum status st;

    if ((st = map_id(&id, &rec->map, "query_id", err)) != OK)
        return st;
    if ((colon = memrchr(id.p, ':', id.n)) == NULL)
        return err_set(err, DATA, "query_id: expected DIALOG:TURN, got %.*s", (int)(id.n > 99 ? 99 : id.n), id.p);
    if (map_has(&rec->map, "turn") && (st = map_u64(&number, &rec->map, "turn", UINT32_MAX, err)) != OK)
        return st;
    if (map_has(&rec->map, "relevant") && (st = map_array(&relevant, &rec->map, "relevant", err)) != OK)
        return st;
    if ((st = ids_add(&index, t->queries, id, err)) != OK)
        return st;
    if (index < t->n)
        return err_set(err, DATA, "query_id: %.*s comes twice", (int)(id.n > 99 ? 99 : id.n), id.p);
    turn.number = (uint32_t)number;
    id.n = (size_t)(colon - id.p);
    if ((st = ids_add(&turn.conversation, t->conversations, id, err)) != OK)
        return st;
    for (uint32_t i = 0; relevant != NULL && i < relevant->via.array.size; i++)
        if ((st = obj_str(&track, &relevant->via.array.ptr[i], "relevant", err)) != OK ||
            (st = add_relevant(t, &turn, track, err)) != OK)
            return st;
    if ((st = room(&t->turns, &t->turns_cap, t->n + 1, sizeof(*t->turns), err)) != OK)
        return st;
    t->turns[t->n++] = turn;
    return OK;
}

static enum status
add_track(void *arg, const struct rec *rec, struct err *err)
{
    struct truth *t = arg;
    bool cold = false;
    struct str id;
    enum status st;
    uint32_t track;

    if ((st = map_id(&id, &rec->map, "track_id", err)) != OK)
        return st;
    if (map_has(&rec->map, "cold") && (st = map_bool(&cold, &rec->map, "cold", err)) != OK)
        return st;
    if ((track = ids_find(t->tracks, id)) != IDS_NONE)
        t->known[track] = cold ? 2 : 1;
    return OK;
}

enum status
truth_load(struct truth **out, const char *prompts, const char *tracks, struct err *err)
{
    struct truth *t = calloc(1, sizeof(*t));
    enum status st;

    if (t == NULL)
        return err_memory(err);
    if ((st = ids_new(&t->queries, err)) != OK || (st = ids_new(&t->conversations, err)) != OK ||
        (st = ids_new(&t->tracks, err)) != OK || (st = rec_each(prompts, add_prompt, t, err)) != OK ||
        (tracks != NULL && (st = rec_each(tracks, add_track, t, err)) != OK)) {
        truth_free(t);
        return st;
    }
    for (size_t i = 0; i < t->n; i++)
        for (uint32_t r = 0; r < t->turns[i].count[ALL]; r++) {
            uint8_t known = t->known[t->relevant[t->turns[i].first + r]];
            t->turns[i].count[WARM] += known == 1;
            t->turns[i].count[COLD] += known == 2;
        }
    *out = t;
    return OK;
}

void
truth_free(struct truth *t)
{
    if (t == NULL)
        return;
    ids_free(t->queries);
    ids_free(t->conversations);
    ids_free(t->tracks);
    free(t->turns);
    free(t->relevant);
    free(t->known);
    free(t);
}

enum status
truth_refuse(const struct truth *t, const char *path, struct err *err)
{
    struct id_list *list = NULL;
    struct str id;
    enum status st = id_list_open(&list, path, err);

    for (size_t line = 1; st == OK && (st = id_list_next(&id, list, err)) == OK; line++)
        if (ids_find(t->conversations, id) != IDS_NONE)
            st = err_set(err, DATA, "%s: line %zu: conversation %.*s was trained on and cannot be scored", path, line,
                (int)(id.n > 99 ? 99 : id.n), id.p);
    id_list_free(list);
    return st == END ? OK : st;
}
