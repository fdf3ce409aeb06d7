/* SPDX-License-Identifier: Apache-2.0 */
/* sha256 - the hash of FIPS 180-4, of bytes that come in pieces. */
#ifndef SHA256_H
#define SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_HEX 65 /* its digest as text, with the terminator */

struct sha256 {
    uint32_t h[8];
    uint64_t bytes;
    unsigned char block[64]; /* what does not fill one yet */
};
void sha256_start(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *bytes, size_t n);
/* Ends it; s must be started anew. */
void sha256_hex(char out[SHA256_HEX], struct sha256 *s);

#endif
