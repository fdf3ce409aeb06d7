/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser of dataset slices: hostile files (cut off at every byte, every single bit flipped), positions, claims,
 * repeated documents. Expected texts and counts are worked out by hand from the slices below.
 */
#include <stdlib.h>
#include <string.h>

#include "music/music.h"
#include "num/num.h"
#include "unit.h"

/* Two playlists, surrogate pair, escapes, an odd field of each kind. */
static const char good[] =
    "{\n \"info\": {\"generated_on\": \"2017-12-03\", \"slice\": \"7-8\", \"version\": \"v1\"},\n \"playlists\": [\n"
    "  {\"name\": \"A \\ud83c\\udfb8 \\\"B\\\"\", \"collaborative\": \"false\", \"pid\": 7, \"modified_at\": -86401,\n"
    "   \"num_tracks\": 3, \"num_albums\": 1, \"num_followers\": 2, \"tracks\": [\n"
    "    {\"pos\": 0, \"artist_name\": \"X\", \"track_uri\": \"spotify:track:t1\", \"artist_uri\": \"a:1\",\n"
    "     \"track_name\": \"One\", \"album_uri\": \"l:1\", \"duration_ms\": 1000, \"album_name\": \"L\"},\n"
    "    {\"pos\": 1, \"artist_name\": \"X\", \"track_uri\": \"spotify:track:t2\", \"artist_uri\": \"a:1\",\n"
    "     \"track_name\": \"Two\", \"album_uri\": \"l:1\", \"duration_ms\": 0, \"album_name\": \"L\"},\n"
    "    {\"pos\": 2, \"artist_name\": \"X\", \"track_uri\": \"spotify:track:t1\", \"artist_uri\": \"a:1\",\n"
    "     \"track_name\": \"One\", \"album_uri\": \"l:1\", \"duration_ms\": 1000, \"album_name\": \"L\"}],\n"
    "   \"num_edits\": 1, \"duration_ms\": 2000, \"num_artists\": 1},\n"
    "  {\"pid\": 8, \"tracks\": []}\n ]\n}\n";

static struct rec_writer *playlists, *tracks; /* what the last file gave, in memory */

struct outcome {
    enum status st; /* of the file */
    uint64_t bad;   /* playlists refused */
    uint64_t warned;
    struct mpd_counts count;
    struct err err;        /* of the file, or else of the last bad playlist */
    uint64_t number, byte; /* of the last bad playlist */
    char warning[512];     /* the last */
};

static void
warned(void *arg, const char *text)
{
    struct outcome *o = arg;

    o->warned++;
    (void)snprintf(o->warning, sizeof(o->warning), "%s", text);
}

/* Reads f to its end, into playlists and tracks. */
static struct outcome
parse_file(FILE *f, const char *name)
{
    struct outcome o = {0};
    struct mpd_playlist p;
    struct mpd *m = NULL;

    rec_empty(playlists);
    rec_empty(tracks);
    if (f == NULL || mpd_new(&m, playlists, tracks, warned, &o, &o.err) != OK)
        abort();
    mpd_open(m, f, name);
    while ((o.st = mpd_next(&p, m, &o.err)) == OK) {
        enum status st = mpd_write(m, &p, &o.err);
        if (st == DATA) {
            o.bad++;
            o.number = p.number;
            o.byte = p.byte;
        } else if (st != OK) {
            o.st = st;
            break;
        }
    }
    o.count = *mpd_counts(m);
    mpd_free(m);
    (void)fclose(f);
    return o;
}

/* Of these bytes, as if from a pipe. */
static struct outcome
parse(const char *bytes, size_t n, const char *name)
{
    /* fmemopen refuses no bytes at all */
    return parse_file(n > 0 ? fmemopen((void *)(uintptr_t)bytes, n, "rb") : fopen("/dev/null", "rb"), name);
}

static struct outcome
parse_text(const char *text)
{
    return parse(text, strlen(text), "slice.json");
}

/* Whether that many whole records are there: a parser that lets something malformed through fails here. */
static bool
readable(uint64_t expected, const struct rec_writer *w)
{
    struct str bytes = rec_memory(w);
    uint64_t n = 0;
    size_t size;

    for (; bytes.n > 0; n++) {
        if (rec_scan(&size, bytes.p, bytes.n, bytes.n, NULL) != OK || size == bytes.n || bytes.p[size] != '\n')
            return false;
        bytes.p += size + 1;
        bytes.n -= size + 1;
    }
    return n == expected;
}

static void
test_good(void)
{
    struct outcome o = parse_text(good);

    CHECK(o.st == END && o.bad == 0 && o.warned == 0, "a good slice is read to its end without a word");
    CHECK(
        o.count.playlists == 2 && o.count.entries == 3 && o.count.tracks == 2, "a repeated track is one track record");
    CHECK(readable(2, playlists) && readable(2, tracks), "its records can be read");
}

