/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bm25 - ranks tracks by the words that they share with a request: the lexical baseline.
 *
 * A track's document is its title, artist, album and tags. lib/eval/bm25.c has the formula, lib/eval/words.c says what
 * a word is. Tracks that share no word with the request are not ranked. Memory: the index, about 8 bytes a word of the
 * catalogue.
 */
#include <stdlib.h>
#include <string.h>

#include "eval/eval.h"

struct options {
    double b, k1;
    int history;
    bool keep;
    int64_t top;
    const char *tracks;
};

static const struct opt table[] = {
    OPT_REAL(0, "b", struct options, b, "B", "0.75", 0, 1, "how far long documents are discounted"),
    OPT_ENUM(0, "history", struct options, history, "last", "last|all", "the query: the last request or all of them"),
    OPT_REAL(0, "k1", struct options, k1, "K1", "1.2", 0, 100, "how soon more of a word counts no more"),
    OPT_FLAG(0, "keep-history", struct options, keep, "rank tracks that the conversation already has, too"),
    OPT_INT(0, "top", struct options, top, "N", "100", 1, 1000000, "tracks a ranking"),
    OPT_NEED(0, "tracks", struct options, tracks, "FILE", "the catalogue"),
    OPT_END,
};

static const struct program program = {
    .name = "bm25",
    .purpose = "rank tracks by the words that they share with a request",
    .operands = "[FILE...]",
    .in = "prompt (--tracks: track)",
    .out = "ranking",
    .examples = "bm25 --tracks tracks.mp prompts.mp -o ranking.bm25.mp\n"
                "bm25 --tracks tracks.mp --history all --top 10 prompts.mp | mp2json\n",
    .opts = table,
    .uses = STAGE_SEED,
};

/* Adds the words of a key that may be absent, a string or an array of strings. */
static enum status
add_key(struct bm25 *x, const msgpack_object *map, const char *key, struct err *err)
{
    const msgpack_object *v = map_find(map, key);
    enum status st = OK;
    struct str s;

    if (v == NULL)
        return OK;
    if (v->type != MSGPACK_OBJECT_ARRAY)
        return (st = obj_str(&s, v, key, err)) == OK ? bm25_add(x, s, err) : st;
    for (uint32_t i = 0; i < v->via.array.size && st == OK; i++)
        if ((st = obj_str(&s, &v->via.array.ptr[i], key, err)) == OK)
            st = bm25_add(x, s, err);
    return st;
}

static enum status
add_track(void *arg, const struct rec *rec, struct err *err)
{
    static const char *const keys[] = {"title", "artist", "album", "tags"};
    enum status st = OK;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && st == OK; i++)
        st = add_key(arg, &rec->map, keys[i], err);
    return st == OK ? bm25_end_document(arg, err) : st;
}

struct search {
    const struct options *o;
    struct bm25 *index;
    struct ids *ids;
    double *score;
    uint8_t *skip;
    struct ranked *top;
    struct buf text;
};

static enum status
answer(struct stage *s, struct search *x, const struct rec *r, struct err *err)
{
    uint32_t n = ids_count(x->ids);
    struct query q;
    enum status st;
    size_t found;

    if ((st = query_get(&q, &r->map, err)) != OK || (st = query_text(&x->text, &q, x->o->history == 1, err)) != OK)
        return st;
    if (x->o->keep)
        memset(x->skip, 0, n);
    else
        query_seen(x->skip, &q, x->ids);
    for (uint32_t i = 0; i < n; i++)
        x->score[i] = 0;
    if ((st = bm25_query(x->score, x->index, (struct str){x->text.p, x->text.n}, err)) != OK)
        return st;
    for (uint32_t i = 0; i < n; i++)
        if (!(x->score[i] > 0))
            x->skip[i] = 1;
    found = rank_top(x->top, (size_t)x->o->top, x->score, x->skip, x->ids, stage_seed(s), q.id);
    return rank_put(stage_out(s), &q, x->top, found, x->ids, err);
}

int
main(int argc, char **argv)
{
    struct options o;
    struct stage *s = stage_start(argc, argv, &program, &o);
    struct search x = {.o = &o};
    struct err err;

    cli_must(bm25_new(&x.index, o.k1, o.b, &err), &err);
    cli_must(catalogue_load(&x.ids, o.tracks, add_track, x.index, &err), &err);
    cli_must(bm25_build(x.index, &err), &err);
    x.score = calloc((size_t)ids_count(x.ids) + 1, sizeof(*x.score));
    x.skip = calloc((size_t)ids_count(x.ids) + 1, 1);
    x.top = calloc((size_t)o.top, sizeof(*x.top));
    if (x.score == NULL || x.skip == NULL || x.top == NULL)
        cli_must(err_memory(&err), &err);
    for (struct rec *r; (r = stage_next(s)) != NULL;)
        if (answer(s, &x, r, &err) != OK)
            stage_reject(s, &err);
    free(x.score);
    free(x.skip);
    free(x.top);
    buf_free(&x.text);
    ids_free(x.ids);
    bm25_free(x.index);
    return stage_finish(s);
}
