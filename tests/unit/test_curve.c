/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curve: 20 steps of whole training runs - both tasks, self-similarity, clipping, warm-up and decay, several
 * micro-batches - against ref_train.h in double: losses, gradient norms, rates, validation, and the weights at the end.
 * Which examples a step draws is read from the run; what they hold is the test's own.
 */
#include <stdlib.h>
#include <string.h>

#include "model/sft.h"
#include "ref_train.h"
#include "unit.h"

enum {
    EXAMPLES = 48,
    LENGTH = 60,
    STEPS = 20,
    BATCH = 9,
    MICRO = 100 /* tokens: a step is several passes */,
    TARGETS = 2
};

struct setting {
    const char *name;
    struct model_config c;
    struct sft_options o;
};

#define ROPE .rope_scaled = true, .rope_factor = 8, .rope_low = 1, .rope_high = 4, .rope_original = 32
#define EACH \
    .seed = 5, .steps = STEPS, .batch = BATCH, .micro_tokens = MICRO, .shares = 3, .mix = 0.5, .beta1 = 0.9, \
    .valid_every = 5

static const struct setting settings[] = {
    {"a tied head",
        {.V = 61,
            .D = 24,
            .L = 2,
            .H = 4,
            .G = 2,
            .E = 6,
            .F = 40,
            .tied = true,
            .norm_eps = 1e-5,
            .rope_theta = 100,
            .max_positions = LENGTH,
            ROPE},
        {EACH, .beta2 = 0.95, .rate = 0.01, .warmup = 6, .decay = DECAY_COSINE, .weight_decay = 0.1, .clip = 5,
            .lambda = 0.5}},
    {"a head of its own",
        {.V = 47,
            .D = 20,
            .L = 3,
            .H = 6,
            .G = 2,
            .E = 4,
            .F = 17,
            .norm_eps = 1e-6,
            .rope_theta = 10000,
            .max_positions = LENGTH,
            ROPE},
        {EACH, .beta2 = 0.999999, .rate = 0.003, .decay = DECAY_LINEAR, .weight_decay = 0.3, .clip = 5, .lambda = 0.7}},
    {"new rows alone",
        {.V = 47,
            .D = 20,
            .L = 2,
            .H = 3,
            .G = 1,
            .E = 8,
            .F = 17,
            .norm_eps = 1e-6,
            .rope_theta = 500,
            .max_positions = LENGTH,
            ROPE},
        {EACH, .beta2 = 0.95, .rate = 0.02, .train = TRAIN_NEW_ROWS, .row = 20, .rows = 15, .warmup = 3,
            .decay = DECAY_CONSTANT, .weight_decay = 0.1, .lambda = 0.5}},
};

static int32_t ids[EXAMPLES][LENGTH], target_id[TARGETS][5] = {{21, 33, 24, 30, 27}, {22, 26, 31}};
static unsigned char learnt[EXAMPLES][LENGTH];
static float cosine[TARGETS][25];
static struct ref_example example[EXAMPLES];
static const struct ref_target ref_targets[TARGETS] = {{5, target_id[0], cosine[0]}, {3, target_id[1], cosine[1]}};
static const struct selfsim_target targets[TARGETS] = {
    {5, target_id[0], cosine[0], PLAYLIST}, {3, target_id[1], cosine[1], LYRICS}};

/* Of dialogues, which are longer, a third is learnt, of playlists a half; every sixth example is for validation. */
static void
make_examples(size_t V)
{
    struct rng r = rng_seed(4, 5);

    for (size_t k = 0; k < EXAMPLES; k++) {
        struct ref_example *e = &example[k];

        *e = (struct ref_example){.task = k % 2, .id = ids[k], .learnt = learnt[k]};
        e->n = 8 + rng_below(&r, k % 2 == 0 ? LENGTH - 7 : 20);
        for (size_t t = 0; t < e->n; t++) {
            ids[k][t] = (int32_t)rng_below(&r, V);
            learnt[k][t] = rng_below(&r, k % 2 == 0 ? 3 : 2) == 0 || t == 7;
        }
    }
    for (size_t m = 0; m < TARGETS; m++)
        for (size_t i = 0; i < targets[m].K; i++)
            for (size_t j = 0; j <= i; j++)
                cosine[m][i * targets[m].K + j] = cosine[m][j * targets[m].K + i] =
                    i == j ? 1 : (float)(rng_unit(&r) * 2 - 1);
}

