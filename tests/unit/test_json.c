/* SPDX-License-Identifier: Apache-2.0 */
/* JSON in and out. Expected values are by hand from RFC 8259 and the IEEE formats; numbers are read back by strtod. */
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "stream/stream.h"

#include "unit.h"

static struct json_parser *parser;

static enum status
parse(struct json *v, const char *text, struct err *err)
{
    return json_parse(v, parser, text, strlen(text), err);
}

static void
test_walk(void)
{
    static const char text[] =
        " {\"a\": [1, -2, 3.5, true, null], \"b\": {\"c\": \"x\\u0000y\"}, \"a\": 7, \"e\": [], \"o\": {}} ";
    struct json v, a, b, c;
    struct err err;
    int n = 0;

    CHECK(parse(&v, text, &err) == OK && json_type(v) == JSON_OBJECT && json_size(v) == 5, "an object of five pairs");
    CHECK(
        json_get(&a, v, "a") && json_type(a) == JSON_ARRAY && json_size(a) == 5, "of two equal keys the first counts");
    for (struct json_iter it = json_iter(a); json_next(&it); n++) {
        static const enum json_type want[] = {JSON_I64, JSON_I64, JSON_F64, JSON_BOOL, JSON_NULL};
        CHECK(json_type(it.value) == want[n] && it.key.n == 0, "element %d has type %d", n, (int)want[n]);
        if (n == 1)
            CHECK(json_i64(it.value) == -2 && json_f64(it.value) == -2.0, "a negative integer");
        if (n == 2)
            CHECK(json_f64(it.value) == 3.5, "a float");
        if (n == 3)
            CHECK(json_bool(it.value), "true");
    }
    CHECK(n == 5, "five elements");
    CHECK(json_get(&b, v, "b") && json_get(&c, b, "c") && str_eq(json_str(c), STR("x\0y")), "a string with a NUL");
    CHECK(!json_get(&c, v, "c") && !json_get(&c, a, "c"), "keys that are not there");
    CHECK(json_get(&a, v, "e") && json_size(a) == 0 && json_get(&b, v, "o") && json_size(b) == 0, "empty containers");
    n = 0;
    for (struct json_iter it = json_iter(v); json_next(&it); n++)
        if (n == 4)
            CHECK(str_eq(it.key, STR("o")), "keys come in their order");
    for (struct json_iter it = json_iter(b); json_next(&it); n++)
        ;
    CHECK(n == 5, "an empty object has no pair");
}

static void
test_numbers_in(void)
{
    struct json v;
    struct err err;

    CHECK(parse(&v, "9007199254740993", &err) == OK && json_i64(v) == INT64_C(9007199254740993), "2^53+1");
    CHECK(parse(&v, "9223372036854775807", &err) == OK && json_type(v) == JSON_I64 && json_i64(v) == INT64_MAX,
        "the largest int64");
    CHECK(parse(&v, "18446744073709551615", &err) == OK && json_type(v) == JSON_U64 && json_u64(v) == UINT64_MAX,
        "the largest uint64");
    CHECK(parse(&v, "-9223372036854775808", &err) == OK && json_i64(v) == INT64_MIN, "the smallest int64");
    CHECK(parse(&v, "5", &err) == OK && json_u64(v) == 5 && json_f64(v) == 5.0, "an int64 as uint64 and double");
    CHECK(parse(&v, "-0.0", &err) == OK && json_type(v) == JSON_F64 && signbit(json_f64(v)), "-0.0 keeps its sign");
    CHECK(parse(&v, "5e-324", &err) == OK && json_f64(v) == 5e-324, "the smallest subnormal");
    CHECK(parse(&v, "18446744073709551616", &err) == DATA, "2^64: %s", err.text);
    CHECK(parse(&v, "-9223372036854775809", &err) == DATA, "-2^63-1: %s", err.text);
    CHECK(parse(&v, "1e999", &err) == DATA, "beyond float64: %s", err.text);
}

