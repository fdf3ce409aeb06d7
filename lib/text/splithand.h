/* SPDX-License-Identifier: Apache-2.0 */
/* splithand - the patterns of GPT-2, Llama 3 and Qwen 2 by hand, for this room alone. */
#ifndef TEXT_SPLITHAND_H
#define TEXT_SPLITHAND_H

#include "text/text.h"

#define SPLIT_TABLE ((size_t)0x40000) /* no character from there on is a letter, a number or white space */

/* Sets of characters as bits. */
enum { SPLIT_LETTER = 1, SPLIT_NUMBER = 2, SPLIT_SPACE = 4, SPLIT_LINE = 8, SPLIT_OTHER = 16, SPLIT_HIGH = 32 };

struct hand {
    size_t digits;      /* of a piece of numbers, 0 for any: the pattern is GPT2_SPLIT then */
    const uint8_t *set; /* (SPLIT_TABLE) of each character */
    uint8_t byte[256];  /* of ASCII; SPLIT_HIGH for the others */
};
void hand_init(struct hand *h, size_t digits, const uint8_t *set);
/* Where the piece of text, which is UTF-8, ends that begins at from < text.n. */
size_t hand_split(const struct hand *h, struct str text, size_t from);

#endif
