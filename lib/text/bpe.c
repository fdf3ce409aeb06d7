/* SPDX-License-Identifier: Apache-2.0 */
/* bpe - a loaded tokenizer: what its ids stand for, and tokens back to text. */
#include <stdlib.h>
#include <string.h>

#include "text/bpe.h"

enum status
tokens_add(struct tokens *t, uint32_t id, struct err *err)
{
    if (t->n == t->cap) {
        size_t cap = t->cap == 0 ? 64 : t->cap * 2, size;
        uint32_t *p;
        if (!size_mul(&size, cap, sizeof(*p)) || (p = realloc(t->p, size)) == NULL)
            return err_memory(err);
        t->p = p;
        t->cap = cap;
    }
    t->p[t->n++] = id;
    return OK;
}

void
tokens_free(struct tokens *t)
{
    free(t->p);
    *t = (struct tokens){NULL, 0, 0};
}

void
bpe_free(struct bpe *b)
{
    if (b == NULL)
        return;
    free(b->token);
    free(b->name_id);
    free(b->word_id);
    free(b->merges.slot);
    free(b->word_merges.slot);
    free(b->added);
    ids_free(b->names);
    ids_free(b->words);
    ids_free(b->strings);
    ids_free(b->added_names);
    free(b->added_set[0].sorted);
    free(b->added_set[1].sorted);
    free(b->word);
    nfc_free(b->nfc);
    splitter_fini(&b->splitter);
    free(b);
}

uint32_t
bpe_vocab_size(const struct bpe *b)
{
    return b->n;
}

uint32_t
bpe_token_id(const struct bpe *b, struct str name)
{
    uint32_t k = ids_find(b->added_names, name);

    if (k != IDS_NONE)
        return b->added[k].id;
    k = ids_find(b->names, name);
    return k == IDS_NONE ? BPE_NONE : b->name_id[k];
}

struct str
bpe_token_text(const struct bpe *b, uint32_t id)
{
    return id < b->n ? b->token[id].text : (struct str){"", 0};
}

struct str
bpe_token_bytes(const struct bpe *b, uint32_t id)
{
    return id < b->n ? b->token[id].bytes : (struct str){"", 0};
}

bool
bpe_token_special(const struct bpe *b, uint32_t id)
{
    return id < b->n && b->token[id].special;
}

enum status
bpe_decode(struct buf *out, const struct bpe *b, const uint32_t *ids, size_t n, bool skip_special, struct err *err)
{
    struct buf raw = {0};
    enum status st = OK;

    for (size_t i = 0; i < n && st == OK; i++) {
        if (ids[i] >= b->n || b->token[ids[i]].text.n == 0)
            st = err_set(err, DATA, "%u is not an id of the tokenizer", ids[i]);
        else if (!skip_special || !b->token[ids[i]].special)
            st = buf_adds(&raw, b->token[ids[i]].bytes, err);
    }
    if (st == OK)
        st = utf8_clean(out, (struct str){raw.p, raw.n}, NULL, err);
    buf_free(&raw);
    return st;
}
