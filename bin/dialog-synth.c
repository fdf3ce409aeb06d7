/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dialog-synth - conversations about playlists, simulated (lib/text/synth.c has the method, memory and cost).
 */
#include "text/text.h"

struct options {
    double cover, dialogs, roam;
    const char *frames, *tracks;
};

static const struct opt table[] = {
    OPT_REAL(0, "cover", struct options, cover, "N", "0", 0, 10000,
        "instead of --dialogs: ask for each track of a playlist about N times"),
    OPT_REAL(0, "dialogs", struct options, dialogs, "N", "1", 0, 4096, "dialogues a playlist, a fraction by chance"),
    OPT_REAL(0, "roam", struct options, roam, "P", "0", 0, 1,
        "share of dialogues whose users name one artist or title after another"),
    OPT_NEED(0, "frames", struct options, frames, "FILE", "frame records: how people word things"),
    OPT_NEED(0, "tracks", struct options, tracks, "FILE", "track records: the catalogue"),
    OPT_END,
};

static const struct program program = {
    .name = "dialog-synth",
    .purpose = "simulate conversations about playlists",
    .operands = "[FILE...]",
    .in = "playlist",
    .out = "dialog",
    .examples = "dialog-synth --frames frames.mp --tracks tracks.mp -o dialogs.mp playlists.mp\n"
                "dialog-synth --cover 2 --frames frames.mp --tracks tracks.mp playlists.mp | mp2json\n",
    .opts = table,
    .uses = STAGE_SEED,
};

int
main(int argc, char **argv)
{
    struct options o = {0};
    struct stage *s = stage_start(argc, argv, &program, &o);
    struct synth_options how = {stage_seed(s), o.dialogs, o.cover, o.roam};
    struct synth *synth = NULL;
    struct synth_counts n;
    struct err err;

    cli_must(synth_new(&synth, o.tracks, o.frames, &how, &err), &err);
    for (struct rec *r; (r = stage_next(s)) != NULL;)
        if (synth_playlist(stage_out(s), synth, r, &err) != OK)
            stage_reject(s, &err);
    n = synth_counts(synth);
    stage_tally(s, "frames", synth_frames(synth));
    stage_tally(s, "turns", n.turns);
    stage_tally(s, "rejections", n.rejections);
    stage_tally(s, "skipped", n.skipped);
    synth_free(synth);
    return stage_finish(s);
}
