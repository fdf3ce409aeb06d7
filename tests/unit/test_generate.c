/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks and words of a tiny model against brute force: every tuple of the grammar is scored, and every greedy token
 * found, by model_logits, which keeps nothing and knows no batch.
 */
#include "tiny.h"
#include "unit.h"

enum { TUPLES = (TINY_K + 1) * (TINY_K + 1) * (TINY_K + 1) - 1, PROMPTS = 5, WORDS = 20 };

static int32_t text[PROMPTS][32];
static const size_t length[PROMPTS] = {12, 3, 31, 12, 1};
static uint8_t slot[TINY_V];
static struct grammar grammar;
static struct decoder *decoder;
static struct model *model;

struct scored {
    int32_t token[TINY_SLOTS + 1];
    size_t n;
    double logprob;
};

static struct generate_options
options(void)
{
    return (struct generate_options){.draw = {.temperature = 1, .top_p = 1, .penalty = 1},
        .seed = 1,
        .grammar = &grammar,
        .samples = 1,
        .masked = true};
}

/* Runs the prompts from first on in batches; ids are their numbers. */
static bool
run(struct generation *out, size_t first, size_t n, const struct generate_options *o)
{
    static const char names[PROMPTS + 1] = "abcde";
    struct request q[PROMPTS];

    for (size_t i = 0; i < n; i++)
        q[i] = (struct request){.prompt = {text[first + i], length[first + i]}, .id = {names + first + i, 1}};
    return generate(out, decoder, q, n, o, NULL) == OK;
}

static bool
same(const struct generation *a, const struct generation *b)
{
    if (a->n_candidates != b->n_candidates || a->n_words != b->n_words)
        return false;
    for (size_t i = 0; i < a->n_candidates; i++)
        if (a->candidate[i].n != b->candidate[i].n || a->candidate[i].logprob != b->candidate[i].logprob ||
            memcmp(a->candidate[i].token, b->candidate[i].token, a->candidate[i].n * sizeof(int32_t)) != 0)
            return false;
    return a->n_words == 0 || memcmp(a->word, b->word, a->n_words * sizeof(int32_t)) == 0;
}

/* ---- brute force ---- */

static double
score(const int32_t *prompt, size_t n, const struct scored *t)
{
    static float logits[64 * TINY_V];
    int32_t ids[64];
    double sum = 0;

    memcpy(ids, prompt, n * sizeof *ids);
    ids[n] = TINY_START;
    memcpy(ids + n + 1, t->token, t->n * sizeof *ids);
    if (model_logits(logits, model, ids, n + 1 + t->n, NULL) != OK)
        return NAN;
    for (size_t k = 0; k < t->n; k++) {
        const float *row = logits + (n + k) * TINY_V;
        double all = 0;

        for (size_t v = 0; v < TINY_V; v++)
            all += exp((double)row[v]);
        sum += (double)row[t->token[k]] - log(all);
    }
    return sum;
}

static int
compare_tuples(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;

    return x->logprob > y->logprob ? -1 : x->logprob < y->logprob;
}

static void
all_tuples(struct scored t[TUPLES], size_t prompt)
{
    for (int number = 1; number <= TUPLES; number++) {
        struct scored *x = &t[number - 1];
        int digits = number;

        *x = (struct scored){.n = 0};
        for (int s = 0; s < TINY_SLOTS; s++, digits /= TINY_K + 1)
            if (digits % (TINY_K + 1) > 0)
                x->token[x->n++] = TINY_FIRST + s * TINY_K + digits % (TINY_K + 1) - 1;
        x->token[x->n++] = TINY_END;
        x->logprob = score(text[prompt], length[prompt], x);
    }
    qsort(t, TUPLES, sizeof *t, compare_tuples);
}

