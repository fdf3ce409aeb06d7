/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a stream: read to the end, each record checked by a schema, taken to JSON and back. */
#include "drive.h"
#include "fuzz.h"

static const char schema_text[] =
    "{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{"
    "\"a\":{\"anyOf\":[{\"type\":\"string\",\"minLength\":2},{\"type\":\"array\",\"items\":"
    "{\"type\":\"number\",\"minimum\":-1,\"maximum\":9},\"maxItems\":3}]},"
    "\"vector\":{\"x-vector\":true,\"type\":\"array\",\"minItems\":1,\"x-length-of\":\"a\"},"
    "\"e\":{\"enum\":[\"x\",1,null]},\"c\":{\"const\":1.5}},\"additionalProperties\":{\"type\":"
    "[\"object\",\"integer\",\"null\"],\"additionalProperties\":false}}";

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static struct drive d;
    static struct schema *schema;
    enum status st;
    struct err err;

    if (schema == NULL &&
        (!drive_init(&d) || schema_parse(&schema, (struct str){schema_text, sizeof(schema_text) - 1}, &err) != OK))
        abort();
    d.schema = schema;
    fuzz_must(drive_stream(&st, &d, bytes, n));
    return 0;
}
