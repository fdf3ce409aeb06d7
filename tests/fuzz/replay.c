/* SPDX-License-Identifier: Apache-2.0 */
/* replay - a fuzz target without a fuzzer: runs it over the files named. How many, on stdout. */
#include "fuzz.h"
#include "stream/stream.h"

int
main(int argc, char **argv)
{
    struct buf bytes = {0};
    struct err err;

    for (int i = 1; i < argc; i++) {
        if (file_read(&bytes, argv[i], (size_t)1 << 30, &err) != OK) {
            (void)fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        (void)LLVMFuzzerTestOneInput((const uint8_t *)bytes.p, bytes.n);
    }
    buf_free(&bytes);
    printf("%d inputs\n", argc - 1);
    return 0;
}
