/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention over caches (Vaswani et al. 2017, equation 1; grouped queries: Ainslie et al. 2023). A row sees the first
 * n_cache positions of its prompt, which many rows may share, then the first n_tail positions of its own tail.
 *
 * Rows that share a prompt go together, BLOCK at a time: their scores against its keys and their sums over its values
 * are two small matrix products, so that the keys are read once for 16 beams. Scores, the softmax's sum and the sum
 * over values run in the order of the positions, whatever the block: a row's bits do not depend on the rows beside it.
 * Memory: BLOCK times the longest prompt a thread.
 */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "model/decode.h"

#define BLOCK 16     /* rows of a task */
#define SERIAL 65536 /* products below which waking a second thread costs more than it saves */
#define AHEAD 16384  /* bytes of a block that are asked for before they are read, at most */

struct task {
    size_t row, n; /* the rows of this block */
    size_t width;  /* of a row of scores: the prompt in whole vectors, then the tail */
    size_t prompt; /* positions of the prompt in whole vectors */
};

static size_t
vectors(size_t n)
{
    return (n + VECTOR - 1) / VECTOR * VECTOR;
}

/* Cuts the rows into blocks that share a prompt. Returns how many; widest is the longest row of scores. */
static size_t
cut_rows(struct task *tasks, size_t *widest, const struct row *rows, size_t n)
{
    size_t count = 0;

    *widest = 0;
    for (size_t i = 0; i < n;) {
        struct task *t = &tasks[count++];
        size_t seen = 0, tail = 0, j = i;

        for (; j < n && j - i < BLOCK && rows[j].cache == rows[i].cache; j++) {
            seen = rows[j].n_cache > seen ? rows[j].n_cache : seen;
            tail = rows[j].n_tail > tail ? rows[j].n_tail : tail;
        }
        *t = (struct task){.row = i, .n = j - i, .prompt = vectors(seen), .width = vectors(seen) + vectors(tail)};
        *widest = t->width > *widest ? t->width : *widest;
        i = j;
    }
    return count;
}

/* Scores of one row into weights that sum to 1; what it does not see is 0. The tail's stand at s + prompt. */
static void
softmax(float *s, const struct row *r, const struct task *t)
{
    float most = vec_max(s, r->n_cache), *tail = s + t->prompt, tail_most = vec_max(tail, r->n_tail);
    double sum = 0;
    float scale;

    most = tail_most > most ? tail_most : most;
    for (size_t i = 0; i < r->n_cache; i++)
        s[i] -= most;
    for (size_t i = 0; i < r->n_tail; i++)
        tail[i] -= most;
    vec_exp(s, s, r->n_cache);
    vec_exp(tail, tail, r->n_tail);
    for (size_t i = 0; i < r->n_cache; i++)
        sum += (double)s[i];
    for (size_t i = 0; i < r->n_tail; i++)
        sum += (double)tail[i];
    scale = (float)(1 / sum);
    for (size_t i = 0; i < r->n_cache; i++)
        s[i] *= scale;
    memset(s + r->n_cache, 0, (t->prompt - r->n_cache) * sizeof(float));
    for (size_t i = 0; i < r->n_tail; i++)
        tail[i] *= scale;
}

/*
 * Fetches what key/value head g of a block will read behind the keys of the prompt, the first of it where it is much. A
 * head's pieces are a page or two long, and lie apart: the processor's own prefetching begins anew with each, and would
 * wait for memory rather than be limited by it.
 */
static void
fetch(const struct decoder *d, size_t l, size_t g, const struct row *rows, const struct task *t)
{
    const struct model_config *c = &d->config;
    const struct cache *cache = rows[t->row].cache;
    size_t prompt = t->prompt * d->P * sizeof(float);

    for (size_t i = 0; i < t->n; i++) {
        const struct row *r = &rows[t->row + i];
        size_t bytes = r->n_tail * c->E * (d->half ? sizeof(bf16) : sizeof(float));

        for (int values = 0; r->n_tail > 0 && values < 2; values++)
            prefetch(tail_of(r->tail, d, l, g, values > 0), bytes < AHEAD ? bytes : AHEAD);
    }
    prefetch(cache->v + (l * c->G + g) * cache->cap * d->P, prompt < AHEAD ? prompt : AHEAD);
}

/* One head of one block. s is (BLOCK, width), o (BLOCK, P). */
static void
attend_block(float *A, const float *Q, size_t ldq, const struct decoder *d, size_t l, size_t h, const struct row *rows,
    const struct task *t, float *s, float *o)
{
    const struct model_config *c = &d->config;
    const struct cache *cache = rows[t->row].cache;
    size_t g = h / (c->H / c->G), ld = c->H * c->E, at = (l * c->G + g) * cache->cap;
    const float *q = Q + t->row * ldq + h * c->E;
    float scale = 1 / sqrtf((float)c->E);

    fetch(d, l, g, rows, t);
    memset(s, 0, t->n * t->width * sizeof(float));
    memset(o, 0, t->n * d->P * sizeof(float));
    mat_chain(s, t->width, q, ldq, cache->k + at * c->E, cache->cap, t->n, t->prompt, c->E);
    for (size_t i = 0; i < t->n; i++) {
        const struct row *r = &rows[t->row + i];
        float *row = s + i * t->width;

        if (r->n_tail > 0)
            vec_dots(row + t->prompt, q + i * ldq, tail_of(r->tail, d, l, g, false), d->half, c->E, r->n_tail, c->E);
        for (size_t p = 0; p < t->width; p++)
            row[p] *= scale;
        softmax(row, r, t);
    }
    mat_chain(o, d->P, s, t->width, cache->v + at * d->P, d->P, t->n, d->P, t->prompt);
    for (size_t i = 0; i < t->n; i++) {
        const struct row *r = &rows[t->row + i];

        if (r->n_tail > 0)
            vec_sums(o + i * d->P, s + i * t->width + t->prompt, tail_of(r->tail, d, l, g, true), d->half, c->E,
                r->n_tail, c->E);
        memcpy(A + (t->row + i) * ld + h * c->E, o + i * d->P, c->E * sizeof(float));
    }
}

enum status
attend(float *A, const float *Q, size_t ldq, const struct decoder *d, size_t l, const struct row *rows, size_t n,
    struct err *err)
{
    struct task *tasks = calloc(n, sizeof *tasks);
    size_t H = d->config.H, widest = 0, count = 0, each;
    size_t threads = (size_t)num_threads();
    float *work = NULL;

    if (tasks != NULL) {
        count = cut_rows(tasks, &widest, rows, n);
        each = BLOCK * (widest + d->P);
        work = calloc(threads * each, sizeof(float));
    }
    if (work == NULL) {
        free(tasks);
        return err_memory(err);
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads()) if (n * widest * H * d->P > SERIAL)
    for (size_t i = 0; i < count * H; i++) {
        float *s = work + (size_t)omp_get_thread_num() * each;

        attend_block(A, Q, ldq, d, l, i % H, rows, &tasks[i / H], s, s + BLOCK * widest);
    }
    free(work);
    free(tasks);
    return OK;
}
