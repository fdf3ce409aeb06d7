/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tensors of a model folder where they lie: model.safetensors, or the shards that model.safetensors.index.json
 * names (the single file first, as transformers does). Everything is checked before the first number is looked at: each
 * shard's header, and the index against what the shards hold, both ways.
 *
 * Opening costs the headers; the data come in as they are touched, and go as memory is needed elsewhere.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/safetensors.h"

#define INDEX "model.safetensors.index.json"
#define INDEX_MAX ((size_t)64 << 20)
#define PIECE ((size_t)1 << 16) /* numbers that a thread converts at a time */
#define SMALL ((size_t)1 << 13) /* as many fit on its stack */

struct weights {
    char *path; /* as messages name it */
    struct safetensors **file;
    char **name; /* of the files, within the folder */
    size_t n_files, n;
    struct weight *weight; /* in the order of their names */
};

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const struct weight *)a)->name, ((const struct weight *)b)->name);
}

static enum status
begin(struct weights **out, const char *path, size_t files, struct err *err)
{
    struct weights *w = calloc(1, sizeof *w);

    *out = w;
    if (w == NULL || (w->path = strdup(path)) == NULL ||
        (w->file = calloc(files, sizeof(struct safetensors *))) == NULL ||
        (w->name = calloc(files, sizeof(char *))) == NULL)
        return err_memory(err);
    return OK;
}

void
weights_close(struct weights *w)
{
    if (w == NULL)
        return;
    for (size_t i = 0; i < w->n_files; i++) {
        safetensors_close(w->file[i]);
        free(w->name[i]);
    }
    free(w->file);
    free(w->name);
    free(w->weight);
    free(w->path);
    free(w);
}

static enum status
add_file(struct weights *w, const char *path, struct str name, struct err *err)
{
    enum status st = safetensors_open(&w->file[w->n_files], path, err);
    const struct weight *tensor;
    struct weight *more;
    size_t n;

    if (st != OK)
        return st;
    w->name[w->n_files] = strndup(name.p, name.n);
    if (w->name[w->n_files++] == NULL)
        return err_memory(err);
    tensor = safetensors_tensors(&n, w->file[w->n_files - 1]);
    if ((more = realloc(w->weight, (w->n + n + 1) * sizeof *more)) == NULL)
        return err_memory(err);
    w->weight = more;
    for (size_t i = 0; i < n; i++) {
        w->weight[w->n] = tensor[i];
        w->weight[w->n++].file = w->name[w->n_files - 1];
    }
    return OK;
}

enum status
weights_open_file(struct weights **out, const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    struct weights *w = NULL;
    enum status st = begin(&w, path, 1, err);

    *out = NULL;
    if (st != OK || (st = add_file(w, path, str_of(slash == NULL ? path : slash + 1), err)) != OK) {
        weights_close(w);
        return st;
    }
    *out = w; /* a file's tensors are in order already */
    return OK;
}

/* ---- shards ---- */

/* What the shards hold is what the index says, and where. Tensors are in order of their names. */
static enum status
check_shards(const struct weights *w, const struct shards *s, struct err *err)
{
    for (size_t i = 0; i < w->n; i++) {
        const struct weight *t = &w->weight[i];
        uint32_t k = ids_find(s->tensors, str_of(t->name));

        if (k == IDS_NONE)
            return err_set(err, DATA, "%s: tensor %s of %s is not in the weight_map", w->path, t->name, t->file);
        if (!str_eq(ids_str(s->files, s->file_of[k]), str_of(t->file)))
            return err_set(
                err, DATA, "%s: tensor %s is in %s, but in another file by the weight_map", w->path, t->name, t->file);
    }
    for (uint32_t k = 0; k < ids_count(s->tensors); k++) {
        struct str name = ids_str(s->tensors, k), file = ids_str(s->files, s->file_of[k]);
        char text[256];

        (void)snprintf(text, sizeof text, "%.*s", (int)name.n, name.p);
        if (name.n >= sizeof text || weights_find(w, text) == NULL)
            return err_set(err, DATA, "%s: tensor %s is not in %.*s, where the weight_map has it", w->path, text,
                (int)file.n, file.p);
    }
    return OK;
}

static enum status
open_shards(struct weights **out, const char *dir, const struct shards *s, const char *path, struct err *err)
{
    uint32_t n = ids_count(s->files);
    struct buf name = {0};
    enum status st = begin(out, path, n, err);

    for (uint32_t i = 0; st == OK && i < n; i++) {
        struct str file = ids_str(s->files, i);

        name.n = 0;
        if ((st = buf_printf(&name, err, "%s/%.*s%c", dir, (int)file.n, file.p, 0)) == OK)
            st = add_file(*out, name.p, file, err);
    }
    buf_free(&name);
    if (st != OK)
        return st;
    if ((*out)->n > 0)
        qsort((*out)->weight, (*out)->n, sizeof *(*out)->weight, by_name);
    return check_shards(*out, s, err);
}

