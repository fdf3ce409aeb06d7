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

#define BATCH 3072 /* blocks of NEAREST_ROWS for up to 32 threads; enough that none waits for long */

enum missing { OMIT, IMPUTE };
enum precision { F32, BF16, AUTO };

struct options {
    struct opt_list centroids;
    const char *report, *train;
    int missing, precision;
    int64_t neighbours;
    double probe;
};

static const struct opt table[] = {
    OPT_LIST('c', "centroids", struct options, centroids, "FILE", "centroid records; may be given many times"),
    OPT_ENUM(0, "missing", struct options, missing, "omit", "omit|impute", "what becomes of a modality that is absent"),
    OPT_INT(
        0, "neighbours", struct options, neighbours, "N", "10", 1, 1000, "training tracks that vote on a missing code"),
    OPT_ENUM(0, "precision", struct options, precision, "f32", "f32|bf16|auto",
        "of products and training tracks; auto takes the faster"),
    OPT_REAL(0, "probe", struct options, probe, "SHARE", "0", 0, 1,
        "hide known codes of this share of the tracks, impute them, and tell how many came out right"),
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
    unsigned has[BATCH], imputed[BATCH], hidden[BATCH];
    uint64_t id[BATCH]; /* hashes of the track_ids */
    struct codes codes[BATCH], guess[BATCH];
    float *X[MODALITIES]; /* (BATCH, dim); zeros where absent */
    int32_t code[BATCH];
};

/* How codes that were hidden came out. */
struct probed {
    uint64_t n, right, common; /* right by imputing; by taking the most frequent code */
};

struct mapper {
    struct stage *stage;
    const struct options *o;
    struct codebooks *books;
    struct assigner *assigner[MODALITIES]; /* NULL where there is no codebook */
    struct imputer *imputer;
    struct usage *usage;
    struct batch batch;
    struct probed probed[MODALITIES];
    uint64_t without; /* records that have no modality with a codebook */
    double seconds;   /* of looking codes up */
};

static bool
half(const struct options *o)
{
    return o->precision == BF16 || (o->precision == AUTO && packed_half_fast());
}

static enum status
batch_new(struct mapper *t, struct err *err)
{
    for (int m = 0; m < MODALITIES; m++)
        if ((t->batch.X[m] = calloc(BATCH, t->books->dim[m] * sizeof(float) + 1)) == NULL)
            return err_memory(err);
    for (int m = 0; m < MODALITIES; m++)
        if (t->books->k[m] > 0 && assigner_new(&t->assigner[m], t->books, (enum modality)m, half(t->o), err) != OK)
            return err->status;
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
    b->id[b->n] = hash64(0, id.p, id.n);
    for (int m = 0; m < MODALITIES; m++) {
        size_t dim = t->books->dim[m];
        float *x = b->X[m] + b->n * dim;

        memset(x, 0, dim * sizeof(*x));
        if (dim == 0 || !map_has(&r->map, modality_name[m]))
            continue;
        if (points_vector(x, dim, &r->map, modality_name[m], err) != OK)
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

/* Hides the codes of modality m where they are known, and another is, of a share of the batch; imputes them and counts.
 * The share goes by a hash of the track, which itself is no neighbour. */
static void
probe(struct mapper *t, int m)
{
    struct batch *b = &t->batch;
    unsigned bit = 1U << m, imputed[BATCH];
    struct probed *p = &t->probed[m];
    struct err err;

    for (size_t i = 0; i < b->n; i++) {
        uint64_t draw = hash64(1, &b->id[i], sizeof(b->id[i]));
        bool drawn = (double)(draw >> 11) * 0x1p-53 < t->o->probe;

        b->hidden[i] = drawn && (b->has[i] & bit) != 0 && b->has[i] != bit ? b->has[i] & ~bit : 0;
        for (int other = 0; other < MODALITIES; other++)
            b->guess[i].code[other] = other == m ? CODE_NONE : 0;
    }
    cli_must(imputer_fill(b->guess, imputed, t->imputer, (const float *const *)b->X, b->hidden, b->id, b->n,
                 (size_t)t->o->neighbours, &err),
        &err);
    for (size_t i = 0; i < b->n; i++)
        if (imputed[i] != 0) {
            p->n++;
            p->right += b->guess[i].code[m] == b->codes[i].code[m];
            p->common += imputer_common(t->imputer, (enum modality)m) == b->codes[i].code[m];
        }
}

/* Codes, imputed codes and output of the batch. */
static void
flush(struct mapper *t)
{
    struct batch *b = &t->batch;
    double start = cli_seconds();
    struct err err;

    for (int m = 0; m < MODALITIES; m++) {
        if (t->assigner[m] != NULL)
            assigner_look(b->code, t->assigner[m], b->X[m], b->n);
        for (size_t i = 0; i < b->n; i++)
            b->codes[i].code[m] = (b->has[i] >> m & 1U) != 0 ? b->code[i] : CODE_NONE;
    }
    t->seconds += cli_seconds() - start;
    memset(b->imputed, 0, sizeof(b->imputed));
    for (int m = 0; m < MODALITIES && t->o->probe > 0; m++)
        if (t->assigner[m] != NULL)
            probe(t, m);
    if (t->imputer != NULL)
        cli_must(imputer_fill(b->codes, b->imputed, t->imputer, (const float *const *)b->X, b->has, NULL, b->n,
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
    for (int m = 0; m < MODALITIES; m++) {
        const struct probed *p = &t->probed[m];
        if (p->n > 0)
            cli_note("%s: of %llu hidden codes %.1f %% imputed right, %.1f %% by the most frequent code",
                modality_name[m], (unsigned long long)p->n, 100 * (double)p->right / (double)p->n,
                100 * (double)p->common / (double)p->n);
    }
    if (stage_verbose(t->stage))
        cli_note("codes were looked up in %.3f seconds", t->seconds);
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
    if (o.probe > 0 && o.missing != IMPUTE) {
        (void)err_set(&err, USAGE, "--probe needs --missing impute");
        cli_die(&err);
    }
    num_init(stage_threads(t.stage));
    if (o.report != NULL)
        cli_must(rec_create(&to, o.report, &err), &err);
    cli_must(codebooks_load(&t.books, o.centroids.item, o.centroids.n, &err), &err);
    if (o.train != NULL)
        cli_must(imputer_load(&t.imputer, o.train, t.books, half(&o), &err), &err);
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
    for (int m = 0; m < MODALITIES; m++) {
        free(t.batch.X[m]);
        assigner_free(t.assigner[m]);
    }
    usage_free(t.usage);
    imputer_free(t.imputer);
    codebooks_free(t.books);
    return stage_finish(t.stage);
}
