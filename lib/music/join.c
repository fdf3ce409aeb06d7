/* SPDX-License-Identifier: Apache-2.0 */
/*
 * join - embeddings of several modalities to their tracks.
 *
 * In order (the default): a merge that looks one record ahead in each embedding file, so memory is constant; the files
 * must have the order of the tracks, may leave tracks out, and may hold no others. Held: each file is read into memory
 * first, in any order, and embeddings of other tracks are left over.
 */
#include <stdlib.h>

#include "music/music.h"

struct side {
    const char *path;
    int m; /* -1 until the first record */
    /* in order */
    struct rec_reader *in;
    struct rec *next; /* not yet joined; NULL at the end */
    /* held */
    struct ids *ids;
    struct points points;
    bool *used;
};

struct joiner {
    struct side side[MODALITIES];
    size_t n;
    bool hold;
};

/* Checks an embedding record and finds its modality. */
static enum status
check(struct side *s, const struct rec *rec, struct str *id, struct err *err)
{
    struct str name;
    int m;

    if (map_id(id, &rec->map, "track_id", err) != OK || map_str(&name, &rec->map, "modality", err) != OK)
        return err->status;
    if ((m = modality_find(name)) < 0)
        return err_set(err, DATA, "modality: expected playlist, semantic, metadata, lyrics or audio, got \"%.*s\"",
            name.n > 40 ? 40 : (int)name.n, name.p);
    if (s->m >= 0 && m != s->m)
        return err_set(
            err, DATA, "modality: expected %s as in the records before, got %s", modality_name[s->m], modality_name[m]);
    s->m = m;
    return OK;
}

static enum status
hold_record(void *arg, const struct rec *rec, struct err *err)
{
    struct side *s = arg;
    struct str id;
    uint32_t before = ids_count(s->ids), i;

    if (check(s, rec, &id, err) != OK || points_add(&s->points, &rec->map, "vector", err) != OK ||
        ids_add(&i, s->ids, id, err) != OK)
        return err->status;
    if (i < before)
        return err_set(err, DATA, "track_id: \"%.*s\" comes twice", id.n > 80 ? 80 : (int)id.n, id.p);
    return OK;
}

/* Moves on in a file that is read in order. */
static enum status
advance(struct side *s, struct err *err)
{
    struct str id;
    enum status st = rec_read(&s->next, s->in, err);

    if (st == END) {
        s->next = NULL;
        return OK;
    }
    if (st == OK && (st = check(s, s->next, &id, err)) != OK)
        st = rec_context(err, s->next);
    return st;
}

static enum status
open_side(struct side *s, const char *path, bool hold, struct err *err)
{
    enum status st;

    s->path = path;
    s->m = -1;
    if (!hold)
        return (st = rec_open(&s->in, path, 0, err)) == OK ? advance(s, err) : st;
    if ((st = ids_new(&s->ids, err)) != OK || (st = rec_each(path, hold_record, s, err)) != OK)
        return st;
    s->used = calloc((size_t)ids_count(s->ids) + 1, sizeof(*s->used));
    return s->used == NULL ? err_memory(err) : OK;
}

enum status
joiner_new(struct joiner **out, const char *const *paths, size_t n, bool hold, struct err *err)
{
    struct joiner *j = calloc(1, sizeof(*j));
    enum status st = OK;

    *out = NULL;
    if (j == NULL)
        return err_memory(err);
    j->hold = hold;
    if (n > MODALITIES)
        st = err_set(err, USAGE, "expected at most %d embedding files, got %zu", MODALITIES, n);
    for (; j->n < n && st == OK; j->n++) {
        struct side *s = &j->side[j->n];
        st = open_side(s, paths[j->n], hold, err);
        for (size_t i = 0; i < j->n && st == OK; i++)
            if (s->m >= 0 && j->side[i].m == s->m)
                st = err_set(
                    err, DATA, "%s and %s are both of modality %s", j->side[i].path, s->path, modality_name[s->m]);
    }
    if (st == OK)
        *out = j;
    else
        joiner_free(j);
    return st;
}

void
joiner_free(struct joiner *j)
{
    if (j == NULL)
        return;
    for (size_t i = 0; i < MODALITIES; i++) {
        struct side *s = &j->side[i];
        rec_close(s->in);
        ids_free(s->ids);
        points_free(&s->points);
        free(s->used);
    }
    free(j);
}

/* Puts the vector of track id from side s, if it has one. */
static enum status
put_side(struct rec_writer *w, struct side *s, struct str id, bool hold, struct err *err)
{
    struct str next;
    uint32_t i;

    if (hold) {
        if ((i = ids_find(s->ids, id)) == IDS_NONE)
            return OK;
        s->used[i] = true;
        put_vector(w, modality_name[s->m], s->points.v + (size_t)i * s->points.dim, s->points.dim);
        return OK;
    }
    if (s->next == NULL)
        return OK;
    if (map_id(&next, &s->next->map, "track_id", err) != OK)
        return rec_context(err, s->next);
    if (!str_eq(next, id))
        return OK;
    if (points_add(&s->points, &s->next->map, "vector", err) != OK)
        return rec_context(err, s->next);
    s->points.n = 0; /* only its dimension and room stay */
    put_vector(w, modality_name[s->m], s->points.v, s->points.dim);
    return advance(s, err);
}

enum status
joiner_check(const msgpack_object *track, struct err *err)
{
    struct str id;
    bool cold;

    if (map_id(&id, track, "track_id", err) != OK)
        return err->status;
    return map_has(track, "cold") ? map_bool(&cold, track, "cold", err) : OK;
}

enum status
joiner_write(struct rec_writer *w, struct joiner *j, const msgpack_object *track, struct err *err)
{
    struct str id;
    bool cold = false;

    if (map_id(&id, track, "track_id", err) != OK)
        return err->status;
    rec_begin(w);
    put_str(w, "track_id", id);
    if (map_has(track, "cold") && map_bool(&cold, track, "cold", err) == OK)
        put_bool(w, "cold", cold);
    for (int m = 0; m < MODALITIES; m++)
        for (size_t i = 0; i < j->n; i++)
            if (j->side[i].m == m) {
                if (put_side(w, &j->side[i], id, j->hold, err) != OK)
                    return err->status;
                break;
            }
    return rec_end(w, err);
}

enum status
joiner_end(uint64_t *left_over, struct joiner *j, struct err *err)
{
    struct str id;

    *left_over = 0;
    for (size_t i = 0; i < j->n; i++) {
        struct side *s = &j->side[i];
        for (uint32_t t = 0; j->hold && t < ids_count(s->ids); t++)
            *left_over += !s->used[t];
        if (s->next == NULL)
            continue;
        if (map_id(&id, &s->next->map, "track_id", err) == OK)
            (void)err_set(err, DATA,
                "track_id: \"%.*s\" is no track, or not in the order of the tracks (--hold takes any order)",
                id.n > 80 ? 80 : (int)id.n, id.p);
        return rec_context(err, s->next);
    }
    return OK;
}
