/* SPDX-License-Identifier: Apache-2.0 */
/*
 * points - vectors of one modality gathered from embedding or joined records.
 * Memory: the vectors, up to one and a half times while the table grows.
 */
#include <stdlib.h>

#include "music/music.h"

enum status
points_key(const char **key, const msgpack_object *map, enum modality m, struct err *err)
{
    struct str name;
    int found;

    *key = NULL;
    if (map_has(map, "modality")) {
        if (map_str(&name, map, "modality", err) != OK)
            return err->status;
        if ((found = modality_find(name)) < 0)
            return err_set(err, DATA, "modality: expected playlist, semantic, metadata, lyrics or audio, got \"%.*s\"",
                name.n > 40 ? 40 : (int)name.n, name.p);
        *key = found == (int)m ? "vector" : NULL;
    } else if (map_has(map, modality_name[m]))
        *key = modality_name[m];
    return OK;
}

enum status
points_vector(float *out, size_t n, const msgpack_object *map, const char *key, struct err *err)
{
    enum status st = map_vector(out, n, map, key, err);

    if (st == OK && vec_norm(out, n) > POINTS_LONGEST)
        st = err_set(err, DATA, "%s: too long: squares of distances do not fit float32", key);
    return st;
}

enum status
points_add(struct points *p, const msgpack_object *map, const char *key, struct err *err)
{
    size_t dim;

    if (map_vector_size(&dim, map, key, err) != OK)
        return err->status;
    if (dim == 0)
        return err_set(err, DATA, "%s: expected at least 1 number, got 0", key);
    if (p->dim == 0)
        p->dim = dim;
    if (p->n == p->cap) {
        size_t cap = p->cap + p->cap / 2 + 1024, bytes;
        float *v;
        if (!size_mul(&bytes, cap, p->dim) || !size_mul(&bytes, bytes, sizeof(*v)) ||
            (v = realloc(p->v, bytes)) == NULL)
            return err_memory(err);
        p->v = v;
        p->cap = cap;
    }
    if (map_vector(p->v + p->n * p->dim, p->dim, map, key, err) != OK)
        return err->status;
    p->n++;
    return OK;
}

void
points_free(struct points *p)
{
    free(p->v);
    *p = (struct points){0};
}
