/* SPDX-License-Identifier: Apache-2.0 */
/*
 * splitascii - LLAMA3_SPLIT over ASCII by hand: the alternatives of the pattern, in its order, each a few comparisons.
 *
 *     (?i:'s|'t|'re|'ve|'m|'ll|'d)
 *     [^\r\n\p{L}\p{N}]?\p{L}+
 *     \p{N}{1,3}
 *      ?[^\s\p{L}\p{N}]+[\r\n]*
 *     \s*[\r\n]+
 *     \s+(?!\S)
 *     \s+
 *
 * As soon as a byte above 0x7f is looked at, the piece is left to PCRE2: whether it is a letter is in its tables. The
 * long s (U+017F) that the first alternative also takes is such a byte.
 */
#include "text/splitascii.h"

enum { LETTER = 1, DIGIT = 2, SPACE = 4, LINE = 8, OTHER = 16, HIGH = 32 };

/* The end of the text is a class of its own: 0. */
static unsigned
class_at(struct str text, size_t i)
{
    unsigned char c;

    if (i >= text.n)
        return 0;
    c = (unsigned char)text.p[i];
    if (c >= 0x80)
        return HIGH;
    if ((unsigned char)((c | 0x20) - 'a') < 26)
        return LETTER;
    if ((unsigned char)(c - '0') < 10)
        return DIGIT;
    if (c == '\n' || c == '\r')
        return SPACE | LINE;
    return c == ' ' || (c >= 9 && c <= 13) ? SPACE : OTHER;
}

static size_t
skip(struct str text, size_t i, unsigned class)
{
    while (class_at(text, i) & class)
        i++;
    return i;
}

/* 's 't 'm 'd 're 've 'll after the apostrophe at i: how many letters, 0 for none. */
static size_t
contraction(struct str text, size_t i)
{
    int a = i + 1 < text.n ? text.p[i + 1] | 0x20 : 0, b = i + 2 < text.n ? text.p[i + 2] | 0x20 : 0;

    if (!(class_at(text, i + 1) & LETTER))
        return 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 1;
    if (!(class_at(text, i + 2) & LETTER))
        return 0;
    return ((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l') ? 2 : 0;
}

/* The white space from i on (there is some): \s*[\r\n]+, then \s+(?!\S), then \s+. */
static size_t
space_end(struct str text, size_t i)
{
    size_t end = skip(text, i, SPACE), last = end;

    if (class_at(text, end) & HIGH)
        return i;
    while (last > i && !(class_at(text, last - 1) & LINE))
        last--;
    if (last > i)
        return last;
    return end == text.n || end - i == 1 ? end : end - 1;
}

size_t
split_ascii(struct str text, size_t from)
{
    unsigned here = class_at(text, from), next;
    size_t end;

    if (here & HIGH)
        return from;
    if (here & DIGIT) {
        for (end = from + 1; end < from + 3 && (class_at(text, end) & DIGIT);)
            end++;
        /* There are digits above ASCII. */
        return end < from + 3 && (class_at(text, end) & HIGH) ? from : end;
    }
    next = class_at(text, from + 1);
    if (next & HIGH)
        return from;
    if (text.p[from] == '\'' && (next & LETTER)) {
        size_t letters = contraction(text, from);
        if (letters > 0)
            return from + 1 + letters;
    }
    if (here & LETTER || (!(here & LINE) && next & LETTER)) {
        end = skip(text, from + 1, LETTER);
        return class_at(text, end) & HIGH ? from : end;
    }
    if (here & OTHER || (text.p[from] == ' ' && next & OTHER)) {
        end = skip(text, from + 1, OTHER);
        if (class_at(text, end) & HIGH)
            return from;
        end = skip(text, end, LINE);
        return end;
    }
    return space_end(text, from);
}
