/* SPDX-License-Identifier: Apache-2.0 */
/*
 * split - pre-tokenizers: a text cut into pieces, step by step, each step over the pieces of the one before.
 *
 * PCRE2 with UTF and Unicode properties, compiled to machine code, stands in for Oniguruma, which the reference uses;
 * splitpattern.c writes a pattern so that both find the same. The patterns of GPT-2, Llama 3 and Qwen 2 go by hand
 * (splithand.c), several times faster. Time is linear in the text for them.
 */
#include <stdlib.h>
#include <string.h>

#include "text/bpe.h"
#include "text/unicode.h"

static enum status
compile(pcre2_code **out, struct str pattern, uint32_t options, struct err *err)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    unsigned char message[128];
    size_t at;
    int code;

    *out = NULL;
    if (context == NULL)
        return err_memory(err);
    (void)pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    *out = pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n, options | PCRE2_UTF, &code, &at, context);
    pcre2_compile_context_free(context);
    if (*out == NULL) {
        (void)pcre2_get_error_message(code, message, sizeof(message));
        return err_set(err, DATA, "pre_tokenizer: pattern: byte %zu: %s", at, (char *)message);
    }
    /* Without a compiler for this machine matching is interpreted: slower, not different. */
    (void)pcre2_jit_compile(*out, PCRE2_JIT_COMPLETE);
    return OK;
}

static enum status
compile_regex(pcre2_code **out, struct str pattern, struct err *err)
{
    struct buf translated = {0};
    enum status st = split_pattern(&translated, pattern, err);

    if (st == OK)
        st = compile(out, (struct str){translated.p == NULL ? "" : translated.p, translated.n},
            PCRE2_UCP | PCRE2_MULTILINE, err);
    buf_free(&translated);
    return st;
}

/* All characters that a table has, as one text. */
static enum status
all_chars(struct buf *out, struct err *err)
{
    for (uint32_t c = 0; c < SPLIT_TABLE; c++) {
        char utf8[4];
        size_t n = utf8_encode(utf8, c);
        if ((c < 0xd800 || c > 0xdfff) && buf_add(out, utf8, n, err) != OK)
            return err->status;
    }
    return OK;
}

/* set becomes bit for every character of all that pattern, a run of some characters, finds. */
static enum status
mark_set(uint8_t *set, const struct buf *all, const char *pattern, uint8_t bit, struct err *err)
{
    const unsigned char *p = (const unsigned char *)all->p;
    pcre2_match_data *match;
    pcre2_code *code;
    size_t from = 0;
    int found = 0;

    if (compile_regex(&code, str_of(pattern), err) != OK)
        return err->status;
    if ((match = pcre2_match_data_create(1, NULL)) == NULL) {
        pcre2_code_free(code);
        return err_memory(err);
    }
    while (from < all->n && (found = pcre2_match(code, p, all->n, from, PCRE2_NO_UTF_CHECK, match, NULL)) > 0) {
        size_t end = pcre2_get_ovector_pointer(match)[1];
        bool ok;
        for (size_t i = pcre2_get_ovector_pointer(match)[0], k; i < end; i += k) {
            k = utf8_step(p + i, end - i, &ok);
            set[utf8_decode(p + i, k)] = bit;
        }
        from = end;
    }
    pcre2_match_data_free(match);
    pcre2_code_free(code);
    return found < 0 && found != PCRE2_ERROR_NOMATCH ? err_set(err, DATA, "pre_tokenizer: PCRE2 fails: %d", found) : OK;
}

/* The table that the splits by hand share. */
static enum status
make_sets(struct splitter *s, struct err *err)
{
    struct buf all = {0};
    enum status st;

    if (s->set != NULL)
        return OK;
    if ((s->set = malloc(SPLIT_TABLE)) == NULL)
        return err_memory(err);
    memset(s->set, SPLIT_OTHER, SPLIT_TABLE);
    for (uint32_t c = 0; c < SPLIT_TABLE; c++)
        if (utf8_space(c))
            s->set[c] = c == '\n' || c == '\r' ? SPLIT_SPACE | SPLIT_LINE : SPLIT_SPACE;
    if ((st = all_chars(&all, err)) == OK && (st = mark_set(s->set, &all, "\\p{L}+", SPLIT_LETTER, err)) == OK)
        st = mark_set(s->set, &all, "\\p{N}+", SPLIT_NUMBER, err);
    buf_free(&all);
    return st;
}

enum status
split_word_set(uint8_t **set, struct err *err)
{
    struct buf all = {0};
    enum status st;

    if ((*set = calloc(SPLIT_TABLE, 1)) == NULL)
        return err_memory(err);
    if ((st = all_chars(&all, err)) == OK)
        st = mark_set(*set, &all, "[\\w\\x{200c}\\x{200d}]+", 1, err);
    buf_free(&all);
    return st;
}

