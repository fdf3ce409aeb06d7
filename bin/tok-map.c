/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tok-map - the music tokens of a track: the nearest centroid of each modality.
 *
 * Records are taken in batches, for the sake of the matrix products; a record's codes do not depend on its batch.
 */
#include <stdlib.h>
#include <string.h>

#include "music/music.h"
#include "num/num.h"

#define BATCH 256

enum missing { OMIT, IMPUTE };

struct options {
    struct opt_list centroids;
    const char *report, *train;
    int missing;
    int64_t neighbours;
};

static const struct opt table[] = {
    OPT_LIST('c', "centroids", struct options, centroids, "FILE", "centroid records; may be given many times"),
    OPT_ENUM(0, "missing", struct options, missing, "omit", "omit|impute", "what becomes of a modality that is absent"),
    OPT_INT(
        0, "neighbours", struct options, neighbours, "N", "10", 1, 1000, "training tracks that vote on a missing code"),
    OPT_STR(0, "report", struct options, report, "FILE", NULL, "write the use of the codes there, one record"),
    OPT_STR(0, "train", struct options, train, "FILE", NULL, "joined records to impute from, cold ones left out"),
    OPT_END,
};

static const struct program program = {
    .name = "tok-map",
    .purpose = "music tokens of a track: the nearest centroid of each modality",
    .operands = "[FILE...]",
    .in = "joined",
    .out = "item",
    .examples = "tok-map --centroids playlist.cb --centroids semantic.cb -o items.mp joined.mp\n"
                "tok-map -c all.cb --missing impute --train joined.mp --report use.mp -o items.mp joined.mp\n",
    .opts = table,
    .uses = STAGE_THREADS,
    .about = num_about,
};

struct batch {
    size_t n;
    struct rec *rec[BATCH];
    unsigned has[BATCH], imputed[BATCH];
    struct codes codes[BATCH];
    float *X[MODALITIES]; /* (BATCH, dim); zeros where absent */
    int32_t code[BATCH];
};

struct mapper {
    struct stage *stage;
    const struct options *o;
    struct codebooks *books;
    struct imputer *imputer;
    struct usage *usage;
    struct batch batch;
    uint64_t without; /* records that have no modality with a codebook */
};

static enum status
batch_new(struct mapper *t, struct err *err)
{
    for (int m = 0; m < MODALITIES; m++)
        if ((t->batch.X[m] = calloc(BATCH, t->books->dim[m] * sizeof(float) + 1)) == NULL)
            return err_memory(err);
    return OK;
}

/* Takes the vectors of a record, and a copy of it. */
static enum status
take(struct mapper *t, const struct rec *r, struct err *err)
{
    struct batch *b = &t->batch;
    struct str id;

    if (map_id(&id, &r->map, "track_id", err) != OK)
        return err->status;
    b->has[b->n] = 0;
    for (int m = 0; m < MODALITIES; m++) {
        size_t dim = t->books->dim[m];
        float *x = b->X[m] + b->n * dim;

        memset(x, 0, dim * sizeof(*x));
        if (dim == 0 || !map_has(&r->map, modality_name[m]))
            continue;
        if (map_vector(x, dim, &r->map, modality_name[m], err) != OK)
            return err->status;
        b->has[b->n] |= 1U << m;
    }
    if (b->has[b->n] == 0) {
        t->without++;
        return OK;
    }
    if (rec_keep(&b->rec[b->n], r, err) != OK)
        return err->status;
    b->n++;
    return OK;
}

