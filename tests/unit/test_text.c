/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text - UTF-8 and splitting. Expected values: of UTF-8 from Python's bytes.decode(errors="replace"); splitting by hand
 * is held against PCRE2.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text/bpe.h"
#include "unit.h"

static struct err err;

/* Which of all characters are trimmed: those that Python 3.11's str.isspace() says, 29 of them. */
static void
test_trim(void)
{
    static const uint32_t want[] = {9, 10, 11, 12, 13, 0x1c, 0x1d, 0x1e, 0x1f, 0x20, 0x85, 0xa0, 0x1680, 0x2000, 0x2001,
        0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000};
    size_t n = 0, wrong = 0;

    for (uint32_t c = 0; c < 0x110000; c++) {
        char text[4];
        bool listed = n < sizeof(want) / sizeof(want[0]) && want[n] == c;
        if (c >= 0xd800 && c < 0xe000)
            continue;
        n += listed;
        wrong += listed != (utf8_trim((struct str){text, utf8_encode(text, c)}).n == 0);
    }
    CHECK(wrong == 0, "trim takes what Python takes");
}

static void
test_utf8(void)
{
    static const struct {
        const char *in, *out;
        uint64_t bad;
    } cases[] = {
        {"plain", "plain", 0},
        {"\xc3\xa9t\xc3\xa9 \xf0\x9f\x8e\xb5", "\xc3\xa9t\xc3\xa9 \xf0\x9f\x8e\xb5", 0},
        {"a\xff\xfe"
         "b",
            "a\xef\xbf\xbd\xef\xbf\xbd"
            "b",
            2},
        {"\xe2\x82", "\xef\xbf\xbd", 1},                             /* cut off: one */
        {"\xe2\x82(", "\xef\xbf\xbd(", 1},                           /* longest beginning, then what follows */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 3}, /* a surrogate */
        {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd", 2},                 /* overlong */
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 4}, /* above U+10FFFF */
        {"12345678\x80zzzzzzzz", "12345678\xef\xbf\xbdzzzzzzzz", 1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = {0};
        uint64_t bad = 0;
        CHECK(utf8_clean(&out, str_of(cases[i].in), &bad, &err) == OK &&
                  str_eq((struct str){out.p, out.n}, str_of(cases[i].out)) && bad == cases[i].bad &&
                  utf8_valid(str_of(cases[i].in)) == (bad == 0),
            "utf8: case %zu is cleaned as Python does", i);
        buf_free(&out);
    }
    CHECK(str_eq(utf8_trim(STR(" \t\xc2\xa0 a b\xe3\x80\x80\n")), STR("a b")), "trim takes white space of all scripts");
    CHECK(str_eq(utf8_trim(STR(" \n ")), STR("")), "trim of white space alone is empty");
    test_trim();
}

static void
test_alphabet(void)
{
    bool same = true;

    for (int b = 0; b < 256; b++)
        same = same && alphabet_byte(alphabet_char((unsigned char)b)) == b;
    CHECK(same, "each byte comes back from its character");
    CHECK(alphabet_char(' ') == 0x120 && alphabet_char('\n') == 0x10a && alphabet_char(0xad) == 0x143 &&
              alphabet_char(0x7f) == 0x121,
        "blank is U+0120, line feed U+010A, as GPT-2 has them");
}

struct pieces {
    struct str piece[512];
    size_t n;
};

static enum status
collect(void *arg, struct str piece, struct err *e)
{
    struct pieces *p = arg;

    (void)e;
    if (p->n < 512)
        p->piece[p->n++] = piece;
    return OK;
}

/* A text of n parts at most, taken at random; its bytes. */
static size_t
random_text(char *text, struct rng *r, uint64_t n)
{
    static const char *const part[] = {"a", "Zz", "word", "7", "1234", " ", "  ", "\n", "\r\n", "\t", "'s", "'LL",
        "'re", "'S", "'x", "!", "?!", "_", "\x01", "\xc3\xa9", "\xc2\xa0", "\xc5\xbf", "\xe2\x80\xa8", "\xd9\xa3", "'",
        "\v", "\x1c", "\xe3\x80\x80", "\xe4\xbd\xa0", "\xf0\x9d\x9f\x99", "\xf0\xb1\x8d\x90", "\xf0\x9f\x8e\xb5",
        "\xf4\x8f\xbf\xbf", "\xe1\xa0\x8e", "\xc2\x85"};
    size_t size = 0;

    for (uint64_t k = 1 + rng_below(r, n); k > 0; k--) {
        const char *s = part[rng_below(r, sizeof(part) / sizeof(part[0]))];
        memcpy(text + size, s, strlen(s));
        size += strlen(s);
    }
    return size;
}

