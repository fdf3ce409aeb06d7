/* SPDX-License-Identifier: Apache-2.0 */
/* Records in and out, ids, fields. Expected bytes are written by hand from the MessagePack specification. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream/stream.h"

#include "unit.h"

static char path[] = "/tmp/test_stream.XXXXXX";

static void
write_bytes(const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_TRUNC);

    CHECK(fd >= 0 && write(fd, bytes, n) == (ssize_t)n && close(fd) == 0, "scratch file of %zu bytes", n);
}

/* Statuses of reading the whole file: the last one, and how many records came before it. */
static enum status
read_all(int *n, struct err *err)
{
    struct rec_reader *in;
    struct rec *rec;
    enum status st = rec_open(&in, path, 1000, err);

    *n = 0;
    while (st == OK && (st = rec_read(&rec, in, err)) == OK)
        ++*n;
    rec_close(in);
    return st;
}

static void
test_read(void)
{
    static const char two[] = "\x81\xa1x\x0a\x0a\x80\x0a"; /* {x: 10} and {}: 0x0a is payload, too */
    struct err err;
    int n;

    write_bytes(two, 7);
    CHECK(read_all(&n, &err) == END && n == 2, "two records, one holding the separator's byte");
    write_bytes(two, 6);
    CHECK(read_all(&n, &err) == DATA && n == 1, "a missing last separator is an error");
    CHECK(strstr(err.text, "record 2, byte 5: the record is cut off") != NULL, "message: %s", err.text);
    write_bytes("", 0);
    CHECK(read_all(&n, &err) == END && n == 0, "an empty file is an empty stream");
    write_bytes("\x05\x0a", 2);
    CHECK(
        read_all(&n, &err) == DATA && strstr(err.text, "expected a map, got integer") != NULL, "message: %s", err.text);
    write_bytes("\x80\x80\x0a", 3);
    CHECK(read_all(&n, &err) == DATA && strstr(err.text, "expected byte 0x0a") != NULL, "message: %s", err.text);
    write_bytes("\x81\xa1x\xdd\xff\xff\xff\xff", 8);
    CHECK(read_all(&n, &err) == DATA && strstr(err.text, "larger than 1000 bytes") != NULL, "message: %s", err.text);
    write_bytes("\x81\xa1x\xc1\x0a", 5);
    CHECK(read_all(&n, &err) == DATA && strstr(err.text, "byte 3: 0xc1") != NULL, "message: %s", err.text);
}

static void
test_scan(void)
{
    char deep[40];
    size_t size;
    struct err err;

    memset(deep, '\x91', sizeof(deep));
    deep[REC_MAX_DEPTH] = 1;
    CHECK(rec_scan(&size, deep, sizeof(deep), 1000, &err) == OK && size == REC_MAX_DEPTH + 1, "32 levels are fine");
    deep[REC_MAX_DEPTH] = '\x91';
    CHECK(rec_scan(&size, deep, sizeof(deep), 1000, &err) == DATA, "33 levels are not");
    CHECK(rec_scan(&size, "\xda\x00", 2, 1000, &err) == END, "half a header needs more bytes");
    CHECK(rec_scan(&size,
              "\xd9\x05"
              "abc",
              5, 1000, &err) == END,
        "half a string needs more bytes");
    CHECK(rec_scan(&size,
              "\xd9\x05"
              "abc",
              5, 6, &err) == DATA,
        "a string longer than the record may be is refused");
    CHECK(rec_scan(&size,
              "\xc7\x02\x01"
              "ab"
              "\x00",
              6, 99, &err) == OK &&
              size == 5,
        "ext 8 with its type");
    CHECK(rec_scan(&size,
              "\xd8\x01"
              "0123456789abcdef",
              18, 99, &err) == OK &&
              size == 18,
        "fixext 16");
}

static void
build(struct rec_writer *w, int entries)
{
    rec_begin(w);
    put_text(w, "s", "a");
    put_i64(w, "i", -33);
    put_array(w, "a");
    for (int i = 0; i < entries; i++)
        put_u64(w, NULL, 1);
    put_close(w);
}

static void
test_write(void)
{
    static const char want[] = "\x83\xa1s\xa1"
                               "a\xa1i\xd0\xdf\xa1"
                               "a\x92\x01\x01\x0a";
    struct rec_writer *w;
    struct buf got = {0};
    struct err err;
    float inf = HUGE_VALF;

    CHECK(rec_create(&w, path, &err) == OK, "output opens");
    build(w, 2);
    CHECK(rec_end(w, &err) == OK, "a record of three pairs");
    build(w, 70000);
    CHECK(rec_end(w, &err) == OK, "an array of 70,000");
    rec_begin(w);
    put_vector(w, "v", &inf, 1);
    CHECK(rec_end(w, &err) == DATA, "infinity is refused");
    rec_begin(w);
    put_map(w, "m");
    CHECK(rec_end(w, &err) != OK, "an open map is refused");
    build(w, 1); /* begun and never ended */
    CHECK(rec_commit(w, &err) == OK, "output closes");
    CHECK(file_read(&got, path, 1 << 20, &err) == OK && got.n > 70000, "output is there");
    CHECK(memcmp(got.p, want, sizeof(want) - 1) == 0, "bytes are the canonical ones");
    CHECK(memcmp(got.p + 15 + 11, "\xdd\x00\x01\x11\x70\x01", 6) == 0, "array 32 header");
    CHECK(got.n == 15 + 11 + 5 + 70000 + 1, "nothing of the refused records: %zu bytes", got.n);
    buf_free(&got);
}