static enum status
write_item(struct mapper *t, size_t i, struct err *err)
{
    static const char *const skip[] = {
        "track_id", "playlist", "semantic", "metadata", "lyrics", "audio", "codes", "imputed", NULL};
    struct rec_writer *w = stage_out(t->stage);
    struct batch *b = &t->batch;
    struct str id;
    enum status st;

    if ((st = map_id(&id, &b->rec[i]->map, "track_id", err)) != OK)
        return st;
    rec_begin(w);
    put_str(w, "track_id", id);
    put_rest(w, &b->rec[i]->map, skip);
    codes_put(w, "codes", &b->codes[i]);
    if (b->imputed[i] != 0) {
        put_array(w, "imputed");
        for (int m = 0; m < MODALITIES; m++)
            if ((b->imputed[i] >> m & 1U) != 0)
                put_text(w, NULL, modality_name[m]);
        put_close(w);
    }
    if ((st = rec_end(w, err)) != OK)
        return st;
    return usage_add(t->usage, &b->codes[i], b->imputed[i], err);
}

/* Codes, imputed codes and output of the batch. */
static void
flush(struct mapper *t)
{
    struct batch *b = &t->batch;
    struct err err;

    for (int m = 0; m < MODALITIES; m++) {
        if (t->books->k[m] > 0)
            cli_must(assign_nearest(b->code, t->books, (enum modality)m, b->X[m], b->n, &err), &err);
        for (size_t i = 0; i < b->n; i++)
            b->codes[i].code[m] = (b->has[i] >> m & 1U) != 0 ? b->code[i] : CODE_NONE;
    }
    memset(b->imputed, 0, sizeof(b->imputed));
    if (t->imputer != NULL)
        cli_must(imputer_fill(b->codes, b->imputed, t->imputer, (const float *const *)b->X, b->has, b->n,
                     (size_t)t->o->neighbours, &err),
            &err);
    for (size_t i = 0; i < b->n; i++) {
        if (write_item(t, i, &err) != OK)
            stage_reject_rec(t->stage, b->rec[i], &err);
        rec_free(b->rec[i]);
    }
    b->n = 0;
}

static void
report(struct mapper *t, struct rec_writer *to)
{
    struct err err;

    for (int m = 0; m < MODALITIES; m++)
        if (t->books->k[m] > 0) {
            struct usage_of of = usage_of(t->usage, (enum modality)m);
            cli_note("%s: %zu of %zu codes used, perplexity %.1f, largest %llu of %llu tracks, %llu imputed",
                modality_name[m], of.used, of.codes, of.perplexity, (unsigned long long)of.largest,
                (unsigned long long)of.tracks, (unsigned long long)of.imputed);
        }
    if (to != NULL) {
        cli_must(usage_write(to, t->usage, &err), &err);
        cli_must(rec_commit(to, &err), &err);
    }
}

int
main(int argc, char **argv)
{
    struct options o;
    struct mapper t = {.stage = stage_start(argc, argv, &program, &o), .o = &o};
    struct rec_writer *to = NULL;
    struct err err;

    if (o.centroids.n == 0 || (o.missing == IMPUTE) != (o.train != NULL)) {
        (void)err_set(&err, USAGE, "%s",
            o.centroids.n == 0 ? "--centroids must be given" : "--missing impute and --train go together");
        cli_die(&err);
    }
    num_init(stage_threads(t.stage));
    if (o.report != NULL)
        cli_must(rec_create(&to, o.report, &err), &err);
    cli_must(codebooks_load(&t.books, o.centroids.item, o.centroids.n, &err), &err);
    if (o.train != NULL)
        cli_must(imputer_load(&t.imputer, o.train, t.books, &err), &err);
    cli_must(usage_new(&t.usage, t.books, &err), &err);
    cli_must(batch_new(&t, &err), &err);
    for (struct rec *r; (r = stage_next(t.stage)) != NULL;) {
        if (take(&t, r, &err) != OK)
            stage_reject(t.stage, &err);
        if (t.batch.n == BATCH)
            flush(&t);
    }
    flush(&t);
    report(&t, to);
    stage_tally(t.stage, "without", t.without);
    if (t.imputer != NULL)
        stage_tally(t.stage, "train", imputer_tracks(t.imputer));
    for (int m = 0; m < MODALITIES; m++)
        free(t.batch.X[m]);
    usage_free(t.usage);
    imputer_free(t.imputer);
    codebooks_free(t.books);
    return stage_finish(t.stage);
}
