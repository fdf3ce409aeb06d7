/* SPDX-License-Identifier: Apache-2.0 */
/* splitascii - Llama 3's split over ASCII by hand, for this room alone. */
#ifndef TEXT_SPLITASCII_H
#define TEXT_SPLITASCII_H

#include "text/text.h"

/* Where the piece that begins at from ends; from itself where a byte above 0x7f could decide, and the pattern must be
 * asked. */
size_t split_ascii(struct str text, size_t from);

#endif
