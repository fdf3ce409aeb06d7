/* SPDX-License-Identifier: Apache-2.0 */
/* Large pages for large blocks: with pages of 4 KB half of the first pass over gigabytes is the time of the system. */
#include "num/num.h"

#include <sys/mman.h>

#define PAGE ((uintptr_t)2 << 20)

void
num_large_pages(void *block, size_t bytes)
{
    uintptr_t from = ((uintptr_t)block + PAGE - 1) / PAGE * PAGE, to = ((uintptr_t)block + bytes) / PAGE * PAGE;

    if (from < to)
        (void)madvise((void *)from, to - from, MADV_HUGEPAGE); /* advice: without it all is as before */
}