static void
test_wide(void)
{
    static const char text[] = "{\"a 123456789012345678901 \\\" 9\":[18446744073709551615,-9223372036854775808,"
                               "18446744073709551616,-9223372036854775809,1000000000000000019884624838656],"
                               "\"b\":1234567890123456789012.5}";
    static const double want[] = {0x1p64, -0x1p63, 0x1p64, -0x1p63, 1e30};
    struct json v, a;
    struct err err;
    size_t n = 0;

    CHECK(json_parse_wide(&v, parser, text, strlen(text), &err) == OK, "integers of any size");
    CHECK(json_get(&a, v, "a 123456789012345678901 \" 9") && json_size(a) == 5, "strings stay as they are");
    for (struct json_iter it = json_iter(a); json_next(&it); n++) {
        CHECK(json_f64(it.value) == want[n], "integer %zu: %g", n, json_f64(it.value));
        CHECK((json_type(it.value) == JSON_F64) == (n > 1), "integer %zu stays one where it fits", n);
    }
    CHECK(json_get(&a, v, "b") && json_f64(a) == 1234567890123456789012.5, "other numbers stay");
    CHECK(json_parse_wide(&v, parser, "\"abc\\", 5, &err) == DATA, "a string cut off: %s", err.text);
    CHECK(json_parse_wide(&v, parser, "12345678901234567890-1", 22, &err) == DATA, "no number: %s", err.text);
    CHECK(json_parse_wide(&v, parser, "", 0, &err) == DATA, "nothing: %s", err.text);
}

/* Each must be refused, in words. */
static void
test_refused(void)
{
    static const char *const bad[] = {"", " ", "{", "[1,", "{\"a\"}", "{\"a\":1,}", "[1 2]", "nul", "tru", "01", "1.",
        "+1", ".5", "NaN", "Infinity", "'a'", "\"a", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"",
        "\"\\ud800\\u0041\"", "\"a\nb\"", "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "{} {}", "1 2", "]", "{1:2}"};
    struct json v;
    struct err err;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(parse(&v, bad[i], &err) == DATA && strncmp(err.text, "not JSON: ", 10) == 0, "%zu: %s", i, err.text);
    CHECK(parse(&v, "\"ab\xff\"", &err) == DATA && strcmp(err.text, "not JSON: byte 3 is not UTF-8") == 0,
        "the place of what is not UTF-8: %s", err.text);
}

static void
test_depth(void)
{
    char text[2 * 100000];
    struct json v;
    struct err err;

    memset(text, '[', 100000);
    memset(text + 100000, ']', 100000);
    CHECK(json_parse(&v, parser, text + 100000 - 63, 126, &err) == OK, "63 levels are fine");
    CHECK(json_parse(&v, parser, text + 100000 - 65, 130, &err) == DATA, "65 levels: %s", err.text);
    CHECK(json_parse(&v, parser, text, sizeof(text), &err) == DATA, "100000 levels: %s", err.text);
    CHECK(parse(&v, "[1]", &err) == OK && json_size(v) == 1, "the parser goes on after a failure");
}

static void
test_large(void)
{
    size_t n = 17000000; /* more than the tape's own count can say */
    char *text = malloc(2 * n + 2);
    struct json v = {0};
    struct err err;

    if (text == NULL)
        return;
    for (size_t i = 0; i < n; i++)
        memcpy(text + 2 * i, ",1", 2);
    text[0] = '[';
    text[2 * n] = ']';
    CHECK(json_parse(&v, parser, text, 2 * n + 1, &err) == OK && json_size(v) == n, "an array of %zu numbers", n);
    free(text);
}

static bool
f64_is(double x, const char *want)
{
    char out[33];

    out[json_number_f64(out, x)] = '\0';
    return strcmp(out, want) == 0 && strtod(out, NULL) == x;
}

static bool
f32_is(float x, const char *want)
{
    char out[33];

    out[json_number_f32(out, x)] = '\0';
    return strcmp(out, want) == 0 && strtof(out, NULL) == x;
}

