/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpdsynth - playlists in the layout of the Million Playlist Dataset whose truth is known.
 *
 * Slices are drawn in parallel, one a thread, and written in their order; so are the records of the tracks, in pieces
 * of the catalogue. Audio-like vectors are a sum of directions, of the genre, the mood, the artist and the track, of
 * lengths 1, 0.7, 0.5 and 0.7, so that clusters are there to be found and run into each other.
 *
 * Time: some 0.6 µs an entry and processor. Memory: the world's, a slice (35 MB) a thread, a bit a track.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "mpdslice.h"
#include "num/num.h"

#define PIECE 4096 /* tracks that a thread takes at a time */

enum { GENRE_DIRECTION = 300, MOOD_DIRECTION, ARTIST_DIRECTION, TRACK_DIRECTION };

struct run {
    const struct mpdsynth_options *o;
    const struct mpdsynth_out *out;
    struct world *world;
    struct mpdsynth_counts *count;
    uint64_t *seen;   /* a bit a track */
    float *direction; /* (genres + moods, dim) */
    enum status st;   /* the first failure, which ends the work */
    struct err *err;
};

/* What a thread works with; all zero is nothing. */
struct lane {
    struct buf text;
    struct rec_writer *tracks, *audio, *truth; /* in memory; NULL where not wanted */
    float *vector;
    uint64_t entries;
    struct err err;
};

static void
lane_free(struct lane *l)
{
    buf_free(&l->text);
    rec_discard(l->tracks);
    rec_discard(l->audio);
    rec_discard(l->truth);
    free(l->vector);
}

static enum status
lane_init(struct lane *l, const struct run *r)
{
    enum status st = OK;

    *l = (struct lane){0};
    if (r->out->tracks != NULL)
        st = rec_in_memory(&l->tracks, &l->err);
    if (st == OK && r->out->audio != NULL)
        st = rec_in_memory(&l->audio, &l->err);
    if (st == OK && r->out->truth != NULL)
        st = rec_in_memory(&l->truth, &l->err);
    if (st == OK && (l->vector = calloc(r->o->dim, sizeof(*l->vector))) == NULL)
        st = err_memory(&l->err);
    return st;
}

/* Only within ordered sections, and before the threads are there. */
static void
fail(struct run *r, enum status st, const struct err *err)
{
    if (r->st != OK)
        return;
    r->st = st;
    if (r->err != NULL)
        *r->err = *err;
}

/* Moves what a lane has written to where it belongs. */
static enum status
move(struct rec_writer *to, struct rec_writer *from, uint64_t *before, struct err *err)
{
    struct str bytes;
    enum status st;

    if (to == NULL)
        return OK;
    bytes = rec_memory(from);
    st = rec_raw(to, bytes.p, bytes.n, err);
    rec_count(to, rec_written(from) - *before);
    *before = rec_written(from);
    rec_empty(from);
    return st;
}

/* ---- slices ---- */

static enum status
put_list_truth(struct rec_writer *out, const struct world_list *list, uint64_t pid, struct err *err)
{
    char id[24];

    (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)pid);
    rec_begin(out);
    put_text(out, "playlist_id", id);
    put_text(out, "genre", world_genre_name[list->genre]);
    if (list->mood != WORLD_NO_MOOD)
        put_text(out, "mood", world_mood_name[list->mood]);
    return rec_end(out, err);
}

static uint64_t
last_of(const struct run *r, uint64_t first)
{
    uint64_t end = r->o->first + r->o->n;

    return (end - first < SLICE_PLAYLISTS ? end : first + SLICE_PLAYLISTS) - 1;
}

static enum status
draw_slice(struct lane *l, const struct run *r, uint64_t first)
{
    uint64_t last = last_of(r, first);
    struct world_list list;
    enum status st;

    l->text.n = 0;
    l->entries = 0;
    st = mpdslice_begin(&l->text, first, last, &l->err);
    for (uint64_t pid = first; st == OK && pid <= last; pid++) {
        world_draw_list(&list, r->world, pid);
        l->entries += list.n;
        for (size_t i = 0; i < list.n; i++)
            (void)__atomic_fetch_or(&r->seen[list.track[i] / 64], UINT64_C(1) << list.track[i] % 64, __ATOMIC_RELAXED);
        st = mpdslice_add(&l->text, r->world, &list, pid, pid == first, &l->err);
        if (st == OK && l->truth != NULL)
            st = put_list_truth(l->truth, &list, pid, &l->err);
    }
    return st == OK ? mpdslice_end(&l->text, &l->err) : st;
}

