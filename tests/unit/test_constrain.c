/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The best tracks of 2,000 by exact search against brute force (tracks_brute.h), sorted. Many tracks share a tuple,
 * some tuples begin others, and two tokens have the same embeddings, so that tracks tie.
 */
#include "tracks_brute.h"

static struct generate_options
options(size_t N)
{
    return (struct generate_options){.draw = {.temperature = 1, .top_p = 1, .penalty = 1},
        .seed = 1,
        .grammar = &grammar,
        .trie = trie,
        .top = N,
        .masked = true};
}

static bool
run(struct generation *out, size_t first, size_t n, const uint32_t *dropped, size_t n_dropped,
    const struct generate_options *o)
{
    static const char names[] = "abcdef";
    struct request q[PROMPTS];

    for (size_t i = 0; i < n; i++)
        q[i] = (struct request){.prompt = {text[first + i], length[first + i]},
            .id = {names + first + i, 1},
            .dropped = dropped,
            .n_dropped = n_dropped};
    return generate(out, decoder, q, n, o, NULL) == OK;
}

/* Wrong candidates, and a missing one: all tuples with a track that is left and at least the N-th score, in order. */
static size_t
compare(const struct generation *g, size_t N)
{
    double least = nth(N);
    size_t at = 0, wrong = 0;

    for (size_t k = 0; k < n_known; k++) {
        size_t same = k, j;

        if (known[k].left == 0 || known[k].score < least)
            continue;
        if (at == g->n_candidates)
            return wrong + 1;
        /* Tuples that tie may come in any order. */
        while (same > 0 && known[same - 1].score == known[k].score)
            same--;
        for (j = same; j < n_known && known[j].score == known[k].score; j++)
            if (g->candidate[at].n == known[j].tuple.n + 1 &&
                memcmp(g->candidate[at].token, known[j].tuple.token, known[j].tuple.n * sizeof(int32_t)) == 0)
                break;
        wrong += j == n_known || known[j].score != known[k].score ||
                 g->candidate[at].token[known[j].tuple.n] != FINAL ||
                 g->candidate[at].logprob != known[j].logp[known[j].tuple.n + 1] ||
                 g->candidate[at].tracks != known[j].tracks;
        at++;
    }
    return wrong + (at != g->n_candidates);
}

/* All tracks of the best k tuples, as numbers of their tuples; how many. */
static size_t
drop_best(uint32_t drop[ITEMS], size_t k)
{
    size_t n = 0;

    for (size_t j = 0; j < k; j++) {
        known[j].left = 0;
        for (size_t i = 0; i < ITEMS; i++)
            if (item[i].n == known[j].tuple.n && begins(&item[i], &known[j].tuple, item[i].n))
                drop[n++] = of[i];
    }
    return n;
}

static size_t
top_wrong(size_t prompt, size_t N, const uint32_t *drop, size_t n_dropped)
{
    struct generate_options o = options(N);
    struct generation g;
    size_t wrong =
        !run(&g, prompt, 1, drop, n_dropped, &o) || compare(&g, N) != 0 || g.expansions != must_expand(nth(N));

    generation_fini(&g);
    return wrong;
}

/* The N-th track is one of a tuple that another ties with: both are there, whichever was found first, and also where
 * all better ones are dropped. known is sorted, with the scores of this prompt. */
static size_t
ties_wrong(size_t *n, size_t prompt)
{
    static uint32_t drop[ITEMS];
    size_t wrong = 0, tracks = 0;

    for (size_t k = 0; k + 1 < n_known && *n < 40; k++) {
        tracks += known[k].left;
        if (known[k].score != known[k + 1].score)
            continue;
        wrong += top_wrong(prompt, tracks, NULL, 0);
        wrong += top_wrong(prompt, known[k].tracks, drop, drop_best(drop, k));
        for (size_t j = 0; j < k; j++)
            known[j].left = known[j].tracks;
        ++*n;
    }
    return wrong;
}

