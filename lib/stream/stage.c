/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage - the frame around every program's loop: options that all share, inputs one after another,
 * the output, rejected records, progress, and the last line on stderr.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream/stream.h"

struct shared {
    bool force, progress, verbose;
    int64_t limit, max_record, seed, threads;
    const char *output, *rejects;
};

struct tally {
    const char *name;
    char value[32];
};

#define MAX_TALLIES 32

struct stage {
    const struct program *program;
    struct shared o;
    char **operands; /* inputs; at is the next to open */
    int n_operands, at;
    struct rec_reader *in;
    FILE *raw;
    struct rec *rec;
    struct rec_writer *out, *rejects;
    uint64_t n_in, n_rejected, bytes, total_bytes;
    struct tally tally[MAX_TALLIES];
    int n_tallies;
    struct cli_progress progress;
    double start;
};

static char *standard_input[] = {"-", NULL};

/* In alphabetical order; seed and threads only for programs that use them. */
static int
shared_options(struct opt out[10], unsigned uses)
{
    static const struct opt all[] = {
        OPT_FLAG('f', "force", struct shared, force, "write binary output to a terminal"),
        OPT_INT(0, "limit", struct shared, limit, "N", "-1", -1, INT64_MAX, "stop after N records; -1 for all"),
        OPT_INT(0, "max-record", struct shared, max_record, "BYTES", "67108864", 1, INT64_C(1) << 40,
            "refuse larger records"),
        OPT_STR('o', "output", struct shared, output, "FILE", "-", "write there, whole or not at all; - is stdout"),
        OPT_FLAG(0, "progress", struct shared, progress, "report on stderr even if it is not a terminal"),
        OPT_STR(0, "rejects", struct shared, rejects, "FILE", NULL, "set bad records aside there and go on"),
        OPT_INT(0, "seed", struct shared, seed, "N", "1", 0, INT64_MAX, "of everything drawn at random"),
        OPT_INT(0, "threads", struct shared, threads, "N", "0", 0, 1024, "0 for one a processor"),
        OPT_FLAG('v', "verbose", struct shared, verbose, "say more on stderr"),
    };
    int n = 0;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        const char *name = all[i].name;
        if (strcmp(name, "seed") == 0 && !(uses & STAGE_SEED))
            continue;
        if (strcmp(name, "threads") == 0 && !(uses & STAGE_THREADS))
            continue;
        if (uses & STAGE_NO_OUT && (strcmp(name, "output") == 0 || strcmp(name, "force") == 0))
            continue;
        if (uses & STAGE_TEXT_OUT && strcmp(name, "force") == 0)
            continue;
        out[n++] = all[i];
    }
    out[n++] = (struct opt)OPT_END;
    return n;
}

static void
open_output(struct stage *s)
{
    struct err err;

    if (s->program->uses & (STAGE_NO_OUT | STAGE_FOLLOWS))
        return;
    if (strcmp(s->o.output, "-") == 0 && !(s->program->uses & (STAGE_TEXT_OUT | STAGE_PASSED_ON)) && !s->o.force &&
        isatty(STDOUT_FILENO) == 1) {
        (void)err_set(&err, USAGE, "binary output to a terminal: use -o FILE, a pipe (| mp2json | jq), or -f");
        cli_die(&err);
    }
    if (strcmp(s->o.output, "-") != 0)
        cli_must(rec_sweep(s->o.output, false, &err), &err);
    cli_must(rec_create(&s->out, s->o.output, &err), &err);
}

static uint64_t
size_of_inputs(char **path, int n)
{
    uint64_t sum = 0;
    struct stat sb;

    for (int i = 0; i < n; i++) {
        int r = strcmp(path[i], "-") == 0 ? fstat(STDIN_FILENO, &sb) : stat(path[i], &sb);
        if (r != 0 || !S_ISREG(sb.st_mode))
            return 0; /* not known: no time left is shown */
        sum += (uint64_t)sb.st_size;
    }
    return sum;
}

struct stage *
stage_start(int argc, char **argv, const struct program *p, void *own)
{
    struct stage *s = calloc(1, sizeof(*s));
    struct opt common[10];
    struct err err;
    int first;

    if (s == NULL) {
        (void)err_memory(&err);
        cli_die(&err);
    }
    s->program = p;
    s->start = cli_seconds();
    (void)shared_options(common, p->uses);
    /* What the program has no option for still needs a value. */
    s->o = (struct shared){.limit = -1, .max_record = (int64_t)REC_MAX_BYTES, .output = "-", .seed = 1};
    cli_parse(&first, argc, argv, p, own, common, &s->o);
    s->operands = argv + first;
    s->n_operands = argc - first;
    if (s->n_operands == 0 && !(p->uses & STAGE_NO_IN)) {
        s->operands = standard_input;
        s->n_operands = 1;
    }
    if (s->o.verbose && p->about != NULL && !(p->uses & STAGE_FOLLOWS))
        cli_note("%s", p->about(stage_threads(s)));
    open_output(s);
    if (s->o.rejects != NULL && !(p->uses & STAGE_FOLLOWS))
        cli_must(rec_create(&s->rejects, s->o.rejects, &err), &err);
    if (!(p->uses & (STAGE_NO_IN | STAGE_FOLLOWS)))
        s->total_bytes = size_of_inputs(s->operands, s->n_operands);
    cli_progress_start(&s->progress, s->o.progress);
    s->progress.on = s->progress.on && !(p->uses & STAGE_FOLLOWS);
    return s;
}

