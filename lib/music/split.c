/* SPDX-License-Identifier: Apache-2.0 */
/*
 * split - training, validation and test playlists, and the tracks that training has never seen.
 *
 * The split is by time, as in Doh, Choi, Nam 2025: what is tested was made after what is learnt. The test set is a
 * sample of the playlists of one day, by default the last that is there; the paper has 1,000 of them. A playlist is in
 * the sample if its keyed hash is among the smallest of its day: that needs one heap of the sample's size, and neither
 * the order of the records nor how they are cut into files can change it (a playlist that comes twice takes two of the
 * places). Validation is by a hash of the id that no seed changes.
 *
 * Memory: the ids of the test sample, and the distinct track ids of all playlists. Time: linear.
 */
#include <stdlib.h>
#include <string.h>

#include "music/music.h"

#define DAY ((int64_t)86400)

/* One playlist that may become a test playlist. */
struct pick {
    uint64_t hash;
    char *id;
    size_t n;
};

struct splitter {
    struct split_options o;
    struct split_counts count;
    bool dated; /* day is that of the candidates so far */
    int64_t day;
    struct pick *pick; /* until split_settle a heap whose first is the largest */
    size_t n;
    struct ids *test;    /* ids of the sample */
    struct ids *tracks;  /* those of playlists, then those of tracks too */
    unsigned char *flag; /* of each of tracks */
    size_t flags;
};

enum { IN_TRAIN = 1, WRITTEN = 2 };

enum status
split_new(struct splitter **out, const struct split_options *o, struct err *err)
{
    struct splitter *s = calloc(1, sizeof(*s));
    size_t bytes;

    *out = NULL;
    if (s == NULL)
        return err_memory(err);
    s->o = *o;
    if (o->has_day) {
        s->dated = true;
        s->day = o->day;
    }
    if (!size_mul(&bytes, o->test + 1, sizeof(*s->pick)) || (s->pick = malloc(bytes)) == NULL) {
        split_free(s);
        return err_memory(err);
    }
    if (ids_new(&s->test, err) != OK || ids_new(&s->tracks, err) != OK) {
        split_free(s);
        return SYSTEM;
    }
    *out = s;
    return OK;
}

static void
drop_picks(struct splitter *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->pick[i].id);
    s->n = 0;
}

void
split_free(struct splitter *s)
{
    if (s == NULL)
        return;
    drop_picks(s);
    free(s->pick);
    ids_free(s->test);
    ids_free(s->tracks);
    free(s->flag);
    free(s);
}

/* ---- first pass ---- */

/* Order of the sample: by hash, then by id, so that no two different ids are equal. */
static int
pick_cmp(const struct pick *a, const struct pick *b)
{
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return str_cmp((struct str){a->id, a->n}, (struct str){b->id, b->n});
}

static void
swap_picks(struct pick *a, struct pick *b)
{
    struct pick t = *a;

    *a = *b;
    *b = t;
}

static void
sift_up(struct pick *h, size_t i)
{
    while (i > 0 && pick_cmp(&h[(i - 1) / 2], &h[i]) < 0) {
        swap_picks(&h[(i - 1) / 2], &h[i]);
        i = (i - 1) / 2;
    }
}

static void
sift_down(struct pick *h, size_t n, size_t i)
{
    for (;;) {
        size_t big = i;
        for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < n; c++)
            if (pick_cmp(&h[big], &h[c]) < 0)
                big = c;
        if (big == i)
            return;
        swap_picks(&h[i], &h[big]);
        i = big;
    }
}

/* Keeps id if it is among the o.test smallest so far. */
static enum status
pick_add(struct splitter *s, struct str id, struct err *err)
{
    struct pick p = {hash64(s->o.seed, id.p, id.n), (char *)id.p, id.n};

    if (s->o.test == 0 || (s->n == s->o.test && pick_cmp(&p, &s->pick[0]) >= 0))
        return OK;
    if ((p.id = malloc(id.n)) == NULL)
        return err_memory(err);
    memcpy(p.id, id.p, id.n);
    if (s->n < s->o.test) {
        s->pick[s->n] = p;
        sift_up(s->pick, s->n++);
        return OK;
    }
    free(s->pick[0].id);
    s->pick[0] = p;
    sift_down(s->pick, s->n, 0);
    return OK;
}

