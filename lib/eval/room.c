/* SPDX-License-Identifier: Apache-2.0 */
/*
 * room - growing arrays: constant time an element on average, at most twice the memory that is needed.
 */
#include <stdlib.h>
#include <string.h>

#include "eval/room.h"

enum status
room(void *p, size_t *cap, size_t n, size_t size, struct err *err)
{
    size_t want = *cap < 128 ? 256 : *cap, bytes;
    void **at = p;
    char *q;

    if (n <= *cap)
        return OK;
    while (want < n)
        want *= 2;
    if (!size_mul(&bytes, want, size) || (q = realloc(*at, bytes)) == NULL)
        return err_memory(err);
    memset(q + *cap * size, 0, (want - *cap) * size);
    *at = q;
    *cap = want;
    return OK;
}
