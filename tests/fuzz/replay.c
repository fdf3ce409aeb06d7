/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay - a fuzz target without a fuzzer: runs it over the files named. With --cut, over all of their beginnings, with
 * --flip, over the files with each single bit flipped, too. How many inputs, on stdout.
 */
#include <string.h>

#include "fuzz.h"
#include "stream/stream.h"

static size_t
run_cuts(const struct buf *b)
{
    for (size_t n = 0; n < b->n; n++) {
        /* A copy of its own size: sanitizers see what is read behind it. */
        uint8_t *copy = malloc(n > 0 ? n : 1);

        if (copy == NULL)
            abort();
        memcpy(copy, b->p, n);
        (void)LLVMFuzzerTestOneInput(copy, n);
        free(copy);
    }
    return b->n;
}

static size_t
run_flips(struct buf *b)
{
    for (size_t bit = 0; bit < 8 * b->n; bit++) {
        b->p[bit / 8] = (char)(b->p[bit / 8] ^ 1 << bit % 8);
        (void)LLVMFuzzerTestOneInput((const uint8_t *)b->p, b->n);
        b->p[bit / 8] = (char)(b->p[bit / 8] ^ 1 << bit % 8);
    }
    return 8 * b->n;
}

int
main(int argc, char **argv)
{
    struct buf bytes = {0};
    bool cut = false, flip = false;
    size_t n = 0;
    struct err err;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--cut") == 0 || strcmp(argv[i], "--flip") == 0) {
            cut = cut || argv[i][2] == 'c';
            flip = flip || argv[i][2] == 'f';
            continue;
        }
        if (file_read(&bytes, argv[i], (size_t)1 << 30, &err) != OK) {
            (void)fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        (void)LLVMFuzzerTestOneInput((const uint8_t *)bytes.p, bytes.n);
        n += 1 + (cut ? run_cuts(&bytes) : 0) + (flip ? run_flips(&bytes) : 0);
    }
    buf_free(&bytes);
    printf("%zu inputs\n", n);
    return 0;
}
