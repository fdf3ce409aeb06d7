/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema - reads schemas/TYPE.schema.json, which says what a record of that type is.
 *
 * The part of JSON Schema (draft 2020-12) that the records need: type, enum, const, required, properties,
 * additionalProperties, items, minItems, maxItems, minLength, minimum, maximum, anyOf; $schema, title and description
 * say nothing to a machine. Any other keyword is an error, so that no rule is overlooked in silence. Two keywords are
 * our own:
 *     "x-vector": true        on the wire the array of numbers is extension 1
 *     "x-length-of": "ids"    as many elements as the array under that key beside it
 * Departures: an integer is what MessagePack calls one (1.0 is none); a property that is nil counts as absent, as it
 * does for every reader; keys must be strings that come once, strings UTF-8, and numbers finite, whatever the schema
 * says.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "schema.h"

const struct schema_type schema_types[SCHEMA_TYPES] = {
    {"null", "nil", T_NIL},
    {"boolean", "boolean", T_BOOL},
    {"integer", "integer", T_INTEGER},
    {"number", "number", T_NUMBER},
    {"string", "string", T_STRING},
    {"array", "array", T_ARRAY},
    {"object", "map", T_MAP},
};

/* ---- reading a schema ---- */

static void
node_free(struct node *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->properties.n; i++)
        node_free(s->properties.node[i]);
    for (size_t i = 0; i < s->any_of.n; i++)
        node_free(s->any_of.node[i]);
    free(s->properties.node);
    free(s->properties.key);
    free(s->any_of.node);
    free(s->any_of.key);
    node_free(s->additional);
    node_free(s->items);
    free(s);
}

static enum status read_node(struct node **out, struct json v, struct err *err);

static enum status
read_nodes(struct nodes *out, struct json v, enum json_type type, struct err *err)
{
    size_t n = json_size(v);

    if (json_type(v) != type)
        return err_set(err, DATA, "expected %s", type == JSON_OBJECT ? "an object" : "an array");
    if (out->n > 0)
        return err_set(err, DATA, "given twice");
    out->key = calloc(n + 1, sizeof(*out->key));
    out->node = calloc(n + 1, sizeof(struct node *));
    if (out->key == NULL || out->node == NULL)
        return err_memory(err);
    for (struct json_iter it = json_iter(v); json_next(&it);) {
        enum status st = read_node(&out->node[out->n], it.value, err);
        out->key[out->n++] = it.key;
        if (st != OK)
            return err_context(err, "%.*s", (int)(it.key.n < 64 ? it.key.n : 64), it.key.p);
    }
    return OK;
}

static enum status
read_type(unsigned *types, struct json v, struct err *err)
{
    if (json_type(v) == JSON_ARRAY) {
        for (struct json_iter it = json_iter(v); json_next(&it);)
            if (json_type(it.value) == JSON_ARRAY || read_type(types, it.value, err) != OK)
                return err_set(err, DATA, "expected names of types");
        return OK;
    }
    for (size_t i = 0; json_type(v) == JSON_STRING && i < SCHEMA_TYPES; i++)
        if (str_eq(json_str(v), str_of(schema_types[i].schema))) {
            *types |= schema_types[i].bit;
            return OK;
        }
    return err_set(err, DATA, "expected the name of a type");
}

static enum status
read_count(uint64_t *out, struct json v, struct err *err)
{
    if (json_type(v) != JSON_I64 || json_i64(v) < 0)
        return err_set(err, DATA, "expected a count");
    *out = json_u64(v);
    return OK;
}

static enum status
read_number(double *out, struct json v, struct err *err)
{
    if (json_type(v) != JSON_I64 && json_type(v) != JSON_U64 && json_type(v) != JSON_F64)
        return err_set(err, DATA, "expected a number");
    *out = json_f64(v);
    return OK;
}

/* An array whose elements are all scalars, or all strings. */
static enum status
read_list(struct json *out, struct json v, bool strings, struct err *err)
{
    if (json_type(v) != JSON_ARRAY)
        return err_set(err, DATA, "expected an array");
    for (struct json_iter it = json_iter(v); json_next(&it);) {
        enum json_type t = json_type(it.value);
        if (strings ? t != JSON_STRING : t == JSON_ARRAY || t == JSON_OBJECT)
            return err_set(err, DATA, "expected %s", strings ? "strings" : "scalars");
    }
    *out = v;
    return OK;
}

