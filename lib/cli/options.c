/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options - GNU long options, usage and the values behind them, all from one table.
 *
 * getopt_long does the splitting; what it cannot know (types, bounds, defaults) is here.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/message.h"

#define TALKPLAY_VERSION "0.1.0"
#define MAX_OPTIONS 96
#define LONG_ONLY 1000 /* getopt value of table entry i: LONG_ONLY + i */

/* The two tables of a program side by side; entry i of all[] writes into base[i]. */
struct table {
    const struct program *program;
    const struct opt *all[MAX_OPTIONS];
    char *base[MAX_OPTIONS];
    bool given[MAX_OPTIONS];
    int n;
};

static void
table_add(struct table *t, const struct opt *opts, void *base)
{
    for (; opts != NULL && opts->type != OPT_T_END && t->n < MAX_OPTIONS; opts++) {
        t->all[t->n] = opts;
        t->base[t->n] = base;
        t->n++;
    }
}

static int
by_name(const void *a, const void *b)
{
    return strcmp((*(const struct opt *const *)a)->name, (*(const struct opt *const *)b)->name);
}

enum status
cli_int(int64_t *out, const char *text, int64_t lo, int64_t hi, struct err *err)
{
    char *end;
    long long v;

    errno = 0;
    v = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || v < lo || v > hi)
        return err_set(
            err, USAGE, "expected a whole number from %lld to %lld, got '%s'", (long long)lo, (long long)hi, text);
    *out = v;
    return OK;
}

enum status
cli_real(double *out, const char *text, double lo, double hi, struct err *err)
{
    char *end;
    double v;

    errno = 0;
    v = strtod(text, &end);
    if (end == text || *end != '\0' || !(v >= lo && v <= hi))
        return err_set(err, USAGE, "expected a number from %g to %g, got '%s'", lo, hi, text);
    *out = v;
    return OK;
}

static enum status
read_choice(int *out, const char *text, const char *choices, struct err *err)
{
    size_t n = strlen(text);
    int k = 0;

    for (const char *c = choices; *c != '\0'; k++) {
        size_t len = strcspn(c, "|");
        if (len == n && memcmp(c, text, n) == 0) {
            *out = k;
            return OK;
        }
        c += len + (c[len] == '|');
    }
    return err_set(err, USAGE, "expected one of %s, got '%s'", choices, text);
}

/* The lists of a program live as long as it does; from here a leak checker sees them. */
struct list_block {
    struct list_block *next;
    size_t room;
    const char *item[];
};
static struct list_block *list_blocks;

static enum status
list_add(struct opt_list *list, const char *text, struct err *err)
{
    struct list_block **at = &list_blocks, *b;

    while (*at != NULL && (*at)->item != list->item)
        at = &(*at)->next;
    if (*at == NULL || list->n == (*at)->room) {
        size_t room = list->n < 8 ? 8 : 2 * list->n, bytes;
        struct list_block *next = *at != NULL ? (*at)->next : NULL;
        if (!size_mul(&bytes, room, sizeof(*b->item)) || (b = realloc(*at, sizeof(*b) + bytes)) == NULL)
            return err_memory(err);
        b->next = next;
        b->room = room;
        *at = b;
        list->item = b->item;
    }
    list->item[list->n++] = text;
    return OK;
}

static enum status
set_value(const struct opt *o, char *base, const char *text, struct err *err)
{
    void *at = base + o->at;

    switch (o->type) {
    case OPT_T_FLAG:
        *(bool *)at = true;
        return OK;
    case OPT_T_INT:
        return cli_int(at, text, o->lo, o->hi, err);
    case OPT_T_REAL:
        return cli_real(at, text, o->rlo, o->rhi, err);
    case OPT_T_ENUM:
        return read_choice(at, text, o->choices, err);
    case OPT_T_LIST:
        return list_add(at, text, err);
    case OPT_T_STR:
    case OPT_T_NEED:
        *(const char **)at = text;
        return OK;
    case OPT_T_END:
        break;
    }
    return OK;
}

static void
clear_value(const struct opt *o, char *base)
{
    void *at = base + o->at;

    switch (o->type) {
    case OPT_T_FLAG:
        *(bool *)at = false;
        break;
    case OPT_T_INT:
        *(int64_t *)at = 0;
        break;
    case OPT_T_REAL:
        *(double *)at = 0;
        break;
    case OPT_T_ENUM:
        *(int *)at = 0;
        break;
    case OPT_T_LIST:
        *(struct opt_list *)at = (struct opt_list){NULL, 0};
        break;
    case OPT_T_STR:
    case OPT_T_NEED:
        *(const char **)at = NULL;
        break;
    case OPT_T_END:
        break;
    }
}

/* The column of an option in --help: "  -k, --clusters N". */
static int
print_left(const struct opt *o)
{
    int n = o->letter != 0 ? printf("  -%c, --%s", o->letter, o->name) : printf("      --%s", o->name);

    if (o->type == OPT_T_ENUM)
        n += printf(" %s", o->choices);
    else if (o->arg != NULL)
        n += printf(" %s", o->arg);
    return n;
}

