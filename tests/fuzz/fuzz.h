/* SPDX-License-Identifier: Apache-2.0 */
/* What every fuzz target has: the entry point that libFuzzer and replay.c call, and how it fails. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* Ends the program where something did not hold. */
static inline void
fuzz_must(const char *wrong)
{
    if (wrong == NULL)
        return;
    (void)fprintf(stderr, "%s\n", wrong);
    abort();
}

#endif
