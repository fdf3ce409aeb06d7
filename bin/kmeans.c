/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kmeans - the codebook of one modality: K clusters of its vectors. Method and cost: lib/music/kmeans.c.
 */
#include "music/music.h"
#include "num/num.h"

struct options {
    const char *modality;
    int64_t clusters, iterations;
    bool unit;
};

static const struct opt table[] = {
    OPT_INT('k', "clusters", struct options, clusters, "K", "1024", 1, CODE_MAX + 1, "clusters"),
    OPT_INT(0, "iterations", struct options, iterations, "N", "50", 1, 100000, "rounds, at most"),
    OPT_NEED('m', "modality", struct options, modality, "MODALITY",
        "whose vectors: playlist, semantic, metadata, lyrics or audio"),
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

/* The vector of a record, if it has one of the modality. */
static enum status
gather(struct points *points, const struct rec *r, enum modality m, bool unit, struct err *err)
{
    const char *key;

    if (points_key(&key, &r->map, m, err) != OK)
        return err->status;
    if (key == NULL)
        return OK;
    if (points_add(points, &r->map, key, err) != OK)
        return err->status;
    if (unit && !vec_unit(points->v + (points->n - 1) * points->dim, points->dim)) {
        points->n--;
        return err_set(err, DATA, "%s: expected a vector with a direction, got one of length 0", key);
    }
    return OK;
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

int
main(int argc, char **argv)
{
    struct options o;
    struct stage *s = stage_start(argc, argv, &program, &o);
    struct kmeans_options how = {(size_t)o.clusters, (size_t)o.iterations, stage_seed(s), o.unit};
    struct points points = {0};
    struct kmeans *km = NULL;
    int m = modality_find(str_of(o.modality));
    struct err err;

    if (m < 0) {
        (void)err_set(
            &err, USAGE, "--modality: expected playlist, semantic, metadata, lyrics or audio, got \"%s\"", o.modality);
        cli_die(&err);
    }
    num_init(stage_threads(s));
    for (struct rec *r; (r = stage_next(s)) != NULL;)
        if (gather(&points, r, (enum modality)m, o.unit, &err) != OK)
            stage_reject(s, &err);
    if (points.n < how.k || points.n > UINT32_MAX) {
        (void)err_set(&err, DATA, "expected at least %zu vectors of modality %s for %zu clusters, got %zu", how.k,
            o.modality, how.k, points.n);
        stage_fail(s, &err);
    }
    cli_must(kmeans_run(&km, points.v, points.n, points.dim, &how, show, s, &err), &err);
    write_centroids(s, km, (enum modality)m);
    stage_tally(s, "vectors", points.n);
    stage_tally(s, "live", km->live);
    stage_tally(s, "iterations", km->iterations);
    stage_tally_real(s, "inertia", km->inertia);
    kmeans_free(km);
    points_free(&points);
    return stage_finish(s);
}
