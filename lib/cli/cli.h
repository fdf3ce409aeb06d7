/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli - what every program owes its user: options from one table, usage, messages, exit statuses,
 * temporary outputs that never survive, progress.
 *
 * Only this room prints to stderr and ends a program; the rest of lib/ returns an enum status and
 * fills a struct err. Strings handed out live as long as argv and the option tables do.
 */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Kinds of outcome that callers treat differently. The detail is the text in struct err. */
enum status {
    OK = 0,
    END,      /* a clean end of input; never an error */
    USAGE,    /* exit 64: options or operands */
    DATA,     /* exit 65: what was read is not what it should be */
    NOINPUT,  /* exit 66: an input cannot be opened */
    SYSTEM,   /* exit 71: memory, or the system */
    NOCREATE, /* exit 73: an output cannot be created */
    IO,       /* exit 74: a read or a write failed */
    CLOSED    /* exit 141: the reader of our output went away; no message */
};

/* The exit status that stands for st. */
int status_exit(enum status st);

struct err {
    enum status status;
    char text[512]; /* what was expected and what was found, without a line break */
};

/*
 * Fills err (which may be NULL) and returns st, so that a function fails in one statement:
 *     return err_set(err, DATA, "%s: expected %zu numbers, got %zu", key, want, got);
 * Control characters and what is not UTF-8 among the arguments are printed as '?'.
 */
