/* SPDX-License-Identifier: Apache-2.0 */
/*
 * splitpattern - a regular expression as the reference's matcher reads it (Oniguruma, syntax of Ruby), for PCRE2.
 *
 * What the two read differently:
 *     \s \d \w \h   the same letters, other sets: written as the properties that Oniguruma has for them
 *     \p{L} …       categories, with the characters that PCRE2's tables lack (unicode.c)
 *     \v \uHHHH     VT alone; a character
 *     {n,m}+ {,m}   repeated, not possessive; from 0 on
 *     [a[bc]]       a union: the inner brackets go
 * What has no equal here, or would need one that no tokenizer is known to use, is refused by name.
 */
#include <string.h>

#include "text/bpe.h"
#include "text/unicode.h"

#define HEX "0123456789abcdefABCDEF"
#define MAX_GROUPS 64
/* What Unicode 14 lacks of the script: the end of extension C, and extensions I and H. */
#define HAN_LATER "\\x{2b739}\\x{2ebf0}-\\x{2ee5d}\\x{31350}-\\x{323af}"

struct reading {
    struct str in;
    size_t i;
    struct buf *out;
    size_t atom;              /* where in out the last atom begins */
    size_t group[MAX_GROUPS]; /* the same of the open groups */
    bool folds[MAX_GROUPS];   /* which of them are (?i: */
    int depth, fold;          /* open groups; (?i: among them, 0 or 1 */
};

static enum status
refuse(const struct reading *r, size_t n, struct err *err)
{
    if (n > r->in.n - r->i)
        n = r->in.n - r->i;
    return err_set(err, DATA, "pre_tokenizer: pattern: byte %zu: %.*s is not supported", r->i, (int)n, r->in.p + r->i);
}

/* The byte k behind the present one; 0 at the end. */
static char
ahead(const struct reading *r, size_t k)
{
    return r->i + k < r->in.n ? r->in.p[r->i + k] : '\0';
}

static enum status
put(struct reading *r, struct str s, size_t used, struct err *err)
{
    r->i += used;
    return buf_adds(r->out, s, err);
}

/* The set of a category, alone or inside of brackets. */
static enum status
put_category(struct reading *r, struct str name, bool negated, bool inside, struct err *err)
{
    struct buf more = {0};
    enum status st = unicode_later(&more, name, err);

    if (st == OK && inside && negated && more.n > 0)
        st = refuse(r, 2, err);
    else if (st == OK)
        st = buf_printf(r->out, err, "%s\\%c{%.*s}%.*s%s", inside ? "" : (negated ? "[^" : "["),
            negated && inside ? 'P' : 'p', (int)name.n, name.p, (int)more.n, more.n > 0 ? more.p : "",
            inside ? "" : "]");
    buf_free(&more);
    return st;
}

/* \p{Name} \P{Name} \p{^Name} */
static enum status
property(struct reading *r, bool inside, struct err *err)
{
    const char *begin = r->in.p + r->i + 3, *end;
    bool negated = ahead(r, 1) == 'P';
    struct str name;
    enum status st;

    if (ahead(r, 2) != '{' || (end = memchr(begin, '}', r->in.n - r->i - 3)) == NULL)
        return refuse(r, 3, err);
    name = (struct str){begin, (size_t)(end - begin)};
    if (name.n > 0 && name.p[0] == '^') {
        negated = !negated;
        name = (struct str){name.p + 1, name.n - 1};
    }
    if (unicode_category(name))
        st = put_category(r, name, negated, inside, err);
    else if (str_eq(name, STR("Han")) && !inside)
        st = buf_printf(r->out, err, "[%s\\p{sc:Han}" HAN_LATER "]", negated ? "^" : "");
    else if (str_eq(name, STR("Han")) && !negated)
        st = buf_adds(r->out, STR("\\p{sc:Han}" HAN_LATER), err);
    else
        return refuse(r, name.n + 4, err);
    r->i += (size_t)(end + 1 - (r->in.p + r->i));
    return st;
}

