/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ngrams - words, pairs of words and character n-grams, hashed into a fixed number of buckets (the hashing trick of
 * Weinberger et al. 2009; subwords with their ends as in Bojanowski et al. 2017).
 *
 * Text is folded first: lower case, accents of Latin-1 taken off, apostrophes dropped, all else that is no letter or
 * digit a blank. Case is folded for Latin, Greek and Cyrillic; other scripts are taken as they are, and so are their
 * words: a script without blanks makes one long word, of which the character n-grams still tell. Linear time.
 */
#include "music/ngrams.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHARS_WEIGHT 0.3F /* a word has as many n-grams as letters: together they weigh about as much as the word */

/* The code point at p and its length; length 0 for what is not UTF-8. */
static size_t
decode(uint32_t *c, const unsigned char *p, size_t n)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;

    if (len == 0 || len > n || p[0] >= 0xf5)
        return 0;
    *c = len == 1 ? p[0] : p[0] & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        *c = *c << 6 | (p[i] & 0x3fU);
    }
    return len;
}

/* Lower case, without accents for U+00C0 … U+00FF; 0 for a blank, 1 for what is dropped. */
static uint32_t
fold(uint32_t c)
{
    static const char latin1[] = "aaaaaaaceeeeiiiidnooooo ouuuuytsaaaaaaaceeeeiiiidnooooo ouuuuyty";

    if (c < 0x80) {
        if (c >= 'A' && c <= 'Z')
            return c + 32;
        if (c == '\'')
            return 1;
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : 0;
    }
    if (c == 0x2019 || c == 0x2018 || (c >= 0x300 && c <= 0x36f)) /* quotation marks; combining accents */
        return 1;
    if (c < 0xc0 || (c >= 0x2000 && c <= 0x2bff) || (c >= 0x3000 && c <= 0x303f) || (c >= 0xff00 && c <= 0xff0f))
        return 0;
    if (c <= 0xff)
        return latin1[c - 0xc0] == ' ' ? 0 : (uint32_t)latin1[c - 0xc0];
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e)) /* capitals are odd there */
        return c + (c & 1);
    if (c <= 0x17f)
        return c | 1;
    if ((c >= 0x391 && c <= 0x3a9) || (c >= 0x410 && c <= 0x42f))
        return c + 32;
    return c >= 0x400 && c <= 0x40f ? c + 80 : c;
}

