/* SPDX-License-Identifier: Apache-2.0 */
/*
 * npy - the header of NumPy's .npy files, versions 1.0, 2.0 and 3.0 (numpy.lib.format, NEP 1).
 *
 *     \x93NUMPY  major minor  length (2 bytes little-endian; 4 from 2.0 on)  header  data
 *
 * The header is a Python dictionary {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }, blanks and a line
 * break. It is read by what it may be and never evaluated: the three keys once each in any order, a descr of one simple
 * type, a shape of whole numbers (with the L that Python 2 wrote). Pickled objects and structures are refused by name.
 * Nothing is allocated, whatever a header claims.
 */
#include <string.h>

#include "stream/stream.h"

#define MAGIC "\x93NUMPY"
#define MAGIC_BYTES 6
#define HEADER_MAX 65535 /* longer ones hold structures */
#define DIMS_MAX 32      /* of NumPy */

struct scan {
    const char *start, *p, *end;
};

struct found {
    char descr[16];
    bool has_descr, has_order, has_shape;
    bool fortran;
    size_t shape[2]; /* the first two */
    size_t elements;
    unsigned dims;
};

bool
npy_is(const void *bytes, size_t n)
{
    return n >= MAGIC_BYTES && memcmp(bytes, MAGIC, MAGIC_BYTES) == 0;
}

static enum status
expected(const struct scan *s, const char *what, struct err *err)
{
    return err_set(err, DATA, "header, byte %zu: expected %s", (size_t)(s->p - s->start), what);
}

static void
skip_blanks(struct scan *s)
{
    while (s->p < s->end && strchr(" \t\n\r", *s->p) != NULL && *s->p != '\0')
        s->p++;
}

