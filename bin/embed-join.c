/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed-join - the embeddings of a track in one record. Method and cost: lib/music/join.c.
 */
#include "music/music.h"

struct options {
    struct opt_list embeddings;
    const char *left_over;
    bool hold;
};

static const struct opt table[] = {
    OPT_LIST(
        'e', "embedding", struct options, embeddings, "FILE", "embedding records of one modality; one file a modality"),
    OPT_FLAG(0, "hold", struct options, hold, "read the vectors into memory: FILE may be a pipe"),
    OPT_STR(0, "left-over", struct options, left_over, "FILE", NULL, "write the embeddings that are of no track"),
    OPT_END,
};

static const struct program program = {
    .name = "embed-join",
    .purpose = "join the embeddings of each track",
    .operands = "[TRACKS...]",
    .in = "track, embedding",
    .out = "joined",
    .examples = "embed-join -e playlist.mp -e semantic.mp -e metadata.mp -o joined.mp tracks.mp\n"
                "embed-join --hold -e <(zstdcat playlist.mp.zst) tracks.mp | mp2json | "
                "jq -r 'select(.playlist).track_id'\n",
    .opts = table,
};

struct job {
    struct stage *stage;
    struct joiner *joiner;
};

static void
set_aside(void *arg, const struct rec *rec, const struct err *why)
{
    const struct job *job = arg;

    stage_reject_rec(job->stage, rec, why);
}

/* The embeddings that no track has asked for: counted, and written where they are wanted. */
static void
finish(struct job *job, struct rec_writer *left)
{
    struct err err;

    if (stage_limit(job->stage) == UINT64_MAX)
        stage_tally(job->stage, "left_over", joiner_left_over(job->joiner));
    stage_tally(job->stage, "twice", joiner_twice(job->joiner));
    if (left != NULL) {
        cli_must(joiner_write_left(left, job->joiner, &err), &err);
        cli_must(rec_commit(left, &err), &err);
    }
}

int
main(int argc, char **argv)
{
    struct options o;
    struct job job = {.stage = stage_start(argc, argv, &program, &o)};
    struct rec_writer *left = NULL;
    struct err err;

    if (o.embeddings.n == 0 || (o.hold && o.left_over != NULL)) {
        (void)err_set(&err, USAGE,
            o.embeddings.n == 0 ? "--embedding must be given" : "--left-over reads by position: not with --hold");
        cli_die(&err);
    }
    if (o.left_over != NULL)
        cli_must(rec_create(&left, o.left_over, &err), &err);
    cli_must(joiner_new(&job.joiner, o.embeddings.item, o.embeddings.n, o.hold,
                 stage_rejects(job.stage) ? set_aside : NULL, &job, &err),
        &err);
    for (struct rec *r; (r = stage_next(job.stage)) != NULL;)
        if (joiner_check(job.joiner, &r->map, &err) != OK)
            stage_reject(job.stage, &err);
        else
            cli_must(joiner_write(stage_out(job.stage), job.joiner, &r->map, &err), &err);
    finish(&job, left);
    joiner_free(job.joiner);
    return stage_finish(job.stage);
}
