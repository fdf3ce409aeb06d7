/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpdlist - what a playlist of the Million Playlist Dataset says.
 *
 * Each entry is walked once, its keys told apart by their lengths: there are 66 million entries of eight keys each.
 *
 * Time: linear. Memory: about 120 bytes an entry of the largest playlist.
 */
#include <stdlib.h>
#include <string.h>

#include "mpdlist.h"

/* ---- values ---- */

static enum status
wrong_type(const char *key, const char *expected, struct json got, struct err *err)
{
    static const char *const name[] = {[JSON_NULL] = "null",
        [JSON_BOOL] = "boolean",
        [JSON_I64] = "whole number",
        [JSON_U64] = "number of 2^63 or more",
        [JSON_F64] = "fraction",
        [JSON_STRING] = "string",
        [JSON_ARRAY] = "array",
        [JSON_OBJECT] = "object"};

    return err_set(err, DATA, "%s: expected %s, got %s", key, expected, name[json_type(got)]);
}

/* An optional string; null is missing. */
static enum status
take_str(bool *has, struct str *out, bool is, struct json v, const char *key, struct err *err)
{
    enum json_type type = is ? json_type(v) : JSON_NULL;

    *has = type != JSON_NULL;
    *out = (struct str){"", 0};
    if (!*has)
        return OK;
    if (type != JSON_STRING)
        return wrong_type(key, "string", v, err);
    *out = json_str(v);
    return OK;
}

/* -1 where there is none. */
static enum status
take_whole(int64_t *out, bool is, struct json v, const char *key, struct err *err)
{
    *out = -1;
    if (!is || json_type(v) == JSON_NULL)
        return OK;
    if (json_type(v) != JSON_I64)
        return wrong_type(key, "whole number", v, err);
    *out = json_i64(v);
    return OK;
}

static enum status
take_count(int64_t *out, bool is, struct json v, const char *key, struct err *err)
{
    enum status st = take_whole(out, is, v, key, err);

    if (st == OK && is && json_type(v) == JSON_I64 && *out < 0)
        return err_set(err, DATA, "%s: expected a number of things, got %lld", key, (long long)*out);
    return st;
}

static enum status
get_str(bool *has, struct str *out, struct json object, const char *key, struct err *err)
{
    struct json v = object;
    bool is = json_get(&v, object, key);

    return take_str(has, out, is, v, key, err);
}

/* An optional number of things: -1 where it is missing. */
static enum status
get_count(int64_t *out, struct json object, const char *key, struct err *err)
{
    struct json v = object;
    bool is = json_get(&v, object, key);

    return take_count(out, is, v, key, err);
}

static enum status
get_date(struct mpd_list *l, struct json root, struct err *err)
{
    static const char key[] = "modified_at";
    struct json v;

    l->modified_at = 0;
    l->has_modified = json_get(&v, root, key) && json_type(v) != JSON_NULL;
    if (!l->has_modified)
        return OK;
    if (json_type(v) != JSON_I64)
        return wrong_type(key, "whole number", v, err);
    l->modified_at = json_i64(v);
    return OK;
}

