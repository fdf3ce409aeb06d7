/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a schema, and a record of many types held against it. */
#include "drive.h"
#include "fuzz.h"

static const char record_text[] =
    "{\"a\":[1,-2,0.5,null,true],\"vector\":[1,2],\"s\":\"\\u00e9x\",\"o\":{\"p\":{},\"q\":[]},\"n\":null}";

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static struct drive d, making;
    struct schema *schema;
    struct str made;
    enum status st;
    struct err err;

    if (d.parser == NULL && (!drive_init(&d) || !drive_init(&making)))
        abort();
    st = schema_parse(&schema, (struct str){(const char *)bytes, n}, &err);
    if (st == DATA)
        fuzz_must(drive_message(&err));
    if (st != OK && st != DATA)
        fuzz_must("schema_parse: neither OK nor DATA");
    if (st != OK)
        return 0;
    d.schema = schema;
    fuzz_must(drive_values(&making, record_text, sizeof(record_text) - 1));
    made = rec_memory(making.memory);
    fuzz_must(drive_stream(&st, &d, made.p, made.n));
    schema_free(schema);
    return 0;
}
