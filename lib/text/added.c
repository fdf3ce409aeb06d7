/* SPDX-License-Identifier: Apache-2.0 */
/*
 * added - added tokens in a control text, found as the reference does: leftmost, then longest; first those that are not
 * normalized, then the others in what is left. lstrip and rstrip take the white space beside a token with it.
 *
 * Each place tries every length up to the longest content: control texts are short, and only places whose character
 * begins some token are tried.
 */
#include <string.h>

#include "text/bpe.h"

/* The longest added token of that kind at the beginning of s; NULL for none. */
static const struct added *
longest(const struct bpe *b, struct str s, bool normalized)
{
    size_t n = s.n < b->max_added ? s.n : b->max_added;

    for (; n > 0; n--) {
        uint32_t k = ids_find(b->added_names, (struct str){s.p, n});
        if (k != IDS_NONE && b->added[k].normalized == normalized)
            return &b->added[k];
    }
    return NULL;
}

/* Which bytes begin an added token. */
static void
first_bytes(bool first[256], const struct bpe *b, bool normalized)
{
    memset(first, 0, 256 * sizeof(first[0]));
    for (size_t i = 0; i < b->n_added; i++)
        if (b->added[i].normalized == normalized)
            first[(unsigned char)b->added[i].content.p[0]] = true;
}

/* from, or where the white space that ends at to begins. */
static size_t
strip_left(struct str s, size_t from, size_t to)
{
    const unsigned char *p = (const unsigned char *)s.p;
    bool ok;

    while (to > from) {
        size_t k = 1;
        while (k < 4 && k < to - from && (p[to - k] & 0xc0) == 0x80)
            k++;
        if (utf8_step(p + to - k, k, &ok) != k || !ok || !utf8_space(utf8_decode(p + to - k, k)))
            break;
        to -= k;
    }
    return to;
}

static size_t
strip_right(struct str s, size_t from)
{
    const unsigned char *p = (const unsigned char *)s.p;
    bool ok;

    while (from < s.n) {
        size_t k = utf8_step(p + from, s.n - from, &ok);
        if (!ok || !utf8_space(utf8_decode(p + from, k)))
            break;
        from += k;
    }
    return from;
}

/* One pass over s; what lies between goes to the other pass if this is the first. */
static enum status
split_pass(const struct bpe *b, struct str s, bool normalized, const struct added_calls *calls, struct err *err)
{
    bool first[256];
    size_t done = 0;
    enum status st = OK;

    first_bytes(first, b, normalized);
    for (size_t i = 0; i <= s.n && st == OK;) {
        const struct added *a = NULL;
        if (i < s.n &&
            (!first[(unsigned char)s.p[i]] || (a = longest(b, (struct str){s.p + i, s.n - i}, normalized)) == NULL)) {
            i++;
            continue;
        }
        size_t end = a != NULL && a->lstrip ? strip_left(s, done, i) : i;
        struct str plain = {s.p + done, end - done};
        if (plain.n > 0)
            st = normalized ? calls->plain(calls->arg, plain, err) : split_pass(b, plain, true, calls, err);
        if (st != OK || a == NULL)
            break;
        i += a->content.n;
        if (a->rstrip)
            i = strip_right(s, i);
        done = i;
        st = calls->token(calls->arg, a->id, err);
    }
    return st;
}

enum status
added_split(const struct bpe *b, struct str text, const struct added_calls *calls, struct err *err)
{
    return split_pass(b, text, false, calls, err);
}
