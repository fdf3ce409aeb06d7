/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalogue - the tracks that are ranked, numbered in stream order. One pass; memory: the ids.
 */
#include "eval/eval.h"

struct loading {
    struct ids *ids;
    enum status (*each)(void *arg, const struct rec *rec, struct err *err);
    void *arg;
};

static enum status
load_track(void *arg, const struct rec *rec, struct err *err)
{
    struct loading *l = arg;
    uint32_t before = ids_count(l->ids), index;
    struct str id;
    enum status st;

    if ((st = map_id(&id, &rec->map, "track_id", err)) != OK || (st = ids_add(&index, l->ids, id, err)) != OK)
        return st;
    if (index < before)
        return err_set(err, DATA, "track_id: %.*s comes twice", (int)(id.n > 99 ? 99 : id.n), id.p);
    return l->each != NULL ? l->each(l->arg, rec, err) : OK;
}

enum status
catalogue_load(struct ids **out, const char *path,
    enum status (*each)(void *arg, const struct rec *rec, struct err *err), void *arg, struct err *err)
{
    struct loading l = {NULL, each, arg};
    enum status st;

    if ((st = ids_new(&l.ids, err)) == OK && (st = rec_each(path, load_track, &l, err)) == OK) {
        *out = l.ids;
        return OK;
    }
    ids_free(l.ids);
    return st;
}
