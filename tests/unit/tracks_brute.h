/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tracks_brute - a catalogue of 2,000 tracks, and what a small model gives each of them by brute force: every tuple is
 * scored by plain decoding. It also tells, without a tree, which prefixes are at least as probable as the N-th track.
 */
#ifndef TRACKS_BRUTE_H
#define TRACKS_BRUTE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/generate.h"
#include "unit.h"

enum { K = 12, SLOTS = 3, FIRST = 20, BEGIN = FIRST + SLOTS * K, FINAL = BEGIN + 1, V = FINAL + 1, EOS = 1 };
enum { ITEMS = 2000, PROMPTS = 6, MOST = 4000 };

static struct tuple item[ITEMS];
static uint32_t of[ITEMS];
static struct trie *trie;
static uint8_t slot[V];
static struct grammar grammar = {.start = BEGIN, .end = FINAL, .n_slots = SLOTS, .slot = slot};
static struct model *model;
static struct decoder *decoder;
static int32_t text[PROMPTS][30];
static const size_t length[PROMPTS] = {12, 3, 30, 12, 1, 17};

/* A distinct tuple by brute force. */
struct known {
    struct tuple tuple;
    size_t tracks, left;    /* that have it, and that were not dropped */
    double logp[SLOTS + 2]; /* of its first tokens, then with the end */
    double score;           /* of one of its tracks */
    /* Of its first n tokens: whether a chain of the tree begins with the last of them, told by one of the tuples that
     * begin so; and the fewest tracks that such a tuple has. */
    bool chain[SLOTS + 1];
    size_t fewest[SLOTS + 1];
};
static struct known known[ITEMS];
static size_t n_known;

static bool
make_model(double peaked)
{
    struct model_config c = {.V = V, .D = 24, .L = 2, .H = 4, .G = 2, .E = 6, .F = 28, .max_positions = 64};
    struct rng rng = rng_seed(4, 4);

    c.norm_eps = 1e-5;
    c.rope_theta = 10000;
    c.eos[0] = EOS;
    c.n_eos = 1;
    if (model_new(&model, &c, NULL) != OK)
        return false;
    for (size_t i = 0; i < model->params->count; i++)
        model->params->block[i] = (float)(0.3 * rng_normal(&rng));
    for (size_t i = 0; i < (size_t)V * c.D; i++)
        model->params->head[i] *= (float)peaked;
    /* Codes 2 and 5 of the last slot cannot be told apart. */
    for (float *w = model->params->embed;; w = model->params->head) {
        size_t base = FIRST + 2 * K;

        memcpy(w + (base + 5) * c.D, w + (base + 2) * c.D, c.D * sizeof *w);
        if (w == model->params->head)
            break;
    }
    return decoder_new(&decoder, model, PACK_F32, NULL) == OK;
}

/* Few codes are common, a fifth is missing. */
static bool
make_items(void)
{
    struct rng rng = rng_seed(9, 9);

    for (size_t i = 0; i < ITEMS; i++)
        while (item[i].n == 0)
            for (int s = 0; s < SLOTS; s++) {
                uint64_t code = rng_below(&rng, 1 + rng_below(&rng, K));

                if (rng_unit(&rng) > 0.2)
                    item[i].token[item[i].n++] = FIRST + s * K + (int32_t)code;
            }
    return trie_new(&trie, of, item, ITEMS, NULL) == OK;
}

/* ---- brute force ---- */

static bool
begins(const struct tuple *t, const struct tuple *with, size_t n)
{
    return t->n >= n && memcmp(t->token, with->token, n * sizeof *t->token) == 0;
}

/* How many ways tuples go on behind the first n tokens of t, the end included. */
static size_t
ways(const struct tuple *t, size_t n)
{
    bool seen[V] = {false};
    size_t count = 0;

    for (size_t k = 0; k < n_known; k++)
        if (begins(&known[k].tuple, t, n)) {
            int32_t next = known[k].tuple.n == n ? FINAL : known[k].tuple.token[n];

            count += !seen[next];
            seen[next] = true;
        }
    return count;
}

