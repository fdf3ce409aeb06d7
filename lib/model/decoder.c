/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model made ready for decoding: its matrices packed (num/pack.c) from where they lie, which for a folder is the
 * mapped file: one pass over it by all threads, and its pages go as soon as a matrix is packed. Only the embedding
 * stays where it is; of that, rows are read.
 *
 * Weights that are stored as bfloat16 are kept so also where float32 is asked for, which loses nothing (PACK_WIDE).
 */
#include <stdlib.h>
#include <string.h>

#include "model/decode.h"

/* The tensors in the order of params_list, and where the packed ones go. */
struct packer {
    struct decoder *d;
    const struct weights *w; /* NULL: of a model in memory */
    struct weight *tensor;
    enum packing packing;
    unsigned char *memory; /* NULL: sizes are added up alone */
    size_t bytes, next;    /* next: of the tensors */
    bool overflow;
    float *buffer; /* for what packed_put does not read */
    struct err *err;
    enum status st;
};

static size_t
columns(const struct weight *t)
{
    return t->dims < 2 ? 1 : t->dim[1];
}

/* How a matrix of n tensors is kept: as float32 has it where all are bfloat16 is as good as float32. */
static enum packing
packing_of(const struct packer *r, const struct weight *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (r->packing != PACK_F32 || t[i].dtype != DTYPE_BF16)
            return r->packing;
    return PACK_WIDE;
}

#define PIECE ((size_t)1 << 20) /* numbers of float16 that are converted at a time, about */

/* A tensor of float16: by way of float32. */
static bool
put_converted(struct packed *out, struct packer *r, size_t j, const struct weight *t)
{
    size_t cols = columns(t), step = PIECE / cols + 1, size = dtype_size(t->dtype);
    bool finite = true;

    if (r->buffer == NULL && (r->buffer = malloc((PIECE + MODEL_MAX_F + MODEL_MAX_D) * sizeof(float))) == NULL) {
        r->st = err_memory(r->err);
        return false;
    }
    for (size_t i = 0; i < t->dim[0]; i += step) {
        size_t n = t->dim[0] - i < step ? t->dim[0] - i : step;

        (void)dtype_to_f32(r->buffer, t->p + i * cols * size, n * cols, t->dtype);
        finite = packed_put(out, j + i, n, (struct packed_source){r->buffer, false}) && finite;
    }
    return finite;
}

/* The next n tensors, of equal columns, as one matrix of their rows. */
static void
pack(struct packed *out, struct packer *r, size_t n)
{
    struct weight *t = r->tensor + r->next;
    enum packing kind = packing_of(r, t, n);
    size_t size = 0, rows = 0, j = 0;

    r->next += n;
    for (size_t i = 0; i < n; i++)
        rows += t[i].dim[0];
    if (!packed_size(&size, kind, rows, columns(t)) || size > SIZE_MAX / 2 - r->bytes)
        r->overflow = true;
    else if (r->memory != NULL) {
        packed_init(out, r->memory + r->bytes, kind, rows, columns(t));
        for (size_t i = 0; i < n && r->st == OK; j += t[i++].dim[0]) {
            bool half = t[i].dtype == DTYPE_BF16;
            bool finite = half || t[i].dtype == DTYPE_F32
                              ? packed_put(out, j, t[i].dim[0], (struct packed_source){t[i].p, half})
                              : put_converted(out, r, j, &t[i]);

            if (r->w == NULL || r->st != OK)
                continue;
            if (!finite)
                r->st = weights_check(r->w, &t[i], r->err);
            weight_drop(&t[i]);
        }
    }
    r->bytes += r->overflow ? 0 : size;
}

/* The next tensor as a vector of float32. */
static void
pack_vector(float **out, struct packer *r)
{
    const struct weight *t = r->tensor + r->next++;
    size_t bytes = t->count * sizeof(float);

    bytes = (bytes + 63) / 64 * 64;
    if (r->memory != NULL) {
        *out = (float *)(void *)(r->memory + r->bytes);
        if (dtype_to_f32(*out, t->p, t->count, t->dtype) < t->count && r->w != NULL && r->st == OK)
            r->st = weights_check(r->w, t, r->err);
    }
    r->bytes += bytes;
}

