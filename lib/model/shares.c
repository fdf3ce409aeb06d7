/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares of a step's gradient, summed in a fixed order. One process needs two buffers: the sum so far, and the share
 * that is being computed. Several keep theirs apart, and sum piece by piece: each process gets its part of a piece from
 * all, adds the shares up in order and gives the sum to all. A process so sends, a parameter, 4 bytes for each of its
 * shares and 4 more.
 */
#include "model/shares.h"

#include <stdlib.h>
#include <string.h>

#define PIECE ((size_t)1 << 18) /* numbers a process sums at a time */
#define CHUNK ((size_t)1 << 14) /* numbers a thread adds at a time */

static size_t
owner_first(const struct shares *s, size_t process)
{
    return process * s->n / (size_t)team_size();
}

size_t
shares_owner(const struct shares *s, size_t k)
{
    size_t process = 0;

    while (owner_first(s, process + 1) <= k)
        process++;
    return process;
}

static enum status
allocate_exchange(struct shares *s, struct err *err)
{
    size_t N = (size_t)team_size(), n;

    if (!size_mul(&n, N * s->slots, PIECE * sizeof(float)) || n > INT32_MAX)
        return err_set(err, USAGE, "--shares: too many for %zu processes", N);
    s->out = malloc(n);
    s->in = malloc(n);
    s->own = malloc(PIECE * sizeof *s->own);
    s->all = malloc(N * PIECE * sizeof *s->all);
    return s->out == NULL || s->in == NULL || s->own == NULL || s->all == NULL ? err_memory(err) : OK;
}

enum status
shares_init(struct shares *s, size_t n, const struct model *m, const struct sft_options *o, const struct spans *spans,
    struct err *err)
{
    size_t N = (size_t)team_size(), r = (size_t)team_rank();
    enum status st;

    *s = (struct shares){.n = n, .spans = spans, .slots = (n + N - 1) / N};
    if (N > n)
        return err_set(err, USAGE, "--shares: %zu processes need as many shares, there are %zu", N, n);
    s->first = owner_first(s, r);
    s->end = owner_first(s, r + 1);
    s->n_grads = N == 1 ? (n > 1 ? 2 : 1) : s->end - s->first;
    if ((s->grads = calloc(s->n_grads, sizeof *s->grads)) == NULL)
        return err_memory(err);
    for (size_t i = 0; i < s->n_grads; i++) {
        if ((st = params_new(&s->grads[i], &m->config, m->params->rank, err)) != OK)
            return st;
        if (o->train != TRAIN_ALL)
            grads_freeze(s->grads[i], o->row, o->rows);
    }
    return N > 1 ? allocate_exchange(s, err) : OK;
}

void
shares_fini(struct shares *s)
{
    for (size_t i = 0; s->grads != NULL && i < s->n_grads; i++)
        params_free(s->grads[i]);
    free(s->grads);
    free(s->out);
    free(s->in);
    free(s->own);
    free(s->all);
    *s = (struct shares){0};
}

size_t
shares_from(size_t *end, const struct shares *s, size_t k, size_t micros)
{
    *end = (k + 1) * micros / s->n;
    return k * micros / s->n;
}

void
shares_begin(struct shares *s, size_t micros)
{
    for (size_t k = 0, end; k < s->n; k++)
        s->used[k] = shares_from(&end, s, k, micros) < end;
}

/* In a team of one, the first share that is used needs no other to be added to. */
static size_t
place(const struct shares *s, size_t k)
{
    size_t first = 0;

    if (team_size() > 1)
        return k - s->first;
    while (!s->used[first])
        first++;
    return k == first ? 0 : 1;
}

struct params *
shares_open(struct shares *s, size_t k)
{
    struct params *g = s->grads[place(s, k)];

    for (size_t at, n, next = 0; spans_run(&at, &n, &next, s->spans);)
        memset(g->block + at, 0, n * sizeof(float));
    return g;
}

static void
add(float *sum, const float *x, size_t n)
{
#pragma omp parallel for schedule(static) num_threads(num_threads_for(n))
    for (size_t i = 0; i < n; i += CHUNK)
        vec_axpy(sum + i, 1, x + i, n - i < CHUNK ? n - i : CHUNK);
}

void
shares_close(struct shares *s, size_t k)
{
    if (team_size() > 1 || place(s, k) == 0)
        return;
    for (size_t at, n, next = 0; spans_run(&at, &n, &next, s->spans);)
        add(s->grads[0]->block + at, s->grads[1]->block + at, n);
}

/* ---- between processes ---- */

/* Of n numbers from at on, those that process r sums: *n of them. */
static size_t
part(size_t *n, size_t r, size_t each)
{
    size_t from = r * each;

    if (from >= *n)
        return *n = 0;
    *n = *n - from < each ? *n - from : each;
    return from;
}

/* own = the sum over all shares of what came in, c numbers a slot. */
static void
sum_in_order(struct shares *s, size_t c)
{
    bool any = false;

    for (size_t k = 0; k < s->n; k++) {
        size_t r = shares_owner(s, k);
        const float *x = s->in + (r * s->slots + k - owner_first(s, r)) * c;

        if (!s->used[k])
            continue;
        if (any)
            add(s->own, x, c);
        else
            memcpy(s->own, x, c * sizeof *x);
        any = true;
    }
}

/* The sum of n numbers at at, n at most PIECE a process. */
static enum status
sum_piece(struct shares *s, size_t at, size_t n, struct err *err)
{
    size_t N = (size_t)team_size(), each = (n + N - 1) / N;
    enum status st;

    memset(s->out, 0, N * s->slots * each * sizeof(float));
    for (size_t r = 0; r < N; r++)
        for (size_t k = s->first; k < s->end; k++) {
            size_t m = n, from = part(&m, r, each);

            if (s->used[k])
                memcpy(s->out + (r * s->slots + k - s->first) * each, s->grads[k - s->first]->block + at + from,
                    m * sizeof(float));
        }
    if ((st = team_exchange(s->in, s->out, s->slots * each * sizeof(float), err)) != OK)
        return st;
    sum_in_order(s, each);
    if ((st = team_gather(s->all, s->own, each * sizeof(float), err)) == OK)
        memcpy(s->grads[0]->block + at, s->all, n * sizeof(float));
    return st;
}

enum status
shares_sum(struct shares *s, struct err *err)
{
    size_t most = (size_t)team_size() * PIECE;
    enum status st = OK;

    if (team_size() == 1)
        return OK;
    for (size_t at, n, next = 0; st == OK && spans_run(&at, &n, &next, s->spans);)
        for (size_t i = 0; st == OK && i < n; i += most)
            st = sum_piece(s, at + i, n - i < most ? n - i : most, err);
    return st;
}
