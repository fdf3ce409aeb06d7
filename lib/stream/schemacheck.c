/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemacheck - whether a record is what its schema says, and if not, what is wrong first.
 *
 * Cost: time linear in the record, but for maps: n pairs take n log n, and n for each property.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "path.h"
#include "schema.h"

struct check {
    struct path path;
    struct err *err;
};

/* The schema {}, of what no schema knows. */
static const struct node anything = {
    .max_items = UINT64_MAX, .minimum = -(double)INFINITY, .maximum = (double)INFINITY};

static enum status check_value(struct check *k, const struct node *s, const msgpack_object *o);

static struct str
str_of_object(const msgpack_object *o)
{
    return (struct str){o->via.str.ptr, o->via.str.size};
}

static unsigned
type_of(const msgpack_object *o)
{
    switch (o->type) {
    case MSGPACK_OBJECT_NIL:
        return T_NIL;
    case MSGPACK_OBJECT_BOOLEAN:
        return T_BOOL;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return T_INTEGER | T_NUMBER;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return T_NUMBER;
    case MSGPACK_OBJECT_STR:
        return T_STRING;
    case MSGPACK_OBJECT_ARRAY:
        return T_ARRAY;
    case MSGPACK_OBJECT_MAP:
        return T_MAP;
    default:
        return 0;
    }
}

static bool
is_vector(const msgpack_object *o)
{
    return o->type == MSGPACK_OBJECT_EXT && o->via.ext.type == REC_EXT_VECTOR;
}

static bool
type_fits(const struct node *s, const msgpack_object *o)
{
    if (s->vector)
        return is_vector(o);
    return s->types == 0 || (s->types & type_of(o)) != 0;
}

/* The names of types, joined by "or", into out. */
static void
name_types(char *out, size_t size, unsigned types)
{
    size_t n = 0;

    out[0] = '\0';
    for (size_t i = 0; i < SCHEMA_TYPES && n < size; i++)
        if (types & schema_types[i].bit) {
            int more = snprintf(out + n, size - n, "%s%s", n > 0 ? " or " : "", schema_types[i].stream);
            n += more > 0 ? (size_t)more : 0;
        }
}

static enum status
wrong_type(struct check *k, unsigned types, bool vector, const msgpack_object *o)
{
    char names[128];

    name_types(names, sizeof(names), types);
    return err_set(k->err, DATA, "expected %s, got %s", vector ? "vector" : names, obj_type(o));
}

static bool
same_scalar(struct json v, const msgpack_object *o)
{
    switch (json_type(v)) {
    case JSON_NULL:
        return o->type == MSGPACK_OBJECT_NIL;
    case JSON_BOOL:
        return o->type == MSGPACK_OBJECT_BOOLEAN && o->via.boolean == json_bool(v);
    case JSON_STRING:
        return o->type == MSGPACK_OBJECT_STR && str_eq(json_str(v), str_of_object(o));
    case JSON_I64:
        return json_i64(v) < 0 ? o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER && o->via.i64 == json_i64(v)
                               : o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 == json_u64(v);
    case JSON_U64:
        return o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 == json_u64(v);
    case JSON_F64:
        return type_of(o) == T_NUMBER && o->via.f64 == json_f64(v);
    default:
        return false;
    }
}

static enum status
check_choices(struct check *k, const struct node *s, const msgpack_object *o)
{
    struct buf text = {0};
    enum status st = OK;

    for (struct json_iter it = json_iter(s->choices); json_next(&it);)
        if (same_scalar(it.value, o))
            return OK;
    for (struct json_iter it = json_iter(s->choices); st == OK && json_next(&it);) {
        st = text.n > 0 ? buf_add(&text, ", ", 2, k->err) : OK;
        if (st == OK && json_type(it.value) == JSON_STRING)
            st = json_quote(&text, json_str(it.value), k->err);
        else if (st == OK)
            st = buf_printf(&text, k->err, "another constant");
    }
    if (st == OK && (st = buf_adds(&text, STR(", got "), k->err)) == OK)
        st = o->type == MSGPACK_OBJECT_STR && o->via.str.size < 64 ? json_quote(&text, str_of_object(o), k->err)
                                                                   : buf_adds(&text, str_of(obj_type(o)), k->err);
    if (st == OK)
        st = err_set(k->err, DATA, "expected one of %.*s", (int)text.n, text.p);
    buf_free(&text);
    return st;
}