/* Walks all tensors: once to add up, once to pack. */
static void
pack_all(struct packer *r)
{
    struct decoder *d = r->d;

    r->bytes = 0;
    d->embed = r->tensor[0];
    r->next = 1;
    for (size_t l = 0; l < d->config.L; l++) {
        struct packed_layer *o = &d->layer[l];

        pack_vector(&o->attn_norm, r);
        pack(&o->qkv, r, 3);
        pack(&o->wo, r, 1);
        pack_vector(&o->ffn_norm, r);
        pack(&o->gate_up, r, 2);
        pack(&o->down, r, 1);
    }
    pack_vector(&d->norm, r);
    if (d->config.tied)
        r->next = 0;
    else if (r->memory != NULL && r->w != NULL && r->st == OK)
        r->st = weights_check(r->w, &d->embed, r->err);
    pack(&d->head, r, 1);
}

static enum status
pack_model(struct packer *r)
{
    struct decoder *d = r->d;

    if ((d->layer = calloc(d->config.L, sizeof *d->layer)) == NULL)
        return err_memory(r->err);
    pack_all(r);
    if (r->overflow || (r->memory = d->block = aligned_alloc(64, r->bytes)) == NULL)
        return err_memory(r->err);
    num_large_pages(d->block, r->bytes);
    pack_all(r);
    return r->st;
}

/* Where the tensors lie: in the file, or in memory. */
static enum status
find_tensors(struct packer *r, const struct params *p, struct err *err)
{
    struct tensor *list = NULL;
    size_t n;
    enum status st = params_list(&list, &n, &r->d->config, err);

    if (st == OK && (r->tensor = calloc(n, sizeof *r->tensor)) == NULL)
        st = err_memory(err);
    for (size_t i = 0; st == OK && i < n; i++) {
        const struct tensor *t = &list[i];
        const struct weight *found;

        if (p != NULL)
            r->tensor[i] = (struct weight){.dtype = DTYPE_F32,
                .dims = t->cols == 0 ? 1 : 2,
                .dim = {t->rows, t->cols},
                .count = t->count,
                .p = (const unsigned char *)p->tensor[i].p};
        else if ((st = weights_get(&found, r->w, t->name, t->rows, t->cols, err)) == OK)
            r->tensor[i] = *found;
    }
    free(list);
    return st;
}

static enum status
make(struct decoder **out, const struct model_config *c, const struct params *p, const struct weights *w,
    enum packing packing, struct err *err)
{
    struct decoder *d = calloc(1, sizeof *d);
    struct packer r = {.d = d, .w = w, .packing = packing, .err = err};
    enum status st;

    *out = NULL;
    if (d == NULL)
        return err_memory(err);
    d->config = *c;
    d->half = packing == PACK_BF16;
    d->P = (c->E + VECTOR - 1) / VECTOR * VECTOR;
    if ((st = find_tensors(&r, p, err)) == OK)
        st = pack_model(&r);
    free(r.tensor);
    free(r.buffer);
    if (st != OK) {
        decoder_free(d);
        return st;
    }
    *out = d;
    return OK;
}

enum status
decoder_new(struct decoder **out, const struct model *m, enum packing packing, struct err *err)
{
    return make(out, &m->config, m->params, NULL, packing, err);
}

enum status
decoder_open(
    struct decoder **out, const struct model_config *c, const struct weights *w, enum packing packing, struct err *err)
{
    return make(out, c, NULL, w, packing, err);
}

void
decoder_free(struct decoder *d)
{
    if (d == NULL)
        return;
    prefixes_fini(d);
    free(d->layer);
    free(d->block);
    free(d->cos);
    free(d->sin);
    free(d);
}
