/* SPDX-License-Identifier: Apache-2.0 */
/* The special tokens of a random model: begin and ends of text, as its tokenizer has them, Llama 3's by name. */
#include "model/model.h"
#include "text/text.h"

enum status
special_find(struct model_config *c, const char *tokenizer, struct err *err)
{
    struct bpe *bpe = NULL;
    enum status st = bpe_load(&bpe, tokenizer, err);
    uint32_t bos, end, eot;

    if (st != OK)
        return st;
    bos = bpe_token_id(bpe, STR("<|begin_of_text|>"));
    end = bpe_token_id(bpe, STR("<|end_of_text|>"));
    eot = bpe_token_id(bpe, STR("<|eot_id|>"));
    c->bos = bos == BPE_NONE ? -1 : (int32_t)bos;
    c->n_eos = 0;
    if (end != BPE_NONE)
        c->eos[c->n_eos++] = (int32_t)end;
    if (eot != BPE_NONE)
        c->eos[c->n_eos++] = (int32_t)eot;
    bpe_free(bpe);
    return OK;
}

enum status
special_write(const char *dir, const struct model_config *c, struct err *err)
{
    struct buf text = {0};
    struct bpe *bpe = NULL;
    enum status st = bpe_load(&bpe, dir, err);

    if (st == OK && (st = config_tokenizer_json(&text, c, bpe_token_text(bpe, (uint32_t)c->bos),
                         bpe_token_text(bpe, c->n_eos > 0 ? (uint32_t)c->eos[c->n_eos - 1] : BPE_NONE), err)) == OK)
        st = folder_write(dir, "tokenizer_config.json", text.p, text.n, err);
    bpe_free(bpe);
    buf_free(&text);
    return st;
}
