/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world - an invented catalogue of tracks whose genre, mood, artist and popularity are known.
 *
 * Popularity follows Zipf's law as Mandelbrot amended it: the track of rank r is drawn in proportion to (r + q)^-s. The
 * shape (q, s, and where the catalogue ends) was fitted to what is published of the Million Playlist Dataset (Chen,
 * Lamere, Schedl, Zamani 2018): 2,262,292 distinct tracks among the 66,346,428 entries of 1,000,000 playlists. Each
 * genre has the same law over its own tracks, stretched by its share of the catalogue, so that all of them together
 * have it, too. An artist belongs to one genre; how many tracks artists have is Zipf's again. Moods follow the artist
 * more than the genre.
 *
 * Time: linear in the tracks of the catalogue, some 60 ns each. Memory: 9 bytes a track and 4 an artist.
 */
#include <math.h>
#include <stdlib.h>

#include "num/num.h"
#include "world.h"

#define SHAPE 1.6             /* Zipf's s */
#define SHIFT (1000.0 / 4e6)  /* Mandelbrot's q, as a share of the catalogue */
#define TRACKS_PER_ARTIST 7.6 /* 295,860 artists in the dataset */
#define ARTIST_SHAPE 0.9      /* of the number of tracks that an artist has */
#define PER_ALBUM 5           /* tracks, about */
#define ALBUMS 255

/* Purposes of hashes. */
enum { OF_ARTIST = 100, OF_MOOD, OF_LEANING, OF_ALBUM, OF_DURATION, OF_YEAR, OF_GENRE, OF_SHARE };

uint64_t
world_hash(const struct world *w, uint64_t purpose, uint64_t i)
{
    uint64_t z = w->seed + purpose * 0xD1342543DE82EF95U + i * 0x9E3779B97F4A7C15U;

    for (int k = 0; k < 2; k++) {
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
        z = (z ^ z >> 27) * 0x94D049BB133111EBU;
    }
    return z ^ z >> 31;
}

static double
unit_of(uint64_t hash)
{
    return (double)(hash >> 11) * 0x1p-53;
}

/* The rank in 0 … n-1 at u of [0, 1) of the law (rank + q)^-s: its integral is inverted. s is not 1. */
static uint32_t
rank_at(double u, size_t n, double q, double s)
{
    double rest = 1.0 - pow(1.0 + (double)n / q, 1.0 - s);
    double x = q * (pow(1.0 - u * rest, 1.0 / (1.0 - s)) - 1.0);

    return x >= (double)n ? (uint32_t)(n - 1) : (uint32_t)x;
}

/* Shares of genres: 1 / (5 + place), places being shuffled, so that a seed has its own favourites. */
static void
cut_genres(struct world *w)
{
    struct rng r = rng_seed(w->seed, OF_GENRE);
    uint32_t place[WORLD_GENRES];
    double sum = 0, up_to = 0;

    for (uint32_t g = 0; g < w->genres; g++) {
        place[g] = g;
        sum += 1.0 / (5.0 + g);
    }
    rng_shuffle(&r, place, w->genres);
    for (size_t g = 0; g < w->genres; g++) {
        up_to += 1.0 / (5.0 + place[g]) / sum;
        w->genre_up_to[g] = up_to;
        w->first_track[g + 1] = (uint32_t)(up_to * (double)w->tracks + 0.5);
        w->first_artist[g + 1] = (uint32_t)(up_to * (double)w->artists + 0.5);
    }
    w->genre_up_to[w->genres - 1] = 1.0;
    w->first_track[w->genres] = (uint32_t)w->tracks;
    w->first_artist[w->genres] = (uint32_t)w->artists;
}

/* Each genre has moods of its own: shares from the cubes of random numbers, so that a few of them lead. */
static void
share_moods(struct world *w)
{
    for (size_t g = 0; g < w->genres; g++) {
        struct rng r = rng_seed(w->seed, ((uint64_t)OF_SHARE << 32) + g);
        double sum = 0, up_to = 0, share[WORLD_MOODS];
        for (size_t m = 0; m < w->moods; m++) {
            double u = rng_unit(&r);
            share[m] = 0.02 + u * u * u;
            sum += share[m];
        }
        for (size_t m = 0; m < w->moods; m++)
            w->mood_up_to[g][m] = up_to += share[m] / sum;
        w->mood_up_to[g][w->moods - 1] = 1.0;
    }
}

static size_t
place_of(double u, const double *up_to, size_t n)
{
    size_t i = 0;

    while (i + 1 < n && u >= up_to[i])
        i++;
    return i;
}

/* Artist and mood of the tracks of genre g. */
static void
cast_genre(struct world *w, size_t g)
{
    uint32_t first = w->first_artist[g], n = w->first_artist[g + 1] - first;

    for (uint32_t t = w->first_track[g]; t < w->first_track[g + 1]; t++) {
        uint32_t a = first + rank_at(unit_of(world_hash(w, OF_ARTIST, t)), n, 3.0, ARTIST_SHAPE);
        uint64_t h = world_hash(w, OF_MOOD, t);
        /* Two of three tracks have the mood that their artist leans to. */
        double u = unit_of((h & 3) < 3 ? world_hash(w, OF_LEANING, a) : h);
        w->artist[t] = a;
        w->mood[t] = (unsigned char)place_of(u, w->mood_up_to[g], w->moods);
    }
}

