/* SPDX-License-Identifier: Apache-2.0 */
/*
 * splithand - three patterns by hand: their alternatives in their order, each a few comparisons.
 *
 *     Llama 3                              GPT-2
 *     (?i:'s|'t|'re|'ve|'m|'ll|'d)         's|'t|'re|'ve|'m|'ll|'d
 *     [^\r\n\p{L}\p{N}]?\p{L}+              ?\p{L}+
 *     \p{N}{1,3}                            ?\p{N}+
 *      ?[^\s\p{L}\p{N}]+[\r\n]*             ?[^\s\p{L}\p{N}]+
 *     \s*[\r\n]+
 *     \s+(?!\S)                            \s+(?!\S)
 *     \s+                                  \s+
 *
 * Qwen 2 has \p{N} where Llama 3 has \p{N}{1,3}. Each character falls into one of five sets, so a table of sets by
 * character decides; ASCII has a table of its own, by byte. Every character begins some alternative: no gaps.
 */
#include "text/splithand.h"

#include "text/utf8.h"

void
hand_init(struct hand *h, size_t digits, const uint8_t *set)
{
    h->digits = digits;
    h->set = set;
    for (int i = 0; i < 256; i++)
        h->byte[i] = i < 0x80 ? set[i] : SPLIT_HIGH;
}

struct at {
    unsigned set; /* 0 at the end of the text */
    size_t n;     /* bytes of the character */
};

static struct at
high_at(const struct hand *h, struct str text, size_t i)
{
    const unsigned char *p = (const unsigned char *)text.p + i;
    size_t n = *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
    uint32_t c = utf8_decode(p, n);

    return (struct at){c < SPLIT_TABLE ? h->set[c] : SPLIT_OTHER, n};
}

static inline struct at
set_at(const struct hand *h, struct str text, size_t i)
{
    unsigned set;

    if (i >= text.n)
        return (struct at){0, 0};
    set = h->byte[(unsigned char)text.p[i]];
    return set == SPLIT_HIGH ? high_at(h, text, i) : (struct at){set, 1};
}

/* Behind the characters of those sets. */
static inline size_t
skip(const struct hand *h, struct str text, size_t i, unsigned sets)
{
    for (;;) {
        struct at a;
        while (i < text.n && h->byte[(unsigned char)text.p[i]] & sets)
            i++;
        if (i == text.n || h->byte[(unsigned char)text.p[i]] != SPLIT_HIGH)
            return i;
        a = high_at(h, text, i);
        if (!(a.set & sets))
            return i;
        i += a.n;
    }
}

/* 's 't 'm 'd 're 've 'll at i, which is an apostrophe: its bytes, 0 for none. Where case does not matter the long s is
 * one too. */
static size_t
contraction(struct str text, size_t i, bool any_case)
{
    int a = i + 1 < text.n ? (unsigned char)text.p[i + 1] : 0, b = i + 2 < text.n ? (unsigned char)text.p[i + 2] : 0;

    if (any_case && a == 0xc5 && b == 0xbf)
        return 3;
    if (any_case) {
        a |= 0x20;
        b |= 0x20;
    }
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    return ((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* The white space from i on (there is some): up to its last line end where lines matter, else but for the last
 * character before something else, else all. */
static size_t
space_end(const struct hand *h, struct str text, size_t i, bool lines)
{
    size_t end = skip(h, text, i, SPLIT_SPACE), last = end;

    while (lines && last > i && text.p[last - 1] != '\n' && text.p[last - 1] != '\r')
        last--;
    if (lines && last > i)
        return last;
    if (end == text.n)
        return end;
    for (last = end - 1; ((unsigned char)text.p[last] & 0xc0) == 0x80;)
        last--;
    return last > i ? last : end;
}

static size_t
split_gpt2(const struct hand *h, struct str text, size_t i)
{
    struct at a;
    size_t k;

    if (text.p[i] == '\'' && (k = contraction(text, i, false)) > 0)
        return i + k;
    k = text.p[i] == ' ' ? i + 1 : i;
    a = set_at(h, text, k);
    if (a.set & (SPLIT_LETTER | SPLIT_NUMBER | SPLIT_OTHER))
        return skip(h, text, k + a.n, a.set);
    return space_end(h, text, i, false);
}

static size_t
split_llama3(const struct hand *h, struct str text, size_t i)
{
    struct at a = set_at(h, text, i), next;
    size_t k;

    if (a.set & SPLIT_LETTER)
        return skip(h, text, i + a.n, SPLIT_LETTER);
    if (a.set & SPLIT_NUMBER) {
        for (k = 1, i += a.n; k < h->digits && (a = set_at(h, text, i)).set & SPLIT_NUMBER; k++)
            i += a.n;
        return i;
    }
    if (text.p[i] == '\'' && (k = contraction(text, i, true)) > 0)
        return i + k;
    next = set_at(h, text, i + a.n);
    if (next.set & SPLIT_LETTER && !(a.set & SPLIT_LINE))
        return skip(h, text, i + a.n + next.n, SPLIT_LETTER);
    if (a.set & SPLIT_OTHER || (text.p[i] == ' ' && next.set & SPLIT_OTHER))
        return skip(h, text, skip(h, text, i + a.n, SPLIT_OTHER), SPLIT_LINE);
    return space_end(h, text, i, true);
}

size_t
hand_split(const struct hand *h, struct str text, size_t from)
{
    return h->digits == 0 ? split_gpt2(h, text, from) : split_llama3(h, text, from);
}
