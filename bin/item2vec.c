/* SPDX-License-Identifier: Apache-2.0 */
/*
 * item2vec - vectors of tracks from the playlists that hold them. Method and cost: lib/music/item2vec.c.
 */
#include "music/music.h"
#include "num/num.h"

struct options {
    int64_t dim, epochs, negative, min_count, window;
    double rate, subsample;
    const char *tracks;
    bool hogwild;
};

static const struct opt table[] = {
    OPT_INT('d', "dim", struct options, dim, "N", "128", 1, 4096, "numbers of a vector"),
    OPT_INT('e', "epochs", struct options, epochs, "N", "10", 1, 10000, "passes over the playlists"),
    OPT_FLAG(0, "hogwild", struct options, hogwild, "faster; with several threads never the same twice"),
    OPT_INT(0, "min-count", struct options, min_count, "N", "1", 1, 1000000, "leave out tracks of fewer playlists"),
    OPT_INT(
        0, "negative", struct options, negative, "N", "5", 1, 100, "weight of the drawn tracks against the true ones"),
    OPT_REAL(0, "rate", struct options, rate, "R", "0.1", 0, 10, "first learning rate; it falls to 0"),
    OPT_REAL(0, "subsample", struct options, subsample, "SHARE", "0", 0, 1,
        "thin out tracks that are a larger share of all entries; 0 for none"),
    OPT_STR('t', "tracks", struct options, tracks, "FILE", NULL, "write vectors of these tracks alone, in their order"),
    OPT_INT('w', "window", struct options, window, "N", "0", 0, ITEM2VEC_WINDOW_MAX,
        "tracks on either side that are a track's context; 0 for the whole playlist"),
    OPT_END,
};

static const struct program program = {
    .name = "item2vec",
    .purpose = "vectors of tracks from the playlists that hold them",
    .operands = "[FILE...]",
    .in = "playlist",
    .out = "embedding",
    .examples =
        "item2vec --tracks tracks.mp -o playlist.mp playlists.mp\n"
        "item2vec --dim 64 --epochs 5 playlists.mp | kmeans --modality playlist --clusters 64 --unit -o playlist.cb\n",
    .opts = table,
    .uses = STAGE_SEED | STAGE_THREADS,
    .about = num_about,
};

struct job {
    struct stage *stage;
    struct item2vec *iv;
    uint64_t epochs, skipped;
    double loss;
};

/* A playlist that validates or tests must not be learnt from. */
static enum status
take(struct job *job, const struct rec *r, struct err *err)
{
    enum split split;

    if (map_split(&split, &r->map, err) != OK)
        return err->status;
    if (split != SPLIT_TRAIN) {
        job->skipped++;
        return OK;
    }
    return item2vec_add(job->iv, &r->map, err);
}

static void
show(void *arg, size_t epoch, double loss)
{
    struct job *job = arg;
    char text[48];

    job->loss = loss;
    (void)snprintf(text, sizeof(text), "loss %.4f", loss);
    stage_progress(job->stage, epoch, job->epochs, "epochs", text);
}

static enum status
write_vector(struct job *job, struct str id, uint32_t track, size_t dim, struct err *err)
{
    struct rec_writer *w = stage_out(job->stage);
    const float *v = item2vec_vector(job->iv, track);

    if (v == NULL)
        return OK;
    rec_begin(w);
    put_str(w, "track_id", id);
    put_text(w, "modality", modality_name[PLAYLIST]);
    put_vector(w, "vector", v, dim);
    return rec_end(w, err);
}

struct wanted {
    struct job *job;
    size_t dim;
};

static enum status
write_track(void *arg, const struct rec *rec, struct err *err)
{
    struct wanted *wanted = arg;
    struct str id;
    uint32_t track;

    if (map_id(&id, &rec->map, "track_id", err) != OK)
        return err->status;
    track = ids_find(item2vec_ids(wanted->job->iv), id);
    return track == IDS_NONE ? OK : write_vector(wanted->job, id, track, wanted->dim, err);
}

static void
write_vectors(struct job *job, const struct options *o)
{
    const struct ids *ids = item2vec_ids(job->iv);
    struct wanted wanted = {job, (size_t)o->dim};
    struct err err;

    if (o->tracks != NULL)
        cli_must(rec_each(o->tracks, write_track, &wanted, &err), &err);
    for (uint32_t t = 0; t < ids_count(ids) && o->tracks == NULL; t++)
        cli_must(write_vector(job, ids_str(ids, t), t, wanted.dim, &err), &err);
}

int
main(int argc, char **argv)
{
    struct options o;
    struct job job = {.stage = stage_start(argc, argv, &program, &o)};
    struct item2vec_options how = {(size_t)o.dim, (size_t)o.epochs, (size_t)o.negative, (size_t)o.min_count,
        (size_t)o.window, o.rate, o.subsample, stage_seed(job.stage), o.hogwild};
    struct err err;

    num_init(stage_threads(job.stage));
    job.epochs = (uint64_t)o.epochs;
    cli_must(item2vec_new(&job.iv, &how, &err), &err);
    for (struct rec *r; (r = stage_next(job.stage)) != NULL;)
        if (take(&job, r, &err) != OK)
            stage_reject(job.stage, &err);
    cli_must(item2vec_train(job.iv, show, &job, &err), &err);
    write_vectors(&job, &o);
    stage_tally(job.stage, "skipped", job.skipped);
    stage_tally_real(job.stage, "loss", job.loss);
    item2vec_free(job.iv);
    return stage_finish(job.stage);
}
