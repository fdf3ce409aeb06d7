/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpd-parse - slices of the Million Playlist Dataset as playlist and track records.
 *
 * A pure map over files, but for --tracks, which writes each distinct track once a run. Memory and
 * time: see lib/music/mpd.c.
 */

#include "music/music.h"

#define MAX_WARNINGS 20 /* lines; past them claims are only counted, unless -v asks for all */

struct options {
    const char *tracks;
};

static const struct opt table[] = {
    OPT_STR(0, "tracks", struct options, tracks, "FILE", NULL, "write a track record for each distinct track there"),
    OPT_END,
};

static const struct program program = {
    .name = "mpd-parse",
    .purpose = "turn slices of the Million Playlist Dataset into records",
    .operands = "[SLICE...]",
    .in = "JSON slices",
    .out = "playlist, track",
    .examples = "mpd-parse --tracks tracks.mp -o playlists.mp data/mpd.slice.*.json\n"
                "xzcat slices.json.xz | mpd-parse | mp2json | jq -r .name | sort | uniq -c | sort -rn\n",
    .opts = table,
    .uses = STAGE_RAW_IN,
};

struct warnings {
    uint64_t n;
    bool all;
};

static void
warn(void *arg, const char *text)
{
    struct warnings *w = arg;

    w->n++;
    if (w->all || w->n <= MAX_WARNINGS)
        cli_note("%s", text);
    else if (w->n == MAX_WARNINGS + 1)
        cli_note("more claims that do not hold are only counted; -v shows all");
}

/* Sets p aside. Strings of records are UTF-8: where p is not, its bytes above ASCII become '?'. */
static void
reject(struct stage *s, const char *file, const struct mpd_playlist *p, const struct err *why)
{
    struct buf quoted = {0}, ascii = {0};
    struct str text = p->text;
    struct err err;
    enum status st = json_quote(&quoted, text, &err);

    if (st == DATA && (st = buf_adds(&ascii, text, &err)) == OK) {
        for (size_t i = 0; i < ascii.n; i++)
            if ((unsigned char)ascii.p[i] >= 0x80)
                ascii.p[i] = '?';
        text = (struct str){ascii.p, ascii.n};
    }
    cli_must(st, &err);
    stage_reject_text(s, file, p->number, p->byte, text, why);
    buf_free(&quoted);
    buf_free(&ascii);
}

/* false when *left, the playlists until --limit, is used up. */
static bool
parse_file(uint64_t *left, struct stage *s, struct mpd *m, FILE *f, const char *name)
{
    struct mpd_playlist p;
    enum status st = OK;
    struct err err;

    mpd_open(m, f, name);
    while (*left > 0 && (st = mpd_next(&p, m, &err)) == OK) {
        --*left;
        stage_count_in(s, 1, p.text.n);
        if ((st = mpd_write(m, &p, &err)) != OK && st != DATA)
            cli_die(&err);
        if (st == DATA)
            reject(s, name, &p, &err);
    }
    cli_must(st == END ? OK : st, &err);
    return *left > 0;
}

static void
tally(struct stage *s, const struct mpd_counts *c, bool tracks)
{
    stage_tally(s, "entries", c->entries);
    if (tracks) {
        stage_tally(s, "tracks", c->tracks);
        stage_tally(s, "untitled", c->untitled);
    }
    stage_tally(s, "wrong_counts", c->wrong_counts);
    stage_tally(s, "outside", c->outside);
}

int
main(int argc, char **argv)
{
    struct options o;
    struct stage *s = stage_start(argc, argv, &program, &o);
    struct warnings warnings = {0, stage_verbose(s)};
    struct rec_writer *tracks = NULL;
    struct mpd *m = NULL;
    uint64_t left = stage_limit(s);
    const char *name;
    struct err err;

    if (o.tracks != NULL)
        cli_must(rec_create(&tracks, o.tracks, &err), &err);
    cli_must(mpd_new(&m, stage_out(s), tracks, warn, &warnings, &err), &err);
    for (FILE *f; (f = stage_input(&name, s)) != NULL && parse_file(&left, s, m, f, name);)
        ;
    if (tracks != NULL)
        cli_must(rec_commit(tracks, &err), &err);
    tally(s, mpd_counts(m), o.tracks != NULL);
    mpd_free(m);
    return stage_finish(s);
}
