/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which ids of a tokenizer are music tokens, and of which slot: a modality that is wanted and that the tokenizer has.
 * Some passes over the vocabulary; 9 bytes a token, and 4 a code.
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

/* From codes back to ids, for the modalities that are slots. */
static enum status
index_codes(struct music_tokens *t, size_t V, struct err *err)
{
    for (size_t id = 0; id < V; id++)
        if (t->slot[id] != 0 && t->slot[id] != MUSIC_NEVER) {
            enum modality m = t->modality[t->slot[id] - 1];
            size_t code = (size_t)t->code[id];

            t->n_codes[m] = code >= t->n_codes[m] ? code + 1 : t->n_codes[m];
        }
    for (int m = 0; m < MODALITIES; m++) {
        if (t->n_codes[m] > 0 && (t->id[m] = malloc(t->n_codes[m] * sizeof *t->id[m])) == NULL)
            return err_memory(err);
        for (size_t k = 0; k < t->n_codes[m]; k++)
            t->id[m][k] = -1;
    }
    for (size_t id = 0; id < V; id++)
        if (t->slot[id] != 0 && t->slot[id] != MUSIC_NEVER)
            t->id[t->modality[t->slot[id] - 1]][t->code[id]] = (int32_t)id;
    return OK;
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
        if (st == OK)
            st = index_codes(t, V, err);
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
    for (int m = 0; m < MODALITIES; m++)
        free(t->id[m]);
    *t = (struct music_tokens){0};
}

enum status
music_tokens_of(
    int32_t ids[MODALITIES], size_t *n, const struct music_tokens *t, const struct codes *codes, struct err *err)
{
    *n = 0;
    for (int m = 0; m < MODALITIES; m++) {
        int32_t code = codes->code[m];
        char name[32];

        if (code == CODE_NONE)
            continue;
        if ((size_t)code >= t->n_codes[m] || t->id[m][code] < 0) {
            (void)token_name(name, (enum modality)m, code);
            return err_set(err, DATA, "%s is none of the run's tokens", name);
        }
        ids[(*n)++] = t->id[m][code];
    }
    return OK;
}
