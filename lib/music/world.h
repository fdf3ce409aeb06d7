/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world - private to lib/music: an invented catalogue of tracks whose every property is known (world.c), what its
 * names and words are (worldtext.c), and playlists drawn from it (worldlist.c).
 *
 * Tracks, artists, genres and moods are numbers. All that is said of one is drawn from the seed and its number alone,
 * so nothing but three tables is kept, and what is asked for twice is the same. A world is not changed by any call:
 * threads share it.
 */
#ifndef WORLD_H
#define WORLD_H

#include "music/music.h"

#define WORLD_ID 22   /* characters of an id, as Spotify's have */
#define WORLD_TEXT 96 /* bytes that any name fits into */
#define WORLD_LIST 250
#define WORLD_NO_MOOD (-1)

enum world_kind { WORLD_TRACK, WORLD_ARTIST, WORLD_ALBUM };

struct world {
    uint64_t seed;
    size_t tracks, artists, genres, moods;
    uint32_t first_track[WORLD_GENRES + 1];  /* of each genre: its tracks follow each other, the most popular first */
    uint32_t first_artist[WORLD_GENRES + 1]; /* likewise */
    double genre_up_to[WORLD_GENRES];        /* running sum of the shares of genres */
    double mood_up_to[WORLD_GENRES][WORLD_MOODS];
    uint32_t *artist;       /* (tracks) */
    uint32_t *of_artist;    /* (tracks) by artist, each artist's most popular first */
    uint32_t *first_of;     /* (artists + 1) into of_artist */
    unsigned char *mood;    /* (tracks) */
    char pair[62 * 62 * 2]; /* two characters of an id */
};

/* ---- world.c ---- */

/* tracks ≥ WORLD_TRACKS_MIN; 1 … WORLD_GENRES genres, 1 … WORLD_MOODS moods. SYSTEM. */
enum status world_new(struct world **out, uint64_t seed, size_t tracks, size_t genres, size_t moods, struct err *err);
void world_free(struct world *w);
/* A number of 64 bits that is drawn for thing i of a purpose. */
uint64_t world_hash(const struct world *w, uint64_t purpose, uint64_t i);
size_t world_genre(const struct world *w, uint32_t track);
size_t world_genre_of_artist(const struct world *w, uint32_t artist);
/* Which of its artist's albums the track is on. */
uint32_t world_album(const struct world *w, uint32_t track);
uint32_t world_duration_ms(const struct world *w, uint32_t track);
uint32_t world_year(const struct world *w, uint32_t track);
/* A genre by its share; a mood as the genre has them; a track of the genre by its popularity. */
size_t world_draw_genre(const struct world *w, struct rng *r);
size_t world_draw_mood(const struct world *w, size_t genre, struct rng *r);
uint32_t world_draw_track(const struct world *w, size_t genre, struct rng *r);
/* A track of the artist, the more popular ones more often. */
uint32_t world_draw_of_artist(const struct world *w, uint32_t artist, struct rng *r);

/* ---- worldtext.c ---- */

extern const char *const world_genre_name[WORLD_GENRES];
extern const char *const world_mood_name[WORLD_MOODS];

/* WORLD_ID characters that no other thing of the kind has. i is an album's artist << 8 | album. */
void world_id(char out[WORLD_ID], const struct world *w, enum world_kind kind, uint64_t i);
/* Names, UTF-8 and not terminated, at most WORLD_TEXT bytes: their length. */
size_t world_title(char out[WORLD_TEXT], const struct world *w, uint32_t track);
size_t world_artist_name(char out[WORLD_TEXT], const struct world *w, uint32_t artist);
size_t world_album_name(char out[WORLD_TEXT], const struct world *w, uint32_t artist, uint32_t album);
/* What a playlist of the genre, and of the mood if it has one, may be called: the words hint at them, or do not. */
size_t world_list_name(char out[WORLD_TEXT], const struct world *w, size_t genre, int mood, struct rng *r);
/* A sentence about such a playlist. */
size_t world_list_description(char out[WORLD_TEXT], const struct world *w, size_t genre, int mood, struct rng *r);
/* Puts "tags" and "lyrics" (words of them, about; 0 for none), where the track has them. */
void world_put_tags(struct rec_writer *out, const struct world *w, uint32_t track);
enum status world_put_lyrics(
    struct rec_writer *out, struct buf *text, const struct world *w, uint32_t track, size_t words, struct err *err);

/* ---- worldlist.c ---- */

struct world_list {
    size_t genre, second; /* second's tracks are the fewer; it may be genre itself */
    int mood;             /* or WORLD_NO_MOOD: tracks of all moods */
    size_t n;
    uint32_t track[WORLD_LIST];
    uint32_t n_artists, n_albums; /* distinct ones */
    uint64_t duration_ms;
    char name[WORLD_TEXT], description[WORLD_TEXT];
    size_t n_name, n_description; /* 0 where it has no description */
    bool collaborative;
    int64_t modified_at;
    uint32_t followers, edits;
};
/* The playlist of this number, the same whatever was drawn before. */
void world_draw_list(struct world_list *out, const struct world *w, uint64_t pid);

#endif