static enum status
write_file(const struct run *r, const struct lane *l, uint64_t first, struct err *err)
{
    struct buf path = {0};
    struct rec_writer *file = NULL;
    enum status st = buf_printf(&path, err, "%s/mpd.slice.%llu-%llu.json%c", r->o->dir, (unsigned long long)first,
        (unsigned long long)last_of(r, first), 0);

    if (st == OK && (st = rec_create(&file, path.p, err)) == OK) {
        if ((st = rec_raw(file, l->text.p, l->text.n, err)) == OK)
            st = rec_commit(file, err);
        else
            rec_discard(file);
    }
    buf_free(&path);
    return st;
}

static enum status
write_slice(struct run *r, struct lane *l, uint64_t first, uint64_t *truths)
{
    enum status st = OK;

    if (r->o->dir != NULL)
        st = write_file(r, l, first, &l->err);
    else if (r->out->json != NULL)
        st = rec_raw(r->out->json, l->text.p, l->text.n, &l->err);
    if (st == OK)
        st = move(r->out->truth, l->truth, truths, &l->err);
    r->count->slices++;
    r->count->playlists += last_of(r, first) - first + 1;
    r->count->entries += l->entries;
    return st;
}

static void
make_slices(struct run *r, void (*progress)(void *arg, uint64_t playlists), void *arg)
{
    uint64_t slices = (r->o->n + SLICE_PLAYLISTS - 1) / SLICE_PLAYLISTS;

#pragma omp parallel num_threads(num_threads())
    {
        struct lane lane;
        enum status begun = lane_init(&lane, r);
        uint64_t truths = 0;
#pragma omp for ordered schedule(static, 1)
        for (uint64_t i = 0; i < slices; i++) {
            uint64_t first = r->o->first + i * SLICE_PLAYLISTS;
            bool over = __atomic_load_n(&r->st, __ATOMIC_RELAXED) != OK;
            enum status st = over || begun != OK ? begun : draw_slice(&lane, r, first);
#pragma omp ordered
            {
                if (st == OK && r->st == OK && (st = write_slice(r, &lane, first, &truths)) == OK)
                    progress(arg, r->count->playlists);
                if (st != OK)
                    fail(r, st, &lane.err);
            }
        }
        lane_free(&lane);
    }
}

/* ---- tracks ---- */

/* About normal: the sum of four uniform numbers of 16 bits, each (0 … 65535), of variance 1. */
static float
about_normal(struct rng *g)
{
    uint64_t u = rng_u64(g);
    int32_t sum = (int32_t)((u & 0xffff) + (u >> 16 & 0xffff) + (u >> 32 & 0xffff) + (u >> 48)) - 2 * 65535;

    return (float)sum * (1.7320508F / 65536.0F);
}

/* x += length times a random direction of its own for (purpose, i). */
static void
add_direction(float *x, size_t dim, const struct world *w, uint64_t purpose, uint64_t i, float length)
{
    struct rng g = rng_seed(w->seed, purpose << 32 | i);
    float scale = length / sqrtf((float)dim);

    for (size_t d = 0; d < dim; d++)
        x[d] += scale * about_normal(&g);
}

static enum status
put_audio(struct lane *l, const struct run *r, struct str id, uint32_t track)
{
    const struct world *w = r->world;
    size_t dim = r->o->dim;
    const float *genre = r->direction + world_genre(w, track) * dim;
    const float *mood = r->direction + (w->genres + w->mood[track]) * dim;

    for (size_t d = 0; d < dim; d++)
        l->vector[d] = genre[d] + mood[d];
    add_direction(l->vector, dim, w, ARTIST_DIRECTION, w->artist[track], 0.5F);
    add_direction(l->vector, dim, w, TRACK_DIRECTION, track, 0.7F);
    rec_begin(l->audio);
    put_str(l->audio, "track_id", id);
    put_text(l->audio, "modality", modality_name[AUDIO]);
    put_vector(l->audio, "vector", l->vector, dim);
    return rec_end(l->audio, &l->err);
}

static enum status
put_track(struct lane *l, const struct run *r, struct str id, uint32_t track)
{
    const struct world *w = r->world;
    struct rec_writer *out = l->tracks;
    char name[WORLD_TEXT];
    uint32_t artist = w->artist[track];
    enum status st;

    rec_begin(out);
    put_str(out, "track_id", id);
    put_str(out, "title", (struct str){name, world_title(name, w, track)});
    put_str(out, "artist", (struct str){name, world_artist_name(name, w, artist)});
    put_str(out, "album", (struct str){name, world_album_name(name, w, artist, world_album(w, track))});
    put_u64(out, "duration_ms", world_duration_ms(w, track));
    put_u64(out, "year", world_year(w, track));
    world_put_tags(out, w, track);
    if ((st = world_put_lyrics(out, &l->text, w, track, r->o->lyrics, &l->err)) != OK)
        return st;
    return rec_end(out, &l->err);
}

