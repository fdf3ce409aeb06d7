/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpdscan - where the documents of a file, and the playlists of a document, begin and end.
 *
 * The JSON parser wants whole documents and says what is wrong, not where. This scan looks at quotes and brackets
 * alone: it finds each playlist's place before anything is parsed, so that a bad one can be named by its byte and set
 * aside while the others are read, that a file which is cut off is known to be before its first playlist is written,
 * and that documents may follow each other on stdin. What it skips is parsed later, each piece by itself: nothing is
 * believed for having passed here.
 *
 * Time: one look at each byte. Memory: one document, at most MPD_MAX_SLICE.
 */
#include <errno.h>
#include <string.h>

#include "mpdscan.h"

#define CHUNK ((size_t)1 << 18)

enum status
mpdscan_context(const struct mpdscan *s, size_t at, struct err *err)
{
    return err_context(err, "%s: byte %llu", s->name, (unsigned long long)(s->offset + at));
}

static enum status
fault(const struct mpdscan *s, size_t at, const char *expected, struct err *err)
{
    if (at >= s->size)
        (void)err_set(err, DATA, "expected %s, got the end of the document", expected);
    else
        (void)err_set(err, DATA, "expected %s, got byte 0x%02x", expected, (unsigned char)s->buf.p[at]);
    return mpdscan_context(s, at, err);
}

static bool
is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* ---- brackets ---- */

struct brackets {
    uint64_t depth;
    bool string, escape; /* inside a string; behind its backslash */
    size_t quote;        /* where that string began */
};

/* Goes on at p[at] to behind the byte that closes the value (true), or to n. The value is a string, array or object. */
static bool
close_value(struct brackets *b, size_t *at, const char *p, size_t n)
{
    size_t i = *at;
    bool closed = false;

    while (i < n && !closed) {
        char c = p[i];
        if (b->string) {
            if (b->escape)
                b->escape = false;
            else if (c == '\\')
                b->escape = true;
            else if (c == '"') {
                b->string = false;
                closed = b->depth == 0;
            }
        } else if (c == '"') {
            b->string = true;
            b->quote = i;
        } else if (c == '{' || c == '[') {
            b->depth++;
        } else if (c == '}' || c == ']') {
            closed = b->depth <= 1;
            b->depth -= b->depth > 0;
        }
        i++;
    }
    *at = i;
    return closed;
}

/* ---- documents ---- */

static enum status
receive(struct mpdscan *s, struct err *err)
{
    size_t got;

    if (s->buf.n >= MPD_MAX_SLICE)
        return err_set(err, DATA, "%s: a document of more than %zu bytes", s->name, MPD_MAX_SLICE);
    if (buf_reserve(&s->buf, CHUNK, err) != OK)
        return SYSTEM;
    got = fread(s->buf.p + s->buf.n, 1, CHUNK, s->f);
    s->buf.n += got;
    if (got == 0 && ferror(s->f))
        return err_errno(err, IO, "%s: read", s->name);
    s->eof = got == 0;
    return OK;
}

/* Makes the bytes behind the first n the first ones. */
static void
drop(struct mpdscan *s, size_t n)
{
    if (n > 0)
        memmove(s->buf.p, s->buf.p + n, s->buf.n - n);
    s->buf.n -= n;
    s->offset += n;
}

static enum status
cut_off(const struct mpdscan *s, const struct brackets *b, struct err *err)
{
    if (b->string)
        (void)err_set(err, DATA, "the file is cut off within the string that begins at byte %llu",
            (unsigned long long)(s->offset + b->quote));
    else
        (void)err_set(err, DATA, "the file is cut off with %llu brackets open", (unsigned long long)b->depth);
    return mpdscan_context(s, s->buf.n, err);
}

