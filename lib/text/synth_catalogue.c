/* SPDX-License-Identifier: Apache-2.0 */
/*
 * synth_catalogue - the tracks that can be asked about, and which warm ones an artist or a tag has.
 *
 * Artists are told apart by name_key, so that "JAY-Z" and "Jay-Z" are one. A tag that says no more than the track's
 * artist or title is left out: asking by it is asking for those. Memory: all text once and about 200 bytes a track.
 * Linear in the text.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/synth_parts.h"

struct str
synth_catalogue_text(const struct catalogue *c, struct span s)
{
    return (struct str){s.n > 0 ? c->text.p + s.at : "", s.n};
}

static enum status
keep_text(struct span *out, struct catalogue *c, struct str s, struct err *err)
{
    out->at = c->text.n;
    out->n = s.n;
    return buf_adds(&c->text, s, err);
}

static enum status
grow(void **p, size_t *cap, size_t need, size_t size, struct err *err)
{
    size_t want = *cap < 64 ? 64 : *cap * 2, bytes;
    void *q;

    if (need <= *cap)
        return OK;
    if (!size_mul(&bytes, want, size) || (q = realloc(*p, bytes)) == NULL)
        return err_memory(err);
    *p = q;
    *cap = want;
    return OK;
}

static enum status
add_value(struct catalogue *c, struct ids *ids, struct str key, struct str name, struct err *err)
{
    void *p = c->value;
    enum status st = grow(&p, &c->cap_values, c->n_values + 1, sizeof *c->value, err);
    struct value *v;

    c->value = p;
    if (st != OK)
        return st;
    v = &c->value[c->n_values];
    if ((st = ids_add(&v->id, ids, key, err)) == OK && (st = keep_text(&v->name, c, name, err)) == OK)
        c->n_values++;
    return st;
}

/* One artist, or each of an array. */
static enum status
load_artists(struct song *song, struct catalogue *c, const msgpack_object *map, struct err *err)
{
    const msgpack_object *o = map_find(map, "artist");
    size_t n = o != NULL && o->type == MSGPACK_OBJECT_ARRAY ? o->via.array.size : 1;
    struct buf key = {0};
    enum status st = OK;

    song->artist = (uint32_t)c->n_values;
    for (size_t i = 0; st == OK && i < n && i < SONG_MAX_VALUES; i++) {
        struct str name;

        if (o != NULL && o->type == MSGPACK_OBJECT_ARRAY)
            st = obj_str(&name, &o->via.array.ptr[i], "artist", err);
        else
            st = map_str(&name, map, "artist", err);
        if (st == OK && name.n > 0 && (st = name_key(&key, name, NAME_ARTIST, err)) == OK)
            st = add_value(c, c->artists, (struct str){key.p, key.n}, name, err);
    }
    song->n_artists = (uint32_t)c->n_values - song->artist;
    buf_free(&key);
    return st;
}

/* Whether a tag's key is the title's or an artist's. */
static bool
says_nothing(const struct catalogue *c, const struct song *song, struct str key, struct str title_key)
{
    if (str_eq(key, title_key))
        return true;
    for (uint32_t i = 0; i < song->n_artists; i++)
        if (str_eq(key, ids_str(c->artists, c->value[song->artist + i].id)))
            return true;
    return false;
}

static enum status
load_tags(struct song *song, struct catalogue *c, const msgpack_object *map, struct err *err)
{
    const msgpack_object *tags;
    struct buf title = {0}, key = {0};
    enum status st = OK;

    song->tag = (uint32_t)c->n_values;
    if (!map_has(map, "tags"))
        return OK;
    if ((st = map_array(&tags, map, "tags", err)) == OK)
        st = name_key(&title, synth_catalogue_text(c, song->title), NAME_TITLE, err);
    for (size_t i = 0; st == OK && i < tags->via.array.size && i < SONG_MAX_VALUES; i++) {
        struct str tag;

        if ((st = obj_str(&tag, &tags->via.array.ptr[i], "tags", err)) != OK || tag.n == 0 || tag.n > 40)
            continue;
        if ((st = name_key(&key, tag, NAME_ARTIST, err)) != OK)
            break;
        if (!says_nothing(c, song, (struct str){key.p, key.n}, (struct str){title.p, title.n}))
            st = add_value(c, c->tags, tag, tag, err);
    }
    song->n_tags = (uint32_t)c->n_values - song->tag;
    buf_free(&title);
    buf_free(&key);
    return st;
}

static enum status
load_text(struct span *out, struct catalogue *c, const msgpack_object *map, const char *key, struct err *err)
{
    struct str s;
    enum status st = OK;

    if (map_has(map, key) && (st = map_str(&s, map, key, err)) == OK)
        st = keep_text(out, c, s, err);
    return st;
}

