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
 * Draws depend on (seed, playlist_id / version). Linear in the turns, but for rejected negatives (at most 20 tries).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "text/synth_parts.h"

#define ANSWERS 3        /* tracks of an answer, at most */
#define MAX_TURNS 8      /* turns of a dialogue, at most, but for a rejected one more */
#define TARGETS 3.5      /* tracks of its playlist that a dialogue asks for, about: what --cover counts on */
#define MAX_DIALOGS 4096 /* of one playlist */

struct synth {
    struct synth_options o;
    struct catalogue *c;
    struct frames *f;
    struct synth_counts counts;
    uint32_t *pool; /* usable tracks of the playlist at hand, shuffled */
    size_t n_pool, cap_pool;
    uint64_t *seen, round; /* the last playlist that each track was met in, and the number of this one */
    struct buf fill[SLOTS], said, id;
};

enum user { SATISFIED, INDIFFERENT, UNSATISFIED };

/* What is asked for, and the answer. */
struct request {
    enum intent intent;
    uint32_t value;   /* which artist or tag */
    struct str model; /* ASK_LIKE: whose music it should be like */
    uint32_t song[ANSWERS];
    size_t n;
    bool rejected;
};

/* A conversation under way. */
struct talk {
    struct synth *s;
    struct rec_writer *w;
    struct rng rng;
    struct typing typing;
    enum user user;
    size_t next; /* in the pool */
    uint32_t used[(MAX_TURNS + 1) * ANSWERS];
    size_t n_used;
    struct request last;
    struct str opening; /* what was asked when the playlist was made; or empty */
    int turn;
};

static bool
chance(struct talk *t, double p)
{
    return rng_unit(&t->rng) < p;
}

/* ---- tracks ---- */

static bool
was_used(const struct talk *t, uint32_t song)
{
    for (size_t i = 0; i < t->n_used; i++)
        if (t->used[i] == song)
            return true;
    return false;
}

static bool
in_request(const struct request *q, uint32_t song)
{
    for (size_t i = 0; i < q->n; i++)
        if (q->song[i] == song)
            return true;
    return false;
}

/* The next track of the playlist that was not played; SONG_NONE when all were. */
static uint32_t
take(struct talk *t)
{
    for (size_t k = 0; k < t->s->n_pool; k++) {
        uint32_t song = t->s->pool[t->next++ % t->s->n_pool];

        if (!was_used(t, song))
            return song;
    }
    return SONG_NONE;
}

/* Any warm track that was not played: of any artist (then by is that artist) or any at all (IDS_NONE). */
static uint32_t
stray(struct talk *t, uint32_t *by)
{
    const struct catalogue *c = t->s->c;
    const struct postings *p = &c->by_artist;
    uint32_t song;

    *by = IDS_NONE;
    if (c->n_warm == 0)
        return SONG_NONE;
    if (c->n_live > 0 && chance(t, 0.8)) {
        *by = c->live[rng_below(&t->rng, c->n_live)];
        song = p->song[p->start[*by] + (uint32_t)rng_below(&t->rng, p->start[*by + 1] - p->start[*by])];
    } else {
        song = c->warm[rng_below(&t->rng, c->n_warm)];
    }
    return was_used(t, song) || c->song[song].title.n == 0 ? SONG_NONE : song;
}

/* A track that is neither in the playlist nor by one of its artists. */
static uint32_t
negative(struct talk *t)
{
    const struct catalogue *c = t->s->c;

    for (int tries = 0; tries < 20; tries++) {
        uint32_t by, song = stray(t, &by);
        bool clash = song == SONG_NONE;

        for (size_t i = 0; i < t->s->n_pool && !clash; i++) {
            const struct song *mine = &c->song[t->s->pool[i]];

            clash = t->s->pool[i] == song;
            for (uint32_t k = 0; k < mine->n_artists && !clash; k++)
                clash = song_by(c, song, c->value[mine->artist + k].id);
        }
        if (!clash)
            return song;
    }
    return SONG_NONE;
}

