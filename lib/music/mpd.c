/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpd - slices of the Million Playlist Dataset, and its challenge set, as playlist and track records.
 *
 * Source: Chen, Lamere, Schedl, Zamani, "RecSys Challenge 2018: Automatic Music Playlist Continuation" (RecSys 2018),
 * and the dataset's own README. A slice is {"info": {"slice": "0-999"}, "playlists": [...]}. Found in it or in files
 * like it: descriptions in under 2 % of playlists, collaborative as a string, tracks that come twice. Asked of a
 * playlist are a pid and tracks, of an entry a track_uri. All else may be missing; what is there must have its type.
 * Claims that do not hold (counts, the range of pids) are warned of and counted, never believed.
 *
 * Time: two looks at each byte, mpdscan's and simdjson's. Memory: one slice, and the distinct track ids if tracks are
 * wanted.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "mpdlist.h"
#include "mpdscan.h"

struct mpd {
    struct json_parser *parser;
    struct rec_writer *playlists, *tracks;
    struct ids *seen; /* tracks written */
    void (*warn)(void *arg, const char *text);
    void *arg;
    struct mpd_counts count;
    struct mpdscan scan;
    struct mpd_list list; /* the playlist at hand */
    bool walking;         /* within the playlists of the scan's document */
    bool ranged;          /* lo and hi are what the document says of its pids, or the file's name */
    uint64_t lo, hi;
    uint64_t number;   /* playlists of the file so far */
    uint64_t document; /* of them, those of earlier documents */
};

enum status
mpd_new(struct mpd **out, struct rec_writer *playlists, struct rec_writer *tracks,
    void (*warn)(void *arg, const char *text), void *arg, struct err *err)
{
    struct mpd *m = calloc(1, sizeof(*m));
    enum status st;

    *out = NULL;
    if (m == NULL)
        return err_memory(err);
    m->playlists = playlists;
    m->tracks = tracks;
    m->warn = warn;
    m->arg = arg;
    if ((st = json_parser_new(&m->parser, err)) != OK || (st = ids_new(&m->seen, err)) != OK) {
        mpd_free(m);
        return st;
    }
    *out = m;
    return OK;
}

void
mpd_free(struct mpd *m)
{
    if (m == NULL)
        return;
    json_parser_free(m->parser);
    ids_free(m->seen);
    mpdscan_free(&m->scan);
    mpdlist_free(&m->list);
    free(m);
}

const struct mpd_counts *
mpd_counts(const struct mpd *m)
{
    return &m->count;
}

/* ---- claims ---- */

__attribute__((format(printf, 2, 3))) static void
warn(struct mpd *m, const char *fmt, ...)
{
    char text[400];
    struct err err;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    (void)err_set(&err, DATA, "%s: %s", m->scan.name, text); /* which makes control characters visible */
    m->warn(m->arg, err.text);
}

/* "10000-10999" at the end of s (whole: and nothing before it). */
static bool
read_range(uint64_t *lo, uint64_t *hi, struct str s)
{
    uint64_t x[2] = {0, 0};
    int digits[2] = {0, 0}, field = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '-' && field == 0) {
            field = 1;
        } else if (s.p[i] >= '0' && s.p[i] <= '9' && digits[field] < 18) {
            x[field] = x[field] * 10 + (uint64_t)(s.p[i] - '0');
            digits[field]++;
        } else {
            return false;
        }
    }
    *lo = x[0];
    *hi = x[1];
    return digits[0] > 0 && digits[1] > 0 && x[0] <= x[1];
}

/* The range of a file named mpd.slice.N-M.json. */
static bool
range_of_name(uint64_t *lo, uint64_t *hi, const char *name)
{
    static const char head[] = "mpd.slice.", tail[] = ".json";
    const char *base = strrchr(name, '/') != NULL ? strrchr(name, '/') + 1 : name;
    size_t n = strlen(base);

    if (n < sizeof(head) + sizeof(tail) || strncmp(base, head, sizeof(head) - 1) != 0 ||
        strcmp(base + n - (sizeof(tail) - 1), tail) != 0)
        return false;
    return read_range(lo, hi, (struct str){base + sizeof(head) - 1, n - (sizeof(head) - 1) - (sizeof(tail) - 1)});
}

