/* SPDX-License-Identifier: Apache-2.0 */
/*
 * synth_say - the words of a simulated conversation: frames with their slots filled, as this user types.
 */
#include <string.h>

#include "text/synth_talk.h"

/* Some words of the first line of lyrics. */
static struct str
lyric(struct talk *t, struct str s)
{
    size_t words = 4 + (size_t)rng_below(&t->rng, 4), n = 0;

    while (n < s.n && n < 120 && s.p[n] != '\n' && !(s.p[n] == ' ' && --words == 0))
        n++;
    return (struct str){s.p, n};
}

enum status
say_fill(struct talk *t, enum slot slot, struct str name, enum name_kind kind, bool typed, struct err *err)
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

enum status
say_fill_song(struct talk *t, uint32_t song, const struct request *q, bool typed, struct err *err)
{
    const struct catalogue *c = t->s->c;
    const struct song *s = &c->song[song];
    uint32_t artist = q->intent == ASK_ARTIST ? q->value : IDS_NONE;
    uint32_t tag = q->intent == ASK_TAG ? q->value : IDS_NONE;
    struct str list = STR("");
    enum status st;

    (void)frames_draw(&list, t->s->f, FILL_PLAYLIST, 0, &t->rng);
    t->s->fill[SLOT_ARTIST2].n = 0;
    if ((st = say_fill(t, SLOT_ARTIST, called(c, s->artist, s->n_artists, artist), NAME_ARTIST, typed, err)) != OK ||
        (st = say_fill(t, SLOT_TRACK, synth_catalogue_text(c, s->title), NAME_TITLE, typed, err)) != OK ||
        (st = say_fill(t, SLOT_ALBUM, synth_catalogue_text(c, s->album), NAME_TITLE, typed, err)) != OK ||
        (st = say_fill(t, SLOT_TAG, called(c, s->tag, s->n_tags, tag), NAME_OTHER, typed, err)) != OK ||
        (st = say_fill(t, SLOT_KEY, synth_catalogue_text(c, s->key), NAME_OTHER, typed, err)) != OK ||
        (st = say_fill(t, SLOT_LYRICS, lyric(t, synth_catalogue_text(c, s->lyrics)), NAME_OTHER, typed, err)) != OK ||
        (st = say_fill(t, SLOT_PLAYLIST, list, NAME_OTHER, typed, err)) != OK ||
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

enum status
say_sentence(struct talk *t, enum intent intent, bool typed, struct str *frame, struct err *err)
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

enum status
say_react(struct talk *t, struct err *err)
{
    static const double praise[] = {[SATISFIED] = 0.5, [INDIFFERENT] = 0.08, [UNSATISFIED] = 0.05, [ROAMING] = 0};
    static const double ok[] = {[SATISFIED] = 0.08, [INDIFFERENT] = 0.3, [UNSATISFIED] = 0.1, [ROAMING] = 0};
    double x = rng_unit(&t->rng);

    if (t->turn == 0)
        return x < 0.35 ? say_sentence(t, SAY_HELLO, true, NULL, err) : OK;
    if (t->last.rejected)
        return OK;
    if (x < praise[t->user])
        return say_sentence(t, SAY_PRAISE, true, NULL, err);
    return x < praise[t->user] + ok[t->user] ? say_sentence(t, SAY_OK, true, NULL, err) : OK;
}

enum status
say_request(struct talk *t, struct request *q, struct err *err)
{
    struct catalogue *c = t->s->c;
    uint32_t second = SONG_NONE;
    size_t before = t->s->said.n;
    struct str frame = STR("");
    enum status st = say_fill_song(t, q->song[0], q, true, err);

    if (st == OK && q->intent == ASK_LIKE)
        st = say_fill(t, SLOT_ARTIST, q->model, NAME_ARTIST, true, err);
    if (st == OK && q->intent == ASK_ARTIST && chance(t, 0.2) && (second = ask_take(t)) != SONG_NONE) {
        const struct song *s2 = &c->song[second];

        if (s2->n_artists == 0 || ask_has(q, second) || song_by(c, second, q->value))
            second = SONG_NONE;
        else
            st = say_fill(t, SLOT_ARTIST2, synth_catalogue_text(c, c->value[s2->artist].name), NAME_ARTIST, true, err);
    }
    if (st == OK)
        st = say_sentence(t, q->intent, true, &frame, err);
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

enum status
say_play(struct talk *t, struct request *q, struct err *err)
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
    if ((st = say_fill_song(t, q->song[0], q, false, err)) != OK)
        return st;
    if (q->intent == ASK_ARTIST && chance(t, 0.5))
        answer = ANSWER_ARTIST;
    else if (q->intent == ASK_TAG && chance(t, 0.5))
        answer = ANSWER_TAG;
    if (chance(t, t->user == ROAMING ? 0.2 : 0.9) && (st = say_sentence(t, answer, false, NULL, err)) == OK &&
        chance(t, 0.1))
        st = say_sentence(t, ANSWER_ASK, false, NULL, err);
    if (st == OK && t->s->said.n > 0)
        put_turn(t, "assistant", (struct str){t->s->said.p, t->s->said.n});
    t->s->counts.turns++;
    t->s->counts.rejections += q->rejected;
    t->last = *q;
    t->turn++;
    return st;
}