/* Drops what stands before the next document: OK if there is one, END. */
static enum status
find_document(struct mpdscan *s, struct err *err)
{
    enum status st;

    drop(s, s->size);
    s->size = 0;
    for (;;) {
        size_t i = 0;
        while (i < s->buf.n && is_space(s->buf.p[i]))
            i++;
        drop(s, i);
        if (s->buf.n > 0) {
            s->size = s->buf.n; /* what fault() may look at */
            st = s->buf.p[0] == '{' ? OK : fault(s, 0, "a JSON object", err);
            s->size = 0;
            return st;
        }
        if (s->eof)
            break;
        if ((st = receive(s, err)) != OK)
            return st;
    }
    if (s->documents > 0)
        return END;
    (void)err_set(err, DATA, "expected a JSON object, got nothing at all");
    return mpdscan_context(s, 0, err);
}

enum status
mpdscan_document(struct mpdscan *s, struct err *err)
{
    struct brackets b = {0, false, false, 0};
    enum status st = find_document(s, err);
    size_t at = 0;

    if (st != OK)
        return st;
    while (!close_value(&b, &at, s->buf.p, s->buf.n)) {
        if (s->eof)
            return cut_off(s, &b, err);
        if ((st = receive(s, err)) != OK)
            return st;
    }
    s->size = at;
    s->documents++;
    return OK;
}

/* ---- inside a document ---- */

static size_t
skip_space(const struct mpdscan *s, size_t at)
{
    while (at < s->size && is_space(s->buf.p[at]))
        at++;
    return at;
}

/* The value that begins at *at, which goes behind it. */
static enum status
take_value(struct str *value, size_t *at, const struct mpdscan *s, struct err *err)
{
    const char *p = s->buf.p;
    size_t i = *at;

    if (i < s->size && (p[i] == '"' || p[i] == '{' || p[i] == '[')) {
        struct brackets b = {0, false, false, 0};
        if (!close_value(&b, &i, p, s->size))
            return fault(s, s->size, "the end of a value", err);
    } else {
        while (i < s->size && !is_space(p[i]) && p[i] != ',' && p[i] != ']' && p[i] != '}')
            i++;
        if (i == *at)
            return fault(s, i, "a value", err);
    }
    *value = (struct str){p + *at, i - *at};
    *at = i;
    return OK;
}

enum status
mpdscan_member(struct str *key, struct str *value, size_t *at, const struct mpdscan *s, struct err *err)
{
    const char *p = s->buf.p;
    size_t i = *at;
    enum status st;

    if (i == 0) { /* the document's own bracket */
        i = skip_space(s, 1);
        if (i < s->size && p[i] == '}')
            return END;
    } else {
        i = skip_space(s, i);
        if (i < s->size && p[i] == '}')
            return i + 1 == s->size ? END : fault(s, i + 1, "the end of the document", err);
        if (i >= s->size || p[i] != ',')
            return fault(s, i, "',' or '}'", err);
        i = skip_space(s, i + 1);
    }
    if (i >= s->size || p[i] != '"')
        return fault(s, i, "a key", err);
    if ((st = take_value(key, &i, s, err)) != OK)
        return st;
    *key = (struct str){key->p + 1, key->n - 2};
    i = skip_space(s, i);
    if (i >= s->size || p[i] != ':')
        return fault(s, i, "':'", err);
    i = skip_space(s, i + 1);
    if ((st = take_value(value, &i, s, err)) != OK)
        return st;
    *at = i;
    return OK;
}

void
mpdscan_array(struct mpdscan *s, struct str value)
{
    s->at = (size_t)(value.p - s->buf.p) + 1;
    s->end = s->at + value.n - 1;
    s->first = true;
}

enum status
mpdscan_element(struct str *value, struct mpdscan *s, struct err *err)
{
    const char *p = s->buf.p;
    size_t i = skip_space(s, s->at);
    enum status st;

    if (i < s->end && p[i] == ']') {
        s->at = i;
        return i + 1 == s->end ? END : fault(s, i + 1, "the end of the playlists", err);
    }
    if (!s->first) {
        if (i >= s->end || p[i] != ',')
            return fault(s, i, "',' or ']'", err);
        i = skip_space(s, i + 1);
    }
    if ((st = take_value(value, &i, s, err)) != OK)
        return st;
    s->first = false;
    s->at = i;
    return OK;
}
