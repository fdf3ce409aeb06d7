/* SPDX-License-Identifier: Apache-2.0 */
/*
 * split - pre-tokenizers: a text cut into pieces by regular expressions, one after another, each over the pieces of the
 * one before.
 *
 * PCRE2 with UTF and Unicode properties, compiled to machine code, stands in for Oniguruma, which the reference uses.
 * One class differs: PCRE2's \s also takes U+180E, so \s and \S are rewritten to the White_Space property, which is
 * what Oniguruma has. Time is linear in the text for the patterns of GPT-2 and Llama 3. Plain ASCII under Llama 3's
 * pattern goes through splitascii.c, which does the same several times faster.
 */
#include <string.h>

#include "text/bpe.h"
#include "text/splitascii.h"

static enum status
rewrite_space(struct buf *out, struct str pattern, struct err *err)
{
    for (size_t i = 0; i < pattern.n; i++) {
        bool escape = pattern.p[i] == '\\' && i + 1 < pattern.n;
        char c = escape ? pattern.p[i + 1] : pattern.p[i];
        struct str s = {pattern.p + i, escape ? 2 : 1};
        if (escape && c == 's')
            s = STR("\\p{White_Space}");
        else if (escape && c == 'S')
            s = STR("\\P{White_Space}");
        if (buf_adds(out, s, err) != OK)
            return err->status;
        i += escape;
    }
    return OK;
}

static enum status
compile(pcre2_code **out, struct str pattern, bool literal, struct err *err)
{
    uint32_t options = literal ? PCRE2_LITERAL | PCRE2_UTF : PCRE2_UTF | PCRE2_UCP;
    unsigned char message[128];
    size_t at;
    int code;

    *out = pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n, options, &code, &at, NULL);
    if (*out == NULL) {
        (void)pcre2_get_error_message(code, message, sizeof(message));
        return err_set(err, DATA, "pre_tokenizer: pattern: byte %zu: %s", at, (char *)message);
    }
    /* Without a compiler for this machine matching is interpreted: slower, not different. */
    (void)pcre2_jit_compile(*out, PCRE2_JIT_COMPLETE);
    return OK;
}

enum status
splitter_add_pattern(
    struct splitter *s, struct str pattern, bool literal, bool drop_match, bool drop_gap, struct err *err)
{
    struct split_step *step = &s->step[s->n];
    struct buf rewritten = {0};
    enum status st = OK;

    if (s->n == BPE_MAX_STEPS)
        return err_set(err, DATA, "pre_tokenizer: more than %d steps", BPE_MAX_STEPS);
    *step = (struct split_step){NULL, false, drop_match, drop_gap};
    if (!literal)
        st = rewrite_space(&rewritten, pattern, err);
    if (st == OK)
        st = compile(&step->code, literal ? pattern : (struct str){rewritten.p, rewritten.n}, literal, err);
    buf_free(&rewritten);
    if (st != OK)
        return st;
    step->llama3 = !literal && !drop_match && str_eq(pattern, STR(LLAMA3_SPLIT));
    s->n++;
    return OK;
}

enum status
splitter_add_blank(struct splitter *s, struct err *err)
{
    if (s->n == BPE_MAX_STEPS)
        return err_set(err, DATA, "pre_tokenizer: more than %d steps", BPE_MAX_STEPS);
    s->step[s->n++] = (struct split_step){NULL, false, false, false};
    return OK;
}

void
splitter_fini(struct splitter *s)
{
    for (size_t i = 0; i < s->n; i++)
        pcre2_code_free(s->step[i].code);
    s->n = 0;
}

enum status
split_run_init(struct split_run *r, const struct splitter *s, struct err *err)
{
    *r = (struct split_run){.splitter = s};
    for (size_t i = 0; i < s->n; i++)
        if (s->step[i].code != NULL && (r->match[i] = pcre2_match_data_create(1, NULL)) == NULL) {
            split_run_fini(r);
            return err_memory(err);
        }
    return OK;
}

