/* SPDX-License-Identifier: Apache-2.0 */
/*
 * join - embeddings of several modalities to their tracks, in any order of either.
 *
 * A first pass over each embedding file notes where the record of each track begins: a table from the hash of a
 * track_id to one position a file, open addressing, at most two thirds full. Then the tracks come by, each once, and
 * its vectors are fetched by position. Where both have one order, which is usual, that is reading on in large pieces.
 * No id is kept: that of a fetched record is compared with the track's, so two ids of one hash are found out, and
 * refused, as is a file that has changed since.
 *
 * Memory: 8 bytes and 8 more a file, for each distinct track of them all, times 1.5 to 3; nothing for the vectors. With
 * hold they are kept in memory instead of being fetched: for inputs that cannot be read by position.
 */
#include <stdlib.h>
#include <string.h>

#include "music/join.h"

#define FIRST_SLOTS ((size_t)1024)
#define SEEN ((uint64_t)1)
#define HASH_SEED 0x6a6f696eU

/*
 * A slot is 1 + n numbers: the hash of the id, its lowest bit for whether the track has come by, and for each file
 * where its record begins, plus 1; 0 for none. Of positions the highest bit tells whether it has been used.
 */
#define USED ((uint64_t)1 << 63)

struct joiner {
    struct side side[MODALITIES];
    size_t n;
    bool hold;
    uint64_t *slot;
    size_t slots, used; /* a power of two; those that are taken */
    uint64_t twice;
    void (*bad)(void *arg, const struct rec *rec, const struct err *err);
    void *arg;
};

/* ---- the table ---- */

static uint64_t
hash_of(struct str id)
{
    uint64_t h = hash64(HASH_SEED, id.p, id.n) & ~SEEN;

    return h == 0 ? ~SEEN : h; /* 0 is a free slot */
}

/* The slot of a hash, or the free one where it would go. */
static uint64_t *
find(const struct joiner *j, uint64_t hash)
{
    size_t each = 1 + j->n, i = (size_t)(hash >> 1) & (j->slots - 1);

    while (j->slot[i * each] != 0 && (j->slot[i * each] & ~SEEN) != hash)
        i = (i + 1) & (j->slots - 1);
    return j->slot + i * each;
}

static enum status
grow(struct joiner *j, struct err *err)
{
    size_t each = 1 + j->n, old = j->slots, bytes;
    uint64_t *from = j->slot;

    j->slots = old == 0 ? FIRST_SLOTS : 2 * old;
    if (!size_mul(&bytes, j->slots, each * sizeof(*from)) ||
        (j->slot = calloc(j->slots, each * sizeof(*from))) == NULL) {
        j->slot = from;
        j->slots = old;
        return err_memory(err);
    }
    for (size_t i = 0; i < old; i++)
        if (from[i * each] != 0)
            memcpy(find(j, from[i * each] & ~SEEN), from + i * each, each * sizeof(*from));
    free(from);
    return OK;
}

/* The slot of an id, taken if it was free. */
static enum status
slot_of(uint64_t **slot, struct joiner *j, struct str id, struct err *err)
{
    uint64_t hash = hash_of(id);

    if (j->used >= j->slots / 3 * 2 && grow(j, err) != OK)
        return SYSTEM;
    *slot = find(j, hash);
    if (**slot == 0) {
        **slot = hash;
        j->used++;
    }
    return OK;
}

/* ---- the first pass ---- */

struct indexer {
    struct joiner *j;
    size_t at; /* of the file among those of j */
};

/* An embedding whose slot has one already: the same track again, or another of the same hash. */
static enum status
comes_again(struct joiner *j, struct side *s, uint64_t at, struct str id, struct err *err)
{
    struct str first;
    const float *v;

    if (j->hold)
        s->points.n--;
    else if (side_fetch(&first, &v, s, at, err) != OK)
        return err->status;
    else if (!str_eq(first, id))
        return err_set(err, DATA, "track_id: \"%.*s\" and \"%.*s\" have one hash: they cannot be told apart",
            first.n > 80 ? 80 : (int)first.n, first.p, id.n > 80 ? 80 : (int)id.n, id.p);
    j->twice++;
    return err_set(err, DATA, "track_id: \"%.*s\" comes twice", id.n > 80 ? 80 : (int)id.n, id.p);
}

static enum status
add_embedding(struct joiner *j, size_t at, const struct rec *rec, struct err *err)
{
    struct side *s = &j->side[at];
    struct str id;
    uint64_t *slot;

    if (side_check(s, rec, &id, err) != OK || slot_of(&slot, j, id, err) != OK)
        return err->status;
    if (slot[1 + at] != 0)
        return comes_again(j, s, slot[1 + at] - 1, id, err);
    slot[1 + at] = 1 + (j->hold ? s->points.n - 1 : rec->offset);
    return OK;
}

static enum status
index_record(void *arg, const struct rec *rec, struct err *err)
{
    const struct indexer *x = arg;
    enum status st = add_embedding(x->j, x->at, rec, err);

    if (st != DATA || x->j->bad == NULL)
        return st;
    x->j->bad(x->j->arg, rec, err);
    return OK;
}

static enum status
add_side(struct joiner *j, size_t at, const char *path, struct err *err)
{
    struct indexer x = {j, at};
    struct side *s = &j->side[at];
    enum status st = side_open(s, path, j->hold, err);

    if (st == OK)
        st = rec_each(path, index_record, &x, err);
    for (size_t i = 0; i < at && st == OK; i++)
        if (s->m >= 0 && j->side[i].m == s->m)
            st = err_set(err, DATA, "%s and %s are both of modality %s", j->side[i].path, path, modality_name[s->m]);
    return st;
}

