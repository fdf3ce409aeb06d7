/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worldtext - the names and words of a world: ids, titles, tags, lyrics, names of playlists.
 *
 * Most words are syllables strung together from a hash, so that there are as many as wanted and none is anybody's.
 * Words come in three kinds: those of all texts, by Zipf's law; those of a genre; those of a mood, which are English,
 * since a playlist's name should be one that people would give. Which words a text has says what its track is.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "num/num.h"
#include "world.h"

#define COMMON_WORDS 8000
#define GENRE_WORDS 60
#define MOOD_WORDS 12
#define LINE 6 /* words of lyrics */

/* Purposes of hashes and streams. */
enum { WORD = 200, TITLE, ARTIST_NAME, ALBUM_NAME, TAG, LYRIC };

/* Neighbours are alike: a playlist's second genre is one. */
const char *const world_genre_name[WORLD_GENRES] = {"pop", "dance pop", "electropop", "indie pop", "indie rock",
    "alternative rock", "rock", "classic rock", "hard rock", "metal", "heavy metal", "death metal", "doom metal",
    "hardcore", "punk", "pop punk", "emo", "grunge", "folk rock", "folk", "indie folk", "singer-songwriter",
    "americana", "bluegrass", "country", "modern country", "blues", "soul", "r&b", "funk", "disco", "hip hop", "rap",
    "southern hip hop", "trap", "grime", "drum and bass", "dubstep", "edm", "trance", "techno", "house", "deep house",
    "chillwave", "ambient", "lo-fi", "trip hop", "acid jazz", "jazz", "smooth jazz", "bossa nova", "mpb", "salsa",
    "bachata", "latin pop", "reggaeton", "cumbia", "banda", "reggae", "ska", "gospel", "worship", "classical",
    "soundtrack"};
const char *const world_mood_name[WORLD_MOODS] = {
    "calm", "happy", "sad", "energetic", "romantic", "dark", "dreamy", "angry"};

static const char *const mood_word[WORLD_MOODS][MOOD_WORDS] = {
    {"quiet", "slow", "still", "easy", "breathe", "rest", "gentle", "soft", "sleep", "rain", "tea", "home"},
    {"sunny", "smile", "summer", "good", "bright", "laugh", "golden", "sweet", "sunday", "dance", "sky", "lemonade"},
    {"tears", "lonely", "goodbye", "cold", "gone", "broken", "miss", "blue", "empty", "sorry", "fall", "winter"},
    {"run", "go", "power", "jump", "louder", "fire", "fast", "up", "sweat", "win", "alive", "hands"},
    {"love", "kiss", "heart", "baby", "forever", "darling", "candle", "arms", "yours", "tonight", "rose", "honey"},
    {"shadow", "night", "black", "ghost", "bones", "grave", "moon", "smoke", "blood", "hollow", "raven", "ash"},
    {"clouds", "float", "stars", "haze", "drift", "dream", "silver", "ocean", "slowly", "fade", "velvet", "light"},
    {"burn", "fight", "rage", "war", "scream", "break", "hate", "fist", "riot", "liar", "enemy", "wreck"},
};
static const char *const mood_list[WORLD_MOODS][6] = {
    {"chill", "relax", "sleep", "study", "calm down", "lazy sunday"},
    {"happy", "feel good", "good vibes", "summer", "sunshine", "smile"},
    {"sad", "sad songs", "heartbreak", "in my feelings", "crying", "miss you"},
    {"workout", "gym", "running", "party", "pump up", "lit"},
    {"love", "love songs", "date night", "wedding", "slow jams", "romance"},
    {"dark", "late night", "midnight", "halloween", "3am", "noir"},
    {"dreamy", "daydream", "night drive", "floating", "stargazing", "trippy"},
    {"rage", "angry", "mosh", "turn it up", "hate everyone", "fight club"},
};
static const char *const plain_list[] = {"my playlist", "favorites", "new", "car", "jams", "music", "2017", "2016",
    "june", "throwback", "bops", "road trip", "starred", "songs i like", "shower", "work", "october", "oldies", "mix",
    "july", "random", "good", "beach", "drive", "country roads", "senior year", "school", "everything", "camp",
    "spring", "all", "music!", "dad", "mom", "faves", "the mix", "clean", "vibe", "weekend", "hits", "fall 2016",
    "cruise", "M\xc3\xbasica", "caf\xc3\xa9", "\xe2\x99\xab", "fin de a\xc3\xb1o", "\xed\x95\x9c\xea\xb5\xad"};
