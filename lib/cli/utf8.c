/* SPDX-License-Identifier: Apache-2.0 */
/* utf8 - whether bytes are UTF-8 (Unicode 15, table 3-7; RFC 3629). Eight bytes of ASCII are judged at a time. */
#include <string.h>

#include "cli/cli.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)

size_t
utf8_sequence(const char *bytes, size_t n)
{
    const unsigned char *p = (const unsigned char *)bytes;
    unsigned lo = 0x80, hi = 0xbf;
    size_t size;

    if (n > 0 && p[0] < 0x80)
        return 1;
    if (n == 0 || p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    size = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (size > n)
        return 0;
    if (p[0] == 0xe0)
        lo = 0xa0;
    else if (p[0] == 0xed)
        hi = 0x9f;
    else if (p[0] == 0xf0)
        lo = 0x90;
    else if (p[0] == 0xf4)
        hi = 0x8f;
    if (p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

size_t
utf8_span(const char *p, size_t n)
{
    size_t at = 0;

    while (at < n) {
        uint64_t w = 0;
        size_t size;
        if (n - at >= sizeof(w))
            memcpy(&w, p + at, sizeof(w));
        if (n - at >= sizeof(w) && (w & HIGH_BITS) == 0) {
            at += sizeof(w);
            continue;
        }
        if ((size = utf8_sequence(p + at, n - at)) == 0)
            break;
        at += size;
    }
    return at;
}