/* \w and \W: what is alphabetic, marks, digits, connecting punctuation; but not in brackets some numbers of Latin-1. */
static enum status
word(struct reading *r, bool negated, bool inside, struct err *err)
{
    static const char *const part[] = {"L", "M", "Nd", "Pc"};
    enum status st = OK;

    if (negated && inside)
        return refuse(r, 2, err);
    if (!inside)
        st = buf_adds(r->out, negated ? STR("[^") : STR("["), err);
    for (int i = 0; i < 4 && st == OK; i++)
        st = put_category(r, str_of(part[i]), false, true, err);
    if (st == OK)
        st = buf_adds(r->out, STR("\\p{Alphabetic}"), err);
    if (st == OK && !inside)
        st = buf_adds(r->out, STR("\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}]"), err);
    r->i += 2;
    return st;
}

static enum status
escape(struct reading *r, bool inside, struct err *err)
{
    char c = ahead(r, 1), literal[] = {'\\', c, '\0'};

    switch (c) {
    case 's':
        return put(r, STR("\\p{White_Space}"), 2, err);
    case 'S':
        return put(r, STR("\\P{White_Space}"), 2, err);
    case 'p':
    case 'P':
        return property(r, inside, err);
    case 'w':
    case 'W':
        return word(r, c == 'W', inside, err);
    case 'd':
    case 'D':
        if (put_category(r, STR("Nd"), c == 'D', inside, err) != OK)
            return err->status;
        r->i += 2;
        return OK;
    case 'h':
        return inside ? put(r, STR("0-9A-Fa-f"), 2, err) : put(r, STR("[0-9A-Fa-f]"), 2, err);
    case 'v':
        return put(r, STR("\\x0b"), 2, err);
    case 'x': {
        size_t n = ahead(r, 2) == '{' ? strspn(r->in.p + r->i + 3, HEX) : 0;
        if (n == 0 || n > 6 || ahead(r, 3 + n) != '}' || r->fold > 0)
            return refuse(r, 3, err);
        return put(r, (struct str){r->in.p + r->i, n + 4}, n + 4, err);
    }
    case 'u':
        if (strspn(r->in.p + r->i + 2, HEX) < 4 || r->fold > 0) /* a byte 0 follows the pattern */
            return refuse(r, 2, err);
        if (buf_printf(r->out, err, "\\x{%.4s}", r->in.p + r->i + 2) != OK)
            return err->status;
        r->i += 6;
        return OK;
    default:
        if (c == '\0' || (unsigned char)c >= 0x80 || (c >= '0' && c <= '9') ||
            ((unsigned char)((c | 0x20) - 'a') < 26 && strchr(inside ? "tnrfae" : "tnrfaeAz", c) == NULL))
            return refuse(r, 2, err);
        return put(r, (struct str){literal, 2}, 2, err);
    }
}

/* Brackets within brackets are a union, unless they are negated. */
static enum status class(struct reading *r, struct err *err) {
    int depth = 1; bool first = true; enum status st = put(r, STR("["), 1, err);

    if (st == OK && ahead(r, 0) == '^') st = put(r, STR("^"), 1, err);
    while (st == OK && depth > 0){char c = ahead(r, 0); bool edge = first; first = false;
        if (r->i == r->in.n || (c == '[' && (ahead(r, 1) == '^' || ahead(r, 1) == ':')) ||
            (c == '&' && ahead(r, 1) == '&')) return refuse(r, 2, err);
        if (c == '\\') st = escape(r, true, err); else if (c == ']' && edge) st = put(r, STR("\\]"), 1, err);
        else if (c == '-' && (edge || ahead(r, 1) == ']' || ahead(r, 1) == '[')) st = put(r, STR("\\-"), 1, err);
        else if (c == '[' || c == ']'){first = c == '['; depth += first ? 1 : -1;
                                       st = put(r, depth == 0 ? STR("]") : STR(""), 1, err);}
else st = put(r, (struct str){&c, 1}, 1, err);
}
return st;
}

