/* SPDX-License-Identifier: Apache-2.0 */
/*
 * score - judges rankings: MRR, Hit@K, nDCG@K with 95 % intervals, by turn, warm and cold, systems in pairs, and the
 * match analysis of a model's samples (Doh, Choi, Nam 2025, §5).
 *
 * The measures are a table (lib/eval/measure.c) and equal trec_eval -c, for which --trec writes run and qrels. Memory:
 * the ids of queries and of ranked tracks, and the resampled means, 48 bytes * samples * systems.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "eval/eval.h"

struct options {
    struct opt_list generation, ranking;
    const char *items, *tracks, *trained, *trec, *truth;
    int64_t samples;
};

static const struct opt table[] = {
    OPT_LIST(0, "generation", struct options, generation, "NAME=FILE", "unmasked samples for the match analysis"),
    OPT_STR(0, "items", struct options, items, "FILE", NULL, "codes of the catalogue, for --generation"),
    OPT_LIST(0, "ranking", struct options, ranking, "NAME=FILE", "a system and its rankings; may be repeated"),
    OPT_INT(0, "samples", struct options, samples, "N", "10000", 1, 1000000, "resamples behind an interval"),
    OPT_STR(0, "tracks", struct options, tracks, "FILE", NULL, "tells warm from cold tracks"),
    OPT_STR(0, "trained", struct options, trained, "FILE", NULL, "refuse conversations whose ids are in it"),
    OPT_STR(0, "trec", struct options, trec, "DIR", NULL, "write run and qrels of trec_eval there"),
    OPT_NEED(0, "truth", struct options, truth, "FILE", "the prompts, with what was relevant"),
    OPT_END,
};

/* Room for the examples and one line a measure. */
static char examples[4096] =
    "score --truth prompts.mp --tracks tracks.mp --ranking bm25=ranking.bm25.mp --ranking search=ranking.search.mp\n"
    "score --truth prompts.mp --ranking bm25=ranking.bm25.mp | mp2json | jq -r 'select(.turn == null)'\n";

static const struct program program = {
    .name = "score",
    .purpose = "judge rankings against what was relevant",
    .operands = "",
    .in = "prompt (--truth), ranking, generation, item, track",
    .out = "metric",
    .examples = examples,
    .opts = table,
    .uses = STAGE_SEED | STAGE_NO_IN,
};

static void
add_measures(void)
{
    size_t n = strlen(examples);

    n += (size_t)snprintf(examples + n, sizeof(examples) - n, "\nmeasures:\n");
    for (size_t m = 0; m < MEASURES && n < sizeof(examples); m++)
        n += (size_t)snprintf(
            examples + n, sizeof(examples) - n, "  %-8s %s\n", measures[m].name, measures[m].explanation);
    if (n < sizeof(examples))
        (void)snprintf(examples + n, sizeof(examples) - n,
            "with .warm or .cold: only relevant tracks of that kind; with .conversations: mean of conversation "
            "means\n");
}

/* Parts NAME=FILE; a name is what trec_eval and jq can take without quotes, and comes once. */
static enum status
part_name(char **name, const char **path, const struct opt_list *list, size_t i, struct err *err)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const char *arg = list->item[i];
    size_t n = strspn(arg, plain);

    if (n == 0 || arg[n] != '=' || arg[n + 1] == '\0')
        return err_set(err, USAGE, "expected NAME=FILE with a name of letters, digits, '.', '_', '-', got %s", arg);
    for (size_t j = 0; j < i; j++)
        if (strncmp(list->item[j], arg, n + 1) == 0)
            return err_set(err, USAGE, "%.*s is given twice", (int)n, arg);
    *path = arg + n + 1;
    return (*name = strndup(arg, n)) != NULL ? OK : err_memory(err);
}

/* DIR/NAME for writing. */
static enum status
trec_create(struct rec_writer **out, const char *dir, const char *prefix, const char *suffix, struct err *err)
{
    struct buf path = {0};
    enum status st;

    if ((st = buf_printf(&path, err, "%s/%s%s%c", dir, prefix, suffix, 0)) == OK)
        st = rec_create(out, path.p, err);
    buf_free(&path);
    return st;
}