static void
print_option(const struct opt *o)
{
    int n = print_left(o);

    if (n > 28) {
        (void)putchar('\n');
        n = 0;
    }
    printf("%*s%s", 30 - n, "", o->help);
    if (o->type == OPT_T_NEED)
        printf(" (required)");
    else if (o->type == OPT_T_INT)
        printf(" (%lld to %lld%s%s)", (long long)o->lo, (long long)o->hi, o->def != NULL ? "; default " : "",
            o->def != NULL ? o->def : "");
    else if (o->def != NULL)
        printf(" (default %s)", o->def);
    (void)putchar('\n');
}

/* Ends the program: help that cannot be written is an error like any other output. */
static _Noreturn void
finish_stdout(void)
{
    struct err err;

    if (fflush(stdout) != 0 || ferror(stdout)) {
        (void)err_errno(&err, errno == EPIPE ? CLOSED : IO, "stdout");
        cli_die(&err);
    }
    exit(0);
}

static _Noreturn void
print_help(const struct table *t)
{
    const struct program *p = t->program;
    const struct opt *sorted[MAX_OPTIONS];

    printf("usage: %s [options]%s%s\n%s\n\n", p->name, p->operands[0] != '\0' ? " " : "", p->operands, p->purpose);
    if (p->in != NULL)
        printf("in:   %s\n", p->in);
    if (p->out != NULL)
        printf("out:  %s\n", p->out);
    printf("\noptions:\n");
    memcpy(sorted, t->all, sizeof(sorted));
    qsort(sorted, (size_t)t->n, sizeof(sorted[0]), by_name);
    for (int i = 0; i < t->n; i++)
        print_option(sorted[i]);
    printf("\nexamples:\n");
    for (const char *line = p->examples; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        printf("  %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
    finish_stdout();
}

static _Noreturn void
usage_error(const struct table *t, const char *what)
{
    struct err err;

    (void)err_set(&err, USAGE, "%s; usage: %s [options]%s%s (try --help)", what, t->program->name,
        t->program->operands[0] != '\0' ? " " : "", t->program->operands);
    cli_die(&err);
}

static void
take(struct table *t, int i, const char *text)
{
    struct err err;

    t->given[i] = true;
    if (set_value(t->all[i], t->base[i], text, &err) == OK)
        return;
    (void)err_context(&err, "--%s", t->all[i]->name);
    cli_die(&err);
}

static void
set_defaults(struct table *t)
{
    struct err err;

    for (int i = 0; i < t->n; i++) {
        clear_value(t->all[i], t->base[i]);
        if (t->all[i]->def != NULL)
            cli_must(set_value(t->all[i], t->base[i], t->all[i]->def, &err), &err);
    }
}

/* getopt's two views of the table: short letters and long names. */
static void
make_getopt(const struct table *t, char *shorts, struct option *longs)
{
    *shorts++ = ':';
    for (int i = 0; i < t->n; i++) {
        const struct opt *o = t->all[i];
        bool arg = o->type != OPT_T_FLAG;
        longs[i] = (struct option){o->name, arg ? required_argument : no_argument, NULL, LONG_ONLY + i};
        if (o->letter != 0) {
            *shorts++ = (char)o->letter;
            if (arg)
                *shorts++ = ':';
        }
    }
    *shorts = '\0';
    longs[t->n] = (struct option){NULL, 0, NULL, 0};
}

static int
find_letter(const struct table *t, int letter)
{
    for (int i = 0; i < t->n; i++)
        if (t->all[i]->letter == letter)
            return i;
    return -1;
}

void
cli_parse(int *first, int argc, char **argv, const struct program *p, void *own, const struct opt *common, void *shared)
{
    static struct opt builtin[] = {
        {OPT_T_FLAG, 'h', "help", 0, NULL, NULL, 0, 0, 0, 0, NULL, "print this and end"},
        {OPT_T_FLAG, 0, "version", 0, NULL, NULL, 0, 0, 0, 0, NULL, "print the version and end"},
        OPT_END,
    };
    bool unused = false;
    struct table t = {.program = p};
    struct option longs[MAX_OPTIONS + 1];
    char shorts[2 * MAX_OPTIONS + 2], what[256];
    int c;

    message_name(p->name);
    table_add(&t, builtin, &unused);
    table_add(&t, p->opts, own);
    table_add(&t, common, shared);
    set_defaults(&t);
    make_getopt(&t, shorts, longs);
    optind = 1;
    while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        int i = c >= LONG_ONLY ? c - LONG_ONLY : find_letter(&t, c);
        if (c == '?' || c == ':' || i < 0) {
            const char *word = optopt > 0 && optopt < 256 && c == '?' ? NULL : argv[optind - 1];
            if (word != NULL)
                (void)snprintf(what, sizeof(what), c == ':' ? "%s needs a value" : "%s: no such option", word);
            else
                (void)snprintf(what, sizeof(what), "-%c: no such option", optopt);
            usage_error(&t, what);
        }
        if (i == 0)
            print_help(&t);
        if (i == 1) {
            printf("%s (TalkPlay in C) %s\n", p->name, TALKPLAY_VERSION);
            finish_stdout();
        }
        take(&t, i, optarg);
    }
    for (int i = 0; i < t.n; i++)
        if (t.all[i]->type == OPT_T_NEED && !t.given[i]) {
            (void)snprintf(what, sizeof(what), "--%s is required", t.all[i]->name);
            usage_error(&t, what);
        }
    *first = optind;
}
