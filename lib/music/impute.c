/* SPDX-License-Identifier: Apache-2.0 */
/*
 * impute - the training tracks that missing codes are imputed from: their codes, and their vectors packed for products
 * (packed.c). The search is in imputesearch.c.
 *
 * All vectors of a track lie behind each other, each scaled to length 1, zeros where it has none: the product of two
 * such rows is the sum of the cosines. Tracks are staged, so that their codes and panels are made by many at once.
 * Memory: 4 or 2 bytes a number of the training tracks, and 36 bytes a track.
 */
#include "impute.h"

#include <stdlib.h>
#include <string.h>

#define STAGE ((size_t)1024)

static size_t
up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

void
imputer_join(float *out, const struct imputer *im, const float *const *X, size_t i, unsigned has)
{
    for (int m = 0; m < MODALITIES; m++) {
        size_t dim = im->books->dim[m];
        float *v = out + im->at[m];

        if ((has >> m & 1U) == 0) {
            memset(v, 0, dim * sizeof(*v));
            continue;
        }
        memcpy(v, X[m] + i * dim, dim * sizeof(*v));
        (void)vec_unit(v, dim); /* without a direction it is like nothing */
    }
}

/* Room for the staged tracks. */
static enum status
grow(struct imputer *im, struct err *err)
{
    size_t cap = (size_t)im->cap + im->cap / 2 + 4 * STAGE, panels = cap / im->panel + 2;
    void *p;

    if (cap > UINT32_MAX)
        return err_set(err, SYSTEM, "more than %u training tracks", UINT32_MAX / 2);
    if ((p = realloc(im->track, cap * sizeof(*im->track))) == NULL)
        return err_memory(err);
    im->track = p;
    if ((p = realloc(im->packed, panels * sizeof(*im->packed))) == NULL)
        return err_memory(err);
    im->packed = p;
    im->cap = (uint32_t)cap;
    return OK;
}

/* The staged tracks: their codes, then their vectors into panels. All panels but the last are whole. */
static enum status
flush(struct imputer *im, struct err *err)
{
    struct trained *track = im->track + im->n;
    size_t panels = up(im->staged, im->panel) / im->panel;

    for (int m = 0; m < MODALITIES; m++) {
        if (im->assigner[m] != NULL)
            assigner_look(im->code, im->assigner[m], im->stage[m], im->staged);
        for (size_t i = 0; i < im->staged; i++)
            track[i].codes.code[m] = (track[i].has >> m & 1U) != 0 ? im->code[i] : CODE_NONE;
    }
    for (size_t i = 0; i < im->staged; i++)
        imputer_join(im->unit + i * im->dim, im, (const float *const *)im->stage, i, track[i].has);
    for (size_t q = 0; q < panels; q++) {
        if ((im->packed[im->n_packed] = aligned_alloc(64, im->panel_bytes)) == NULL)
            return err_memory(err);
        im->n_packed++;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads())
    for (size_t q = 0; q < panels; q++) {
        size_t from = q * im->panel, n = im->staged - from < im->panel ? im->staged - from : im->panel;
        struct packed p;

        packed_init(&p, im->packed[im->n_packed - panels + q], im->kind, n, im->dim);
        (void)packed_put(&p, 0, n, (struct packed_source){im->unit + from * im->dim, false});
    }
    im->n += (uint32_t)im->staged;
    im->staged = 0;
    return OK;
}

/* A joined record, unless it is cold. */
static enum status
add_track(void *arg, const struct rec *rec, struct err *err)
{
    struct imputer *im = arg;
    struct trained *t;
    bool cold = false;
    struct str id;

    if (map_has(&rec->map, "cold") && map_bool(&cold, &rec->map, "cold", err) != OK)
        return err->status;
    if (cold)
        return OK;
    if (map_id(&id, &rec->map, "track_id", err) != OK)
        return err->status;
    if (im->n + im->staged == im->cap && grow(im, err) != OK)
        return err->status;
    t = &im->track[im->n + im->staged];
    *t = (struct trained){.id = hash64(0, id.p, id.n)};
    for (int m = 0; m < MODALITIES; m++) {
        size_t dim = im->books->dim[m];
        float *v = im->stage[m] + im->staged * dim;

        memset(v, 0, dim * sizeof(*v));
        if (dim == 0 || !map_has(&rec->map, modality_name[m]))
            continue;
        if (points_vector(v, dim, &rec->map, modality_name[m], err) != OK)
            return err->status;
        t->has |= 1U << m;
    }
    if (t->has == 0 || ++im->staged < STAGE)
        return OK;
    return flush(im, err);
}

