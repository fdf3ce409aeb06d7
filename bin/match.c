/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match - generated music tokens back to tracks. Method and cost: lib/music/match.c.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "music/music.h"

struct options {
    const char *items, *index;
    bool exact, keep_history;
    int64_t top;
};

static const struct opt table[] = {
    OPT_FLAG(0, "exact", struct options, exact, "exact matches alone, by the probability of each track"),
    OPT_STR(0, "index", struct options, index, "FILE", NULL,
        "the catalogue as a file that loads fast: written if --items is given, read if not"),
    OPT_STR('i', "items", struct options, items, "FILE", NULL, "item records: the catalogue"),
    OPT_FLAG(0, "keep-history", struct options, keep_history, "rank the tracks of the history, too"),
    OPT_INT('n', "top", struct options, top, "N", "100", 1, 100000000, "tracks a ranking, at most"),
    OPT_END,
};

static const struct program program = {
    .name = "match",
    .purpose = "tracks whose codes agree best with the generated ones",
    .operands = "[FILE...]",
    .in = "generation",
    .out = "ranking",
    .examples = "match --items items.mp -o ranking.mp generation.mp\n"
                "gen --model model --constrain items.mp prompts.mp | match --exact --items items.mp -o ranking.mp\n"
                "match --items items.mp --index items.index /dev/null && match --index items.index generation.mp\n"
                "match --items items.mp --top 1 generation.mp | mp2json | jq -r '.tracks[0].track_id'\n",
    .opts = table,
    .uses = STAGE_SEED,
};

/* What a record says, in memory that grows to the largest. */
struct query {
    struct match_candidate *candidate;
    size_t n, cap;
    uint32_t *drop; /* the tracks of the history, where the record has one */
    size_t n_drop;
};

struct ranker {
    struct stage *stage;
    const struct options *o;
    struct items *items;
    struct matcher *matcher;
    struct match_hit *hits; /* (top) */
    size_t top;
    struct query query;
    uint64_t malformed, exact; /* candidates without codes; rankings that begin with an exact match */
    struct quantiles times;    /* microseconds of each record, with --verbose */
};

/* p with room for n elements of the given size; p stays valid where there is no memory. */
static enum status
reserve(void **out, void *p, size_t *cap, size_t n, size_t size, struct err *err)
{
    *out = p;
    if (n <= *cap)
        return OK;
    if ((p = realloc(p, n * size)) == NULL)
        return err_memory(err);
    *out = p;
    *cap = n;
    return OK;
}

/* A candidate without codes is a malformed answer: it recommends nothing. */
static enum status
read_candidates(struct ranker *k, const msgpack_object *map, struct err *err)
{
    struct query *q = &k->query;
    const msgpack_object *list, *codes;
    void *room;

    q->n = 0;
    if (map_array(&list, map, "candidates", err) != OK ||
        reserve(&room, q->candidate, &q->cap, list->via.array.size, sizeof(*q->candidate), err) != OK)
        return err->status;
    q->candidate = room;
    for (uint32_t i = 0; i < list->via.array.size; i++) {
        const msgpack_object *c = &list->via.array.ptr[i];
        struct match_candidate *to = &q->candidate[q->n];

        if (obj_map(c, "candidates", err) != OK)
            return err->status;
        codes = map_find(c, "codes");
        if (codes == NULL || (codes->type == MSGPACK_OBJECT_MAP && codes->via.map.size == 0)) {
            k->malformed++;
            continue;
        }
        to->logprob = 0;
        if (codes_get(&to->codes, c, "codes", err) != OK ||
            (map_has(c, "logprob") && map_f64(&to->logprob, c, "logprob", err) != OK))
            return err_context(err, "candidates: %u", i + 1);
        q->n++;
    }
    return OK;
}

/*
 * The whole part of a score is the sum of the weights that agree, 100 for an exact match; the fraction falls with the
 * rank, so that scores fall strictly. With --exact it is the logarithm of the track's probability.
 */
