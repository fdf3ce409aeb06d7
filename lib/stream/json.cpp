/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json - JSON in, by simdjson's DOM (Langdale, Lemire 2019), and the shortest text of a number.
 *
 * The only C++ here. simdjson leaves a document on a tape of 64-bit words (its doc/tape.md): a type in the upper 8
 * bits, in the lower 56 where a string lies, or where a container ends and how much it holds. A struct json is a place
 * on that tape, so values cost nothing to make, and C walks them without a class in sight. No exception leaves this
 * file.
 *
 * Cost: one copy of the text (simdjson wants padding behind it) and about 13 bytes of tape and strings a byte of text
 * at worst; the parser keeps them for the next document.
 *
 * Numbers are by std::to_chars: the shortest digits that read back to the same number (Adams 2018, "Ryu").
 */
#include <charconv>
#include <cmath>
#include <cstring>
#include <new>

#include <simdjson.h>

/* The header is C: its keyword is not known here, and a function may bear the name of a struct. */
#define _Noreturn [[noreturn]]
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
extern "C" {
#include "stream/stream.h"
}
#pragma GCC diagnostic pop

struct json_parser {
    simdjson::dom::parser dom;
};

namespace {

using simdjson::dom::document;

constexpr char LFS[] = "version https://git-lfs";
constexpr uint64_t PAYLOAD = (UINT64_C(1) << 56) - 1;
constexpr size_t COUNT_MAX = 0xffffff; /* the tape counts entries of a container up to here */

const document *
document_of(struct json v)
{
    return static_cast<const document *>(v.doc);
}

uint64_t
word(struct json v)
{
    return document_of(v)->tape[v.at];
}

char
tag(struct json v)
{
    return static_cast<char>(word(v) >> 56);
}

bool
is_container(struct json v)
{
    return tag(v) == '[' || tag(v) == '{';
}

/* The place behind v. */
size_t
behind(struct json v)
{
    switch (tag(v)) {
    case '[':
    case '{':
        return word(v) & UINT32_MAX;
    case 'l':
    case 'u':
    case 'd':
        return v.at + 2;
    default:
        return v.at + 1;
    }
}

/* The number that follows the word of a number. */
template <typename T>
T
number(struct json v)
{
    T x;

    std::memcpy(&x, &document_of(v)->tape[v.at + 1], sizeof(x));
    return x;
}

const char *
reason(simdjson::error_code e)
{
    switch (e) {
    case simdjson::CAPACITY:
        return "the document is too large";
    case simdjson::DEPTH_ERROR:
        return "nested too deep";
    case simdjson::STRING_ERROR:
        return "a string with a bad escape or half a surrogate pair";
    case simdjson::T_ATOM_ERROR:
    case simdjson::F_ATOM_ERROR:
    case simdjson::N_ATOM_ERROR:
        return "a word that is not true, false or null";
    case simdjson::NUMBER_ERROR:
    case simdjson::NUMBER_OUT_OF_RANGE:
        return "a number that is malformed, or an integer beyond 64 bits";
    case simdjson::EMPTY:
        return "nothing there";
    case simdjson::UNESCAPED_CHARS:
        return "a control character in a string";
    case simdjson::UNCLOSED_STRING:
        return "a string that is not closed";
    default:
        return "misplaced or missing punctuation";
    }
}

enum status
explain(simdjson::error_code e, const char *bytes, size_t n, struct err *err)
{
    if (e == simdjson::MEMALLOC)
        return err_memory(err);
    if (n > sizeof(LFS) - 1 && std::memcmp(bytes, LFS, sizeof(LFS) - 1) == 0)
        return err_set(err, DATA, "a Git LFS pointer in place of the file: \"git lfs pull\" fetches it");
    if (e == simdjson::UTF8_ERROR)
        return err_set(err, DATA, "not JSON: byte %zu is not UTF-8", utf8_span(bytes, n));
    return err_set(err, DATA, "not JSON: %s", reason(e));
}

} // namespace

enum status
json_parser_new(struct json_parser **out, struct err *err)
{
    *out = nullptr;
    try {
        *out = new json_parser;
        if ((*out)->dom.allocate(0, JSON_MAX_DEPTH) == simdjson::SUCCESS)
            return OK;
    } catch (...) {
        /* the one cause there is: memory */
    }
    json_parser_free(*out);
    *out = nullptr;
    return err_memory(err);
}

void
json_parser_free(struct json_parser *p)
{
    delete p;
}

