/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the examples of a step, or of a validation, go through the model: in micro-batches of at most so many tokens, so
 * that memory does not grow with the batch. The micro-batches are dealt out to shares (shares.c), and these to
 * processes. Each token's loss is scaled by its task's count over the whole step: neither micro-batches nor shares
 * change what is computed, but for the order of sums.
 */
#include <stdlib.h>
#include <string.h>

#include "model/sft.h"

/* What a share comes to, besides its gradient. */
struct tally {
    double loss[TASKS];
    uint64_t tokens;
};

/* How many tokens of each task count in the n examples picked. */
static void
count_trained(uint64_t counts[TASKS], const struct sft *t, size_t n)
{
    counts[TASK_DIALOG] = counts[TASK_PLAYLIST] = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 1; j < t->pick[i]->n; j++)
            counts[t->pick[i]->task] += t->d->trained[t->pick[i]->at + j];
}

/* Cuts the n examples picked into micro-batches, each of as many as fit; returns how many. */
static size_t
cut_micros(struct sft *t, size_t n)
{
    size_t micros = 0, tokens = 0;

    for (size_t i = 0; i < n; i++) {
        size_t more = t->pick[i]->n - 1;

        if (i == 0 || tokens + more > t->micro) {
            t->cut[micros++] = i;
            tokens = 0;
        }
        tokens += more;
    }
    t->cut[micros] = n;
    return micros;
}

/* Lays the examples of micro-batch k behind each other; returns its rows with a loss. */
static size_t
fill_micro(struct sft *t, struct ragged *r, size_t k, const double weight[TASKS])
{
    const struct example *const *pick = t->pick + t->cut[k];
    size_t T = 0, rows = 0;

    *r = (struct ragged){.n = t->cut[k + 1] - t->cut[k], .start = t->start};
    for (size_t i = 0; i < r->n; i++) {
        const struct example *e = pick[i];
        size_t S = e->n - 1;

        t->start[i] = (uint32_t)T;
        memcpy(t->id + T, t->d->token + e->at, S * sizeof *t->id);
        for (size_t j = 0; j < S; j++)
            if (t->d->trained[e->at + j + 1]) {
                t->row[rows] = (uint32_t)(T + j);
                t->target_id[rows] = t->d->token[e->at + j + 1];
                t->row_task[rows] = e->task;
                t->scale[rows++] = (float)weight[e->task];
            }
        T += S;
        r->longest = S > r->longest ? S : r->longest;
    }
    t->start[r->n] = (uint32_t)T;
    return rows;
}

static void
run_micro(struct tally *sum, struct sft *t, struct params *grads, size_t k, const double weight[TASKS])
{
    struct ragged r;
    size_t rows = fill_micro(t, &r, k, weight);

    transformer_forward(t->acts, t->m->params, t->id, &r);
    head_loss(t->loss, t->acts, grads, t->m->params, t->row, t->target_id, t->scale, rows);
    if (grads != NULL)
        transformer_backward(t->acts, grads, t->m->params, t->id, &r);
    sum->tokens += r.start[r.n];
    for (size_t j = 0; j < rows; j++)
        sum->loss[t->row_task[j]] += (double)t->loss[j];
}

/* The shares of this process, into the tallies of all shares. */
static enum status
run_shares(
    struct tally *tally, struct sft *t, size_t micros, const double weight[TASKS], bool backward, struct err *err)
{
    struct shares *s = &t->shares;

    shares_begin(s, micros);
    for (size_t k = s->first; k < s->end; k++) {
        size_t end, i = shares_from(&end, s, k, micros);
        struct params *grads;

        if (i == end)
            continue;
        grads = backward ? shares_open(s, k) : NULL;
        for (; i < end; i++)
            run_micro(&tally[k], t, grads, i, weight);
        if (backward)
            shares_close(s, k);
    }
    return acts_status(t->acts, err);
}

/* Sums the tallies of all shares, each from the process that has it. */
static enum status
sum_tallies(struct tally *sum, const struct tally *own, const struct shares *s, struct err *err)
{
    struct tally *all = calloc((size_t)team_size() * s->n, sizeof *all);
    enum status st = all == NULL ? err_memory(err) : team_gather(all, own, s->n * sizeof *own, err);

    for (size_t k = 0; st == OK && k < s->n; k++) {
        const struct tally *x = &all[shares_owner(s, k) * s->n + k];

        for (int i = 0; i < TASKS; i++)
            sum->loss[i] += x->loss[i];
        sum->tokens += x->tokens;
    }
    free(all);
    return st;
}

enum status
batch_run(double mean[TASKS], uint64_t *tokens, struct sft *t, size_t n, bool backward, struct err *err)
{
    struct tally tally[MAX_SHARES] = {0}, sum = {0};
    uint64_t counts[TASKS];
    double weight[TASKS];
    enum status st;

    count_trained(counts, t, n);
    for (int k = 0; k < TASKS; k++)
        weight[k] = counts[k] > 0 ? 1 / (double)counts[k] : 0;
    if ((st = run_shares(tally, t, cut_micros(t, n), weight, backward, err)) != OK ||
        (st = sum_tallies(&sum, tally, &t->shares, err)) != OK)
        return st;
    for (int k = 0; k < TASKS; k++)
        mean[k] = sum.loss[k] * weight[k];
    *tokens = sum.tokens;
    return backward ? shares_sum(&t->shares, err) : OK;
}
