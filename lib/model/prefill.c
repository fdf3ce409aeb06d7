/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prompts into caches, and tokens onto tails: what decode.c is given to compute.
 *
 * Prompts of a pass are sorted by their tokens. Then the longest prefix that a prompt shares with any before it is the
 * one it shares with the one just before, so each distinct prefix of the pass is computed once: n log n comparisons.
 * Prefixes of earlier passes: prefix.c.
 */
#include <stdlib.h>
#include <string.h>

#include "model/decode.h"

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
    size_t i = ids_common(x->prompt.ids, x->prompt.n, y->prompt.ids, y->prompt.n);

    if (i < x->prompt.n && i < y->prompt.n)
        return x->prompt.ids[i] < y->prompt.ids[i] ? -1 : 1;
    if (x->prompt.n != y->prompt.n)
        return x->prompt.n < y->prompt.n ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

struct plan {
    struct entry *entry; /* (prompts) */
    struct share *share; /* (prompts) */
    struct row *row;
    size_t *last; /* (wanted) the rows whose logits are wanted */
    size_t n_rows, n_wanted;
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
plan_prompt(struct plan *p, size_t i, struct decoder *d)
{
    const struct entry *e = &p->entry[i];
    size_t shared;
    const struct cache *from = prefix_find(&shared, d, e->prompt.ids, e->prompt.n - 1);

    if (i > 0) {
        const struct entry *before = e - 1;
        size_t near = ids_common(e->prompt.ids, e->prompt.n - 1, before->prompt.ids, before->prompt.n);

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
}

static void
plan_sequence(struct plan *p, const struct sequence *s)
{
    for (size_t t = 0; t < s->more.n; t++) {
        s->tail->n++;
        p->row[p->n_rows] = (struct row){.token = s->more.ids[t],
            .position = s->cache->n + s->tail->n - 1,
            .cache = s->cache,
            .n_cache = s->cache->n,
            .tail = s->tail,
            .n_tail = s->tail->n};
        if (s->each || t + 1 == s->more.n)
            p->last[p->n_wanted++] = p->n_rows;
        p->n_rows++;
    }
}

static enum status
plan_new(struct plan *p, const struct pass *pass, struct err *err)
{
    size_t n = pass->n_prompts, rows = 0, wanted = n;

    for (size_t i = 0; i < n; i++)
        rows += pass->prompts[i].n;
    for (size_t i = 0; i < pass->n_seqs; i++) {
        rows += pass->seqs[i].more.n;
        wanted += pass->seqs[i].each ? pass->seqs[i].more.n : 1;
    }
    p->entry = calloc(n + 1, sizeof *p->entry);
    p->share = calloc(n + 1, sizeof *p->share);
    p->last = calloc(wanted + 1, sizeof *p->last);
    p->row = calloc(rows + 1, sizeof *p->row);
    if (p->entry == NULL || p->share == NULL || p->last == NULL || p->row == NULL)
        return err_memory(err);
    return OK;
}

static void
plan_fill(struct plan *p, struct decoder *d, const struct pass *pass)
{
    size_t n = pass->n_prompts;

    for (size_t i = 0; i < n; i++)
        p->entry[i] = (struct entry){.cache = pass->caches[i], .prompt = pass->prompts[i], .number = i};
    qsort(p->entry, n, sizeof *p->entry, compare_entries);
    for (size_t i = 0; i < n; i++)
        plan_prompt(p, i, d);
    p->n_wanted = n;
    /* Only now do the caches say what they hold: those of this pass are found by their neighbours alone. */
    for (size_t i = 0; i < n; i++) {
        const struct entry *e = &p->entry[i];

        memcpy(e->cache->ids, e->prompt.ids, e->prompt.n * sizeof(int32_t));
        e->cache->n = e->prompt.n;
    }
    for (size_t i = 0; i < pass->n_seqs; i++)
        plan_sequence(p, &pass->seqs[i]);
}

enum status
decoder_pass(float *logits, struct decoder *d, const struct pass *pass, struct err *err)
{
    struct plan p = {0};
    enum status st = plan_new(&p, pass, err);

    if (st == OK) {
        plan_fill(&p, d, pass);
        if (p.n_rows > 0)
            st = decoder_rows(logits, d, p.row, p.n_rows, p.share, pass->n_prompts, p.last, p.n_wanted, err);
        for (size_t i = 0; st != OK && i < pass->n_prompts; i++)
            pass->caches[i]->n = 0; /* nobody may begin with them */
    }
    plan_free(&p);
    return st;
}

enum status
decoder_prompts(float *logits, struct decoder *d, struct cache *const *caches, const struct id_span *prompts, size_t n,
    struct err *err)
{
    return decoder_pass(logits, d, &(struct pass){.n_prompts = n, .caches = caches, .prompts = prompts}, err);
}

enum status
decoder_extend(float *logits, struct decoder *d, const struct sequence *seqs, size_t n, struct err *err)
{
    return decoder_pass(logits, d, &(struct pass){.n_seqs = n, .seqs = seqs}, err);
}
