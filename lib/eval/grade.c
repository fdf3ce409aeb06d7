/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grade - figures and intervals of systems, of their differences, turn by turn, and of the match analysis.
 *
 * For all, warm and cold relevant tracks: the mean over turns (metric "mrr", "mrr.warm", …) and the mean of the
 * conversations' means ("mrr.conversations", …) of each system, then "A - B" for each pair. Then the means of the first
 * turns, of the second ones and so on, over all relevant tracks. A turn counts where it has a relevant track of the
 * kind. Memory: the resampled means, 8 bytes * samples * systems * measures.
 */
#include <stdlib.h>
#include <string.h>

#include "eval/eval.h"

/* Sums of a conversation's turns: (conversations), (conversations, columns). */
struct sums {
    uint64_t *count;
    double *sum;
    size_t conversations, columns;
};

static void
sums_fini(struct sums *s)
{
    free(s->count);
    free(s->sum);
}

static enum status
sums_init(struct sums *s, size_t conversations, size_t columns, struct err *err)
{
    size_t cells;

    *s = (struct sums){.conversations = conversations, .columns = columns};
    if (!size_mul(&cells, conversations, columns))
        return err_memory(err);
    s->count = calloc(conversations + 1, sizeof(*s->count));
    s->sum = calloc(cells + 1, sizeof(*s->sum));
    return s->count != NULL && s->sum != NULL ? OK : err_memory(err);
}

/* Drops the conversations without a turn that counts. */
static void
sums_pack(struct sums *s)
{
    size_t n = 0;

    for (size_t c = 0; c < s->conversations; c++)
        if (s->count[c] > 0) {
            s->count[n] = s->count[c];
            memmove(s->sum + n * s->columns, s->sum + c * s->columns, s->columns * sizeof(*s->sum));
            n++;
        }
    s->conversations = n;
}

/* turn 0 is every turn. */
static enum status
sum_runs(struct sums *s, const struct grading *g, enum subset subset, uint32_t turn, struct err *err)
{
    const struct truth *t = g->truth;
    enum status st = sums_init(s, ids_count(t->conversations), g->n_runs * MEASURES, err);

    for (size_t i = 0; st == OK && i < t->n; i++) {
        if (t->turns[i].count[subset] == 0 || (turn != 0 && t->turns[i].number != turn))
            continue;
        size_t c = t->turns[i].conversation;
        s->count[c]++;
        for (size_t r = 0; r < g->n_runs; r++)
            for (size_t m = 0; m < MEASURES; m++)
                s->sum[c * s->columns + r * MEASURES + m] += g->runs[r].value[(i * SUBSETS + subset) * MEASURES + m];
    }
    if (st == OK)
        sums_pack(s);
    return st;
}

struct figure {
    const char *system, *versus, *metric, *suffix;
    const char *over; /* "" or ".conversations" */
    double value, low, high;
    uint64_t n, turn;    /* turn is 0 for none */
    const double *count; /* NULL for none */
};

static enum status
put_figure(struct rec_writer *w, const struct figure *f, struct err *err)
{
    struct buf name = {0};
    enum status st;

    rec_begin(w);
    st = f->versus == NULL ? buf_printf(&name, err, "%s", f->system)
                           : buf_printf(&name, err, "%s - %s", f->system, f->versus);
    if (st == OK) {
        put_str(w, "system", (struct str){name.p, name.n});
        name.n = 0;
        st = buf_printf(&name, err, "%s%s%s", f->metric, f->suffix, f->over);
    }
    if (st == OK) {
        put_str(w, "metric", (struct str){name.p, name.n});
        put_f64(w, "value", f->value);
        put_f64(w, "low", f->low);
        put_f64(w, "high", f->high);
        put_u64(w, "n", f->n);
        if (f->turn != 0)
            put_u64(w, "turn", f->turn);
        if (f->count != NULL)
            put_u64(w, "count", (uint64_t)*f->count);
        st = rec_end(w, err);
    }
    buf_free(&name);
    return st;
}

