/* SPDX-License-Identifier: Apache-2.0 */
/* field - typed access to the pairs of a map, with messages that say what was expected and found. */
#include <math.h>
#include <string.h>

#include "stream/stream.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "vectors are copied as little-endian float32");

const char *
obj_type(const msgpack_object *o)
{
    switch (o->type) {
    case MSGPACK_OBJECT_NIL:
        return "nil";
    case MSGPACK_OBJECT_BOOLEAN:
        return "boolean";
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        return "integer";
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return "negative integer";
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return "float";
    case MSGPACK_OBJECT_STR:
        return "string";
    case MSGPACK_OBJECT_ARRAY:
        return "array";
    case MSGPACK_OBJECT_MAP:
        return "map";
    case MSGPACK_OBJECT_BIN:
        return "binary";
    case MSGPACK_OBJECT_EXT:
        return o->via.ext.type == REC_EXT_VECTOR ? "vector" : "extension";
    }
    return "unknown type";
}

const msgpack_object *
map_find(const msgpack_object *map, const char *key)
{
    size_t n = strlen(key);

    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[i];
        if (kv->key.type == MSGPACK_OBJECT_STR && kv->key.via.str.size == n && memcmp(kv->key.via.str.ptr, key, n) == 0)
            return kv->val.type == MSGPACK_OBJECT_NIL ? NULL : &kv->val;
    }
    return NULL;
}

bool
map_has(const msgpack_object *map, const char *key)
{
    return map_find(map, key) != NULL;
}

static enum status
wrong_type(const char *what, const char *expected, const msgpack_object *o, struct err *err)
{
    return err_set(err, DATA, "%s: expected %s, got %s", what, expected, obj_type(o));
}

static enum status
find(const msgpack_object **out, const msgpack_object *map, const char *key, struct err *err)
{
    *out = map_find(map, key);
    return *out != NULL ? OK : err_set(err, DATA, "%s: missing", key);
}

enum status
obj_str(struct str *out, const msgpack_object *o, const char *what, struct err *err)
{
    if (o->type != MSGPACK_OBJECT_STR)
        return wrong_type(what, "string", o, err);
    *out = (struct str){o->via.str.ptr, o->via.str.size};
    return OK;
}

enum status
obj_u64(uint64_t *out, const msgpack_object *o, const char *what, uint64_t max, struct err *err)
{
    if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return wrong_type(what, "integer", o, err);
    if (o->via.u64 > max)
        return err_set(err, DATA, "%s: expected at most %llu, got %llu", what, (unsigned long long)max,
            (unsigned long long)o->via.u64);
    *out = o->via.u64;
    return OK;
}

enum status
obj_f64(double *out, const msgpack_object *o, const char *what, struct err *err)
{
    switch (o->type) {
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        *out = (double)o->via.u64;
        return OK;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        *out = (double)o->via.i64;
        return OK;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        *out = o->via.f64;
        if (!isfinite(*out))
            return err_set(err, DATA, "%s: expected a finite number", what);
        return OK;
    default:
        return wrong_type(what, "number", o, err);
    }
}

enum status
obj_map(const msgpack_object *o, const char *what, struct err *err)
{
    return o->type == MSGPACK_OBJECT_MAP ? OK : wrong_type(what, "map", o, err);
}

enum status
map_str(struct str *out, const msgpack_object *map, const char *key, struct err *err)
{
    const msgpack_object *o;

    return find(&o, map, key, err) != OK ? DATA : obj_str(out, o, key, err);
}

enum status
map_id(struct str *out, const msgpack_object *map, const char *key, struct err *err)
{
    if (map_str(out, map, key, err) != OK)
        return DATA;
    return out->n > 0 ? OK : err_set(err, DATA, "%s: expected an id, got an empty string", key);
}

const char *const split_name[SPLITS] = {"train", "valid", "test"};

