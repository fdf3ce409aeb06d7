/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which ids of a tokenizer are music tokens, and of which slot: a modality that is wanted and that the tokenizer has.
 * One pass over the vocabulary; 9 bytes a token.
 */
#include <stdlib.h>
#include <string.h>

#include "text/text.h"

enum status
modalities_parse(bool wanted[MODALITIES], const char *names, struct err *err)
{
    for (int m = 0; m < MODALITIES; m++)
        wanted[m] = names == NULL;
    while (names != NULL) {
        size_t n = strcspn(names, ",");
        int m = modality_find((struct str){names, n});

        if (m < 0)
            return err_set(err, USAGE, "no modality has the name '%.*s'", (int)(n > 99 ? 99 : n), names);
        wanted[m] = true;
        names = names[n] == ',' ? names + n + 1 : NULL;
    }
    return OK;
}

static enum status
special_token(int32_t *id, const struct bpe *b, const char *name, struct err *err)
{
    uint32_t found = bpe_token_id(b, str_of(name));

    if (found == BPE_NONE)
        return err_set(err, DATA, "the tokenizer has no token %s (model-init adds it)", name);
    *id = (int32_t)found;
    return OK;
}

/* Numbers the modalities that are wanted and there: their slots, from 1. */
static enum status
number_slots(uint8_t slot_of[MODALITIES], struct music_tokens *t, const bool *wanted, const bool *there, bool all,
    struct err *err)
{
    for (int m = 0; m < MODALITIES; m++) {
        if (!all && wanted[m] && !there[m])
            return err_set(err, DATA, "the tokenizer has no tokens of modality %s", modality_name[m]);
        slot_of[m] = MUSIC_NEVER;
        if (wanted[m] && there[m]) {
            t->modality[t->n_slots++] = (enum modality)m;
            slot_of[m] = (uint8_t)t->n_slots;
        }
    }
    return t->n_slots > 0 ? OK : err_set(err, DATA, "the tokenizer has no music tokens");
}

enum status
music_tokens_find(struct music_tokens *t, const struct bpe *b, size_t V, const char *names, struct err *err)
{
    uint32_t size = bpe_vocab_size(b);
    bool wanted[MODALITIES], there[MODALITIES] = {false};
    uint8_t slot_of[MODALITIES];
    enum modality m;
    enum status st;

    *t = (struct music_tokens){0};
    if (size > V)
        return err_set(err, DATA, "the tokenizer has %u tokens, the model %zu", (unsigned)size, V);
    t->slot = calloc(V, 1);
    t->code = calloc(V, sizeof *t->code);
    if (t->slot == NULL || t->code == NULL)
        st = err_memory(err);
    else if ((st = modalities_parse(wanted, names, err)) != OK ||
             (st = special_token(&t->start, b, MUSIC_START, err)) != OK ||
             (st = special_token(&t->end, b, MUSIC_END, err)) != OK)
        ;
    else {
        for (uint32_t id = 0; id < size; id++)
            if (token_parse(&m, &t->code[id], bpe_token_text(b, id)))
                there[m] = true;
        st = number_slots(slot_of, t, wanted, there, names == NULL, err);
        for (uint32_t id = 0; st == OK && id < size; id++)
            if (token_parse(&m, &t->code[id], bpe_token_text(b, id)))
                t->slot[id] = slot_of[m];
    }
    if (st != OK)
        music_tokens_fini(t);
    return st;
}

void
music_tokens_fini(struct music_tokens *t)
{
    free(t->slot);
    free(t->code);
    *t = (struct music_tokens){0};
}