uint64_t
stage_seed(const struct stage *s)
{
    return (uint64_t)s->o.seed;
}

int
stage_threads(const struct stage *s)
{
    return s->o.threads > 0 ? (int)s->o.threads : cli_processors();
}

bool
stage_verbose(const struct stage *s)
{
    return s->o.verbose;
}

bool
stage_rejects(const struct stage *s)
{
    return s->rejects != NULL;
}

uint64_t
stage_limit(const struct stage *s)
{
    return s->o.limit < 0 ? UINT64_MAX : (uint64_t)s->o.limit;
}

size_t
stage_max_record(const struct stage *s)
{
    return (size_t)s->o.max_record;
}

int
stage_operands(char ***operands, const struct stage *s)
{
    *operands = s->operands;
    return s->n_operands;
}

const char *
stage_take(struct stage *s, const char *what)
{
    const char *first = s->operands[0];
    struct err err;

    if (s->operands == standard_input) {
        (void)err_set(&err, USAGE, "%s is missing; usage: %s [options] %s (try --help)", what, s->program->name,
            s->program->operands);
        cli_die(&err);
    }
    s->operands++;
    if (--s->n_operands == 0) {
        s->operands = standard_input;
        s->n_operands = 1;
    }
    s->total_bytes = size_of_inputs(s->operands, s->n_operands);
    return first;
}

bool
stage_to_terminal(const struct stage *s)
{
    return strcmp(s->o.output, "-") == 0 && isatty(STDOUT_FILENO) == 1;
}

struct rec_writer *
stage_out(struct stage *s)
{
    return s->out;
}

/* Throws every output away: nothing half-written stays. */
static _Noreturn void
end_badly(struct stage *s, const struct err *err)
{
    cli_progress_end(&s->progress);
    cli_die(err);
}

_Noreturn void
stage_fail(struct stage *s, const struct err *err)
{
    struct err e = *err;

    if (s->rec != NULL && e.status == DATA)
        (void)rec_context(&e, s->rec);
    end_badly(s, &e);
}

struct rec *
stage_next(struct stage *s)
{
    struct err err;

    s->rec = NULL;
    if (s->n_in >= stage_limit(s))
        return NULL;
    for (;;) {
        enum status st;
        if (s->in == NULL) {
            if (s->at >= s->n_operands)
                return NULL;
            if (rec_open(&s->in, s->operands[s->at++], (size_t)s->o.max_record, &err) != OK)
                end_badly(s, &err);
        }
        if ((st = rec_read(&s->rec, s->in, &err)) == OK)
            break;
        if (st != END)
            end_badly(s, &err);
        s->bytes += rec_position(s->in);
        rec_close(s->in);
        s->in = NULL;
    }
    s->n_in++;
    if (s->progress.on) {
        uint64_t done = s->bytes + rec_position(s->in), left = s->total_bytes;
        /* Records to come are guessed from the bytes to come. */
        uint64_t total = left > 0 && done > 0 ? (uint64_t)((double)s->n_in * (double)left / (double)done) : 0;
        cli_progress_show(&s->progress, s->n_in, total, "records", NULL);
    }
    return s->rec;
}

FILE *
stage_input(const char **name, struct stage *s)
{
    const char *path;
    struct err err;

    if (s->raw != NULL && s->raw != stdin)
        (void)fclose(s->raw); /* only read from */
    s->raw = NULL;
    if (s->at >= s->n_operands)
        return NULL;
    path = s->operands[s->at++];
    if (strcmp(path, "-") == 0) {
        *name = "stdin";
        return s->raw = stdin;
    }
    *name = path;
    if ((s->raw = fopen(path, "rb")) == NULL) {
        (void)err_errno(&err, NOINPUT, "%s", path);
        end_badly(s, &err);
    }
    return s->raw;
}

void
stage_count_in(struct stage *s, uint64_t n, uint64_t bytes)
{
    s->n_in += n;
    s->bytes += bytes;
    cli_progress_show(&s->progress, s->n_in, 0, "records", NULL);
}

/* put_str of text that may hold what is not UTF-8: each such byte becomes U+FFFD. What is set aside must be
 * readable. */
static void
put_readable(struct stage *s, const char *key, struct str text)
{
    struct buf clean = {0};
    enum status st = OK;
    struct err err;

    while (st == OK && text.n > 0) {
        size_t good = utf8_span(text.p, text.n);
        st = buf_add(&clean, text.p, good, &err);
        if (st == OK && good < text.n) {
            st = buf_adds(&clean, STR("\xef\xbf\xbd"), &err);
            good++;
        }
        text.p += good;
        text.n -= good;
    }
    if (st != OK)
        end_badly(s, &err);
    put_str(s->rejects, key, (struct str){clean.p, clean.n});
    buf_free(&clean);
}

