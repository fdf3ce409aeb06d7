/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of JSON objects that come twice: readers differ in which of the values they take, so neither is right. */
#include <stdlib.h>

#include "model/safetensors.h"

#define FEW 16

static enum status
twice(struct str key, struct err *err)
{
    return err_set(err, DATA, "%.*s: comes twice", (int)(key.n < 200 ? key.n : 200), key.p);
}

static int
by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static enum status
once_of_many(struct json object, size_t n, struct err *err)
{
    struct str *key = calloc(n, sizeof *key);
    size_t i = 0;
    enum status st = OK;

    if (key == NULL)
        return err_memory(err);
    for (struct json_iter it = json_iter(object); i < n && json_next(&it);)
        key[i++] = it.key;
    qsort(key, i, sizeof *key, by_bytes);
    for (size_t k = 1; st == OK && k < i; k++)
        if (str_eq(key[k - 1], key[k]))
            st = twice(key[k], err);
    free(key);
    return st;
}

enum status
keys_once(struct json object, struct err *err)
{
    struct str key[FEW];
    size_t n = json_size(object), i = 0;

    if (json_type(object) != JSON_OBJECT)
        return OK;
    if (n > FEW)
        return once_of_many(object, n, err);
    for (struct json_iter it = json_iter(object); i < FEW && json_next(&it);) {
        for (size_t k = 0; k < i; k++)
            if (str_eq(key[k], it.key))
                return twice(it.key, err);
        key[i++] = it.key;
    }
    return OK;
}
