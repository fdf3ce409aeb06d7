/* SPDX-License-Identifier: Apache-2.0 */
/*
 * item2vec - vectors of tracks from the playlists that hold them: what is read, and what is counted before training
 * (skipgram.c, which has the method).
 *
 * Memory: 4 bytes an entry of a playlist, 8 dim + 28 bytes a track and its id, and the work of a block.
 */
#include <math.h>
#include <stdlib.h>

#include "music/item2vec.h"

#define POWER 0.75

/* ---- reading ---- */

enum status
item2vec_new(struct item2vec **out, const struct item2vec_options *o, struct err *err)
{
    struct item2vec *iv = calloc(1, sizeof(*iv));

    *out = NULL;
    if (iv == NULL)
        return err_memory(err);
    iv->o = *o;
    if (ids_new(&iv->ids, err) != OK) {
        free(iv);
        return SYSTEM;
    }
    *out = iv;
    return OK;
}

void
item2vec_free(struct item2vec *iv)
{
    if (iv == NULL)
        return;
    ids_free(iv->ids);
    free(iv->entry);
    free(iv->list);
    free(iv->count);
    for (int side = 0; side < 2; side++) {
        free(iv->vec[side]);
        free(iv->square[side]);
    }
    free(iv->cumulative);
    free(iv->guide);
    free(iv->seen);
    free(iv);
}

/* Room for more entries and one more list. */
static enum status
reserve(struct item2vec *iv, size_t more, struct err *err)
{
    void *p;

    if (iv->n_entries + more > iv->cap_entries) {
        size_t cap = (iv->n_entries + more) + (iv->n_entries + more) / 2 + 4096;
        if ((p = realloc(iv->entry, cap * sizeof(*iv->entry))) == NULL)
            return err_memory(err);
        iv->entry = p;
        iv->cap_entries = cap;
    }
    if (iv->n_lists == iv->cap_lists) {
        size_t cap = iv->cap_lists + iv->cap_lists / 2 + 1024;
        if ((p = realloc(iv->list, cap * sizeof(*iv->list))) == NULL)
            return err_memory(err);
        iv->list = p;
        iv->cap_lists = cap;
    }
    return OK;
}

static int
compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/*
 * Of n tracks each once, as many as it returns; SIZE_MAX without memory. Within a window their order counts; where the
 * whole playlist is the context they are sorted, which spares a number a track.
 */
static size_t
each_once(struct item2vec *iv, uint32_t *entry, size_t n, struct err *err)
{
    size_t kept = 0;

    if (iv->o.window == 0 && n > 1)
        qsort(entry, n, sizeof(*entry), compare_u32);
    if (iv->o.window > 0 && ids_count(iv->ids) > iv->cap_seen) {
        size_t cap = (size_t)ids_count(iv->ids) * 2 + 1024;
        uint64_t *p = realloc(iv->seen, cap * sizeof(*p));
        if (p == NULL) {
            (void)err_memory(err);
            return SIZE_MAX;
        }
        memset(p + iv->cap_seen, 0, (cap - iv->cap_seen) * sizeof(*p));
        iv->seen = p;
        iv->cap_seen = cap;
    }
    iv->added++;
    for (size_t i = 0; i < n; i++) {
        bool again = iv->o.window == 0 ? kept > 0 && entry[i] == entry[kept - 1] : iv->seen[entry[i]] == iv->added;
        if (iv->o.window > 0)
            iv->seen[entry[i]] = iv->added;
        if (!again)
            entry[kept++] = entry[i];
    }
    return kept;
}

