/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chat - a conversation as text: the chat template published with Llama-3.2-1B-Instruct, without tools.
 *
 * A recommended track is a block of music tokens at the head of the assistant's message, before its
 * words. Trained are the blocks, the words and the <|eot_id|> behind them.
 */
#include <stdlib.h>
#include <string.h>

#include "text/text.h"

#define HEADER(role) "<|start_header_id|>" role "<|end_header_id|>\n\n"

/* What the writing of one conversation needs everywhere. */
struct chat {
    struct segments *out;
    bool trained;
    struct chat_tally *tally;
    const struct dialog *d;
    const struct items *items;
    const struct chat_options *o;
    uint32_t version;
    struct buf block;
};

static enum status
add_control(struct chat *c, bool train, uint32_t turn, struct str text, struct err *err)
{
    c->trained = c->trained || train;
    return segments_add(c->out, true, train, turn, text, err);
}

static enum status
add_words(struct chat *c, bool train, uint32_t turn, struct str text, struct err *err)
{
    c->trained = c->trained || train;
    return segments_add(c->out, false, train, turn, text, err);
}

static enum status
add_system(struct chat *c, struct err *err)
{
    enum status st;

    if ((st = add_control(c, false, 0, STR("<|begin_of_text|>" HEADER("system")), err)) != OK ||
        (st = add_words(c, false, 0, STR("Cutting Knowledge Date: December 2023\nToday Date: "), err)) != OK ||
        (st = add_words(c, false, 0, c->o->date, err)) != OK || (st = add_words(c, false, 0, STR("\n\n"), err)) != OK ||
        (st = add_words(c, false, 0, utf8_trim(c->o->system), err)) != OK)
        return st;
    return add_control(c, false, 0, STR("<|eot_id|>"), err);
}

static enum status
add_user(struct chat *c, const struct entry *e, struct err *err)
{
    enum status st;

    if ((st = add_control(c, false, e->turn, STR(HEADER("user")), err)) != OK ||
        (st = add_words(c, false, e->turn, utf8_trim(e->content), err)) != OK)
        return st;
    return add_control(c, false, e->turn, STR("<|eot_id|>"), err);
}

/*
 * The order in which the n tracks of a turn are shown, from (seed, dialog, turn, version): what is
 * shown first is the recommendation, and no track has a claim to it.
 */
static enum status
shuffle_turn(uint32_t **order, const struct chat *c, uint32_t turn, size_t n, struct err *err)
{
    struct rng rng;

    if ((*order = malloc((n + 1) * sizeof(**order))) == NULL)
        return err_memory(err);
    for (size_t i = 0; i < n; i++)
        (*order)[i] = (uint32_t)i;
    rng = rng_seed_id(hash64(c->o->seed, &c->version, sizeof(c->version)) + turn, c->d->id.p, c->d->id.n);
    rng_shuffle(&rng, *order, n);
    return OK;
}

static enum status
add_track(struct chat *c, const struct entry *e, bool *added, struct err *err)
{
    uint32_t k = c->items == NULL ? IDS_NONE : ids_find(c->items->ids, e->content);

    *added = k != IDS_NONE;
    if (!*added) {
        c->tally->missing++;
        return OK;
    }
    c->tally->blocks++;
    c->block.n = 0;
    if (token_block(&c->block, &c->items->codes[k], err) != OK)
        return SYSTEM;
    return add_control(c, e->train, e->turn, (struct str){c->block.p, c->block.n}, err);
}

static enum status
add_tracks(struct chat *c, const struct entry *e, size_t n, size_t *shown, struct err *err)
{
    uint32_t *order = NULL;
    enum status st = shuffle_turn(&order, c, e->turn, n, err);

    *shown = 0;
    for (size_t i = 0; st == OK && i < n && *shown < c->o->max_tracks; i++) {
        bool added = false;
        st = add_track(c, &e[order[i]], &added, err);
        *shown += added;
    }
    free(order);
    return st;
}

/* Music and words from entry i on are one message of the assistant; *next is the entry behind it. */
static enum status
add_reply(struct chat *c, size_t i, size_t *next, struct err *err)
{
    const struct entry *e = c->d->entry + i;
    struct str words = {NULL, 0};
    size_t n = 0, shown = 0, left = c->d->n - i;
    bool said = false, train = false, before = c->trained;
    struct segments_mark mark;
    enum status st;

    while (n < left && e[n].role == MUSIC && e[n].turn == e->turn)
        n++;
    *next = i + n;
    if (n < left && e[n].role == ASSISTANT && e[n].turn == e->turn) {
        words = utf8_trim(e[n].content);
        train = e[n].train;
        said = true;
        ++*next;
    }
    mark = segments_mark(c->out);
    c->trained = false;
    if ((st = add_control(c, false, e->turn, STR(HEADER("assistant")), err)) != OK ||
        (st = add_tracks(c, e, n, &shown, err)) != OK ||
        (st = add_words(c, train && words.n > 0, e->turn, words, err)) != OK)
        return st;
    /* The end is a target where anything before it is. Tracks that cannot be shown and no words are no message, while
     * words that are blank are an empty one, as in the template. */
    train = c->trained;
    c->trained = before || train;
    if (shown == 0 && !said) {
        segments_back(c->out, mark);
        return OK;
    }
    return add_control(c, train, e->turn, STR("<|eot_id|>"), err);
}

/* Entries of the turns below end. */
static enum status
add_turns(struct chat *c, uint32_t end, struct err *err)
{
    enum status st = OK;

    for (size_t i = 0; st == OK && i < c->d->n && c->d->entry[i].turn < end;) {
        if (c->d->entry[i].role == USER)
            st = add_user(c, &c->d->entry[i++], err);
        else
            st = add_reply(c, i, &i, err);
    }
    return st;
}

enum status
chat_example(struct segments *out, bool *trained, struct chat_tally *tally, const struct dialog *d,
    const struct items *items, const struct chat_options *o, uint32_t version, struct err *err)
{
    struct chat c = {out, false, tally, d, items, o, version, {0}};
    enum status st = add_system(&c, err);

    if (st == OK)
        st = add_turns(&c, UINT32_MAX, err);
    *trained = c.trained;
    /* Nothing is learnt from what comes behind the last target. */
    while (c.trained && !out->p[out->n - 1].train)
        out->n--;
    buf_free(&c.block);
    return st;
}

enum status
chat_prompt(struct segments *out, struct chat_tally *tally, const struct dialog *d, const struct items *items,
    const struct chat_options *o, uint32_t turn, struct err *err)
{
    struct chat c = {out, false, tally, d, items, o, 0, {0}};
    enum status st = add_system(&c, err);

    if (st == OK)
        st = add_turns(&c, turn, err);
    for (size_t i = 0; st == OK && i < d->n && d->entry[i].turn <= turn; i++)
        if (d->entry[i].turn == turn && d->entry[i].role == USER)
            st = add_user(&c, &d->entry[i], err);
    if (st == OK)
        st = add_control(&c, false, turn, STR(HEADER("assistant")), err);
    /* Nothing of a prompt is trained: it is what was said. */
    for (size_t i = 0; i < out->n; i++)
        out->p[i].train = false;
    buf_free(&c.block);
    return st;
}
