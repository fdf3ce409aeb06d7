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
 * Time: two looks at each byte, one of them simdjson's. Memory: one slice, and the distinct track ids if tracks are
 * wanted.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "mpdscan.h"

struct mpd {
    struct json_parser *parser;
    struct rec_writer *playlists, *tracks;
    struct ids *seen; /* tracks written */
    void (*warn)(void *arg, const char *text);
    void *arg;
    struct mpd_counts count;
    struct mpdscan scan;
    bool walking; /* within the playlists of the scan's document */
    bool ranged;  /* lo and hi are what the document says of its pids, or the file's name */
    uint64_t lo, hi;
    uint64_t number;   /* playlists of the file so far */
    uint64_t document; /* of them, those of earlier documents */
};

/* What a playlist says, once its types are known to be right. Zero length or negative where it is missing. */
struct playlist {
    struct json root, tracks;
    char id[24];
    uint64_t pid;
    bool has_name, has_description, has_collaborative, has_modified, collaborative;
    struct str name, description;
    int64_t modified_at, followers, holdouts, samples, n_tracks, n_albums, n_artists;
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
    buf_free(&m->scan.buf);
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
check_count(struct mpd *m, const struct playlist *p, const char *key, int64_t claim, uint64_t there)
{
    if (claim < 0 || (uint64_t)claim == there)
        return;
    m->count.wrong_counts++;
    warn(m, "playlist %s: %s says %lld, there are %llu", p->id, key, (long long)claim, (unsigned long long)there);
}

/* How many distinct strings the entries have under key. */
static enum status
count_distinct(uint64_t *n, const struct playlist *p, const char *key, struct err *err)
{
    struct ids *ids = NULL;
    enum status st = ids_new(&ids, err);

    for (struct json_iter it = json_iter(p->tracks); st == OK && json_next(&it);) {
        struct json uri;
        uint32_t index;
        if (json_get(&uri, it.value, key) && json_type(uri) == JSON_STRING)
            st = ids_add(&index, ids, json_str(uri), err);
    }
    *n = st == OK ? ids_count(ids) : 0;
    ids_free(ids);
    return st;
}

/* In the challenge set part of the tracks are held out: num_tracks counts them, the other counts cannot be checked. */
static enum status
check_claims(struct mpd *m, const struct playlist *p, struct err *err)
{
    uint64_t n = json_size(p->tracks), held = p->holdouts > 0 ? (uint64_t)p->holdouts : 0, there;
    enum status st = OK;

    check_count(m, p, "num_samples", p->samples, n);
    check_count(m, p, "num_tracks", p->n_tracks, n + held);
    if (held == 0 && p->n_albums >= 0 && (st = count_distinct(&there, p, "album_uri", err)) == OK)
        check_count(m, p, "num_albums", p->n_albums, there);
    if (st == OK && held == 0 && p->n_artists >= 0 && (st = count_distinct(&there, p, "artist_uri", err)) == OK)
        check_count(m, p, "num_artists", p->n_artists, there);
    if (m->ranged && (p->pid < m->lo || p->pid > m->hi)) {
        m->count.outside++;
        warn(m, "playlist %s: outside the file's %llu-%llu", p->id, (unsigned long long)m->lo,
            (unsigned long long)m->hi);
    }
    return st;
}

/* ---- fields ---- */

static enum status
wrong_type(const char *key, const char *expected, struct json got, struct err *err)
{
    static const char *const name[] = {[JSON_NULL] = "null",
        [JSON_BOOL] = "boolean",
        [JSON_I64] = "whole number",
        [JSON_U64] = "number above 2^63",
        [JSON_F64] = "fraction",
        [JSON_STRING] = "string",
        [JSON_ARRAY] = "array",
        [JSON_OBJECT] = "object"};

    return err_set(err, DATA, "%s: expected %s, got %s", key, expected, name[json_type(got)]);
}

/* An optional string; null is missing. */
static enum status
get_str(bool *has, struct str *out, struct json object, const char *key, struct err *err)
{
    struct json v;

    *has = json_get(&v, object, key) && json_type(v) != JSON_NULL;
    *out = (struct str){"", 0};
    if (!*has)
        return OK;
    if (json_type(v) != JSON_STRING)
        return wrong_type(key, "string", v, err);
    *out = json_str(v);
    return OK;
}

static enum status
get_int(bool *has, int64_t *out, struct json object, const char *key, struct err *err)
{
    struct json v;

    *has = json_get(&v, object, key) && json_type(v) != JSON_NULL;
    *out = 0;
    if (!*has)
        return OK;
    if (json_type(v) != JSON_I64)
        return wrong_type(key, "whole number", v, err);
    *out = json_i64(v);
    return OK;
}

/* An optional number of things: -1 where it is missing. */
static enum status
get_count(int64_t *out, struct json object, const char *key, struct err *err)
{
    bool has;
    enum status st = get_int(&has, out, object, key, err);

    if (st == OK && *out < 0)
        return err_set(err, DATA, "%s: expected a number of things, got %lld", key, (long long)*out);
    if (!has)
        *out = -1;
    return st;
}

/* The dataset writes "true" and "false" as strings. */
static enum status
get_collaborative(struct playlist *p, struct err *err)
{
    static const char key[] = "collaborative";
    struct json v;

    p->has_collaborative = json_get(&v, p->root, key) && json_type(v) != JSON_NULL;
    if (!p->has_collaborative)
        return OK;
    if (json_type(v) == JSON_BOOL) {
        p->collaborative = json_bool(v);
        return OK;
    }
    if (json_type(v) != JSON_STRING)
        return wrong_type(key, "\"true\" or \"false\"", v, err);
    p->collaborative = str_eq(json_str(v), STR("true"));
    if (!p->collaborative && !str_eq(json_str(v), STR("false")))
        return err_set(err, DATA, "%s: expected \"true\" or \"false\", got another string", key);
    return OK;
}

struct str
mpd_track_id(struct str uri)
{
    static const char head[] = "spotify:track:";
    size_t n = sizeof(head) - 1;

    if (uri.n >= n && memcmp(uri.p, head, n) == 0)
        return (struct str){uri.p + n, uri.n - n};
    return uri;
}

/* What --tracks writes of an entry; a title that is missing is empty. */
struct entry {
    struct str id, title, artist, album;
    bool titled;
    int64_t duration_ms;
};

static enum status
get_entry(struct entry *e, struct json v, struct err *err)
{
    bool has;
    enum status st;

    if (json_type(v) != JSON_OBJECT)
        return err_set(err, DATA, "expected an object");
    if ((st = get_str(&has, &e->id, v, "track_uri", err)) != OK)
        return st;
    e->id = mpd_track_id(e->id);
    if (e->id.n == 0)
        return err_set(err, DATA, "track_uri: %s", has ? "expected an id" : "missing");
    if ((st = get_str(&e->titled, &e->title, v, "track_name", err)) != OK ||
        (st = get_str(&has, &e->artist, v, "artist_name", err)) != OK ||
        (st = get_str(&has, &e->album, v, "album_name", err)) != OK)
        return st;
    return get_count(&e->duration_ms, v, "duration_ms", err);
}

static enum status
get_pid(struct playlist *p, struct err *err)
{
    struct json v;

    if (!json_get(&v, p->root, "pid") || json_type(v) == JSON_NULL)
        return err_set(err, DATA, "pid: missing");
    if (json_type(v) != JSON_I64 && json_type(v) != JSON_U64)
        return wrong_type("pid", "whole number", v, err);
    if (json_type(v) == JSON_I64 && json_i64(v) < 0)
        return err_set(err, DATA, "pid: expected a number from 0 on, got %lld", (long long)json_i64(v));
    p->pid = json_u64(v);
    (void)snprintf(p->id, sizeof(p->id), "%llu", (unsigned long long)p->pid);
    return OK;
}

/* All that can be wrong with a playlist is found here, before anything of it is written. */
static enum status
get_playlist(struct playlist *p, struct err *err)
{
    enum status st;
    size_t i = 0;

    if (json_type(p->root) != JSON_OBJECT)
        return wrong_type("playlist", "object", p->root, err);
    if ((st = get_pid(p, err)) != OK || (st = get_str(&p->has_name, &p->name, p->root, "name", err)) != OK ||
        (st = get_str(&p->has_description, &p->description, p->root, "description", err)) != OK ||
        (st = get_collaborative(p, err)) != OK ||
        (st = get_int(&p->has_modified, &p->modified_at, p->root, "modified_at", err)) != OK ||
        (st = get_count(&p->followers, p->root, "num_followers", err)) != OK ||
        (st = get_count(&p->holdouts, p->root, "num_holdouts", err)) != OK ||
        (st = get_count(&p->samples, p->root, "num_samples", err)) != OK ||
        (st = get_count(&p->n_tracks, p->root, "num_tracks", err)) != OK ||
        (st = get_count(&p->n_albums, p->root, "num_albums", err)) != OK ||
        (st = get_count(&p->n_artists, p->root, "num_artists", err)) != OK)
        return st;
    if (!json_get(&p->tracks, p->root, "tracks"))
        return err_set(err, DATA, "tracks: missing");
    if (json_type(p->tracks) != JSON_ARRAY)
        return wrong_type("tracks", "array", p->tracks, err);
    for (struct json_iter it = json_iter(p->tracks); json_next(&it); i++) {
        struct entry e;
        if ((st = get_entry(&e, it.value, err)) != OK) {
            (void)err_context(err, "tracks[%zu]", i);
            return st;
        }
    }
    return OK;
}

/* ---- records ---- */

static enum status
put_playlist(struct rec_writer *w, const struct playlist *p, struct err *err)
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
    for (struct json_iter it = json_iter(p->tracks); json_next(&it);) {
        struct entry e;
        if (get_entry(&e, it.value, err) == OK)
            put_str(w, NULL, e.id);
    }
    put_close(w);
    return rec_end(w, err);
}

