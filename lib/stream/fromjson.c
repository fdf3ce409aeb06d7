/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fromjson - a record from JSON, and where one JSON value of many ends.
 *
 * The inverse of tojson: integers become integers, other numbers float64, an array of nothing but numbers under one of
 * the vectors' keys a vector, at any depth.
 */
#include <math.h>
#include <stdlib.h>

#include "path.h"
#include "stream/stream.h"

const char *const rec_vector_keys[] = {"vector", "playlist", "semantic", "metadata", "lyrics", "audio", NULL};

const char **
rec_vector_list(const struct opt_list *more, struct err *err)
{
    size_t n = sizeof(rec_vector_keys) / sizeof(rec_vector_keys[0]) - 1;
    const char **keys = calloc(n + more->n + 1, sizeof(*keys));

    if (keys == NULL) {
        (void)err_memory(err);
        return NULL;
    }
    for (size_t i = 0; i < n + more->n; i++)
        keys[i] = i < n ? rec_vector_keys[i] : more->item[i - n];
    return keys;
}

struct walk {
    struct rec_writer *w;
    const char *const *vectors; /* keys, NULL behind the last */
    float *numbers;             /* scratch, owned */
    size_t room;
    struct err *err;
    struct path path;
};

static enum status add_value(struct walk *k, struct json v, bool may_be_vector);

static bool
names_vector(const struct walk *k, struct str key)
{
    for (const char *const *name = k->vectors; name != NULL && *name != NULL; name++)
        if (str_eq(key, str_of(*name)))
            return true;
    return false;
}

static bool
is_number(struct json v)
{
    enum json_type t = json_type(v);

    return t == JSON_I64 || t == JSON_U64 || t == JSON_F64;
}

static bool
all_numbers(struct json array)
{
    for (struct json_iter it = json_iter(array); json_next(&it);)
        if (!is_number(it.value))
            return false;
    return true;
}

static enum status
add_vector(struct walk *k, struct json array)
{
    size_t n = json_size(array), bytes, i = 0;

    if (n > k->room) {
        float *more = size_mul(&bytes, n, sizeof(*more)) ? realloc(k->numbers, bytes) : NULL;
        if (more == NULL)
            return err_memory(k->err);
        k->numbers = more;
        k->room = n;
    }
    for (struct json_iter it = json_iter(array); json_next(&it); i++) {
        k->numbers[i] = (float)json_f64(it.value);
        if (!isfinite(k->numbers[i]))
            return err_set(k->err, DATA, "number %zu is beyond float32", i + 1);
    }
    put_vector(k->w, NULL, k->numbers, n);
    return OK;
}

static enum status
add_container(struct walk *k, struct json v, bool map)
{
    size_t index = 0;
    enum status st;

    if (k->path.n >= REC_MAX_DEPTH)
        return err_set(k->err, DATA, "nested deeper than %d", REC_MAX_DEPTH);
    if (map)
        put_map(k->w, NULL);
    else
        put_array(k->w, NULL);
    for (struct json_iter it = json_iter(v); json_next(&it); index++) {
        if (map) {
            path_key(&k->path, it.key);
            put_key(k->w, it.key);
        } else {
            path_index(&k->path, index);
        }
        if ((st = add_value(k, it.value, map && names_vector(k, it.key))) != OK)
            return st;
        path_leave(&k->path);
    }
    put_close(k->w);
    return OK;
}

/* Writes v as the next element, or as the value of the key that put_key gave. On failure the path stays where it
 * was. */
static enum status
add_value(struct walk *k, struct json v, bool may_be_vector)
{
    switch (json_type(v)) {
    case JSON_NULL:
        put_nil(k->w, NULL);
        return OK;
    case JSON_BOOL:
        put_bool(k->w, NULL, json_bool(v));
        return OK;
    case JSON_I64:
        put_i64(k->w, NULL, json_i64(v));
        return OK;
    case JSON_U64:
        put_u64(k->w, NULL, json_u64(v));
        return OK;
    case JSON_F64:
        put_f64(k->w, NULL, json_f64(v));
        return OK;
    case JSON_STRING:
        put_str(k->w, NULL, json_str(v));
        return OK;
    case JSON_ARRAY:
        return may_be_vector && all_numbers(v) ? add_vector(k, v) : add_container(k, v, false);
    case JSON_OBJECT:
        break;
    }
    return add_container(k, v, true);
}

static const char *
type_name(struct json v)
{
    static const char *const name[] = {
        "null", "true or false", "a number", "a number", "a number", "a string", "an array"};

    return name[json_type(v)];
}

enum status
rec_from_json(struct rec_writer *w, struct json object, const char *const *vectors, struct err *err)
{
    struct err own;
    struct walk k = {.w = w, .vectors = vectors, .err = err != NULL ? err : &own};
    enum status st = OK;

    if (json_type(object) != JSON_OBJECT)
        return err_set(err, DATA, "expected an object, got %s", type_name(object));
    rec_begin(w);
    for (struct json_iter it = json_iter(object); st == OK && json_next(&it);) {
        k.path.n = 0;
        path_key(&k.path, it.key);
        put_key(w, it.key);
        st = add_value(&k, it.value, names_vector(&k, it.key));
    }
    free(k.numbers);
    if (st == OK)
        return rec_end(w, err);
    return st == DATA ? path_context(k.err, &k.path) : st;
}

/* Bytes that end a word such as true or 12. */
static bool
ends_word(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '{' || c == '[' || c == '"';
}

enum status
json_cut(struct json_cut *c, const char *p, size_t n)
{
    for (; c->at < n; c->at++) {
        char b = p[c->at];
        if (c->string) {
            if (c->escaped)
                c->escaped = false;
            else if (b == '\\')
                c->escaped = true;
            else if (b == '"' && (c->string = false, c->depth == 0))
                goto whole;
            continue;
        }
        if (c->word && ends_word(b))
            return OK;
        if (b == '"')
            c->string = true;
        else if (b == '{' || b == '[')
            c->depth++;
        else if ((b == '}' || b == ']') && (c->depth == 0 || --c->depth == 0))
            goto whole;
        else if (c->depth == 0)
            c->word = true;
    }
    return END;
whole:
    c->at++;
    return OK;
}