static enum status
add_example(struct dataset *d, struct rec_writer *w, size_t k)
{
    msgpack_unpacked u;
    size_t end = 0;
    char name[24];
    enum status st = SYSTEM;

    (void)snprintf(name, sizeof name, "e%zu", k);
    rec_empty(w);
    rec_begin(w);
    put_text(w, "example_id", name);
    put_text(w, "task", example[k].task == 0 ? "dialog" : "playlist");
    put_text(w, "split", k % 6 < 2 ? "valid" : "train");
    put_array(w, "ids");
    for (size_t t = 0; t < example[k].n; t++)
        put_u64(w, NULL, (uint64_t)ids[k][t]);
    put_close(w);
    put_array(w, "labels");
    for (size_t t = 0; t < example[k].n; t++)
        put_i64(w, NULL, learnt[k][t] != 0 ? ids[k][t] : -100);
    put_close(w);
    if (rec_end(w, NULL) != OK)
        return SYSTEM;
    msgpack_unpacked_init(&u);
    if (msgpack_unpack_next(&u, rec_memory(w).p, rec_memory(w).n, &end) == MSGPACK_UNPACK_SUCCESS)
        st = dataset_add(d, &u.data, NULL);
    msgpack_unpacked_destroy(&u);
    return st;
}

/* The same weights for both, far from where anything is linear. */
static void
make_weights(struct ref_run *r, struct params *p)
{
    struct rng rng = rng_seed(1, 2);

    for (size_t i = 0; i < r->n; i++) {
        p->block[i] = (float)(r->decay[i] > 0 ? 0.3 * rng_normal(&rng) : 1 + 0.2 * rng_normal(&rng));
        r->w[i] = (double)p->block[i];
    }
}

static void
ref_run_of(struct ref_run *r, const struct setting *s)
{
    const struct model_config *c = &s->c;
    const struct sft_options *o = &s->o;
    struct ref_shape shape = {c->V, c->D, c->L, c->H, c->G, c->E, c->F, c->norm_eps, c->rope_theta, c->rope_scaled,
        c->rope_factor, c->rope_low, c->rope_high, (double)c->rope_original};
    size_t from = o->row * c->D, to = from + o->rows * c->D, head;

    ref_run_new(r, &shape, c->tied);
    r->lambda = o->lambda;
    r->beta1 = o->beta1;
    r->beta2 = o->beta2;
    r->weight_decay = o->weight_decay;
    r->clip = o->clip;
    r->rate = o->rate;
    r->warmup = o->warmup;
    r->steps = STEPS;
    r->fall = o->decay == DECAY_COSINE ? REF_COSINE : o->decay == DECAY_LINEAR ? REF_LINEAR : REF_CONSTANT;
    if (o->train == TRAIN_ALL)
        return;
    head = r->n - c->V * c->D;
    for (size_t i = 0; i < r->n; i++)
        r->trained[i] = (i >= from && i < to) || (i >= head + from && i < head + to);
}

/* The examples of ours that the run has picked. */
static void
picked(const struct ref_example **out, const struct sft *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct str name = ids_str(t->d->names, t->pick[i]->id);

        out[i] = &example[strtoull(name.p + 1, NULL, 10)];
    }
}

static double
differ(double worst, double a, double b)
{
    return fabs(a - b) <= worst ? worst : fabs(a - b);
}

/* Validation of the run as it stands, against the reference's weights. */
static double
valid_error(struct sft *t, const struct ref_run *r)
{
    const struct ref_example *e[EXAMPLES];
    struct ref_losses want;
    const struct sft_log *l;
    size_t n = 0, lines;

    for (size_t k = 0; k < EXAMPLES; k++)
        if (k % 6 < 2)
            e[n++] = &example[k];
    if (sft_validate(t, NULL) != OK)
        return INFINITY;
    ref_objective(&want, r, NULL, e, n, ref_targets, TARGETS);
    l = sft_log(&lines, t) + lines - 1;
    return differ(differ(differ(0, l->task[0], want.task[0]), l->task[1], want.task[1]), l->loss, want.whole);
}

