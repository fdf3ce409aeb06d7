/* SPDX-License-Identifier: Apache-2.0 */
/* A generation as a record: its candidates' tokens as codes, its words as text. */
#include "model/generate.h"
#include "text/text.h"

static void
put_candidate(struct rec_writer *w, const struct candidate *c, const struct answer *a)
{
    put_map(w, NULL);
    put_map(w, "codes");
    for (size_t i = 0; !c->malformed && i + 1 < c->n; i++) { /* but for <end_of_music> */
        int32_t id = c->token[i];

        put_u64(w, modality_name[a->music->modality[a->music->slot[id] - 1]], (uint64_t)a->music->code[id]);
    }
    put_close(w);
    put_f64(w, "logprob", c->logprob < 0 ? c->logprob : 0); /* rounding may leave 1e-9 above */
    if (a->constrained)
        put_u64(w, "count", c->tracks);
    if (c->malformed) {
        put_bool(w, "malformed", true);
        put_array(w, "ids");
        for (size_t i = 0; i < c->n; i++)
            put_u64(w, NULL, (uint64_t)c->token[i]);
        put_close(w);
    }
    put_close(w);
}

/* One by one: an embedding may have rows behind the vocabulary, which stand for nothing. */
static enum status
words_text(struct buf *text, const struct generation *x, const struct bpe *bpe, struct err *err)
{
    struct buf bytes = {0};
    enum status st = OK;

    for (size_t i = 0; st == OK && bpe != NULL && i < x->n_words; i++)
        if (!bpe_token_special(bpe, (uint32_t)x->word[i]))
            st = buf_adds(&bytes, bpe_token_bytes(bpe, (uint32_t)x->word[i]), err);
    if (st == OK)
        st = utf8_clean(text, (struct str){bytes.p, bytes.n}, NULL, err);
    buf_free(&bytes);
    return st;
}

enum status
answer_put(struct rec_writer *w, const msgpack_object *prompt, const struct generation *x, const struct answer *a,
    struct err *err)
{
    static const char *const carried[] = {"query_id", "turn", "relevant", "history", NULL};
    struct buf text = {0};
    enum status st = words_text(&text, x, a->bpe, err);

    if (st != OK)
        goto out;
    rec_begin(w);
    for (const char *const *key = carried; *key != NULL; key++)
        if (map_has(prompt, *key))
            put_object(w, *key, map_find(prompt, *key));
    put_array(w, "candidates");
    for (size_t i = 0; i < x->n_candidates; i++)
        put_candidate(w, &x->candidate[i], a);
    put_close(w);
    if (a->constrained && x->expansions > 0) {
        put_bool(w, "exact", x->exact);
        put_u64(w, "expansions", x->expansions);
    }
    if (a->words) {
        if (a->bpe != NULL)
            put_str(w, "response", (struct str){text.p, text.n});
        put_array(w, "response_ids");
        for (size_t i = 0; i < x->n_words; i++)
            put_u64(w, NULL, (uint64_t)x->word[i]);
        put_close(w);
    }
    st = rec_end(w, err);
out:
    buf_free(&text);
    return st;
}
