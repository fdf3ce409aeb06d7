/* SPDX-License-Identifier: Apache-2.0 */
/*
 * added - added tokens in a text, found as the reference does: those that are not normalized in the text as it is, then
 * the others in the normalized rest; each time leftmost, then longest. lstrip and rstrip take the white space beside a
 * token with it, single_word wants no letter beside it.
 *
 * The reference goes on searching behind the token and not behind the white space that rstrip took, so that a token of
 * white space may be found within: then that is said twice. So it is here.
 *
 * The tokens of a pass are sorted; each further byte of the text narrows the range of those that still match. Time: a
 * look at each byte, and where that begins a token a few binary searches.
 */
#include <stdlib.h>
#include <string.h>

#include "text/bpe.h"

static int
compare(struct str a, struct str b)
{
    int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

    return c != 0 ? c : a.n < b.n ? -1 : a.n > b.n;
}

static int
compare_added(const void *a, const void *b)
{
    const struct added *x = *(const struct added *const *)a, *y = *(const struct added *const *)b;
    int c = compare(x->pattern, y->pattern);

    /* Of two that normalization makes equal the one that comes first in the file is found. */
    return c != 0 ? c : x < y ? -1 : x > y;
}

/* What is looked for: the content, normalized if the token is. */
static enum status
set_pattern(struct added *a, struct bpe *b, struct nfc_work *work, struct err *err)
{
    struct str s = a->content;
    uint32_t k;

    a->pattern = s;
    if (!a->normalized || b->nfc == NULL)
        return OK;
    if (nfc_apply(&s, work, b->nfc, s, err) != OK || ids_add(&k, b->strings, s, err) != OK)
        return err->status;
    a->pattern = ids_str(b->strings, k);
    return OK;
}

enum status
added_prepare(struct bpe *b, struct err *err)
{
    struct nfc_work work = {.cap = 0};
    bool words = false;
    enum status st = OK;

    for (size_t i = 0; i < b->n_added && st == OK; i++) {
        words = words || b->added[i].single_word;
        st = set_pattern(&b->added[i], b, &work, err);
    }
    nfc_work_free(&work);
    if (st != OK || (words && (st = split_word_set(&b->word, err)) != OK))
        return st;
    for (int normalized = 0; normalized < 2; normalized++) {
        struct added_set *s = &b->added_set[normalized];
        if ((s->sorted = malloc((b->n_added + 1) * sizeof(*s->sorted))) == NULL) /* n_added is far below SIZE_MAX / 8 */
            return err_memory(err);
        for (size_t i = 0; i < b->n_added; i++)
            if (b->added[i].normalized == (normalized == 1)) {
                s->sorted[s->n++] = &b->added[i];
                s->first[(unsigned char)b->added[i].pattern.p[0]] = true;
            }
        qsort(s->sorted, s->n, sizeof(*s->sorted), compare_added);
    }
    return OK;
}

/* The first of sorted[lo … hi) whose byte k is not below c, all of them having more than k bytes. */
static size_t
bound(const struct added_set *s, size_t lo, size_t hi, size_t k, unsigned c)
{
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if ((unsigned char)s->sorted[mid]->pattern.p[k] < c)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The longest token at the beginning of text; NULL for none. */
static const struct added *
longest(const struct added_set *s, struct str text)
{
    const struct added *found = NULL;
    size_t lo = 0, hi = s->n;

    for (size_t k = 0; lo < hi; k++) {
        if (s->sorted[lo]->pattern.n == k) {
            found = s->sorted[lo];
            while (lo < hi && s->sorted[lo]->pattern.n == k)
                lo++;
        }
        if (k == text.n)
            break;
        lo = bound(s, lo, hi, k, (unsigned char)text.p[k]);
        hi = bound(s, lo, hi, k, (unsigned char)text.p[k] + 1u);
    }
    return found;
}

/* The character that ends at to; its first byte. */
static size_t
char_before(struct str s, size_t to)
{
    do
        to--;
    while (to > 0 && ((unsigned char)s.p[to] & 0xc0) == 0x80);
    return to;
}

static uint32_t
char_at(struct str s, size_t i, size_t *n)
{
    bool ok;

    *n = utf8_step((const unsigned char *)s.p + i, s.n - i, &ok);
    return utf8_decode((const unsigned char *)s.p + i, *n);
}

/* Where the white space that ends at to begins. */
static size_t
strip_left(struct str s, size_t to)
{
    size_t n;

    for (size_t i; to > 0; to = i)
        if (!utf8_space(char_at(s, i = char_before(s, to), &n)))
            break;
    return to;
}

static size_t
strip_right(struct str s, size_t from)
{
    for (size_t n; from < s.n && utf8_space(char_at(s, from, &n));)
        from += n;
    return from;
}

static bool
is_word(const struct bpe *b, struct str s, size_t i)
{
    size_t n;
    uint32_t c = char_at(s, i, &n);

    return c < SPLIT_TABLE ? b->word[c] != 0 : c >= 0xe0100 && c <= 0xe01ef;
}

/* Is there a letter right before begin or at end? */
static bool
within_word(const struct bpe *b, struct str s, size_t begin, size_t end)
{
    return (begin > 0 && is_word(b, s, char_before(s, begin))) || (end < s.n && is_word(b, s, end));
}

struct pass {
    const struct bpe *b;
    struct nfc_work *work;
    const struct added_calls *calls;
};

static enum status split_pass(const struct pass *p, struct str s, bool normalized, struct err *err);

/* What lies between tokens of a pass. */
static enum status
plain(const struct pass *p, struct str s, bool normalized, struct err *err)
{
    if (s.n == 0)
        return OK;
    if (normalized)
        return p->calls->plain(p->calls->arg, s, err);
    if (p->b->nfc != NULL && nfc_apply(&s, p->work, p->b->nfc, s, err) != OK)
        return err->status;
    return split_pass(p, s, true, err);
}

static enum status
split_pass(const struct pass *p, struct str s, bool normalized, struct err *err)
{
    const struct added_set *set = &p->b->added_set[normalized];
    size_t done = 0;

    for (size_t i = 0; i < s.n && set->n > 0;) {
        const struct added *a = NULL;
        size_t begin = i, end;
        if (!set->first[(unsigned char)s.p[i]] || (a = longest(set, (struct str){s.p + i, s.n - i})) == NULL) {
            i++;
            continue;
        }
        i = end = begin + a->pattern.n;
        if (a->single_word && within_word(p->b, s, begin, end))
            continue;
        if (a->lstrip) {
            begin = strip_left(s, begin);
            begin = begin > done ? begin : done;
        }
        if (a->rstrip)
            end = strip_right(s, end);
        if (begin > done && plain(p, (struct str){s.p + done, begin - done}, normalized, err) != OK)
            return err->status;
        /* Nothing is left of a token of white space that an rstrip took and an lstrip gave up. */
        if (begin < end && p->calls->token(p->calls->arg, a->id, err) != OK)
            return err->status;
        done = end;
    }
    return plain(p, (struct str){s.p + done, s.n - done}, normalized, err);
}

enum status
added_split(
    const struct bpe *b, struct nfc_work *work, struct str text, const struct added_calls *calls, struct err *err)
{
    struct pass p = {b, work, calls};

    return split_pass(&p, text, false, err);
}