static void
against_all(double peaked)
{
    static const size_t top[] = {1, 7, 100, 400, MOST};
    enum { TOPS = sizeof top / sizeof *top };
    struct generation out[TOPS][PROMPTS];
    size_t wrong = 0, count = 0, expanded = 0, inexact = 0, ties = 0, tied = 0;
    bool fine = true;

    for (size_t k = 0; k < TOPS; k++) {
        struct generate_options o = options(top[k]);

        fine = run(out[k], 0, PROMPTS, NULL, 0, &o) && fine;
    }
    CHECK(fine, "head times %.0f: the search runs", peaked);
    for (size_t i = 0; i < PROMPTS; i++) {
        fine = score_all(i) && fine;
        qsort(known, n_known, sizeof *known, compare_known);
        for (size_t k = 0; k < TOPS; k++) {
            struct generation *g = &out[k][i];

            wrong += compare(g, top[k]);
            count += g->expansions != must_expand(nth(top[k]));
            expanded += g->expansions;
            inexact += !g->exact;
            generation_fini(g);
        }
        tied += ties_wrong(&ties, i);
    }
    CHECK(ties > 0 && tied == 0, "a tie for the N-th place is told in full (%zu)", ties);
    CHECK(fine && wrong == 0, "the tuples of brute force, with their probabilities and counts (%zu wrong)", wrong);
    CHECK(count == 0, "expanded are the prefixes at least as probable as the N-th track, no other (%zu)", expanded);
    CHECK(inexact == 0, "and it says that it is exact");
}

static void
dropped(void)
{
    uint32_t drop[60];
    struct generate_options o = options(40);
    struct generation g;
    size_t n = 0;

    /* All tracks of the best tuple, and every second of the next ones. */
    CHECK(score_all(2), "brute force");
    qsort(known, n_known, sizeof *known, compare_known);
    for (size_t k = 0; k < 12; k++)
        for (size_t i = 0, skip = 0; i < ITEMS && n < 60; i++)
            if (item[i].n == known[k].tuple.n && begins(&item[i], &known[k].tuple, item[i].n) &&
                (k == 0 || skip++ % 2)) {
                drop[n++] = of[i];
                known[k].left--;
            }
    CHECK(known[0].left == 0 && n > 5, "%zu tracks are dropped", n);
    CHECK(run(&g, 2, 1, drop, n, &o) && compare(&g, 40) == 0, "dropped tracks leave the places to others");
    CHECK(g.expansions == must_expand(nth(40)), "and what must be expanded then is");
    generation_fini(&g);
}

static bool
same(const struct generation *a, const struct generation *b)
{
    if (a->n_candidates != b->n_candidates || a->n_words != b->n_words || a->expansions != b->expansions)
        return false;
    for (size_t i = 0; i < a->n_candidates; i++)
        if (a->candidate[i].n != b->candidate[i].n || a->candidate[i].logprob != b->candidate[i].logprob ||
            memcmp(a->candidate[i].token, b->candidate[i].token, a->candidate[i].n * sizeof(int32_t)) != 0)
            return false;
    return a->n_words == 0 || memcmp(a->word, b->word, a->n_words * sizeof(int32_t)) == 0;
}

static void
stopped(void)
{
    struct generate_options o = options(100);
    struct generation all[PROMPTS], few[PROMPTS], four[PROMPTS], alone;
    size_t wrong = 0, differ = 0;

    o.max_tokens = 8;
    CHECK(run(all, 0, PROMPTS, NULL, 0, &o), "with words behind it");
    for (size_t i = 0; i < PROMPTS; i++) {
        o.max_expand = all[i].expansions;
        wrong += !run(&alone, i, 1, NULL, 0, &o) || !alone.exact || !same(&alone, &all[i]);
        generation_fini(&alone);
    }
    CHECK(wrong == 0, "as many expansions as it takes are enough");
    o.max_expand = 25;
    CHECK(run(few, 0, PROMPTS, NULL, 0, &o), "with few expansions");
    num_init(4);
    CHECK(run(four, 0, PROMPTS, NULL, 0, &o), "and on 4 threads");
    for (size_t i = 0; i < PROMPTS; i++) {
        wrong += few[i].exact || few[i].expansions != 25 || few[i].n_candidates == 0;
        differ += !run(&alone, i, 1, NULL, 0, &o) || !same(&alone, &few[i]) || !same(&four[i], &few[i]);
        generation_fini(&alone);
        generation_fini(&all[i]);
        generation_fini(&few[i]);
        generation_fini(&four[i]);
    }
    num_init(1);
    CHECK(wrong == 0, "a search that is stopped says so, and has what it found");
    CHECK(differ == 0, "the same alone, and on 4 threads");
}

/* What must be expanded goes through the network together: by one prefix at a time it would be as many passes as
 * expansions, and with a looser count of what may come before a prefix about 200. */