static void
test_cut(void)
{
    size_t n = sizeof(good) - 1, whole = n - 1, wrong = 0; /* the last byte is a line break */

    for (size_t i = 0; i < whole; i++) {
        struct outcome o = parse(good, i, "slice.json");
        wrong += o.st != DATA || o.count.playlists != 0;
        wrong += strstr(o.err.text, "slice.json: byte ") == NULL;
    }
    CHECK(wrong == 0, "cut off at each of %zu bytes: a data error with its position before any playlist is written",
        whole);
    CHECK(parse(good, whole, "slice.json").st == END, "without the last line break it is whole");
}

static void
test_flips(void)
{
    size_t n = sizeof(good) - 1, wrong = 0, data = 0, bad = 0, clean = 0;
    char *bytes = malloc(n);

    if (bytes == NULL)
        abort();
    for (size_t i = 0; i < 8 * n; i++) {
        struct outcome o;
        memcpy(bytes, good, n);
        bytes[i / 8] = (char)(bytes[i / 8] ^ (1 << i % 8));
        o = parse(bytes, n, "slice.json");
        wrong += o.st != END && o.st != DATA;
        wrong += !readable(o.count.playlists, playlists) || !readable(o.count.tracks, tracks);
        data += o.st == DATA;
        bad += o.bad > 0;
        clean += o.st == END && o.bad == 0;
    }
    free(bytes);
    CHECK(wrong == 0, "each of %zu single-bit flips: a documented status, and records that can be read", 8 * n);
    CHECK(data > 0 && bad > 0 && clean > 0, "some break the file, some a playlist, some nothing");
}

static void
test_positions(void)
{
    struct outcome o = parse_text("{\"playlists\": [{\"pid\": 1, \"tracks\": []}, {\"pid\": 2}]}");

    CHECK(o.st == END && o.bad == 1 && o.number == 2 && o.byte == 41, "a bad playlist is named by number and byte");
    CHECK(strcmp(o.err.text, "tracks: missing") == 0 && o.count.playlists == 1, "and the others are read");
    o = parse_text("{\"playlists\": [{\"pid\": 1, \"tracks\": []}, {\"name\": \"abc");
    CHECK(strcmp(o.err.text, "slice.json: byte 54: the file is cut off within the string that begins at byte 50") == 0,
        "a file cut off in mid-string names the end and the string");
    o = parse_text("{\"playlists\": [");
    CHECK(strcmp(o.err.text, "slice.json: byte 15: the file is cut off with 2 brackets open") == 0,
        "a file cut off elsewhere counts open brackets");
    o = parse_text("{\"playlists\": [1[, {\"pid\": 1, \"tracks\": []}, {\"pid\": 2, \"tracks\": []}]]}");
    CHECK(o.st == DATA && o.bad == 1 && o.count.playlists == 2 && strstr(o.err.text, "byte 70: expected") != NULL,
        "a bracket within a word that is none is found behind the playlists that follow");
    o = parse_text("\n[1]");
    CHECK(o.st == DATA && strcmp(o.err.text, "slice.json: byte 1: expected a JSON object, got byte 0x5b") == 0,
        "an array is no slice");
    o = parse_text("");
    CHECK(o.st == DATA, "an empty file is no slice");
    o = parse_text("{\"playlists\": []} {\"info\": ");
    CHECK(o.st == DATA && strstr(o.err.text, "byte 27: the file is cut off") != NULL,
        "positions count from the file's first byte, not the document's");
}

static void
test_claims(void)
{
    struct outcome o = parse_text("{\"info\": {\"slice\": \"0-2\"}, \"playlists\": [{\"pid\": 5, \"num_tracks\": 2,"
                                  "\"num_albums\": 1, \"num_artists\": 0, \"tracks\": [{\"track_uri\": \"x\"}]}]}");

    /* num_tracks 2 for 1, num_albums 1 for 0, 3 playlists announced for 1; pid 5 is not in 0-2 */
    CHECK(o.st == END && o.bad == 0 && o.count.wrong_counts == 3 && o.count.outside == 1 && o.warned == 4,
        "counts that lie and a pid outside the range are counted and warned of");
    CHECK(o.count.untitled == 1 && o.count.tracks == 1, "a track without a name is counted");
    o = parse("{\"playlists\": [{\"pid\": 5, \"tracks\": []}]}", 41, "dir/mpd.slice.0-0.json");
    CHECK(o.count.outside == 1 && strcmp(o.warning, "dir/mpd.slice.0-0.json: playlist 5: outside the file's 0-0") == 0,
        "without info the name of the file gives the range");
    o = parse_text("{\"info\": {\"slice\": 3}, \"playlists\": []}");
    CHECK(o.st == END && o.count.wrong_counts == 1, "an info.slice that is no range is counted");
    o = parse_text("{\"playlists\": [{\"pid\": 5, \"num_holdouts\": 4, \"num_samples\": 1, \"num_tracks\": 5,"
                   "\"tracks\": [{\"track_uri\": \"x\"}]}]}");
    CHECK(o.st == END && o.warned == 0, "in the challenge set num_tracks counts what is held out");
}