/* What both passes need of a playlist, and everything that makes one bad. */
static enum status
check(struct str *id, bool *dated, int64_t *day, const msgpack_object *playlist, struct err *err)
{
    const msgpack_object *tracks;
    enum status st;
    int64_t t = 0;

    if ((st = map_id(id, playlist, "playlist_id", err)) != OK)
        return st;
    if ((st = map_array(&tracks, playlist, "tracks", err)) != OK)
        return st;
    for (uint32_t i = 0; i < tracks->via.array.size; i++) {
        struct str track;
        if ((st = obj_str(&track, &tracks->via.array.ptr[i], "tracks", err)) != OK)
            return st;
        if (track.n == 0)
            return err_set(err, DATA, "tracks: expected a string that is not empty");
    }
    *dated = map_has(playlist, "modified_at");
    if (*dated && (st = map_i64(&t, playlist, "modified_at", err)) != OK)
        return st;
    *day = t / DAY - (t % DAY < 0); /* down, for times before 1970 */
    return OK;
}

enum status
split_see(struct splitter *s, const msgpack_object *playlist, struct err *err)
{
    struct str id;
    int64_t day;
    bool dated;
    enum status st = check(&id, &dated, &day, playlist, err);

    if (st != OK || !dated)
        return st;
    if (!s->o.has_day && (!s->dated || day > s->day)) {
        s->dated = true;
        s->day = day;
        s->count.candidates = 0;
        drop_picks(s);
    }
    if (day > s->day || s->day - day >= s->o.days)
        return OK;
    s->count.candidates++;
    return pick_add(s, id, err);
}

bool
split_settle(int64_t *day, struct splitter *s)
{
    *day = s->dated ? s->day : 0;
    return s->dated;
}

/* ---- second pass ---- */

static enum status
fill_test(struct splitter *s, struct err *err)
{
    enum status st = OK;
    uint32_t index;

    for (size_t i = 0; i < s->n && st == OK; i++)
        st = ids_add(&index, s->test, (struct str){s->pick[i].id, s->pick[i].n}, err);
    drop_picks(s);
    return st;
}

/* Room for the flags of all tracks so far. */
static enum status
reserve_flags(struct splitter *s, struct err *err)
{
    size_t n = ids_count(s->tracks), want = n < 1024 ? 1024 : n;
    unsigned char *p;

    if (n <= s->flags)
        return OK;
    if (!size_mul(&want, want, 2) || (p = realloc(s->flag, want)) == NULL)
        return err_memory(err);
    memset(p + s->flags, 0, want - s->flags);
    s->flag = p;
    s->flags = want;
    return OK;
}

/* The tracks of a playlist, which were checked; flag is what they are from now on. */
static enum status
note_tracks(struct splitter *s, const msgpack_object *tracks, unsigned char flag, struct err *err)
{
    const msgpack_object_array *a = &tracks->via.array;

    for (uint32_t from = 0, some; from < a->size; from += some) {
        struct str id[IDS_TOGETHER];
        uint32_t index[IDS_TOGETHER];

        some = a->size - from < IDS_TOGETHER ? a->size - from : IDS_TOGETHER;
        for (uint32_t i = 0; i < some; i++)
            id[i] = (struct str){a->ptr[from + i].via.str.ptr, a->ptr[from + i].via.str.size};
        if (ids_add_many(index, s->tracks, id, some, err) != OK || reserve_flags(s, err) != OK)
            return err->status;
        for (uint32_t i = 0; i < some; i++)
            s->flag[index[i]] |= flag;
    }
    return OK;
}

