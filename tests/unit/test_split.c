/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Days of the calendar (expected: Python's datetime.date.toordinal() - 719163), and the split's sample against a plain
 * sort.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "music/music.h"
#include "unit.h"

static void
test_days(void)
{
    static const struct {
        const char *text;
        int64_t day;
    } known[] = {{"1970-01-01", 0}, {"1969-12-31", -1}, {"2000-02-29", 11016}, {"2017-11-01", 17471},
        {"1900-03-01", -25508}, {"0001-01-01", -719162}, {"9999-12-31", 2932896}};
    char text[64];
    struct err err;
    int64_t day, wrong = 0;

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        CHECK(split_day(&day, known[i].text, &err) == OK && day == known[i].day, "%s is day %lld", known[i].text,
            (long long)known[i].day);
    }
    for (int64_t d = -719162; d <= 2932896; d += 61) {
        split_day_text(text, d);
        wrong += split_day(&day, text, &err) != OK || day != d;
    }
    CHECK(wrong == 0, "every 61st day of years 1 to 9999 comes back from its text");
    split_day_text(text, INT64_MAX / 86400);
    CHECK(strlen(text) > 10, "the largest day that a time can have is printed: %s", text);
}

/* A playlist record {playlist_id: id, modified_at: t, tracks: []} as an object that lives in zone. */
static msgpack_object
playlist(msgpack_zone *zone, const char *id, int64_t t)
{
    msgpack_object o;
    msgpack_object_kv *kv = msgpack_zone_malloc(zone, 3 * sizeof(*kv));
    static const char *const key[] = {"playlist_id", "modified_at", "tracks"};

    if (kv == NULL)
        abort();
    for (int i = 0; i < 3; i++) {
        kv[i].key.type = MSGPACK_OBJECT_STR;
        kv[i].key.via.str.ptr = key[i];
        kv[i].key.via.str.size = (uint32_t)strlen(key[i]);
    }
    kv[0].val.type = MSGPACK_OBJECT_STR;
    kv[0].val.via.str.ptr = id;
    kv[0].val.via.str.size = (uint32_t)strlen(id);
    kv[1].val.type = t < 0 ? MSGPACK_OBJECT_NEGATIVE_INTEGER : MSGPACK_OBJECT_POSITIVE_INTEGER;
    kv[1].val.via.i64 = t;
    kv[2].val.type = MSGPACK_OBJECT_ARRAY;
    kv[2].val.via.array.size = 0;
    kv[2].val.via.array.ptr = NULL;
    o.type = MSGPACK_OBJECT_MAP;
    o.via.map.size = 3;
    o.via.map.ptr = kv;
    return o;
}

struct ranked {
    uint64_t hash;
    char id[16];
};

static int
ranked_cmp(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    return x->hash != y->hash ? (x->hash < y->hash ? -1 : 1) : strcmp(x->id, y->id);
}

#define MANY 500

/* The heap must keep the n smallest hashes of the last day, whatever came before it. */
static void
test_sample(size_t n)
{
    struct split_options o = {.seed = 5, .test = n, .valid = 0, .days = 1};
    struct ranked all[MANY];
    struct splitter *s = NULL;
    struct rec_writer *w = NULL;
    msgpack_zone zone;
    struct err err;
    int64_t day;
    size_t wrong = 0;

    if (!msgpack_zone_init(&zone, 4096) || split_new(&s, &o, &err) != OK || rec_create(&w, "/dev/null", &err) != OK)
        abort();
    for (size_t i = 0; i < MANY; i++) {
        msgpack_object p, early;
        (void)snprintf(all[i].id, sizeof(all[i].id), "p%zu", i);
        all[i].hash = hash64(5, all[i].id, strlen(all[i].id));
        early = playlist(&zone, "early", (int64_t)i - 1000); /* the day before */
        p = playlist(&zone, all[i].id, 86400 * 3 + (int64_t)i);
        wrong += split_see(s, &early, &err) != OK || split_see(s, &p, &err) != OK;
    }
    CHECK(wrong == 0 && split_settle(&day, s) && day == 3, "the last day is found");
    qsort(all, MANY, sizeof(all[0]), ranked_cmp);
    for (size_t i = 0; i < MANY; i++) {
        msgpack_object p = playlist(&zone, all[i].id, 0);
        uint64_t before = split_counts(s)->playlists[SPLIT_TEST];
        wrong += split_playlist(w, s, &p, &err) != OK;
        wrong += (split_counts(s)->playlists[SPLIT_TEST] > before) != (i < n);
    }
    CHECK(wrong == 0, "the sample of %zu are the smallest hashes", n);
    rec_discard(w);
    split_free(s);
    msgpack_zone_destroy(&zone);
}

int
main(void)
{
    test_days();
    test_sample(0);
    test_sample(1);
    test_sample(100);
    test_sample(MANY);
    test_sample(2 * MANY);
    return unit_done();
}
