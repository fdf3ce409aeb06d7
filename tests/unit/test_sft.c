/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sft: the whole objective of a step - dialogues, playlists, self-similarity, over several micro-batches - and its
 * gradient, against ref_llama.h in double and central differences of it.
 */
#include <stdlib.h>
#include <string.h>

#include "model/sft.h"
#include "ref_llama.h"
#include "unit.h"

#define EXAMPLES 40
#define LENGTH 61
#define LAMBDA 0.3

static const struct model_config config = {.V = 20,
    .D = 8,
    .L = 1,
    .H = 2,
    .G = 1,
    .E = 4,
    .F = 12,
    .max_positions = 64,
    .norm_eps = 1e-5,
    .rope_theta = 10000,
    .tied = true};

static int32_t first_ids[] = {3, 9, 4, 17}, second_ids[] = {5, 6, 11};
static float first_cosine[16], second_cosine[9];
static const struct selfsim_target target[] = {
    {4, first_ids, first_cosine, PLAYLIST}, {3, second_ids, second_cosine, SEMANTIC}};

/* Adds example number i: 25 dialogues, the others playlists; of these every second token is trained, of those every
 * third. */
static bool
add_example(struct dataset *d, struct rec_writer *w, size_t i, struct rng *r)
{
    msgpack_unpacked u;
    size_t end = 0, every = i < 25 ? 3 : 2;
    uint64_t id[LENGTH];
    char name[24];
    bool fine;

    for (size_t t = 0; t < LENGTH; t++)
        id[t] = rng_below(r, config.V);
    (void)snprintf(name, sizeof name, "e%zu", i);
    rec_empty(w);
    rec_begin(w);
    put_text(w, "example_id", name);
    put_text(w, "task", i < 25 ? "dialog" : "playlist");
    put_array(w, "ids");
    for (size_t t = 0; t < LENGTH; t++)
        put_u64(w, NULL, id[t]);
    put_close(w);
    put_array(w, "labels");
    for (size_t t = 0; t < LENGTH; t++)
        put_i64(w, NULL, t % every == 0 ? (int64_t)id[t] : -100);
    put_close(w);
    if (rec_end(w, NULL) != OK)
        return false;
    msgpack_unpacked_init(&u);
    fine = msgpack_unpack_next(&u, rec_memory(w).p, rec_memory(w).n, &end) == MSGPACK_UNPACK_SUCCESS &&
           dataset_add(d, &u.data, NULL) == OK;
    msgpack_unpacked_destroy(&u);
    return fine;
}

/* Mean losses of the step's examples, and the self-similarity, in double. */
static double
reference(double part[3], const double *w, const struct sft *t)
{
    static double logits[LENGTH * 20];
    struct ref_shape s = {config.V, config.D, config.L, config.H, config.G, config.E, config.F, config.norm_eps,
        config.rope_theta, 0, 0, 0, 0, 0};
    double count[TASKS] = {0};

    part[0] = part[1] = part[2] = 0;
    for (size_t k = 0; k < EXAMPLES; k++) {
        const struct example *e = t->pick[k];

        ref_llama(logits, w, &s, 1, t->d->token + e->at, e->n - 1);
        for (size_t j = 1; j < e->n; j++)
            if (t->d->trained[e->at + j]) {
                part[e->task] += ref_cross_entropy(logits + (j - 1) * config.V, config.V, t->d->token[e->at + j]);
                count[e->task]++;
            }
    }
    for (size_t m = 0; m < 2; m++) {
        const struct selfsim_target *g = &target[m];
        double sum = 0, n = 0;

        for (size_t i = 0; i < g->K; i++)
            for (size_t j = i + 1; j < g->K; j++, n++) {
                const double *a = w + (size_t)g->id[i] * config.D, *b = w + (size_t)g->id[j] * config.D;
                double ab = 0, aa = 0, bb = 0;

                for (size_t k = 0; k < config.D; k++) {
                    ab += a[k] * b[k];
                    aa += a[k] * a[k];
                    bb += b[k] * b[k];
                }
                sum += fabs((double)g->cosine[i * g->K + j] - ab / sqrt(aa * bb));
            }
        part[2] += sum / n / 2;
    }
    part[0] /= count[0];
    part[1] /= count[1];
    return part[0] + part[1] + LAMBDA * part[2];
}

