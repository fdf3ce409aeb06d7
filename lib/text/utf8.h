/* SPDX-License-Identifier: Apache-2.0 */
/* utf8 - single characters, for this room alone. */
#ifndef TEXT_UTF8_H
#define TEXT_UTF8_H

#include "text/text.h"

/* How many bytes at p (n > 0 of them) are one character (*ok), or the longest beginning of one. */
size_t utf8_step(const unsigned char *p, size_t n, bool *ok);
/* The character of n bytes at p, which utf8_step has found good. */
uint32_t utf8_decode(const unsigned char *p, size_t n);
/* c as UTF-8; how many bytes. */
size_t utf8_encode(char out[4], uint32_t c);
/* White space as Unicode has it. */
bool utf8_space(uint32_t c);

#endif
