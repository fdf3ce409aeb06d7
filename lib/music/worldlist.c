/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worldlist - playlists drawn from a world.
 *
 * A playlist has a genre, mostly a second one that is near it, and often a mood; its tracks come from them by their
 * popularity, some follow an earlier entry's artist, a few come from anywhere. Sizes, repeats, followers, dates and
 * what is missing are drawn at about the rates of the Million Playlist Dataset: 66 tracks on average, 5 to 250; 1.3 %
 * of entries repeated; 1.9 % with a description; 2.3 % collaborative; dates to the day, the last one 2017-11-01.
 *
 * Time: some 0.2 µs an entry. Nothing is kept.
 */
#include <math.h>

#include "num/num.h"
#include "world.h"

#define LAST_DAY 1509494400 /* 2017-11-01 */
#define DAY 86400
#define TRIES 64

static size_t
draw_size(struct rng *r)
{
    double x;

    do
        x = 53.3 * exp(rng_normal(r)); /* between 5 and 250 its mean is 66, its median 49 */
    while (!(x >= 5.0 && x < WORLD_LIST + 1.0));
    return (size_t)x;
}

/* The last day has one or two playlists of a hundred: many were made or changed lately, the others over years. */
static int64_t
draw_date(struct rng *r)
{
    double mean = rng_unit(r) < 0.25 ? 20.0 : 400.0, days;

    do
        days = -mean * log(1.0 - rng_unit(r));
    while (days > 2700.0);
    return LAST_DAY - DAY * (int64_t)days;
}

/* One for three of four; else Pareto's. */
static uint32_t
draw_followers(struct rng *r)
{
    double u = rng_unit(r), x = pow(1.0 - rng_unit(r), -1.0 / 1.1);

    return u < 0.75 ? 1 : 1 + (uint32_t)(x < 50000.0 ? x : 50000.0);
}

static void
draw_theme(struct world_list *l, const struct world *w, struct rng *r)
{
    l->genre = world_draw_genre(w, r);
    l->second = l->genre;
    if (rng_unit(r) < 0.6) /* neighbours in the list of genres are alike */
        l->second = (l->genre + (rng_unit(r) < 0.5 ? 1 : w->genres - 1)) % w->genres;
    l->mood = rng_unit(r) < 0.65 ? (int)world_draw_mood(w, l->genre, r) : WORLD_NO_MOOD;
}

/* Whether the first n of x have it. */
static bool
among(uint32_t it, const uint32_t *x, size_t n)
{
    bool is = false;

    for (size_t i = 0; i < n; i++) /* without a break: the compiler makes vectors of it */
        is |= x[i] == it;
    return is;
}

static bool
among_wide(uint64_t it, const uint64_t *x, size_t n)
{
    bool is = false;

    for (size_t i = 0; i < n; i++)
        is |= x[i] == it;
    return is;
}

static uint32_t
propose(const struct world_list *l, size_t i, const struct world *w, struct rng *r)
{
    double u = rng_unit(r);

    if (u < 0.15 && i > 0)
        return world_draw_of_artist(w, w->artist[l->track[rng_below(r, i)]], r);
    if (u < 0.2)
        return world_draw_track(w, world_draw_genre(w, r), r);
    return world_draw_track(w, u < 0.4 ? l->second : l->genre, r);
}

/* One entry in 80 repeats an earlier one; of other proposals those of another mood mostly fall through. */
static void
draw_track(struct world_list *l, size_t i, const struct world *w, struct rng *r)
{
    if (i > 0 && rng_unit(r) < 0.0125) {
        l->track[i] = l->track[rng_below(r, i)];
        return;
    }
    for (int try = 0; try < TRIES; try++) {
        uint32_t t = propose(l, i, w, r);
        l->track[i] = t;
        if (l->mood != WORLD_NO_MOOD && w->mood[t] != l->mood && rng_unit(r) >= 0.15)
            continue;
        if (!among(t, l->track, i))
            return;
    }
}

static void
count(struct world_list *l, const struct world *w)
{
    uint32_t artist[WORLD_LIST];
    uint64_t album[WORLD_LIST];

    l->n_artists = l->n_albums = 0;
    l->duration_ms = 0;
    for (size_t i = 0; i < l->n; i++) {
        uint32_t t = l->track[i], a = w->artist[t];
        uint64_t of_both = (uint64_t)a << 8 | world_album(w, t);
        if (!among(a, artist, l->n_artists))
            artist[l->n_artists++] = a;
        if (!among_wide(of_both, album, l->n_albums))
            album[l->n_albums++] = of_both;
        l->duration_ms += world_duration_ms(w, t);
    }
}

void
world_draw_list(struct world_list *l, const struct world *w, uint64_t pid)
{
    struct rng r = rng_seed(w->seed, pid);

    draw_theme(l, w, &r);
    l->n = draw_size(&r);
    for (size_t i = 0; i < l->n; i++)
        draw_track(l, i, w, &r);
    count(l, w);
    l->n_name = world_list_name(l->name, w, l->genre, l->mood, &r);
    l->n_description = rng_unit(&r) < 0.019 ? world_list_description(l->description, w, l->genre, l->mood, &r) : 0;
    l->collaborative = rng_unit(&r) < 0.023;
    l->modified_at = draw_date(&r);
    l->followers = draw_followers(&r);
    l->edits = 1 + (uint32_t)rng_below(&r, 2 + l->n / 2);
}