/* The same pattern by hand and, since its text differs, by PCRE2. */
static void
test_split_hand(const char *pattern, const char *other)
{
    struct splitter fast = {0}, slow = {0};
    struct split_run a, b;
    struct rng r = rng_seed(1, 1);
    size_t wrong = 0, pieces = 0;

    if (splitter_add_pattern(&fast, str_of(pattern), false, false, false, &err) != OK ||
        splitter_add_pattern(&slow, str_of(other), false, false, false, &err) != OK ||
        split_run_init(&a, &fast, &err) != OK || split_run_init(&b, &slow, &err) != OK) {
        CHECK(false, "the pattern compiles: %s", err.text);
        return;
    }
    CHECK(
        fast.step[0].kind == SPLIT_HAND && slow.step[0].kind == SPLIT_PATTERN, "one goes by hand, the other does not");
    for (int round = 0; round < 20000; round++) {
        struct pieces x = {.n = 0}, y = {.n = 0};
        char text[256];
        size_t n = random_text(text, &r, 12);
        bool same = split_text(&a, (struct str){text, n}, collect, &x, &err) == OK &&
                    split_text(&b, (struct str){text, n}, collect, &y, &err) == OK && x.n == y.n;
        for (size_t i = 0; same && i < x.n; i++)
            same = x.piece[i].p == y.piece[i].p && x.piece[i].n == y.piece[i].n;
        wrong += !same;
        pieces += x.n;
    }
    CHECK(wrong == 0 && pieces > 20000, "by hand and by pattern 20000 texts fall into the same %zu pieces", pieces);
    split_run_fini(&a);
    split_run_fini(&b);
    splitter_fini(&fast);
    splitter_fini(&slow);
}

/* A match that needs more stack than compiled code has is one all the same. */
static void
test_split_long(void)
{
    struct splitter s = {0};
    struct split_run run;
    struct pieces x = {.n = 0};
    struct buf text = {0};
    bool ok = buf_reserve(&text, 200000, &err) == OK &&
              splitter_add_pattern(&s, STR("(?:a|ab)+"), false, false, false, &err) == OK &&
              split_run_init(&run, &s, &err) == OK;

    for (int i = 0; i < 100000 && ok; i++)
        ok = buf_add(&text, "a", 1, &err) == OK;
    ok = ok && split_text(&run, (struct str){text.p, text.n}, collect, &x, &err) == OK;
    CHECK(ok && x.n == 1 && x.piece[0].n == text.n, "100000 alternatives are one piece: %s", ok ? "" : err.text);
    split_run_fini(&run);
    splitter_fini(&s);
    buf_free(&text);
}

/*
 * The sets of all characters but surrogates, against those of the reference: a Split of \p{L}, \p{N} or \s over all
 * characters in one text, by tokenizers 0.23.2 (Oniguruma's Unicode 16); the sums are FNV-1a over each character's four
 * bytes in their order.
 */
static void
test_split_sets(void)
{
    static const struct {
        unsigned bit;
        uint32_t n;
        uint64_t sum;
    } want[] = {{SPLIT_LETTER, 141028, UINT64_C(0xf41bf72239455b4f)},
        {SPLIT_NUMBER, 1911, UINT64_C(0xd15586ee8a145a41)}, {SPLIT_SPACE, 25, UINT64_C(0x7db14e6e1f1a2f5)}};
    struct splitter s = {0};

    if (splitter_add_pattern(&s, STR(GPT2_SPLIT), false, false, false, &err) != OK) {
        CHECK(false, "the pattern of GPT-2 compiles: %s", err.text);
        return;
    }
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        uint64_t sum = UINT64_C(0xcbf29ce484222325);
        uint32_t n = 0;
        for (uint32_t c = 0; c < SPLIT_TABLE; c++) {
            if (!(s.set[c] & want[i].bit))
                continue;
            n++;
            for (int k = 0; k < 4; k++)
                sum = (sum ^ (c >> 8 * k & 0xff)) * UINT64_C(0x100000001b3);
        }
        CHECK(n == want[i].n && sum == want[i].sum, "set %u has the reference's %u characters: %u, 0x%llx", want[i].bit,
            want[i].n, n, (unsigned long long)sum);
    }
    splitter_fini(&s);
}

int
main(void)
{
    test_utf8();
    test_alphabet();
    test_split_hand(LLAMA3_SPLIT("{1,3}"), "(?:" LLAMA3_SPLIT("{1,3}") ")");
    test_split_hand(LLAMA3_SPLIT(""), "(?:" LLAMA3_SPLIT("") ")");
    test_split_hand(GPT2_SPLIT, "(?:" GPT2_SPLIT ")");
    test_split_sets();
    test_split_long();
    return unit_done();
}