static enum status
open_index(struct weights **out, const char *dir, const char *path, struct err *err)
{
    struct shards *s = NULL;
    struct buf text = {0};
    struct weights *w = NULL;
    enum status st;

    if ((st = file_read(&text, path, INDEX_MAX, err)) == OK &&
        (st = shards_parse(&s, (struct str){text.p, text.n}, err)) != OK)
        (void)err_context(err, "%s", path);
    if (st == OK)
        st = open_shards(&w, dir, s, path, err);
    buf_free(&text);
    shards_free(s);
    if (st != OK) {
        weights_close(w);
        return st;
    }
    *out = w;
    return OK;
}

enum status
weights_open(struct weights **out, const char *dir, struct err *err)
{
    struct buf path = {0};
    enum status st;

    *out = NULL;
    if (!folder_has(dir, "model.safetensors") && folder_has(dir, INDEX)) {
        if ((st = buf_printf(&path, err, "%s/" INDEX "%c", dir, 0)) == OK)
            st = open_index(out, dir, path.p, err);
    } else if ((st = buf_printf(&path, err, "%s/model.safetensors%c", dir, 0)) == OK)
        st = weights_open_file(out, path.p, err);
    buf_free(&path);
    return st;
}

/* ---- looking ---- */

const struct weight *
weights_all(size_t *n, const struct weights *w)
{
    *n = w->n;
    return w->weight;
}

size_t
weights_files(const struct weights *w)
{
    return w->n_files;
}

uint64_t
weights_bytes(const struct weights *w)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < w->n_files; i++)
        sum += safetensors_bytes(w->file[i]);
    return sum;
}

const struct weight *
weights_find(const struct weights *w, const char *name)
{
    size_t lo = 0, hi = w->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(w->weight[mid].name, name);

        if (c == 0)
            return &w->weight[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static enum status
check_weight(const struct weight *t, size_t rows, size_t cols, struct err *err)
{
    if (t == NULL)
        return err_set(err, DATA, "missing");
    if (t->dims != (cols == 0 ? 1U : 2U) || t->dim[0] != rows || (cols > 0 && t->dim[1] != cols))
        return err_set(err, DATA, "expected shape [%zu%s%.0zu], got %zu dimensions, %zu by %zu", rows,
            cols > 0 ? ", " : "", cols, t->dims, t->dims > 0 ? t->dim[0] : 0, t->dims > 1 ? t->dim[1] : 1);
    if (t->dtype == DTYPE_OTHER)
        return err_set(err, DATA, "expected F32, F16 or BF16, got %s", t->type);
    return OK;
}

enum status
weights_get(
    const struct weight **out, const struct weights *w, const char *name, size_t rows, size_t cols, struct err *err)
{
    *out = weights_find(w, name);
    return check_weight(*out, rows, cols, err) == OK ? OK : err_context(err, "%s: tensor %s", w->path, name);
}

/* What is mapped comes back from the file. A page that it shares with a neighbour stays. */
void
weight_drop(const struct weight *t)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = ((uintptr_t)t->p + page - 1) / page * page,
              to = ((uintptr_t)t->p + t->bytes) / page * page;

    if (t->file != NULL && from < to)
        (void)madvise((void *)from, to - from, MADV_DONTNEED);
}

/* A NaN or infinity in a weight would surface much later, as text without sense. */
static enum status
not_finite(const struct weights *w, const struct weight *t, size_t at, struct err *err)
{
    return err_set(err, DATA, "%s: tensor %s: element %zu is not finite", w->path, t->name, at);
}

enum status
weights_check(const struct weights *w, const struct weight *t, struct err *err)
{
    size_t size = dtype_size(t->dtype), bad = SIZE_MAX;

#pragma omp parallel for schedule(static) num_threads(num_threads_for(t->count)) reduction(min : bad)
    for (size_t i = 0; i < t->count; i += SMALL) {
        size_t n = t->count - i < SMALL ? t->count - i : SMALL, first;
        float x[SMALL];

        first = dtype_to_f32(x, t->p + i * size, n, t->dtype);
        if (first < n && i + first < bad)
            bad = i + first;
    }
    return bad == SIZE_MAX ? OK : not_finite(w, t, bad, err);
}

enum status
weights_read(float *out, const struct weights *w, const char *name, size_t rows, size_t cols, struct err *err)
{
    const struct weight *t;
    enum status st = weights_get(&t, w, name, rows, cols, err);
    size_t size, bad = SIZE_MAX;

    if (st != OK)
        return st;
    size = dtype_size(t->dtype);
#pragma omp parallel for schedule(static) num_threads(num_threads_for(t->count)) reduction(min : bad)
    for (size_t i = 0; i < t->count; i += PIECE) {
        size_t n = t->count - i < PIECE ? t->count - i : PIECE;
        size_t first = dtype_to_f32(out + i, t->p + i * size, n, t->dtype);

        if (first < n && i + first < bad)
            bad = i + first;
    }
    return bad == SIZE_MAX ? OK : not_finite(w, t, bad, err);
}
