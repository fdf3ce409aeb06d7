/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exact: the logits of a model of some size - 256 wide, 4 layers, grouped queries, llama3's rope scaling - after each
 * token of 210, against ref_llama.h in double: training's products in float32 and bfloat16, and decoding with weights
 * of float32, bfloat16 and 8-bit blocks. An error is the largest of any logit; where weights are rounded it is told as
 * a part of half of the distance between the lowest and the highest logit.
 *
 * Eight-bit blocks keep a weight to 1/254 of the largest of its block, bfloat16 to 1/512 of itself; numbers of such
 * blocks are about a third of the largest, so that the error is some 2 to 3 times that of bfloat16.
 */
#include <stdlib.h>
#include <string.h>

#include "model/generate.h"
#include "model/transformer.h"
#include "ref_llama.h"
#include "unit.h"

/* With sanitizers the reference takes many times as long: a smaller one does there. */
#ifdef __SANITIZE_ADDRESS__
enum { S = 80, PROMPT = 70, V = 1000, LAYERS = 2 };
#else
enum { S = 210, PROMPT = 200, V = 3000, LAYERS = 4 };
#endif

static const struct model_config config = {.V = V,
    .D = 256,
    .L = LAYERS,
    .H = 8,
    .G = 4,
    .E = 32,
    .F = 704,
    .max_positions = 512,
    .norm_eps = 1e-5,
    .rope_theta = 500000,
    .rope_scaled = true,
    .rope_factor = 32,
    .rope_low = 1,
    .rope_high = 4,
    .rope_original = 128,
    .tied = true};

static int32_t id[S];
static float got[(S + PAD) * V];
static double want[S * V];

/* Of a size at which every layer changes what goes through it about as much as it is large, and logits differ as those
 * of a trained model do. */
static void
randomise(struct params *p)
{
    struct rng r = rng_seed(1, 1);

    for (size_t i = 0; i < p->n_tensors; i++) {
        double size = p->tensor[i].p == p->embed ? 0.25 : 1 / sqrt((double)p->tensor[i].cols);

        for (size_t j = 0; j < p->tensor[i].count; j++)
            p->tensor[i].p[j] = (float)(p->tensor[i].decay ? size * rng_normal(&r) : 1 + 0.2 * rng_normal(&r));
    }
    for (size_t t = 0; t < S; t++)
        id[t] = (int32_t)rng_below(&r, V);
}

static bool
reference(const struct params *p)
{
    const struct model_config *c = &config;
    struct ref_shape s = {c->V, c->D, c->L, c->H, c->G, c->E, c->F, c->norm_eps, c->rope_theta, c->rope_scaled,
        c->rope_factor, c->rope_low, c->rope_high, (double)c->rope_original};
    double *w = malloc(p->count * sizeof *w);

    for (size_t i = 0; w != NULL && i < p->count; i++)
        w[i] = (double)p->block[i];
    if (w != NULL)
        ref_llama(want, w, &s, 1, id, S);
    free(w);
    return w != NULL;
}

/* Half of the distance between the lowest and the highest logit after a token. */
static double
spread(const double *logits)
{
    double low = logits[0], high = low;

    for (size_t i = 0; i < V; i++) {
        low = fmin(low, logits[i]);
        high = fmax(high, logits[i]);
    }
    return (high - low) / 2;
}

/* The largest error after the tokens from `from` on, absolute or relative to the spread; and how many of the likeliest
 * tokens are others. */
static double
error(size_t *others, size_t from, bool relative)
{
    double worst = 0;

    *others = 0;
    for (size_t t = from; t < S; t++) {
        const double *y = want + t * V;
        const float *x = got + t * V;
        double unit = relative ? spread(y) : 1;
        size_t best = 0, ours = 0;

        for (size_t i = 0; i < V; i++) {
            double e = fabs(y[i] - (double)x[i]) / unit;

            worst = e <= worst ? worst : e;
            best = y[i] > y[best] ? i : best;
            ours = x[i] > x[ours] ? i : ours;
        }
        *others += best != ours;
    }
    return worst;
}

/* Training's forward pass, all tokens at once. */
static enum status
train_logits(struct params *p, unsigned kind, struct err *err)
{
    uint32_t start[2] = {0, S}, row[S];
    struct ragged r = {1, start, S};
    struct acts *a = NULL;
    enum status st = kind & ACTS_HALF ? params_half(p, err) : OK;

    memset(got, 0, sizeof got);
    for (uint32_t t = 0; t < S; t++)
        row[t] = t;
    if (st == OK && (st = acts_new(&a, &config, 0, S, S, ACTS_BACKWARD | kind, err)) == OK) {
        transformer_forward(a, p, id, &r);
        head_logits(got, a, p, row, S);
        st = acts_status(a, err);
    }
    acts_free(a);
    return st;
}

static void
check_training(struct params *p)
{
    struct err err;
    size_t others;
    double e;

    CHECK(train_logits(p, 0, &err) == OK, "float32: a forward pass of %d tokens", S);
    e = error(&others, 0, false);
    CHECK(e <= 1e-4 && others == 0, "training in float32: logits (error %.1e) and likeliest tokens", e);
    CHECK(train_logits(p, ACTS_HALF, &err) == OK, "bfloat16: a forward pass of %d tokens", S);
    e = error(&others, 0, true);
    CHECK(e <= 2e-2 && e > 1e-4, "training in bfloat16: logits (error %.1e of the spread)", e);
}

/* A prompt, then the rest token by token. */
static bool
decode(const struct model *m, enum packing packing)
{
    struct decoder *d = NULL;
    struct cache *cache = NULL;
    struct tail *tail = NULL;
    struct id_span prompt = {id, PROMPT};
    bool fine = decoder_new(&d, m, packing, NULL) == OK && cache_new(&cache, d, PROMPT, NULL) == OK &&
                tail_new(&tail, d, S - PROMPT, NULL) == OK;

    memset(got, 0, sizeof got);
    fine = fine && decoder_prompts(got + (PROMPT - 1) * V, d, &cache, &prompt, 1, NULL) == OK;
    for (size_t t = PROMPT; fine && t < S; t++)
        fine = decoder_extend(got + t * V, d, &(struct sequence){.cache = cache, .tail = tail, .more = {id + t, 1}}, 1,
                   NULL) == OK;
    tail_free(tail);
    cache_free(cache);
    decoder_free(d);
    return fine;
}

static void
check_decoding(const struct model *m)
{
    static const struct {
        const char *name;
        enum packing packing;
        double most;
    } all[] = {{"float32", PACK_F32, 1e-4}, {"bfloat16", PACK_BF16, 2e-2}, {"8-bit blocks", PACK_Q8, 4e-2}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        bool whole = all[i].packing == PACK_F32;
        size_t others;
        double e;

        CHECK(decode(m, all[i].packing), "%s: a prompt of %d tokens and %d more", all[i].name, PROMPT, S - PROMPT);
        e = error(&others, PROMPT - 1, !whole);
        CHECK(e <= all[i].most && (whole ? others == 0 : e > 1e-4), "decoding with %s: logits (error %.1e%s)",
            all[i].name, e, whole ? "" : " of the spread");
    }
}

int
main(void)
{
    struct model *m = NULL;

    num_init(2);
    if (model_new(&m, &config, NULL) != OK)
        return 1;
    randomise(m->params);
    CHECK(reference(m->params), "a reference of %zu parameters", m->params->count);
    check_training(m->params);
    check_decoding(m);
    model_free(m);
    return unit_done();
}
