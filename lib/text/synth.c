/* SPDX-License-Identifier: Apache-2.0 */
/*
 * synth - a seeded simulation of people who build a playlist with a recommender.
 *
 * After TalkPlay (Doh, Choi, Nam 2025, section 3), which has a language model write such conversations from a
 * playlist; here the user is a program. Intents are the paper's: a named item, artist, album, tag, lyrics, year,
 * tempo or key, "more like this", a change of direction, reject then adapt; users are satisfied, indifferent or not.
 * What is asked for is drawn first and the answer follows from it: tracks of the playlist, then of the catalogue,
 * that are what was asked for.
 *
 * The mix follows the training conversations of CPCD: of the turns that led to a liked track 38 % name its artist
 * letter by letter, and 85 % of what is liked then is by that artist; 18 % name a genre or decade; 14 % say no more
 * than "great, more"; the first turn has the theme. Titles are rare there (4 %) and drawn more often here, since each
 * has to be learnt. A change of direction is nearly always to another artist there; here it takes any warm track, four
 * times in five by way of any warm artist, and comes often, so that rare ones are asked for too. Rejected tracks come
 * from a negative set: warm tracks that are not in the playlist and whose artists are not.
 *
 * A name has to be met some fifty times before a small model has learnt whose it is, and of the tokens of such a
 * conversation few are names. So a share of the users (synth_options.roam) roam: they care for no playlist and name one
 * artist or title after another, half of the time without a word around it.
 *
 * Draws depend on (seed, playlist_id / version). Linear in the turns, but for rejected negatives (at most 20 tries).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/synth_talk.h"

#define TARGETS 3.5      /* tracks of its playlist that a dialogue asks for, about: what --cover counts on */
#define MAX_DIALOGS 4096 /* of one playlist */

/* ---- turns ---- */

/* The recommender is shown to err: a vague request, and a track that is not wanted. */
static enum status
disappoint(struct talk *t, uint32_t song, struct err *err)
{
    struct request q = {.intent = ASK_MORE, .song = {song}, .n = 1, .rejected = true};
    enum status st;

    t->s->said.n = 0;
    if ((st = say_fill_song(t, song, &q, false, err)) != OK || (st = say_react(t, err)) != OK ||
        (st = say_sentence(t, ASK_MORE, true, NULL, err)) != OK)
        return st;
    return t->s->said.n > 0 ? say_play(t, &q, err) : OK;
}

/* What a user says who was given q->song[0] and did not want it. */
static enum status
complain(struct talk *t, struct err *err)
{
    enum status st = say_fill_song(t, t->last.song[0], &(struct request){.intent = ASK_TRACK}, true, err);

    if (st != OK)
        return st;
    return say_sentence(t, chance(t, 0.3) ? SAY_REJECT_ARTIST : SAY_REJECT, true, NULL, err);
}

/* Who roams names an artist or a title, and the next, in few words. */
static enum status
roam(bool *more, struct talk *t, struct err *err)
{
    struct request q = {0};
    const struct catalogue *c = t->s->c;
    uint32_t by = IDS_NONE, song = SONG_NONE;
    enum status st = OK;

    for (int tries = 0; song == SONG_NONE && tries < 20; tries++)
        song = ask_stray(t, &by);
    if (!(*more = song != SONG_NONE))
        return OK;
    t->s->said.n = 0;
    q.song[q.n++] = song;
    if (by == IDS_NONE && c->song[song].n_artists > 0 && chance(t, 0.5))
        by = ask_value(t, c->song[song].artist, c->song[song].n_artists);
    q.intent = by == IDS_NONE ? ASK_TRACK : ASK_ARTIST;
    q.value = by;
    if (chance(t, 0.5))
        st = say_request(t, &q, err);
    else if ((st = say_fill_song(t, song, &q, true, err)) == OK) {
        const struct buf *name = &t->s->fill[by == IDS_NONE ? SLOT_TRACK : SLOT_ARTIST];

        st = buf_add(&t->s->said, name->p, name->n, err);
    }
    return st == OK ? say_play(t, &q, err) : st;
}

