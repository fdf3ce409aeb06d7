/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prompts into caches, and tokens onto tails: what decode.c is given to compute.
 *
 * Prompts are sorted by their tokens. Then the longest prefix that a prompt shares with any before it is the one it
 * shares with the one just before, so each distinct prefix of the batch is computed once: n log n comparisons. The
 * turns of a conversation begin with each other, and all prompts with the system message.
 */
#include <stdlib.h>
#include <string.h>

#include "model/decode.h"

static size_t
common(const int32_t *a, size_t n, const int32_t *b, size_t m)
{
    size_t i = 0;

    while (i < n && i < m && a[i] == b[i])
        i++;
    return i;
}

struct entry {
    struct cache *cache;
    struct id_span prompt;
    size_t number;
};

/* By tokens, a prefix before what it begins; the same prompts by number. */
static int
compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    size_t i = common(x->prompt.ids, x->prompt.n, y->prompt.ids, y->prompt.n);

    if (i < x->prompt.n && i < y->prompt.n)
        return x->prompt.ids[i] < y->prompt.ids[i] ? -1 : 1;
    if (x->prompt.n != y->prompt.n)
        return x->prompt.n < y->prompt.n ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

struct plan {
    struct entry *entry;
    struct share *share;
    struct row *row;
    size_t *last; /* (n) which row is the last of prompt number i */
    size_t n_rows;
};

static void
plan_free(struct plan *p)
{
    free(p->entry);
    free(p->share);
    free(p->row);
    free(p->last);
}

/* The last token is always computed, since its logits are wanted. */
static void
plan_entry(struct plan *p, size_t i, const struct decoder *d)
{
    const struct entry *e = &p->entry[i];
    const struct cache *from = d->memo;
    size_t shared = from == NULL ? 0 : common(e->prompt.ids, e->prompt.n - 1, from->ids, from->n);

    if (i > 0) {
        const struct entry *before = e - 1;
        size_t near = common(e->prompt.ids, e->prompt.n - 1, before->prompt.ids, before->prompt.n);

        if (near >= shared) {
            shared = near;
            from = before->cache;
        }
    }
    p->share[i] = (struct share){.to = e->cache, .from = from, .n = shared};
    for (size_t t = shared; t < e->prompt.n; t++)
        p->row[p->n_rows++] =
            (struct row){.token = e->prompt.ids[t], .position = t, .cache = e->cache, .n_cache = t + 1};
    p->last[e->number] = p->n_rows - 1;
    memcpy(e->cache->ids, e->prompt.ids, e->prompt.n * sizeof(int32_t));
    e->cache->n = e->prompt.n;
}

static enum status
plan_prompts(struct plan *p, const struct decoder *d, struct cache *const *caches, const struct id_span *prompts,
    size_t n, struct err *err)
{
    size_t total = 0;

    for (size_t i = 0; i < n; i++)
        total += prompts[i].n;
    p->entry = calloc(n, sizeof *p->entry);
    p->share = calloc(n, sizeof *p->share);
    p->last = calloc(n, sizeof *p->last);
    p->row = calloc(total, sizeof *p->row);
    if (p->entry == NULL || p->share == NULL || p->last == NULL || p->row == NULL)
        return err_memory(err);
    for (size_t i = 0; i < n; i++)
        p->entry[i] = (struct entry){.cache = caches[i], .prompt = prompts[i], .number = i};
    qsort(p->entry, n, sizeof *p->entry, compare_entries);
    for (size_t i = 0; i < n; i++)
        plan_entry(p, i, d);
    return OK;
}

/* Keeps what the first and the last of the sorted prompts, hence all of them, begin with. */
static enum status
remember(struct decoder *d, const struct plan *p, size_t n, struct err *err)
{
    const struct entry *a = &p->entry[0], *b = &p->entry[n - 1];
    size_t same = common(a->prompt.ids, a->prompt.n, b->prompt.ids, b->prompt.n);
    struct cache *memo;
    enum status st;

    if (d->memo != NULL && d->memo->n == same && common(d->memo->ids, same, a->prompt.ids, same) == same)
        return OK;
    if ((st = cache_new(&memo, d, same, err)) != OK)
        return st;
    for (size_t l = 0; l < d->m->config.L; l++)
        cache_copy(memo, a->cache, same, l, d);
    memcpy(memo->ids, a->prompt.ids, same * sizeof(int32_t));
    memo->n = same;
    cache_free(d->memo);
    d->memo = memo;
    return OK;
}

enum status
decoder_prompts(float *logits, struct decoder *d, struct cache *const *caches, const struct id_span *prompts, size_t n,
    struct err *err)
{
    struct plan p = {0};
    enum status st;

    if (n == 0)
        return OK;
    if ((st = plan_prompts(&p, d, caches, prompts, n, err)) == OK &&
        (st = decoder_rows(logits, d, p.row, p.n_rows, p.share, n, p.last, n, err)) == OK)
        st = remember(d, &p, n, err);
    plan_free(&p);
    return st;
}

enum status
decoder_extend(float *logits, struct decoder *d, const struct sequence *seqs, size_t n, struct err *err)
{
    struct row *row = NULL;
    size_t *last = calloc(n, sizeof *last), total = 0;
    enum status st = OK;

    for (size_t i = 0; i < n; i++)
        total += seqs[i].more.n;
    if (n > 0 && (last == NULL || (row = calloc(total, sizeof *row)) == NULL))
        st = err_memory(err);
    total = 0;
    for (size_t i = 0; st == OK && i < n; i++) {
        const struct sequence *s = &seqs[i];

        for (size_t t = 0; t < s->more.n; t++) {
            s->tail->n++;
            row[total++] = (struct row){.token = s->more.ids[t],
                .position = s->cache->n + s->tail->n - 1,
                .cache = s->cache,
                .n_cache = s->cache->n,
                .tail = s->tail,
                .n_tail = s->tail->n};
        }
        last[i] = total - 1;
    }
    if (st == OK && n > 0)
        st = decoder_rows(logits, d, row, total, NULL, 0, last, n, err);
    free(row);
    free(last);
    return st;
}
