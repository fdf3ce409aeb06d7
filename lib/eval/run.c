/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run - the rankings of one system, judged one by one as they are read: only their values stay.
 *
 * Time: linear in the tracks ranked. Memory: the ids of all tracks ranked anywhere, and 144 bytes a turn.
 */
#include <stdlib.h>

#include "eval/room.h"

struct judging {
    struct run *run;
    const struct truth *t;
    struct rec_writer *trec;
    struct ids *ranked;  /* every track that was ranked anywhere */
    uint32_t *last;      /* by index in ranked: 1 + the turn that ranked it last */
    uint8_t *mark;       /* by index in t->tracks: 1 << subset for what is relevant in this turn */
    uint8_t *mask, *hit; /* by rank */
    size_t last_cap, mask_cap, hit_cap;
    struct buf line;
};

/* Remembers that the turn ranked this track; DATA if it did before. */
static enum status
rank_once(struct judging *j, uint32_t turn, struct str id, struct err *err)
{
    enum status st;
    uint32_t index;

    if ((st = ids_add(&index, j->ranked, id, err)) != OK ||
        (st = room(&j->last, &j->last_cap, (size_t)index + 1, sizeof(*j->last), err)) != OK)
        return st;
    if (j->last[index] == turn + 1)
        return err_set(err, DATA, "tracks: %.*s comes twice", (int)(id.n > 99 ? 99 : id.n), id.p);
    j->last[index] = turn + 1;
    return OK;
}

static void
mark_relevant(struct judging *j, const struct turn *turn, bool on)
{
    for (uint32_t r = 0; r < turn->count[ALL]; r++) {
        uint32_t track = j->t->relevant[turn->first + r];
        int known = j->t->known[track];
        int bits = 1 << ALL | (known == 1) << WARM | (known == 2) << COLD;
        j->mark[track] = (uint8_t)(on ? bits : 0);
    }
}

static void
measure_turn(struct judging *j, uint32_t index, size_t n)
{
    const struct turn *turn = &j->t->turns[index];
    double *value = j->run->value + (size_t)index * SUBSETS * MEASURES;

    for (int s = 0; s < SUBSETS; s++) {
        for (size_t i = 0; i < n; i++)
            j->hit[i] = (uint8_t)(j->mask[i] >> s & 1);
        for (int m = 0; m < MEASURES && turn->count[s] > 0; m++)
            value[s * MEASURES + m] = measures[m].value(j->hit, n, turn->count[s], measures[m].k);
    }
}

static enum status
judge(void *arg, const struct rec *rec, struct err *err)
{
    struct judging *j = arg;
    const msgpack_object *tracks;
    struct str query, id;
    uint32_t index;
    size_t n;
    enum status st;

    if ((st = map_id(&query, &rec->map, "query_id", err)) != OK ||
        (st = map_array(&tracks, &rec->map, "tracks", err)) != OK)
        return st;
    if ((index = ids_find(j->t->queries, query)) == IDS_NONE)
        return err_set(
            err, DATA, "query_id: %.*s is not among the prompts", (int)(query.n > 99 ? 99 : query.n), query.p);
    if (j->run->seen[index]++)
        return err_set(err, DATA, "query_id: %.*s comes twice", (int)(query.n > 99 ? 99 : query.n), query.p);
    if (j->trec != NULL && (st = trec_check(query, err)) != OK)
        return st;
    n = tracks->via.array.size;
    if ((st = room(&j->mask, &j->mask_cap, n, 1, err)) != OK || (st = room(&j->hit, &j->hit_cap, n, 1, err)) != OK)
        return st;
    mark_relevant(j, &j->t->turns[index], true);
    for (size_t i = 0; i < n; i++) {
        const msgpack_object *track = &tracks->via.array.ptr[i];
        if ((st = obj_map(track, "tracks", err)) != OK || (st = map_id(&id, track, "track_id", err)) != OK ||
            (st = rank_once(j, index, id, err)) != OK ||
            (j->trec != NULL && (st = trec_put(j->trec, &j->line, query, id, i, n, j->run->name, err)) != OK))
            return st;
        uint32_t at = ids_find(j->t->tracks, id);
        j->mask[i] = at == IDS_NONE ? 0 : j->mark[at];
    }
    measure_turn(j, index, n);
    mark_relevant(j, &j->t->turns[index], false);
    return OK;
}

enum status
run_load(struct run *out, const struct truth *t, const char *name, const char *path, struct rec_writer *trec,
    struct err *err)
{
    struct judging j = {.run = out, .t = t, .trec = trec};
    enum status st;

    *out = (struct run){.name = name};
    out->value = calloc(t->n + 1, SUBSETS * MEASURES * sizeof(*out->value));
    out->seen = calloc(t->n + 1, 1);
    j.mark = calloc((size_t)ids_count(t->tracks) + 1, 1);
    if (out->value == NULL || out->seen == NULL || j.mark == NULL)
        st = err_memory(err);
    else if ((st = ids_new(&j.ranked, err)) == OK)
        st = rec_each(path, judge, &j, err);
    for (size_t i = 0; st == OK && i < t->n; i++)
        out->missing += t->turns[i].count[ALL] > 0 && !out->seen[i];
    ids_free(j.ranked);
    free(j.last);
    free(j.mark);
    free(j.mask);
    free(j.hit);
    buf_free(&j.line);
    if (st != OK)
        run_fini(out);
    return st;
}

void
run_fini(struct run *r)
{
    free(r->value);
    free(r->seen);
    r->value = NULL;
    r->seen = NULL;
}