static const char *const emoji[] = {"\xf0\x9f\x8e\xb6", "\xf0\x9f\x94\xa5", "\xe2\x98\x80\xef\xb8\x8f",
    "\xe2\x9d\xa4\xef\xb8\x8f", "\xf0\x9f\x8e\xb8", "\xf0\x9f\x8c\x99", "\xf0\x9f\x98\xb4", "\xf0\x9f\x92\x94"};

#define ENTRIES(array) (sizeof(array) / sizeof((array)[0]))

/* ---- ids ---- */

/* Both halves of an id are numbers of 64 bits in base 62; the first is a bijection of i, so that ids are distinct. */
void
world_id(char out[WORLD_ID], const struct world *w, enum world_kind kind, uint64_t i)
{
    uint64_t half[2];

    half[0] = world_hash(w, 0, i << 2 | (uint64_t)kind);
    half[1] = half[0] * 0x9E3779B97F4A7C15U ^ half[0] >> 23 ^ w->seed;
    for (int h = 0; h < 2; h++) {
        char *p = out + 11 * h;
        uint64_t x = half[h];
        for (int k = 0; k < 5; k++, x /= (uint64_t)62 * 62)
            memcpy(p + 2 * k, &w->pair[2 * (x % ((uint64_t)62 * 62))], 2);
        p[10] = w->pair[2 * (x % 62) + 1];
    }
}

/* ---- words ---- */

struct text {
    char *p; /* WORLD_TEXT bytes */
    size_t n;
};

/* What would not fit is left out whole. */
static void
add(struct text *t, const char *s, size_t n)
{
    if (n <= WORLD_TEXT - t->n) {
        memcpy(t->p + t->n, s, n);
        t->n += n;
    }
}

static void
add_text(struct text *t, const char *s)
{
    add(t, s, strlen(s));
}

/* One to three syllables by a hash; one word in 64 has an accent. out has room for 24 bytes. */
static size_t
spell(char *out, uint64_t h)
{
    static const char onset[16][4] = {"b", "k", "d", "f", "g", "l", "m", "n", "p", "r", "s", "t", "v", "w", "sh", "tr"};
    static const char vowel[8][4] = {"a", "e", "i", "o", "u", "ai", "ou", "ee"};
    static const char coda[8][4] = {"", "", "", "n", "r", "s", "l", "m"};
    static const char accented[4][4] = {"\xc3\xa9", "\xc3\xb6", "\xc3\xa1", "\xc3\xb1"};
    size_t syllables = 1 + (h & 3) % 3, n = 0;
    bool accent = (h >> 2 & 63) == 0;

    h >>= 8;
    for (size_t k = 0; k < syllables; k++, h >>= 10) {
        const char *part[3] = {onset[h & 15], accent && k == 0 ? accented[h >> 4 & 3] : vowel[h >> 4 & 7],
            k + 1 == syllables || (h & 512) ? coda[h >> 7 & 7] : ""};
        for (int i = 0; i < 3; i++)
            for (const char *c = part[i]; *c != '\0'; c++)
                out[n++] = *c;
    }
    return n;
}

/* Zipf's law with exponent 1 over the words of all texts. */
static uint64_t
common_word(struct rng *r)
{
    return (uint64_t)exp2(rng_unit(r) * log2(COMMON_WORDS)) - 1;
}

static uint64_t
genre_word(size_t genre, struct rng *r)
{
    return COMMON_WORDS + genre * GENRE_WORDS + rng_below(r, GENRE_WORDS);
}

