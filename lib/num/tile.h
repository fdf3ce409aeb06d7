/* SPDX-License-Identifier: Apache-2.0 */
/* tile - how a product is cut for our threads: by the size of what comes out alone. Private to lib/num. */
#ifndef TILE_H
#define TILE_H

#include <stddef.h>

/* rows x cols tiles of m x n, the last of each row and column perhaps smaller. */
struct tiles {
    size_t m, n, rows, cols;
};
struct tiles tiles_of(size_t M, size_t N);

#endif