/* The distinct tuples. */
static void
collect(void)
{
    for (size_t i = 0; i < ITEMS; i++) {
        size_t k = 0;

        while (k < n_known && !(known[k].tuple.n == item[i].n && begins(&known[k].tuple, &item[i], item[i].n)))
            k++;
        if (k == n_known)
            known[n_known++] = (struct known){.tuple = item[i]};
        known[k].tracks++;
    }
    for (size_t k = 0; k < n_known; k++)
        for (size_t n = 1; n <= known[k].tuple.n; n++) {
            struct known *x = &known[k];

            x->chain[n] = n == 1 || ways(&x->tuple, n - 1) > 1;
            x->fewest[n] = SIZE_MAX;
            for (size_t j = 0; j < n_known; j++)
                if (begins(&known[j].tuple, &x->tuple, n)) {
                    x->chain[n] = x->chain[n] && j >= k;
                    x->fewest[n] = known[j].tracks < x->fewest[n] ? known[j].tracks : x->fewest[n];
                }
        }
}

/* A step's log probability; the search cuts rounding off in the same way. */
static double
step(const float *logits, int32_t token)
{
    double x = (double)logits[token] - vec_logsumexp(logits, V);

    return x < 0 ? x : 0;
}

/* Each tuple on its own: the prompt's cache, and start and tokens on a fresh tail. */
static bool
score_all(size_t prompt)
{
    static float logits[(SLOTS + 1) * V];
    struct id_span span = {text[prompt], length[prompt]};
    struct cache *cache = NULL;
    bool fine = cache_new(&cache, decoder, length[prompt], NULL) == OK &&
                decoder_prompts(logits, decoder, &cache, &span, 1, NULL) == OK;

    for (size_t k = 0; fine && k < n_known; k++) {
        struct known *x = &known[k];
        struct tail *tail = NULL;
        int32_t ids[SLOTS + 1] = {BEGIN};

        memcpy(ids + 1, x->tuple.token, x->tuple.n * sizeof *ids);
        fine = tail_new(&tail, decoder, SLOTS + 1, NULL) == OK &&
               decoder_extend(logits, decoder,
                   &(struct sequence){.cache = cache, .tail = tail, .more = {ids, x->tuple.n + 1}, .each = true}, 1,
                   NULL) == OK;
        tail_free(tail);
        x->logp[0] = 0;
        for (size_t i = 0; i < x->tuple.n; i++)
            x->logp[i + 1] = x->logp[i] + step(logits + i * V, x->tuple.token[i]);
        x->logp[x->tuple.n + 1] = x->logp[x->tuple.n] + step(logits + x->tuple.n * V, FINAL);
        x->score = x->logp[x->tuple.n + 1] - log((double)x->tracks);
        x->left = x->tracks;
    }
    cache_free(cache);
    return fine;
}

static int
compare_known(const void *a, const void *b)
{
    const struct known *x = a, *y = b;

    return x->score > y->score ? -1 : x->score < y->score;
}

/* Prefixes at the beginning of a chain whose tracks may have least or more. */
static size_t
must_expand(double least)
{
    size_t count = 1; /* nothing but start */

    for (size_t k = 0; k < n_known; k++)
        for (size_t n = 1; n <= known[k].tuple.n; n++)
            count += known[k].chain[n] && known[k].logp[n] - log((double)known[k].fewest[n]) >= least;
    return count;
}

/* The N-th best track's score; -INFINITY if there are fewer. known is sorted. */
static double
nth(size_t N)
{
    size_t tracks = 0;

    for (size_t k = 0; k < n_known; k++)
        if ((tracks += known[k].left) >= N)
            return known[k].score;
    return -INFINITY;
}

#endif