void
split_run_fini(struct split_run *r)
{
    for (size_t i = 0; i < BPE_MAX_STEPS; i++) {
        pcre2_match_data_free(r->match[i]);
        r->match[i] = NULL;
    }
    buf_free(&r->blank);
}

struct walk {
    struct split_run *run;
    enum status (*each)(void *arg, struct str piece, struct err *err);
    void *arg;
};

static enum status step_walk(struct walk *w, size_t step, struct str text, struct err *err);

/* A piece goes to the next step, or out. */
static enum status
pass(struct walk *w, size_t step, struct str piece, struct err *err)
{
    if (piece.n == 0)
        return OK;
    return step == w->run->splitter->n ? w->each(w->arg, piece, err) : step_walk(w, step, piece, err);
}

/* There is one blank step at most per text in the files there are; each uses the buffer of the run in turn. */
static enum status
blank_walk(struct walk *w, size_t step, struct str text, struct err *err)
{
    struct buf *b = &w->run->blank;
    enum status st;

    if (text.p[0] == ' ')
        return pass(w, step + 1, text, err);
    struct buf own = *b; /* taken away while in use: a later step of this kind gets another */
    *b = (struct buf){0};
    own.n = 0;
    if ((st = buf_add(&own, " ", 1, err)) == OK && (st = buf_adds(&own, text, err)) == OK)
        st = pass(w, step + 1, (struct str){own.p, own.n}, err);
    buf_free(b);
    *b = own;
    return st;
}

/* The next match at or after from: false if there is none. */
static bool
find(struct walk *w, size_t step, struct str text, size_t from, size_t *begin, size_t *end, enum status *st,
    struct err *err)
{
    pcre2_match_data *match = w->run->match[step];
    int found;

    *st = OK;
    found = pcre2_match(
        w->run->splitter->step[step].code, (PCRE2_SPTR)text.p, text.n, from, PCRE2_NO_UTF_CHECK, match, NULL);
    if (found == PCRE2_ERROR_NOMATCH)
        return false;
    if (found < 0) {
        unsigned char message[128];
        (void)pcre2_get_error_message(found, message, sizeof(message));
        *st = err_set(err, DATA, "pre_tokenizer: %s", (char *)message);
        return false;
    }
    *begin = pcre2_get_ovector_pointer(match)[0];
    *end = pcre2_get_ovector_pointer(match)[1];
    return true;
}

static enum status
pattern_walk(struct walk *w, size_t step, struct str text, struct err *err)
{
    const struct split_step *s = &w->run->splitter->step[step];
    size_t done = 0, from = 0, begin, end;
    enum status st = OK;

    while (from < text.n) {
        if (s->llama3 && done == from && (end = split_ascii(text, from)) > from)
            begin = from;
        else if (!find(w, step, text, from, &begin, &end, &st, err))
            break;
        if (end == begin) { /* an empty match cuts nothing; go on behind the next character */
            bool ok;
            from = end + (end < text.n ? utf8_step((const unsigned char *)text.p + end, text.n - end, &ok) : 1);
            continue;
        }
        if (!s->drop_gap && (st = pass(w, step + 1, (struct str){text.p + done, begin - done}, err)) != OK)
            return st;
        if (!s->drop_match && (st = pass(w, step + 1, (struct str){text.p + begin, end - begin}, err)) != OK)
            return st;
        done = from = end;
    }
    if (st == OK && !s->drop_gap)
        st = pass(w, step + 1, (struct str){text.p + done, text.n - done}, err);
    return st;
}

static enum status
step_walk(struct walk *w, size_t step, struct str text, struct err *err)
{
    return w->run->splitter->step[step].code == NULL ? blank_walk(w, step, text, err)
                                                     : pattern_walk(w, step, text, err);
}

enum status
split_text(struct split_run *r, struct str text, enum status (*each)(void *arg, struct str piece, struct err *err),
    void *arg, struct err *err)
{
    struct walk w = {r, each, arg};

    return pass(&w, 0, text, err);
}
