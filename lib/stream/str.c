/* SPDX-License-Identifier: Apache-2.0 */
/* str - strings with a length, growing buffers, whole files. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "stream/stream.h"

struct str
str_of(const char *c_string)
{
    return (struct str){c_string, strlen(c_string)};
}

bool
str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int
str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n == 0 ? 0 : memcmp(a.p, b.p, n);

    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

static uint64_t
load(const char *p, size_t n)
{
    uint64_t x = 0;

    memcpy(&x, p, n);
    return x;
}

/* Both halves of a product, as in wyhash (Wang Yi, 2019). */
static uint64_t
fold(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 m = a;

    m *= b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Words of eight bytes; the last one may overlap the one before it. */
uint64_t
str_hash(struct str s)
{
    uint64_t h = s.n ^ 0x9E3779B97F4A7C15U, last = 0;
    size_t i = 0;

    for (; i + 8 < s.n; i += 8)
        h = fold(h ^ load(s.p + i, 8), 0xBF58476D1CE4E5B9U);
    if (s.n >= 8)
        last = load(s.p + s.n - 8, 8);
    else
        for (; i < s.n; i++)
            last = last << 8 | (unsigned char)s.p[i];
    return fold(h ^ last ^ 0x2545F4914F6CDD1DU, 0x94D049BB133111EBU);
}

enum status
buf_reserve(struct buf *b, size_t more, struct err *err)
{
    size_t want, cap = b->cap < 64 ? 64 : b->cap;
    char *p;

    if (__builtin_add_overflow(b->n, more, &want) || want > SIZE_MAX / 2)
        return err_memory(err);
    if (want <= b->cap)
        return OK;
    while (cap < want)
        cap *= 2;
    if ((p = realloc(b->p, cap)) == NULL)
        return err_memory(err);
    b->p = p;
    b->cap = cap;
    return OK;
}

enum status
buf_add(struct buf *b, const void *bytes, size_t n, struct err *err)
{
    if (buf_reserve(b, n, err) != OK)
        return SYSTEM;
    if (n > 0)
        memcpy(b->p + b->n, bytes, n);
    b->n += n;
    return OK;
}

enum status
buf_adds(struct buf *b, struct str s, struct err *err)
{
    return buf_add(b, s.p, s.n, err);
}

enum status
buf_printf(struct buf *b, struct err *err, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || buf_reserve(b, (size_t)n + 1, err) != OK)
        return err_memory(err);
    va_start(ap, fmt);
    (void)vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
    return OK;
}

void
buf_free(struct buf *b)
{
    free(b->p);
    *b = (struct buf){NULL, 0, 0};
}

static enum status
read_all(struct buf *out, FILE *f, const char *path, size_t max, struct err *err)
{
    for (;;) {
        size_t n;
        if (buf_reserve(out, (size_t)1 << 16, err) != OK)
            return SYSTEM;
        n = fread(out->p + out->n, 1, out->cap - out->n - 1, f);
        out->n += n;
        if (out->n > max)
            return err_set(err, DATA, "%s: larger than %zu bytes", path, max);
        if (n == 0)
            break;
    }
    if (ferror(f))
        return err_errno(err, IO, "%s: read", path);
    out->p[out->n] = '\0';
    return OK;
}

enum status
file_read(struct buf *out, const char *path, size_t max, struct err *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *f = is_stdin ? stdin : fopen(path, "rb");
    enum status st;

    out->n = 0;
    if (f == NULL)
        return err_errno(err, NOINPUT, "%s", path);
    st = read_all(out, f, is_stdin ? "stdin" : path, max, err);
    if (!is_stdin)
        (void)fclose(f); /* only read from: nothing can be lost */
    return st;
}
