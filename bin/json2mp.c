/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json2mp - records from JSON: the way back from jq.
 *
 * Values may follow each other with or without line breaks between them, so a pretty-printed one is fine, too. Where
 * one ends is found by counting brackets; then simdjson reads it. Memory: the longest value.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream/stream.h"

#define CHUNK ((size_t)1 << 18)

/* The text of a record may be larger than the record: a float32 of 4 bytes takes up to 15 characters. */
#define TEXT_PER_BYTE 4

struct options {
    struct opt_list vector;
};

static const struct opt table[] = {
    OPT_LIST(0, "vector", struct options, vector, "KEY", "arrays of numbers under KEY are vectors, too"),
    OPT_END,
};

static const struct program program = {
    .name = "json2mp",
    .purpose = "make records from JSON objects",
    .operands = "[FILE...]",
    .in = "JSON objects, one behind the other",
    .out = "any record",
    .examples = "mp2json tracks.mp | jq -c 'select(.year >= 1990)' | json2mp -o nineties.mp\n"
                "jq -c '.[] | {track_id: .id, title, artist}' songs.json | json2mp > tracks.mp\n",
    .opts = table,
    .uses = STAGE_RAW_IN | STAGE_QUIET,
};

/* One input, cut into values. */
struct source {
    struct stage *stage;
    const char *name;
    int fd;
    struct buf buf; /* bytes received; those before at are used up */
    size_t at;
    uint64_t offset, number; /* of buf.p[at] and its value within the input */
    uint64_t done;           /* values of all inputs */
    bool eof;
};

static enum status
receive(struct source *in, struct err *err)
{
    ssize_t got;

    if (in->at > 0) {
        memmove(in->buf.p, in->buf.p + in->at, in->buf.n - in->at);
        in->buf.n -= in->at;
        in->at = 0;
    }
    if (buf_reserve(&in->buf, CHUNK, err) != OK)
        return SYSTEM;
    do
        got = read(in->fd, in->buf.p + in->buf.n, in->buf.cap - in->buf.n);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_errno(err, IO, "%s: read", in->name);
    in->buf.n += (size_t)got;
    in->eof = got == 0;
    return OK;
}

static void
consume(struct source *in, size_t n)
{
    in->at += n;
    in->offset += n;
}

/* Finds the next value: END at the end of the input; it lies at buf.p + at. */
static enum status
next_value(size_t *size, struct source *in, struct err *err)
{
    struct json_cut cut = {0};
    size_t max = stage_max_record(in->stage);
    enum status st;

    max = max > SIZE_MAX / TEXT_PER_BYTE ? SIZE_MAX : max * TEXT_PER_BYTE;
    in->number++;
    for (;;) {
        while (
            cut.at == 0 && in->at < in->buf.n && strchr(" \t\r\n", in->buf.p[in->at]) != NULL && in->buf.p[in->at] != 0)
            consume(in, 1);
        st = in->at == in->buf.n ? END : json_cut(&cut, in->buf.p + in->at, in->buf.n - in->at);
        *size = cut.at;
        if (cut.at > max)
            return err_set(err, DATA, "the value is longer than %zu bytes", max);
        if (st == OK || (in->eof && cut.word && cut.depth == 0))
            return OK;
        if (in->eof)
            return cut.at == 0 ? END : err_set(err, DATA, "the value is cut off after %zu bytes", cut.at);
        if ((st = receive(in, err)) != OK)
            return st;
    }
}

static enum status
convert(
    struct rec_writer *out, struct json_parser *parser, const char *const *vectors, struct str text, struct err *err)
{
    struct json v;
    enum status st = json_parse(&v, parser, text.p, text.n, err);

    return st != OK ? st : rec_from_json(out, v, vectors, err);
}

/* All values of one input. */
static void
convert_all(struct source *in, struct json_parser *parser, const char *const *vectors)
{
    enum status st;
    struct err err;
    size_t size;

    while (in->done < stage_limit(in->stage) && (st = next_value(&size, in, &err)) != END) {
        struct str text = {in->buf.p + in->at, size};
        if (st == DATA)
            (void)err_context(&err, "%s: record %llu, byte %llu", in->name, (unsigned long long)in->number,
                (unsigned long long)in->offset);
        if (st != OK)
            stage_fail(in->stage, &err);
        if (convert(stage_out(in->stage), parser, vectors, text, &err) != OK)
            stage_reject_text(in->stage, in->name, in->number, in->offset, text, &err);
        stage_count_in(in->stage, 1, size);
        consume(in, size);
        in->done++;
    }
}

int
main(int argc, char **argv)
{
    struct options o;
    struct stage *s = stage_start(argc, argv, &program, &o);
    struct source in = {.stage = s};
    struct json_parser *parser;
    struct err err;
    const char **vectors = rec_vector_list(&o.vector, &err);

    cli_must(vectors != NULL ? OK : SYSTEM, &err);
    cli_must(json_parser_new(&parser, &err), &err);
    for (FILE *f; (f = stage_input(&in.name, s)) != NULL;) {
        in.fd = fileno(f);
        in.buf.n = in.at = 0;
        in.offset = in.number = 0;
        in.eof = false;
        convert_all(&in, parser, vectors);
    }
    json_parser_free(parser);
    buf_free(&in.buf);
    free(vectors);
    return stage_finish(s);
}