/* A word of a text about genre and mood into out (24 bytes), its length. */
static size_t
draw_word(char *out, const struct world *w, size_t genre, int mood, struct rng *r)
{
    double u = rng_unit(r);

    if (mood != WORLD_NO_MOOD && u < 0.25) {
        const char *word = mood_word[mood][rng_below(r, MOOD_WORDS)];
        size_t n = strlen(word);
        memcpy(out, word, n);
        return n;
    }
    return spell(out, world_hash(w, WORD, u < 0.5 ? genre_word(genre, r) : common_word(r)));
}

static void
add_word(struct text *t, const struct world *w, size_t genre, int mood, struct rng *r)
{
    char word[24];
    size_t n = draw_word(word, w, genre, mood, r);

    if (t->n > 0)
        add(t, " ", 1);
    if (word[0] >= 'a' && word[0] <= 'z')
        word[0] = (char)(word[0] - 'a' + 'A');
    add(t, word, n);
}

/* ---- names ---- */

size_t
world_artist_name(char out[WORLD_TEXT], const struct world *w, uint32_t artist)
{
    struct rng r = rng_seed(w->seed, ((uint64_t)ARTIST_NAME << 32) + artist);
    struct text t = {out, 0};
    uint64_t u = rng_u64(&r);

    if (u % 5 == 0)
        add_text(&t, "The");
    for (uint64_t i = 0; i < 1 + (u >> 8) % 2; i++)
        add_word(&t, w, world_genre_of_artist(w, artist), WORLD_NO_MOOD, &r);
    if ((u >> 16 & 31) == 0)
        add_text(&t, " & ");
    if ((u >> 16 & 31) <= 1)
        add_word(&t, w, world_genre_of_artist(w, artist), WORLD_NO_MOOD, &r);
    return t.n;
}

/* " (feat. Somebody)", whole or not at all. */
static void
add_guest(struct text *t, const struct world *w, uint32_t artist)
{
    char name[WORLD_TEXT];
    size_t n = world_artist_name(name, w, artist);

    if (n + sizeof(" (feat. )") - 1 > WORLD_TEXT - t->n)
        return;
    add_text(t, " (feat. ");
    add(t, name, n);
    add_text(t, ")");
}

size_t
world_title(char out[WORLD_TEXT], const struct world *w, uint32_t track)
{
    static const char *const behind[] = {" - Remastered", " (12\" Mix)", " - Live", " - Radio Edit"};
    struct rng r = rng_seed(w->seed, ((uint64_t)TITLE << 32) + track);
    struct text t = {out, 0};
    uint64_t u = rng_u64(&r), kind = u >> 8 & 63;
    size_t genre = world_genre(w, track);

    for (uint64_t i = 0; i < 1 + u % 4; i++)
        add_word(&t, w, genre, w->mood[track], &r);
    if (kind < ENTRIES(behind))
        add_text(&t, behind[kind]);
    else if (kind < ENTRIES(behind) + 3)
        add_guest(&t, w, (uint32_t)rng_below(&r, w->artists));
    return t.n;
}

size_t
world_album_name(char out[WORLD_TEXT], const struct world *w, uint32_t artist, uint32_t album)
{
    struct rng r = rng_seed(w->seed, ((uint64_t)ALBUM_NAME << 48) + ((uint64_t)artist << 8) + album);
    struct text t = {out, 0};
    uint64_t u = rng_u64(&r);

    if (album == 0) /* the first bears its artist's name */
        return world_artist_name(out, w, artist);
    for (uint64_t i = 0; i < 1 + u % 3; i++)
        add_word(&t, w, world_genre_of_artist(w, artist), WORLD_NO_MOOD, &r);
    if ((u >> 8 & 15) == 0)
        add_text(&t, " (Deluxe Edition)");
    return t.n;
}