static void
check_gradient(const struct sft *t, double *w)
{
    const struct params *g = t->shares.grads[0];
    struct rng r = rng_seed(9, 9);
    double part[3];

    for (size_t i = 0; i < g->n_tensors; i++) {
        size_t at = (size_t)(g->tensor[i].p - g->block), n = g->tensor[i].count;
        double worst = 0, size = 0;

        for (size_t j = 0; j < n; j++)
            size += pow((double)g->block[at + j], 2) / (double)n;
        size = sqrt(size);
        /* Of the embedding rows of both targets and others. */
        for (size_t j = 0; j < (i == 0 ? 12 : 4); j++) {
            size_t k = at + (i == 0 ? (3 + j) % config.V * config.D + j % config.D : rng_below(&r, n));
            double was = w[k], up, down, d;

            w[k] = was + 1e-5;
            up = reference(part, w, t);
            w[k] = was - 1e-5;
            down = reference(part, w, t);
            w[k] = was;
            d = fabs((up - down) / 2e-5 - (double)g->block[k]) / fmax(fabs((double)g->block[k]), size);
            if (!(d <= worst))
                worst = d;
        }
        CHECK(size > 0 && worst <= 1e-3, "the step's gradient of %s: relative error %.1e", g->tensor[i].name, worst);
    }
}

static void
check_step(struct sft *t, const struct params *p)
{
    double *w = malloc(p->count * sizeof *w), part[3], whole;
    const struct sft_log *l;
    size_t n;

    CHECK(t->micro < EXAMPLES * (LENGTH - 1), "the batch is more than one micro-batch");
    CHECK(w != NULL && sft_step(t, NULL) == OK, "a step");
    l = sft_log(&n, t);
    for (size_t i = 0; i < p->count; i++)
        w[i] = (double)p->block[i]; /* rate 0: they stay */
    whole = reference(part, w, t);
    NEAR(l->task[TASK_DIALOG], part[0], 1e-5, "the loss of dialogues is their mean over trained tokens");
    NEAR(l->task[TASK_PLAYLIST], part[1], 1e-5, "that of playlists likewise");
    NEAR(l->selfsim, part[2], 1e-5, "self-similarity is the mean over modalities");
    NEAR(l->loss, whole, 1e-5, "their sum, lambda before the last, is the step's loss");
    check_gradient(t, w);
    free(w);
}

int
main(void)
{
    struct sft_options o = {.seed = 1,
        .steps = 1,
        .batch = EXAMPLES,
        .micro_tokens = 16,
        .shares = 3,
        .mix = 0.5,
        .beta1 = 0.9,
        .beta2 = 0.999};
    struct rng r = rng_seed(4, 5);
    struct dataset *d = NULL;
    struct rec_writer *w = NULL;
    struct model *m = NULL;
    struct sft *t = NULL;
    bool fine =
        model_new(&m, &config, NULL) == OK && dataset_new(&d, &config, NULL) == OK && rec_in_memory(&w, NULL) == OK;

    num_init(2);
    o.lambda = LAMBDA;
    o.valid_every = 1;
    for (size_t i = 0; i < 16; i++)
        first_cosine[i] = second_cosine[i % 9] = (float)(rng_unit(&r) * 2 - 1);
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < i; j++) {
            first_cosine[i * 4 + j] = first_cosine[j * 4 + i];
            if (i < 3)
                second_cosine[i * 3 + j] = second_cosine[j * 3 + i];
        }
    for (size_t i = 0; fine && i < EXAMPLES; i++)
        fine = add_example(d, w, i, &r);
    CHECK(fine && dataset_close(d, NULL) == OK, "a data set is made");
    for (size_t i = 0; i < m->params->count; i++)
        m->params->block[i] = (float)(0.5 * rng_normal(&r));
    CHECK(sft_new(&t, m, d, &o, target, 2, NULL) == OK, "a run is made");
    check_step(t, m->params);
    sft_free(t);
    dataset_free(d);
    rec_discard(w);
    model_free(m);
    return unit_done();
}
