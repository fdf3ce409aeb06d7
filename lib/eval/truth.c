/* SPDX-License-Identifier: Apache-2.0 */
/*
 * truth - the turns that are judged, what was relevant there, and which of that was warm or cold.
 *
 * Warm is a track of a training playlist, cold any other track of the catalogue (key cold of a track). The warm figure keeps
 * only the warm relevant tracks, and the cold figure only the cold ones; rankings stay as they are. Memory: the ids of queries and
 * relevant tracks.
 */
#include <stdlib.h>
#include <string.h>

#include "eval/eval.h"

const char *const subset_suffix[SUBSETS] = {"", ".warm", ".cold"};

/* Doubles *p until it has room for n elements of size bytes; what is new is zero. */
static enum status
room(void *p, size_t *cap, size_t n, size_t size, struct err *err)
{
    size_t want = *cap < 128 ? 256 : *cap, bytes;
    void **at = p;
    char *q;

    if (n <= *cap)
        return OK;
    while (want < n)
        want *= 2;
    if (!size_mul(&bytes, want, size) || (q = realloc(*at, bytes)) == NULL)
        return err_memory(err);
    memset(q + *cap * size, 0, (want - *cap) * size);
    *at = q;
    *cap = want;
    return OK;
}

/* Adds a relevant track of the turn, once. */
static enum status
add_relevant(struct truth *t, struct turn *turn, struct str id, struct err *err)
{
    enum status st;
    uint32_t track;

    if ((st = ids_add(&track, t->tracks, id, err)) != OK ||
        (st = room(&t->relevant, &t->relevant_cap, t->n_relevant + 1, sizeof(*t->relevant), err)) != OK ||
        (st = room(&t->known, &t->known_cap, (size_t)track + 1, sizeof(*t->known), err)) != OK)
        return st;
    for (uint32_t i = 0; i < turn->count[ALL]; i++)
        if (t->relevant[turn->first + i] == track)
            return OK;
    t->relevant[t->n_relevant++] = track;
    turn->count[ALL]++;
    return OK;
}

static enum status
add_prompt(void *arg, const struct rec *rec, struct err *err)
{
    struct truth *t = arg;
    const msgpack_object *relevant = NULL;
    struct turn turn = {.first = (uint32_t)t->n_relevant};
    struct str id, track;
    const char *colon;
    uint64_t number = 0;
    uint32_t index;
    enum status st;

    if ((st = map_id(&id, &rec->map, "query_id", err)) != OK)
        return st;
    if ((colon = memrchr(id.p, ':', id.n)) == NULL)
        return err_set(err, DATA, "query_id: expected DIALOG:TURN, got %.*s", (int)(id.n > 99 ? 99 : id.n), id.p);
    if (map_has(&rec->map, "turn") && (st = map_u64(&number, &rec->map, "turn", UINT32_MAX, err)) != OK)
        return st;
    if (map_has(&rec->map, "relevant") && (st = map_array(&relevant, &rec->map, "relevant", err)) != OK)
        return st;
    if ((st = ids_add(&index, t->queries, id, err)) != OK)
        return st;
    if (index < t->n)
        return err_set(err, DATA, "query_id: %.*s comes twice", (int)(id.n > 99 ? 99 : id.n), id.p);
    turn.number = (uint32_t)number;
    id.n = (size_t)(colon - id.p);
    if ((st = ids_add(&turn.conversation, t->conversations, id, err)) != OK)
        return st;
    for (uint32_t i = 0; relevant != NULL && i < relevant->via.array.size; i++)
        if ((st = obj_str(&track, &relevant->via.array.ptr[i], "relevant", err)) != OK ||
            (st = add_relevant(t, &turn, track, err)) != OK)
            return st;
    if ((st = room(&t->turns, &t->turns_cap, t->n + 1, sizeof(*t->turns), err)) != OK)
        return st;
    t->turns[t->n++] = turn;
    return OK;
}

static enum status
add_track(void *arg, const struct rec *rec, struct err *err)
{
    struct truth *t = arg;
    bool cold = false;
    struct str id;
    enum status st;
    uint32_t track;

    if ((st = map_id(&id, &rec->map, "track_id", err)) != OK)
        return st;
    if (map_has(&rec->map, "cold") && (st = map_bool(&cold, &rec->map, "cold", err)) != OK)
        return st;
    if ((track = ids_find(t->tracks, id)) != IDS_NONE)
        t->known[track] = cold ? 2 : 1;
    return OK;
}