static bool
fits(const struct talk *t, const struct request *q, uint32_t song)
{
    const struct catalogue *c = t->s->c;

    switch (q->intent) {
    case ASK_ARTIST:
        return song_by(c, song, q->value);
    case ASK_TAG:
        return song_tagged(c, song, q->value);
    case ASK_YEAR:
        return c->song[song].year == c->song[q->song[0]].year;
    case ASK_KEY:
        return str_eq(synth_catalogue_text(c, c->song[song].key), synth_catalogue_text(c, c->song[q->song[0]].key));
    case ASK_ALBUM:
        return str_eq(synth_catalogue_text(c, c->song[song].album), synth_catalogue_text(c, c->song[q->song[0]].album));
    case ASK_MORE:
    case ASK_LIKE:
        return true;
    default:
        return false;
    }
}

/* Adds tracks that were asked for as well: of the playlist, then warm ones of the catalogue. */
static void
gather(struct talk *t, struct request *q)
{
    const struct catalogue *c = t->s->c;
    const struct postings *p = q->intent == ASK_ARTIST ? &c->by_artist : &c->by_tag;
    size_t want = 1 + (size_t)rng_below(&t->rng, ANSWERS);
    uint32_t n;

    for (size_t k = 0; k < t->s->n_pool && q->n < want; k++) {
        uint32_t song = t->s->pool[(t->next + k) % t->s->n_pool];

        if (!was_used(t, song) && !in_request(q, song) && fits(t, q, song))
            q->song[q->n++] = song;
    }
    if (q->intent != ASK_ARTIST && q->intent != ASK_TAG)
        return;
    n = p->start[q->value + 1] - p->start[q->value];
    for (int tries = 0; tries < 8 && n > 0 && q->n < want; tries++) {
        uint32_t song = p->song[p->start[q->value] + (uint32_t)rng_below(&t->rng, n)];

        if (!was_used(t, song) && !in_request(q, song))
            q->song[q->n++] = song;
    }
}

/* ---- words ---- */

/* Some words of the first line of lyrics. */
static struct str
lyric(struct talk *t, struct str s)
{
    size_t words = 4 + (size_t)rng_below(&t->rng, 4), n = 0;

    while (n < s.n && n < 120 && s.p[n] != '\n' && !(s.p[n] == ' ' && --words == 0))
        n++;
    return (struct str){s.p, n};
}

static enum status
fill_name(struct talk *t, enum slot slot, struct str name, enum name_kind kind, bool typed, struct err *err)
{
    struct buf *b = &t->s->fill[slot];

    b->n = 0;
    return name.n == 0 ? OK : name_type(b, name, kind, &t->typing, typed ? &t->rng : NULL, err);
}

static enum status
fill_number(struct talk *t, enum slot slot, uint64_t number, struct err *err)
{
    struct buf *b = &t->s->fill[slot];

    b->n = 0;
    return number == 0 ? OK : buf_printf(b, err, "%llu", (unsigned long long)number);
}

/* What the artist (or tag) of that number is called at this song; else its first. */
static struct str
called(const struct catalogue *c, uint32_t first, uint32_t n, uint32_t id)
{
    for (uint32_t i = 0; i < n; i++)
        if (c->value[first + i].id == id)
            return synth_catalogue_text(c, c->value[first + i].name);
    return n > 0 ? synth_catalogue_text(c, c->value[first].name) : STR("");
}

/* Fills the slots with what song is; typed: as the user types. Slots that stay empty are not asked for. */
static enum status
fill_song(struct talk *t, uint32_t song, const struct request *q, bool typed, struct err *err)
{
    const struct catalogue *c = t->s->c;
    const struct song *s = &c->song[song];
    uint32_t artist = q->intent == ASK_ARTIST ? q->value : IDS_NONE;
    uint32_t tag = q->intent == ASK_TAG ? q->value : IDS_NONE;
    struct str list = STR("");
    enum status st;

    (void)frames_draw(&list, t->s->f, FILL_PLAYLIST, 0, &t->rng);
    t->s->fill[SLOT_ARTIST2].n = 0;
    if ((st = fill_name(t, SLOT_ARTIST, called(c, s->artist, s->n_artists, artist), NAME_ARTIST, typed, err)) != OK ||
        (st = fill_name(t, SLOT_TRACK, synth_catalogue_text(c, s->title), NAME_TITLE, typed, err)) != OK ||
        (st = fill_name(t, SLOT_ALBUM, synth_catalogue_text(c, s->album), NAME_TITLE, typed, err)) != OK ||
        (st = fill_name(t, SLOT_TAG, called(c, s->tag, s->n_tags, tag), NAME_OTHER, typed, err)) != OK ||
        (st = fill_name(t, SLOT_KEY, synth_catalogue_text(c, s->key), NAME_OTHER, typed, err)) != OK ||
        (st = fill_name(t, SLOT_LYRICS, lyric(t, synth_catalogue_text(c, s->lyrics)), NAME_OTHER, typed, err)) != OK ||
        (st = fill_name(t, SLOT_PLAYLIST, list, NAME_OTHER, typed, err)) != OK ||
        (st = fill_number(t, SLOT_YEAR, s->year, err)) != OK)
        return st;
    return fill_number(t, SLOT_TEMPO, s->tempo, err);
}