static enum split
split_of(const struct splitter *s, struct str id)
{
    if (ids_find(s->test, id) != IDS_NONE)
        return SPLIT_TEST;
    /* The upper 53 bits as a number in [0, 1). No seed: a sweep over seeds must not move the line. */
    if ((double)(hash64(0, id.p, id.n) >> 11) * 0x1p-53 < s->o.valid)
        return SPLIT_VALID;
    return SPLIT_TRAIN;
}

enum status
split_playlist(struct rec_writer *w, struct splitter *s, const msgpack_object *playlist, struct err *err)
{
    static const char *const skip[] = {"split", NULL};
    struct str id;
    int64_t day;
    bool dated;
    enum status st;
    enum split split;

    if (s->n > 0 && (st = fill_test(s, err)) != OK)
        return st;
    if ((st = check(&id, &dated, &day, playlist, err)) != OK)
        return st;
    split = split_of(s, id);
    rec_begin(w);
    put_rest(w, playlist, skip);
    put_text(w, "split", split_name[split]);
    if ((st = rec_end(w, err)) != OK)
        return st;
    s->count.playlists[split]++;
    s->count.undated += !dated;
    return note_tracks(s, map_find(playlist, "tracks"), split == SPLIT_TRAIN ? IN_TRAIN : 0, err);
}

enum status
split_track(struct rec_writer *w, struct splitter *s, const msgpack_object *track, struct err *err)
{
    static const char *const skip[] = {"cold", NULL};
    uint32_t index;
    struct str id;
    enum status st;
    bool cold;

    if ((st = map_id(&id, track, "track_id", err)) != OK || (st = ids_add(&index, s->tracks, id, err)) != OK ||
        (st = reserve_flags(s, err)) != OK)
        return st;
    if (s->flag[index] & WRITTEN) {
        s->count.repeated++;
        return OK;
    }
    cold = !(s->flag[index] & IN_TRAIN);
    rec_begin(w);
    put_rest(w, track, skip);
    put_bool(w, "cold", cold);
    if ((st = rec_end(w, err)) != OK)
        return st;
    s->flag[index] |= WRITTEN;
    s->count.tracks++;
    s->count.cold += cold;
    return OK;
}

const struct split_counts *
split_counts(const struct splitter *s)
{
    return &s->count;
}

/* ---- days ---- */

/* Days since 1970 of a date of the Gregorian calendar; years begin in March, so that leap days are last. */
static int64_t
days_from_civil(int64_t y, int64_t m, int64_t d)
{
    int64_t era, yoe, doy;

    y -= m <= 2;
    era = (y >= 0 ? y : y - 399) / 400;
    yoe = y - era * 400;
    doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

enum status
split_day(int64_t *day, const char *text, struct err *err)
{
    static const int of_month[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int x[3] = {0, 0, 0}, field = 0;
    bool leap, good = strlen(text) == 10;

    for (size_t i = 0; good && i < 10; i++) {
        if (i == 4 || i == 7) {
            good = text[i] == '-';
            field++;
        } else {
            good = text[i] >= '0' && text[i] <= '9';
            x[field] = x[field] * 10 + (text[i] - '0');
        }
    }
    leap = (x[0] % 4 == 0 && x[0] % 100 != 0) || x[0] % 400 == 0;
    if (!good || x[1] < 1 || x[1] > 12 || x[2] < 1 || x[2] > of_month[x[1] - 1] || (x[1] == 2 && x[2] == 29 && !leap))
        return err_set(err, USAGE, "expected a date such as 2017-11-01, got \"%s\"", text);
    *day = days_from_civil(x[0], x[1], x[2]);
    return OK;
}

void
split_day_text(char out[64], int64_t day)
{
    int64_t z = day + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t m = mp < 10 ? mp + 3 : mp - 9;

    (void)snprintf(out, 64, "%04lld-%02lld-%02lld", (long long)(yoe + era * 400 + (m <= 2)), (long long)m,
        (long long)(doy - (153 * mp + 2) / 5 + 1));
}