enum status
item2vec_add(struct item2vec *iv, const msgpack_object *playlist, struct err *err)
{
    const msgpack_object *tracks;
    uint32_t *entry;
    struct str id;
    size_t n;

    if (map_id(&id, playlist, "playlist_id", err) != OK || map_array(&tracks, playlist, "tracks", err) != OK)
        return err->status;
    /* Nothing is added before all of it has been checked. */
    for (uint32_t i = 0; i < tracks->via.array.size; i++) {
        struct str s;
        if (obj_str(&s, &tracks->via.array.ptr[i], "tracks", err) != OK)
            return err->status;
        if (s.n == 0)
            return err_set(err, DATA, "tracks: expected ids, got an empty string");
    }
    if (reserve(iv, tracks->via.array.size, err) != OK)
        return err->status;
    entry = iv->entry + iv->n_entries;
    for (uint32_t from = 0, some; from < tracks->via.array.size; from += some) {
        struct str s[IDS_TOGETHER];

        some = tracks->via.array.size - from < IDS_TOGETHER ? tracks->via.array.size - from : IDS_TOGETHER;
        for (uint32_t i = 0; i < some; i++) /* which was checked above */
            (void)obj_str(&s[i], &tracks->via.array.ptr[from + i], "tracks", err);
        if (ids_add_many(entry + from, iv->ids, s, some, err) != OK)
            return err->status;
    }
    if ((n = each_once(iv, entry, tracks->via.array.size, err)) == SIZE_MAX)
        return SYSTEM;
    iv->list[iv->n_lists++] = (struct list){iv->n_entries, n, hash64(iv->o.seed, id.p, id.n)};
    iv->n_entries += n;
    return OK;
}

/* ---- preparation ---- */

/* Drops rare tracks, then playlists of fewer than two; counts what is left. */
static void
prune(struct item2vec *iv)
{
    size_t lists = 0;

    for (size_t i = 0; i < iv->n_entries; i++)
        iv->count[iv->entry[i]]++;
    for (size_t l = 0; l < iv->n_lists; l++) {
        struct list *list = &iv->list[l];
        size_t n = 0;

        for (size_t i = 0; i < list->n; i++)
            if (iv->count[iv->entry[list->at + i]] >= iv->o.min_count)
                iv->entry[list->at + n++] = iv->entry[list->at + i];
        list->n = n;
        if (n >= 2)
            iv->list[lists++] = *list;
    }
    iv->n_lists = lists;
    memset(iv->count, 0, iv->tracks * sizeof(*iv->count));
    for (size_t l = 0; l < lists; l++)
        for (size_t i = 0; i < iv->list[l].n; i++)
            iv->count[iv->entry[iv->list[l].at + i]]++;
}

/* Where the first sum above k / GUIDE of the whole is: a draw looks only between two of them. */
static void
guide_draws(struct item2vec *iv)
{
    uint32_t t = 0;

    for (size_t k = 0; k <= GUIDE; k++) {
        double at = (double)k / GUIDE * iv->cumulative[iv->tracks - 1];
        while (t + 1 < iv->tracks && iv->cumulative[t] <= at)
            t++;
        iv->guide[k] = t;
    }
}

enum status
item2vec_prepare(struct item2vec *iv, struct err *err)
{
    struct rng rng = rng_seed(iv->o.seed, ITEM2VEC_INIT);
    size_t n = iv->tracks = ids_count(iv->ids), floats;
    double sum = 0;

    if (!size_mul(&floats, n, iv->o.dim))
        return err_memory(err);
    iv->count = calloc(n + 1, sizeof(*iv->count));
    iv->cumulative = calloc(n + 1, sizeof(*iv->cumulative));
    iv->guide = calloc(GUIDE + 1, sizeof(*iv->guide));
    for (int side = 0; side < 2; side++) {
        iv->vec[side] = calloc(floats + 1, sizeof(float)); /* a row's numbers are met at random: large pages */
        iv->square[side] = calloc(n + 1, sizeof(float));
        if (iv->vec[side] == NULL || iv->square[side] == NULL)
            return err_memory(err);
        num_large_pages(iv->vec[side], floats * sizeof(float));
    }
    if (iv->count == NULL || iv->cumulative == NULL || iv->guide == NULL)
        return err_memory(err);
    prune(iv);
    for (size_t i = 0; i < n; i++)
        iv->cumulative[i] = sum += iv->count[i] > 0 ? pow((double)iv->count[i], POWER) : 0;
    if (n > 0)
        guide_draws(iv);
    for (size_t i = 0; i < floats; i++)
        iv->vec[0][i] = (float)((rng_unit(&rng) - 0.5) / (double)iv->o.dim);
    return OK;
}

const struct ids *
item2vec_ids(const struct item2vec *iv)
{
    return iv->ids;
}

const float *
item2vec_vector(const struct item2vec *iv, uint32_t track)
{
    return track < iv->tracks && iv->count[track] > 0 ? iv->vec[0] + track * iv->o.dim : NULL;
}
