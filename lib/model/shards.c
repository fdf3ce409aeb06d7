/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.safetensors.index.json: which file of a folder holds which tensor. A name that could lead out of the folder is
 * refused, since an index comes from wherever the model does.
 */
#include <stdlib.h>
#include <string.h>

#include "model/safetensors.h"

#define NAME_MAX_BYTES 255

void
shards_free(struct shards *s)
{
    if (s == NULL)
        return;
    ids_free(s->tensors);
    ids_free(s->files);
    free(s->file_of);
    free(s);
}

static enum status
check_name(struct str name, struct err *err)
{
    if (name.n == 0 || name.n > NAME_MAX_BYTES || memchr(name.p, '/', name.n) != NULL ||
        memchr(name.p, 0, name.n) != NULL || memmem(name.p, name.n, "..", 2) != NULL || str_eq(name, STR(".")))
        return err_set(err, DATA, "weight_map: %.*s: not the name of a file in this folder",
            (int)(name.n < NAME_MAX_BYTES ? name.n : NAME_MAX_BYTES), name.p);
    return OK;
}

static enum status
add_tensor(struct shards *s, struct str tensor, struct json file, struct err *err)
{
    uint32_t t, f, before = ids_count(s->tensors);

    if (json_type(file) != JSON_STRING)
        return err_set(err, DATA, "weight_map: expected names of files");
    if (check_name(json_str(file), err) != OK)
        return DATA;
    if (memchr(tensor.p, 0, tensor.n) != NULL)
        return err_set(err, DATA, "weight_map: a tensor's name contains the byte 0");
    if (ids_add(&t, s->tensors, tensor, err) != OK || ids_add(&f, s->files, json_str(file), err) != OK)
        return err->status;
    if (t != before)
        return err_set(err, DATA, "weight_map: %.*s: comes twice", (int)(tensor.n < 200 ? tensor.n : 200), tensor.p);
    if (f >= SHARDS_MAX)
        return err_set(err, DATA, "weight_map: more than %d files", SHARDS_MAX);
    s->file_of[t] = f;
    return OK;
}

static enum status
fill(struct shards *s, struct json root, struct err *err)
{
    struct json map;
    enum status st;

    if (json_type(root) != JSON_OBJECT || !json_get(&map, root, "weight_map") || json_type(map) != JSON_OBJECT ||
        json_size(map) == 0)
        return err_set(err, DATA, "weight_map: expected a map of tensors to files");
    if ((st = keys_once(root, err)) != OK || (st = ids_new(&s->tensors, err)) != OK ||
        (st = ids_new(&s->files, err)) != OK)
        return st;
    if ((s->file_of = calloc(json_size(map), sizeof *s->file_of)) == NULL)
        return err_memory(err);
    for (struct json_iter it = json_iter(map); st == OK && json_next(&it);)
        st = add_tensor(s, it.key, it.value, err);
    return st;
}

enum status
shards_parse(struct shards **out, struct str text, struct err *err)
{
    struct shards *s = calloc(1, sizeof *s);
    struct json_parser *parser = NULL;
    struct json root;
    enum status st;

    *out = NULL;
    if (s == NULL)
        return err_memory(err);
    if ((st = json_parser_new(&parser, err)) == OK && (st = json_parse(&root, parser, text.p, text.n, err)) == OK)
        st = fill(s, root, err);
    json_parser_free(parser);
    if (st != OK) {
        shards_free(s);
        return st;
    }
    *out = s;
    return OK;
}
