/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an .npy file: fine or refused in one line; all elements of a fine one lie within it and can be read.
 */
#include <string.h>

#include "fuzz.h"
#include "stream/stream.h"

static void
read_numbers(const struct npy *a)
{
    static float x[4096];

    for (size_t r = 0; r < a->rows && a->columns <= 4096; r++) {
        npy_rows(x, a, r, 1);
        if (npy_not_finite(x, a->columns) > a->columns)
            fuzz_must("a number outside of its row");
    }
}

static void
read_strings(const struct npy *a)
{
    struct buf text = {0};
    struct err err = {0};

    for (size_t i = 0; i < a->rows * a->columns; i++) {
        enum status st = npy_string(&text, a, i, &err);
        if (st != OK && st != DATA)
            fuzz_must("npy_string: neither OK nor DATA");
        if (st == OK && a->kind == NPY_UNICODE && utf8_span(text.p, text.n) != text.n)
            fuzz_must("a string that is not UTF-8");
    }
    buf_free(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct npy a;
    struct err err = {0};
    enum status st = npy_parse(&a, bytes, n, &err);

    if (st != OK) {
        if (st != DATA || err.text[0] == '\0' || strchr(err.text, '\n') != NULL)
            fuzz_must("npy_parse: neither OK nor one line");
        return 0;
    }
    if (a.data < bytes || (size_t)(bytes + n - a.data) != a.rows * a.columns * a.width)
        fuzz_must("data that is not the rest of the file");
    if (a.kind == NPY_BYTES || a.kind == NPY_UNICODE)
        read_strings(&a);
    else
        read_numbers(&a);
    return 0;
}