static enum status
read_additional(struct node *s, struct json v, struct err *err)
{
    if (json_type(v) != JSON_BOOL)
        return s->additional == NULL ? read_node(&s->additional, v, err) : err_set(err, DATA, "given twice");
    s->closed = !json_bool(v);
    return OK;
}

static enum status
read_own(struct node *s, struct str key, struct json v, struct err *err)
{
    if (str_eq(key, STR("x-vector")) && json_type(v) == JSON_BOOL) {
        s->vector = json_bool(v);
        return OK;
    }
    if (str_eq(key, STR("x-length-of")) && json_type(v) == JSON_STRING) {
        s->length_of = json_str(v);
        return OK;
    }
    return err_set(err, DATA, "not a keyword that is understood here");
}

static enum status
read_keyword(struct node *s, struct str key, struct json v, struct err *err)
{
    if (str_eq(key, STR("$schema")) || str_eq(key, STR("title")) || str_eq(key, STR("description")))
        return OK;
    if (str_eq(key, STR("type")))
        return read_type(&s->types, v, err);
    if (str_eq(key, STR("enum")))
        return read_list(&s->choices, v, false, err);
    if (str_eq(key, STR("const")) && json_type(v) != JSON_ARRAY && json_type(v) != JSON_OBJECT) {
        s->constant = v;
        return OK;
    }
    if (str_eq(key, STR("required")))
        return read_list(&s->required, v, true, err);
    if (str_eq(key, STR("properties")))
        return read_nodes(&s->properties, v, JSON_OBJECT, err);
    if (str_eq(key, STR("anyOf")))
        return read_nodes(&s->any_of, v, JSON_ARRAY, err);
    if (str_eq(key, STR("additionalProperties")))
        return read_additional(s, v, err);
    if (str_eq(key, STR("items")))
        return s->items == NULL ? read_node(&s->items, v, err) : err_set(err, DATA, "given twice");
    if (str_eq(key, STR("minItems")))
        return read_count(&s->min_items, v, err);
    if (str_eq(key, STR("maxItems")))
        return read_count(&s->max_items, v, err);
    if (str_eq(key, STR("minLength")))
        return read_count(&s->min_length, v, err);
    if (str_eq(key, STR("minimum")))
        return read_number(&s->minimum, v, err);
    if (str_eq(key, STR("maximum")))
        return read_number(&s->maximum, v, err);
    return read_own(s, key, v, err);
}

static enum status
read_node(struct node **out, struct json v, struct err *err)
{
    struct node *s = calloc(1, sizeof(*s));

    *out = s;
    if (s == NULL)
        return err_memory(err);
    s->max_items = UINT64_MAX;
    s->minimum = -INFINITY;
    s->maximum = INFINITY;
    if (json_type(v) != JSON_OBJECT)
        return err_set(err, DATA, "expected a schema");
    for (struct json_iter it = json_iter(v); json_next(&it);)
        if (read_keyword(s, it.key, it.value, err) != OK)
            return err_context(err, "%.*s", (int)(it.key.n < 64 ? it.key.n : 64), it.key.p);
    return OK;
}

enum status
schema_parse(struct schema **out, struct str text, struct err *err)
{
    struct schema *s = calloc(1, sizeof(*s));
    struct json root;
    enum status st;

    *out = NULL;
    if (s == NULL)
        return err_memory(err);
    if ((st = json_parser_new(&s->parser, err)) != OK ||
        (st = json_parse(&root, s->parser, text.p, text.n, err)) != OK || (st = read_node(&s->top, root, err)) != OK) {
        schema_free(s);
        return st;
    }
    *out = s;
    return OK;
}

enum status
schema_load(struct schema **out, const char *path, struct err *err)
{
    struct buf text = {0};
    enum status st = file_read(&text, path, (size_t)1 << 20, err);

    *out = NULL;
    if (st == OK && (st = schema_parse(out, (struct str){text.p, text.n}, err)) == DATA)
        (void)err_context(err, "%s", path);
    buf_free(&text);
    return st;
}

void
schema_free(struct schema *s)
{
    if (s == NULL)
        return;
    node_free(s->top);
    json_parser_free(s->parser);
    free(s);
}