/* The range that a document gives its pids: {"slice": "0-999"}. */
static void
read_info(struct mpd *m, struct json info)
{
    struct json slice;

    if (json_type(info) != JSON_OBJECT || !json_get(&slice, info, "slice"))
        return;
    if (json_type(slice) == JSON_STRING && read_range(&m->lo, &m->hi, json_str(slice))) {
        m->ranged = true;
    } else {
        m->count.wrong_counts++;
        warn(m, "info.slice: expected two numbers such as \"0-999\"");
    }
}

/* Behind the playlists of a document: were there as many as it says? */
static void
check_range(struct mpd *m)
{
    uint64_t n = m->number - m->document;

    if (m->ranged && n != m->hi - m->lo + 1) {
        m->count.wrong_counts++;
        warn(m, "%llu-%llu are %llu playlists, there are %llu", (unsigned long long)m->lo, (unsigned long long)m->hi,
            (unsigned long long)(m->hi - m->lo + 1), (unsigned long long)n);
    }
}

static void
check_count(struct mpd *m, const struct mpd_list *p, const char *key, int64_t claim, uint64_t there)
{
    if (claim < 0 || (uint64_t)claim == there)
        return;
    m->count.wrong_counts++;
    warn(m, "playlist %s: %s says %lld, there are %llu", p->id, key, (long long)claim, (unsigned long long)there);
}

/* In the challenge set part of the tracks are held out: num_tracks counts them, the other counts cannot be checked. */
static enum status
check_claims(struct mpd *m, struct mpd_list *p, struct err *err)
{
    uint64_t held = p->holdouts > 0 ? (uint64_t)p->holdouts : 0, there;
    enum status st = OK;

    check_count(m, p, "num_samples", p->samples, p->n);
    check_count(m, p, "num_tracks", p->n_tracks, p->n + held);
    if (held == 0 && p->n_albums >= 0 && (st = mpdlist_albums(&there, p, err)) == OK)
        check_count(m, p, "num_albums", p->n_albums, there);
    if (st == OK && held == 0 && p->n_artists >= 0 && (st = mpdlist_artists(&there, p, err)) == OK)
        check_count(m, p, "num_artists", p->n_artists, there);
    if (m->ranged && (p->pid < m->lo || p->pid > m->hi)) {
        m->count.outside++;
        warn(m, "playlist %s: outside the file's %llu-%llu", p->id, (unsigned long long)m->lo,
            (unsigned long long)m->hi);
    }
    return st;
}

/* ---- records ---- */

static enum status
put_playlist(struct rec_writer *w, const struct mpd_list *p, struct err *err)
{
    rec_begin(w);
    put_text(w, "playlist_id", p->id);
    if (p->has_name)
        put_str(w, "name", p->name);
    if (p->has_description)
        put_str(w, "description", p->description);
    if (p->has_collaborative)
        put_bool(w, "collaborative", p->collaborative);
    if (p->has_modified)
        put_i64(w, "modified_at", p->modified_at);
    if (p->followers >= 0)
        put_i64(w, "num_followers", p->followers);
    if (p->holdouts >= 0)
        put_i64(w, "num_holdouts", p->holdouts);
    put_array(w, "tracks");
    for (size_t i = 0; i < p->n; i++)
        put_str(w, NULL, p->entry[i].id);
    put_close(w);
    return rec_end(w, err);
}

static enum status
put_track(struct mpd *m, const struct mpd_entry *e, struct err *err)
{
    struct rec_writer *w = m->tracks;

    m->count.tracks++;
    m->count.untitled += !e->titled;
    rec_begin(w);
    put_str(w, "track_id", e->id);
    put_str(w, "title", e->title);
    put_str(w, "artist", e->artist);
    put_str(w, "album", e->album);
    if (e->duration_ms > 0) /* 0 stands for not known */
        put_i64(w, "duration_ms", e->duration_ms);
    return rec_end(w, err);
}

