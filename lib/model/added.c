/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ids of added tokens by name, from the list added_tokens of a Hugging Face tokenizer.json: all that training needs
 * of a tokenizer. Linear in the file and in the names.
 */
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

/* content -> id of each entry: names[i] has the id number[i]. */
static enum status
collect(struct ids *names, int32_t *number, struct json list, struct err *err)
{
    for (struct json_iter it = json_iter(list); json_next(&it);) {
        struct json content, id;
        uint32_t index, before = ids_count(names);

        if (json_type(it.value) != JSON_OBJECT || !json_get(&content, it.value, "content") ||
            json_type(content) != JSON_STRING || !json_get(&id, it.value, "id") || json_type(id) != JSON_I64 ||
            json_i64(id) < 0 || json_i64(id) > INT32_MAX)
            return err_set(err, DATA, "added_tokens: expected objects with content and id");
        if (ids_add(&index, names, json_str(content), err) != OK)
            return err->status;
        if (index == before)
            number[index] = (int32_t)json_i64(id);
    }
    return OK;
}

static enum status
find_all(int32_t *id, struct json root, const struct str *name, size_t n, struct err *err)
{
    struct ids *names = NULL;
    int32_t *number = NULL;
    struct json list;
    enum status st;

    if (json_type(root) != JSON_OBJECT || !json_get(&list, root, "added_tokens") || json_type(list) != JSON_ARRAY)
        return err_set(err, DATA, "added_tokens: expected an array");
    if ((st = ids_new(&names, err)) == OK && (number = calloc(json_size(list) + 1, sizeof *number)) == NULL)
        st = err_memory(err);
    if (st == OK)
        st = collect(names, number, list, err);
    for (size_t i = 0; st == OK && i < n; i++) {
        uint32_t index = ids_find(names, name[i]);

        if (index == IDS_NONE)
            st = err_set(err, DATA, "no added token %.*s", (int)name[i].n, name[i].p);
        else
            id[i] = number[index];
    }
    ids_free(names);
    free(number);
    return st;
}

enum status
added_tokens_find(int32_t *id, const char *dir, const struct str *name, size_t n, struct err *err)
{
    struct json_parser *parser = NULL;
    struct buf path = {0}, text = {0};
    struct json root;
    enum status st;

    if ((st = buf_printf(&path, err, "%s/tokenizer.json%c", dir, 0)) == OK &&
        (st = file_read(&text, path.p, FOLDER_FILE_MAX, err)) == OK && (st = json_parser_new(&parser, err)) == OK &&
        ((st = json_parse(&root, parser, text.p, text.n, err)) != OK || (st = find_all(id, root, name, n, err)) != OK))
        (void)err_context(err, "%s", path.p);
    json_parser_free(parser);
    buf_free(&path);
    buf_free(&text);
    return st;
}

enum status
added_tokens_music(size_t *row, size_t *rows, const char *dir, size_t V, struct err *err)
{
    static const struct str name[] = {{"<|playlist-0|>", 14}, {"<end_of_music>", 14}};
    int32_t id[2];
    enum status st = added_tokens_find(id, dir, name, 2, err);

    if (st != OK)
        return st;
    if (id[0] < 0 || id[1] < id[0] || (size_t)id[1] >= V)
        return err_set(err, DATA, "%s: the music tokens are not rows of the embedding", dir);
    *row = (size_t)id[0];
    *rows = (size_t)(id[1] - id[0]) + 1;
    return OK;
}