/* text is bad: refused for this reason. */
static void
refuse(const char *playlist, const char *why)
{
    char text[512];
    struct outcome o;

    (void)snprintf(text, sizeof(text), "{\"playlists\": [%s]}", playlist);
    o = parse_text(text);
    CHECK(o.st == END && o.bad == 1 && strcmp(o.err.text, why) == 0, "%s: %s", playlist, o.err.text);
}

static void
test_bad(void)
{
    refuse("3", "playlist: expected object, got whole number");
    refuse("{\"tracks\": []}", "pid: missing");
    refuse("{\"pid\": -1, \"tracks\": []}", "pid: expected a number from 0 on, got -1");
    refuse("{\"pid\": \"1\", \"tracks\": []}", "pid: expected whole number, got string");
    refuse("{\"pid\": 1, \"tracks\": {}}", "tracks: expected array, got object");
    refuse("{\"pid\": 1, \"tracks\": [{\"track_uri\": \"a\"}, {\"pos\": 1}]}", "tracks[1]: track_uri: missing");
    refuse("{\"pid\": 1, \"tracks\": [{\"track_uri\": \"spotify:track:\"}]}", "tracks[0]: track_uri: expected an id");
    refuse("{\"pid\": 1, \"tracks\": [7]}", "tracks[0]: expected an object");
    refuse("{\"pid\": 1, \"tracks\": [], \"name\": 4}", "name: expected string, got whole number");
    refuse("{\"pid\": 1, \"tracks\": [], \"modified_at\": 1.5}", "modified_at: expected whole number, got fraction");
    refuse("{\"pid\": 1, \"tracks\": [], \"num_tracks\": -2}", "num_tracks: expected a number of things, got -2");
    refuse("{\"pid\": 1, \"tracks\": [], \"collaborative\": \"maybe\"}",
        "collaborative: expected \"true\" or \"false\", got another string");
}

/* A string of quotes, backslashes, brackets and other bytes, escaped as JSON asks, onto p; behind it. */
static char *
put_string(char *p, struct rng *r)
{
    static const char all[] = "\\\"{}[]ab ,:";

    *p++ = '"';
    for (uint64_t n = rng_below(r, 12); n > 0; n--) {
        char c = all[rng_below(r, sizeof(all) - 1)];
        if (c == '"' || c == '\\')
            *p++ = '\\';
        *p++ = c;
    }
    *p++ = '"';
    return p;
}

/* An object mostly, which has brackets of its own. */
static char *
put_element(char *p, struct rng *r)
{
    switch (rng_below(r, 8)) {
    case 0:
        return p + sprintf(p, "-1.5");
    case 1:
        return put_string(p, r);
    case 2:
        return p + sprintf(p, "[[{}],[]]");
    default:
        p = put_string(p + sprintf(p, "{\"x\":["), r);
        p = put_string(p + sprintf(p, "],\"y\":{\"z\":"), r);
        return p + sprintf(p, "}}");
    }
}

/* Whatever strings are full of, wherever blocks of 64 bytes begin: the playlists that come back are those put in. */
static void
test_boundaries(void)
{
    static char text[8192];
    struct rng r = rng_seed(1, 1);
    struct err err;
    int wrong = 0;

    for (int round = 0; round < 4000; round++) {
        size_t from[40], to[40], n = (size_t)rng_below(&r, 40), i = 0;
        char *p = text + sprintf(text, "{\"a\":[[{}],[]],");
        struct mpd_playlist got;
        struct mpd *m = NULL;
        FILE *f;
        p = put_string(p, &r);
        p += sprintf(p, ":{\"b\":[1]},\"playlists\":[");
        for (size_t k = 0; k < n; k++) {
            p += k > 0 ? sprintf(p, ",%*s", (int)rng_below(&r, 70), "") : 0;
            from[k] = (size_t)(p - text);
            p = put_element(p, &r);
            to[k] = (size_t)(p - text);
        }
        p += sprintf(p, "],\"last\":{}}");
        f = fmemopen(text, (size_t)(p - text), "rb");
        if (f == NULL || mpd_new(&m, playlists, NULL, warned, NULL, &err) != OK)
            abort();
        mpd_open(m, f, "x");
        while (mpd_next(&got, m, &err) == OK) {
            wrong += i >= n || got.byte != from[i] || got.text.n != to[i] - from[i] ||
                     memcmp(got.text.p, text + from[i], got.text.n) != 0;
            i++;
        }
        wrong += i != n;
        mpd_free(m);
        (void)fclose(f);
    }
    CHECK(wrong == 0,
        "playlists begin and end where they do, in 4000 documents full of quotes, backslashes and brackets");
}

