/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audio-embed - vectors of tracks from their recordings. Method and cost: lib/music/audioembed.c.
 *
 * A batch of tracks is shared out among the threads, each with its own work space; results are written in order.
 */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "music/music.h"

#define BATCH 256

struct options {
    const char *folder;
    double seconds;
};

static const struct opt table[] = {
    OPT_STR(0, "folder", struct options, folder, "DIR", ".", "where relative paths begin"),
    OPT_REAL(0, "seconds", struct options, seconds, "S", "600", 1, 3600, "of a recording that count, from its start"),
    OPT_END,
};

static const struct program program = {
    .name = "audio-embed",
    .purpose = "vectors of tracks from their recordings",
    .operands = "[FILE...]",
    .in = "track",
    .out = "embedding",
    .examples = "audio-embed --folder /music --rejects broken.mp -o audio.mp tracks.mp\n"
                "audio-embed --seconds 30 tracks.mp | kmeans --modality audio --clusters 256 -o audio.cb\n",
    .opts = table,
    .uses = STAGE_THREADS,
};

struct job {
    struct rec *rec; /* owned */
    enum status st;  /* END for a track without audio_path */
    double seconds;
    struct err err;
    float vector[AUDIO_DIM];
};

struct work {
    struct stage *s;
    const struct options *o;
    struct audioembed **of_thread;
    struct job *job;
    uint64_t without;
    double seconds;
    FILE *nowhere;
};

/* The file's path into out, terminated. */
static enum status
path_of(struct buf *out, const struct options *o, const msgpack_object *track, struct err *err)
{
    struct str path, id;
    enum status st;

    out->n = 0;
    if (map_id(&id, track, "track_id", err) != OK)
        return DATA;
    if (!map_has(track, "audio_path"))
        return END;
    if (map_id(&path, track, "audio_path", err) != OK)
        return DATA;
    if (memchr(path.p, '\0', path.n) != NULL)
        return err_set(err, DATA, "audio_path: a path with a byte 0");
    if (path.p[0] != '/' && (st = buf_printf(out, err, "%s/", o->folder)) != OK)
        return st;
    return (st = buf_adds(out, path, err)) != OK ? st : buf_add(out, "", 1, err);
}

static void
run_job(struct job *j, struct audioembed *a, const struct options *o)
{
    struct buf path = {0};

    if ((j->st = path_of(&path, o, &j->rec->map, &j->err)) == OK &&
        (j->st = audioembed_file(j->vector, &j->seconds, a, path.p, &j->err)) == DATA)
        (void)err_context(&j->err, "audio_path");
    buf_free(&path);
}

static void
write_job(struct work *w, struct job *j)
{
    struct rec_writer *out = stage_out(w->s);
    struct str id;
    struct err err;

    if (j->st == END)
        w->without++;
    else if (j->st != OK)
        stage_reject_rec(w->s, j->rec, &j->err);
    else {
        cli_must(map_id(&id, &j->rec->map, "track_id", &err), &err);
        rec_begin(out);
        put_str(out, "track_id", id);
        put_text(out, "modality", modality_name[AUDIO]);
        put_vector(out, "vector", j->vector, AUDIO_DIM);
        cli_must(rec_end(out, &err), &err);
        w->seconds += j->seconds;
    }
    rec_free(j->rec);
}

/*
 * libmpg123 below libsndfile writes to stderr what it thinks of a broken file, and there is no telling it not to: while
 * files are read, and nothing of ours is said, stderr is another stream (glibc lets it be set).
 */
static void
run_batch(struct work *w, size_t n)
{
    FILE *ours = stderr;

    if (w->nowhere != NULL)
        stderr = w->nowhere;
#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads())
    for (size_t i = 0; i < n; i++)
        run_job(&w->job[i], w->of_thread[omp_get_thread_num()], w->o);
    stderr = ours;
    for (size_t i = 0; i < n; i++)
        write_job(w, &w->job[i]);
}

int
main(int argc, char **argv)
{
    struct options o;
    struct work w = {.s = stage_start(argc, argv, &program, &o), .o = &o, .nowhere = fopen("/dev/null", "w")};
    struct err err;
    size_t n = 0;

    num_init(stage_threads(w.s));
    w.job = calloc(BATCH, sizeof(*w.job));
    w.of_thread = calloc((size_t)num_threads(), sizeof(struct audioembed *));
    if (w.job == NULL || w.of_thread == NULL)
        cli_must(err_memory(&err), &err);
    for (int i = 0; i < num_threads(); i++)
        cli_must(audioembed_new(&w.of_thread[i], o.seconds, &err), &err);
    for (struct rec *r; (r = stage_next(w.s)) != NULL;) {
        cli_must(rec_keep(&w.job[n++].rec, r, &err), &err);
        if (n == BATCH) {
            run_batch(&w, n);
            n = 0;
        }
    }
    run_batch(&w, n);
    stage_tally(w.s, "without", w.without);
    stage_tally_real(w.s, "hours", w.seconds / 3600);
    for (int i = 0; i < num_threads(); i++)
        audioembed_free(w.of_thread[i]);
    if (w.nowhere != NULL)
        (void)fclose(w.nowhere);
    free(w.of_thread);
    free(w.job);
    return stage_finish(w.s);
}