/* A hint at the genre, at the mood, at both, or at nothing. */
static void
add_hint(struct text *t, size_t genre, int mood, struct rng *r)
{
    static const char *const behind[] = {"", "", "", " mix", " vibes", " jams", " 2017", " playlist"};
    double u = rng_unit(r);

    if (u < 0.3) {
        add_text(t, plain_list[rng_below(r, ENTRIES(plain_list))]);
        return;
    }
    if (mood != WORLD_NO_MOOD && u < 0.75)
        add_text(t, mood_list[mood][rng_below(r, ENTRIES(mood_list[0]))]);
    if (mood == WORLD_NO_MOOD || u >= 0.65) {
        if (t->n > 0)
            add_text(t, " ");
        add_text(t, world_genre_name[genre]);
    }
    add_text(t, behind[rng_below(r, ENTRIES(behind))]);
}

size_t
world_list_name(char out[WORLD_TEXT], const struct world *w, size_t genre, int mood, struct rng *r)
{
    struct text t = {out, 0};
    uint64_t style;

    (void)w;
    add_hint(&t, genre, mood, r);
    style = rng_below(r, 100);
    for (size_t i = 0; i < t.n; i++) /* Capitals, CAPITALS, or as it is */
        if (out[i] >= 'a' && out[i] <= 'z' && (style < 6 || (style < 60 && (i == 0 || out[i - 1] == ' '))))
            out[i] = (char)(out[i] - 'a' + 'A');
    if (rng_unit(r) < 0.02) {
        add_text(&t, " ");
        add_text(&t, emoji[rng_below(r, ENTRIES(emoji))]);
    }
    return t.n;
}

size_t
world_list_description(char out[WORLD_TEXT], const struct world *w, size_t genre, int mood, struct rng *r)
{
    static const char *const before[] = {"the best of ", "all my ", "songs for when you want ", "just some "};
    struct text t = {out, 0};

    (void)w;
    add_text(&t, before[rng_below(r, ENTRIES(before))]);
    if (mood != WORLD_NO_MOOD) {
        add_text(&t, world_mood_name[mood]);
        add_text(&t, " ");
    }
    add_text(&t, world_genre_name[genre]);
    return t.n;
}

/* ---- tags and lyrics ---- */

/* Most tracks are tagged with their genre, or a neighbour of it, and many with their mood. One in ten has no tags. */
void
world_put_tags(struct rec_writer *out, const struct world *w, uint32_t track)
{
    static const char *const noise[] = {"favorites", "seen live", "female vocalists", "awesome", "albums i own"};
    struct rng r = rng_seed(w->seed, ((uint64_t)TAG << 32) + track);
    size_t genre = world_genre(w, track);
    char decade[16];

    if (rng_unit(&r) < 0.1)
        return;
    (void)snprintf(decade, sizeof(decade), "%u0s", world_year(w, track) / 10 % 10);
    put_array(out, "tags");
    if (rng_unit(&r) < 0.85)
        put_text(out, NULL, world_genre_name[genre]);
    if (rng_unit(&r) < 0.12)
        put_text(out, NULL, world_genre_name[(genre + 1) % w->genres]);
    if (rng_unit(&r) < 0.6)
        put_text(out, NULL, world_mood_name[w->mood[track]]);
    if (rng_unit(&r) < 0.3)
        put_text(out, NULL, decade);
    if (rng_unit(&r) < 0.15)
        put_text(out, NULL, noise[rng_below(&r, ENTRIES(noise))]);
    put_close(out);
}

/* One track in seven is sung without words. */
enum status
world_put_lyrics(
    struct rec_writer *out, struct buf *text, const struct world *w, uint32_t track, size_t words, struct err *err)
{
    struct rng r = rng_seed(w->seed, ((uint64_t)LYRIC << 32) + track);
    size_t genre = world_genre(w, track), n;

    if (words == 0 || rng_unit(&r) < 1.0 / 7)
        return OK;
    n = words / 2 + (size_t)rng_below(&r, words + 1);
    text->n = 0;
    if (buf_reserve(text, (n + 1) * 24, err) != OK)
        return SYSTEM;
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            text->p[text->n++] = i % LINE == 0 ? '\n' : ' ';
        text->n += draw_word(text->p + text->n, w, genre, w->mood[track], &r);
    }
    put_str(out, "lyrics", (struct str){text->p, text->n});
    return OK;
}
