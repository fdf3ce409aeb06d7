/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonout - strings as JSON (RFC 8259, section 7).
 *
 * Written escaped is what must be and DEL stays as it is: quotation mark, backslash and what is below 0x20. Most
 * strings need nothing of that: eight bytes are judged at a time.
 */
#include <string.h>

#include "stream/stream.h"

/* Every byte of a word holding c. */
#define BYTES(c) (UINT64_C(0x0101010101010101) * (uint8_t)(c))

/* A set high bit for every byte of w that is 0 (and perhaps others above one that is). */
static uint64_t
zero_bytes(uint64_t w)
{
    return (w - BYTES(1)) & ~w & BYTES(0x80);
}

/* Whether all 8 bytes at p are ASCII that stands for itself in a JSON string. */
static bool
eight_plain(const char *p)
{
    uint64_t w;

    memcpy(&w, p, sizeof(w));
    return ((zero_bytes(w ^ BYTES('"')) | zero_bytes(w ^ BYTES('\\')) | (w - BYTES(0x20)) | w) & BYTES(0x80)) == 0;
}

/* The escape of c at out, at most 6 bytes; returns how many. */
static size_t
escape(char *out, unsigned char c)
{
    static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt", digit[] = "0123456789abcdef";

    out[0] = '\\';
    for (size_t i = 0; i + 1 < sizeof(named); i += 2)
        if ((unsigned char)named[i] == c) {
            out[1] = named[i + 1];
            return 2;
        }
    memcpy(out + 1, "u00", 3);
    out[4] = digit[c >> 4];
    out[5] = digit[c & 15];
    return 6;
}

enum status
json_quote(struct buf *out, struct str s, struct err *err)
{
    size_t worst, start = out->n, at = 0, size;
    char *q;

    if (!size_mul(&worst, s.n, 6) || worst > SIZE_MAX - 16 || buf_reserve(out, worst + 16, err) != OK)
        return err_memory(err);
    q = out->p + out->n;
    *q++ = '"';
    while (at < s.n) {
        unsigned char c = (unsigned char)s.p[at];
        if (s.n - at >= 8 && eight_plain(s.p + at)) {
            memcpy(q, s.p + at, 8);
            q += 8;
            at += 8;
        } else if (c < 0x20 || c == '"' || c == '\\') {
            q += escape(q, c);
            at++;
        } else if ((size = utf8_sequence(s.p + at, s.n - at)) > 0) {
            memcpy(q, s.p + at, size);
            q += size;
            at += size;
        } else {
            out->n = start;
            return err_set(err, DATA, "a string whose byte %zu is not UTF-8", at);
        }
    }
    *q++ = '"';
    out->n = (size_t)(q - out->p);
    return OK;
}
