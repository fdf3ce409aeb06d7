/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words - lower-case words of a text, for lexical search.
 *
 * One pcre2_substitute does all of it: every run of letters, marks and digits is replaced by itself in lower
 * case (\L, which knows letters that are each other's case: not I with a dot, nor Roman numerals) and a line break,
 * and nothing else is kept. So
 * "Beyoncé's 7/11" is "beyoncé", "s", "7", "11". Locale and machine do not matter. Linear in the text.
 *
 * Departure from what search engines do: no stemming, no stop words, no folding of accents, since a title is
 * looked for by the words that it has.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <stdlib.h>
#include <string.h>

#include "eval/eval.h"

struct words {
    pcre2_code *code;
    pcre2_match_data *match;
    struct buf out;
    size_t at;
};

enum status
words_new(struct words **out, struct err *err)
{
    struct words *w = calloc(1, sizeof(*w));
    int why;
    PCRE2_SIZE where;

    if (w == NULL)
        return err_memory(err);
    w->code = pcre2_compile(
        (PCRE2_SPTR) "[\\p{L}\\p{M}\\p{N}]+", PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &why, &where, NULL);
    if (w->code != NULL)
        w->match = pcre2_match_data_create_from_pattern(w->code, NULL);
    if (w->match == NULL) {
        words_free(w);
        return err_memory(err);
    }
    (void)pcre2_jit_compile(w->code, PCRE2_JIT_COMPLETE); /* without it the same is found more slowly */
    *out = w;
    return OK;
}

void
words_free(struct words *w)
{
    if (w == NULL)
        return;
    pcre2_match_data_free(w->match);
    pcre2_code_free(w->code);
    buf_free(&w->out);
    free(w);
}

enum status
words_start(struct words *w, struct str text, struct err *err)
{
    const uint32_t options = PCRE2_SUBSTITUTE_GLOBAL | PCRE2_SUBSTITUTE_EXTENDED | PCRE2_SUBSTITUTE_REPLACEMENT_ONLY |
                             PCRE2_SUBSTITUTE_OVERFLOW_LENGTH;
    PCRE2_SIZE size = 2 * text.n + 16; /* enough for nearly every text; what it takes is known after one try */
    int n;

    w->at = 0;
    w->out.n = 0;
    if (text.n == 0)
        return OK;
    for (int attempt = 0; attempt < 2; attempt++) {
        if (buf_reserve(&w->out, size, err) != OK)
            return SYSTEM;
        n = pcre2_substitute(w->code, (PCRE2_SPTR)text.p, text.n, 0, options, w->match, NULL, (PCRE2_SPTR) "\\L$0\\E\n",
            PCRE2_ZERO_TERMINATED, (PCRE2_UCHAR *)w->out.p, &size);
        if (n != PCRE2_ERROR_NOMEMORY)
            break;
    }
    if (n <= PCRE2_ERROR_UTF8_ERR1 && n >= PCRE2_ERROR_UTF8_ERR21)
        return err_set(err, DATA, "expected text in UTF-8");
    if (n < 0)
        return err_set(err, SYSTEM, "PCRE2 error %d", n);
    w->out.n = size;
    return OK;
}

bool
words_next(struct str *word, struct words *w)
{
    const char *p = w->out.p + w->at, *end;

    if (w->at >= w->out.n)
        return false;
    end = memchr(p, '\n', w->out.n - w->at); /* every word is followed by one */
    *word = (struct str){p, (size_t)(end - p)};
    w->at += word->n + 1;
    return true;
}