static void
together(void)
{
    struct generate_options o = options(100);
    size_t passes = 0, expansions = 0;
    bool fine = true;

    for (size_t i = 0; i < PROMPTS; i++) {
        struct request q = {.prompt = {text[i], length[i]}, .id = {"a", 1}};
        struct generator *g = NULL;
        struct generation out = {0};

        fine = fine && generator_new(&g, decoder, &o, NULL) == OK && generator_add(g, &q, &out, NULL) == OK;
        for (; fine && !out.done; passes++)
            fine = generator_pass(g, NULL) == OK;
        generator_free(g);
        expansions += out.expansions;
        generation_fini(&out);
    }
    CHECK(fine && passes < 120, "%zu passes for %zu expansions", passes, expansions);
}

/* Plain decoding itself is held against model_logits, which keeps nothing. */
static void
against_whole(void)
{
    static float logits[64 * V];
    double worst = 0;
    int32_t ids[64];

    CHECK(score_all(0), "brute force");
    for (size_t k = 0; k < n_known; k += 50) {
        const struct known *x = &known[k];
        double sum = 0;

        memcpy(ids, text[0], length[0] * sizeof *ids);
        ids[length[0]] = BEGIN;
        memcpy(ids + length[0] + 1, x->tuple.token, x->tuple.n * sizeof *ids);
        if (model_logits(logits, model, ids, length[0] + 1 + x->tuple.n, NULL) != OK)
            sum = NAN;
        for (size_t i = 0; i <= x->tuple.n; i++)
            sum += step(logits + (length[0] + i) * V, i < x->tuple.n ? x->tuple.token[i] : FINAL);
        worst = !(fabs(sum - x->logp[x->tuple.n + 1]) <= worst) ? fabs(sum - x->logp[x->tuple.n + 1]) : worst;
    }
    CHECK(worst <= 1e-4, "brute force has the probabilities of the whole-sequence pass (error %.1e)", worst);
}

/* A catalogue all of whose tuples begin alike: what nothing parts from is scored too. */
static void
one_beginning(void)
{
    trie_free(trie);
    trie = NULL;
    for (size_t i = 0; i < ITEMS; i++) {
        struct tuple *t = &item[i];

        if (t->token[0] >= FIRST + K) {
            memmove(t->token + 1, t->token, t->n * sizeof *t->token);
            t->n++;
        }
        t->token[0] = FIRST + 3;
    }
    n_known = 0;
    memset(known, 0, sizeof known);
    CHECK(trie_new(&trie, of, item, ITEMS, NULL) == OK, "a catalogue with one beginning");
    collect();
    against_all(8);
}

int
main(void)
{
    static const double peaked[] = {1, 8};
    struct rng rng = rng_seed(11, 1);
    size_t shared = 0, ties = 0, prefixes = 0;

    num_init(1);
    for (size_t i = 0; i < PROMPTS; i++)
        for (size_t t = 0; t < 30; t++)
            text[i][t] = i > 0 && t < 2 ? text[0][t] : (int32_t)rng_below(&rng, V);
    for (size_t i = 0; i < (size_t)SLOTS * K; i++)
        slot[FIRST + i] = (uint8_t)(1 + i / K);
    CHECK(make_items(), "a catalogue is made");
    collect();
    CHECK(trie_tuples(trie) == n_known, "it has %zu distinct tuples", n_known);
    for (size_t i = 0; i < sizeof peaked / sizeof *peaked; i++) {
        if (!make_model(peaked[i])) {
            CHECK(false, "a model is made ready");
            return unit_done();
        }
        against_all(peaked[i]);
        if (i == 1) {
            dropped();
            stopped();
            against_whole();
        }
        together();
        decoder_free(decoder);
        model_free(model);
    }
    for (size_t k = 0; k < n_known; k++) {
        shared += known[k].tracks > 1;
        prefixes += ways(&known[k].tuple, known[k].tuple.n) > 1;
    }
    qsort(known, n_known, sizeof *known, compare_known);
    for (size_t k = 1; k < n_known; k++)
        ties += known[k].score == known[k - 1].score;
    CHECK(shared > 50 && prefixes > 50 && ties >= 5, "%zu tuples are shared, %zu begin others, %zu tie", shared,
        prefixes, ties);
    if (make_model(8)) {
        one_beginning();
        decoder_free(decoder);
        model_free(model);
    }
    trie_free(trie);
    return unit_done();
}
