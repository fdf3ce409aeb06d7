/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding with caches against model_logits, which has none; alone against in a batch, to the last bit; 1 thread
 * against 4.
 */
#include "tiny.h"
#include "unit.h"

enum { PROMPTS = 6, LONGEST = 40 };

static int32_t text[PROMPTS][LONGEST];
static size_t length[PROMPTS] = {40, 17, 1, 30, 17, 25};

/* Prompts with a common beginning of 5, some with more; 1 and 4 are the same. */
static void
make_prompts(void)
{
    struct rng rng = rng_seed(3, 3);

    for (size_t i = 0; i < PROMPTS; i++)
        for (size_t t = 0; t < LONGEST; t++)
            text[i][t] = i > 0 && (t < 5 || (i == 3 && t < 20)) ? text[0][t] : (int32_t)rng_below(&rng, TINY_V);
    memcpy(text[4], text[1], sizeof text[1]);
}

static double
distance(const float *a, const float *b, size_t n)
{
    double worst = 0;

    for (size_t i = 0; i < n; i++) {
        double e = fabs((double)a[i] - (double)b[i]);

        worst = !(e <= worst) ? e : worst;
    }
    return worst;
}

/* Logits of all prompts, each in its batch of the size given, then after three more tokens each. */
static bool
decode_all(float *first, float *later, const struct model *m, enum packing packing, size_t batch)
{
    struct decoder *d = NULL;
    struct cache *cache[PROMPTS] = {0};
    struct tail *tail[PROMPTS] = {0};
    struct id_span prompt[PROMPTS];
    struct sequence seq[PROMPTS];
    int32_t more[3] = {5, 9, 2};
    bool fine = decoder_new(&d, m, packing, NULL) == OK;

    for (size_t i = 0; fine && i < PROMPTS; i++) {
        prompt[i] = (struct id_span){text[i], length[i]};
        fine = cache_new(&cache[i], d, length[i], NULL) == OK && tail_new(&tail[i], d, 3, NULL) == OK;
    }
    for (size_t i = 0; fine && i < PROMPTS; i += batch) {
        fine = decoder_prompts(first + i * TINY_V, d, cache + i, prompt + i, batch, NULL) == OK;
        for (size_t k = 0; k < batch; k++)
            seq[k] = (struct sequence){.cache = cache[i + k], .tail = tail[i + k], .more = {more, 1 + (i + k) % 2}};
        fine = fine && decoder_extend(later + i * TINY_V, d, seq, batch, NULL) == OK;
        for (size_t k = 0; k < batch; k++)
            seq[k].more = (struct id_span){more + 1 + (i + k) % 2, 2 - (i + k) % 2};
        fine = fine && decoder_extend(later + i * TINY_V, d, seq, batch, NULL) == OK;
    }
    for (size_t i = 0; i < PROMPTS; i++) {
        cache_free(cache[i]);
        tail_free(tail[i]);
    }
    decoder_free(d);
    return fine;
}

/* Half of the distance between the lowest and the highest of n logits: what an error is measured by. */
static double
spread(const float *a, size_t n)
{
    double low = (double)a[0], high = low;

    for (size_t i = 0; i < n; i++) {
        low = fmin(low, (double)a[i]);
        high = fmax(high, (double)a[i]);
    }
    return (high - low) / 2;
}

/* float32 as such; the others relative to the spread, of which rounding takes much in a model as small as this. */
static void
against_whole(const struct model *m, enum packing packing, const float *first, const float *later)
{
    static float whole[64 * TINY_V];
    double worst = 0, worst_later = 0, e, most = packing == PACK_F32 ? 2e-5 : packing == PACK_BF16 ? 5e-2 : 1e-1;

    for (size_t i = 0; i < PROMPTS; i++) {
        int32_t ids[64];
        size_t n = length[i];
        const float *one = whole + (n - 1) * TINY_V, *two = whole + (n + 2) * TINY_V;

        memcpy(ids, text[i], n * sizeof *ids);
        ids[n] = 5;
        ids[n + 1] = 9;
        ids[n + 2] = 2;
        if (model_logits(whole, m, ids, n + 3, NULL) != OK)
            CHECK(false, "model_logits runs");
        e = distance(first + i * TINY_V, one, TINY_V) / (packing == PACK_F32 ? 1 : spread(one, TINY_V));
        worst = !(e <= worst) ? e : worst;
        e = distance(later + i * TINY_V, two, TINY_V) / (packing == PACK_F32 ? 1 : spread(two, TINY_V));
        worst_later = !(e <= worst_later) ? e : worst_later;
    }
    CHECK(worst <= most, "prompts: the logits of the whole-sequence pass (error %.1e)", worst);
    CHECK(worst_later <= most, "tokens appended in pieces: the logits of the whole-sequence pass (error %.1e)",
        worst_later);
    CHECK(packing == PACK_F32 || worst > 2e-5, "the weights were rounded (error %.1e)", worst);
}

