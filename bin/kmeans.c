/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kmeans - the codebook of one modality: K clusters of its vectors. Method and cost: lib/music/kmeans.c.
 */
#include "music/music.h"
#include "num/num.h"

struct options {
    const char *modality;
    int64_t clusters, iterations, minibatch, sample;
    int precision;
    double target;
    bool unit, spherical;
};

enum precision { F32, BF16, AUTO };

static const struct opt table[] = {
    OPT_INT('k', "clusters", struct options, clusters, "K", "1024", 1, CODE_MAX + 1, "clusters"),
    OPT_INT(0, "iterations", struct options, iterations, "N", "50", 1, 100000, "rounds, at most"),
    OPT_INT(0, "minibatch", struct options, minibatch, "N", "0", 0, UINT32_MAX,
        "take the stream in batches of N vectors, at least K, and hold one; 0 holds all"),
    OPT_NEED('m', "modality", struct options, modality, "MODALITY",
        "whose vectors: playlist, semantic, metadata, lyrics or audio"),
    OPT_ENUM(0, "precision", struct options, precision, "auto", "f32|bf16|auto",
        "of products; the clusters are the same, auto takes the faster"),
    OPT_INT(0, "sample", struct options, sample, "N", "0", 0, UINT32_MAX,
        "hold N vectors, drawn by a hash of their track_id, and learn from those alone; 0 for all"),
    OPT_FLAG(0, "spherical", struct options, spherical, "the same as --unit"),
    OPT_REAL(0, "target", struct options, target, "INERTIA", "0", 0, 1e300, "end as soon as the inertia is not above"),
    OPT_FLAG(0, "unit", struct options, unit, "cluster directions: vectors and centroids are scaled to length 1"),
    OPT_END,
};

static const struct program program = {
    .name = "kmeans",
    .purpose = "clusters of the vectors of one modality",
    .operands = "[FILE...]",
    .in = "embedding or joined",
    .out = "centroid",
    .examples = "kmeans --modality semantic --clusters 256 -o semantic.cb joined.mp\n"
                "kmeans -m playlist -k 1024 --unit playlist.mp | mp2json | jq -c '[.index, .count]'\n",
    .opts = table,
    .uses = STAGE_SEED | STAGE_THREADS,
    .about = num_about,
};

/* All that a run is. */
struct run {
    struct stage *stage;
    const struct options *o;
    struct kmeans_options how;
    enum modality modality;
    struct picks picks;
    struct minibatch *batches; /* NULL unless --minibatch, and until the first vector */
    uint64_t vectors;
};

/* The vector of a record, if it has one of the modality. */
static enum status
gather(struct run *r, const struct rec *rec, struct err *err)
{
    struct picks *p = &r->picks;
    struct str id;
    const char *key;

    if (points_key(&key, &rec->map, r->modality, err) != OK)
        return err->status;
    if (key == NULL)
        return OK;
    if (map_id(&id, &rec->map, "track_id", err) != OK || picks_take(p, &rec->map, key, err) != OK)
        return err->status;
    if (r->how.unit && !vec_unit(p->next, p->dim))
        return err_set(err, DATA, "%s: expected a vector with a direction, got one of length 0", key);
    r->vectors++;
    if (r->o->minibatch == 0)
        return picks_keep(p, hash64(r->how.seed, id.p, id.n), err);
    if (r->batches == NULL && minibatch_new(&r->batches, (size_t)r->o->minibatch, p->dim, &r->how, err) != OK)
        return err->status;
    return minibatch_add(r->batches, p->next, err);
}

static void
show(void *arg, size_t iteration, double inertia)
{
    char text[48];

    (void)snprintf(text, sizeof(text), "inertia %.6g", inertia);
    stage_progress(arg, iteration, 0, "iterations", text);
}

static void
write_centroids(struct stage *s, const struct kmeans *km, enum modality m)
{
    struct rec_writer *w = stage_out(s);
    struct err err;

    for (size_t c = 0; c < km->k; c++) {
        rec_begin(w);
        put_text(w, "modality", modality_name[m]);
        put_u64(w, "index", c);
        put_u64(w, "count", km->count[c]);
        put_vector(w, "vector", km->centroid + c * km->dim, km->dim);
        cli_must(rec_end(w, &err), &err);
    }
}

/* What cannot be together, or not with this processor, ends the program. */
static void
settle(struct run *r, const struct options *o)
{
    int m = modality_find(str_of(o->modality));
    struct err err;

    if (m < 0)
        (void)err_set(
            &err, USAGE, "--modality: expected playlist, semantic, metadata, lyrics or audio, got \"%s\"", o->modality);
    else if (o->minibatch > 0 && (o->sample > 0 || o->target > 0))
        (void)err_set(&err, USAGE, "--minibatch goes with neither --sample nor --target");
    else if (o->minibatch > 0 && o->minibatch < o->clusters)
        (void)err_set(&err, USAGE, "--minibatch: expected 0 or at least %lld, the clusters, got %lld",
            (long long)o->clusters, (long long)o->minibatch);
    else if (o->sample > 0 && o->sample < o->clusters)
        (void)err_set(&err, USAGE, "--sample: expected 0 or at least %lld, the clusters, got %lld",
            (long long)o->clusters, (long long)o->sample);
    else {
        r->o = o;
        r->modality = (enum modality)m;
        r->picks.most = (size_t)o->sample;
        r->how = (struct kmeans_options){.k = (size_t)o->clusters,
            .iterations = (size_t)o->iterations,
            .seed = stage_seed(r->stage),
            .unit = o->unit || o->spherical,
            .half = o->precision == BF16 || (o->precision == AUTO && packed_half_fast()),
            .target = o->target};
        return;
    }
    cli_die(&err);
}

static void
learn(struct kmeans **km, struct run *r)
{
    struct err err;

    if (r->vectors < r->how.k || r->picks.n > UINT32_MAX) {
        (void)err_set(&err, DATA, "expected at least %zu vectors of modality %s for %zu clusters, got %llu", r->how.k,
            r->o->modality, r->how.k, (unsigned long long)r->vectors);
        stage_fail(r->stage, &err);
    }
    if (r->batches != NULL) {
        cli_must(minibatch_end(km, r->batches, &err), &err);
        return;
    }
    if (r->o->sample > 0)
        cli_must(picks_sort(&r->picks, &err), &err);
    r->how.key = r->picks.key;
    cli_must(kmeans_run(km, r->picks.v, r->picks.n, r->picks.dim, &r->how, show, r->stage, &err), &err);
}

int
main(int argc, char **argv)
{
    struct options o;
    struct run r = {.stage = stage_start(argc, argv, &program, &o)};
    struct kmeans *km = NULL;
    double start;
    struct err err;

    settle(&r, &o);
    num_init(stage_threads(r.stage));
    for (struct rec *rec; (rec = stage_next(r.stage)) != NULL;)
        if (gather(&r, rec, &err) != OK)
            stage_reject(r.stage, &err);
    start = cli_seconds();
    learn(&km, &r);
    if (stage_verbose(r.stage))
        cli_note("clustered in %.3f seconds, %.2f comparisons of a vector with all clusters", cli_seconds() - start,
            km->looked);
    write_centroids(r.stage, km, r.modality);
    stage_tally(r.stage, "vectors", r.o->sample > 0 ? r.picks.n : r.vectors);
    stage_tally(r.stage, "live", km->live);
    stage_tally(r.stage, "iterations", km->iterations);
    stage_tally_real(r.stage, "inertia", km->inertia);
    kmeans_free(km);
    minibatch_free(r.batches);
    picks_free(&r.picks);
    return stage_finish(r.stage);
}