/* The most frequent code of each modality, the lower one on a tie. */
static enum status
find_common(struct imputer *im, struct err *err)
{
    for (int m = 0; m < MODALITIES; m++) {
        uint32_t *count = calloc(im->books->k[m] + 1, sizeof(*count));

        if (count == NULL)
            return err_memory(err);
        for (uint32_t i = 0; i < im->n; i++)
            if (im->track[i].codes.code[m] != CODE_NONE)
                count[im->track[i].codes.code[m]]++;
        im->common[m] = CODE_NONE;
        for (size_t c = 0; c < im->books->k[m]; c++)
            if (count[c] > (im->common[m] == CODE_NONE ? 0 : count[im->common[m]]))
                im->common[m] = (int32_t)c;
        free(count);
    }
    return OK;
}

/* What is only needed while tracks come in. */
static void
clear_stage(struct imputer *im)
{
    for (int m = 0; m < MODALITIES; m++) {
        assigner_free(im->assigner[m]);
        im->assigner[m] = NULL;
        free(im->stage[m]);
        im->stage[m] = NULL;
    }
    free(im->unit);
    free(im->code);
    im->unit = NULL;
    im->code = NULL;
}

/* How much less than 1 the cosine of two centroids of modality m is in the mean, a number of them. */
static enum status
telling(double *out, const struct codebooks *books, int m, struct err *err)
{
    size_t dim = books->dim[m], k = books->k[m];
    double *sum = calloc(dim + 1, sizeof(*sum)), length2 = 0;
    float *v = calloc(dim + 1, sizeof(*v));

    *out = 0;
    if (sum != NULL && v != NULL) {
        for (size_t c = 0; c < k; c++) {
            memcpy(v, books->v[m] + c * dim, dim * sizeof(*v));
            (void)vec_unit(v, dim);
            for (size_t j = 0; j < dim; j++)
                sum[j] += (double)v[j] / (double)k;
        }
        for (size_t j = 0; j < dim; j++)
            length2 += sum[j] * sum[j];
        *out = dim > 0 ? (1 - length2) / (double)dim : 0;
    }
    free(sum);
    free(v);
    return sum != NULL && v != NULL ? OK : err_memory(err);
}

/* What makes most of the difference for the fewest products comes first. */
static enum status
order_modalities(struct imputer *im, struct err *err)
{
    double tells[MODALITIES];

    for (int m = 0; m < MODALITIES; m++) {
        int at = m;

        if (telling(&tells[m], im->books, m, err) != OK)
            return err->status;
        for (; at > 0 && tells[im->order[at - 1]] < tells[m]; at--)
            im->order[at] = im->order[at - 1];
        im->order[at] = m;
    }
    return OK;
}

static enum status
prepare(struct imputer *im, struct err *err)
{
    if (order_modalities(im, err) != OK)
        return err->status;
    for (int m = 0; m < MODALITIES; m++) {
        im->at[m] = im->dim;
        im->width[m] = up(im->books->dim[m], 2); /* products of bfloat16 go by pairs */
        im->dim += im->width[m];
        if ((im->stage[m] = calloc(STAGE, im->books->dim[m] * sizeof(float) + 1)) == NULL)
            return err_memory(err);
        if (im->books->k[m] > 0 &&
            assigner_new(&im->assigner[m], im->books, (enum modality)m, im->kind == PACK_BF16, err) != OK)
            return err->status;
    }
    im->unit = calloc(STAGE, im->dim * sizeof(*im->unit) + 1);
    im->code = calloc(STAGE, sizeof(*im->code));
    im->panel = packed_panel();
    if (im->unit == NULL || im->code == NULL || !packed_size(&im->panel_bytes, im->kind, im->panel, im->dim))
        return err_memory(err);
    return grow(im, err);
}

enum status
imputer_load(struct imputer **out, const char *path, const struct codebooks *books, bool half, struct err *err)
{
    struct imputer *im = calloc(1, sizeof(*im));
    enum status st;

    *out = NULL;
    if (im == NULL)
        return err_memory(err);
    im->books = books;
    im->kind = half ? PACK_BF16 : PACK_F32;
    if ((st = prepare(im, err)) == OK && (st = rec_each(path, add_track, im, err)) == OK && (st = flush(im, err)) == OK)
        st = find_common(im, err);
    clear_stage(im);
    if (st == OK)
        *out = im;
    else
        imputer_free(im);
    return st;
}

void
imputer_free(struct imputer *im)
{
    if (im == NULL)
        return;
    clear_stage(im);
    for (size_t q = 0; q < im->n_packed; q++)
        free(im->packed[q]);
    free(im->packed);
    free(im->track);
    free(im);
}

uint32_t
imputer_tracks(const struct imputer *im)
{
    return im->n;
}

int32_t
imputer_common(const struct imputer *im, enum modality m)
{
    return im->common[m];
}