/* Every system, and every pair unless turn is given. */
static enum status
put_runs(struct rec_writer *w, const struct grading *g, struct boot *b, struct figure f, struct err *err)
{
    enum status st = OK;

    for (size_t r = 0; r < g->n_runs; r++)
        for (size_t m = 0; m < MEASURES && st == OK; m++) {
            size_t i = r * MEASURES + m;
            f.system = g->runs[r].name;
            f.metric = measures[m].name;
            f.value = b->mean[i];
            boot_interval(&f.low, &f.high, b, i, BOOT_ALONE);
            st = put_figure(w, &f, err);
        }
    for (size_t r = 0; r < g->n_runs && f.turn == 0; r++)
        for (size_t q = r + 1; q < g->n_runs; q++)
            for (size_t m = 0; m < MEASURES && st == OK; m++) {
                size_t i = r * MEASURES + m, j = q * MEASURES + m;
                f.system = g->runs[r].name;
                f.versus = g->runs[q].name;
                f.metric = measures[m].name;
                f.value = b->mean[i] - b->mean[j];
                boot_interval(&f.low, &f.high, b, i, j);
                st = put_figure(w, &f, err);
            }
    return st;
}

static enum status
grade_runs(struct rec_writer *w, const struct grading *g, enum subset subset, uint32_t turn, struct err *err)
{
    struct figure f = {.suffix = subset_suffix[subset], .turn = turn};
    struct sums s;
    struct boot *b = NULL;
    enum status st = sum_runs(&s, g, subset, turn, err);

    for (int over = 0; st == OK && s.conversations > 0 && over < (turn == 0 ? 2 : 1); over++) {
        f.over = over == 1 ? ".conversations" : "";
        if ((st = boot_run(&b, s.count, s.sum, s.conversations, s.columns, over == 1, g->seed, g->samples, err)) != OK)
            break;
        f.n = over == 1 ? b->conversations : b->observations;
        st = put_runs(w, g, b, f, err);
        boot_free(b);
    }
    sums_fini(&s);
    return st;
}

/* Shares of the samples of a system on turns that count. */
static enum status
grade_matched(
    struct rec_writer *w, const struct grading *g, const struct matched *x, enum subset subset, struct err *err)
{
    const struct truth *t = g->truth;
    struct figure f = {.system = x->name, .suffix = subset_suffix[subset], .over = ""};
    double count[MATCH_KINDS] = {0};
    struct sums s;
    struct boot *b = NULL;
    enum status st = sums_init(&s, ids_count(t->conversations), MATCH_KINDS, err);

    for (size_t i = 0; st == OK && i < t->n; i++)
        for (int k = 0; t->turns[i].count[subset] > 0 && k < MATCH_KINDS; k++) {
            uint64_t n = x->count[i * MATCH_KINDS + (size_t)k];
            s.count[t->turns[i].conversation] += n;
            s.sum[t->turns[i].conversation * MATCH_KINDS + (size_t)k] += (double)n;
            count[k] += (double)n;
        }
    if (st == OK)
        sums_pack(&s);
    if (st == OK && s.conversations > 0 &&
        (st = boot_run(&b, s.count, s.sum, s.conversations, MATCH_KINDS, false, g->seed, g->samples, err)) == OK)
        for (size_t k = 0; k < MATCH_KINDS && st == OK; k++) {
            f.metric = match_name[k];
            f.value = b->mean[k];
            f.n = b->observations;
            f.count = &count[k];
            boot_interval(&f.low, &f.high, b, k, BOOT_ALONE);
            st = put_figure(w, &f, err);
        }
    boot_free(b);
    sums_fini(&s);
    return st;
}

/* The smallest turn number above last that a turn which counts has; 0 if there is none. */
static uint32_t
next_turn(const struct truth *t, uint32_t last)
{
    uint32_t next = 0;

    for (size_t i = 0; i < t->n; i++)
        if (t->turns[i].count[ALL] > 0 && t->turns[i].number > last && (next == 0 || t->turns[i].number < next))
            next = t->turns[i].number;
    return next;
}

enum status
grade(struct rec_writer *w, const struct grading *g, struct err *err)
{
    int subsets = g->subsets ? SUBSETS : 1;
    enum status st = OK;

    if (g->truth->n_relevant == 0)
        return err_set(err, DATA, "no prompt has a relevant track: nothing can be scored");
    for (int s = 0; s < subsets && st == OK && g->n_runs > 0; s++)
        st = grade_runs(w, g, (enum subset)s, 0, err);
    for (uint32_t turn = 0; st == OK && g->n_runs > 0 && (turn = next_turn(g->truth, turn)) != 0;)
        st = grade_runs(w, g, ALL, turn, err);
    for (size_t i = 0; i < g->n_matched; i++)
        for (int s = 0; s < subsets && st == OK; s++)
            st = grade_matched(w, g, &g->matched[i], (enum subset)s, err);
    return st;
}