static unsigned
filled(const struct talk *t)
{
    unsigned slots = 0;

    for (int i = 0; i < SLOTS; i++)
        slots |= t->s->fill[i].n > 0 ? 1u << i : 0;
    return slots;
}

/* Appends one more sentence to what is said; nothing where there is no frame for it. */
static enum status
say(struct talk *t, enum intent intent, bool typed, struct str *frame, struct err *err)
{
    struct buf *b = &t->s->said;
    struct str text;
    size_t from;
    enum status st = OK;

    if (!frames_draw(&text, t->s->f, intent, filled(t), &t->rng))
        return OK;
    if (b->n > 0)
        st = strchr(".!?)", b->p[b->n - 1]) != NULL ? buf_adds(b, STR(" "), err) : buf_adds(b, STR(", "), err);
    from = b->n;
    if (st == OK && (st = frame_fill(b, text, t->s->fill, err)) == OK && typed && t->typing.lower)
        st = typing_apply(b, from, &(struct typing){.lower = true}, &t->rng, err);
    if (frame != NULL)
        *frame = text;
    return st;
}

/* Opens with a greeting or a reaction, as this user does. */
static enum status
react(struct talk *t, struct err *err)
{
    static const double praise[] = {[SATISFIED] = 0.5, [INDIFFERENT] = 0.08, [UNSATISFIED] = 0.05};
    static const double ok[] = {[SATISFIED] = 0.08, [INDIFFERENT] = 0.3, [UNSATISFIED] = 0.1};
    double x = rng_unit(&t->rng);

    if (t->turn == 0)
        return x < 0.35 ? say(t, SAY_HELLO, true, NULL, err) : OK;
    if (t->last.rejected)
        return OK;
    if (x < praise[t->user])
        return say(t, SAY_PRAISE, true, NULL, err);
    return x < praise[t->user] + ok[t->user] ? say(t, SAY_OK, true, NULL, err) : OK;
}

/* ---- turns ---- */

static bool
can_ask(const struct talk *t, enum intent intent, const struct song *s)
{
    const struct frames *f = t->s->f;

    switch (intent) {
    case ASK_ARTIST:
        return s->n_artists > 0;
    case ASK_ALBUM:
        return s->album.n > 0 && frames_have(f, intent);
    case ASK_TAG:
        return s->n_tags > 0;
    case ASK_YEAR:
        return s->year > 0 && frames_have(f, intent);
    case ASK_TEMPO:
        return s->tempo > 0 && frames_have(f, intent);
    case ASK_KEY:
        return s->key.n > 0 && frames_have(f, intent);
    case ASK_LYRICS:
        return s->lyrics.n > 0 && frames_have(f, intent);
    case ASK_LIKE:
        return t->s->n_pool > 1 && frames_have(f, intent);
    case ASK_MORE:
        return t->turn > 0 && !t->last.rejected && t->last.n > 0 && frames_have(f, intent);
    default:
        return true;
    }
}

/* How to ask for this track: by weight among what it has a field for. A track without any is asked for by its title. */
static enum intent
choose_intent(struct talk *t, uint32_t song, bool strayed)
{
    static const int weight[ASK_MORE + 1] = {[ASK_ARTIST] = 42,
        [ASK_TRACK] = 18,
        [ASK_ALBUM] = 3,
        [ASK_TAG] = 14,
        [ASK_YEAR] = 4,
        [ASK_TEMPO] = 3,
        [ASK_KEY] = 2,
        [ASK_LYRICS] = 3,
        [ASK_LIKE] = 4,
        [ASK_MORE] = 18};
    int last = strayed ? ASK_LYRICS : ASK_MORE, total = 0, x;

    for (int i = 0; i <= last; i++)
        total += can_ask(t, (enum intent)i, &t->s->c->song[song]) ? weight[i] : 0;
    x = (int)rng_below(&t->rng, (uint64_t)total);
    for (int i = 0; i <= last; i++)
        if (can_ask(t, (enum intent)i, &t->s->c->song[song]) && (x -= weight[i]) < 0)
            return (enum intent)i;
    return ASK_TRACK;
}

