/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nfc - normalisation form C (Unicode Standard Annex 15; chapter 3.11 and, for Hangul, 3.12 of the standard):
 * decompose, order marks by their class, compose. Most text is in that form and is only looked at: one table look-up a
 * character. Time is linear in the text; 32 bytes a byte of it where something has to change.
 */
#include "text/nfc.h"

#include <stdlib.h>
#include <string.h>

#include "text/utf8.h"

#define TABLE ((size_t)0x30000) /* all tables end below */
#define CHANGES 255             /* in kind: a starter that is not kept as it is */
#define JOINS 254               /* a starter that may become one with what is before it */
#define FEW 16

enum { S_BASE = 0xac00, L_BASE = 0x1100, V_BASE = 0x1161, T_BASE = 0x11a7, L_COUNT = 19, V_COUNT = 21, T_COUNT = 28 };
#define S_COUNT (L_COUNT * V_COUNT * T_COUNT)

struct nfc_char {
    uint32_t c;
    uint32_t class;
};

struct nfc {
    uint32_t compose[NFC_PAIRS][3]; /* (n) first, second, what they become: ordered by the first two */
    size_t n;
    uint8_t kind[TABLE]; /* 0: nothing to do; class; CHANGES; JOINS */
};

static int
compare(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    if (x[0] != y[0])
        return x[0] < y[0] ? -1 : 1;
    return x[1] < y[1] ? -1 : x[1] > y[1];
}

enum status
nfc_new(struct nfc **out, struct err *err)
{
    struct nfc *n = calloc(1, sizeof(*n));

    if ((*out = n) == NULL)
        return err_memory(err);
    for (size_t i = 0; i < NFC_RUNS; i++)
        memset(n->kind + nfc_run[i][0], CHANGES, nfc_run[i][1]);
    for (size_t i = 0; i < NFC_PAIRS; i++) {
        const uint32_t *p = nfc_pair[i];
        if (p[2] & NFC_EXCLUDED) {
            n->kind[p[0]] = CHANGES;
            continue;
        }
        n->compose[n->n][0] = p[1];
        n->compose[n->n][1] = p[2];
        n->compose[n->n++][2] = p[0];
        n->kind[p[2]] = JOINS;
    }
    memset(n->kind + V_BASE, JOINS, V_COUNT);
    memset(n->kind + T_BASE + 1, JOINS, T_COUNT - 1);
    for (size_t i = 0; i < NFC_CLASSES; i++)
        memset(n->kind + nfc_class[i][0], (int)nfc_class[i][2], nfc_class[i][1] - nfc_class[i][0] + 1);
    qsort(n->compose, n->n, sizeof(n->compose[0]), compare);
    return OK;
}

void
nfc_free(struct nfc *n)
{
    free(n);
}

void
nfc_work_free(struct nfc_work *w)
{
    buf_free(&w->text);
    free(w->p);
    free(w->other);
    *w = (struct nfc_work){.cap = 0};
}

static uint8_t
kind_of(const struct nfc *n, uint32_t c)
{
    return c < TABLE ? n->kind[c] : 0;
}

/* Is there nothing in text that could change? */
static bool
is_plain(const struct nfc *n, struct str text)
{
    const unsigned char *p = (const unsigned char *)text.p;

    for (size_t i = 0; i < text.n;) {
        size_t k = p[i] < 0x80 ? 1 : p[i] < 0xe0 ? 2 : p[i] < 0xf0 ? 3 : 4;
        if (p[i] >= 0xcc && kind_of(n, utf8_decode(p + i, k)) != 0) /* U+0300 begins with 0xcc */
            return false;
        i += k;
    }
    return true;
}

static int
find_char(const void *key, const void *row)
{
    uint32_t c = *(const uint32_t *)key, d = *(const uint32_t *)row;

    return c < d ? -1 : c > d;
}

/* Appends what c is made of; at most four characters. */
static size_t
decompose(struct nfc_char *out, const struct nfc *n, uint32_t c)
{
    const uint32_t *pair;
    size_t k;

    if (c >= S_BASE && c < S_BASE + S_COUNT) {
        uint32_t s = c - S_BASE, t = s % T_COUNT;
        out[0] = (struct nfc_char){L_BASE + s / (V_COUNT * T_COUNT), 0};
        out[1] = (struct nfc_char){V_BASE + s % (V_COUNT * T_COUNT) / T_COUNT, 0};
        out[2] = (struct nfc_char){T_BASE + t, 0};
        return t == 0 ? 2 : 3;
    }
    if (c >= 0xc0 && (pair = bsearch(&c, nfc_pair, NFC_PAIRS, sizeof(nfc_pair[0]), find_char)) != NULL) {
        k = decompose(out, n, pair[1]);
        return k + decompose(out + k, n, pair[2] & ~NFC_EXCLUDED);
    }
    for (size_t i = 0; c >= 0x340 && i < NFC_RUNS; i++)
        if (c >= nfc_run[i][0] && c - nfc_run[i][0] < nfc_run[i][1])
            return decompose(out, n, nfc_single[nfc_run[i][2] + c - nfc_run[i][0]]);
    k = kind_of(n, c);
    out[0] = (struct nfc_char){c, k < JOINS ? (uint32_t)k : 0};
    return 1;
}