/* One request that is met; *more is false when nothing is left to ask for. */
static enum status
turn(bool *more, struct talk *t, struct err *err)
{
    struct request q = {0};
    bool strayed = t->turn > 0 && chance(t, 0.4);
    uint32_t by = IDS_NONE, song = strayed ? ask_stray(t, &by) : ask_take(t);
    enum status st;

    /* After a rejection there is something to go on with, if the catalogue has anything left. */
    for (int tries = t->last.rejected ? 20 : chance(t, 0.6); song == SONG_NONE && t->turn > 0 && tries > 0; tries--) {
        song = ask_stray(t, &by);
        strayed = true;
    }
    if (!(*more = song != SONG_NONE))
        return OK;
    t->s->said.n = 0;
    if (t->turn == 0 && t->opening.n > 0 && chance(t, 0.35)) {
        q = (struct request){.intent = ASK_MORE, .song = {song}, .n = 1};
        if ((st = buf_adds(&t->s->said, t->opening, err)) == OK && t->typing.lower)
            st = typing_apply(&t->s->said, 0, &(struct typing){.lower = true}, &t->rng, err);
    } else {
        st = t->last.rejected ? complain(t, err) : say_react(t, err);
        ask_aim(t, &q, song, strayed, by);
        if (st == OK && q.intent == ASK_MORE && t->s->said.n > 0 && chance(t, 0.4))
            ; /* the reaction alone: "great!" asks for more */
        else if (st == OK)
            st = say_request(t, &q, err);
    }
    ask_gather(t, &q);
    return st == OK ? say_play(t, &q, err) : st;
}

static enum status
dialogue(struct talk *t, struct err *err)
{
    int turns = t->user == ROAMING ? ROAM_TURNS : 2 + (int)rng_below(&t->rng, MAX_TURNS - 1);
    int wrong = t->user == UNSATISFIED ? 1 + (int)rng_below(&t->rng, (uint64_t)turns - 1) : -1;
    bool more = true;
    enum status st = OK;

    for (int i = 0; st == OK && more && i < turns; i++) {
        uint32_t song = i == wrong ? ask_negative(t) : SONG_NONE;

        if (song != SONG_NONE)
            st = disappoint(t, song, err);
        if (st == OK)
            st = t->user == ROAMING ? roam(&more, t, err) : turn(&more, t, err);
    }
    return st;
}

/* ---- playlists ---- */

static enum status
usable(struct synth *s, const msgpack_object *tracks, bool cold, struct err *err)
{
    size_t n = tracks->via.array.size, bytes;

    if (n > s->cap_pool) {
        uint32_t *p;

        if (!size_mul(&bytes, n, sizeof *p) || (p = realloc(s->pool, bytes)) == NULL)
            return err_memory(err);
        s->pool = p;
        s->cap_pool = n;
    }
    s->n_pool = 0;
    s->round++;
    for (size_t i = 0; i < n; i++) {
        struct str id;
        uint32_t song;
        enum status st = obj_str(&id, &tracks->via.array.ptr[i], "tracks", err);

        if (st != OK)
            return st;
        song = ids_find(s->c->ids, id);
        if (song == IDS_NONE || s->seen[song] == s->round || s->c->song[song].title.n == 0)
            continue;
        s->seen[song] = s->round;
        if (cold || !s->c->song[song].cold)
            s->pool[s->n_pool++] = song;
    }
    return OK;
}

/* A request of those that the playlist was made by, if it asks for something in particular. */
static enum status
opening(struct str *out, const struct synth *s, const msgpack_object *map, struct rng *r, struct err *err)
{
    const msgpack_object *a;
    enum status st;

    *out = STR("");
    if (!map_has(map, "requests"))
        return OK;
    if ((st = map_array(&a, map, "requests", err)) != OK || a->via.array.size == 0)
        return st;
    st = obj_str(out, &a->via.array.ptr[rng_below(r, a->via.array.size)], "requests", err);
    if (st == OK && (out->n > 200 || frames_plain(s->f, *out)))
        *out = STR("");
    return st;
}

