/* SPDX-License-Identifier: Apache-2.0 */
/* The tracks of item records as tuples of a model's tokens: what --constrain of gen searches. */
#include <stdlib.h>

#include "model/generate.h"
#include "text/text.h"

struct tracks {
    struct items *items;
    struct trie *trie;
    uint32_t *tuple_of; /* which of its tuples each track has */
};

void
tracks_free(struct tracks *t)
{
    if (t == NULL)
        return;
    trie_free(t->trie);
    items_free(t->items);
    free(t->tuple_of);
    free(t);
}

static enum status
make_trie(struct tracks *t, const char *path, const struct music_tokens *music, struct err *err)
{
    size_t n = t->items->n;
    struct tuple *tuple = calloc(n, sizeof *tuple);
    enum status st = OK;

    t->tuple_of = calloc(n, sizeof *t->tuple_of);
    if (tuple == NULL || t->tuple_of == NULL)
        st = err_memory(err);
    for (uint32_t i = 0; st == OK && i < n; i++)
        if ((st = music_tokens_of(tuple[i].token, &tuple[i].n, music, &t->items->codes[i], err)) == DATA) {
            struct str id = ids_str(t->items->ids, i);

            (void)err_context(err, "%s: track %.*s", path, id.n > 80 ? 80 : (int)id.n, id.p);
        }
    if (st == OK)
        st = trie_new(&t->trie, t->tuple_of, tuple, n, err);
    free(tuple);
    return st;
}

enum status
tracks_load(struct tracks **out, const char *path, const struct music_tokens *music, struct err *err)
{
    struct tracks *t = calloc(1, sizeof *t);
    enum status st = t == NULL ? err_memory(err) : items_load(&t->items, path, err);

    *out = NULL;
    if (st == OK && t->items->n == 0)
        st = err_set(err, DATA, "%s: no tracks to choose from", path);
    if (st == OK)
        st = make_trie(t, path, music, err);
    if (st != OK) {
        tracks_free(t);
        return st;
    }
    *out = t;
    return OK;
}

const struct trie *
tracks_trie(const struct tracks *t)
{
    return t == NULL ? NULL : t->trie;
}

enum status
tracks_history(uint32_t **tuples, size_t *n, const struct tracks *t, const msgpack_object *map, struct err *err)
{
    enum status st = items_history(tuples, n, t->items, map, err);

    for (size_t i = 0; st == OK && i < *n; i++)
        (*tuples)[i] = t->tuple_of[(*tuples)[i]];
    return st;
}