static void
test_fields(void)
{
    static const char bytes[] = "\x85\xa1s\xa1"
                                "a\xa1"
                                "e\xa0\xa1n\xc0\xa1i\x07\xa1v\xd7\x01\0\0\x80\x3f\0\0\0\x40\x0a";
    struct rec_reader *in;
    struct rec *rec, *kept;
    struct str s;
    uint64_t u;
    double d;
    float v[2];
    struct err err;

    write_bytes(bytes, sizeof(bytes) - 1);
    CHECK(rec_open(&in, path, 0, &err) == OK && rec_read(&rec, in, &err) == OK, "a record of five");
    CHECK(rec_keep(&kept, rec, &err) == OK, "kept");
    CHECK(rec_read(&rec, in, &err) == END, "and no more");
    rec_close(in);
    CHECK(map_str(&s, &kept->map, "s", &err) == OK && str_eq(s, STR("a")), "string");
    CHECK(map_id(&s, &kept->map, "e", &err) == DATA, "an empty id is refused: %s", err.text);
    CHECK(map_str(&s, &kept->map, "n", &err) == DATA && strcmp(err.text, "n: missing") == 0, "nil is missing");
    CHECK(map_u64(&u, &kept->map, "i", 7, &err) == OK && u == 7, "integer");
    CHECK(map_u64(&u, &kept->map, "i", 6, &err) == DATA, "integer above its bound: %s", err.text);
    CHECK(map_f64(&d, &kept->map, "i", &err) == OK && d == 7.0, "an integer where a float is wanted");
    CHECK(map_vector(v, 2, &kept->map, "v", &err) == OK && v[0] == 1.0f && v[1] == 2.0f, "vector");
    CHECK(map_vector(v, 3, &kept->map, "v", &err) == DATA && strcmp(err.text, "v: expected 3 numbers, got 2") == 0,
        "message: %s", err.text);
    rec_free(kept);
}

static void
test_ids(void)
{
    struct ids *ids;
    struct str first;
    uint32_t k;
    char name[16];
    struct err err;
    bool all = true;

    CHECK(ids_new(&ids, &err) == OK, "ids");
    for (uint32_t i = 0; i < 10000; i++) {
        int n = snprintf(name, sizeof(name), "track%u", i);
        all = all && ids_add(&k, ids, (struct str){name, (size_t)n}, &err) == OK && k == i;
        if (i == 0)
            first = ids_str(ids, 0);
    }
    CHECK(all, "10,000 ids are numbered in order");
    CHECK(ids_add(&k, ids, STR("track77"), &err) == OK && k == 77 && ids_count(ids) == 10000, "a repeat is not added");
    CHECK(ids_find(ids, STR("track9999")) == 9999 && ids_find(ids, STR("x")) == IDS_NONE, "found and not found");
    CHECK(str_eq(first, STR("track0")), "a string handed out early is still there");
    ids_free(ids);
}

/* Many at a time, new and repeated ones mixed, while the table grows. */
static void
test_ids_many(void)
{
    static char name[3000][16];
    static struct str s[3000];
    static uint32_t index[3000];
    struct ids *many, *one;
    struct err err;
    bool same = ids_new(&many, &err) == OK && ids_new(&one, &err) == OK;

    for (size_t i = 0; i < 3000; i++)
        s[i] = (struct str){name[i], (size_t)snprintf(name[i], sizeof(name[i]), "t%zu", i % 3 == 0 ? i / 7 : i)};
    for (size_t from = 0, n = 1; from < 3000 && same; from += n, n = n * 3 + 1) {
        n = n < 3000 - from ? n : 3000 - from;
        same = ids_add_many(index + from, many, s + from, n, &err) == OK;
    }
    for (size_t i = 0; i < 3000 && same; i++) {
        uint32_t k;
        same = ids_add(&k, one, s[i], &err) == OK && index[i] == k && str_eq(ids_str(many, k), s[i]);
    }
    CHECK(same && ids_count(many) == ids_count(one), "many at a time are numbered as one by one");
    ids_free(many);
    ids_free(one);
}

int
main(void)
{
    int fd = mkstemp(path);

    CHECK(fd >= 0 && close(fd) == 0, "scratch file");
    test_read();
    test_scan();
    test_write();
    test_fields();
    test_ids();
    test_ids_many();
    (void)unlink(path);
    return unit_done();
}
