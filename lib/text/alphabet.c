/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alphabet - the byte-level alphabet of GPT-2 (bytes_to_unicode in encoder.py of its release): printable bytes of
 * Latin-1 stand for themselves, the other 68 are U+0100, U+0101, … in the order of the bytes.
 */
#include "text/bpe.h"

static bool
is_printable(unsigned b)
{
    return (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
}

/* The ranges that are not printable are 0x00-0x20, 0x7f-0xa0 and 0xad. */
uint32_t
alphabet_char(unsigned char byte)
{
    if (is_printable(byte))
        return byte;
    if (byte <= 0x20)
        return 0x100u + byte;
    if (byte <= 0xa0)
        return 0x100u + 0x21 + (byte - 0x7fu);
    return 0x100u + 0x21 + 0x22;
}

int
alphabet_byte(uint32_t c)
{
    if (c < 0x100)
        return is_printable(c) ? (int)c : -1;
    c -= 0x100;
    if (c <= 0x20)
        return (int)c;
    c -= 0x21;
    if (c < 0x22)
        return (int)(c + 0x7f);
    return c == 0x22 ? 0xad : -1;
}

enum status
alphabet_spell(struct buf *out, struct str bytes, struct err *err)
{
    for (size_t i = 0; i < bytes.n; i++) {
        char utf8[4];
        size_t n = utf8_encode(utf8, alphabet_char((unsigned char)bytes.p[i]));
        if (buf_add(out, utf8, n, err) != OK)
            return err->status;
    }
    return OK;
}

bool
alphabet_unspell(struct buf *out, struct str spelled, enum status *st, struct err *err)
{
    const unsigned char *p = (const unsigned char *)spelled.p;
    size_t start = out->n;

    *st = OK;
    for (size_t i = 0; i < spelled.n;) {
        bool ok;
        size_t k = utf8_step(p + i, spelled.n - i, &ok);
        int byte = ok ? alphabet_byte(utf8_decode(p + i, k)) : -1;
        unsigned char c = (unsigned char)byte;
        if (byte < 0) {
            out->n = start;
            return false;
        }
        if ((*st = buf_add(out, &c, 1, err)) != OK)
            return false;
        i += k;
    }
    return true;
}