static void
beams_against_all(void)
{
    static struct scored t[TUPLES];
    struct generate_options o = options();
    struct generation out[PROMPTS], few[PROMPTS];
    double worst = 0;
    size_t wrong = 0, best = 0;

    o.beams = 200;
    CHECK(run(out, 0, PROMPTS, &o), "beam search runs with more beams than there are blocks");
    o.beams = 24;
    CHECK(run(few, 0, PROMPTS, &o), "and with fewer");
    for (size_t i = 0; i < PROMPTS; i++) {
        all_tuples(t, i);
        wrong += out[i].n_candidates != TUPLES;
        for (size_t k = 0; k < TUPLES && k < out[i].n_candidates; k++) {
            const struct candidate *c = &out[i].candidate[k];
            double e = fabs(c->logprob - t[k].logprob);

            worst = !(e <= worst) ? e : worst;
            wrong += c->malformed || c->n != t[k].n || memcmp(c->token, t[k].token, t[k].n * sizeof(int32_t)) != 0;
        }
        best += few[i].n_candidates == 24 && few[i].candidate[0].n == t[0].n &&
                memcmp(few[i].candidate[0].token, t[0].token, t[0].n * sizeof(int32_t)) == 0;
        generation_fini(&out[i]);
        generation_fini(&few[i]);
    }
    CHECK(wrong == 0, "as many beams as blocks: all %d blocks in brute force's order (%zu are not)", TUPLES, wrong);
    CHECK(worst <= 1e-4, "a candidate's logprob is the unmasked one of the whole-sequence pass (error %.1e)", worst);
    CHECK(best == PROMPTS, "with 24 beams the best block comes first");
}

/* ---- greedy words, without a cache ---- */

static size_t
greedy_words(int32_t *word, const int32_t *prompt, size_t n)
{
    static float logits[64 * TINY_V];
    int32_t ids[64];
    size_t count = 0;

    memcpy(ids, prompt, n * sizeof *ids);
    while (count < WORDS && n < 64) {
        const float *row = logits + (n - 1) * TINY_V;
        int32_t best = 0;

        if (model_logits(logits, model, ids, n, NULL) != OK)
            return SIZE_MAX;
        for (int32_t v = 1; v < TINY_V; v++)
            best = row[v] > row[best] ? v : best;
        if (best == TINY_EOS)
            break;
        word[count++] = ids[n++] = best;
    }
    return count;
}

static void
greedy_three_ways(void)
{
    struct generate_options o = options();
    struct generation batch[PROMPTS], alone;
    size_t wrong = 0, other = 0, words = 0;
    int32_t word[WORDS];

    o.draw.greedy = true;
    o.grammar = NULL;
    o.max_tokens = WORDS;
    CHECK(run(batch, 0, PROMPTS, &o), "greedy text runs in a batch");
    for (size_t i = 0; i < PROMPTS; i++) {
        size_t n = greedy_words(word, text[i], length[i]);

        words += n;
        wrong += n != batch[i].n_words || memcmp(word, batch[i].word, n * sizeof *word) != 0;
        other += !run(&alone, i, 1, &o) || !same(&alone, &batch[i]);
        generation_fini(&alone);
        generation_fini(&batch[i]);
    }
    CHECK(words > 3 * PROMPTS && wrong == 0, "greedy with a cache gives the %zu tokens that it gives without", words);
    CHECK(other == 0, "greedy alone gives the tokens that it gives in a batch");
}

/* ---- sampling ---- */

static bool
well_formed(const struct candidate *c)
{
    size_t last = 0;

    for (size_t k = 0; k + 1 < c->n; k++) {
        if (slot[c->token[k]] <= last)
            return false;
        last = slot[c->token[k]];
    }
    return c->n >= 2 && last > 0 && c->token[c->n - 1] == TINY_END;
}

static void
masks(void)
{
    struct generate_options o = options();
    struct generation g;
    size_t good = 0, marked = 0, checked = 0;

    o.samples = 400;
    o.draw.temperature = 5;
    CHECK(run(&g, 0, 1, &o) && g.n_candidates == 400, "400 samples give 400 candidates");
    for (size_t i = 0; i < g.n_candidates; i++)
        good += well_formed(&g.candidate[i]) && !g.candidate[i].malformed;
    CHECK(good == 400, "masked samples are of the grammar, however hot (%zu)", good);
    generation_fini(&g);
    o.masked = false;
    CHECK(run(&g, 0, 1, &o), "unmasked samples run");
    for (size_t i = 0; i < g.n_candidates; i++) {
        marked += g.candidate[i].malformed;
        checked += g.candidate[i].malformed != well_formed(&g.candidate[i]);
    }
    CHECK(marked > 0 && marked < 400 && checked == 400, "unmasked ones are marked where they are not (%zu)", marked);
    generation_fini(&g);
    grammar.n_slots = 2;
    memset(slot + TINY_FIRST + 2 * TINY_K, GRAMMAR_NEVER, TINY_K);
    o.masked = true;
    o.max_tokens = 20;
    o.seed = 3;
    good = 0;
    CHECK(run(&g, 0, 1, &o), "a modality can be left out");
    for (size_t i = 0; i < g.n_candidates; i++)
        for (size_t k = 0; k < g.candidate[i].n; k++)
            good += g.candidate[i].token[k] >= TINY_FIRST + 2 * TINY_K && g.candidate[i].token[k] < TINY_START;
    for (size_t k = 0; k < g.n_words; k++)
        good += g.word[k] >= TINY_FIRST;
    CHECK(g.n_words > 0 && good == 0, "then no sample has it, and no words (%zu words, %zu)", g.n_words, good);
    generation_fini(&g);
    grammar = tiny_grammar(slot);
}