static void
test_numbers_out(void)
{
    CHECK(f64_is(1, "1.0") && f64_is(-3, "-3.0") && f64_is(0, "0.0") && f64_is(-0.0, "-0.0"),
        "whole float64 have a point");
    CHECK(f64_is(0.1, "0.1") && f64_is(1.0 / 3, "0.3333333333333333"), "fractions");
    CHECK(f64_is(1e22, "1e+22") && f64_is(123456789012345680.0, "123456789012345680.0"), "large float64");
    CHECK(f64_is(DBL_MAX, "1.7976931348623157e+308") && f64_is(5e-324, "5e-324"), "the ends of float64");
    CHECK(f64_is(-DBL_MIN / 3, "-7.41691286169067e-309"), "a subnormal (Python's repr)");
    CHECK(f32_is(1, "1") && f32_is(-0.0F, "-0.0") && f32_is(0.1F, "0.1") && f32_is(16777216, "16777216"), "float32");
    CHECK(f32_is(0x1.5c87fap-84F, "7.03853069e-26") && (float)strtod("7.03853069e-26", NULL) == 0x1.5c87fap-84F &&
              (float)strtod("7.038531e-26", NULL) != 0x1.5c87fap-84F,
        "the float32 whose shortest form does not survive rounding by way of float64");
    CHECK(f32_is(FLT_MAX, "3.4028235e+38") && f32_is(1.4e-45F, "1e-45"), "the ends of float32");
}

static bool
quotes_to(struct str s, const char *want)
{
    struct buf b = {0};
    bool same;

    same = json_quote(&b, s, NULL) == OK && b.n == strlen(want) && memcmp(b.p, want, b.n) == 0;
    buf_free(&b);
    return same;
}

static void
test_quote(void)
{
    struct buf b = {0};
    struct err err;

    CHECK(quotes_to(STR(""), "\"\"") && quotes_to(STR("abc"), "\"abc\""), "plain strings");
    CHECK(quotes_to(STR("\"\\/\b\f\n\r\t\x7f"), "\"\\\"\\\\/\\b\\f\\n\\r\\t\x7f\""), "the escapes that have names");
    CHECK(quotes_to(STR("a\0b\x1f"), "\"a\\u0000b\\u001f\""), "the other control characters");
    CHECK(quotes_to(STR("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\xb5"), "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\xb5\""),
        "UTF-8 stays");
    CHECK(quotes_to(STR("12345678\"2345678"), "\"12345678\\\"2345678\""), "an escape behind a word of plain bytes");
    CHECK(buf_add(&b, "x", 1, &err) == OK && json_quote(&b, STR("ab\xff"), &err) == DATA && b.n == 1,
        "what is not UTF-8 appends nothing: %s", err.text);
    buf_free(&b);
}

static void
test_utf8(void)
{
    /* From Unicode 15, table 3-7: the ends of every row, and what lies just outside. */
    static const char *const good[] = {"", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xe0\xbf\xbf",
        "\xed\x80\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
        "abcdefgh\xc3\xa9"};
    static const char *const bad[] = {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x7f", "\xc2\xc0", "\xe0\x9f\xbf",
        "\xe0\xa0", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xf0\x90\x80", "\xff"};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        CHECK(utf8_span(good[i], strlen(good[i])) == strlen(good[i]), "good sequence %zu", i);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(utf8_span(bad[i], strlen(bad[i])) == 0, "bad sequence %zu", i);
    CHECK(utf8_span("0123456789\xff", 11) == 10, "the place of the first bad byte");
}

int
main(void)
{
    struct err err;

    if (json_parser_new(&parser, &err) != OK)
        return 1;
    test_walk();
    test_numbers_in();
    test_wide();
    test_refused();
    test_depth();
    test_large();
    test_numbers_out();
    test_quote();
    test_utf8();
    json_parser_free(parser);
    return unit_done();
}
