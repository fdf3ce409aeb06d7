/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matched - do a model's own words name tracks that exist? (Doh, Choi, Nam 2025, §5.2)
 *
 * Only samples drawn without masks can tell: a sample that is not of the grammar is malformed (gen writes malformed:
 * true), one whose modalities and codes are those of a track is an exact match, any other is a partial one. Memory: the
 * distinct tuples of the catalogue.
 */
#include <stdlib.h>

#include "eval/eval.h"

const char *const match_name[MATCH_KINDS] = {"match_malformed", "match_exact", "match_partial"};

#define MODALITIES_MAX \
    16 /* more than there are: what has more is refused before the square of their number is looked at */

struct matching {
    const struct truth *t;
    struct matched *out;
    struct ids *tuples, *queries;
    struct buf key;
};

/* A tuple of codes as bytes, whatever the order of its keys. */
static enum status
tuple_key(struct buf *out, const msgpack_object *map, struct err *err)
{
    const msgpack_object *codes;
    enum status st;
    struct str name, last = {NULL, 0}, next;
    uint64_t code, next_code = 0;

    out->n = 0;
    if ((st = map_map(&codes, map, "codes", err)) != OK)
        return st;
    if (codes->via.map.size > MODALITIES_MAX)
        return err_set(err, DATA, "codes: expected at most %d modalities, got %u", MODALITIES_MAX, codes->via.map.size);
    for (uint32_t i = 0; i < codes->via.map.size; i++) {
        next = (struct str){NULL, 0};
        for (uint32_t k = 0; k < codes->via.map.size; k++) {
            const msgpack_object_kv *kv = &codes->via.map.ptr[k];
            if ((st = obj_str(&name, &kv->key, "codes", err)) != OK ||
                (st = obj_u64(&code, &kv->val, "codes", UINT32_MAX, err)) != OK)
                return st;
            if ((last.p == NULL || str_cmp(name, last) > 0) && (next.p == NULL || str_cmp(name, next) < 0)) {
                next = name;
                next_code = code;
            }
        }
        if (next.p == NULL)
            return err_set(err, DATA, "codes: a modality comes twice");
        if ((st = buf_adds(out, next, err)) != OK ||
            (st = buf_printf(out, err, "=%llu ", (unsigned long long)next_code)) != OK)
            return st;
        last = next;
    }
    return OK;
}

static enum status
add_item(void *arg, const struct rec *rec, struct err *err)
{
    struct matching *m = arg;
    uint32_t index;
    enum status st = tuple_key(&m->key, &rec->map, err);

    return st == OK ? ids_add(&index, m->tuples, (struct str){m->key.p, m->key.n}, err) : st;
}

static enum status
kind_of(enum match_kind *kind, struct matching *m, const msgpack_object *candidate, struct err *err)
{
    bool malformed = false;
    enum status st;

    if ((st = obj_map(candidate, "candidates", err)) != OK)
        return st;
    if (map_has(candidate, "malformed") && (st = map_bool(&malformed, candidate, "malformed", err)) != OK)
        return st;
    if (malformed) {
        *kind = MATCH_MALFORMED;
        return OK;
    }
    if ((st = tuple_key(&m->key, candidate, err)) != OK)
        return st;
    *kind = ids_find(m->tuples, (struct str){m->key.p, m->key.n}) != IDS_NONE ? MATCH_EXACT : MATCH_PARTIAL;
    return OK;
}

static enum status
add_generation(void *arg, const struct rec *rec, struct err *err)
{
    struct matching *m = arg;
    const msgpack_object *candidates;
    uint32_t index, again, before = ids_count(m->queries);
    enum match_kind kind;
    struct str query;
    enum status st;

    if ((st = map_id(&query, &rec->map, "query_id", err)) != OK ||
        (st = map_array(&candidates, &rec->map, "candidates", err)) != OK ||
        (st = ids_add(&again, m->queries, query, err)) != OK)
        return st;
    if (again < before)
        return err_set(err, DATA, "query_id: %.*s comes twice", (int)(query.n > 99 ? 99 : query.n), query.p);
    if ((index = ids_find(m->t->queries, query)) == IDS_NONE)
        return err_set(
            err, DATA, "query_id: %.*s is not among the prompts", (int)(query.n > 99 ? 99 : query.n), query.p);
    for (uint32_t i = 0; i < candidates->via.array.size; i++) {
        if ((st = kind_of(&kind, m, &candidates->via.array.ptr[i], err)) != OK)
            return err_context(err, "candidates: %u", i + 1);
        m->out->count[(size_t)index * MATCH_KINDS + kind]++;
    }
    return OK;
}

enum status
matched_load(
    struct matched *out, const struct truth *t, const char *name, const char *path, const char *items, struct err *err)
{
    struct matching m = {.t = t, .out = out};
    enum status st;

    *out = (struct matched){.name = name, .count = calloc(t->n + 1, MATCH_KINDS * sizeof(*out->count))};
    if (out->count == NULL)
        return err_memory(err);
    if ((st = ids_new(&m.tuples, err)) == OK && (st = ids_new(&m.queries, err)) == OK &&
        (st = rec_each(items, add_item, &m, err)) == OK)
        st = rec_each(path, add_generation, &m, err);
    ids_free(m.tuples);
    ids_free(m.queries);
    buf_free(&m.key);
    if (st != OK)
        matched_fini(out);
    return st;
}

void
matched_fini(struct matched *m)
{
    free(m->count);
    m->count = NULL;
}