static enum status
put_track(struct mpd *m, const struct entry *e, struct err *err)
{
    struct rec_writer *w = m->tracks;
    uint32_t n = ids_count(m->seen), index;
    enum status st = ids_add(&index, m->seen, e->id, err);

    if (st != OK || index < n)
        return st;
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

enum status
mpd_write(struct mpd *m, const struct mpd_playlist *text, struct err *err)
{
    struct playlist p = {0};
    enum status st;

    if ((st = json_parse(&p.root, m->parser, text->text.p, text->text.n, err)) != OK ||
        (st = get_playlist(&p, err)) != OK || (st = check_claims(m, &p, err)) != OK ||
        (st = put_playlist(m->playlists, &p, err)) != OK)
        return st;
    m->count.playlists++;
    m->count.entries += json_size(p.tracks);
    if (m->tracks == NULL)
        return OK;
    for (struct json_iter it = json_iter(p.tracks); json_next(&it);) {
        struct entry e;
        if ((st = get_entry(&e, it.value, err)) != OK || (st = put_track(m, &e, err)) != OK)
            return st;
    }
    return OK;
}

/* ---- files ---- */

void
mpd_open(struct mpd *m, FILE *f, const char *name)
{
    struct buf keep = m->scan.buf;

    keep.n = 0;
    m->scan = (struct mpdscan){.f = f, .name = name, .buf = keep};
    m->walking = false;
    m->number = m->document = 0;
}

/* Reads the members of the document's object and starts on its playlists. */
static enum status
start_document(struct mpd *m, struct err *err)
{
    struct str key, value, playlists = {NULL, 0};
    size_t at = 0;
    enum status st;

    m->ranged = range_of_name(&m->lo, &m->hi, m->scan.name);
    m->document = m->number;
    while ((st = mpdscan_member(&key, &value, &at, &m->scan, err)) == OK) {
        size_t begin = (size_t)(value.p - m->scan.buf.p);
        struct json v;
        if (str_eq(key, STR("playlists")) && playlists.p == NULL) {
            if (value.p[0] != '[') {
                (void)err_set(err, DATA, "playlists: expected an array");
                return mpdscan_context(&m->scan, begin, err);
            }
            playlists = value;
            continue;
        }
        if ((st = json_parse(&v, m->parser, value.p, value.n, err)) != OK)
            return st == DATA ? mpdscan_context(&m->scan, begin, err) : st;
        if (str_eq(key, STR("info")))
            read_info(m, v);
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
    p->byte = m->scan.offset + (uint64_t)(p->text.p - m->scan.buf.p);
    return OK;
}
