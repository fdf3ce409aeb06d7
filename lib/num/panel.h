/* SPDX-License-Identifier: Apache-2.0 */
/* panel - the layout of a packed matrix, which pack.c writes and packed.c reads. Private to lib/num. */
#ifndef PANEL_H
#define PANEL_H

#include "num/block.h"
#include "num/num.h"

#define GROUP 32 /* of k that share a scale */

static inline size_t
round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

#endif