static void
put_tracks(struct rec_writer *w, const struct ranker *k, size_t n)
{
    put_array(w, "tracks");
    for (size_t i = 0; i < n; i++) {
        const struct match_hit *h = &k->hits[i];

        put_map(w, NULL);
        put_str(w, "track_id", h->id);
        put_f64(w, "score", k->o->exact ? h->logprob : (h->exact ? 100 : h->sum) + (double)(n - i) / (double)(n + 1));
        put_close(w);
    }
    put_close(w);
}

static enum status
rank(struct ranker *k, const struct rec *r, struct err *err)
{
    static const char *const skip[] = {
        "candidates", "history", "ids", "response", "response_ids", "segments", "tracks", NULL};
    struct rec_writer *w = stage_out(k->stage);
    struct query *q = &k->query;
    struct str id;
    size_t n;

    if (map_id(&id, &r->map, "query_id", err) != OK || read_candidates(k, &r->map, err) != OK)
        return err->status;
    free(q->drop);
    q->drop = NULL;
    q->n_drop = 0;
    if (!k->o->keep_history && items_history(&q->drop, &q->n_drop, k->items, &r->map, err) != OK)
        return err->status;
    if ((k->o->exact ? matcher_exact : matcher_rank)(
            k->hits, &n, k->top, k->matcher, id, q->candidate, q->n, q->drop, q->n_drop, err) != OK)
        return err->status;
    k->exact += n > 0 && k->hits[0].exact;
    rec_begin(w);
    put_rest(w, &r->map, skip);
    put_tracks(w, k, n);
    return rec_end(w, err);
}

static double
seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The catalogue, from its records or its index, and the latter written where both are named. */
static void
load(struct ranker *k)
{
    const struct options *o = k->o;
    double from = seconds();
    struct err err;

    if (o->items == NULL && o->index == NULL) {
        (void)err_set(&err, USAGE, "--items or --index must be given");
        cli_die(&err);
    }
    cli_must(
        o->items != NULL ? items_load(&k->items, o->items, &err) : items_load_index(&k->items, o->index, &err), &err);
    cli_must(matcher_new(&k->matcher, k->items, stage_seed(k->stage), &err), &err);
    if (stage_verbose(k->stage))
        stage_tally_real(k->stage, "load_seconds", seconds() - from);
    if (o->items != NULL && o->index != NULL)
        cli_must(matcher_save(k->matcher, o->index, &err), &err);
}

static enum status
rank_timed(struct ranker *k, const struct rec *r, struct err *err)
{
    double from = seconds();
    enum status st = rank(k, r, err);

    if (st == OK && stage_verbose(k->stage))
        st = quantiles_add(&k->times, 1e6 * (seconds() - from), err);
    return st;
}

static void
tell(struct ranker *k)
{
    stage_tally(k->stage, "exact", k->exact);
    stage_tally(k->stage, "malformed", k->malformed);
    if (stage_verbose(k->stage)) {
        stage_tally_real(k->stage, "median_us", quantiles_at(&k->times, 0.5));
        stage_tally_real(k->stage, "p95_us", quantiles_at(&k->times, 0.95));
    }
}

int
main(int argc, char **argv)
{
    struct options o;
    struct ranker k = {.stage = stage_start(argc, argv, &program, &o), .o = &o};
    struct err err;

    load(&k);
    k.top = (size_t)o.top < k.items->n ? (size_t)o.top : k.items->n;
    if ((k.hits = calloc(k.top + 1, sizeof(*k.hits))) == NULL) {
        (void)err_memory(&err);
        cli_die(&err);
    }
    for (struct rec *r; (r = stage_next(k.stage)) != NULL;)
        if (rank_timed(&k, r, &err) != OK)
            stage_reject(k.stage, &err);
    tell(&k);
    quantiles_free(&k.times);
    free(k.query.candidate);
    free(k.query.drop);
    free(k.hits);
    matcher_free(k.matcher);
    items_free(k.items);
    return stage_finish(k.stage);
}