enum status err_set(struct err *err, enum status st, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "CONTEXT: " before the text of err, as a failure passes upwards; returns err->status. */
enum status err_context(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* SYSTEM, "out of memory". */
enum status err_memory(struct err *err);

/* err_set with ": " and strerror(errno) after the text. */
enum status err_errno(struct err *err, enum status st, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* a * b into out; false if that overflows. */
static inline bool
size_mul(size_t *out, size_t a, size_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}

/* ---- UTF-8 (utf8.c): no overlong forms, no surrogates, nothing above U+10FFFF ---- */

/* Bytes of the well-formed character at p, which has n bytes: 1 to 4; 0 if there is none. */
size_t utf8_sequence(const char *p, size_t n);
/* How many of the n bytes are UTF-8: n if all are, else the place of the first that is not. */
size_t utf8_span(const char *p, size_t n);

/*
 * Options. A program keeps the values in a struct of its own and describes it in one static table:
 *
 *     struct options { int64_t k; double rate; const char *centroids; bool verbose_map; int missing; };
 *     static const struct opt table[] = {
 *         OPT_INT('k', "clusters", struct options, k, "N", "1024", 1, 65536, "clusters of a modality"),
 *         OPT_REAL(0, "rate", struct options, rate, "R", "0.05", 0, 1, "learning rate"),
 *         OPT_STR('c', "centroids", struct options, centroids, "FILE", NULL, "codebooks"),
 *         OPT_ENUM(0, "missing", struct options, missing, "omit", "omit|impute", "..."),
 *         OPT_FLAG(0, "all", struct options, all, "..."),
 *         OPT_LIST(0, "key", struct options, keys, "KEY", "..."),   (struct opt_list; may be given many times)
 *         OPT_END
 *     };
 *
 * Options are in alphabetical order of their long names. Defaults are text and go through the same
 * parser. An OPT_STR without default stays NULL. OPT_NEED marks an OPT_STR that must be given.
 */
enum opt_type { OPT_T_END, OPT_T_FLAG, OPT_T_INT, OPT_T_REAL, OPT_T_STR, OPT_T_NEED, OPT_T_ENUM, OPT_T_LIST };

struct opt {
    enum opt_type type;
    int letter; /* 0 without a short form */
    const char *name;
    size_t at;           /* offset of the value in the options structure */
    const char *arg;     /* how usage names the argument */
    const char *def;     /* default, as typed; NULL for none */
    int64_t lo, hi;      /* bounds of OPT_INT, inclusive */
    double rlo, rhi;     /* bounds of OPT_REAL, inclusive */
    const char *choices; /* OPT_ENUM: "omit|impute"; the value is the index */
    const char *help;
};

struct opt_list {
    const char **item;
    size_t n;
};

#define OPT_FLAG(l, nm, S, f, h) \
    { \
        OPT_T_FLAG, l, nm, offsetof(S, f), NULL, NULL, 0, 0, 0, 0, NULL, h \
    }
#define OPT_INT(l, nm, S, f, a, d, lo, hi, h) \
    { \
        OPT_T_INT, l, nm, offsetof(S, f), a, d, lo, hi, 0, 0, NULL, h \
    }
#define OPT_REAL(l, nm, S, f, a, d, lo, hi, h) \
    { \
        OPT_T_REAL, l, nm, offsetof(S, f), a, d, 0, 0, lo, hi, NULL, h \
    }
#define OPT_STR(l, nm, S, f, a, d, h) \
    { \
        OPT_T_STR, l, nm, offsetof(S, f), a, d, 0, 0, 0, 0, NULL, h \
    }
#define OPT_NEED(l, nm, S, f, a, h) \
    { \
        OPT_T_NEED, l, nm, offsetof(S, f), a, NULL, 0, 0, 0, 0, NULL, h \
    }
#define OPT_ENUM(l, nm, S, f, d, c, h) \
    { \
        OPT_T_ENUM, l, nm, offsetof(S, f), NULL, d, 0, 0, 0, 0, c, h \
    }
#define OPT_LIST(l, nm, S, f, a, h) \
    { \
        OPT_T_LIST, l, nm, offsetof(S, f), a, NULL, 0, 0, 0, 0, NULL, h \
    }
#define OPT_END \
    { \
        OPT_T_END, 0, NULL, 0, NULL, NULL, 0, 0, 0, 0, NULL, NULL \
    }

/* What --help and the messages say of a program. One static one a program. */
struct program {
    const char *name;
    const char *purpose;  /* one line, lower case, no full stop */
    const char *operands; /* "[FILE...]" */
    const char *in, *out; /* record types, for --help */
    const char *examples; /* two real command lines, each ending in \n */
    const struct opt *opts;
    unsigned uses;                     /* STAGE_ flags of stream.h */
    const char *(*about)(int threads); /* a line for -v (num_about); NULL for none */
};

/*
 * Fills the structures behind the two tables (defaults first) from argv, leaving operands in
 * argv[*first] on (the array is permuted; "--" ends options). --help and --version print to stdout and end with 0;
 * anything wrong prints one line and ends with 64. Either table may be NULL.
 */
void cli_parse(
    int *first, int argc, char **argv, const struct program *p, void *own, const struct opt *common, void *shared);

/* Reads a whole decimal number within bounds; USAGE with the bounds in words otherwise. */
enum status cli_int(int64_t *out, const char *text, int64_t lo, int64_t hi, struct err *err);
enum status cli_real(double *out, const char *text, double lo, double hi, struct err *err);

/* Prints "PROGRAM: ..." on stderr. The program's name is known from cli_parse on. */
void cli_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Prints err after the program's name (nothing for CLOSED), removes temporary outputs and ends the program. */
_Noreturn void cli_die(const struct err *err);

/* cli_die unless st is OK. */
void cli_must(enum status st, const struct err *err);

/*
 * Temporary outputs: a file, or a folder that is empty by then, that is registered here is removed (the last one first)
 * when the program ends by cli_die, SIGINT, SIGTERM, SIGHUP or SIGPIPE. Register first, then create: no signal comes
 * between. At most 1024 at a time; the path is copied. Gives the copy, which is good up to cli_keep and may be changed
 * within its length, as mkostemp does. cli_keep forgets a path again: after the rename, or where nothing was created.
 */
enum status cli_temporary(char **copy, const char *path, struct err *err);
void cli_keep(const char *path);

/* From now on the signal does not end the program, but is noted; and whether it came since that was last asked. */
void cli_catch(int sig);
bool cli_caught(int sig);
/* Ends the program as the signal does where it is not caught; temporary outputs are removed. */
_Noreturn void cli_end_by(int sig);

/* Processors that this process may use: those that its affinity allows, or its part of the machine's where a launcher
 * started several here. At least 1. */
int cli_processors(void);

/* Seconds on a steady clock, for stderr only: no artifact may depend on it. */
double cli_seconds(void);

/*
 * Progress on stderr, at most twice a second, on one line that is rewritten on a terminal and is a
 * line of its own elsewhere (then at most every 10 s). total is 0 where it is not known. unit: "records", "tokens".
 * extra (may be NULL) is printed behind: "loss 3.21".
 */
struct cli_progress {
    bool on, tty, shown;
    double start, last;
};
void cli_progress_start(struct cli_progress *p, bool forced);
void cli_progress_show(struct cli_progress *p, uint64_t done, uint64_t total, const char *unit, const char *extra);
void cli_progress_end(struct cli_progress *p);

#endif
