/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codebook - centroid records into tables of vectors, one a modality.
 *
 * Records may come in any order and from several files: they are put where their index says, and what is missing or
 * comes twice is an error. Memory: the vectors once, twice while a table grows. Linear time.
 */
#include <stdlib.h>
#include <string.h>

#include "music/music.h"

/* A table that grows; seen tells which rows are filled. */
struct table {
    size_t cap;
    bool *seen;
};

struct loader {
    struct codebooks *books;
    struct table table[MODALITIES];
};

/* Room for index + 1 rows. On failure what is there stays valid. */
static enum status
grow(struct loader *l, int m, size_t index, struct err *err)
{
    struct codebooks *b = l->books;
    struct table *t = &l->table[m];
    size_t cap = t->cap == 0 ? 256 : t->cap, bytes;
    void *p;

    while (cap <= index)
        cap *= 2;
    if (cap == t->cap)
        return OK;
    if (!size_mul(&bytes, cap, b->dim[m]) || !size_mul(&bytes, bytes, sizeof(float)))
        return err_memory(err);
    if ((p = realloc(b->v[m], bytes)) == NULL)
        return err_memory(err);
    b->v[m] = p;
    if ((p = realloc(b->count[m], cap * sizeof(*b->count[m]))) == NULL)
        return err_memory(err);
    b->count[m] = p;
    if ((p = realloc(t->seen, cap * sizeof(*t->seen))) == NULL)
        return err_memory(err);
    t->seen = p;
    memset(t->seen + t->cap, 0, (cap - t->cap) * sizeof(*t->seen));
    t->cap = cap;
    return OK;
}

static enum status
add_centroid(void *arg, const struct rec *rec, struct err *err)
{
    struct loader *l = arg;
    struct codebooks *b = l->books;
    struct str name;
    uint64_t index, count = 0;
    size_t dim;
    int m;

    if (map_str(&name, &rec->map, "modality", err) != OK)
        return err->status;
    if ((m = modality_find(name)) < 0)
        return err_set(err, DATA, "modality: expected playlist, semantic, metadata, lyrics or audio, got \"%.*s\"",
            name.n > 40 ? 40 : (int)name.n, name.p);
    if (map_u64(&index, &rec->map, "index", CODE_MAX, err) != OK ||
        map_vector_size(&dim, &rec->map, "vector", err) != OK)
        return err->status;
    if (map_has(&rec->map, "count") && map_u64(&count, &rec->map, "count", UINT64_MAX, err) != OK)
        return err->status;
    if (dim == 0 || (b->dim[m] != 0 && dim != b->dim[m]))
        return err_set(err, DATA, "vector: expected %zu numbers, got %zu", b->dim[m] == 0 ? 1 : b->dim[m], dim);
    b->dim[m] = dim;
    if (grow(l, m, (size_t)index, err) != OK)
        return err->status;
    if (l->table[m].seen[index])
        return err_set(err, DATA, "index: %s %llu comes twice", modality_name[m], (unsigned long long)index);
    if (points_vector(b->v[m] + (size_t)index * dim, dim, &rec->map, "vector", err) != OK)
        return err->status;
    b->count[m][index] = count;
    l->table[m].seen[index] = true;
    b->k[m] = index + 1 > b->k[m] ? (size_t)index + 1 : b->k[m];
    return OK;
}

/* Every index below the largest must be there. */
static enum status
check_whole(const struct loader *l, struct err *err)
{
    for (int m = 0; m < MODALITIES; m++)
        for (size_t i = 0; i < l->books->k[m]; i++)
            if (!l->table[m].seen[i])
                return err_set(err, DATA, "index: %s %zu is missing of %zu", modality_name[m], i, l->books->k[m]);
    return OK;
}

enum status
codebooks_load(struct codebooks **out, const char *const *paths, size_t n, struct err *err)
{
    struct loader l = {.books = calloc(1, sizeof(struct codebooks))};
    enum status st = OK;

    *out = NULL;
    if (l.books == NULL)
        return err_memory(err);
    for (size_t i = 0; i < n && st == OK; i++)
        st = rec_each(paths[i], add_centroid, &l, err);
    if (st == OK && (st = check_whole(&l, err)) != OK && n > 0)
        st = err_context(err, "%s", paths[0]);
    for (int m = 0; m < MODALITIES; m++)
        free(l.table[m].seen);
    if (st == OK)
        *out = l.books;
    else
        codebooks_free(l.books);
    return st;
}

void
codebooks_free(struct codebooks *books)
{
    if (books == NULL)
        return;
    for (int m = 0; m < MODALITIES; m++) {
        free(books->v[m]);
        free(books->count[m]);
    }
    free(books);
}