/* Prompts one after the other through caches of the decoder's own, so that each finds what those before it left; more
 * of them than are kept. Then several tokens with the logits after each, beside a prompt in the same pass. */
static void
kept(const struct model *m, enum packing packing, const float *first)
{
    static float logits[8 * TINY_V], each[3 * TINY_V];
    struct decoder *d = NULL;
    struct cache *cache = NULL, *other = NULL;
    struct tail *tail = NULL;
    int32_t more[3] = {5, 9, 2};
    struct id_span prompt = {text[3], length[3]}, next = {text[0], length[0]};
    size_t wrong = 0;
    bool fine = decoder_new(&d, m, packing, NULL) == OK;

    for (size_t k = 0; fine && k < 700; k++) {
        size_t i = k * 7 % PROMPTS;
        struct id_span span = {text[i], length[i]};

        fine =
            decoder_lend(&cache, d, length[i], NULL) == OK && decoder_prompts(logits, d, &cache, &span, 1, NULL) == OK;
        wrong += memcmp(logits, first + i * TINY_V, TINY_V * sizeof *logits) != 0;
        decoder_return(d, cache);
    }
    CHECK(fine && wrong == 0, "what earlier prompts left changes no bit of later ones (%zu differ)", wrong);
    fine = decoder_lend(&cache, d, length[3], NULL) == OK && decoder_lend(&other, d, length[0], NULL) == OK &&
           tail_new(&tail, d, 3, NULL) == OK && decoder_prompts(logits, d, &cache, &prompt, 1, NULL) == OK;
    for (size_t t = 0; fine && t < 3; t++)
        fine = decoder_extend(each + t * TINY_V, d,
                   &(struct sequence){.cache = cache, .tail = tail, .more = {more + t, 1}}, 1, NULL) == OK;
    tail_free(tail);
    fine = fine && tail_new(&tail, d, 3, NULL) == OK &&
           decoder_pass(logits, d,
               &(struct pass){.n_prompts = 1,
                   .caches = &other,
                   .prompts = &next,
                   .n_seqs = 1,
                   .seqs = &(struct sequence){.cache = cache, .tail = tail, .more = {more, 3}, .each = true}},
               NULL) == OK;
    CHECK(fine && memcmp(logits, first, TINY_V * sizeof *logits) == 0, "a prompt beside tokens has its bits");
    CHECK(memcmp(logits + TINY_V, each, sizeof each) == 0, "the logits after each of three tokens, in one pass");
    decoder_return(d, cache);
    decoder_return(d, other);
    tail_free(tail);
    decoder_free(d);
}

static void
test_packing(const struct model *m, enum packing packing)
{
    static float first[3][PROMPTS * TINY_V], later[3][PROMPTS * TINY_V];

    num_init(1);
    CHECK(decode_all(first[0], later[0], m, packing, PROMPTS), "a batch of prompts with shared beginnings decodes");
    CHECK(distance(first[0], first[0] + TINY_V, TINY_V) > 0.01, "prompts differ in their logits");
    against_whole(m, packing, first[0], later[0]);
    CHECK(decode_all(first[1], later[1], m, packing, 1), "the same prompts decode one by one");
    CHECK(memcmp(first[0], first[1], sizeof first[0]) == 0, "a prompt alone has the bits that it has in a batch");
    CHECK(memcmp(later[0], later[1], sizeof later[0]) == 0, "so have the tokens after it");
    num_init(4);
    CHECK(decode_all(first[2], later[2], m, packing, 2), "they decode in pairs on 4 threads");
    CHECK(memcmp(first[0], first[2], sizeof first[0]) == 0 && memcmp(later[0], later[2], sizeof later[0]) == 0,
        "pairs on 4 threads have the same bits");
    kept(m, packing, first[0]);
}

int
main(void)
{
    static const size_t heads[] = {6, 40}; /* less than a vector; two vectors and more */

    num_init(1);
    make_prompts();
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct model *m = tiny_model_heads(1, 0.3 * sqrt(6 / (double)heads[i]), heads[i]);

        CHECK(m != NULL, "a tiny model with heads of %zu is made", heads[i]);
        for (int packing = PACK_F32; packing <= PACK_Q8; packing++)
            test_packing(m, (enum packing)packing);
        model_free(m);
    }
    return unit_done();
}
