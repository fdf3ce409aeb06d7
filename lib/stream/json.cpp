/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json - JSON in, by simdjson's DOM (Langdale, Lemire 2019), and the shortest text of a number.
 *
 * The only C++ here. simdjson leaves a document on a tape, which C walks (jsonwalk.h) without a class in sight. No
 * exception leaves this file.
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
    struct json_doc doc; /* what C sees of it */
};

namespace {

constexpr char LFS[] = "version https://git-lfs";

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
    p->doc = json_doc{p->dom.doc.tape.get(), p->dom.doc.string_buf.get()};
    *root = json{&p->doc, 1}; /* word 0 is the root's frame */
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