/* Which artist or tag of the song: mostly the first. */
static uint32_t
choose_value(struct talk *t, uint32_t first, uint32_t n)
{
    return t->s->c->value[first + (chance(t, 0.75) ? 0 : (uint32_t)rng_below(&t->rng, n))].id;
}

/* Settles how song is asked for. A stray one came by way of an artist, or of itself: mostly that is what is said. */
static void
aim(struct talk *t, struct request *q, uint32_t song, bool strayed, uint32_t by)
{
    const struct song *s = &t->s->c->song[song];
    const struct song *other;

    q->song[q->n++] = song;
    if (strayed && by != IDS_NONE) {
        q->intent = ASK_ARTIST;
        q->value = by;
        return;
    }
    q->intent = strayed && chance(t, 0.6) ? ASK_TRACK : choose_intent(t, song, strayed);
    if (q->intent == ASK_ARTIST)
        q->value = choose_value(t, s->artist, s->n_artists);
    if (q->intent == ASK_TAG)
        q->value = choose_value(t, s->tag, s->n_tags);
    if (q->intent != ASK_LIKE)
        return;
    other = &t->s->c->song[t->s->pool[rng_below(&t->rng, t->s->n_pool)]];
    if (other->n_artists > 0)
        q->model = synth_catalogue_text(t->s->c, t->s->c->value[other->artist].name);
    else
        q->intent = ASK_TRACK;
}

/* The words for q. Sets the second track of a request for two artists, if the frame has both. */
static enum status
word_request(struct talk *t, struct request *q, struct err *err)
{
    struct catalogue *c = t->s->c;
    uint32_t second = SONG_NONE;
    size_t before = t->s->said.n;
    struct str frame = STR("");
    enum status st = fill_song(t, q->song[0], q, true, err);

    if (st == OK && q->intent == ASK_LIKE)
        st = fill_name(t, SLOT_ARTIST, q->model, NAME_ARTIST, true, err);
    if (st == OK && q->intent == ASK_ARTIST && chance(t, 0.2) && (second = take(t)) != SONG_NONE) {
        const struct song *s2 = &c->song[second];

        if (s2->n_artists == 0 || in_request(q, second) || song_by(c, second, q->value))
            second = SONG_NONE;
        else
            st = fill_name(t, SLOT_ARTIST2, synth_catalogue_text(c, c->value[s2->artist].name), NAME_ARTIST, true, err);
    }
    if (st == OK)
        st = say(t, q->intent, true, &frame, err);
    if (second != SONG_NONE && frame.n > 0 && memmem(frame.p, frame.n, "{artist2}", 9) != NULL)
        q->song[q->n++] = second;
    /* Without a frame there is the name alone: people do that too. */
    if (st == OK && frame.n == 0) {
        /* Under ASK_LIKE the artist's slot holds another's name. */
        bool title = q->intent == ASK_TRACK || q->intent == ASK_LIKE || t->s->fill[SLOT_ARTIST].n == 0;
        enum slot slot = title ? SLOT_TRACK : SLOT_ARTIST;

        t->s->said.n = before;
        q->intent = slot == SLOT_TRACK ? ASK_TRACK : ASK_ARTIST;
        if (slot == SLOT_ARTIST)
            q->value = c->value[c->song[q->song[0]].artist].id;
        st = buf_add(&t->s->said, t->s->fill[slot].p, t->s->fill[slot].n, err);
    }
    return st;
}

static void
put_turn(struct talk *t, const char *role, struct str content)
{
    put_map(t->w, NULL);
    put_text(t->w, "role", role);
    put_str(t->w, "content", content);
    put_close(t->w);
}

