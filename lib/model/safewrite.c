/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors into safetensors files: one, or shards with their index where one would be larger than is wanted. Canonical:
 * tensors in the order given, no holes, the header filled up with blanks to a multiple of 8.
 *
 * Tensors are streamed from where they lie. What has the type of the file already is copied as it is; the rest is
 * converted by all threads, in pieces. Memory: 8 MiB.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model/safetensors.h"

#define CHUNK ((size_t)1 << 20) /* numbers written at a time */
#define PIECE ((size_t)1 << 15) /* numbers that a thread converts at a time */
#define INDEX "model.safetensors.index.json"
#define ONE "model.safetensors"

struct work {
    float *number;      /* (CHUNK) */
    unsigned char *out; /* (CHUNK of 4 bytes) */
};

static uint64_t
bytes_of(const struct saved *t)
{
    return (uint64_t)t->rows * (t->cols > 0 ? t->cols : 1) * dtype_size(t->dtype);
}

static enum status
add_header(struct buf *b, const struct saved *tensor, size_t n, struct err *err)
{
    uint64_t at = 0, length;
    enum status st = buf_printf(b, err, "01234567{\"__metadata__\":{\"format\":\"pt\"}");

    for (size_t i = 0; st == OK && i < n; i++) {
        const struct saved *t = &tensor[i];

        if ((st = buf_adds(b, STR(","), err)) == OK && (st = json_quote(b, str_of(t->name), err)) == OK)
            st = buf_printf(b, err, ":{\"dtype\":\"%s\",\"shape\":[%zu", dtype_name(t->dtype), t->rows);
        if (st == OK && t->cols > 0)
            st = buf_printf(b, err, ",%zu", t->cols);
        if (st == OK)
            st = buf_printf(b, err, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, at + bytes_of(t));
        at += bytes_of(t);
    }
    if (st == OK)
        st = buf_printf(b, err, "}");
    while (st == OK && b->n % 8 != 0)
        st = buf_printf(b, err, " ");
    if (st != OK)
        return st;
    length = b->n - 8;
    for (size_t i = 0; i < 8; i++)
        b->p[i] = (char)(length >> (8 * i) & 0xFFU);
    return OK;
}

/* n numbers of type from at p into w->out as type to; how many came before the first that type cannot hold. */
static size_t
convert(const struct work *w, const unsigned char *p, size_t n, enum dtype from, enum dtype to)
{
    size_t first = n, in = dtype_size(from), out = dtype_size(to);

#pragma omp parallel for schedule(static) num_threads(num_threads_for(n)) reduction(min : first)
    for (size_t i = 0; i < n; i += PIECE) {
        size_t m = n - i < PIECE ? n - i : PIECE, bad;

        (void)dtype_to_f32(w->number + i, p + i * in, m, from);
        bad = dtype_from_f32(w->out + i * out, w->number + i, m, to);
        if (bad < m && i + bad < first)
            first = i + bad;
    }
    return first;
}

static enum status
write_piece(struct rec_writer *out, const struct work *w, const struct piece *p, const struct saved *t, struct err *err)
{
    const unsigned char *from = p->p;
    size_t in = dtype_size(p->dtype), size = dtype_size(t->dtype);
    enum status st = OK;

    for (size_t i = 0; st == OK && i < p->count; i += CHUNK) {
        size_t n = p->count - i < CHUNK ? p->count - i : CHUNK;

        if (p->dtype == t->dtype)
            st = rec_raw(out, from + i * in, n * size, err);
        else if (convert(w, from + i * in, n, p->dtype, t->dtype) < n)
            st = err_set(err, DATA, "tensor %s has a number that is too large for %s", t->name, dtype_name(t->dtype));
        else
            st = rec_raw(out, w->out, n * size, err);
    }
    return st;
}

enum status
safetensors_write(const char *path, const struct saved *tensor, size_t n, struct err *err)
{
    struct work w = {malloc(CHUNK * sizeof *w.number), malloc(CHUNK * sizeof(float))};
    struct rec_writer *out = NULL;
    struct buf header = {0};
    enum status st = OK;

    if (w.number == NULL || w.out == NULL)
        st = err_memory(err);
    if (st == OK && (st = add_header(&header, tensor, n, err)) == OK && (st = rec_create(&out, path, err)) == OK)
        st = rec_raw(out, header.p, header.n, err);
    for (size_t i = 0; st == OK && i < n; i++)
        for (size_t k = 0; st == OK && k < tensor[i].n; k++)
            st = write_piece(out, &w, &tensor[i].piece[k], &tensor[i], err);
    if (st == OK) {
        st = rec_commit(out, err);
        out = NULL;
    }
    rec_discard(out);
    buf_free(&header);
    free(w.number);
    free(w.out);
    return st;
}

