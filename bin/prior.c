/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prior - ranks tracks without reading the request: the most popular ones, or at random. What a model must beat.
 *
 * Popularity is the number of training playlists (split train, or none) that have the track; equal ones, and all where
 * the order is random, go by a hash of seed, query and track. Memory: the catalogue's ids.
 */
#include <stdlib.h>
#include <string.h>

#include "eval/eval.h"

enum by { POPULARITY, RANDOM };

struct options {
    int by;
    bool keep;
    const char *playlists, *tracks;
    int64_t top;
};

static const struct opt table[] = {
    OPT_ENUM(0, "by", struct options, by, "popularity", "popularity|random", "what the order is made of"),
    OPT_FLAG(0, "keep-history", struct options, keep, "rank tracks that the conversation already has, too"),
    OPT_STR(0, "playlists", struct options, playlists, "FILE", NULL, "what popularity is counted in"),
    OPT_INT(0, "top", struct options, top, "N", "100", 1, 1000000, "tracks a ranking"),
    OPT_NEED(0, "tracks", struct options, tracks, "FILE", "the catalogue"),
    OPT_END,
};

static const struct program program = {
    .name = "prior",
    .purpose = "rank tracks by popularity or at random",
    .operands = "[FILE...]",
    .in = "prompt (--tracks: track, --playlists: playlist)",
    .out = "ranking",
    .examples = "prior --tracks tracks.mp --playlists playlists.mp prompts.mp -o ranking.popularity.mp\n"
                "prior --by random --tracks tracks.mp --seed 7 prompts.mp | mp2json\n",
    .opts = table,
    .uses = STAGE_SEED,
};

struct prior {
    struct ids *ids;
    double *score;
    uint64_t *last; /* the playlist, counted from 1, that had the track last */
    uint64_t n_playlists;
    uint8_t *skip;
    struct ranked *top;
};

static enum status
count_playlist(void *arg, const struct rec *rec, struct err *err)
{
    struct prior *p = arg;
    const msgpack_object *tracks;
    struct str s;
    enum status st;

    if (map_has(&rec->map, "split")) {
        if ((st = map_str(&s, &rec->map, "split", err)) != OK)
            return st;
        if (!str_eq(s, STR("train")))
            return OK;
    }
    if ((st = map_array(&tracks, &rec->map, "tracks", err)) != OK)
        return st;
    p->n_playlists++;
    for (uint32_t i = 0; i < tracks->via.array.size; i++) {
        if ((st = obj_str(&s, &tracks->via.array.ptr[i], "tracks", err)) != OK)
            return st;
        uint32_t t = ids_find(p->ids, s);
        if (t != IDS_NONE && p->last[t] != p->n_playlists) {
            p->last[t] = p->n_playlists;
            p->score[t] += 1;
        }
    }
    return OK;
}

static enum status
answer(struct stage *s, const struct options *o, struct prior *p, const struct rec *r, struct err *err)
{
    struct query q;
    enum status st;
    size_t n;

    if ((st = query_get(&q, &r->map, err)) != OK)
        return st;
    if (o->keep)
        memset(p->skip, 0, ids_count(p->ids));
    else
        query_seen(p->skip, &q, p->ids);
    n = rank_top(p->top, (size_t)o->top, p->score, p->skip, p->ids, stage_seed(s), q.id);
    /* Of a random order the hash is the score: 53 bits of it, below 1. */
    for (size_t i = 0; i < n && o->by == RANDOM; i++)
        p->top[i].score = (double)(p->top[i].tie >> 11) * 0x1p-53;
    return rank_put(stage_out(s), &q, p->top, n, p->ids, err);
}

int
main(int argc, char **argv)
{
    struct options o;
    struct stage *s = stage_start(argc, argv, &program, &o);
    struct prior p = {0};
    struct err err;

    if (o.by == POPULARITY && o.playlists == NULL)
        cli_must(err_set(&err, USAGE, "--by popularity needs --playlists FILE"), &err);
    cli_must(catalogue_load(&p.ids, o.tracks, NULL, NULL, &err), &err);
    p.score = calloc((size_t)ids_count(p.ids) + 1, sizeof(*p.score));
    p.last = calloc((size_t)ids_count(p.ids) + 1, sizeof(*p.last));
    p.skip = calloc((size_t)ids_count(p.ids) + 1, 1);
    p.top = calloc((size_t)o.top, sizeof(*p.top));
    if (p.score == NULL || p.last == NULL || p.skip == NULL || p.top == NULL)
        cli_must(err_memory(&err), &err);
    if (o.by == POPULARITY)
        cli_must(rec_each(o.playlists, count_playlist, &p, &err), &err);
    for (struct rec *r; (r = stage_next(s)) != NULL;)
        if (answer(s, &o, &p, r, &err) != OK)
            stage_reject(s, &err);
    ids_free(p.ids);
    free(p.score);
    free(p.last);
    free(p.skip);
    free(p.top);
    return stage_finish(s);
}