static struct split_step *
next_step(struct splitter *s, struct err *err)
{
    if (s->n == BPE_MAX_STEPS) {
        (void)err_set(err, DATA, "pre_tokenizer: more than %d steps", BPE_MAX_STEPS);
        return NULL;
    }
    s->step[s->n] = (struct split_step){.kind = SPLIT_PATTERN};
    return &s->step[s->n];
}

enum status
splitter_add_pattern(
    struct splitter *s, struct str pattern, bool literal, bool drop_match, bool drop_gap, struct err *err)
{
    static const struct {
        const char *pattern;
        size_t digits;
    } known[] = {{GPT2_SPLIT, 0}, {LLAMA3_SPLIT("{1,3}"), 3}, {LLAMA3_SPLIT(""), 1}};
    struct split_step *step = next_step(s, err);
    enum status st = OK;

    if (step == NULL)
        return DATA;
    step->drop_match = drop_match;
    step->drop_gap = drop_gap;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]) && step->kind == SPLIT_PATTERN; i++)
        if (!literal && !drop_match && str_eq(pattern, str_of(known[i].pattern))) {
            if ((st = make_sets(s, err)) != OK)
                return st;
            step->kind = SPLIT_HAND;
            hand_init(&step->hand, known[i].digits, s->set);
        }
    if (step->kind == SPLIT_PATTERN)
        st = literal ? compile(&step->code, pattern, PCRE2_LITERAL, err) : compile_regex(&step->code, pattern, err);
    if (st == OK)
        s->n++;
    return st;
}

enum status
splitter_add_digits(struct splitter *s, bool individual, struct err *err)
{
    /* Digits asks Rust's char::is_numeric, which has Unicode 17's numbers: a few more than Oniguruma. */
    return splitter_add_pattern(s,
        individual ? STR("[\\p{N}\\x{11de0}-\\x{11de9}\\x{16ff4}-\\x{16ff6}]")
                   : STR("[\\p{N}\\x{11de0}-\\x{11de9}\\x{16ff4}-\\x{16ff6}]+"),
        false, false, false, err);
}

enum status
splitter_add_blank(struct splitter *s, struct err *err)
{
    struct split_step *step = next_step(s, err);

    if (step == NULL)
        return DATA;
    step->kind = SPLIT_BLANK;
    s->n++;
    return OK;
}

void
splitter_fini(struct splitter *s)
{
    for (size_t i = 0; i < s->n; i++)
        pcre2_code_free(s->step[i].code);
    free(s->set);
    *s = (struct splitter){.n = 0};
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
    const pcre2_code *code = w->run->splitter->step[step].code;
    const unsigned char *p = (const unsigned char *)text.p;
    int found;

    *st = OK;
    found = pcre2_match(code, p, text.n, from, PCRE2_NO_UTF_CHECK, match, NULL);
    /* Interpreted, a match may use as much memory as it needs. */
    if (found == PCRE2_ERROR_JIT_STACKLIMIT)
        found = pcre2_match(code, p, text.n, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match, NULL);
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

/* An empty match cuts too, but not right behind the match before it: the next character is skipped then. */
static enum status
pattern_walk(struct walk *w, size_t step, struct str text, struct err *err)
{
    const struct split_step *s = &w->run->splitter->step[step];
    size_t done = 0, from = 0, begin, end;
    bool any = false, ok;
    enum status st = OK;

    while (from <= text.n && find(w, step, text, from, &begin, &end, &st, err)) {
        if (end == begin && any && begin == done) {
            from += from < text.n ? utf8_step((const unsigned char *)text.p + from, text.n - from, &ok) : 1;
            continue;
        }
        if (!s->drop_gap && (st = pass(w, step + 1, (struct str){text.p + done, begin - done}, err)) != OK)
            return st;
        if (!s->drop_match && (st = pass(w, step + 1, (struct str){text.p + begin, end - begin}, err)) != OK)
            return st;
        done = from = end;
        any = true;
    }
    if (st == OK && !s->drop_gap)
        st = pass(w, step + 1, (struct str){text.p + done, text.n - done}, err);
    return st;
}

static enum status
hand_walk(struct walk *w, size_t step, struct str text, struct err *err)
{
    const struct hand *h = &w->run->splitter->step[step].hand;
    enum status st = OK;

    for (size_t from = 0, end; from < text.n && st == OK; from = end) {
        end = hand_split(h, text, from);
        st = pass(w, step + 1, (struct str){text.p + from, end - from}, err);
    }
    return st;
}

static enum status
step_walk(struct walk *w, size_t step, struct str text, struct err *err)
{
    switch (w->run->splitter->step[step].kind) {
    case SPLIT_BLANK:
        return blank_walk(w, step, text, err);
    case SPLIT_HAND:
        return hand_walk(w, step, text, err);
    default:
        return pattern_walk(w, step, text, err);
    }
}

enum status
split_text(struct split_run *r, struct str text, enum status (*each)(void *arg, struct str piece, struct err *err),
    void *arg, struct err *err)
{
    struct walk w = {r, each, arg};

    return pass(&w, 0, text, err);
}