enum status
map_split(enum split *out, const msgpack_object *map, struct err *err)
{
    struct str name;

    *out = SPLIT_TRAIN;
    if (!map_has(map, "split"))
        return OK;
    if (map_str(&name, map, "split", err) != OK)
        return DATA;
    for (enum split s = SPLIT_TRAIN; s < SPLITS; s++)
        if (str_eq(name, str_of(split_name[s]))) {
            *out = s;
            return OK;
        }
    return err_set(
        err, DATA, "split: expected train, valid or test, got \"%.*s\"", name.n > 40 ? 40 : (int)name.n, name.p);
}

enum status
map_u64(uint64_t *out, const msgpack_object *map, const char *key, uint64_t max, struct err *err)
{
    const msgpack_object *o;

    return find(&o, map, key, err) != OK ? DATA : obj_u64(out, o, key, max, err);
}

enum status
map_i64(int64_t *out, const msgpack_object *map, const char *key, struct err *err)
{
    const msgpack_object *o;

    if (find(&o, map, key, err) != OK)
        return DATA;
    if (o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) {
        *out = o->via.i64;
        return OK;
    }
    if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return wrong_type(key, "integer", o, err);
    if (o->via.u64 > INT64_MAX)
        return err_set(err, DATA, "%s: too large", key);
    *out = (int64_t)o->via.u64;
    return OK;
}

enum status
map_f64(double *out, const msgpack_object *map, const char *key, struct err *err)
{
    const msgpack_object *o;

    return find(&o, map, key, err) != OK ? DATA : obj_f64(out, o, key, err);
}

enum status
map_bool(bool *out, const msgpack_object *map, const char *key, struct err *err)
{
    const msgpack_object *o;

    if (find(&o, map, key, err) != OK)
        return DATA;
    if (o->type != MSGPACK_OBJECT_BOOLEAN)
        return wrong_type(key, "boolean", o, err);
    *out = o->via.boolean;
    return OK;
}

enum status
map_array(const msgpack_object **out, const msgpack_object *map, const char *key, struct err *err)
{
    if (find(out, map, key, err) != OK)
        return DATA;
    return (*out)->type == MSGPACK_OBJECT_ARRAY ? OK : wrong_type(key, "array", *out, err);
}

enum status
map_map(const msgpack_object **out, const msgpack_object *map, const char *key, struct err *err)
{
    if (find(out, map, key, err) != OK)
        return DATA;
    return obj_map(*out, key, err);
}

static enum status
find_vector(const msgpack_object **out, size_t *n, const msgpack_object *map, const char *key, struct err *err)
{
    if (find(out, map, key, err) != OK)
        return DATA;
    if ((*out)->type != MSGPACK_OBJECT_EXT || (*out)->via.ext.type != REC_EXT_VECTOR)
        return wrong_type(key, "vector", *out, err);
    if ((*out)->via.ext.size % sizeof(float) != 0)
        return err_set(
            err, DATA, "%s: a vector of %u bytes is not a whole number of float32", key, (*out)->via.ext.size);
    *n = (*out)->via.ext.size / sizeof(float);
    return OK;
}

enum status
map_vector_size(size_t *n, const msgpack_object *map, const char *key, struct err *err)
{
    const msgpack_object *o;

    return find_vector(&o, n, map, key, err);
}

/* Without a way out of the loop, so that it takes many numbers at a time. */
static bool
all_finite(const float *x, size_t n)
{
    int bad = 0;

#pragma omp simd reduction(| : bad)
    for (size_t i = 0; i < n; i++)
        bad |= !isfinite(x[i]);
    return bad == 0;
}

/* Some number of x is not. */
static enum status
not_finite(const float *x, const char *key, struct err *err)
{
    size_t i = 0;

    while (isfinite(x[i]))
        i++;
    return err_set(err, DATA, "%s: number %zu is not finite", key, i + 1);
}

enum status
map_vector(float *out, size_t n, const msgpack_object *map, const char *key, struct err *err)
{
    const msgpack_object *o;
    size_t got = 0;

    if (find_vector(&o, &got, map, key, err) != OK)
        return DATA;
    if (got != n)
        return err_set(err, DATA, "%s: expected %zu numbers, got %zu", key, n, got);
    if (n > 0)
        memcpy(out, o->via.ext.ptr, n * sizeof(float));
    return all_finite(out, n) ? OK : not_finite(out, key, err);
}
