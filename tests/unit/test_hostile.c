/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile bytes before the stream layer: every truncation and every single flipped bit of a small stream of each record
 * type (tests/records/TYPE.json, made into records here), headers that claim 4 GiB, deep nesting, what is no
 * MessagePack. What must hold of any bytes is in drive.h; here is what must hold of these.
 */
#include <dirent.h>

#include "../fuzz/drive.h"
#include "unit.h"

static struct drive drive;

/* The stream of tests/records/NAME into out, and where its records end. */
static bool
make_stream(struct buf *out, size_t ends[8], size_t *n_ends, const char *name)
{
    struct buf text = {0};
    struct rec_reader *in;
    struct rec *r;
    struct err err;
    char path[300];

    (void)snprintf(path, sizeof(path), "tests/records/%s", name);
    out->n = *n_ends = 0;
    if (file_read(&text, path, 1 << 20, &err) != OK || drive_values(&drive, text.p, text.n) != NULL)
        return false;
    buf_free(&text);
    if (buf_adds(out, rec_memory(drive.memory), &err) != OK || ftruncate(drive.fd, 0) != 0 ||
        pwrite(drive.fd, out->p, out->n, 0) != (ssize_t)out->n || rec_open(&in, drive.path, 0, &err) != OK)
        return false;
    while (*n_ends < 8 && rec_read(&r, in, &err) == OK)
        ends[(*n_ends)++] = r->offset + r->size + 1;
    rec_close(in);
    return *n_ends > 0 && ends[*n_ends - 1] == out->n;
}

static bool
is_end(size_t at, const size_t *ends, size_t n)
{
    bool found = at == 0;

    for (size_t i = 0; i < n; i++)
        found |= ends[i] == at;
    return found;
}

static void
test_truncation(const struct buf *b, const size_t *ends, size_t n_ends, const char *name)
{
    const char *wrong = NULL;
    enum status st = OK;
    size_t n;

    for (n = 0; wrong == NULL && n <= b->n; n++) {
        wrong = drive_stream(&st, &drive, b->p, n);
        if (wrong == NULL && (st == END) != is_end(n, ends, n_ends))
            wrong = "a clean end within a record, or an error between two";
    }
    CHECK(wrong == NULL, "%s: cut off at each of %zu bytes: DATA within a record, END between two%s%s", name, b->n,
        wrong != NULL ? ": " : "", wrong != NULL ? wrong : "");
}

static void
test_flips(struct buf *b, const char *name)
{
    size_t refused = 0, fine = 0, at;
    const char *wrong = NULL;
    enum status st = OK;

    for (at = 0; wrong == NULL && at < b->n * 8; at++) {
        b->p[at / 8] = (char)(b->p[at / 8] ^ 1 << at % 8);
        wrong = drive_stream(&st, &drive, b->p, b->n);
        b->p[at / 8] = (char)(b->p[at / 8] ^ 1 << at % 8);
        refused += st == DATA;
        fine += st == END;
    }
    CHECK(wrong == NULL && refused > 0 && fine > 0, "%s: each of %zu flipped bits (%zu refused)%s%s", name, b->n * 8,
        refused, wrong != NULL ? ": " : "", wrong != NULL ? wrong : "");
}

static int
count_schemas(void)
{
    struct dirent **list;
    int n = scandir("schemas", &list, NULL, alphasort), found = 0;

    for (int i = 0; i < n; i++) {
        found += strstr(list[i]->d_name, ".schema.json") != NULL;
        free(list[i]);
    }
    if (n >= 0)
        free(list);
    return found;
}

static void
test_types(void)
{
    struct dirent **list;
    struct buf stream = {0};
    size_t ends[8], n_ends = 0;
    struct schema *schema;
    struct err err;
    char path[600];
    int n = scandir("tests/records", &list, NULL, alphasort), types = 0;

    for (int i = 0; i < n; i++) {
        char *dot = strrchr(list[i]->d_name, '.');
        if (dot != NULL && strcmp(dot, ".json") == 0) {
            (void)snprintf(
                path, sizeof(path), "schemas/%.*s.schema.json", (int)(dot - list[i]->d_name), list[i]->d_name);
            schema = NULL;
            CHECK(make_stream(&stream, ends, &n_ends, list[i]->d_name) && schema_load(&schema, path, &err) == OK,
                "%s: a stream and its schema", list[i]->d_name);
            drive.schema = schema;
            test_truncation(&stream, ends, n_ends, list[i]->d_name);
            test_flips(&stream, list[i]->d_name);
            drive.schema = NULL;
            schema_free(schema);
            types++;
        }
        free(list[i]);
    }
    if (n >= 0)
        free(list);
    CHECK(types == count_schemas() && types > 0, "every type of record has been tried: %d", types);
    buf_free(&stream);
}