/* Writes the user's words, the answer's tracks and words. */
static enum status
play(struct talk *t, struct request *q, struct err *err)
{
    enum intent answer = ANSWER_ANY;
    enum status st;

    put_turn(t, "user", (struct str){t->s->said.p, t->s->said.n});
    for (size_t i = 0; i < q->n; i++) {
        put_map(t->w, NULL);
        put_text(t->w, "role", "music");
        put_str(t->w, "content", ids_str(t->s->c->ids, q->song[i]));
        if (q->rejected)
            put_bool(t->w, "train", false);
        put_close(t->w);
        t->used[t->n_used++] = q->song[i];
    }
    t->s->said.n = 0;
    if ((st = fill_song(t, q->song[0], q, false, err)) != OK)
        return st;
    if (q->intent == ASK_ARTIST && chance(t, 0.5))
        answer = ANSWER_ARTIST;
    else if (q->intent == ASK_TAG && chance(t, 0.5))
        answer = ANSWER_TAG;
    if (chance(t, 0.9) && (st = say(t, answer, false, NULL, err)) == OK && chance(t, 0.1))
        st = say(t, ANSWER_ASK, false, NULL, err);
    if (st == OK && t->s->said.n > 0)
        put_turn(t, "assistant", (struct str){t->s->said.p, t->s->said.n});
    t->s->counts.turns++;
    t->s->counts.rejections += q->rejected;
    t->last = *q;
    t->turn++;
    return st;
}

/* The recommender is shown to err: a vague request, and a track that is not wanted. */
static enum status
disappoint(struct talk *t, uint32_t song, struct err *err)
{
    struct request q = {.intent = ASK_MORE, .song = {song}, .n = 1, .rejected = true};
    enum status st;

    t->s->said.n = 0;
    if ((st = fill_song(t, song, &q, false, err)) != OK || (st = react(t, err)) != OK ||
        (st = say(t, ASK_MORE, true, NULL, err)) != OK)
        return st;
    return t->s->said.n > 0 ? play(t, &q, err) : OK;
}

/* What a user says who was given q->song[0] and did not want it. */
static enum status
complain(struct talk *t, struct err *err)
{
    enum status st = fill_song(t, t->last.song[0], &(struct request){.intent = ASK_TRACK}, true, err);

    if (st != OK)
        return st;
    return say(t, chance(t, 0.3) ? SAY_REJECT_ARTIST : SAY_REJECT, true, NULL, err);
}

/* One request that is met; *more is false when nothing is left to ask for. */
static enum status
turn(bool *more, struct talk *t, struct err *err)
{
    struct request q = {0};
    bool strayed = t->turn > 0 && chance(t, 0.4);
    uint32_t by = IDS_NONE, song = strayed ? stray(t, &by) : take(t);
    enum status st;

    /* After a rejection there is something to go on with, if the catalogue has anything left. */
    for (int tries = t->last.rejected ? 20 : chance(t, 0.6); song == SONG_NONE && t->turn > 0 && tries > 0; tries--) {
        song = stray(t, &by);
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
        st = t->last.rejected ? complain(t, err) : react(t, err);
        aim(t, &q, song, strayed, by);
        if (st == OK && q.intent == ASK_MORE && t->s->said.n > 0 && chance(t, 0.4))
            ; /* the reaction alone: "great!" asks for more */
        else if (st == OK)
            st = word_request(t, &q, err);
    }
    gather(t, &q);
    return st == OK ? play(t, &q, err) : st;
}

static enum status
dialogue(struct talk *t, struct err *err)
{
    int turns = 2 + (int)rng_below(&t->rng, MAX_TURNS - 1);
    int wrong = t->user == UNSATISFIED ? 1 + (int)rng_below(&t->rng, (uint64_t)turns - 1) : -1;
    bool more = true;
    enum status st = OK;

    for (int i = 0; st == OK && more && i < turns; i++) {
        uint32_t song = i == wrong ? negative(t) : SONG_NONE;

        if (song != SONG_NONE)
            st = disappoint(t, song, err);
        if (st == OK)
            st = turn(&more, t, err);
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
version(struct rec_writer *w, struct synth *s, struct str id, struct str split, const msgpack_object *map, uint64_t v,
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
    if ((st = opening(&t.opening, s, map, &t.rng, err)) != OK)
        return st;
    rec_begin(w);
    put_str(w, "dialog_id", (struct str){s->id.p, s->id.n});
    put_str(w, "playlist_id", id);
    if (split.n > 0)
        put_str(w, "split", split);
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
    struct str id, split = STR("");
    struct rng r;
    double want;
    uint64_t n;
    enum status st;

    if ((st = map_id(&id, map, "playlist_id", err)) != OK || (st = map_array(&tracks, map, "tracks", err)) != OK ||
        (map_has(map, "split") && (st = map_str(&split, map, "split", err)) != OK) ||
        (st = usable(s, tracks, str_eq(split, STR("valid")) || str_eq(split, STR("test")), err)) != OK)
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