static enum status
write_qrels(const struct options *o, const struct truth *t, struct err *err)
{
    enum status st = OK;

    if (mkdir(o->trec, 0777) != 0 && errno != EEXIST)
        return err_errno(err, NOCREATE, "%s", o->trec);
    for (int s = 0; s < (o->tracks != NULL ? SUBSETS : 1) && st == OK; s++) {
        struct rec_writer *w = NULL;
        if ((st = trec_create(&w, o->trec, "qrels", subset_suffix[s], err)) == OK &&
            (st = truth_qrels(w, t, (enum subset)s, err)) == OK)
            st = rec_commit(w, err);
        else
            rec_discard(w);
    }
    return st;
}

static enum status
load_run(struct run *run, const struct options *o, const struct truth *t, size_t i, struct err *err)
{
    struct rec_writer *trec = NULL;
    const char *path;
    char *name;
    enum status st = part_name(&name, &path, &o->ranking, i, err);

    if (st != OK)
        return st;
    if (o->trec != NULL && (st = trec_create(&trec, o->trec, "run.", name, err)) != OK) {
        free(name);
        return st;
    }
    if ((st = run_load(run, t, name, path, trec, err)) != OK) {
        rec_discard(trec);
        free(name);
        return st;
    }
    return trec != NULL ? rec_commit(trec, err) : OK;
}

static enum status
load_matched(struct matched *m, const struct options *o, const struct truth *t, size_t i, struct err *err)
{
    const char *path;
    char *name;
    enum status st = part_name(&name, &path, &o->generation, i, err);

    if (st == OK && (st = matched_load(m, t, name, path, o->items, err)) != OK)
        free(name);
    return st;
}

/* What can be refused before anything is read. */
static void
check_options(const struct options *o, const struct stage *s)
{
    const struct opt_list *lists[] = {&o->ranking, &o->generation};
    const char *path;
    char **operands;
    struct err err;

    if (stage_operands(&operands, s) > 0)
        cli_must(err_set(&err, USAGE, "unexpected operand %s: rankings are given by --ranking NAME=FILE", operands[0]),
            &err);
    if (o->ranking.n == 0 && o->generation.n == 0)
        cli_must(err_set(&err, USAGE, "nothing to judge: give --ranking NAME=FILE or --generation NAME=FILE"), &err);
    if (o->generation.n > 0 && o->items == NULL)
        cli_must(err_set(&err, USAGE, "--generation needs --items FILE"), &err);
    for (size_t l = 0; l < 2; l++)
        for (size_t i = 0; i < lists[l]->n; i++) {
            char *name;
            cli_must(part_name(&name, &path, lists[l], i, &err), &err);
            free(name);
        }
}

int
main(int argc, char **argv)
{
    struct options o;
    struct truth *truth = NULL;
    struct grading g;
    struct run *runs;
    struct matched *matched;
    struct stage *s;
    struct err err;

    add_measures();
    s = stage_start(argc, argv, &program, &o);
    check_options(&o, s);
    cli_must(truth_load(&truth, o.truth, o.tracks, &err), &err);
    if (o.trained != NULL)
        cli_must(truth_refuse(truth, o.trained, &err), &err);
    if (o.trec != NULL)
        cli_must(write_qrels(&o, truth, &err), &err);
    runs = calloc(o.ranking.n + 1, sizeof(*runs));
    matched = calloc(o.generation.n + 1, sizeof(*matched));
    if (runs == NULL || matched == NULL)
        cli_must(err_memory(&err), &err);
    for (size_t i = 0; i < o.ranking.n; i++) {
        cli_must(load_run(&runs[i], &o, truth, i, &err), &err);
        if (runs[i].missing > 0)
            cli_note("%s: %zu turns without a ranking count 0", runs[i].name, runs[i].missing);
    }
    for (size_t i = 0; i < o.generation.n; i++)
        cli_must(load_matched(&matched[i], &o, truth, i, &err), &err);
    stage_count_in(s, truth->n, 0);
    g = (struct grading){
        truth, runs, o.ranking.n, matched, o.generation.n, o.tracks != NULL, stage_seed(s), (size_t)o.samples};
    cli_must(grade(stage_out(s), &g, &err), &err);
    for (size_t i = 0; i < o.ranking.n; i++) {
        free((char *)(uintptr_t)runs[i].name);
        run_fini(&runs[i]);
    }
    for (size_t i = 0; i < o.generation.n; i++) {
        free((char *)(uintptr_t)matched[i].name);
        matched_fini(&matched[i]);
    }
    free(runs);
    free(matched);
    truth_free(truth);
    return stage_finish(s);
}