static enum status
parse(struct json *root, struct json_parser *p, const char *bytes, size_t n, bool copy, struct err *err)
{
    try {
        simdjson::error_code e = p->dom.parse(bytes, n, copy).error();
        if (e != simdjson::SUCCESS)
            return explain(e, bytes, n, err);
    } catch (...) {
        return err_memory(err);
    }
    *root = json{&p->dom.doc, 1}; /* word 0 is the root's frame */
    return OK;
}

enum status
json_parse(struct json *root, struct json_parser *p, const char *bytes, size_t n, struct err *err)
{
    return parse(root, p, bytes, n, true, err);
}

enum status
json_parse_padded(struct json *root, struct json_parser *p, const char *bytes, size_t n, struct err *err)
{
    static_assert(JSON_PADDING >= simdjson::SIMDJSON_PADDING);
    return parse(root, p, bytes, n, false, err);
}

enum json_type
json_type(struct json v)
{
    switch (tag(v)) {
    case 't':
    case 'f':
        return JSON_BOOL;
    case 'l':
        return JSON_I64;
    case 'u':
        return JSON_U64;
    case 'd':
        return JSON_F64;
    case '"':
        return JSON_STRING;
    case '[':
        return JSON_ARRAY;
    case '{':
        return JSON_OBJECT;
    default:
        return JSON_NULL;
    }
}

bool
json_bool(struct json v)
{
    return tag(v) == 't';
}

int64_t
json_i64(struct json v)
{
    return number<int64_t>(v);
}

uint64_t
json_u64(struct json v)
{
    return number<uint64_t>(v); /* of an int64 that is not negative: the same bits */
}

double
json_f64(struct json v)
{
    switch (tag(v)) {
    case 'l':
        return static_cast<double>(number<int64_t>(v));
    case 'u':
        return static_cast<double>(number<uint64_t>(v));
    default:
        return number<double>(v);
    }
}

struct str
json_str(struct json v)
{
    const uint8_t *p = document_of(v)->string_buf.get() + (word(v) & PAYLOAD);
    uint32_t n;

    std::memcpy(&n, p, sizeof(n));
    return str{reinterpret_cast<const char *>(p + sizeof(n)), n};
}

bool
json_get(struct json *out, struct json object, const char *key)
{
    struct str want = str_of(key);

    if (tag(object) != '{')
        return false;
    for (struct json_iter it = json_iter(object); json_next(&it);)
        if (str_eq(it.key, want)) {
            *out = it.value;
            return true;
        }
    return false;
}

size_t
json_size(struct json v)
{
    size_t n = is_container(v) ? word(v) >> 32 & COUNT_MAX : 0;

    if (n < COUNT_MAX)
        return n;
    n = 0;
    for (struct json_iter it = json_iter(v); json_next(&it);)
        n++;
    return n;
}

struct json_iter
json_iter(struct json v)
{
    struct json_iter it = {};

    it.at = it.end = v;
    if (!is_container(v))
        return it;
    it.at.at = v.at + 1;
    it.end.at = behind(v) - 1; /* of the closing bracket */
    it.object = tag(v) == '{';
    return it;
}

bool
json_next(struct json_iter *it)
{
    /* Word by word: a processor waits for a place of two words to be written before it reads them as one. */
    struct json v = {it->at.doc, it->at.at};

    if (v.at >= it->end.at)
        return false;
    if (it->object) {
        it->key = json_str(v);
        v.at++;
    }
    it->value = v;
    it->at.at = behind(v);
    return true;
}

size_t
json_number_f64(char out[32], double x)
{
    size_t n = static_cast<size_t>(std::to_chars(out, out + 30, x).ptr - out);

    /* A point or an exponent tells a float64 from an integer on the way back. */
    if (std::memchr(out, '.', n) == nullptr && std::memchr(out, 'e', n) == nullptr) {
        out[n++] = '.';
        out[n++] = '0';
    }
    return n;
}

size_t
json_number_f32(char out[32], float x)
{
    size_t n;

    /*
     * Readers of JSON parse a float64 and round that to float32: twice rounded. Of all float32 (every one was tried)
     * just this one and its negative do not survive that in their shortest form: they get nine digits.
     */
    if (std::fabs(x) == 0x1.5c87fap-84F)
        return static_cast<size_t>(std::to_chars(out, out + 30, x, std::chars_format::scientific, 8).ptr - out);
    n = static_cast<size_t>(std::to_chars(out, out + 30, x).ptr - out);
    /* -0 would come back as the integer 0. */
    if (n == 2 && out[0] == '-' && out[1] == '0') {
        out[n++] = '.';
        out[n++] = '0';
    }
    return n;
}