static unsigned
depth_of(const msgpack_object *o)
{
    unsigned deepest = 0, d;

    if (o->type == MSGPACK_OBJECT_ARRAY)
        for (uint32_t i = 0; i < o->via.array.size; i++)
            deepest = (d = depth_of(&o->via.array.ptr[i])) > deepest ? d : deepest;
    else if (o->type == MSGPACK_OBJECT_MAP)
        for (uint32_t i = 0; i < o->via.map.size; i++)
            deepest = (d = depth_of(&o->via.map.ptr[i].val)) > deepest ? d : deepest;
    else
        return 0;
    return deepest + 1;
}

/* The rejected record under value; nil where a reader would refuse the reject for it: file, record and byte lead to
 * it. */
static void
put_rejected(struct stage *s, const msgpack_object *o)
{
    struct buf text = {0};

    if (depth_of(o) < REC_MAX_DEPTH && rec_to_json(&text, o, NULL) == OK)
        put_object(s->rejects, "value", o);
    else
        put_nil(s->rejects, "value");
    buf_free(&text);
}

/* Begins a reject record; the caller puts its value and ends it. */
static struct rec_writer *
begin_reject(struct stage *s, const struct err *err, const char *file, uint64_t number, uint64_t byte)
{
    struct rec_writer *w = s->rejects;

    s->n_rejected++;
    rec_begin(w);
    put_text(w, "reason", err->text);
    put_readable(s, "file", str_of(file));
    put_u64(w, "record", number);
    put_u64(w, "byte", byte);
    return w;
}

void
stage_reject_rec(struct stage *s, const struct rec *rec, const struct err *err)
{
    struct rec_writer *w;
    struct err e = *err;

    if (e.status != DATA)
        end_badly(s, &e);
    if (s->rejects == NULL) {
        (void)rec_context(&e, rec);
        end_badly(s, &e);
    }
    w = begin_reject(s, err, rec->file, rec->number, rec->offset);
    put_rejected(s, &rec->map);
    if (rec_end(w, &e) != OK)
        end_badly(s, &e);
}

void
stage_reject(struct stage *s, const struct err *err)
{
    stage_reject_rec(s, s->rec, err);
}

void
stage_reject_text(
    struct stage *s, const char *file, uint64_t number, uint64_t byte, struct str text, const struct err *err)
{
    struct rec_writer *w;
    struct err e = *err;

    if (s->rejects == NULL || e.status != DATA) {
        if (e.status == DATA)
            (void)err_context(
                &e, "%s: record %llu, byte %llu", file, (unsigned long long)number, (unsigned long long)byte);
        end_badly(s, &e);
    }
    w = begin_reject(s, err, file, number, byte);
    put_readable(s, "value", text);
    if (rec_end(w, &e) != OK)
        end_badly(s, &e);
}

void
stage_tally(struct stage *s, const char *name, uint64_t value)
{
    if (s->n_tallies < MAX_TALLIES) {
        struct tally *t = &s->tally[s->n_tallies++];
        t->name = name;
        (void)snprintf(t->value, sizeof(t->value), "%llu", (unsigned long long)value);
    }
}

void
stage_tally_real(struct stage *s, const char *name, double value)
{
    if (s->n_tallies < MAX_TALLIES) {
        struct tally *t = &s->tally[s->n_tallies++];
        t->name = name;
        (void)snprintf(t->value, sizeof(t->value), "%.6g", value);
    }
}

void
stage_progress(struct stage *s, uint64_t done, uint64_t total, const char *unit, const char *extra)
{
    cli_progress_show(&s->progress, done, total, unit, extra);
}

static void
print_counts(const struct stage *s, uint64_t n_out)
{
    (void)fprintf(stderr, "%s: in=%llu out=%llu rejected=%llu", s->program->name, (unsigned long long)s->n_in,
        (unsigned long long)n_out, (unsigned long long)s->n_rejected);
    for (int i = 0; i < s->n_tallies; i++)
        (void)fprintf(stderr, " %s=%s", s->tally[i].name, s->tally[i].value);
    (void)fprintf(stderr, " seconds=%.1f\n", cli_seconds() - s->start);
}

int
stage_finish(struct stage *s)
{
    unsigned uses = s->program->uses;
    bool told = s->o.verbose || s->o.progress || s->rejects != NULL;
    uint64_t n_out = 0;
    struct err err;

    cli_progress_end(&s->progress);
    rec_close(s->in);
    if (s->raw != NULL && s->raw != stdin)
        (void)fclose(s->raw);
    if (s->rejects != NULL)
        cli_must(rec_commit(s->rejects, &err), &err);
    if (s->out != NULL) {
        n_out = rec_written(s->out);
        cli_must(rec_commit(s->out, &err), &err);
    }
    if (!(uses & STAGE_FOLLOWS) && (told || !(uses & STAGE_QUIET)))
        print_counts(s, n_out);
    free(s);
    return 0;
}
