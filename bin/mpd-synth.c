/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpd-synth - playlists in the layout of the Million Playlist Dataset whose truth is known.
 *
 * Method, time and memory: lib/music/mpdsynth.c, world.c and worldlist.c.
 */
#include <sys/stat.h>

#include "music/music.h"
#include "num/num.h"

struct options {
    const char *audio, *dir, *tracks, *truth;
    int64_t catalogue, dim, first, genres, lyrics, moods, playlists;
};

static const struct opt table[] = {
    OPT_STR(0, "audio", struct options, audio, "FILE", NULL, "write an embedding of modality audio a track there"),
    OPT_INT(0, "catalogue", struct options, catalogue, "N", "4000000", WORLD_TRACKS_MIN, WORLD_TRACKS_MAX,
        "tracks that there are to draw from"),
    OPT_INT(0, "dim", struct options, dim, "N", "64", 1, 65536, "numbers of an --audio vector"),
    OPT_STR(0, "dir", struct options, dir, "DIR", NULL, "write a file a slice into this folder, and no main output"),
    OPT_INT(0, "first", struct options, first, "PID", "0", 0, INT64_C(1) << 50, "pid of the first playlist"),
    OPT_INT(0, "genres", struct options, genres, "N", "64", 1, WORLD_GENRES, "latent genres"),
    OPT_INT(0, "lyrics", struct options, lyrics, "N", "60", 0, 100000, "words of a track's lyrics, about; 0 for none"),
    OPT_INT(0, "moods", struct options, moods, "N", "8", 1, WORLD_MOODS, "latent moods"),
    OPT_INT('n', "playlists", struct options, playlists, "N", "1000", 0, INT64_C(1) << 50, "playlists to draw"),
    OPT_STR(0, "tracks", struct options, tracks, "FILE", NULL, "write a record a track of the playlists there"),
    OPT_STR(0, "truth", struct options, truth, "FILE", NULL, "write the latent classes of playlists and tracks there"),
    OPT_END,
};

static const struct program program = {
    .name = "mpd-synth",
    .purpose = "draw playlists of known truth in the layout of the Million Playlist Dataset",
    .operands = "",
    .in = "none",
    .out = "JSON slices; track, embedding, truth",
    .examples = "mpd-synth -n 100000 --dir slices --tracks tracks.mp --audio audio.mp --truth truth.mp\n"
                "mpd-synth -n 5000 --seed 2 | mpd-parse | mp2json | jq -r .name | sort | uniq -c | sort -rn\n",
    .opts = table,
    .uses = STAGE_SEED | STAGE_THREADS | STAGE_TEXT_OUT | STAGE_NO_IN,
};

static void
must_be_folder(const char *dir)
{
    struct stat sb;
    struct err err;

    if (stat(dir, &sb) != 0) {
        (void)err_errno(&err, NOCREATE, "%s", dir);
        cli_die(&err);
    }
    if (!S_ISDIR(sb.st_mode)) {
        (void)err_set(&err, NOCREATE, "%s: not a folder", dir);
        cli_die(&err);
    }
}

static void
must_be_alone(struct stage *s)
{
    char **path;
    struct err err;

    if (stage_operands(&path, s) > 0) {
        (void)err_set(&err, USAGE, "%s: it reads nothing; usage: mpd-synth [options] (try --help)", path[0]);
        cli_die(&err);
    }
}

static struct rec_writer *
create(const char *path)
{
    struct rec_writer *w = NULL;
    struct err err;

    if (path != NULL)
        cli_must(rec_create(&w, path, &err), &err);
    return w;
}

static void
commit(struct rec_writer *w)
{
    struct err err;

    if (w != NULL)
        cli_must(rec_commit(w, &err), &err);
}

struct shown {
    struct stage *stage;
    uint64_t total;
};

static void
show(void *arg, uint64_t playlists)
{
    const struct shown *shown = arg;

    stage_progress(shown->stage, playlists, shown->total, "playlists", NULL);
}

int
main(int argc, char **argv)
{
    struct options o;
    struct stage *s = stage_start(argc, argv, &program, &o);
    uint64_t limit = stage_limit(s), n = (uint64_t)o.playlists < limit ? (uint64_t)o.playlists : limit;
    struct mpdsynth_options how = {.seed = stage_seed(s),
        .first = (uint64_t)o.first,
        .n = n,
        .tracks = (size_t)o.catalogue,
        .genres = (size_t)o.genres,
        .moods = (size_t)o.moods,
        .lyrics = (size_t)o.lyrics,
        .dim = (size_t)o.dim,
        .dir = o.dir};
    struct mpdsynth_out out = {.json = o.dir == NULL ? stage_out(s) : NULL};
    struct mpdsynth_counts count;
    struct shown shown = {s, n};
    struct err err;

    num_init(stage_threads(s));
    must_be_alone(s);
    if (o.dir != NULL)
        must_be_folder(o.dir);
    out.tracks = create(o.tracks);
    out.audio = create(o.audio);
    out.truth = create(o.truth);
    cli_must(mpdsynth_run(&count, &how, &out, show, &shown, &err), &err);
    commit(out.tracks);
    commit(out.audio);
    commit(out.truth);
    rec_count(stage_out(s), count.playlists);
    stage_tally(s, "slices", count.slices);
    stage_tally(s, "entries", count.entries);
    stage_tally(s, "tracks", count.tracks);
    return stage_finish(s);
}