/* Takes c, blanks before it, if it is next. */
static bool
take(struct scan *s, char c)
{
    skip_blanks(s);
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

/* A string between quotes of either kind, borrowed from the header. */
static enum status
take_string(struct str *out, struct scan *s, const char *what, struct err *err)
{
    const char *from;
    char quote;

    skip_blanks(s);
    if (s->p == s->end || (*s->p != '\'' && *s->p != '"'))
        return expected(s, what, err);
    quote = *s->p++;
    for (from = s->p; s->p < s->end && *s->p != quote; s->p++)
        if (*s->p == '\\' || *s->p == '\n')
            return expected(s, "a string without escapes", err);
    if (s->p == s->end)
        return expected(s, "the end of a string", err);
    *out = (struct str){from, (size_t)(s->p++ - from)};
    return OK;
}

static enum status
take_descr(struct found *f, struct scan *s, struct err *err)
{
    struct str d;

    skip_blanks(s);
    if (s->p < s->end && *s->p == '[')
        return err_set(err, DATA, "descr: expected one number or string an element, got a structure");
    if (take_string(&d, s, "a type such as '<f4'", err) != OK)
        return DATA;
    if (d.n >= sizeof(f->descr))
        return err_set(err, DATA, "descr: expected a type such as '<f4', got %zu letters", d.n);
    memcpy(f->descr, d.p, d.n);
    f->descr[d.n] = '\0';
    f->has_descr = true;
    return OK;
}

static enum status
take_order(struct found *f, struct scan *s, struct err *err)
{
    skip_blanks(s);
    f->has_order = true;
    for (int value = 0; value < 2; value++) {
        const char *word = value == 1 ? "True" : "False";
        if ((size_t)(s->end - s->p) >= strlen(word) && memcmp(s->p, word, strlen(word)) == 0) {
            s->p += strlen(word);
            f->fortran = value == 1;
            return OK;
        }
    }
    return expected(s, "True or False", err);
}

static enum status
take_size(size_t *out, struct scan *s, struct err *err)
{
    size_t n = 0;

    skip_blanks(s);
    if (s->p == s->end || *s->p < '0' || *s->p > '9')
        return expected(s, "a whole number", err);
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
        if (!size_mul(&n, n, 10) || __builtin_add_overflow(n, (size_t)(*s->p - '0'), &n))
            return err_set(err, DATA, "shape: a dimension beyond 64 bits");
    if (s->p < s->end && *s->p == 'L')
        s->p++;
    *out = n;
    return OK;
}

/* (), (3,), (3, 4), (3, 4,): a comma makes a tuple of one. */
static enum status
take_shape(struct found *f, struct scan *s, struct err *err)
{
    bool comma = true;
    size_t n = 0;

    if (!take(s, '('))
        return expected(s, "a shape such as (3, 4)", err);
    f->has_shape = true;
    f->elements = 1;
    while (!take(s, ')')) {
        if (!comma)
            return expected(s, "a comma or )", err);
        if (take_size(&n, s, err) != OK)
            return DATA;
        if (f->dims == DIMS_MAX)
            return err_set(err, DATA, "shape: more than %d dimensions", DIMS_MAX);
        if (f->dims < 2)
            f->shape[f->dims] = n;
        f->dims++;
        if (!size_mul(&f->elements, f->elements, n))
            return err_set(err, DATA, "shape: more elements than 64 bits count");
        comma = take(s, ',');
    }
    return f->dims == 1 && !comma ? expected(s, "a comma in a shape of one dimension", err) : OK;
}

static enum status
take_pair(struct found *f, struct scan *s, struct err *err)
{
    struct str key;
    bool *seen;

    if (take_string(&key, s, "a key between quotes, or }", err) != OK)
        return DATA;
    seen = str_eq(key, STR("descr"))           ? &f->has_descr
           : str_eq(key, STR("fortran_order")) ? &f->has_order
           : str_eq(key, STR("shape"))         ? &f->has_shape
                                               : NULL;
    if (seen == NULL)
        return err_set(err, DATA, "header: expected descr, fortran_order and shape, got \"%.*s\"",
            key.n > 40 ? 40 : (int)key.n, key.p);
    if (*seen)
        return err_set(err, DATA, "header: %.*s comes twice", (int)key.n, key.p);
    if (!take(s, ':'))
        return expected(s, "a colon", err);
    return seen == &f->has_descr   ? take_descr(f, s, err)
           : seen == &f->has_order ? take_order(f, s, err)
                                   : take_shape(f, s, err);
}

static enum status
take_dictionary(struct found *f, struct scan *s, struct err *err)
{
    bool comma = true;

    if (!take(s, '{'))
        return expected(s, "{", err);
    while (!take(s, '}')) {
        if (!comma)
            return expected(s, "a comma or }", err);
        if (take_pair(f, s, err) != OK)
            return DATA;
        comma = take(s, ',');
    }
    skip_blanks(s);
    if (s->p != s->end)
        return expected(s, "nothing behind }", err);
    if (!f->has_descr || !f->has_order || !f->has_shape)
        return err_set(err, DATA, "header: %s is missing",
            !f->has_descr   ? "descr"
            : !f->has_order ? "fortran_order"
                            : "shape");
    return OK;
}

/* '<f4': byte order, kind, bytes; of U four bytes each. */
static enum status
read_descr(struct npy *a, const char *descr, struct err *err)
{
    const char *order = descr, *kind = strchr("<>|=", descr[0]) != NULL && descr[0] != '\0' ? descr + 1 : descr;
    int64_t n = 0;

    if (kind[0] == 'O')
        return err_set(err, DATA, "descr: pickled objects ('%s'), which are not read", descr);
    if (kind[0] == '\0' || cli_int(&n, kind + 1, 1, 1 << 20, NULL) != OK || strchr("fUSa", kind[0]) == NULL ||
        (kind[0] == 'f' && n != 2 && n != 4 && n != 8))
        return err_set(err, DATA, "descr: expected f2, f4, f8, U or S, got '%s'", descr);
    a->kind = kind[0] == 'f'   ? (n == 2      ? NPY_F16
                                     : n == 4 ? NPY_F32
                                              : NPY_F64)
              : kind[0] == 'U' ? NPY_UNICODE
                               : NPY_BYTES;
    a->big = order[0] == '>';
    a->width = (size_t)n * (kind[0] == 'U' ? 4 : 1);
    return OK;
}

/* The header's place: OK, or DATA where there is none. */
static enum status
find_header(struct scan *s, const unsigned char *b, size_t n, struct err *err)
{
    size_t at, length;

    if (!npy_is(b, n))
        return err_set(err, DATA, "not an .npy file: it does not begin with \\x93NUMPY");
    if (n < MAGIC_BYTES + 2)
        return err_set(err, DATA, "cut off after %zu bytes, in the header", n);
    if (b[6] < 1 || b[6] > 3 || b[7] != 0)
        return err_set(err, DATA, "expected version 1.0, 2.0 or 3.0, got %u.%u", b[6], b[7]);
    at = b[6] == 1 ? 10 : 12;
    if (n < at)
        return err_set(err, DATA, "cut off after %zu bytes, in the header", n);
    length = (size_t)b[8] | (size_t)b[9] << 8;
    if (b[6] > 1)
        length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (length > HEADER_MAX)
        return err_set(err, DATA, "a header of %zu bytes: expected at most %d", length, HEADER_MAX);
    if (n - at < length)
        return err_set(err, DATA, "cut off after %zu bytes, in a header of %zu", n, length);
    s->start = s->p = (const char *)b + at;
    s->end = s->p + length;
    return OK;
}

enum status
npy_parse(struct npy *out, const void *bytes, size_t n, struct err *err)
{
    struct found f = {0};
    struct scan s = {0};
    size_t need, have;

    *out = (struct npy){0};
    if (find_header(&s, bytes, n, err) != OK || take_dictionary(&f, &s, err) != OK ||
        read_descr(out, f.descr, err) != OK)
        return DATA;
    if (f.dims < 1 || f.dims > 2)
        return err_set(err, DATA, "shape: expected 1 or 2 dimensions, got %u", f.dims);
    if (!size_mul(&need, f.elements, out->width))
        return err_set(err, DATA, "shape: more bytes than 64 bits count");
    have = n - (size_t)(s.end - (const char *)bytes);
    if (have < need)
        return err_set(err, DATA, "expected %zu bytes of data, got %zu", need, have);
    if (have > need)
        return err_set(err, DATA, "%zu bytes behind the data", have - need);
    out->dims = f.dims;
    out->rows = f.shape[0];
    out->columns = f.dims == 2 ? f.shape[1] : 1;
    out->fortran = f.fortran && f.dims == 2;
    out->data = (const unsigned char *)s.end;
    return OK;
}

void
npy_header(char out[NPY_HEADER], size_t rows, size_t columns)
{
    int n;

    memset(out, ' ', NPY_HEADER);
    memcpy(out, MAGIC "\1\0", MAGIC_BYTES + 2);
    out[8] = NPY_HEADER - 10;
    out[9] = 0;
    n = snprintf(
        out + 10, NPY_HEADER - 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", rows, columns);
    out[10 + n] = ' '; /* where snprintf put its end */
    out[NPY_HEADER - 1] = '\n';
}