static enum status
load_song(void *arg, const struct rec *rec, struct err *err)
{
    struct catalogue *c = arg;
    struct song song = {0};
    struct str id;
    uint32_t index;
    double tempo = 0;
    void *p = c->song;
    enum status st;

    if ((st = map_id(&id, &rec->map, "track_id", err)) != OK || (st = ids_add(&index, c->ids, id, err)) != OK)
        return st;
    if (index < c->n)
        return err_set(err, DATA, "track_id: %.*s comes twice", (int)(id.n < 80 ? id.n : 80), id.p);
    st = grow(&p, &c->cap_songs, (size_t)c->n + 1, sizeof *c->song, err);
    c->song = p;
    if (st != OK)
        return st;
    if (!map_has(&rec->map, "title"))
        return err_set(err, DATA, "title: missing");
    if ((st = load_text(&song.title, c, &rec->map, "title", err)) != OK ||
        (st = load_text(&song.album, c, &rec->map, "album", err)) != OK ||
        (st = load_text(&song.key, c, &rec->map, "key", err)) != OK ||
        (st = load_text(&song.lyrics, c, &rec->map, "lyrics", err)) != OK ||
        (st = load_artists(&song, c, &rec->map, err)) != OK || (st = load_tags(&song, c, &rec->map, err)) != OK ||
        (map_has(&rec->map, "year") && (st = map_u64(&song.year, &rec->map, "year", 9999, err)) != OK) ||
        (map_has(&rec->map, "tempo") && (st = map_f64(&tempo, &rec->map, "tempo", err)) != OK) ||
        (map_has(&rec->map, "cold") && (st = map_bool(&song.cold, &rec->map, "cold", err)) != OK))
        return st;
    if (tempo > 0 && tempo < 1000)
        song.tempo = (uint64_t)lround(tempo);
    c->song[c->n++] = song;
    return OK;
}

/* The warm songs of every artist (or tag), by counting sort: in the order of the catalogue. */
static enum status
post(struct postings *out, const struct catalogue *c, uint32_t n_ids, bool tags, struct err *err)
{
    out->start = calloc((size_t)n_ids + 2, sizeof *out->start);
    out->song = calloc(c->n_values + 1, sizeof *out->song);
    if (out->start == NULL || out->song == NULL)
        return err_memory(err);
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < c->n; i++) {
            const struct song *s = &c->song[i];
            const struct value *v = &c->value[tags ? s->tag : s->artist];

            for (uint32_t k = 0; !s->cold && k < (tags ? s->n_tags : s->n_artists); k++)
                if (pass == 0)
                    out->start[v[k].id + 2]++;
                else
                    out->song[out->start[v[k].id + 1]++] = i;
        }
        if (pass == 0)
            for (uint32_t k = 0; k < n_ids; k++)
                out->start[k + 2] += out->start[k + 1];
    }
    return OK;
}

static enum status
list_warm(struct catalogue *c, struct err *err)
{
    uint32_t n_artists = ids_count(c->artists);

    c->warm = calloc((size_t)c->n + 1, sizeof *c->warm);
    c->live = calloc((size_t)n_artists + 1, sizeof *c->live);
    if (c->warm == NULL || c->live == NULL)
        return err_memory(err);
    for (uint32_t i = 0; i < c->n; i++)
        if (!c->song[i].cold && c->song[i].title.n > 0)
            c->warm[c->n_warm++] = i;
    for (uint32_t i = 0; i < n_artists; i++)
        if (c->by_artist.start[i + 1] > c->by_artist.start[i])
            c->live[c->n_live++] = i;
    return OK;
}

enum status
synth_catalogue_load(struct catalogue **out, const char *path, struct err *err)
{
    struct catalogue *c = calloc(1, sizeof *c);
    enum status st;

    if (c == NULL)
        return err_memory(err);
    if ((st = ids_new(&c->ids, err)) == OK && (st = ids_new(&c->artists, err)) == OK &&
        (st = ids_new(&c->tags, err)) == OK && (st = rec_each(path, load_song, c, err)) == OK &&
        (st = post(&c->by_artist, c, ids_count(c->artists), false, err)) == OK &&
        (st = post(&c->by_tag, c, ids_count(c->tags), true, err)) == OK && (st = list_warm(c, err)) == OK)
        *out = c;
    else
        synth_catalogue_free(c);
    return st;
}

void
synth_catalogue_free(struct catalogue *c)
{
    if (c == NULL)
        return;
    ids_free(c->ids);
    ids_free(c->artists);
    ids_free(c->tags);
    free(c->song);
    free(c->value);
    free(c->by_artist.start);
    free(c->by_artist.song);
    free(c->by_tag.start);
    free(c->by_tag.song);
    free(c->warm);
    free(c->live);
    buf_free(&c->text);
    free(c);
}

bool
song_by(const struct catalogue *c, uint32_t song, uint32_t artist)
{
    const struct song *s = &c->song[song];

    for (uint32_t i = 0; i < s->n_artists; i++)
        if (c->value[s->artist + i].id == artist)
            return true;
    return false;
}

bool
song_tagged(const struct catalogue *c, uint32_t song, uint32_t tag)
{
    const struct song *s = &c->song[song];

    for (uint32_t i = 0; i < s->n_tags; i++)
        if (c->value[s->tag + i].id == tag)
            return true;
    return false;
}
