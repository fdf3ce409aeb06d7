/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpeencode - text to tokens: split into words, each word looked up in a cache, else merged.
 *
 * The cache is a table of fixed size with one word a place, the latest wins: natural text repeats its words, and
 * neither memory nor results depend on how much was encoded before. 2 MiB an encoder.
 */
#include <stdlib.h>
#include <string.h>

#include "text/bpe.h"

#define CACHE_SLOTS ((size_t)1 << 15)
#define CACHE_BYTES 24
#define CACHE_IDS 9

struct cached {
    uint8_t bytes, ids;
    char word[CACHE_BYTES];
    uint32_t id[CACHE_IDS];
};

struct bpe_encoder {
    const struct bpe *bpe;
    struct split_run run;
    struct cached *cache;
    struct merge_work work;
    struct tokens word;
    struct tokens *out; /* of the call that runs */
    bool apart;         /* it gives words only, and those have merges of their own; so has the cache */
    struct buf clean;
    struct nfc_work nfc;
    uint64_t bad;
};

enum status
bpe_encoder_new(struct bpe_encoder **out, const struct bpe *b, struct err *err)
{
    struct bpe_encoder *e = calloc(1, sizeof(*e));

    *out = NULL;
    if (e == NULL)
        return err_memory(err);
    e->bpe = b;
    if ((e->cache = calloc(CACHE_SLOTS, sizeof(*e->cache))) == NULL) {
        free(e);
        return err_memory(err);
    }
    if (split_run_init(&e->run, &b->splitter, err) != OK) {
        bpe_encoder_free(e);
        return err->status;
    }
    *out = e;
    return OK;
}

void
bpe_encoder_free(struct bpe_encoder *e)
{
    if (e == NULL)
        return;
    split_run_fini(&e->run);
    free(e->cache);
    free(e->work.block);
    tokens_free(&e->word);
    buf_free(&e->clean);
    nfc_work_free(&e->nfc);
    free(e);
}

uint64_t
bpe_encoder_bad(const struct bpe_encoder *e)
{
    return e->bad;
}

void
bpe_encoder_add_bad(struct bpe_encoder *e, uint64_t n)
{
    e->bad += n;
}

const struct bpe *
bpe_encoder_bpe(const struct bpe_encoder *e)
{
    return e->bpe;
}

struct nfc_work *
bpe_encoder_nfc(struct bpe_encoder *e)
{
    return &e->nfc;
}

static struct cached *
cache_slot(struct bpe_encoder *e, struct str word)
{
    uint64_t a = 0, b = 0, c = 0;

    memcpy(&a, word.p, word.n < 8 ? word.n : 8);
    if (word.n > 8)
        memcpy(&b, word.p + 8, word.n < 16 ? word.n - 8 : 8);
    if (word.n > 16)
        memcpy(&c, word.p + 16, word.n - 16);
    a = (a ^ b * UINT64_C(0x9e3779b97f4a7c15) ^ c * UINT64_C(0xc2b2ae3d27d4eb4f)) + word.n;
    a *= UINT64_C(0xbf58476d1ce4e5b9);
    return &e->cache[(a >> 40) & (CACHE_SLOTS - 1)];
}

static enum status
append(struct tokens *out, const uint32_t *id, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (tokens_add(out, id[i], err) != OK)
            return err->status;
    return OK;
}

/* e->word becomes the tokens of word. */
static enum status
merge_word(struct bpe_encoder *e, struct str word, struct err *err)
{
    const struct bpe *b = e->bpe;
    enum status st;

    e->word.n = 0;
    if (b->ignore_merges) {
        uint32_t k = ids_find(b->words, word);
        if (k != IDS_NONE && !(e->apart && b->token[b->word_id[k]].added))
            return tokens_add(&e->word, b->word_id[k], err);
    }
    for (size_t i = 0; i < word.n; i++)
        if ((st = tokens_add(&e->word, b->byte[(unsigned char)word.p[i]], err)) != OK)
            return st;
    return merges_apply(e->word.p, &e->word.n, e->apart ? &b->word_merges : &b->merges, &e->work, err);
}

static enum status
encode_word(void *arg, struct str word, struct err *err)
{
    struct bpe_encoder *e = arg;
    struct cached *c = NULL;
    enum status st;

    if (word.n <= CACHE_BYTES) {
        c = cache_slot(e, word);
        if (c->bytes == word.n && memcmp(c->word, word.p, word.n) == 0)
            return append(e->out, c->id, c->ids, err);
    }
    if ((st = merge_word(e, word, err)) != OK)
        return st;
    if (c != NULL && e->word.n <= CACHE_IDS) {
        c->bytes = (uint8_t)word.n;
        c->ids = (uint8_t)e->word.n;
        memcpy(c->word, word.p, word.n);
        memcpy(c->id, e->word.p, e->word.n * sizeof(c->id[0]));
    }
    return append(e->out, e->word.p, e->word.n, err);
}

/* What follows goes to out: words only, or what the reference gives. */
static void
begin(struct bpe_encoder *e, struct tokens *out, bool words)
{
    bool apart = words && e->bpe->apart;

    e->out = out;
    if (apart != e->apart)
        memset(e->cache, 0, CACHE_SLOTS * sizeof(*e->cache));
    e->apart = apart;
}

enum status
bpe_encode_clean(struct tokens *out, struct bpe_encoder *e, struct str text, struct err *err)
{
    begin(e, out, true);
    return split_text(&e->run, text, encode_word, e, err);
}

/* text, or a copy of it with U+FFFD for what is ill-formed. */
static enum status
clean(struct str *out, struct bpe_encoder *e, struct str text, struct err *err)
{
    *out = text;
    if (utf8_valid(text))
        return OK;
    e->clean.n = 0;
    if (utf8_clean(&e->clean, text, &e->bad, err) != OK)
        return err->status;
    *out = (struct str){e->clean.p, e->clean.n};
    return OK;
}

enum status
bpe_encode_text(struct tokens *out, struct bpe_encoder *e, struct str text, struct err *err)
{
    struct str s;

    if (clean(&s, e, text, err) != OK || (e->bpe->nfc != NULL && nfc_apply(&s, &e->nfc, e->bpe->nfc, s, err) != OK))
        return err->status;
    return bpe_encode_clean(out, e, s, err);
}

static enum status
control_plain(void *arg, struct str text, struct err *err)
{
    struct bpe_encoder *e = arg;

    return split_text(&e->run, text, encode_word, e, err);
}

static enum status
control_token(void *arg, uint32_t id, struct err *err)
{
    struct bpe_encoder *e = arg;

    return tokens_add(e->out, id, err);
}

enum status
bpe_encode_control(struct tokens *out, struct bpe_encoder *e, struct str text, struct err *err)
{
    struct added_calls calls = {control_plain, control_token, e};
    struct str s;

    if (clean(&s, e, text, err) != OK)
        return err->status;
    begin(e, out, false);
    return added_split(e->bpe, &e->nfc, s, &calls, err);
}

enum status
bpe_encode_whole(struct tokens *out, struct bpe_encoder *e, struct str text, struct err *err)
{
    enum status st;

    if ((st = append(out, e->bpe->before, e->bpe->n_before, err)) != OK ||
        (st = bpe_encode_control(out, e, text, err)) != OK)
        return st;
    return append(out, e->bpe->after, e->bpe->n_after, err);
}