/* The first token of 4000 samples against its probability among the allowed ones. */
static void
frequencies(void)
{
    static float logits[64 * TINY_V];
    struct generate_options o = options();
    struct generation g;
    size_t count[TINY_V] = {0};
    double all = 0, worst = 0;
    int32_t ids[32];

    o.samples = 4000;
    memcpy(ids, text[0], length[0] * sizeof *ids);
    ids[length[0]] = TINY_START;
    CHECK(run(&g, 0, 1, &o) && model_logits(logits, model, ids, length[0] + 1, NULL) == OK, "4000 samples are drawn");
    for (size_t i = 0; i < g.n_candidates; i++)
        count[g.candidate[i].token[0]]++;
    generation_fini(&g);
    for (size_t v = TINY_FIRST; v < TINY_START; v++)
        all += exp((double)logits[length[0] * TINY_V + v]);
    for (size_t v = TINY_FIRST; v < TINY_START; v++) {
        double p = exp((double)logits[length[0] * TINY_V + v]) / all;
        double z = fabs((double)count[v] - 4000 * p) / sqrt(4000 * p * (1 - p));

        worst = !(z <= worst) ? z : worst;
    }
    CHECK(worst <= 4, "tokens come as often as the masked model says (%.1f standard deviations at most)", worst);
}

static void
draws_of_a_request(void)
{
    struct generate_options o = options();
    struct generation batch[PROMPTS], alone, threads[PROMPTS], one;
    size_t differ = 0, found = 0;

    o.samples = 6;
    o.max_tokens = 10;
    CHECK(run(batch, 0, PROMPTS, &o), "samples and words run in a batch");
    for (size_t i = 0; i < PROMPTS; i++) {
        differ += !run(&alone, i, 1, &o) || !same(&alone, &batch[i]);
        generation_fini(&alone);
    }
    CHECK(differ == 0, "a request draws the same alone");
    num_init(4);
    CHECK(run(threads, 0, PROMPTS, &o), "they run on 4 threads");
    for (size_t i = 0; i < PROMPTS; i++)
        differ += !same(&threads[i], &batch[i]);
    CHECK(differ == 0, "and draw the same");
    num_init(1);
    o.samples = 1;
    CHECK(run(&one, 0, 1, &o), "one sample runs");
    for (size_t i = 0; i < 6; i++)
        found += batch[0].candidate[i].logprob == one.candidate[0].logprob;
    CHECK(found >= 1, "the one sample is among the six");
    o.seed = 2;
    generation_fini(&one);
    CHECK(run(&one, 0, 1, &o) && !same(&one, &batch[0]), "another seed draws others");
    generation_fini(&one);
    for (size_t i = 0; i < PROMPTS; i++) {
        generation_fini(&batch[i]);
        generation_fini(&threads[i]);
    }
}

/* ---- the model decides ---- */

static void
decide(void)
{
    struct generate_options o = options();
    size_t with = 0, clean = 0, seeds = 60;

    o.decide = true;
    o.max_tokens = 5;
    o.draw.temperature = 3;
    for (size_t i = 0; i < seeds; i++) {
        struct generation g;

        o.seed = i;
        if (!run(&g, 0, 1, &o))
            CHECK(false, "a run that decides");
        with += g.n_candidates > 0;
        clean += g.n_candidates <= 1;
        for (size_t k = 0; k < g.n_words; k++)
            clean -= g.word[k] >= TINY_FIRST;
        generation_fini(&g);
    }
    CHECK(with > 0 && with < seeds, "the model recommends at times (%zu of %zu)", with, seeds);
    CHECK(clean == seeds, "words have no music tokens");
}