/* of_artist by counting; tracks of an artist keep their order, which is that of popularity. */
static void
list_artists(struct world *w)
{
    for (size_t t = 0; t < w->tracks; t++)
        w->first_of[w->artist[t] + 1]++;
    for (size_t a = 0; a < w->artists; a++)
        w->first_of[a + 1] += w->first_of[a];
    for (size_t t = w->tracks; t-- > 0;)
        w->of_artist[--w->first_of[w->artist[t] + 1]] = (uint32_t)t;
    /* Each count has run down to where its artist begins, one place too far right. */
    for (size_t a = 0; a < w->artists; a++)
        w->first_of[a] = w->first_of[a + 1];
    w->first_of[w->artists] = (uint32_t)w->tracks;
}

static void
make_pairs(struct world *w)
{
    static const char digit[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    for (size_t i = 0; i < (size_t)62 * 62; i++) {
        w->pair[2 * i] = digit[i / 62];
        w->pair[2 * i + 1] = digit[i % 62];
    }
}

enum status
world_new(struct world **out, uint64_t seed, size_t tracks, size_t genres, size_t moods, struct err *err)
{
    struct world *w = calloc(1, sizeof(*w));

    *out = NULL;
    if (w == NULL)
        return err_memory(err);
    w->seed = world_hash(w, seed, 0); /* neighbouring seeds have nothing in common */
    w->tracks = tracks;
    w->genres = genres;
    w->moods = moods;
    w->artists = (size_t)((double)tracks / TRACKS_PER_ARTIST);
    w->artist = malloc(tracks * sizeof(*w->artist));
    w->of_artist = malloc(tracks * sizeof(*w->of_artist));
    w->first_of = calloc(w->artists + 1, sizeof(*w->first_of));
    w->mood = malloc(tracks);
    if (w->artist == NULL || w->of_artist == NULL || w->first_of == NULL || w->mood == NULL) {
        world_free(w);
        return err_memory(err);
    }
    make_pairs(w);
    cut_genres(w);
    share_moods(w);
#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads())
    for (size_t g = 0; g < w->genres; g++)
        cast_genre(w, g);
    list_artists(w);
    *out = w;
    return OK;
}

void
world_free(struct world *w)
{
    if (w == NULL)
        return;
    free(w->artist);
    free(w->of_artist);
    free(w->first_of);
    free(w->mood);
    free(w);
}

/* The part of n that i is in; first[0] is 0, first[n] above i. */
static size_t
part_of(uint32_t i, const uint32_t *first, size_t n)
{
    size_t lo = 0, hi = n;

    while (hi - lo > 1) {
        size_t mid = (lo + hi) / 2;
        if (first[mid] <= i)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

size_t
world_genre(const struct world *w, uint32_t track)
{
    return part_of(track, w->first_track, w->genres);
}

size_t
world_genre_of_artist(const struct world *w, uint32_t artist)
{
    return part_of(artist, w->first_artist, w->genres);
}

uint32_t
world_album(const struct world *w, uint32_t track)
{
    uint32_t a = w->artist[track], n = (w->first_of[a + 1] - w->first_of[a]) / PER_ALBUM + 1;

    return (uint32_t)(world_hash(w, OF_ALBUM, track) % (n < ALBUMS ? n : ALBUMS));
}

/* Log-normal about 3:40: the sum of six uniform numbers is normal enough. */
uint32_t
world_duration_ms(const struct world *w, uint32_t track)
{
    uint64_t h = world_hash(w, OF_DURATION, track);
    double sum = 0;

    for (int i = 0; i < 6; i++, h >>= 10)
        sum += (double)(h & 1023) / 1024.0;
    return (uint32_t)(220000.0 * exp2((sum - 3.0) * 0.6));
}

/* Of an artist's career: thirty years at most, most of them recent. */
uint32_t
world_year(const struct world *w, uint32_t track)
{
    double u = unit_of(world_hash(w, OF_YEAR, w->artist[track]));
    uint32_t latest = 2017 - (uint32_t)(u * u * u * 50.0);

    return latest - (uint32_t)(world_hash(w, OF_YEAR, ((uint64_t)w->artist[track] << 8) + world_album(w, track)) % 12);
}

/* ---- draws ---- */

size_t
world_draw_genre(const struct world *w, struct rng *r)
{
    return place_of(rng_unit(r), w->genre_up_to, w->genres);
}

size_t
world_draw_mood(const struct world *w, size_t genre, struct rng *r)
{
    return place_of(rng_unit(r), w->mood_up_to[genre], w->moods);
}

uint32_t
world_draw_track(const struct world *w, size_t genre, struct rng *r)
{
    uint32_t first = w->first_track[genre], n = w->first_track[genre + 1] - first;

    return first + rank_at(rng_unit(r), n, SHIFT * (double)n, SHAPE);
}

uint32_t
world_draw_of_artist(const struct world *w, uint32_t artist, struct rng *r)
{
    uint32_t first = w->first_of[artist], n = w->first_of[artist + 1] - first;
    double u = rng_unit(r);

    return w->of_artist[first + (uint32_t)(u * u * u * u * u * n)];
}