/* The curves side by side: at no step does any figure lie further off than 1e-4. */
static void
check_curve(struct sft *t, struct ref_run *r, const struct setting *s)
{
    double task[2] = {0, 0}, similar = 0, whole = 0, norm = 0, rate = 0, first = 0, last = 0, weight = 0;
    const struct ref_example *e[BATCH];
    size_t n, clipped = 0, both = 0;
    bool fine = true;

    for (size_t step = 1; fine && step <= STEPS; step++) {
        struct ref_losses want;
        const struct sft_log *l;

        fine = sft_step(t, NULL) == OK;
        picked(e, t, BATCH);
        ref_step(&want, r, step, e, BATCH, ref_targets, TARGETS);
        l = sft_log(&n, t) + step - 1;
        for (int k = 0; k < 2; k++)
            task[k] = differ(task[k], l->task[k], want.task[k]);
        similar = differ(similar, l->selfsim, want.selfsim);
        whole = differ(whole, l->loss, want.whole);
        norm = differ(norm, l->norm, want.norm);
        rate = differ(rate, l->rate, want.rate);
        clipped += s->o.clip > 0 && want.norm > s->o.clip;
        both += want.task[0] > 0 && want.task[1] > 0;
        first += step <= 3 ? want.whole / 3 : 0;
        last += step > STEPS - 3 ? want.whole / 3 : 0;
    }
    for (size_t i = 0; i < r->n; i++)
        weight = differ(weight, (double)t->m->params->block[i], r->w[i]);
    CHECK(
        fine && both == STEPS && t->micro < BATCH * 20, "%s: %d steps of both tasks in several passes", s->name, STEPS);
    CHECK(last < first - 0.2, "%s: the loss falls (%.3f to %.3f)", s->name, first, last);
    CHECK(s->o.clip == 0 || (clipped > 2 && clipped < STEPS - 2), "%s: %zu steps are clipped", s->name, clipped);
    CHECK(task[0] <= 1e-4 && task[1] <= 1e-4, "%s: losses by task (errors %.1e, %.1e)", s->name, task[0], task[1]);
    CHECK(similar <= 1e-4, "%s: self-similarity (error %.1e)", s->name, similar);
    CHECK(whole <= 1e-4, "%s: the loss (error %.1e)", s->name, whole);
    CHECK(norm <= 1e-4, "%s: norms of the gradient (error %.1e)", s->name, norm);
    CHECK(rate <= 1e-12, "%s: the learning rate (error %.1e)", s->name, rate);
    CHECK(weight <= 1e-4, "%s: every weight at the end (error %.1e)", s->name, weight);
    whole = valid_error(t, r);
    CHECK(whole <= 1e-4, "%s: the validation at the end (error %.1e)", s->name, whole);
}

static void
test_setting(const struct setting *s)
{
    struct dataset *d = NULL;
    struct rec_writer *w = NULL;
    struct model *m = NULL;
    struct sft *t = NULL;
    struct ref_run r;
    bool fine = model_new(&m, &s->c, NULL) == OK && dataset_new(&d, &s->c, NULL) == OK && rec_in_memory(&w, NULL) == OK;

    make_examples(s->c.V);
    for (size_t k = 0; fine && k < EXAMPLES; k++)
        fine = add_example(d, w, k) == OK;
    fine = fine && dataset_close(d, NULL) == OK;
    ref_run_of(&r, s);
    CHECK(fine && m->params->count == r.n, "%s: data and %zu parameters", s->name, r.n);
    make_weights(&r, m->params);
    CHECK(sft_new(&t, m, d, &s->o, targets, TARGETS, NULL) == OK, "%s: a run", s->name);
    check_curve(t, &r, s);
    sft_free(t);
    dataset_free(d);
    rec_discard(w);
    model_free(m);
    ref_run_free(&r);
}

int
main(void)
{
    num_init(2);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        test_setting(&settings[i]);
    return unit_done();
}