/* Tracks that no playlist before had. They are numbered in their order. */
static enum status
put_new_tracks(struct mpd *m, const struct mpd_list *p, struct err *err)
{
    for (size_t from = 0, some; from < p->n; from += some) {
        struct str id[IDS_TOGETHER];
        uint32_t index[IDS_TOGETHER], next = ids_count(m->seen);
        enum status st;

        some = p->n - from < IDS_TOGETHER ? p->n - from : IDS_TOGETHER;
        for (size_t i = 0; i < some; i++)
            id[i] = p->entry[from + i].id;
        st = ids_add_many(index, m->seen, id, some, err);
        for (size_t i = 0; i < some && st == OK; i++)
            if (index[i] == next) {
                next++;
                st = put_track(m, &p->entry[from + i], err);
            }
        if (st != OK)
            return st;
    }
    return OK;
}

enum status
mpd_write(struct mpd *m, const struct mpd_playlist *text, struct err *err)
{
    struct mpd_list *p = &m->list;
    struct json root;
    enum status st;

    if ((st = json_parse_padded(&root, m->parser, text->text.p, text->text.n, err)) != OK ||
        (st = mpdlist_get(p, root, err)) != OK || (st = check_claims(m, p, err)) != OK ||
        (st = put_playlist(m->playlists, p, err)) != OK)
        return st;
    m->count.playlists++;
    m->count.entries += p->n;
    return m->tracks == NULL ? OK : put_new_tracks(m, p, err);
}

/* ---- files ---- */

void
mpd_open(struct mpd *m, FILE *f, const char *name)
{
    mpdscan_open(&m->scan, f, name);
    m->walking = false;
    m->number = m->document = 0;
}

/* Keys of a document that mean something, each once. */
enum member { OTHER, INFO, PLAYLISTS };

static enum status
member_of(enum member *what, struct mpd *m, struct str key, struct err *err)
{
    struct json v;
    enum status st = json_parse(&v, m->parser, key.p, key.n, err);

    *what = st != OK                                ? OTHER
            : str_eq(json_str(v), STR("playlists")) ? PLAYLISTS
            : str_eq(json_str(v), STR("info"))      ? INFO
                                                    : OTHER;
    return st == DATA ? mpdscan_context(&m->scan, (size_t)(key.p - m->scan.text.p), err) : st;
}

/* Reads the members of the document's object and starts on its playlists. */
static enum status
start_document(struct mpd *m, struct err *err)
{
    struct str key, value, playlists = {NULL, 0};
    enum member what;
    bool informed = false;
    size_t at = 0;
    enum status st;

    m->ranged = range_of_name(&m->lo, &m->hi, m->scan.name);
    m->document = m->number;
    while ((st = mpdscan_member(&key, &value, &at, &m->scan, err)) == OK) {
        size_t begin = (size_t)(value.p - m->scan.text.p);
        struct json v;
        if ((st = member_of(&what, m, key, err)) != OK)
            return st;
        if (what == PLAYLISTS && playlists.p == NULL) {
            if (value.p[0] != '[') {
                (void)err_set(err, DATA, "playlists: expected an array");
                return mpdscan_context(&m->scan, begin, err);
            }
            playlists = value;
            continue;
        }
        if ((st = json_parse(&v, m->parser, value.p, value.n, err)) != OK)
            return st == DATA ? mpdscan_context(&m->scan, begin, err) : st;
        if (what == INFO && !informed)
            read_info(m, v);
        informed = informed || what == INFO;
    }
    if (st != END)
        return st;
    if (playlists.p == NULL) {
        (void)err_set(err, DATA, "playlists: missing");
        return mpdscan_context(&m->scan, 0, err);
    }
    mpdscan_array(&m->scan, playlists);
    m->walking = true;
    return OK;
}

enum status
mpd_next(struct mpd_playlist *p, struct mpd *m, struct err *err)
{
    enum status st;

    for (;;) {
        if (!m->walking && ((st = mpdscan_document(&m->scan, err)) != OK || (st = start_document(m, err)) != OK))
            return st;
        if ((st = mpdscan_element(&p->text, &m->scan, err)) == OK)
            break;
        if (st != END)
            return st;
        check_range(m);
        m->walking = false;
    }
    p->number = ++m->number;
    p->byte = m->scan.offset + (uint64_t)(p->text.p - m->scan.text.p);
    return OK;
}
