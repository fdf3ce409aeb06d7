/* SPDX-License-Identifier: Apache-2.0 */
/* unicode - general categories of characters as the reference has them, for this room alone. */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include "text/text.h"

/* Is name a general category, or the first letter of some ("L", "Lu")? Those of C are not asked for: what later
 * versions of Unicode know leaves them. */
bool unicode_category(struct str name);
/* Appended to out, as the inside of a regular expression's class: the characters of that category that Unicode 14,
 * whose tables PCRE2 may have, does not know yet. */
enum status unicode_later(struct buf *out, struct str category, struct err *err);

#endif
