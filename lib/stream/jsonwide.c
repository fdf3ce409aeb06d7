/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonwide - JSON whose integers have any size, as Python writes them: "model_max_length": 10^30 of transformers. The
 * parser takes 64 bits, so a longer one is handed on with an exponent behind it, as a float64.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stream/stream.h"

#define SURE 18 /* as many digits and a sign always fit */

/* The string that begins at p < end, with both quotes. */
static size_t
string_length(const char *p, const char *end)
{
    const char *at = p + 1;

    while (at < end && *at != '"')
        at += *at == '\\' && at + 1 < end ? 2 : 1;
    return (size_t)(at - p) + (at < end);
}

/* Whether the n bytes at p, which a byte that is none of a number follows, are an integer beyond 64 bits. */
static bool
is_wide(const char *p, size_t n)
{
    char *end;

    if (n <= SURE || memchr(p, '.', n) != NULL || memchr(p, 'e', n) != NULL || memchr(p, 'E', n) != NULL)
        return false;
    errno = 0;
    if (*p == '-')
        (void)strtoll(p, &end, 10);
    else
        (void)strtoull(p, &end, 10);
    return errno == ERANGE && end == p + n;
}

/* Appends text with its wide integers as floating-point numbers. */
static enum status
narrow(struct buf *out, const char *text, size_t n, struct err *err)
{
    const char *end = text + n;
    enum status st = OK;

    for (const char *p = text; st == OK && p < end;) {
        size_t m = *p == '"' ? string_length(p, end) : strspn(p, "+-.0123456789eE");
        bool number = *p != '"' && m > 0;

        if ((st = buf_add(out, p, m > 0 ? m : 1, err)) == OK && number && is_wide(p, m))
            st = buf_adds(out, STR("e0"), err);
        p += m > 0 ? m : 1;
    }
    return st;
}

enum status
json_parse_wide(struct json *root, struct json_parser *p, const char *bytes, size_t n, struct err *err)
{
    struct buf in = {0}, out = {0};
    enum status st;

    /* A byte 0 behind it, for strspn. */
    if ((st = buf_add(&in, bytes, n, err)) == OK && (st = buf_add(&in, "", 1, err)) == OK &&
        (st = narrow(&out, in.p, n, err)) == OK)
        st = json_parse(root, p, n > 0 ? out.p : "", out.n, err);
    buf_free(&in);
    buf_free(&out);
    return st;
}
