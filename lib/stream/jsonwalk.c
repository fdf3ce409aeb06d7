/* SPDX-License-Identifier: Apache-2.0 */
/* jsonwalk - the rest of it: what is not asked of every member. */
#include "stream/stream.h"

#define COUNT_MAX 0xffffffU /* the tape counts entries of a container up to here */

/* The 64 bits behind the word of a number. */
static uint64_t
bits(struct json v)
{
    return v.doc->tape[v.at + 1];
}

bool
json_bool(struct json v)
{
    return json_tag(v) == 't';
}

int64_t
json_i64(struct json v)
{
    return (int64_t)bits(v);
}

uint64_t
json_u64(struct json v)
{
    return bits(v); /* of an int64 that is not negative: the same bits */
}

double
json_f64(struct json v)
{
    uint64_t word = bits(v);
    double x;

    switch (json_tag(v)) {
    case 'l':
        return (double)json_i64(v);
    case 'u':
        return (double)word;
    default:
        memcpy(&x, &word, sizeof(x));
        return x;
    }
}

bool
json_get(struct json *out, struct json object, const char *key)
{
    struct str want = str_of(key);

    if (json_tag(object) != '{')
        return false;
    for (struct json_iter it = json_iter(object); json_next(&it);)
        if (str_eq(it.key, want)) {
            *out = it.value;
            return true;
        }
    return false;
}

size_t
json_size(struct json v)
{
    bool container = json_tag(v) == '[' || json_tag(v) == '{';
    size_t n = container ? json_word(v) >> 32 & COUNT_MAX : 0;

    if (n < COUNT_MAX)
        return n;
    n = 0;
    for (struct json_iter it = json_iter(v); json_next(&it);)
        n++;
    return n;
}
