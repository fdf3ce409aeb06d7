/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tojson - a record as JSON text.
 *
 * Integers stay integers, a float64 has a point or an exponent, a vector is an array of the shortest numbers that read
 * back to the same float32. What JSON cannot say is refused: NaN and infinity, keys that are not strings, strings that
 * are not UTF-8, binary, extensions other than the vector. A lone float32 (no writer of ours makes one) is printed as
 * the float64 it equals.
 */
#include <math.h>
#include <string.h>

#include "path.h"
#include "stream/stream.h"

#define NUMBER_BYTES 32 /* what json_number_* may write */

struct walk {
    struct buf *out;
    struct err *err;
    struct path path;
};

static enum status add_value(struct walk *w, const msgpack_object *o);

static enum status
add_f64(struct walk *w, double x)
{
    if (!isfinite(x))
        return err_set(w->err, DATA, "a number that is not finite");
    if (buf_reserve(w->out, NUMBER_BYTES, w->err) != OK)
        return SYSTEM;
    w->out->n += json_number_f64(w->out->p + w->out->n, x);
    return OK;
}

/* Token ids are most of a stream's integers: no printf. */
static enum status
add_integer(struct walk *w, bool negative, uint64_t magnitude)
{
    char text[24];
    size_t at = sizeof(text);

    do
        text[--at] = (char)('0' + magnitude % 10);
    while ((magnitude /= 10) > 0);
    if (negative)
        text[--at] = '-';
    return buf_add(w->out, text + at, sizeof(text) - at, w->err);
}

static enum status
add_vector(struct walk *w, const char *bytes, size_t size)
{
    struct buf *out = w->out;
    size_t n = size / sizeof(float), room;

    if (size % sizeof(float) != 0)
        return err_set(w->err, DATA, "a vector of %zu bytes is not a whole number of float32", size);
    /* A float32 takes at most 14 characters and its comma; the last needs room for what json_number_f32 may write. */
    if (!size_mul(&room, n, 16) || buf_reserve(out, room + NUMBER_BYTES + 2, w->err) != OK)
        return err_memory(w->err);
    out->p[out->n++] = '[';
    for (size_t i = 0; i < n; i++) {
        float x;
        memcpy(&x, bytes + i * sizeof(x), sizeof(x));
        if (!isfinite(x))
            return err_set(w->err, DATA, "number %zu is not finite", i + 1);
        if (i > 0)
            out->p[out->n++] = ',';
        out->n += json_number_f32(out->p + out->n, x);
    }
    out->p[out->n++] = ']';
    return OK;
}

static enum status
add_array(struct walk *w, const msgpack_object_array *a)
{
    enum status st = buf_add(w->out, "[", 1, w->err);

    for (uint32_t i = 0; st == OK && i < a->size; i++) {
        if (i > 0 && (st = buf_add(w->out, ",", 1, w->err)) != OK)
            break;
        path_index(&w->path, i);
        if ((st = add_value(w, &a->ptr[i])) == OK)
            path_leave(&w->path);
    }
    return st != OK ? st : buf_add(w->out, "]", 1, w->err);
}

static enum status
add_pair(struct walk *w, const msgpack_object_kv *kv)
{
    struct str key = {kv->key.via.str.ptr, kv->key.via.str.size};
    enum status st;

    if (kv->key.type != MSGPACK_OBJECT_STR)
        return err_set(w->err, DATA, "a key that is not a string but %s", obj_type(&kv->key));
    path_key(&w->path, key);
    if ((st = json_quote(w->out, key, w->err)) != OK || (st = buf_add(w->out, ":", 1, w->err)) != OK ||
        (st = add_value(w, &kv->val)) != OK)
        return st;
    path_leave(&w->path);
    return OK;
}

static enum status
add_map(struct walk *w, const msgpack_object_map *m)
{
    enum status st = buf_add(w->out, "{", 1, w->err);

    for (uint32_t i = 0; st == OK && i < m->size; i++) {
        if (i > 0 && (st = buf_add(w->out, ",", 1, w->err)) != OK)
            break;
        st = add_pair(w, &m->ptr[i]);
    }
    return st != OK ? st : buf_add(w->out, "}", 1, w->err);
}

/* Depth is bounded: objects come from rec_read. On failure the path stays where it was. */
static enum status
add_value(struct walk *w, const msgpack_object *o)
{
    switch (o->type) {
    case MSGPACK_OBJECT_NIL:
        return buf_adds(w->out, STR("null"), w->err);
    case MSGPACK_OBJECT_BOOLEAN:
        return buf_adds(w->out, o->via.boolean ? STR("true") : STR("false"), w->err);
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        return add_integer(w, false, o->via.u64);
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return add_integer(w, true, 0 - (uint64_t)o->via.i64);
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return add_f64(w, o->via.f64);
    case MSGPACK_OBJECT_STR:
        return json_quote(w->out, (struct str){o->via.str.ptr, o->via.str.size}, w->err);
    case MSGPACK_OBJECT_ARRAY:
        return add_array(w, &o->via.array);
    case MSGPACK_OBJECT_MAP:
        return add_map(w, &o->via.map);
    case MSGPACK_OBJECT_EXT:
        if (o->via.ext.type == REC_EXT_VECTOR)
            return add_vector(w, o->via.ext.ptr, o->via.ext.size);
        return err_set(w->err, DATA, "JSON has no form for extension type %d", o->via.ext.type);
    default:
        return err_set(w->err, DATA, "JSON has no form for %s", obj_type(o));
    }
}

enum status
rec_to_json(struct buf *out, const msgpack_object *o, struct err *err)
{
    struct err own;
    struct walk w = {.out = out, .err = err != NULL ? err : &own};
    size_t start = out->n;
    enum status st = add_value(&w, o);

    if (st == OK)
        return OK;
    out->n = start;
    return st == DATA ? path_context(w.err, &w.path) : st;
}
