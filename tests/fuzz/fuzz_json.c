/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as JSON values: what becomes of them must be a stream that reads back whole and is canonical. */
#include "drive.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static struct drive d, reading;
    enum status st;
    struct str made;

    if (d.parser == NULL && (!drive_init(&d) || !drive_init(&reading)))
        abort();
    fuzz_must(drive_values(&d, (const char *)bytes, n));
    made = rec_memory(d.memory);
    fuzz_must(drive_stream(&st, &reading, made.n > 0 ? made.p : "", made.n));
    if (st != END)
        fuzz_must("what was written does not read back");
    return 0;
}