/* A file that holds before, which is read at once, and these bytes, which are not. */
static FILE *
file_of(const char *before, const char *bytes, size_t n)
{
    FILE *f = tmpfile();

    if (f == NULL || fputs(before, f) < 0 || fwrite(bytes, 1, n, f) != n ||
        fseek(f, (long)strlen(before), SEEK_SET) != 0)
        abort();
    return f;
}

static size_t
differ(const struct outcome *a, const struct outcome *b)
{
    return a->st != b->st || a->bad != b->bad || a->warned != b->warned || a->number != b->number ||
           a->byte != b->byte || memcmp(&a->count, &b->count, sizeof(a->count)) != 0 ||
           strcmp(a->err.text, b->err.text) != 0 || strcmp(a->warning, b->warning) != 0;
}

/* A file, which is mapped, gives what a pipe gives. */
static size_t
compare(const char *bytes, size_t n)
{
    struct outcome pipe = parse(bytes, n, "slice.json"), file;
    struct buf held = {0};
    struct err err;
    size_t wrong;

    if (buf_adds(&held, rec_memory(playlists), &err) != OK)
        abort();
    file = parse_file(file_of("", bytes, n), "slice.json");
    wrong = differ(&pipe, &file) + !str_eq(rec_memory(playlists), (struct str){held.p, held.n});
    buf_free(&held);
    return wrong;
}

/* A slice behind blanks, of size bytes: its last playlist ends two bytes before. */
static char *
slice_of(size_t size)
{
    static const char end[] = "{\"playlists\":[{\"pid\":1,\"tracks\":[{\"track_uri\":\"x\"}]}]}";
    char *text = malloc(size + sizeof(end));

    if (text == NULL)
        abort();
    memset(text, ' ', size);
    memcpy(text + size - (sizeof(end) - 1), end, sizeof(end));
    return text;
}

static void
test_mapped(void)
{
    size_t wrong = 0;
    struct outcome o;

    for (size_t i = 0; i < sizeof(good); i++)
        wrong += compare(good, i);
    CHECK(
        wrong == 0, "a file, whole or cut off anywhere, gives the records and errors that its bytes give from a pipe");
    wrong = 0;
    for (size_t size = 4096 - 70; size <= 4096; size++) {
        char *text = slice_of(size);
        wrong += compare(text, size);
        o = parse_file(file_of("", text, size), "slice.json");
        wrong += o.st != END || o.count.playlists != 1;
        free(text);
    }
    CHECK(wrong == 0, "also where it ends with a page of memory, or just before");
    o = parse_file(file_of("no JSON", good, sizeof(good) - 1), "slice.json");
    CHECK(o.st == END && o.count.playlists == 2, "of a file that was read from, what is left is read");
}

/* More playlists than the scan remembers ends of, between documents of few. */
static void
test_many(void)
{
    const struct str few = STR("{\"playlists\": [{\"pid\": 1, \"tracks\": []}, {\"pid\": 2, \"tracks\": []}]}");
    size_t n = 40000, wrong = 0;
    struct buf text = {0};
    struct outcome o;
    struct err err;

    wrong += buf_adds(&text, few, &err) != OK;
    for (size_t i = 0; i < n; i++)
        wrong += buf_printf(&text, &err, "%s{\"pid\": %zu, \"tracks\": [{}, []]}", i == 0 ? "{\"playlists\": [" : ", ",
                     i) != OK;
    wrong += buf_adds(&text, STR("]}"), &err) != OK || buf_adds(&text, few, &err) != OK;
    o = parse(text.p, text.n, "slice.json");
    CHECK(wrong == 0 && o.st == END && o.bad == n && o.count.playlists == 4 && o.number == n + 2,
        "%zu playlists in one document, and documents around it", n);
    CHECK(compare(text.p, text.n) == 0, "and the same of a file");
    buf_free(&text);
}

int
main(void)
{
    if (rec_in_memory(&playlists, NULL) != OK || rec_in_memory(&tracks, NULL) != OK)
        return 1;
    test_good();
    test_cut();
    test_flips();
    test_positions();
    test_claims();
    test_bad();
    test_boundaries();
    test_mapped();
    test_many();
    rec_discard(playlists);
    rec_discard(tracks);
    return unit_done();
}
