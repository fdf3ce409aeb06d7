/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as JSON values: what becomes of them must be a stream that reads back whole and is canonical. And as one
 * document, with integers of any size: what can be read without those can be read with them.
 */
#include "drive.h"
#include "fuzz.h"

static const char *
wide(struct json_parser *p, const char *text, size_t n)
{
    struct json v;
    struct err err;
    bool plain = json_parse(&v, p, text, n, &err) == OK;

    return json_parse_wide(&v, p, text, n, &err) != OK && plain ? "refused only with integers of any size" : NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static struct drive d, reading;
    enum status st;
    struct str made;

    if (d.parser == NULL && (!drive_init(&d) || !drive_init(&reading)))
        abort();
    fuzz_must(wide(d.parser, (const char *)bytes, n));
    fuzz_must(drive_values(&d, (const char *)bytes, n));
    made = rec_memory(d.memory);
    fuzz_must(drive_stream(&st, &reading, made.n > 0 ? made.p : "", made.n));
    if (st != END)
        fuzz_must("what was written does not read back");
    return 0;
}
