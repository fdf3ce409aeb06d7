/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed-join - the embeddings of a track in one record. Method and cost: lib/music/join.c.
 */
#include "music/music.h"

struct options {
    struct opt_list embeddings;
    bool hold;
};

static const struct opt table[] = {
    OPT_LIST(
        'e', "embedding", struct options, embeddings, "FILE", "embedding records of one modality; one file a modality"),
    OPT_FLAG(0, "hold", struct options, hold,
        "read embeddings into memory: any order, and those of other tracks are left over"),
    OPT_END,
};

static const struct program program = {
    .name = "embed-join",
    .purpose = "join the embeddings of each track",
    .operands = "[TRACKS...]",
    .in = "track, embedding",
    .out = "joined",
    .examples = "embed-join -e playlist.mp -e semantic.mp -e metadata.mp -o joined.mp tracks.mp\n"
                "embed-join --hold -e playlist.mp tracks.mp | mp2json | jq -r 'select(.playlist).track_id'\n",
    .opts = table,
};

int
main(int argc, char **argv)
{
    struct options o;
    struct stage *s = stage_start(argc, argv, &program, &o);
    struct joiner *joiner = NULL;
    uint64_t left_over;
    struct err err;

    if (o.embeddings.n == 0) {
        (void)err_set(&err, USAGE, "--embedding must be given");
        cli_die(&err);
    }
    cli_must(joiner_new(&joiner, o.embeddings.item, o.embeddings.n, o.hold, &err), &err);
    for (struct rec *r; (r = stage_next(s)) != NULL;)
        if (joiner_check(&r->map, &err) != OK)
            stage_reject(s, &err);
        else
            cli_must(joiner_write(stage_out(s), joiner, &r->map, &err), &err);
    if (stage_limit(s) == UINT64_MAX) {
        cli_must(joiner_end(&left_over, joiner, &err), &err);
        stage_tally(s, "left_over", left_over);
    }
    joiner_free(joiner);
    return stage_finish(s);
}