/* The dataset writes "true" and "false" as strings. */
static enum status
get_collaborative(struct mpd_list *p, struct json root, struct err *err)
{
    static const char key[] = "collaborative";
    struct json v;

    p->has_collaborative = json_get(&v, root, key) && json_type(v) != JSON_NULL;
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

static enum status
get_pid(struct mpd_list *p, struct json root, struct err *err)
{
    struct json v;

    if (!json_get(&v, root, "pid") || json_type(v) == JSON_NULL)
        return err_set(err, DATA, "pid: missing");
    if (json_type(v) != JSON_I64 && json_type(v) != JSON_U64)
        return wrong_type("pid", "whole number", v, err);
    if (json_type(v) == JSON_I64 && json_i64(v) < 0)
        return err_set(err, DATA, "pid: expected a number from 0 on, got %lld", (long long)json_i64(v));
    p->pid = json_u64(v);
    (void)snprintf(p->id, sizeof(p->id), "%llu", (unsigned long long)p->pid);
    return OK;
}

/* ---- entries ---- */

struct str
mpd_track_id(struct str uri)
{
    static const char head[] = "spotify:track:";
    size_t n = sizeof(head) - 1;

    if (uri.n >= n && memcmp(uri.p, head, n) == 0)
        return (struct str){uri.p + n, uri.n - n};
    return uri;
}

/* Puts the value of a known key where it belongs, unless the key came before. */
static void
keep(struct json *slot, bool *has, struct json value)
{
    if (!*has)
        *slot = value;
    *has = true;
}

enum key { TRACK_URI, TRACK_NAME, ARTIST_NAME, ALBUM_NAME, DURATION, ALBUM_URI, ARTIST_URI, KEYS };

/* One look at each member: the length of a key leaves three of them at most. */
static enum key
key_of(struct str key)
{
#define IS(name) (memcmp(key.p, name, sizeof(name) - 1) == 0)
    switch (key.n) {
    case 9:
        return IS("track_uri") ? TRACK_URI : IS("album_uri") ? ALBUM_URI : KEYS;
    case 10:
        return IS("track_name") ? TRACK_NAME : IS("artist_uri") ? ARTIST_URI : IS("album_name") ? ALBUM_NAME : KEYS;
    case 11:
        return IS("artist_name") ? ARTIST_NAME : IS("duration_ms") ? DURATION : KEYS;
    default:
        return KEYS;
    }
#undef IS
}

static struct str
string_or_none(bool is, struct json v)
{
    return is && json_type(v) == JSON_STRING ? json_str(v) : (struct str){NULL, 0};
}

static enum status
get_entry(struct mpd_entry *e, struct json object, struct err *err)
{
    struct json v[KEYS + 1];
    bool is[KEYS + 1] = {false}, has;
    enum status st;

    if (json_type(object) != JSON_OBJECT)
        return err_set(err, DATA, "expected an object");
    for (struct json_iter it = json_iter(object); json_next(&it);) {
        enum key k = key_of(it.key);
        keep(&v[k], &is[k], it.value);
    }
    if ((st = take_str(&has, &e->id, is[TRACK_URI], v[TRACK_URI], "track_uri", err)) != OK)
        return st;
    e->id = mpd_track_id(e->id);
    if (e->id.n == 0)
        return err_set(err, DATA, "track_uri: %s", has ? "expected an id" : "missing");
    if ((st = take_str(&e->titled, &e->title, is[TRACK_NAME], v[TRACK_NAME], "track_name", err)) != OK ||
        (st = take_str(&has, &e->artist, is[ARTIST_NAME], v[ARTIST_NAME], "artist_name", err)) != OK ||
        (st = take_str(&has, &e->album, is[ALBUM_NAME], v[ALBUM_NAME], "album_name", err)) != OK)
        return st;
    e->album_uri = string_or_none(is[ALBUM_URI], v[ALBUM_URI]);
    e->artist_uri = string_or_none(is[ARTIST_URI], v[ARTIST_URI]);
    return take_whole(&e->duration_ms, is[DURATION], v[DURATION], "duration_ms", err);
}

static enum status
get_entries(struct mpd_list *l, struct json tracks, struct err *err)
{
    size_t n = json_size(tracks), bytes;

    l->n = 0;
    if (n > l->cap) {
        struct mpd_entry *p;
        if (!size_mul(&bytes, n, sizeof(*p)) || (p = realloc(l->entry, bytes)) == NULL)
            return err_memory(err);
        l->entry = p;
        l->cap = n;
    }
    for (struct json_iter it = json_iter(tracks); json_next(&it); l->n++)
        if (get_entry(&l->entry[l->n], it.value, err) != OK)
            return err_context(err, "tracks[%zu]", l->n);
    return OK;
}

enum status
mpdlist_get(struct mpd_list *l, struct json root, struct err *err)
{
    struct json tracks;
    enum status st;

    if (json_type(root) != JSON_OBJECT)
        return wrong_type("playlist", "object", root, err);
    if ((st = get_pid(l, root, err)) != OK || (st = get_str(&l->has_name, &l->name, root, "name", err)) != OK ||
        (st = get_str(&l->has_description, &l->description, root, "description", err)) != OK ||
        (st = get_collaborative(l, root, err)) != OK || (st = get_date(l, root, err)) != OK ||
        (st = get_count(&l->followers, root, "num_followers", err)) != OK ||
        (st = get_count(&l->holdouts, root, "num_holdouts", err)) != OK ||
        (st = get_count(&l->samples, root, "num_samples", err)) != OK ||
        (st = get_count(&l->n_tracks, root, "num_tracks", err)) != OK ||
        (st = get_count(&l->n_albums, root, "num_albums", err)) != OK ||
        (st = get_count(&l->n_artists, root, "num_artists", err)) != OK)
        return st;
    if (!json_get(&tracks, root, "tracks"))
        return err_set(err, DATA, "tracks: missing");
    if (json_type(tracks) != JSON_ARRAY)
        return wrong_type("tracks", "array", tracks, err);
    return get_entries(l, tracks, err);
}

/* ---- counts ---- */

static enum status
reserve_slots(struct mpd_list *l, struct err *err)
{
    size_t want = 64, bytes;

    while (want < 2 * l->n)
        want *= 2;
    if (want > l->slots) {
        uint32_t *p;
        if (!size_mul(&bytes, want, sizeof(*p)) || (p = realloc(l->slot, bytes)) == NULL)
            return err_memory(err);
        l->slot = p;
        l->slots = want;
    }
    memset(l->slot, 0, want * sizeof(*l->slot)); /* not all: one huge playlist must not slow the others down */
    return OK;
}

/* Distinct strings at offset at of the entries, in a table of their indices at most half full. */
static enum status
count_distinct(uint64_t *n, struct mpd_list *l, size_t at, struct err *err)
{
    size_t mask = 64;

    *n = 0;
    if (reserve_slots(l, err) != OK)
        return SYSTEM;
    while (mask < 2 * l->n)
        mask *= 2;
    mask--;
    for (size_t k = 0; k < l->n; k++) {
        const struct str *s = (const struct str *)(const void *)((const char *)&l->entry[k] + at);
        size_t i;
        if (s->p == NULL)
            continue;
        for (i = (size_t)str_hash(*s) & mask; l->slot[i] != 0; i = (i + 1) & mask) {
            const struct mpd_entry *e = &l->entry[l->slot[i] - 1];
            if (str_eq(*s, *(const struct str *)(const void *)((const char *)e + at)))
                break;
        }
        if (l->slot[i] == 0) {
            l->slot[i] = (uint32_t)k + 1;
            ++*n;
        }
    }
    return OK;
}

enum status
mpdlist_albums(uint64_t *n, struct mpd_list *l, struct err *err)
{
    return count_distinct(n, l, offsetof(struct mpd_entry, album_uri), err);
}

enum status
mpdlist_artists(uint64_t *n, struct mpd_list *l, struct err *err)
{
    return count_distinct(n, l, offsetof(struct mpd_entry, artist_uri), err);
}

void
mpdlist_free(struct mpd_list *l)
{
    free(l->entry);
    free(l->slot);
}