/* What claims more than it has: refused without asking for that memory (a limit on memory in tests/hostile.bats sees to
 * it). */
static void
test_claims(void)
{
    static const struct {
        const char *bytes;
        size_t n;
        enum status st;
    } hostile[] = {
        {"\xdd\xff\xff\xff\xff", 5, DATA},
        {"\xdf\xff\xff\xff\xff", 5, DATA},
        {"\xdb\xff\xff\xff\xff", 5, DATA},
        {"\xc6\xff\xff\xff\xff", 5, DATA},
        {"\xc9\xff\xff\xff\xff\x01", 6, DATA},
        {"\x81\xa1x\xdd\xff\xff\xff\xff", 8, DATA},
        {"\x81\xa1x\xdf\xff\xff\xff\xff", 8, DATA},
        {"\x81\xa1x\xc9\xff\xff\xff\xff\x01", 9, DATA},
        {"\x81\xdb\xff\xff\xff\xff", 6, DATA},
        {"\xdd\x03\xff\xff\xf0", 5, DATA}, /* just within what a record may have, and not there */
        {"\x81\xa1x\xdb\x03\xff\xff\xf0", 8, DATA},
        {"\xc1", 1, DATA},
        {"\x81\xa1x\xc1\n", 5, DATA},
        {"\n", 1, DATA},
        {"{\"a\":1}\n", 8, DATA},
        {"\x80", 1, DATA},
        {"\x80\x80\n", 3, DATA},
        {"\x80\n\n", 3, DATA},
        {"\x90\n", 2, DATA},
        {"\xa1x\n", 3, DATA},
        {"\xc0\n", 2, DATA},
        {"\x81\xa1x\n", 4, DATA}, /* 0x0a is the value; the separator is missing */
        {"\x81\xa1x\n\n", 5, END},
        {"", 0, END},
    };
    const char *wrong;
    enum status st = OK;

    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        wrong = drive_stream(&st, &drive, hostile[i].bytes, hostile[i].n);
        CHECK(wrong == NULL && st == hostile[i].st, "hostile bytes %zu end as they should", i);
    }
}

/* depth maps or arrays within each other, the first always a map. */
static void
nest(struct buf *out, size_t depth, bool maps)
{
    out->n = 0;
    for (size_t i = 0; i < depth; i++)
        (void)(maps || i == 0 ? buf_add(out, "\x81\xa1x", 3, NULL) : buf_add(out, "\x91", 1, NULL));
    (void)buf_add(out, "\x01\n", 2, NULL);
}

static void
test_nesting(void)
{
    struct buf b = {0};
    enum status st = OK;
    const char *wrong;

    for (int maps = 0; maps < 2; maps++) {
        nest(&b, REC_MAX_DEPTH, maps);
        wrong = drive_stream(&st, &drive, b.p, b.n);
        CHECK(wrong == NULL && st == END && drive.records == 1, "nesting of 32 is fine, by way of JSON, too");
        nest(&b, REC_MAX_DEPTH + 1, maps);
        wrong = drive_stream(&st, &drive, b.p, b.n);
        CHECK(wrong == NULL && st == DATA, "nesting of 33 is refused");
        nest(&b, 1000000, maps);
        wrong = drive_stream(&st, &drive, b.p, b.n);
        CHECK(wrong == NULL && st == DATA, "nesting of a million is refused");
    }
    buf_free(&b);
}

int
main(void)
{
    CHECK(drive_init(&drive), "a file in memory");
    test_types();
    test_claims();
    test_nesting();
    drive_fini(&drive);
    return unit_done();
}
