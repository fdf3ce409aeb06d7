/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpsplit - cuts a stream for parallel work, at records and nowhere else, and puts parts together again.
 *
 * Four modes: parts (-n N) deals records to N files or commands; --join is the inverse of dealing them in turn;
 * --ranges N prints where N pieces of a file begin; --range copies one of them.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "num/num.h"
#include "stream/stream.h"

#define PARTS_MAX 1000

struct options {
    const char *filter, *key, *output, *prefix, *range;
    bool force, join;
    int64_t parts, ranges;
};

static const struct opt table[] = {
    OPT_STR(0, "filter", struct options, filter, "CMD", NULL, "pipe part K to CMD; $FILE is its name, $PART is K"),
    OPT_FLAG('f', "force", struct options, force, "write records to a terminal"),
    OPT_FLAG(0, "join", struct options, join, "take records from the files in turn: undoes -n N without --key"),
    OPT_STR(0, "key", struct options, key, "KEY", NULL, "records with the same KEY go to the same part"),
    OPT_STR('o', "output", struct options, output, "FILE", "-", "of --join, --range, --ranges; - is stdout"),
    OPT_INT('n', "parts", struct options, parts, "N", "0", 0, PARTS_MAX, "deal records to N parts"),
    OPT_STR(0, "prefix", struct options, prefix, "PREFIX", "part-", "part K is the file PREFIX K .mp"),
    OPT_STR(0, "range", struct options, range, "OFFSET:LENGTH", NULL, "copy these bytes of FILE"),
    OPT_INT(0, "ranges", struct options, ranges, "N", "0", 0, 1000000, "print offset and length of N pieces of FILE"),
    OPT_END,
};

static const struct program program = {
    .name = "mpsplit",
    .purpose = "cut a stream at records for parallel work",
    .operands = "[FILE...]",
    .in = "any record",
    .out = "the same records in parts; --ranges: lines of offset, tab, length",
    .examples = "mpsplit -n 4 --key playlist_id --filter 'gzip > $FILE.gz' playlists.mp\n"
                "mpsplit --ranges 8 a.mp | parallel -k --colsep '\\t' 'mpsplit --range {1}:{2} a.mp | tokenize'\n",
    .opts = table,
    .uses = STAGE_NO_OUT | STAGE_QUIET,
};

static _Noreturn void
refuse(const char *why)
{
    struct err err;

    (void)err_set(&err, USAGE, "%s", why);
    cli_die(&err);
}

/* ---- -n N ---- */

/* The part of a record: by its number, or by the hash of what it has under key. */
static enum status
choose(size_t *part, const struct rec *r, uint64_t number, const struct options *o, struct err *err)
{
    struct str id;

    *part = (size_t)(number % (uint64_t)o->parts);
    if (o->key == NULL)
        return OK;
    if (map_id(&id, &r->map, o->key, err) != OK)
        return DATA;
    *part = (size_t)(hash64(0, id.p, id.n) % (uint64_t)o->parts);
    return OK;
}

static void
split(struct stage *s, const struct options *o)
{
    struct parts *parts;
    uint64_t number = 0;
    struct err err;
    size_t part;

    cli_must(parts_open(&parts, (size_t)o->parts, o->prefix, o->filter, &err), &err);
    for (struct rec *r; (r = stage_next(s)) != NULL; number++) {
        enum status st = choose(&part, r, number, o, &err);
        if (st == OK)
            st = parts_add(parts, part, r, &err);
        if (st == DATA)
            stage_reject(s, &err);
        else if (st != OK)
            stage_fail(s, &err);
    }
    cli_must(parts_close(parts, &err), &err);
}

/* ---- --join ---- */

/* Ends with the first input that has no record left; then none may have one. */
static enum status
join_all(struct rec_writer *out, struct rec_reader **in, char **name, size_t n, uint64_t limit, struct err *err)
{
    enum status st;
    struct rec *r;
    size_t k = 0;

    for (uint64_t done = 0; done < limit; done++, k = (k + 1) % n) {
        if ((st = rec_read(&r, in[k], err)) == END)
            break;
        if (st != OK || (st = rec_raw(out, r->bytes, r->size, err)) != OK || (st = rec_raw(out, "\n", 1, err)) != OK)
            return st;
        rec_count(out, 1);
        if (done + 1 == limit)
            return OK;
    }
    for (size_t i = k + 1; limit > 0 && i < k + n; i++)
        if ((st = rec_read(&r, in[i % n], err)) != END)
            return st != OK
                       ? st
                       : err_set(err, DATA, "%s: more records than dealing in turn would have given it", name[i % n]);
    return OK;
}

static void
join(struct stage *s, struct rec_writer *out)
{
    struct rec_reader **in;
    char **name;
    size_t n = (size_t)stage_operands(&name, s);
    struct err err;

    if ((in = calloc(n, sizeof(*in))) == NULL)
        cli_must(err_memory(&err), &err);
    for (size_t i = 0; i < n; i++)
        cli_must(rec_open(&in[i], name[i], stage_max_record(s), &err), &err);
    cli_must(join_all(out, in, name, n, stage_limit(s), &err), &err);
    for (size_t i = 0; i < n; i++)
        rec_close(in[i]);
    free(in);
}