/* ---- a draw ---- */

static void
draw(void)
{
    struct sampler *s = NULL;
    struct rng rng = rng_seed(5, 5);
    struct draw_options o = {.temperature = 1, .top_p = 0.5, .penalty = 1};
    float logits[4] = {1.0f, 2.0f, 1.9f, -3.0f}, none[4] = {NAN, NAN, NAN, NAN};
    uint8_t allowed[4] = {1, 0, 1, 1}, empty[4] = {0};
    int32_t token, before[1] = {1}, bad[1] = {3};
    size_t seen[4] = {0};
    struct err err;

    CHECK(sampler_new(&s, 4, NULL) == OK, "a sampler is made");
    for (size_t i = 0; i < 300; i++)
        if (sampler_draw(
                &token, s, logits, NULL, (struct id_span){NULL, 0}, (struct id_span){NULL, 0}, &o, &rng, &err) == OK)
            seen[token]++;
    /* Of e^1, e^2, e^1.9, e^-3 the second is 43 %, the third 39 %: 50 % takes both. */
    CHECK(seen[0] == 0 && seen[1] > 100 && seen[2] > 90 && seen[3] == 0, "the nucleus is the fewest that have top_p");
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < 300; i++)
        if (sampler_draw(
                &token, s, logits, allowed, (struct id_span){NULL, 0}, (struct id_span){NULL, 0}, &o, &rng, &err) == OK)
            seen[token]++;
    CHECK(seen[2] == 300, "masks come before the nucleus: 70 %% of what is allowed is enough alone");
    o.greedy = true;
    o.penalty = 1.5;
    CHECK(sampler_draw(&token, s, logits, NULL, (struct id_span){before, 1}, (struct id_span){before, 1}, &o, &rng,
              &err) == OK &&
              token == 2,
        "a penalty counts once: 2.0/1.5 is below 1.9");
    o.penalty = 0.1;
    CHECK(sampler_draw(&token, s, logits, empty, (struct id_span){bad, 1}, (struct id_span){NULL, 0}, &o, &rng, &err) ==
              DATA,
        "nothing allowed is an error");
    CHECK(sampler_draw(&token, s, none, NULL, (struct id_span){NULL, 0}, (struct id_span){NULL, 0}, &o, &rng, &err) ==
              DATA,
        "logits that are not finite are an error");
    sampler_free(s);
}

/* Greedy takes the greatest wherever it is, of several the first. */
static void
greatest(void)
{
    static const size_t places[] = {0, 1, 63, 64, 100, 191, 192, 199};
    struct draw_options o = {.temperature = 1, .top_p = 1, .penalty = 1, .greedy = true};
    struct id_span none = {NULL, 0};
    struct sampler *s = NULL;
    struct rng rng = rng_seed(5, 6);
    float logits[200];
    int32_t token;
    struct err err;

    CHECK(sampler_new(&s, 200, NULL) == OK, "a sampler is made");
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        for (size_t j = 0; j < 200; j++)
            logits[j] = j < places[i] ? -1 - (float)j : j % 3 == places[i] % 3 ? 2 : -1;
        CHECK(sampler_draw(&token, s, logits, NULL, none, none, &o, &rng, &err) == OK && token == (int32_t)places[i],
            "the greatest is at %zu", places[i]);
    }
    sampler_free(s);
}

int
main(void)
{
    struct rng rng = rng_seed(11, 1);
    struct generate_options o;
    struct err err;

    num_init(1);
    for (size_t i = 0; i < PROMPTS; i++)
        for (size_t t = 0; t < 32; t++)
            text[i][t] = i > 0 && t < 2 ? text[0][t] : (int32_t)rng_below(&rng, TINY_V);
    grammar = tiny_grammar(slot);
    model = tiny_model(2, 0.35);
    if (model == NULL || decoder_new(&decoder, model, PACK_F32, &err) != OK) {
        CHECK(false, "a tiny model is made ready");
        return unit_done();
    }
    beams_against_all();
    greedy_three_ways();
    masks();
    frequencies();
    draws_of_a_request();
    decide();
    draw();
    greatest();
    o = options();
    CHECK(generate_room(&model->config, &o) == 64 - 5, "a prompt must leave room for a block");
    o.grammar = NULL;
    CHECK(generate_room(&model->config, &o) == 64, "text needs none");
    decoder_free(decoder);
    model_free(model);
    return unit_done();
}