static enum status
put_truth(struct lane *l, const struct world *w, struct str id, uint32_t track)
{
    char artist[WORLD_ID];
    size_t genre = world_genre(w, track);

    world_id(artist, w, WORLD_ARTIST, w->artist[track]);
    rec_begin(l->truth);
    put_str(l->truth, "track_id", id);
    put_text(l->truth, "genre", world_genre_name[genre]);
    put_text(l->truth, "mood", world_mood_name[w->mood[track]]);
    put_str(l->truth, "artist_id", (struct str){artist, WORLD_ID});
    put_u64(l->truth, "rank", track - w->first_track[genre] + 1);
    return rec_end(l->truth, &l->err);
}

/* All records of the tracks from … to - 1 that were seen. */
static enum status
describe(struct lane *l, const struct run *r, size_t from, size_t to)
{
    char id[WORLD_ID];
    enum status st = OK;

    l->entries = 0;
    for (size_t t = from; st == OK && t < to; t++) {
        if (!(r->seen[t / 64] >> t % 64 & 1))
            continue;
        l->entries++;
        world_id(id, r->world, WORLD_TRACK, t);
        if (l->tracks != NULL)
            st = put_track(l, r, (struct str){id, WORLD_ID}, (uint32_t)t);
        if (st == OK && l->audio != NULL)
            st = put_audio(l, r, (struct str){id, WORLD_ID}, (uint32_t)t);
        if (st == OK && l->truth != NULL)
            st = put_truth(l, r->world, (struct str){id, WORLD_ID}, (uint32_t)t);
    }
    return st;
}

static void
make_tracks(struct run *r)
{
    size_t n = r->world->tracks, pieces = (n + PIECE - 1) / PIECE;

#pragma omp parallel num_threads(num_threads())
    {
        struct lane lane;
        enum status begun = lane_init(&lane, r);
        uint64_t moved[3] = {0, 0, 0};
#pragma omp for ordered schedule(static, 1)
        for (size_t i = 0; i < pieces; i++) {
            size_t from = i * PIECE, to = from + PIECE < n ? from + PIECE : n;
            bool over = __atomic_load_n(&r->st, __ATOMIC_RELAXED) != OK;
            enum status st = over || begun != OK ? begun : describe(&lane, r, from, to);
#pragma omp ordered
            {
                if (st == OK && r->st == OK) {
                    r->count->tracks += lane.entries;
                    if ((st = move(r->out->tracks, lane.tracks, &moved[0], &lane.err)) == OK &&
                        (st = move(r->out->audio, lane.audio, &moved[1], &lane.err)) == OK)
                        st = move(r->out->truth, lane.truth, &moved[2], &lane.err);
                }
                if (st != OK)
                    fail(r, st, &lane.err);
            }
        }
        lane_free(&lane);
    }
}

enum status
mpdsynth_run(struct mpdsynth_counts *count, const struct mpdsynth_options *o, const struct mpdsynth_out *out,
    void (*progress)(void *arg, uint64_t playlists), void *arg, struct err *err)
{
    struct run r = {.o = o, .out = out, .count = count, .st = OK, .err = err};
    size_t groups = o->genres + o->moods;

    *count = (struct mpdsynth_counts){0};
    if (world_new(&r.world, o->seed, o->tracks, o->genres, o->moods, err) != OK)
        return SYSTEM;
    r.seen = calloc(o->tracks / 64 + 1, sizeof(*r.seen));
    r.direction = calloc(groups * o->dim, sizeof(*r.direction));
    if (r.seen == NULL || r.direction == NULL) {
        r.st = err_memory(err);
    } else {
        for (size_t g = 0; g < groups; g++)
            add_direction(r.direction + g * o->dim, o->dim, r.world, g < o->genres ? GENRE_DIRECTION : MOOD_DIRECTION,
                g, g < o->genres ? 1.0F : 0.7F);
        make_slices(&r, progress, arg);
        if (r.st == OK)
            make_tracks(&r);
    }
    free(r.seen);
    free(r.direction);
    world_free(r.world);
    return r.st;
}