enum status
joiner_new(struct joiner **out, const char *const *paths, size_t n, bool hold,
    void (*bad)(void *arg, const struct rec *rec, const struct err *err), void *arg, struct err *err)
{
    struct joiner *j = calloc(1, sizeof(*j));
    enum status st = OK;

    *out = NULL;
    if (j == NULL)
        return err_memory(err);
    *j = (struct joiner){.n = n, .hold = hold, .bad = bad, .arg = arg};
    for (size_t i = 0; i < MODALITIES; i++)
        j->side[i].fd = -1;
    if (n > MODALITIES) {
        j->n = 0;
        st = err_set(err, USAGE, "expected at most %d embedding files, got %zu", MODALITIES, n);
    }
    if (st == OK)
        st = grow(j, err);
    for (size_t i = 0; i < n && st == OK; i++)
        st = add_side(j, i, paths[i], err);
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
    for (size_t i = 0; i < MODALITIES; i++)
        side_close(&j->side[i]);
    free(j->slot);
    free(j);
}

/* ---- the tracks ---- */

enum status
joiner_check(struct joiner *j, const msgpack_object *track, struct err *err)
{
    struct str id;
    uint64_t *slot;
    bool cold;

    if (map_id(&id, track, "track_id", err) != OK)
        return err->status;
    if (map_has(track, "cold") && map_bool(&cold, track, "cold", err) != OK)
        return err->status;
    if (slot_of(&slot, j, id, err) != OK)
        return SYSTEM;
    if ((*slot & SEEN) != 0)
        return err_set(err, DATA, "track_id: \"%.*s\" comes twice", id.n > 80 ? 80 : (int)id.n, id.p);
    *slot |= SEEN;
    return OK;
}

/* Puts the vector that file i has for the track. */
static enum status
put_side(struct rec_writer *w, struct joiner *j, size_t i, struct str id, uint64_t *slot, struct err *err)
{
    struct side *s = &j->side[i];
    const float *v;
    struct str found;
    enum status st;

    if (slot[1 + i] == 0)
        return OK;
    slot[1 + i] |= USED;
    if (j->hold)
        v = s->points.v + (size_t)((slot[1 + i] & ~USED) - 1) * s->points.dim;
    else if ((st = side_fetch(&found, &v, s, (slot[1 + i] & ~USED) - 1, err)) != OK)
        return st;
    else if (!str_eq(found, id))
        return err_set(err, DATA, "%s: track_id: expected \"%.*s\", found \"%.*s\", which has the same hash", s->path,
            id.n > 80 ? 80 : (int)id.n, id.p, found.n > 80 ? 80 : (int)found.n, found.p);
    put_vector(w, modality_name[s->m], v, s->points.dim);
    return OK;
}

enum status
joiner_write(struct rec_writer *w, struct joiner *j, const msgpack_object *track, struct err *err)
{
    struct str id;
    uint64_t *slot;
    bool cold = false;

    if (map_id(&id, track, "track_id", err) != OK)
        return err->status;
    slot = find(j, hash_of(id));
    rec_begin(w);
    put_str(w, "track_id", id);
    if (map_has(track, "cold") && map_bool(&cold, track, "cold", err) == OK)
        put_bool(w, "cold", cold);
    for (int m = 0; m < MODALITIES; m++)
        for (size_t i = 0; i < j->n; i++)
            if (j->side[i].m == m && put_side(w, j, i, id, slot, err) != OK)
                return err->status;
    return rec_end(w, err);
}

uint64_t
joiner_twice(const struct joiner *j)
{
    return j->twice;
}

uint64_t
joiner_left_over(const struct joiner *j)
{
    uint64_t left = 0;

    for (size_t i = 0; i < j->slots; i++)
        for (size_t s = 1; s <= j->n; s++) {
            uint64_t at = j->slot[i * (1 + j->n) + s];
            left += at != 0 && (at & USED) == 0;
        }
    return left;
}

static int
ascending(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* Writes those of file i in its order. */
static enum status
write_left(struct rec_writer *w, struct joiner *j, size_t i, struct err *err)
{
    size_t n = 0, each = 1 + j->n;
    uint64_t *at = calloc(j->used + 1, sizeof(*at));
    enum status st = at == NULL ? err_memory(err) : OK;

    for (size_t k = 0; k < j->slots && st == OK; k++)
        if (j->slot[k * each + 1 + i] != 0 && (j->slot[k * each + 1 + i] & USED) == 0)
            at[n++] = j->slot[k * each + 1 + i] - 1;
    if (st == OK && n > 0)
        qsort(at, n, sizeof(*at), ascending);
    for (size_t k = 0; k < n && st == OK; k++) {
        struct str id;
        const float *v;
        if ((st = side_fetch(&id, &v, &j->side[i], at[k], err)) != OK)
            break;
        rec_begin(w);
        put_str(w, "track_id", id);
        put_text(w, "modality", modality_name[j->side[i].m]);
        put_vector(w, "vector", v, j->side[i].points.dim);
        st = rec_end(w, err);
    }
    free(at);
    return st;
}

enum status
joiner_write_left(struct rec_writer *w, struct joiner *j, struct err *err)
{
    enum status st = OK;

    for (size_t i = 0; i < j->n && st == OK; i++)
        st = write_left(w, j, i, err);
    return st;
}
