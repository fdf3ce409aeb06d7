/* SPDX-License-Identifier: Apache-2.0 */
/* mp2json - prints records as JSON, one a line: what makes every artifact readable with jq. */
#include "stream/stream.h"

static const struct program program = {
    .name = "mp2json",
    .purpose = "print records as JSON lines",
    .operands = "[FILE...]",
    .in = "any record",
    .out = "JSON lines",
    .examples = "mp2json tracks.mp | jq -r .title | sort | uniq -c | sort -rn\n"
                "mp2json items.mp | jq '.codes.audio = 0' | json2mp -o edited.mp\n",
    .uses = STAGE_TEXT_OUT | STAGE_QUIET,
};

/* Appends the record and its line break to the output. */
static enum status
print_record(struct rec_writer *out, struct buf *line, const struct rec *r, struct err *err)
{
    enum status st;

    line->n = 0;
    if ((st = rec_to_json(line, &r->map, err)) != OK || (st = buf_add(line, "\n", 1, err)) != OK ||
        (st = rec_raw(out, line->p, line->n, err)) != OK)
        return st;
    rec_count(out, 1);
    return OK;
}

int
main(int argc, char **argv)
{
    struct stage *s = stage_start(argc, argv, &program, NULL);
    struct buf line = {0};
    struct err err;

    for (struct rec *r; (r = stage_next(s)) != NULL;)
        if (print_record(stage_out(s), &line, r, &err) != OK)
            stage_reject(s, &err);
    buf_free(&line);
    return stage_finish(s);
}