static enum status
check_number(struct check *k, const struct node *s, const msgpack_object *o)
{
    double x = 0;

    if (obj_f64(&x, o, "", NULL) != OK)
        return err_set(k->err, DATA, "expected a finite number");
    if (x < s->minimum)
        return err_set(k->err, DATA, "expected at least %.17g, got %.17g", s->minimum, x);
    if (x > s->maximum)
        return err_set(k->err, DATA, "expected at most %.17g, got %.17g", s->maximum, x);
    return OK;
}

static enum status
check_string(struct check *k, const struct node *s, const msgpack_object *o)
{
    size_t n = o->via.str.size, characters = 0, bad = utf8_span(o->via.str.ptr, n);

    if (bad < n)
        return err_set(k->err, DATA, "a string whose byte %zu is not UTF-8", bad);
    for (size_t i = 0; i < n && characters < s->min_length; i++)
        characters += ((unsigned char)o->via.str.ptr[i] & 0xc0) != 0x80;
    if (characters >= s->min_length)
        return OK;
    if (s->min_length == 1)
        return err_set(k->err, DATA, "expected a string that is not empty");
    return err_set(
        k->err, DATA, "expected at least %llu characters, got %zu", (unsigned long long)s->min_length, characters);
}

static enum status
check_count(struct check *k, const struct node *s, uint64_t n, const char *what)
{
    unsigned long long lo = s->min_items, hi = s->max_items, got = n;

    if (got >= lo && got <= hi)
        return OK;
    if (lo == hi)
        return err_set(k->err, DATA, "expected %llu %s, got %llu", lo, what, got);
    return err_set(
        k->err, DATA, "expected at %s %llu %s, got %llu", got < lo ? "least" : "most", got < lo ? lo : hi, what, got);
}

static enum status
check_vector(struct check *k, const struct node *s, const msgpack_object *o)
{
    size_t n = o->via.ext.size / sizeof(float);

    if (o->via.ext.size % sizeof(float) != 0)
        return err_set(k->err, DATA, "a vector of %u bytes is not a whole number of float32", o->via.ext.size);
    for (size_t i = 0; i < n; i++) {
        float x;
        memcpy(&x, o->via.ext.ptr + i * sizeof(x), sizeof(x));
        if (!isfinite(x))
            return err_set(k->err, DATA, "number %zu is not finite", i + 1);
    }
    return check_count(k, s, n, "numbers");
}

static enum status
check_array(struct check *k, const struct node *s, const msgpack_object *o)
{
    const struct node *items = s->items != NULL ? s->items : &anything;
    enum status st = check_count(k, s, o->via.array.size, "elements");

    for (uint32_t i = 0; st == OK && i < o->via.array.size; i++) {
        path_index(&k->path, i);
        if ((st = check_value(k, items, &o->via.array.ptr[i])) == OK)
            path_leave(&k->path);
    }
    return st;
}

