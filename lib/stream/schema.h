/* SPDX-License-Identifier: Apache-2.0 */
/* schema - private to lib/stream: a schema as it was read (schema.c), for those who check by it (schemacheck.c). */
#ifndef STREAM_SCHEMA_H
#define STREAM_SCHEMA_H

#include "stream/stream.h"

enum { T_NIL = 1, T_BOOL = 2, T_INTEGER = 4, T_NUMBER = 8, T_STRING = 16, T_ARRAY = 32, T_MAP = 64 };

struct schema_type {
    const char *schema, *stream; /* as JSON Schema and as our messages call it */
    unsigned bit;
};
#define SCHEMA_TYPES 7
extern const struct schema_type schema_types[SCHEMA_TYPES];

/* A list of schemas, with their keys where they are properties. */
struct nodes {
    struct str *key;
    struct node **node;
    size_t n;
};

struct node {
    unsigned types; /* 0: any */
    bool vector, closed;
    struct json choices, required; /* arrays; doc is NULL without */
    struct json constant;          /* a scalar; doc is NULL without */
    struct nodes properties, any_of;
    struct node *additional, *items;
    uint64_t min_items, max_items, min_length;
    double minimum, maximum;
    struct str length_of;
};

struct schema {
    struct json_parser *parser; /* keeps the strings */
    struct node *top;
};

#endif