/* ---- --ranges, --range ---- */

static const char *
one_file(struct stage *s, const char *option)
{
    char **name;
    struct stat sb;
    struct err err;

    if (stage_operands(&name, s) != 1 || strcmp(name[0], "-") == 0) {
        (void)err_set(&err, USAGE, "%s needs one FILE", option);
        cli_die(&err);
    }
    if (stat(name[0], &sb) != 0)
        cli_must(err_errno(&err, NOINPUT, "%s", name[0]), &err);
    if (!S_ISREG(sb.st_mode)) {
        (void)err_set(&err, NOINPUT, "%s: not a regular file", name[0]);
        cli_die(&err);
    }
    return name[0];
}

static void
print_range(struct rec_writer *out, uint64_t from, uint64_t to)
{
    char line[64];
    struct err err;
    int n = snprintf(line, sizeof(line), "%llu\t%llu\n", (unsigned long long)from, (unsigned long long)(to - from));

    cli_must(rec_raw(out, line, (size_t)n, &err), &err);
}

/* Piece k ends with the first record that reaches k+1 of n equal shares of the bytes: one pass, in constant memory. */
static void
print_ranges(struct stage *s, struct rec_writer *out, const char *path, uint64_t n)
{
    uint64_t k = 0, from = 0, end = 0, size;
    struct stat sb;
    struct err err;

    if (stat(path, &sb) != 0)
        cli_must(err_errno(&err, NOINPUT, "%s", path), &err);
    size = (uint64_t)sb.st_size;
    for (struct rec *r; (r = stage_next(s)) != NULL;) {
        end = r->offset + r->size + 1;
        while (k + 1 < n && (double)end >= (double)size * (double)(k + 1) / (double)n) {
            print_range(out, from, end);
            from = end;
            k++;
        }
    }
    print_range(out, from, end);
    while (++k < n)
        print_range(out, end, end);
}

static void
parse_range(uint64_t *offset, uint64_t *length, const char *text)
{
    const char *colon = strchr(text, ':');
    char first[32];
    int64_t a, b;
    struct err err;

    if (colon == NULL || (size_t)(colon - text) >= sizeof(first))
        refuse("--range: expected OFFSET:LENGTH");
    memcpy(first, text, (size_t)(colon - text));
    first[colon - text] = '\0';
    if (cli_int(&a, first, 0, INT64_MAX, &err) != OK || cli_int(&b, colon + 1, 0, INT64_MAX, &err) != OK) {
        (void)err_context(&err, "--range");
        cli_die(&err);
    }
    *offset = (uint64_t)a;
    *length = (uint64_t)b;
}

static void
copy_range(struct rec_writer *out, const char *path, uint64_t offset, uint64_t length)
{
    FILE *f = fopen(path, "rb");
    char bytes[1 << 16];
    struct err err;

    if (f == NULL || fseeko(f, (off_t)offset, SEEK_SET) != 0)
        cli_must(err_errno(&err, NOINPUT, "%s", path), &err);
    while (length > 0) {
        size_t n = fread(bytes, 1, length < sizeof(bytes) ? (size_t)length : sizeof(bytes), f);
        if (n == 0 && ferror(f))
            cli_must(err_errno(&err, IO, "%s: read", path), &err);
        if (n == 0) {
            (void)err_set(&err, DATA, "%s: ends %llu bytes before the range does", path, (unsigned long long)length);
            cli_die(&err);
        }
        cli_must(rec_raw(out, bytes, n, &err), &err);
        length -= n;
    }
    (void)fclose(f); /* only read from */
}

static struct rec_writer *
open_output(const struct options *o)
{
    struct rec_writer *out;
    struct err err;

    if (strcmp(o->output, "-") == 0 && o->ranges == 0 && !o->force && isatty(STDOUT_FILENO) == 1)
        refuse("records to a terminal: use -o FILE, a pipe (| mp2json | jq), or -f");
    cli_must(rec_create(&out, o->output, &err), &err);
    return out;
}

int
main(int argc, char **argv)
{
    struct options o;
    struct stage *s = stage_start(argc, argv, &program, &o);
    struct rec_writer *out = NULL;
    uint64_t offset, length;
    struct err err;

    if ((o.parts > 0) + (o.ranges > 0) + (o.range != NULL) + o.join != 1)
        refuse("one of --parts, --join, --ranges and --range is needed (try --help)");
    if (o.parts == 0)
        out = open_output(&o);
    if (o.parts > 0) {
        split(s, &o);
    } else if (o.join) {
        join(s, out);
    } else if (o.ranges > 0) {
        print_ranges(s, out, one_file(s, "--ranges"), (uint64_t)o.ranges);
    } else {
        parse_range(&offset, &length, o.range);
        copy_range(out, one_file(s, "--range"), offset, length);
    }
    if (out != NULL)
        cli_must(rec_commit(out, &err), &err);
    return stage_finish(s);
}