static int
by_key(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Sorted, equal keys lie side by side: a hostile map cannot cost pairs squared. */
static enum status
check_distinct(struct check *k, const msgpack_object_map *m)
{
    struct str few[32], *key = few;
    enum status st = OK;

    if (m->size > 32 && (key = calloc(m->size, sizeof(*key))) == NULL)
        return err_memory(k->err);
    for (uint32_t i = 0; i < m->size; i++)
        key[i] = str_of_object(&m->ptr[i].key);
    if (m->size > 1)
        qsort(key, m->size, sizeof(*key), by_key);
    for (uint32_t i = 1; st == OK && i < m->size; i++)
        if (str_eq(key[i - 1], key[i])) {
            path_key(&k->path, key[i]);
            st = err_set(k->err, DATA, "a key that comes twice");
        }
    if (key != few)
        free(key);
    return st;
}

static enum status
check_keys(struct check *k, const msgpack_object_map *m)
{
    for (uint32_t i = 0; i < m->size; i++) {
        const msgpack_object *o = &m->ptr[i].key;
        if (o->type != MSGPACK_OBJECT_STR)
            return err_set(k->err, DATA, "a key that is not a string but %s", obj_type(o));
        if (utf8_span(o->via.str.ptr, o->via.str.size) < o->via.str.size) {
            path_key(&k->path, str_of_object(o));
            return err_set(k->err, DATA, "a key that is not UTF-8");
        }
    }
    return check_distinct(k, m);
}

static const struct node *
find_node(const struct nodes *list, struct str key)
{
    for (size_t i = 0; i < list->n; i++)
        if (str_eq(list->key[i], key))
            return list->node[i];
    return NULL;
}

/* Whether nil under a key with the schema s (NULL if there is none) is a value, and not a way of saying nothing. */
static bool
nil_counts(const struct node *s)
{
    return s == NULL || ((s->types == 0 || (s->types & T_NIL) != 0) && !s->vector && s->choices.doc == NULL &&
                            s->constant.doc == NULL && s->any_of.n == 0);
}

static const msgpack_object *
find_value(const msgpack_object_map *m, struct str key)
{
    for (uint32_t i = 0; i < m->size; i++)
        if (str_eq(str_of_object(&m->ptr[i].key), key))
            return &m->ptr[i].val;
    return NULL;
}

/* Elements of an array or vector. */
static uint64_t
count_of(const msgpack_object *o)
{
    return o == NULL                         ? 0
           : o->type == MSGPACK_OBJECT_ARRAY ? o->via.array.size
           : is_vector(o)                    ? o->via.ext.size / sizeof(float)
                                             : 0;
}

static enum status
check_pair(struct check *k, const struct node *s, const msgpack_object_map *m, const msgpack_object_kv *kv)
{
    struct str key = str_of_object(&kv->key);
    const struct node *child = find_node(&s->properties, key);
    enum status st = OK;

    path_key(&k->path, key);
    if (child == NULL && s->closed)
        return err_set(k->err, DATA, "not a key that is allowed here");
    if (child == NULL)
        child = s->additional != NULL ? s->additional : &anything;
    if ((kv->val.type != MSGPACK_OBJECT_NIL || nil_counts(child)) && (st = check_value(k, child, &kv->val)) != OK)
        return st;
    if (child->length_of.p != NULL) {
        unsigned long long want = count_of(find_value(m, child->length_of)), got = count_of(&kv->val);
        if (want != got)
            return err_set(k->err, DATA, "expected as many as %.*s (%llu), got %llu", (int)child->length_of.n,
                child->length_of.p, want, got);
    }
    path_leave(&k->path);
    return OK;
}

static enum status
check_map(struct check *k, const struct node *s, const msgpack_object_map *m)
{
    enum status st = check_keys(k, m);

    if (st != OK)
        return st;
    if (s->required.doc != NULL)
        for (struct json_iter it = json_iter(s->required); json_next(&it);) {
            struct str key = json_str(it.value);
            const msgpack_object *o = find_value(m, key);
            if (o == NULL || (o->type == MSGPACK_OBJECT_NIL && !nil_counts(find_node(&s->properties, key)))) {
                path_key(&k->path, key);
                return err_set(k->err, DATA, "missing");
            }
        }
    for (uint32_t i = 0; st == OK && i < m->size; i++)
        st = check_pair(k, s, m, &m->ptr[i]);
    return st;
}

/* The fault named is that of the alternative whose type fits, since that is the one that was meant. */
static enum status
check_any(struct check *k, const struct node *s, const msgpack_object *o)
{
    unsigned types = 0, n = k->path.n;
    bool meant = false;
    enum status st;

    for (size_t i = 0; i < s->any_of.n; i++) {
        if (!type_fits(s->any_of.node[i], o)) {
            types |= s->any_of.node[i]->types;
            continue;
        }
        if (meant)
            k->path.n = n;
        if ((st = check_value(k, s->any_of.node[i], o)) != DATA)
            return st;
        meant = true;
    }
    return meant ? DATA : wrong_type(k, types, false, o);
}

static enum status
check_value(struct check *k, const struct node *s, const msgpack_object *o)
{
    unsigned type = type_of(o);
    enum status st = OK;

    if (!type_fits(s, o))
        return wrong_type(k, s->types, s->vector, o);
    if (is_vector(o))
        st = check_vector(k, s, o);
    else if (type & T_NUMBER)
        st = check_number(k, s, o);
    else if (type & T_STRING)
        st = check_string(k, s, o);
    else if (type & T_ARRAY)
        st = check_array(k, s, o);
    else if (type & T_MAP)
        st = check_map(k, s, &o->via.map);
    if (st == OK && s->choices.doc != NULL)
        st = check_choices(k, s, o);
    if (st == OK && s->constant.doc != NULL && !same_scalar(s->constant, o))
        st = err_set(k->err, DATA, "not the constant that it must be");
    if (st == OK && s->any_of.n > 0)
        st = check_any(k, s, o);
    return st;
}

enum status
schema_check(const struct schema *s, const msgpack_object *o, struct err *err)
{
    struct err own;
    struct check k = {.err = err != NULL ? err : &own};
    enum status st = check_value(&k, s->top, o);

    return st == DATA ? path_context(k.err, &k.path) : st;
}
