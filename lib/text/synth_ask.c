/* SPDX-License-Identifier: Apache-2.0 */
/*
 * synth_ask - what a simulated user asks for, and which tracks are an answer to it.
 *
 * A few draws each; an answer looks through the playlist once.
 */
#include <string.h>

#include "text/synth_talk.h"

static bool
was_used(const struct talk *t, uint32_t song)
{
    for (size_t i = 0; i < t->n_used; i++)
        if (t->used[i] == song)
            return true;
    return false;
}

bool
ask_has(const struct request *q, uint32_t song)
{
    for (size_t i = 0; i < q->n; i++)
        if (q->song[i] == song)
            return true;
    return false;
}

uint32_t
ask_take(struct talk *t)
{
    for (size_t k = 0; k < t->s->n_pool; k++) {
        uint32_t song = t->s->pool[t->next++ % t->s->n_pool];

        if (!was_used(t, song))
            return song;
    }
    return SONG_NONE;
}

uint32_t
ask_stray(struct talk *t, uint32_t *by)
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

uint32_t
ask_negative(struct talk *t)
{
    const struct catalogue *c = t->s->c;

    for (int tries = 0; tries < 20; tries++) {
        uint32_t by, song = ask_stray(t, &by);
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

void
ask_gather(struct talk *t, struct request *q)
{
    const struct catalogue *c = t->s->c;
    const struct postings *p = q->intent == ASK_ARTIST ? &c->by_artist : &c->by_tag;
    size_t want = 1 + (size_t)rng_below(&t->rng, ANSWERS);
    uint32_t n;

    for (size_t k = 0; k < t->s->n_pool && q->n < want; k++) {
        uint32_t song = t->s->pool[(t->next + k) % t->s->n_pool];

        if (!was_used(t, song) && !ask_has(q, song) && fits(t, q, song))
            q->song[q->n++] = song;
    }
    if (q->intent != ASK_ARTIST && q->intent != ASK_TAG)
        return;
    n = p->start[q->value + 1] - p->start[q->value];
    for (int tries = 0; tries < 8 && n > 0 && q->n < want; tries++) {
        uint32_t song = p->song[p->start[q->value] + (uint32_t)rng_below(&t->rng, n)];

        if (!was_used(t, song) && !ask_has(q, song))
            q->song[q->n++] = song;
    }
}
/* ---- how it is asked for ---- */

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

uint32_t
ask_value(struct talk *t, uint32_t first, uint32_t n)
{
    return t->s->c->value[first + (chance(t, 0.75) ? 0 : (uint32_t)rng_below(&t->rng, n))].id;
}

void
ask_aim(struct talk *t, struct request *q, uint32_t song, bool strayed, uint32_t by)
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
        q->value = ask_value(t, s->artist, s->n_artists);
    if (q->intent == ASK_TAG)
        q->value = ask_value(t, s->tag, s->n_tags);
    if (q->intent != ASK_LIKE)
        return;
    other = &t->s->c->song[t->s->pool[rng_below(&t->rng, t->s->n_pool)]];
    if (other->n_artists > 0)
        q->model = synth_catalogue_text(t->s->c, t->s->c->value[other->artist].name);
    else
        q->intent = ASK_TRACK;
}