static enum status
group(struct reading *r, struct err *err)
{
    static const char *const open[] = {"(?i:", "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", NULL};
    struct str s = STR("(");

    if (r->depth == MAX_GROUPS || r->fold > 0 || ahead(r, 1) == '*')
        return refuse(r, 2, err);
    if (ahead(r, 1) == '?') {
        int k = 0;
        while (open[k] != NULL && strncmp(open[k], r->in.p + r->i, strlen(open[k])) != 0)
            k++;
        if (open[k] == NULL)
            return refuse(r, 3, err);
        s = str_of(open[k]);
    }
    r->folds[r->depth] = s.n > 2 && s.p[2] == 'i';
    r->fold += r->folds[r->depth];
    r->group[r->depth++] = r->atom;
    return put(r, s, s.n, err);
}

/* {n} {n,} {,m} {n,m}, else a brace like any character. */
static enum status
interval(struct reading *r, struct err *err)
{
    const char *p = r->in.p + r->i + 1;
    size_t a = strspn(p, "0123456789"), comma = p[a] == ',', b = comma ? strspn(p + a + 1, "0123456789") : 0;
    size_t n = a + comma + b;
    char next = p[n] == '}' ? p[n + 1] : '\0';

    if (a + b == 0 || p[n] != '}') {
        r->atom = r->out->n;
        return put(r, STR("\\{"), 1, err);
    }
    if (next == '?' && !comma)
        return refuse(r, n + 3, err);
    if (next == '+') { /* the atom and its interval become the atom that + repeats */
        if (buf_reserve(r->out, 3, err) != OK)
            return err->status;
        memmove(r->out->p + r->atom + 3, r->out->p + r->atom, r->out->n - r->atom);
        memcpy(r->out->p + r->atom, "(?:", 3);
        r->out->n += 3;
    }
    if (buf_printf(r->out, err, "{%s%.*s}%s", a == 0 ? "0" : "", (int)n, p, next == '+' ? ")" : "") != OK)
        return err->status;
    r->i += n + 2;
    return OK;
}

/* Where case does not matter, Oniguruma takes one character for these two letters, and more for what is not ASCII. */
static bool
folds_apart(struct reading *r)
{
    static const char pairs[][3] = {"ss", "st", "ff", "fi", "fl"};
    char c = r->in.p[r->i];

    if (r->fold == 0)
        return false;
    if ((unsigned char)c >= 0x80)
        return true;
    for (size_t k = 0; k < sizeof(pairs) / sizeof(pairs[0]) && r->i > 0; k++)
        if ((r->in.p[r->i - 1] | 0x20) == pairs[k][0] && (c | 0x20) == pairs[k][1])
            return true;
    return false;
}

static enum status
one(struct reading *r, struct err *err)
{
    char c = r->in.p[r->i];
    size_t start = r->out->n;
    enum status st;

    switch (c) {
    case '{':
        return interval(r, err);
    case '*':
    case '+':
    case '?':
        return put(r, (struct str){&c, 1}, 1, err);
    case '(':
        r->atom = start;
        return group(r, err);
    case ')':
        if (r->depth > 0) {
            r->atom = r->group[--r->depth];
            r->fold -= r->folds[r->depth];
        }
        return put(r, STR(")"), 1, err);
    case '[':
        st = class(r, err);
        break;
    case '\\':
        st = escape(r, false, err);
        break;
    default:
        if (folds_apart(r))
            return refuse(r,
                (unsigned char)c < 0x80   ? 1
                : (unsigned char)c < 0xe0 ? 2
                : (unsigned char)c < 0xf0 ? 3
                                          : 4,
                err);
        st = put(r, (struct str){&c, 1}, 1, err);
        if (((unsigned char)c & 0xc0) == 0x80) /* the rest of a character */
            return st;
    }
    r->atom = start;
    return st;
}

enum status
split_pattern(struct buf *out, struct str pattern, struct err *err)
{
    struct buf in = {0};
    struct reading r = {.out = out};
    enum status st;

    if (pattern.n > 0 && memchr(pattern.p, '\0', pattern.n) != NULL)
        return err_set(err, DATA, "pre_tokenizer: pattern: a byte 0 is not supported");
    /* Two bytes 0 behind it: what looks ahead need not count. */
    if ((st = buf_adds(&in, pattern, err)) == OK && (st = buf_add(&in, "\0\0", 2, err)) == OK) {
        r.in = (struct str){in.p, pattern.n};
        while (st == OK && r.i < r.in.n)
            st = one(&r, err);
    }
    buf_free(&in);
    return st;
}
