/* SPDX-License-Identifier: Apache-2.0 */
/*
 * synth_name - names as people type them: in lower case, without accents and marks, without "The", "(Live)",
 * " - Remastered 2009" and "feat. somebody", only the start of a long title, a letter doubled, lost or swapped.
 *
 * The habits are those seen in the training conversations of CPCD. Linear in the length of the name. Only ASCII letters
 * are slipped on, and cuts fall on blanks, so that UTF-8 stays whole.
 */
#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "text/synth_parts.h"

/* U+00C0 … U+017F without their marks. */
static const char plain_latin[] =
    "AAAAAAACEEEEIIIIDNOOOOOxOUUUUYTsaaaaaaaceeeeiiiidnooooo-ouuuuyty"
    "AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIiJjJjKkkLlLlLlLlLlNnNnNnnNnOoOoOoOoRrRrRrSs"
    "SsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs";
static_assert(sizeof plain_latin == 193, "one letter for each of 192");

struct typing
typing_draw(struct rng *r)
{
    struct typing t;

    t.lower = rng_unit(r) < 0.45;
    t.no_marks = rng_unit(r) < 0.3;
    t.ascii = rng_unit(r) < 0.8;
    t.slips = rng_unit(r) < 0.5 ? 0 : 0.12;
    return t;
}

static bool
letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* The place of word (lower case) in s, whatever its case; s.n if it is not there. */
static size_t
find_word(struct str s, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i + n <= s.n; i++) {
        size_t k = 0;

        while (k < n && lower(s.p[i + k]) == word[k])
            k++;
        if (k == n)
            return i;
    }
    return s.n;
}

static struct str
trim(struct str s)
{
    while (s.n > 0 && isspace((unsigned char)s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && isspace((unsigned char)s.p[s.n - 1]))
        s.n--;
    return s;
}

/* Appends s without what stands in brackets. */
static enum status
add_unbracketed(struct buf *out, struct str s, struct err *err)
{
    int depth = 0;
    enum status st = OK;

    for (size_t i = 0; i < s.n && st == OK; i++) {
        char c = s.p[i];

        if (c == '(' || c == '[')
            depth++;
        else if ((c == ')' || c == ']') && depth > 0)
            depth--;
        else if (depth == 0 && !(c == ' ' && (out->n == 0 || out->p[out->n - 1] == ' ')))
            st = buf_add(out, &c, 1, err);
    }
    return st;
}

/* The name that is left when additions are gone; the whole where nothing would be. */
static enum status
clean(struct buf *out, struct str name, enum name_kind kind, struct err *err)
{
    static const char *const tails[] = {" feat. ", " feat ", " ft. ", " ft ", " featuring "};
    struct str s = trim(name);
    enum status st;

    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++)
        s.n = find_word(s, tails[i]);
    if (kind == NAME_TITLE)
        s.n = find_word(s, " - ");
    out->n = 0;
    if ((st = add_unbracketed(out, s, err)) != OK)
        return st;
    while (out->n > 0 && out->p[out->n - 1] == ' ')
        out->n--;
    if (out->n == 0)
        st = buf_adds(out, trim(name), err);
    return st;
}

/* Replaces accented Latin letters and typographic quotes by ASCII, in place. */
static void
fold_accents(struct buf *b, size_t from)
{
    size_t n = from;

    for (size_t i = from; i < b->n; i++) {
        unsigned char c = (unsigned char)b->p[i], d = i + 1 < b->n ? (unsigned char)b->p[i + 1] : 0;

        if (c >= 0xc3 && c <= 0xc5 && (d & 0xc0) == 0x80) {
            b->p[n++] = plain_latin[((c & 0x1fu) << 6 | (d & 0x3fu)) - 0xc0];
            i++;
        } else if (c == 0xe2 && d == 0x80 && i + 2 < b->n && ((unsigned char)b->p[i + 2] & 0xfe) == 0x98) {
            b->p[n++] = '\'';
            i += 2;
        } else {
            b->p[n++] = b->p[i];
        }
    }
    b->n = n;
}

