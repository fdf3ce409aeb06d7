/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mp2npy - vectors of one modality as an .npy matrix, for NumPy, faiss and what else reads it.
 */
#include <stdlib.h>
#include <string.h>

#include "music/music.h"

struct options {
    const char *ids, *modality;
};

static const struct opt table[] = {
    OPT_STR(0, "ids", struct options, ids, "FILE", NULL, "write whose rows they are there, a line each"),
    OPT_NEED('m', "modality", struct options, modality, "MODALITY", "whose vectors"),
    OPT_END,
};

static const struct program program = {
    .name = "mp2npy",
    .purpose = "vectors of one modality as an .npy matrix",
    .operands = "[FILE...]",
    .in = "embedding, joined or centroid",
    .out = ".npy matrix of float32",
    .examples = "mp2npy --modality audio --ids ids.txt -o audio.npy joined.mp\n"
                "mp2npy -m playlist -o codebook.npy centroid.playlist.mp\n",
    .opts = table,
};

struct work {
    enum modality m;
    struct npy_writer *matrix;
    struct rec_writer *ids; /* NULL for none */
    struct buf line;
    float *row;
    size_t cap;
    uint64_t without;
};

/* The id of a track, or the index of a centroid, and its line break, into w->line. */
static enum status
take_id(struct work *w, const msgpack_object *map, struct err *err)
{
    struct str id;
    uint64_t index;

    w->line.n = 0;
    if (!map_has(map, "track_id") && map_has(map, "index"))
        return map_u64(&index, map, "index", CODE_MAX, err) != OK
                   ? err->status
                   : buf_printf(&w->line, err, "%llu\n", (unsigned long long)index);
    if (map_id(&id, map, "track_id", err) != OK)
        return err->status;
    if (w->ids != NULL && (memchr(id.p, '\n', id.n) != NULL || id.p[id.n - 1] == '\r' ||
                              memchr(id.p, '\0', id.n) != NULL || utf8_span(id.p, id.n) != id.n))
        return err_set(err, DATA, "track_id: not a line of text, as --ids needs");
    return buf_adds(&w->line, id, err) != OK ? err->status : buf_add(&w->line, "\n", 1, err);
}

static enum status
add(struct work *w, const msgpack_object *map, struct err *err)
{
    const char *key;
    size_t dim;
    float *more;

    if (points_key(&key, map, w->m, err) != OK)
        return err->status;
    if (key == NULL) {
        w->without++;
        return OK;
    }
    if (map_vector_size(&dim, map, key, err) != OK || take_id(w, map, err) != OK)
        return err->status;
    if (dim == 0)
        return err_set(err, DATA, "%s: expected at least 1 number, got 0", key);
    if (dim > w->cap) { /* below the bytes of a record */
        if ((more = realloc(w->row, dim * sizeof(*w->row))) == NULL)
            return err_memory(err);
        w->row = more;
        w->cap = dim;
    }
    if (map_vector(w->row, dim, map, key, err) != OK)
        return err->status;
    if (npy_writer_row(w->matrix, w->row, dim, err) != OK)
        return err_context(err, "%s", key);
    return w->ids == NULL ? OK : rec_raw(w->ids, w->line.p, w->line.n, err);
}

int
main(int argc, char **argv)
{
    struct options o;
    struct stage *s = stage_start(argc, argv, &program, &o);
    struct work w = {0};
    struct err err;
    int m;

    if ((m = modality_find(str_of(o.modality))) < 0) {
        (void)err_set(
            &err, USAGE, "--modality: expected playlist, semantic, metadata, lyrics or audio, got \"%s\"", o.modality);
        cli_die(&err);
    }
    w.m = (enum modality)m;
    if (o.ids != NULL)
        cli_must(rec_create(&w.ids, o.ids, &err), &err);
    cli_must(npy_writer_new(&w.matrix, stage_out(s), &err), &err);
    for (struct rec *r; (r = stage_next(s)) != NULL;)
        if (add(&w, &r->map, &err) != OK)
            stage_reject(s, &err);
    cli_must(npy_writer_end(w.matrix, &err), &err);
    if (w.ids != NULL)
        cli_must(rec_commit(w.ids, &err), &err);
    stage_tally(s, "without", w.without);
    npy_writer_free(w.matrix);
    buf_free(&w.line);
    free(w.row);
    return stage_finish(s);
}