enum status
truth_load(struct truth **out, const char *prompts, const char *tracks, struct err *err)
{
    struct truth *t = calloc(1, sizeof(*t));
    enum status st;

    if (t == NULL)
        return err_memory(err);
    if ((st = ids_new(&t->queries, err)) != OK || (st = ids_new(&t->conversations, err)) != OK ||
        (st = ids_new(&t->tracks, err)) != OK || (st = rec_each(prompts, add_prompt, t, err)) != OK ||
        (tracks != NULL && (st = rec_each(tracks, add_track, t, err)) != OK)) {
        truth_free(t);
        return st;
    }
    for (size_t i = 0; i < t->n; i++)
        for (uint32_t r = 0; r < t->turns[i].count[ALL]; r++) {
            uint8_t known = t->known[t->relevant[t->turns[i].first + r]];
            t->turns[i].count[WARM] += known == 1;
            t->turns[i].count[COLD] += known == 2;
        }
    *out = t;
    return OK;
}

void
truth_free(struct truth *t)
{
    if (t == NULL)
        return;
    ids_free(t->queries);
    ids_free(t->conversations);
    ids_free(t->tracks);
    free(t->turns);
    free(t->relevant);
    free(t->known);
    free(t);
}

enum status
truth_refuse(const struct truth *t, const char *path, struct err *err)
{
    struct buf text = {0};
    enum status st = file_read(&text, path, SIZE_MAX / 4, err);
    size_t line = 1;

    for (size_t at = 0; st == OK && at < text.n; line++) {
        char *end = memchr(text.p + at, '\n', text.n - at);
        struct str id = {text.p + at, (end != NULL ? (size_t)(end - text.p) : text.n) - at};
        if (id.n > 0 && ids_find(t->conversations, id) != IDS_NONE)
            st = err_set(err, DATA, "%s: line %zu: conversation %.*s was trained on and cannot be scored", path, line,
                (int)(id.n > 99 ? 99 : id.n), id.p);
        at += id.n + 1;
    }
    buf_free(&text);
    return st;
}

/* trec_eval parts its columns by blanks. */
static enum status
check_column(struct str s, struct err *err)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ')
            return err_set(
                err, DATA, "%.*s: a blank in an id cannot be written for trec_eval", (int)(s.n > 99 ? 99 : s.n), s.p);
    return OK;
}

enum status
truth_qrels(struct rec_writer *w, const struct truth *t, enum subset subset, struct err *err)
{
    struct buf line = {0};
    enum status st = OK;

    for (size_t i = 0; i < t->n && st == OK; i++) {
        struct str query = ids_str(t->queries, (uint32_t)i);
        for (uint32_t r = 0; r < t->turns[i].count[ALL] && st == OK; r++) {
            uint32_t track = t->relevant[t->turns[i].first + r];
            struct str id = ids_str(t->tracks, track);
            if (subset != ALL && t->known[track] != (subset == WARM ? 1 : 2))
                continue;
            line.n = 0;
            if ((st = check_column(query, err)) == OK && (st = check_column(id, err)) == OK &&
                (st = buf_printf(&line, err, "%.*s 0 %.*s 1\n", (int)query.n, query.p, (int)id.n, id.p)) == OK)
                st = rec_raw(w, line.p, line.n, err);
        }
    }
    buf_free(&line);
    return st;
}

/* ---- a system's rankings ---- */

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

/* Ranks as scores: trec_eval sorts by score and then by name, and what it sees must be this order. */
static enum status
put_trec(struct judging *j, struct str query, struct str id, size_t rank, size_t n, struct err *err)
{
    enum status st;

    if (j->trec == NULL)
        return OK;
    j->line.n = 0;
    if ((st = check_column(id, err)) != OK || (st = buf_printf(&j->line, err, "%.*s Q0 %.*s %zu %zu %s\n", (int)query.n,
                                                   query.p, (int)id.n, id.p, rank + 1, n - rank, j->run->name)) != OK)
        return st;
    return rec_raw(j->trec, j->line.p, j->line.n, err);
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
    if (j->trec != NULL && (st = check_column(query, err)) != OK)
        return st;
    n = tracks->via.array.size;
    if ((st = room(&j->mask, &j->mask_cap, n, 1, err)) != OK || (st = room(&j->hit, &j->hit_cap, n, 1, err)) != OK)
        return st;
    mark_relevant(j, &j->t->turns[index], true);
    for (size_t i = 0; i < n; i++) {
        const msgpack_object *track = &tracks->via.array.ptr[i];
        if ((st = obj_map(track, "tracks", err)) != OK || (st = map_id(&id, track, "track_id", err)) != OK ||
            (st = rank_once(j, index, id, err)) != OK || (st = put_trec(j, query, id, i, n, err)) != OK)
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