enum status
name_key(struct buf *out, struct str name, enum name_kind kind, struct err *err)
{
    enum status st = clean(out, name, kind, err);
    size_t n = 0, from;

    if (st != OK)
        return st;
    fold_accents(out, 0);
    from = kind == NAME_ARTIST && out->n > 4 && find_word((struct str){out->p, 4}, "the ") == 0 ? 4 : 0;
    for (size_t i = from; i < out->n; i++) {
        char c = out->p[i];

        if (letter(c) || (c >= '0' && c <= '9') || (c & 0x80) != 0)
            out->p[n++] = lower(c);
    }
    if (n == 0)
        return clean(out, name, kind, err); /* "!!!" is its own key */
    out->n = n;
    return OK;
}

/* One typing error among the letters from `from` on. */
static enum status
slip(struct buf *b, size_t from, struct rng *r, struct err *err)
{
    size_t n = b->n - from, at;
    char c;
    enum status st = OK;

    if (n < 4)
        return OK;
    at = from + 1 + (size_t)rng_below(r, n - 2);
    c = b->p[at];
    if (!letter(c) || !letter(b->p[at - 1]) || !letter(b->p[at + 1]))
        return OK;
    switch (rng_below(r, 3)) {
    case 0:
        b->p[at] = b->p[at + 1];
        b->p[at + 1] = c;
        break;
    case 1:
        memmove(b->p + at, b->p + at + 1, b->n - at - 1);
        b->n--;
        break;
    default:
        if ((st = buf_add(b, &c, 1, err)) == OK) {
            memmove(b->p + at + 1, b->p + at, b->n - at - 1);
            b->p[at] = c;
        }
        break;
    }
    return st;
}

enum status
typing_apply(struct buf *text, size_t from, const struct typing *t, struct rng *r, struct err *err)
{
    size_t n = from;

    if (t->ascii)
        fold_accents(text, from);
    for (size_t i = from; i < text->n; i++) {
        char c = t->lower ? lower(text->p[i]) : text->p[i];

        /* A mark goes unless it is all there is. */
        if (!(t->no_marks && strchr(".,'!:;\"", c) != NULL && c != '\0' && (n > from || i + 1 < text->n)))
            text->p[n++] = c;
    }
    text->n = n;
    return rng_unit(r) < t->slips ? slip(text, from, r, err) : OK;
}

/* How many bytes the first words of s take, if it is long and its user short of time. */
static size_t
part(struct str s, struct rng *r)
{
    size_t blanks = 0, want;

    for (size_t i = 0; i < s.n; i++)
        blanks += s.p[i] == ' ';
    if (blanks < 3 || rng_unit(r) >= 0.15)
        return s.n;
    want = 2 + (size_t)rng_below(r, blanks - 1);
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == ' ' && --want == 0)
            return i;
    return s.n;
}

enum status
name_type(struct buf *out, struct str name, enum name_kind kind, const struct typing *t, struct rng *r, struct err *err)
{
    struct buf whole = {0};
    struct str s;
    size_t from = out->n;
    enum status st = clean(&whole, name, kind, err);

    if (st == OK) {
        s = (struct str){whole.p, whole.n};
        if (r != NULL && kind == NAME_ARTIST && s.n > 4 && find_word((struct str){s.p, 4}, "the ") == 0 &&
            rng_unit(r) < 0.4) {
            s.p += 4;
            s.n -= 4;
        }
        if (r != NULL && kind == NAME_TITLE)
            s.n = part(s, r);
        st = buf_adds(out, s, err);
    }
    if (st == OK && r != NULL)
        st = typing_apply(out, from, t, r, err);
    if (st == OK && out->n == from)
        st = buf_adds(out, (struct str){whole.p, whole.n}, err);
    buf_free(&whole);
    return st;
}