/* ---- shards ---- */

/* How many tensors from the first on go into one file: at least one. */
static size_t
fill_shard(const struct saved *t, size_t n, uint64_t shard)
{
    uint64_t sum = 0;
    size_t k = 0;

    while (k < n && (k == 0 || sum + bytes_of(&t[k]) <= shard))
        sum += bytes_of(&t[k++]);
    return k;
}

size_t
weights_shards(const struct saved *t, size_t n, uint64_t shard)
{
    size_t count = 0;

    for (size_t i = 0; i < n; count++)
        i += fill_shard(t + i, n - i, shard);
    return count;
}

void
weights_shard_name(char out[SHARD_NAME], size_t i, size_t n)
{
    if (n == 1)
        (void)snprintf(out, SHARD_NAME, "%s", ONE);
    else
        (void)snprintf(out, SHARD_NAME, "model-%05zu-of-%05zu.safetensors", i + 1, n);
}

static enum status
add_index(struct buf *b, const struct saved *t, size_t n, uint64_t shard, size_t count, struct err *err)
{
    uint64_t sum = 0;
    size_t i = 0;
    enum status st;

    for (size_t k = 0; k < n; k++)
        sum += bytes_of(&t[k]);
    st = buf_printf(b, err, "{\n  \"metadata\": {\n    \"total_size\": %" PRIu64 "\n  },\n  \"weight_map\": {", sum);
    for (size_t s = 0; st == OK && s < count; s++) {
        char name[SHARD_NAME];

        weights_shard_name(name, s, count);
        for (size_t end = i + fill_shard(t + i, n - i, shard); st == OK && i < end; i++)
            if ((st = buf_adds(b, i > 0 ? STR(",\n    ") : STR("\n    "), err)) == OK &&
                (st = json_quote(b, str_of(t[i].name), err)) == OK)
                st = buf_printf(b, err, ": \"%s\"", name);
    }
    return st == OK ? buf_printf(b, err, "\n  }\n}\n") : st;
}

/* Whether name is that of a shard of another number of shards than count. */
static bool
is_old(const char *name, size_t count)
{
    size_t i, n;
    int end = 0;

    return sscanf(name, "model-%5zu-of-%5zu.safetensors%n", &i, &n, &end) == 2 && end > 0 && name[end] == 0 &&
           (count == 1 || n != count);
}

/* What is left of a model that lay there before, of count files now. */
static enum status
remove_old(const char *dir, size_t count, struct err *err)
{
    enum status st = count > 1 ? folder_remove(dir, ONE, err) : OK;
    DIR *d = st == OK ? opendir(dir) : NULL;

    if (st == OK && d == NULL)
        st = err_errno(err, IO, "%s", dir);
    for (const struct dirent *e; st == OK && (e = readdir(d)) != NULL;)
        if (is_old(e->d_name, count))
            st = folder_remove(dir, e->d_name, err);
    if (d != NULL)
        (void)closedir(d); /* only read from */
    return st;
}

enum status
weights_write(const char *dir, const struct saved *t, size_t n, uint64_t shard, struct err *err)
{
    size_t count = weights_shards(t, n, shard), i = 0;
    struct buf path = {0}, index = {0};
    char name[SHARD_NAME];
    enum status st;

    /* First of all: with it shards of two models would pass for one, should this be the last that was done. */
    st = folder_remove(dir, INDEX, err);
    for (size_t s = 0; st == OK && s < count; s++) {
        size_t some = fill_shard(t + i, n - i, shard);

        weights_shard_name(name, s, count);
        path.n = 0;
        if ((st = buf_printf(&path, err, "%s/%s%c", dir, name, 0)) == OK)
            st = safetensors_write(path.p, t + i, some, err);
        i += some;
    }
    if (st == OK && count > 1 && (st = add_index(&index, t, n, shard, count, err)) == OK)
        st = folder_write(dir, INDEX, index.p, index.n, err);
    if (st == OK)
        st = remove_old(dir, count, err);
    buf_free(&path);
    buf_free(&index);
    return st;
}