/* Orders n marks by class; those of a class keep their order. */
static void
order_marks(struct nfc_char *p, size_t n, struct nfc_char *other)
{
    size_t at[256] = {0}, sum = 0;

    if (n <= FEW) {
        for (size_t i = 1; i < n; i++) {
            struct nfc_char x = p[i];
            size_t k = i;
            for (; k > 0 && p[k - 1].class > x.class; k--)
                p[k] = p[k - 1];
            p[k] = x;
        }
        return;
    }
    for (size_t i = 0; i < n; i++)
        at[p[i].class]++;
    for (int c = 0; c < 256; c++) {
        size_t count = at[c];
        at[c] = sum;
        sum += count;
    }
    memcpy(other, p, n * sizeof(*p));
    for (size_t i = 0; i < n; i++)
        p[at[other[i].class]++] = other[i];
}

/* What a and b become together, 0 for nothing. */
static uint32_t
join(const struct nfc *n, uint32_t a, uint32_t b)
{
    uint32_t key[2] = {a, b};
    const uint32_t *row;

    if (a >= L_BASE && a < L_BASE + L_COUNT && b >= V_BASE && b < V_BASE + V_COUNT)
        return S_BASE + ((a - L_BASE) * V_COUNT + (b - V_BASE)) * T_COUNT;
    if (a >= S_BASE && a < S_BASE + S_COUNT && (a - S_BASE) % T_COUNT == 0 && b > T_BASE && b < T_BASE + T_COUNT)
        return a + (b - T_BASE);
    row = bsearch(key, n->compose, n->n, sizeof(n->compose[0]), compare);
    return row == NULL ? 0 : row[2];
}

/* Composes the size characters of p in place; how many are left. */
static size_t
compose(struct nfc_char *p, size_t size, const struct nfc *n)
{
    size_t k = 0, starter = SIZE_MAX;

    for (size_t i = 0; i < size; i++) {
        struct nfc_char x = p[i];
        /* Blocked is what has something of its own class or above, or a starter, between the starter and itself. */
        bool open = starter != SIZE_MAX && (k - 1 == starter || (p[k - 1].class != 0 && p[k - 1].class < x.class));
        uint32_t whole = open ? join(n, p[starter].c, x.c) : 0;
        if (whole != 0) {
            p[starter].c = whole;
            continue;
        }
        if (x.class == 0)
            starter = k;
        p[k++] = x;
    }
    return k;
}

static enum status
grow(struct nfc_work *w, size_t n, struct err *err)
{
    size_t bytes;
    void *p;

    if (n <= w->cap)
        return OK;
    if (!size_mul(&bytes, n, sizeof(*w->p)) || (p = realloc(w->p, bytes)) == NULL)
        return err_memory(err);
    w->p = p;
    if ((p = realloc(w->other, bytes)) == NULL)
        return err_memory(err);
    w->other = p;
    w->cap = n;
    return OK;
}

enum status
nfc_apply(struct str *out, struct nfc_work *w, const struct nfc *n, struct str text, struct err *err)
{
    const unsigned char *p = (const unsigned char *)text.p;
    size_t size = 0, marks = 0;

    *out = text;
    if (is_plain(n, text))
        return OK;
    /* A byte becomes two characters at most: of two bytes the longest is three, of three bytes four. */
    if (text.n > SIZE_MAX / 4 || grow(w, 2 * text.n + 4, err) != OK)
        return err_memory(err);
    for (size_t i = 0, k; i < text.n; i += k) {
        k = p[i] < 0x80 ? 1 : p[i] < 0xe0 ? 2 : p[i] < 0xf0 ? 3 : 4;
        size += decompose(w->p + size, n, utf8_decode(p + i, k));
    }
    for (size_t i = 0; i <= size; i++) {
        if (i < size && w->p[i].class != 0)
            continue;
        order_marks(w->p + marks, i - marks, w->other);
        marks = i + 1;
    }
    size = compose(w->p, size, n);
    w->text.n = 0;
    for (size_t i = 0; i < size; i++) {
        char utf8[4];
        if (buf_add(&w->text, utf8, utf8_encode(utf8, w->p[i].c), err) != OK)
            return err->status;
    }
    *out = (struct str){w->text.p, w->text.n};
    return OK;
}
