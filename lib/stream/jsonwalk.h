/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonwalk - a parsed document, place by place. Part of stream.h, which says what these are for.
 *
 * simdjson's tape (its doc/tape.md) is of 64-bit words: a type in the upper 8 bits, in the lower 56 where a string
 * lies, or where a container ends and how much it holds. A struct json is a place there, so values cost nothing to
 * make. What is asked of every member of every object is inline: a call would cost more than the answer.
 */
#ifndef JSONWALK_H
#define JSONWALK_H

#include <string.h>

/* A document, as long as its parser keeps it. */
struct json_doc {
    const uint64_t *tape;
    const uint8_t *strings; /* each behind its length of 32 bits */
};

static inline uint64_t
json_word(struct json v)
{
    return v.doc->tape[v.at];
}

/* The first byte of its text; n, t, f for words, l, u, d for numbers. */
static inline char
json_tag(struct json v)
{
    return (char)(json_word(v) >> 56);
}

/* The place behind v. */
static inline size_t
json_behind(struct json v)
{
    switch (json_tag(v)) {
    case '[':
    case '{':
        return json_word(v) & UINT32_MAX;
    case 'l':
    case 'u':
    case 'd':
        return v.at + 2;
    default:
        return v.at + 1;
    }
}

static inline enum json_type
json_type(struct json v)
{
    switch (json_tag(v)) {
    case 't':
    case 'f':
        return JSON_BOOL;
    case 'l':
        return JSON_I64;
    case 'u':
        return JSON_U64;
    case 'd':
        return JSON_F64;
    case '"':
        return JSON_STRING;
    case '[':
        return JSON_ARRAY;
    case '{':
        return JSON_OBJECT;
    default:
        return JSON_NULL;
    }
}

static inline struct str
json_str(struct json v)
{
    const uint8_t *p = v.doc->strings + (json_word(v) & ((UINT64_C(1) << 56) - 1));
    struct str s;
    uint32_t n;

    memcpy(&n, p, sizeof(n));
    s.p = (const char *)p + sizeof(n);
    s.n = n;
    return s;
}

static inline struct json_iter
json_iter(struct json v)
{
    struct json_iter it;

    memset(&it, 0, sizeof(it));
    it.at = it.end = v;
    if (json_tag(v) != '[' && json_tag(v) != '{')
        return it;
    it.at.at = v.at + 1;
    it.end.at = json_behind(v) - 1; /* of the closing bracket */
    it.object = json_tag(v) == '{';
    return it;
}

static inline bool
json_next(struct json_iter *it)
{
    if (it->at.at >= it->end.at)
        return false;
    if (it->object) {
        it->key = json_str(it->at);
        it->at.at++;
    }
    it->value = it->at;
    it->at.at = json_behind(it->value);
    return true;
}

#endif