static enum status
encode(struct buf *out, uint32_t c, struct err *err)
{
    unsigned char u[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    for (size_t i = n; i-- > 1; c >>= 6)
        u[i] = (unsigned char)(0x80 | (c & 0x3f));
    u[0] = (unsigned char)(n == 1 ? c : (0xf00U >> n & 0xff) | c);
    return buf_add(out, u, n, err);
}

/* text folded into b->text: words, single blanks between them. */
static enum status
fold_text(struct bag *b, struct str text, struct err *err)
{
    const unsigned char *p = (const unsigned char *)text.p;
    bool blank = false;

    b->text.n = 0;
    for (size_t i = 0, len; i < text.n; i += len) {
        uint32_t c = 0;
        if ((len = decode(&c, p + i, text.n - i)) == 0) {
            len = 1;
            c = ' ';
        }
        if ((c = fold(c)) == 1)
            continue;
        if (c == 0) {
            blank = b->text.n > 0;
            continue;
        }
        if ((blank && buf_add(&b->text, " ", 1, err) != OK) || encode(&b->text, c, err) != OK)
            return SYSTEM;
        blank = false;
    }
    return OK;
}

/* kind salts the hash: a word and a tag of one word are two features. */
static enum status
put(struct bag *b, uint32_t field, unsigned kind, const char *p, size_t n, float weight, struct err *err)
{
    if (b->n == b->cap) {
        size_t cap = b->cap == 0 ? 256 : b->cap * 2;
        struct feature *f = realloc(b->feature, cap * sizeof(*f));
        if (f == NULL)
            return err_memory(err);
        b->feature = f;
        b->cap = cap;
    }
    b->feature[b->n++] = (struct feature){(uint32_t)(hash64(kind, p, n) % NGRAM_BUCKETS), field, weight};
    return OK;
}

/* Three and four characters of a word whose ends are marked by blanks; p[-1] and p[n] are blanks, too. */
static enum status
put_chars(struct bag *b, uint32_t field, const char *p, size_t n, struct err *err)
{
    size_t at[5] = {0}, seen = 0; /* where the last characters began */

    for (size_t i = 0; i <= n; i++) {
        if (i < n && (p[i] & 0xc0) == 0x80)
            continue;
        if (seen >= 3 &&
            put(b, field, NGRAM_CHARS, p + at[(seen - 3) % 5], i - at[(seen - 3) % 5], CHARS_WEIGHT, err) != OK)
            return SYSTEM;
        if (seen >= 4 &&
            put(b, field, NGRAM_CHARS, p + at[(seen - 4) % 5], i - at[(seen - 4) % 5], CHARS_WEIGHT, err) != OK)
            return SYSTEM;
        at[seen++ % 5] = i;
    }
    return OK;
}

static enum status
put_words(struct bag *b, uint32_t field, unsigned kinds, struct err *err)
{
    const char *p = b->text.p; /* " one two " */
    size_t before = 0;         /* where the word before began; 0 for none */

    for (size_t at = 1, end; at < b->text.n; at = end + 1) {
        for (end = at; p[end] != ' '; end++)
            ;
        if ((kinds & NGRAM_WORDS) != 0 && put(b, field, NGRAM_WORDS, p + at, end - at, 1, err) != OK)
            return SYSTEM;
        if ((kinds & NGRAM_PAIRS) != 0 && before > 0 &&
            put(b, field, NGRAM_PAIRS, p + before, end - before, 1, err) != OK)
            return SYSTEM;
        if ((kinds & NGRAM_CHARS) != 0 && put_chars(b, field, p + at - 1, end - at + 2, err) != OK)
            return SYSTEM;
        before = at;
    }
    return OK;
}

enum status
bag_add(struct bag *b, uint32_t field, struct str text, unsigned kinds, struct err *err)
{
    if (fold_text(b, text, err) != OK)
        return SYSTEM;
    if (b->text.n == 0)
        return OK;
    if ((kinds & NGRAM_WHOLE) != 0 && put(b, field, NGRAM_WHOLE, b->text.p, b->text.n, 2, err) != OK)
        return SYSTEM;
    /* A blank at both ends. */
    if (buf_add(&b->text, "  ", 2, err) != OK)
        return SYSTEM;
    memmove(b->text.p + 1, b->text.p, b->text.n - 2);
    b->text.p[0] = ' ';
    return put_words(b, field, kinds, err);
}

enum status
bag_token(struct bag *b, uint32_t field, struct str token, struct err *err)
{
    return put(b, field, NGRAM_WHOLE, token.p, token.n, 1, err);
}

static int
compare(const void *a, const void *b)
{
    const struct feature *x = a, *y = b;

    if (x->field != y->field)
        return x->field < y->field ? -1 : 1;
    if (x->bucket != y->bucket)
        return x->bucket < y->bucket ? -1 : 1;
    /* Kinds that share a bucket: a fixed order of the sum. */
    return x->weight < y->weight ? -1 : x->weight > y->weight;
}

void
bag_join(struct bag *b)
{
    size_t n = 0, end;

    if (b->n > 0)
        qsort(b->feature, b->n, sizeof(*b->feature), compare);
    for (size_t i = 0; i < b->n; i = end) {
        float sum = 0;
        for (end = i; end < b->n && b->feature[end].field == b->feature[i].field &&
                      b->feature[end].bucket == b->feature[i].bucket;
             end++)
            sum += b->feature[end].weight;
        b->feature[n] = b->feature[i];
        b->feature[n++].weight = sum * (1 + logf((float)(end - i))) / (float)(end - i);
    }
    b->n = n;
}

void
bag_free(struct bag *b)
{
    free(b->feature);
    buf_free(&b->text);
    *b = (struct bag){0};
}
