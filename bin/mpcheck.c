/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpcheck - holds a stream against its schema and names the first faults.
 *
 * --canonical takes each record to JSON and back: what returns must be the very bytes that came. That finds longer
 * integer forms and float32 as well as what JSON cannot carry.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream/stream.h"

struct options {
    bool canonical;
    int64_t faults;
    const char *schemas;
    struct opt_list vector;
};

static const struct opt table[] = {
    OPT_FLAG(0, "canonical", struct options, canonical, "the bytes must be the canonical ones, too"),
    OPT_INT(0, "faults", struct options, faults, "N", "10", 1, INT64_MAX, "stop after N faulty records"),
    OPT_STR(0, "schemas", struct options, schemas, "DIR", NULL, "where TYPE.schema.json lies"),
    OPT_LIST(0, "vector", struct options, vector, "KEY", "with --canonical: json2mp was told --vector KEY"),
    OPT_END,
};

static const struct program program = {
    .name = "mpcheck",
    .purpose = "check records against the schema of their type",
    .operands = "TYPE [FILE...]",
    .in = "records of that type",
    .out = "nothing: status 0, or the first faults on stderr and 65",
    .examples = "mpcheck track tracks.mp\n"
                "item2vec playlists.mp | tee embeddings.mp | mpcheck --canonical embedding\n",
    .opts = table,
    .uses = STAGE_NO_OUT | STAGE_QUIET,
};

/* Whether DIR/TYPE.schema.json is there; its path into out. */
static bool
schema_in(char out[PATH_MAX], const char *dir, const char *type)
{
    int n = snprintf(out, PATH_MAX, "%s/%s.schema.json", dir, type);

    return n > 0 && n < PATH_MAX && access(out, R_OK) == 0;
}

/* Beside the program: in the tree it was built in, or where make install puts the schemas. */
static bool
find_beside(char out[PATH_MAX], const char *type)
{
    static const char *const from[] = {
        "../../schemas", "../../../schemas", "../share/talkplay/schemas", "../../share/talkplay/schemas"};
    char self[PATH_MAX], dir[PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;

    if (n <= 0)
        return false;
    self[n] = '\0';
    if ((slash = strrchr(self, '/')) == NULL)
        return false;
    *slash = '\0';
    for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
        (void)snprintf(dir, sizeof(dir), "%s/%s", self, from[i]);
        if (schema_in(out, dir, type))
            return true;
    }
    return false;
}

static struct schema *
load_schema(const struct options *o, const char *type)
{
    const char *dir = o->schemas != NULL ? o->schemas : getenv("TALKPLAY_SCHEMAS");
    struct schema *schema;
    char path[PATH_MAX];
    struct err err;
    bool found = type[strspn(type, "abcdefghijklmnopqrstuvwxyz0123456789_-")] == '\0' &&
                 (dir != NULL ? schema_in(path, dir, type) : find_beside(path, type));

    if (!found) {
        (void)err_set(&err, USAGE, "no schema for records of type '%s'%s%s", type, dir != NULL ? " in " : "",
            dir != NULL ? dir : "; --schemas DIR says where they are");
        cli_die(&err);
    }
    cli_must(schema_load(&schema, path, &err), &err);
    return schema;
}

/* What the way through JSON needs. */
struct mirror {
    struct json_parser *parser;
    struct rec_writer *memory;
    struct buf text;
    const char **vectors;
};

static void
mirror_init(struct mirror *m, const struct opt_list *more)
{
    struct err err;

    *m = (struct mirror){.vectors = rec_vector_list(more, &err)};
    cli_must(m->vectors != NULL ? OK : SYSTEM, &err);
    cli_must(json_parser_new(&m->parser, &err), &err);
    cli_must(rec_in_memory(&m->memory, &err), &err);
}

static void
mirror_fini(struct mirror *m)
{
    json_parser_free(m->parser);
    rec_discard(m->memory);
    buf_free(&m->text);
    free(m->vectors);
}

static enum status
check_canonical(struct mirror *m, const struct rec *r, struct err *err)
{
    struct json v;
    struct str back;
    enum status st;
    size_t i = 0;

    m->text.n = 0;
    rec_empty(m->memory);
    if ((st = rec_to_json(&m->text, &r->map, err)) != OK ||
        (st = json_parse(&v, m->parser, m->text.p, m->text.n, err)) != OK ||
        (st = rec_from_json(m->memory, v, m->vectors, err)) != OK)
        return st;
    back = rec_memory(m->memory); /* with the separator */
    while (i < r->size && i + 1 < back.n && r->bytes[i] == back.p[i])
        i++;
    if (i == r->size && back.n == r->size + 1)
        return OK;
    return err_set(err, DATA, "not canonical: by way of JSON, the record's bytes from byte %zu on become others", i);
}

int
main(int argc, char **argv)
{
    struct options o;
    struct stage *s = stage_start(argc, argv, &program, &o);
    struct schema *schema = load_schema(&o, stage_take(s, "TYPE"));
    struct mirror mirror;
    int64_t faults = 0;
    struct err err;

    mirror_init(&mirror, &o.vector);
    for (struct rec *r; (r = stage_next(s)) != NULL;) {
        enum status st = schema_check(schema, &r->map, &err);
        if (st == OK && o.canonical)
            st = check_canonical(&mirror, r, &err);
        if (st == OK)
            continue;
        if (st != DATA || stage_rejects(s) || ++faults == o.faults)
            stage_reject(s, &err); /* sets it aside, or names it and ends */
        else
            cli_note("%s", (rec_context(&err, r), err.text));
    }
    mirror_fini(&mirror);
    schema_free(schema);
    return stage_finish(s) != 0 || faults > 0 ? status_exit(DATA) : 0;
}
