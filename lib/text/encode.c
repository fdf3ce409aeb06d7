/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode - segments to tokens, and their cut to a context.
 *
 * The reference cuts a text at its added tokens and encodes what lies between as one. So do we: what lies between two
 * added tokens is one run, even if it comes from several segments, and a token belongs to the segment where its first
 * byte lies. Only control segments are searched for added tokens.
 */
#include <stdlib.h>
#include <string.h>

#include "text/bpe.h"

void
encoded_free(struct encoded *x)
{
    tokens_free(&x->ids);
    free(x->train);
    free(x->turn);
    *x = (struct encoded){0};
}

/* A piece of the run that waits to be encoded. */
struct part {
    size_t end; /* in the bytes of the run */
    bool train;
    uint32_t turn;
};

struct encoding {
    struct encoded *x;
    struct bpe_encoder *e;
    struct buf run;
    struct part *part;
    size_t n, cap;
    struct segment now;
};

/* Marks the tokens from x->n on that have no mark yet. */
static enum status
mark(struct encoded *x, size_t from, bool train, uint32_t turn, struct err *err)
{
    if (x->ids.n > x->cap) {
        size_t cap = x->ids.cap;
        void *p = realloc(x->train, cap * sizeof(*x->train));
        if (p == NULL)
            return err_memory(err);
        x->train = p;
        if ((p = realloc(x->turn, cap * sizeof(*x->turn))) == NULL)
            return err_memory(err);
        x->turn = p;
        x->cap = cap;
    }
    for (size_t i = from; i < x->ids.n; i++) {
        x->train[i] = train;
        x->turn[i] = turn;
    }
    return OK;
}

/* The run part by part, where its tokens do not add up to its bytes (a pre-tokenizer that adds or drops some). */
static enum status
flush_apart(struct encoding *g, struct err *err)
{
    size_t begin = 0;

    for (size_t i = 0; i < g->n; begin = g->part[i++].end) {
        size_t from = g->x->ids.n;
        struct str s = {g->run.p + begin, g->part[i].end - begin};
        if (bpe_encode_clean(&g->x->ids, g->e, s, err) != OK ||
            mark(g->x, from, g->part[i].train, g->part[i].turn, err) != OK)
            return err->status;
    }
    return OK;
}

static enum status
flush(struct encoding *g, struct err *err)
{
    const struct bpe *b = bpe_encoder_bpe(g->e);
    struct encoded *x = g->x;
    size_t from = x->ids.n, sum = 0, k = 0;
    enum status st;

    if (g->run.n == 0)
        goto done;
    if ((st = bpe_encode_clean(&x->ids, g->e, (struct str){g->run.p, g->run.n}, err)) != OK)
        return st;
    for (size_t i = from; i < x->ids.n; i++)
        sum += bpe_token_bytes(b, x->ids.p[i]).n;
    if (sum != g->run.n) {
        x->ids.n = from;
        if ((st = flush_apart(g, err)) != OK)
            return st;
        goto done;
    }
    if ((st = mark(x, from, false, 0, err)) != OK)
        return st;
    for (size_t i = from, at = 0; i < x->ids.n; at += bpe_token_bytes(b, x->ids.p[i++]).n) {
        while (at >= g->part[k].end)
            k++;
        x->train[i] = g->part[k].train;
        x->turn[i] = g->part[k].turn;
    }
done:
    g->run.n = 0;
    g->n = 0;
    return OK;
}

/* Text of the present segment goes to the run. */
static enum status
add_plain(void *arg, struct str text, struct err *err)
{
    struct encoding *g = arg;

    if (text.n == 0)
        return OK;
    if (g->n == g->cap) {
        size_t cap = g->cap == 0 ? 8 : g->cap * 2;
        struct part *p = realloc(g->part, cap * sizeof(*p));
        if (p == NULL)
            return err_memory(err);
        g->part = p;
        g->cap = cap;
    }
    if (buf_adds(&g->run, text, err) != OK)
        return err->status;
    g->part[g->n++] = (struct part){g->run.n, g->now.train, g->now.turn};
    return OK;
}

/* A control text must not spell a token that is not there: the model would learn letters in its place. */
static enum status
add_control(void *arg, struct str text, struct err *err)
{
    static const char *const names[] = {"<|", MUSIC_START, MUSIC_END, NULL};

    for (int i = 0; names[i] != NULL; i++) {
        const char *p = memmem(text.p, text.n, names[i], strlen(names[i]));
        if (p != NULL) {
            size_t n = text.n - (size_t)(p - text.p);
            return err_set(
                err, DATA, "segments: control text %.*s is no token of the tokenizer", (int)(n < 40 ? n : 40), p);
        }
    }
    return add_plain(arg, text, err);
}

static enum status
add_token(void *arg, uint32_t id, struct err *err)
{
    struct encoding *g = arg;
    size_t from;

    if (flush(g, err) != OK)
        return err->status;
    from = g->x->ids.n;
    if (tokens_add(&g->x->ids, id, err) != OK)
        return err->status;
    return mark(g->x, from, g->now.train, g->now.turn, err);
}

