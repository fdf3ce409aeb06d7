/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drive - what must hold of the stream layer for any bytes whatever. Shared by the fuzz targets and by test_hostile.
 *
 * Each function returns NULL, or what did not hold.
 */
#ifndef DRIVE_H
#define DRIVE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stream/stream.h"

struct drive {
    int fd; /* a file in memory that holds the input */
    char path[64];
    struct json_parser *parser;
    struct rec_writer *memory;
    struct buf text, again;
    const struct schema *schema; /* or NULL */
    uint64_t records;            /* read so far */
};

static inline bool
drive_init(struct drive *d)
{
    struct err err;

    *d = (struct drive){.fd = memfd_create("input", MFD_CLOEXEC)};
    (void)snprintf(d->path, sizeof(d->path), "/proc/self/fd/%d", d->fd);
    return d->fd >= 0 && json_parser_new(&d->parser, &err) == OK && rec_in_memory(&d->memory, &err) == OK;
}

static inline void
drive_fini(struct drive *d)
{
    json_parser_free(d->parser);
    rec_discard(d->memory);
    buf_free(&d->text);
    buf_free(&d->again);
    if (d->fd >= 0)
        (void)close(d->fd);
}

/* A message is one line of UTF-8 that says something. */
static inline const char *
drive_message(const struct err *err)
{
    size_t n = strlen(err->text);

    if (n == 0 || strchr(err->text, '\n') != NULL)
        return "a message that is not one line";
    return utf8_span(err->text, n) == n ? NULL : "a message that is not UTF-8";
}

/* From text through JSON to a record in memory: OK, or DATA for what only text can say (a vector beyond float32). */
static inline enum status
drive_back(struct str *out, struct drive *d, const char **wrong)
{
    struct json v;
    struct err err;

    rec_empty(d->memory);
    if (json_parse(&v, d->parser, d->text.p, d->text.n, &err) != OK) {
        *wrong = "JSON of ours is not JSON";
        return DATA;
    }
    if (rec_from_json(d->memory, v, rec_vector_keys, &err) != OK) {
        *wrong = strstr(err.text, "beyond float32") != NULL ? NULL : "JSON of ours is no record";
        return DATA;
    }
    *out = rec_memory(d->memory);
    return OK;
}

/* A record that has a form in JSON comes back from it as a canonical one: its way to JSON and back returns the same
 * bytes. */
static inline const char *
drive_json(struct drive *d, const struct rec *r)
{
    msgpack_unpacked again;
    const char *wrong = NULL;
    struct str back;
    struct err err;
    enum status st;
    size_t end = 0;

    d->text.n = d->again.n = 0;
    if ((st = rec_to_json(&d->text, &r->map, &err)) != OK)
        return st == DATA ? drive_message(&err) : "rec_to_json: neither OK nor DATA";
    if (drive_back(&back, d, &wrong) != OK)
        return wrong;
    if (buf_adds(&d->again, back, &err) != OK)
        return "no memory";
    d->text.n = 0;
    msgpack_unpacked_init(&again);
    if (msgpack_unpack_next(&again, d->again.p, d->again.n, &end) != MSGPACK_UNPACK_SUCCESS || end + 1 != d->again.n)
        wrong = "a record of ours is not MessagePack";
    else if (rec_to_json(&d->text, &again.data, &err) != OK)
        wrong = "a record of ours has no form in JSON";
    msgpack_unpacked_destroy(&again);
    if (wrong != NULL || drive_back(&back, d, &wrong) != OK)
        return wrong;
    return str_eq(back, (struct str){d->again.p, d->again.n}) ? NULL : "canonical bytes changed by way of JSON";
}

static inline const char *
drive_record(struct drive *d, const struct rec *r)
{
    enum status st;
    struct err err;
    struct rec *kept;
    size_t size = 0;

    if (rec_scan(&size, r->bytes, r->size, REC_MAX_BYTES, &err) != OK || size != r->size)
        return "rec_scan and rec_read differ";
    if (rec_keep(&kept, r, &err) != OK || kept->size != r->size)
        return "rec_keep";
    rec_free(kept);
    if (d->schema != NULL && (st = schema_check(d->schema, &r->map, &err)) != OK) {
        const char *wrong = st == DATA ? drive_message(&err) : "schema_check: neither OK nor DATA";
        if (wrong != NULL)
            return wrong;
    }
    return drive_json(d, r);
}

/* Reads the bytes as a stream to its end; the last status, END or DATA, into st. */
static inline const char *
drive_stream(enum status *st, struct drive *d, const void *bytes, size_t n)
{
    struct rec_reader *in;
    struct rec *r;
    struct err err;
    const char *wrong = NULL;

    if (ftruncate(d->fd, 0) != 0 || pwrite(d->fd, bytes, n, 0) != (ssize_t)n || rec_open(&in, d->path, 0, &err) != OK)
        return "the input cannot be set up";
    d->records = 0;
    while (wrong == NULL && (*st = rec_read(&r, in, &err)) == OK) {
        d->records++;
        wrong = drive_record(d, r);
    }
    if (wrong == NULL && *st == DATA)
        wrong = strncmp(err.text, d->path, strlen(d->path)) == 0 ? drive_message(&err) : "a message without its place";
    else if (wrong == NULL && *st != END)
        wrong = "rec_read: neither END nor DATA";
    rec_close(in);
    return wrong;
}

/* Makes records of JSON values that follow each other: into d->memory. */
static inline const char *
drive_values(struct drive *d, const char *text, size_t n)
{
    size_t at = 0;
    struct err err;

    rec_empty(d->memory);
    while (at < n) {
        struct json_cut cut = {0};
        struct json v;
        enum status st;
        if (strchr(" \t\r\n", text[at]) != NULL && text[at] != '\0') {
            at++;
            continue;
        }
        if (json_cut(&cut, text + at, n - at) != OK && !(cut.word && cut.depth == 0))
            return NULL; /* cut off */
        if (cut.at == 0 || cut.at > n - at)
            return "json_cut: no progress";
        if ((st = json_parse(&v, d->parser, text + at, cut.at, &err)) == OK)
            st = rec_from_json(d->memory, v, rec_vector_keys, &err);
        if (st != OK && st != DATA)
            return "neither OK nor DATA";
        if (st == DATA && drive_message(&err) != NULL)
            return drive_message(&err);
        at += cut.at;
    }
    return NULL;
}

#endif
