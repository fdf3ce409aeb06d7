/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utf8 - what is not UTF-8 replaced, and white space at the ends of a text. What is UTF-8 lib/cli knows.
 *
 * What is well-formed, and how much of an ill-formed sequence one U+FFFD stands for, is table 3-7 and "U+FFFD
 * Substitution of Maximal Subparts" of the Unicode Standard 15.0, §3.9: what Rust's from_utf8_lossy and Python's
 * errors="replace" do. Time: one pass.
 */
#include <string.h>

#include "text/utf8.h"

/* How many bytes at p (n > 0 of them) are one character (*ok), or the longest beginning of one. */
size_t
utf8_step(const unsigned char *p, size_t n, bool *ok)
{
    unsigned char c = p[0], lo = 0x80, hi = 0xbf;
    size_t need;

    *ok = true;
    if (c < 0x80)
        return 1;
    *ok = false;
    if (c < 0xc2 || c > 0xf4)
        return 1;
    need = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    /* The second byte excludes overlong forms, surrogates and what lies above U+10FFFF. */
    lo = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    hi = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    for (size_t i = 1; i < need; i++) {
        if (i == n || p[i] < lo || p[i] > hi)
            return i;
        lo = 0x80;
        hi = 0xbf;
    }
    *ok = true;
    return need;
}

bool
utf8_valid(struct str s)
{
    return utf8_span(s.p, s.n) == s.n;
}

enum status
utf8_clean(struct buf *out, struct str s, uint64_t *bad, struct err *err)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0;

    while (i < s.n) {
        size_t k = utf8_span(s.p + i, s.n - i);
        bool ok;
        if (buf_add(out, p + i, k, err) != OK)
            return err->status;
        if ((i += k) == s.n)
            break;
        i += utf8_step(p + i, s.n - i, &ok);
        if (buf_add(out, "\xef\xbf\xbd", 3, err) != OK)
            return err->status;
        if (bad != NULL)
            ++*bad;
    }
    return OK;
}

uint32_t
utf8_decode(const unsigned char *p, size_t n)
{
    switch (n) {
    case 1:
        return p[0];
    case 2:
        return (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f);
    case 3:
        return (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
    default:
        return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 | (uint32_t)(p[2] & 0x3f) << 6 |
               (p[3] & 0x3f);
    }
}

size_t
utf8_encode(char out[4], uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* The White_Space property of Unicode's PropList.txt. */
bool
utf8_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
           c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/* str.isspace() counts the four information separators too (bidirectional class B or S). */
static bool
python_space(uint32_t c)
{
    return utf8_space(c) || (c >= 0x1c && c <= 0x1f);
}

struct str
utf8_trim(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t from = 0, to = s.n;
    bool ok;

    while (from < to) {
        size_t k = utf8_step(p + from, to - from, &ok);
        if (!ok || !python_space(utf8_decode(p + from, k)))
            break;
        from += k;
    }
    while (to > from) {
        size_t k = 1;
        while (k < 4 && k < to - from && (p[to - k] & 0xc0) == 0x80)
            k++;
        if (utf8_step(p + to - k, k, &ok) != k || !ok || !python_space(utf8_decode(p + to - k, k)))
            break;
        to -= k;
    }
    return (struct str){s.p + from, to - from};
}
