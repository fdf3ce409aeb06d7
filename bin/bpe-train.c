/* SPDX-License-Identifier: Apache-2.0 */
/* bpe-train - a byte-pair vocabulary learnt from the text of records, as a tokenizer.json in Llama 3's form. */
#include "text/text.h"

struct options {
    struct opt_list field;
    int64_t vocab, min_count;
};

static const struct opt options[] = {
    OPT_LIST(0, "field", struct options, field, "KEY", "learn from this key, a string or an array of them"),
    OPT_INT(0, "min-count", struct options, min_count, "N", "2", 1, INT64_MAX, "a pair that occurs less is not merged"),
    OPT_INT(0, "vocab", struct options, vocab, "N", "4000", 263, 1000000, "tokens in all"),
    OPT_END,
};

static const struct program program = {
    .name = "bpe-train",
    .purpose = "learn a byte-pair vocabulary",
    .operands = "[FILE...]",
    .in = "example, prompt or dialog; with --field any record",
    .out = "tokenizer.json",
    .examples = "bpe-train --vocab 4000 examples.mp -o model/tokenizer.json\n"
                "bpe-train --field title --field artist tracks.mp -o tokenizer.json\n",
    .opts = options,
    .uses = STAGE_TEXT_OUT,
};

/* A string, or each of an array of them. */
/* A string, or an array of strings: checked, or learnt where t is not NULL. */
static enum status
learn_value(struct bpe_trainer *t, const msgpack_object *v, const char *key, struct err *err)
{
    bool array = v->type == MSGPACK_OBJECT_ARRAY;
    uint32_t n = array ? v->via.array.size : 1;
    struct str s;

    for (uint32_t i = 0; i < n; i++)
        if (obj_str(&s, array ? &v->via.array.ptr[i] : v, key, err) != OK ||
            (t != NULL && bpe_trainer_add(t, s, err) != OK))
            return err->status;
    return OK;
}

/* Nothing is learnt of a record that is refused. */
static enum status
learn_fields(struct bpe_trainer *t, const struct opt_list *keys, const msgpack_object *map, struct err *err)
{
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < keys->n; i++) {
            const msgpack_object *v = map_find(map, keys->item[i]);
            if (v != NULL && learn_value(pass == 0 ? NULL : t, v, keys->item[i], err) != OK)
                return err->status;
        }
    return OK;
}

static enum status
learn_segments(struct bpe_trainer *t, struct segments *segments, const msgpack_object *map, struct err *err)
{
    segments_clear(segments);
    if (segments_read(segments, map, "segments", err) != OK)
        return err->status;
    for (size_t i = 0; i < segments->n; i++) {
        struct segment x = segments_get(segments, i);
        enum status st = x.control ? bpe_trainer_add_control(t, x.text, err) : bpe_trainer_add(t, x.text, err);
        if (st != OK)
            return st;
    }
    return OK;
}

static enum status
learn_dialog(struct bpe_trainer *t, struct dialog *dialog, const msgpack_object *map, struct err *err)
{
    if (dialog_read(dialog, map, err) != OK)
        return err->status;
    for (size_t i = 0; i < dialog->n; i++)
        if (dialog->entry[i].role != MUSIC && bpe_trainer_add(t, dialog->entry[i].content, err) != OK)
            return err->status;
    return OK;
}

int
main(int argc, char **argv)
{
    struct options o;
    struct stage *s = stage_start(argc, argv, &program, &o);
    struct bpe_trainer *t = NULL;
    struct segments segments = {0};
    struct dialog dialog = {0};
    struct buf json = {0};
    uint64_t held_out = 0;
    uint32_t made = 0;
    struct err err;

    cli_must(bpe_trainer_new(&t, &err), &err);
    for (struct rec *r; (r = stage_next(s)) != NULL;) {
        enum split split;
        enum status st = map_split(&split, &r->map, &err);
        if (st == OK && split == SPLIT_TRAIN) /* what is held out must not shape the vocabulary */
            st = o.field.n > 0               ? learn_fields(t, &o.field, &r->map, &err)
                 : map_has(&r->map, "turns") ? learn_dialog(t, &dialog, &r->map, &err)
                                             : learn_segments(t, &segments, &r->map, &err);
        if (st != OK)
            stage_reject(s, &err);
        held_out += st == OK && split != SPLIT_TRAIN;
    }
    if (bpe_train(&json, &made, t, (uint32_t)o.vocab, (uint64_t)o.min_count, &err) != OK ||
        rec_raw(stage_out(s), json.p, json.n, &err) != OK)
        stage_fail(s, &err);
    if (made < o.vocab)
        cli_note("the text has no more pairs: %u tokens, not %lld", made, (long long)o.vocab);
    stage_tally(s, "held_out", held_out);
    stage_tally(s, "words", bpe_trainer_words(t));
    stage_tally(s, "tokens", made);
    bpe_trainer_free(t);
    segments_free(&segments);
    dialog_free(&dialog);
    buf_free(&json);
    return stage_finish(s);
}