static enum status
version(struct rec_writer *w, struct synth *s, struct str id, enum split split, const msgpack_object *map, uint64_t v,
    struct err *err)
{
    struct talk t = {.s = s, .w = w};
    double x;
    enum status st;

    s->id.n = 0;
    if ((st = buf_adds(&s->id, id, err)) != OK || (st = buf_printf(&s->id, err, "/%llu", (unsigned long long)v)) != OK)
        return st;
    t.rng = rng_seed_id(s->o.seed, s->id.p, s->id.n);
    t.next = (size_t)(v * 4 % s->n_pool);
    t.typing = typing_draw(&t.rng);
    x = rng_unit(&t.rng);
    t.user = x < 0.6 ? SATISFIED : x < 0.88 ? INDIFFERENT : UNSATISFIED;
    if (s->o.roam > 0 && rng_unit(&t.rng) < s->o.roam)
        t.user = ROAMING;
    if ((st = opening(&t.opening, s, map, &t.rng, err)) != OK)
        return st;
    rec_begin(w);
    put_str(w, "dialog_id", (struct str){s->id.p, s->id.n});
    put_str(w, "playlist_id", id);
    if (map_has(map, "split"))
        put_text(w, "split", split_name[split]);
    put_array(w, "turns");
    if ((st = dialogue(&t, err)) != OK)
        return st;
    put_close(w);
    s->counts.dialogs++;
    return rec_end(w, err);
}

enum status
synth_playlist(struct rec_writer *w, struct synth *s, const struct rec *playlist, struct err *err)
{
    const msgpack_object *map = &playlist->map, *tracks;
    struct str id;
    enum split split;
    struct rng r;
    double want;
    uint64_t n;
    enum status st;

    if ((st = map_id(&id, map, "playlist_id", err)) != OK || (st = map_array(&tracks, map, "tracks", err)) != OK ||
        (st = map_split(&split, map, err)) != OK || (st = usable(s, tracks, split != SPLIT_TRAIN, err)) != OK)
        return st;
    if (s->n_pool == 0) {
        s->counts.skipped++;
        return OK;
    }
    r = rng_seed_id(s->o.seed, id.p, id.n);
    rng_shuffle(&r, s->pool, s->n_pool);
    want = s->o.cover > 0 ? s->o.cover * (double)s->n_pool / TARGETS : s->o.dialogs;
    n = (uint64_t)fmin(floor(want + rng_unit(&r)), MAX_DIALOGS);
    for (uint64_t v = 1; st == OK && v <= n; v++)
        st = version(w, s, id, split, map, v, err);
    return st;
}

enum status
synth_new(struct synth **out, const char *tracks, const char *frames, const struct synth_options *o, struct err *err)
{
    struct synth *s = calloc(1, sizeof *s);
    enum status st;

    if (s == NULL)
        return err_memory(err);
    s->o = *o;
    if ((st = synth_catalogue_load(&s->c, tracks, err)) == OK && (st = frames_load(&s->f, frames, err)) == OK &&
        (s->seen = calloc((size_t)s->c->n + 1, sizeof *s->seen)) == NULL)
        st = err_memory(err);
    if (st == OK)
        *out = s;
    else
        synth_free(s);
    return st;
}

void
synth_free(struct synth *s)
{
    if (s == NULL)
        return;
    synth_catalogue_free(s->c);
    frames_free(s->f);
    free(s->pool);
    free(s->seen);
    for (int i = 0; i < SLOTS; i++)
        buf_free(&s->fill[i]);
    buf_free(&s->said);
    buf_free(&s->id);
    free(s);
}

uint64_t
synth_frames(const struct synth *s)
{
    return frames_of_users(s->f);
}

struct synth_counts
synth_counts(const struct synth *s)
{
    return s->counts;
}
