/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpd-split - training, validation and test playlists; cold tracks; each track once.
 *
 * The playlists are read twice: the test sample is known only behind the last of them. Memory and
 * time: see lib/music/split.c.
 */
#include <string.h>
#include <sys/stat.h>

#include "music/music.h"

struct options {
    const char *date, *tracks_out;
    struct opt_list tracks;
    int64_t days, test;
    double valid;
};

static const struct opt table[] = {
    OPT_STR(
        0, "date", struct options, date, "YYYY-MM-DD", NULL, "day (UTC) of the test playlists, not the last there is"),
    OPT_INT(0, "days", struct options, days, "N", "1", 1, 100000,
        "that --date and the days before it make the test's time"),
    OPT_INT(0, "test", struct options, test, "N", "1000", 0, 100000000, "playlists in the test sample, at most"),
    OPT_LIST(0, "tracks", struct options, tracks, "FILE", "track records; may be given many times"),
    OPT_STR(0, "tracks-out", struct options, tracks_out, "FILE", NULL, "write each track once, with cold, there"),
    OPT_REAL(0, "valid", struct options, valid, "SHARE", "0.05", 0, 1, "of the playlists that are not tested"),
    OPT_END,
};

static const struct program program = {
    .name = "mpd-split",
    .purpose = "split playlists by time into training, validation and test",
    .operands = "PLAYLISTS...",
    .in = "playlist, track",
    .out = "playlist, track",
    .examples = "mpd-split --tracks tracks.mp --tracks-out all.mp -o playlists.mp part-*.mp\n"
                "mpd-split --date 2017-10-31 --test 500 part-*.mp | mp2json | jq -r .split | sort | uniq -c\n",
    .opts = table,
    .uses = STAGE_SEED,
};

/* Both passes must see the same bytes. */
static void
must_be_files(struct stage *s)
{
    char **path;
    int n = stage_operands(&path, s);
    struct stat sb;
    struct err err;

    for (int i = 0; i < n; i++) {
        if (strcmp(path[i], "-") == 0) {
            (void)err_set(&err, USAGE, "the playlists are read twice: name files, not stdin");
            cli_die(&err);
        }
        if (stat(path[i], &sb) == 0 && !S_ISREG(sb.st_mode)) {
            (void)err_set(&err, USAGE, "%s: the playlists are read twice: expected a file, not a pipe", path[i]);
            cli_die(&err);
        }
    }
}

struct first_pass {
    struct splitter *splitter;
    uint64_t left; /* records until --limit */
};

/* A bad playlist is left to the second pass, which ends there or sets it aside. */
static enum status
see(void *arg, const struct rec *rec, struct err *err)
{
    struct first_pass *pass = arg;
    enum status st;

    if (pass->left == 0)
        return END;
    pass->left--;
    st = split_see(pass->splitter, &rec->map, err);
    return st == DATA ? OK : st;
}

/* The day of the test sample, and how large the sample could be. */
static void
first_pass(struct stage *s, struct splitter *splitter, const struct options *o)
{
    struct first_pass pass = {splitter, stage_limit(s)};
    char **path, day_text[64];
    int n = stage_operands(&path, s);
    uint64_t seen;
    struct err err;
    int64_t day;

    for (int i = 0; i < n; i++) {
        enum status st = rec_each(path[i], see, &pass, &err);
        if (st == END)
            break;
        cli_must(st, &err);
    }
    seen = stage_limit(s) - pass.left;
    if (seen == 0 || o->test == 0)
        return;
    if (!split_settle(&day, splitter)) {
        cli_note("no playlist has modified_at: the test split is empty");
        return;
    }
    split_day_text(day_text, day);
    if (split_counts(splitter)->candidates == 0) {
        (void)err_set(&err, DATA, "no playlist was modified on %s", day_text);
        cli_die(&err);
    }
    if (split_counts(splitter)->candidates < (uint64_t)o->test)
        cli_note("%llu playlists were modified on %s, fewer than --test %lld",
            (unsigned long long)split_counts(splitter)->candidates, day_text, (long long)o->test);
    else if (stage_verbose(s))
        cli_note("testing %lld of the %llu playlists modified on %s", (long long)o->test,
            (unsigned long long)split_counts(splitter)->candidates, day_text);
}

struct tracks_pass {
    struct rec_writer *out;
    struct splitter *splitter;
    struct stage *stage;
};

static enum status
write_track(void *arg, const struct rec *rec, struct err *err)
{
    struct tracks_pass *pass = arg;
    enum status st = split_track(pass->out, pass->splitter, &rec->map, err);

    if (st == DATA)
        stage_reject_rec(pass->stage, rec, err);
    return st == DATA ? OK : st;
}

static void
write_tracks(struct stage *s, struct splitter *splitter, struct rec_writer *out, const struct options *o)
{
    struct tracks_pass pass = {out, splitter, s};
    struct err err;

    for (size_t i = 0; i < o->tracks.n; i++)
        cli_must(rec_each(o->tracks.item[i], write_track, &pass, &err), &err);
}

static void
tally(struct stage *s, const struct split_counts *c)
{
    for (int i = 0; i < SPLITS; i++)
        stage_tally(s, split_name[i], c->playlists[i]);
    stage_tally(s, "undated", c->undated);
    stage_tally(s, "tracks", c->tracks);
    stage_tally(s, "cold", c->cold);
    stage_tally(s, "repeated_tracks", c->repeated);
}

int
main(int argc, char **argv)
{
    struct options o;
    struct stage *s = stage_start(argc, argv, &program, &o);
    struct split_options how = {
        .seed = stage_seed(s), .test = (size_t)o.test, .valid = o.valid, .days = o.days, .has_day = o.date != NULL};
    struct splitter *splitter = NULL;
    struct rec_writer *tracks = NULL;
    struct err err;

    if (o.date != NULL && split_day(&how.day, o.date, &err) != OK) {
        (void)err_context(&err, "--date");
        cli_die(&err);
    }
    if (o.date == NULL && o.days > 1) {
        (void)err_set(&err, USAGE, "--days needs --date: the last day is known only behind the last playlist");
        cli_die(&err);
    }
    if ((o.tracks.n > 0) != (o.tracks_out != NULL)) {
        (void)err_set(&err, USAGE, "--tracks and --tracks-out go together");
        cli_die(&err);
    }
    must_be_files(s);
    if (o.tracks_out != NULL)
        cli_must(rec_create(&tracks, o.tracks_out, &err), &err);
    cli_must(split_new(&splitter, &how, &err), &err);
    first_pass(s, splitter, &o);
    for (struct rec *r; (r = stage_next(s)) != NULL;)
        if (split_playlist(stage_out(s), splitter, &r->map, &err) != OK)
            stage_reject(s, &err);
    if (tracks != NULL) {
        write_tracks(s, splitter, tracks, &o);
        cli_must(rec_commit(tracks, &err), &err);
    }
    tally(s, split_counts(splitter));
    split_free(splitter);
    return stage_finish(s);
}
