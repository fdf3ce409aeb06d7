/* SPDX-License-Identifier: Apache-2.0 */
/*
 * npy2mp - rows of .npy matrices as embedding records: how the vectors of any other encoder come in.
 *
 * A block of rows is converted at a time (lib/stream/npydata.c) from the mapped file. Memory: that block.
 */
#include <stdlib.h>

#include "music/music.h"

#define BLOCK_FLOATS ((size_t)1 << 18)
#define BLOCK_ROWS ((size_t)1024)

struct options {
    const char *ids, *modality;
};

static const struct opt table[] = {
    OPT_NEED(0, "ids", struct options, ids, "FILE", "whose rows they are: a line each, or an .npy file of strings"),
    OPT_NEED('m', "modality", struct options, modality, "MODALITY", "what the vectors were computed from"),
    OPT_END,
};

static const struct program program = {
    .name = "npy2mp",
    .purpose = "rows of .npy matrices as embeddings",
    .operands = "[FILE...]",
    .in = ".npy matrix of f2, f4 or f8",
    .out = "embedding",
    .examples = "npy2mp --modality lyrics --ids ids.txt -o lyrics.mp lyrics.npy\n"
                "npy2mp -m audio --ids ids.npy audio-0.npy audio-1.npy | mpcheck embedding\n",
    .opts = table,
    .uses = STAGE_RAW_IN,
};

struct work {
    struct stage *s;
    struct id_list *ids;
    int modality;
    struct mapped *file; /* of each operand */
    struct npy *matrix;
    char **path;
    int n;
    uint64_t rows, done;
    float *block;
};

static const char *
name_of(const char *path)
{
    return str_eq(str_of(path), STR("-")) ? "stdin" : path;
}

/* Refuses what is no matrix of floats, or has other columns than the first. */
static enum status
check(const struct npy *a, const struct npy *first, struct err *err)
{
    if (a->kind == NPY_BYTES || a->kind == NPY_UNICODE)
        return err_set(err, DATA, "descr: expected f2, f4 or f8, got strings");
    if (a->dims != 2)
        return err_set(err, DATA, "shape: expected 2 dimensions, got 1");
    if (a->rows > 0 && a->columns == 0)
        return err_set(err, DATA, "shape: rows without numbers");
    if (a->columns != first->columns)
        return err_set(
            err, DATA, "shape: expected %zu columns, as in the first file, got %zu", first->columns, a->columns);
    return OK;
}

/* All that can be refused before a row is written. */
static enum status
open_all(struct work *w, const char *ids, struct err *err)
{
    size_t n_ids;

    w->file = calloc((size_t)w->n, sizeof(*w->file));
    w->matrix = calloc((size_t)w->n, sizeof(*w->matrix));
    if (w->file == NULL || w->matrix == NULL)
        return err_memory(err);
    for (int i = 0; i < w->n; i++) {
        if (file_map(&w->file[i], w->path[i], err) != OK)
            return err->status;
        if (npy_parse(&w->matrix[i], w->file[i].p, w->file[i].n, err) != OK ||
            check(&w->matrix[i], &w->matrix[0], err) != OK)
            return err_context(err, "%s", name_of(w->path[i]));
        w->rows += w->matrix[i].rows;
    }
    if (id_list_open(&w->ids, ids, err) != OK)
        return err->status;
    if ((n_ids = id_list_count(w->ids)) != w->rows)
        return err_set(err, DATA, "%s: expected an id for each of %llu rows, got %zu", name_of(ids),
            (unsigned long long)w->rows, n_ids);
    if ((w->block = malloc(sizeof(*w->block) * (w->matrix[0].columns + BLOCK_FLOATS))) == NULL)
        return err_memory(err);
    return OK;
}

/* One row; it is set aside where it has a number that is none. */
static void
write_row(struct work *w, int file, size_t row, const float *v)
{
    const struct npy *a = &w->matrix[file];
    struct rec_writer *out = stage_out(w->s);
    size_t at, cell;
    struct str id;
    struct err err;

    cli_must(id_list_next(&id, w->ids, &err), &err);
    if ((at = npy_not_finite(v, a->columns)) < a->columns) {
        cell = a->fortran ? at * a->rows + row : row * a->columns + at;
        (void)err_set(&err, DATA, "column %zu: not a finite float32", at);
        stage_reject_text(w->s, name_of(w->path[file]), row + 1,
            (uint64_t)(a->data - (const unsigned char *)w->file[file].p) + cell * a->width, id, &err);
        return;
    }
    rec_begin(out);
    put_str(out, "track_id", id);
    put_text(out, "modality", modality_name[w->modality]);
    put_vector(out, "vector", v, a->columns);
    cli_must(rec_end(out, &err), &err);
}

static void
write_file(struct work *w, int file)
{
    const struct npy *a = &w->matrix[file];
    size_t most = a->columns > 0 ? BLOCK_FLOATS / a->columns : 0, n;

    most = most < 1 ? 1 : most > BLOCK_ROWS ? BLOCK_ROWS : most;
    for (size_t at = 0; at < a->rows && w->done < stage_limit(w->s); at += n) {
        n = a->rows - at < most ? a->rows - at : most;
        if (n > stage_limit(w->s) - w->done)
            n = stage_limit(w->s) - w->done;
        npy_rows(w->block, a, at, n);
        for (size_t i = 0; i < n; i++)
            write_row(w, file, at + i, w->block + i * a->columns);
        w->done += n;
        stage_count_in(w->s, n, n * a->columns * a->width);
        stage_progress(w->s, w->done, w->rows, "rows", NULL);
    }
}

int
main(int argc, char **argv)
{
    struct options o;
    struct work w = {.s = stage_start(argc, argv, &program, &o)};
    struct err err;

    if ((w.modality = modality_find(str_of(o.modality))) < 0) {
        (void)err_set(
            &err, USAGE, "--modality: expected playlist, semantic, metadata, lyrics or audio, got \"%s\"", o.modality);
        cli_die(&err);
    }
    w.n = stage_operands(&w.path, w.s);
    cli_must(open_all(&w, o.ids, &err), &err);
    for (int i = 0; i < w.n; i++)
        write_file(&w, i);
    stage_tally(w.s, "dim", w.matrix[0].columns);
    for (int i = 0; i < w.n; i++)
        file_unmap(&w.file[i]);
    id_list_free(w.ids);
    free(w.file);
    free(w.matrix);
    free(w.block);
    return stage_finish(w.s);
}