static enum status
add_segment(struct encoding *g, struct err *err)
{
    const struct bpe *b = bpe_encoder_bpe(g->e);
    struct nfc_work *work = bpe_encoder_nfc(g->e);
    struct added_calls calls = {add_control, add_token, g};
    struct buf clean = {0};
    uint64_t bad = 0;
    enum status st = utf8_clean(&clean, g->now.text, &bad, err);

    if (st == OK) {
        struct str s = {clean.p, clean.n};
        if (g->now.control)
            st = added_split(b, work, s, &calls, err);
        else if (b->nfc == NULL || (st = nfc_apply(&s, work, b->nfc, s, err)) == OK)
            st = add_plain(g, s, err);
    }
    bpe_encoder_add_bad(g->e, bad);
    buf_free(&clean);
    return st;
}

enum status
encode_segments(struct encoded *x, struct bpe_encoder *e, const struct segments *s, struct err *err)
{
    struct encoding g = {.x = x, .e = e};
    enum status st = OK;

    x->ids.n = 0;
    for (size_t i = 0; i < s->n && st == OK; i++) {
        g.now = segments_get(s, i);
        st = add_segment(&g, err);
    }
    if (st == OK)
        st = flush(&g, err);
    buf_free(&g.run);
    free(g.part);
    return st;
}

/* Keeps the tokens whose keep is true. */
static void
keep_only(struct encoded *x, const bool *keep)
{
    size_t k = 0;

    for (size_t i = 0; i < x->ids.n; i++)
        if (keep[i]) {
            x->ids.p[k] = x->ids.p[i];
            x->train[k] = x->train[i];
            x->turn[k++] = x->turn[i];
        }
    x->ids.n = k;
}

/* Drops words from the front of the turn until n tokens are gone; returns how many could not. */
static size_t
drop_words(bool *keep, const struct encoded *x, const struct bpe *b, uint32_t turn, size_t n)
{
    for (size_t i = 0; i < x->ids.n && n > 0; i++)
        if (x->turn[i] == turn && !b->token[x->ids.p[i]].added && keep[i] &&
            !(i > 0 && b->token[x->ids.p[i - 1]].added)) {
            keep[i] = false;
            n--;
        }
    return n;
}

enum status
encode_fit_dialog(
    struct encoded *x, bool *cut, const struct segments *s, struct bpe_encoder *e, size_t context, struct err *err)
{
    const struct bpe *b = bpe_encoder_bpe(e);
    size_t n, left;
    uint32_t last;
    bool *keep;

    *cut = false;
    if (encode_segments(x, e, s, err) != OK)
        return err->status;
    if (context == 0 || x->ids.n <= context)
        return OK;
    if ((keep = malloc(x->ids.n * sizeof(*keep))) == NULL)
        return err_memory(err);
    for (size_t i = 0; i < x->ids.n; i++)
        keep[i] = true;
    last = x->turn[x->ids.n - 1];
    n = x->ids.n;
    for (uint32_t turn = 1, i = 0; n > context && i < x->ids.n;) {
        while (i < x->ids.n && x->turn[i] == 0)
            i++;
        if (i == x->ids.n || (turn = x->turn[i]) == last)
            break;
        for (; i < x->ids.n && x->turn[i] == turn; i++, n--)
            keep[i] = false;
    }
    left = n > context ? drop_words(keep, x, b, last, n - context) : 0;
    *cut = n > context;
    if (left == 0)
        keep_only(x, keep);
    free(keep);
    if (left > 0)
        return err_set(
            err, DATA, "segments: the last turn needs %zu tokens more than the context of %zu", left, context);
    return OK;
}

/* Tokens of each side of a playlist and which of its segments they are. */
static enum status
drop_tracks(bool *keep, const struct encoded *x, size_t context, struct err *err)
{
    size_t n[2] = {0, 0}, budget[2] = {context / 2, context - context / 2};

    for (size_t i = 0; i < x->ids.n; i++)
        n[x->train[i]]++;
    /* The prefix: whole tracks from the front; turn 0 begins the text. */
    for (size_t i = 0; i < x->ids.n && n[0] > budget[0];) {
        uint32_t turn = x->turn[i];
        if (turn == 0 || x->train[i]) {
            i++;
            continue;
        }
        for (; i < x->ids.n && x->turn[i] == turn && !x->train[i]; i++, n[0]--)
            keep[i] = false;
    }
    /* The continuation: from the back; what has the last turn ends the text. */
    for (size_t i = x->ids.n; i > 0 && n[1] > budget[1];) {
        uint32_t turn = x->turn[i - 1];
        if (turn == x->turn[x->ids.n - 1] || !x->train[i - 1]) {
            i--;
            continue;
        }
        for (; i > 0 && x->turn[i - 1] == turn && x->train[i - 1]; i--, n[1]--)
            keep[i - 1] = false;
    }
    if (n[0] > budget[0] || n[1] > budget[1])
        return err_set(err, DATA, "segments: a context of %zu tokens is too short", context);
    return OK;
}

enum status
encode_fit_playlist(struct encoded *x, const struct segments *s, struct bpe_encoder *e, size_t context, struct err *err)
{
    enum status st;
    bool *keep;

    if (encode_segments(x, e, s, err) != OK)
        return err->status;
    if (context == 0 || x->ids.n == 0)
        return OK;
    if ((keep = malloc(x->ids.n * sizeof(*keep))) == NULL)
        return err_memory(err);
    for (size_t i = 0; i < x->ids.n; i++)
        keep[i] = true;
    if ((st = drop_tracks(keep, x, context, err)) == OK)
        keep_only(x, keep);
    free(keep);
    return st;
}
