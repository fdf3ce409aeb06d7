/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Full fine-tuning with the losses of TalkPlay (Doh, Choi and Nam 2025, §4.3): the mean over trained tokens of
 * dialogues, plus the same of playlists, plus lambda times the mean self-similarity loss of the modalities.
 *
 * A step draws whole examples until the batch is full: the next comes from dialogues while these have at most their
 * share of it. How they go through the model is batch.c's.
 */
#include "model/sft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory ---- */

static size_t
training_units(const struct sft *t)
{
    size_t units = 0;

    for (size_t i = 0; i < t->d->n; i++) {
        const struct example *e = &t->d->example[i];

        if (!e->valid && e->n > 0)
            units += t->o.batch_tokens > 0 ? e->n - 1 : 1;
    }
    return units;
}

static uint64_t
count_steps(const struct sft *t)
{
    double units = (double)training_units(t) * t->o.epochs;
    double each = (double)(t->o.batch_tokens > 0 ? t->o.batch_tokens : t->o.batch);

    if (t->o.steps > 0)
        return t->o.steps;
    return units / each <= 1 ? 1 : (uint64_t)ceil(units / each);
}

static uint64_t
hash_targets(const struct sft *t)
{
    uint64_t h = t->n_targets;

    for (size_t i = 0; i < t->n_targets; i++) {
        const struct selfsim_target *s = &t->target[i];

        h = hash64(h, s->id, s->K * sizeof *s->id);
        h = hash64(h, s->cosine, s->K * s->K * sizeof *s->cosine);
    }
    return h;
}

static enum status
allocate_scratch(struct sft *t, struct err *err)
{
    size_t n, selfsim_floats = 1;
    enum status st;

    t->micro = t->d->longest > t->o.micro_tokens ? t->d->longest : (size_t)t->o.micro_tokens;
    t->max_pick = t->o.batch_tokens > 0 ? t->o.batch_tokens + 1 : t->o.batch;
    /* An example is drawn again only in another epoch; one epoch's number of examples bounds a validation. */
    t->max_pick = t->max_pick > t->d->n ? t->max_pick : t->d->n;
    for (size_t i = 0; i < t->n_targets; i++) {
        n = selfsim_scratch(t->target[i].K, t->m->config.D);
        selfsim_floats = n > selfsim_floats ? n : selfsim_floats;
    }
    n = t->micro;
    if ((t->pick = calloc(t->max_pick, sizeof *t->pick)) == NULL ||
        (t->cut = calloc(t->max_pick + 1, sizeof *t->cut)) == NULL || (t->id = calloc(n, sizeof *t->id)) == NULL ||
        (t->target_id = calloc(n, sizeof *t->target_id)) == NULL ||
        (t->start = calloc(n + 1, sizeof *t->start)) == NULL || (t->row = calloc(n, sizeof *t->row)) == NULL ||
        (t->scale = calloc(n, sizeof *t->scale)) == NULL || (t->loss = calloc(n, sizeof *t->loss)) == NULL ||
        (t->row_task = calloc(n, sizeof *t->row_task)) == NULL ||
        (t->selfsim = aligned_alloc(64, (selfsim_floats * sizeof(float) + 63) / 64 * 64)) == NULL)
        return err_memory(err);
    if (t->o.half && (st = params_half(t->m->params, err)) != OK)
        return st;
    return acts_new(&t->acts, &t->m->config, t->m->params->rank, n, t->d->longest,
        ACTS_BACKWARD | (t->o.half ? ACTS_HALF : 0U) | (t->o.recompute ? ACTS_RECOMPUTE : 0U), err);
}

static enum status
allocate(struct sft *t, struct err *err)
{
    enum status st;

    for (int k = 0; k < TASKS; k++)
        if ((st = draw_init(&t->draw[k], t->d, (enum sft_task)k, t->o.seed, err)) != OK)
            return st;
    for (size_t i = 0; i < t->d->n && !t->has_valid; i++)
        t->has_valid = t->d->example[i].valid && t->d->example[i].n > 0;
    if ((st = spans_init(&t->spans, t->m, &t->o, err)) != OK ||
        (st = shares_init(&t->shares, (size_t)t->o.shares, t->m, &t->o, &t->spans, err)) != OK ||
        (st = moments_init(&t->moments, t->m->params->count, t->o.half_moments, err)) != OK)
        return st;
    return allocate_scratch(t, err);
}

enum status
sft_new(struct sft **out, struct model *m, const struct dataset *d, const struct sft_options *o,
    const struct selfsim_target *target, size_t n_targets, struct err *err)
{
    struct sft *t = calloc(1, sizeof *t);
    enum status st;

    *out = NULL;
    if (t == NULL)
        return err_memory(err);
    *t = (struct sft){
        .m = m, .d = d, .o = *o, .target = target, .n_targets = n_targets, .best_step = NEVER, .best_loss = INFINITY};
    t->steps = count_steps(t);
    t->data_hash = dataset_hash(d);
    t->target_hash = hash_targets(t);
    t->start_hash = hash64(0, m->params->block, m->params->count * sizeof(float));
    if (o->warmup >= t->steps && o->warmup > 0)
        st = err_set(
            err, USAGE, "--warmup: %ju steps, but there are %ju in all", (uintmax_t)o->warmup, (uintmax_t)t->steps);
    else
        st = allocate(t, err);
    if (st != OK) {
        sft_free(t);
        return st;
    }
    *out = t;
    return OK;
}

void
sft_free(struct sft *t)
{
    if (t == NULL)
        return;
    for (int k = 0; k < TASKS; k++)
        draw_fini(&t->draw[k]);
    moments_fini(&t->moments);
    shares_fini(&t->shares);
    spans_fini(&t->spans);
    acts_free(t->acts);
    free(t->log);
    free(t->selfsim);
    free(t->pick);
    free(t->cut);
    free(t->id);
    free(t->target_id);
    free(t->start);
    free(t->row);
    free(t->scale);
    free(t->loss);
    free(t->row_task);
    free(t);
}

/* ---- the batch ---- */

static size_t
units_of(const struct sft *t, const struct example *e)
{
    return t->o.batch_tokens > 0 ? e->n - 1 : 1;
}

/* Draws the examples of a step; at least one. */
static size_t
draw_batch(struct sft *t)
{
    uint64_t size = t->o.batch_tokens > 0 ? t->o.batch_tokens : t->o.batch, units[TASKS] = {0, 0}, sum = 0;
    size_t n = 0;

    for (;;) {
        bool dialog = (double)units[TASK_DIALOG] <= t->o.mix * (double)sum && t->o.mix > 0;
        struct draw *w;
        const struct example *e;

        if (t->draw[TASK_PLAYLIST].n == 0 || (dialog && t->draw[TASK_DIALOG].n > 0))
            w = &t->draw[TASK_DIALOG];
        else
            w = &t->draw[TASK_PLAYLIST];
        e = draw_peek(w, t->d);
        if (n == t->max_pick || (n > 0 && sum + units_of(t, e) > size))
            return n;
        t->pick[n++] = e;
        units[w->task] += units_of(t, e);
        sum += units_of(t, e);
        draw_take(w, t->d);
    }
}

/* The mean over modalities; lambda times its gradient where grads is not NULL. */
static double
run_selfsim(struct sft *t, struct params *grads)
{
    double sum = 0, n = (double)t->n_targets;

    for (size_t i = 0; i < t->n_targets; i++)
        sum += selfsim(grads == NULL ? NULL : grads->embed, t->selfsim, t->m->params->embed, t->target[i].id,
            t->target[i].cosine, t->target[i].K, t->m->config.D, t->o.lambda / n);
    return t->n_targets > 0 ? sum / n : 0;
}

/* ---- steps ---- */

enum status
sft_step(struct sft *t, struct err *err)
{
    struct sft_log l = {.step = t->step + 1, .rate = adam_rate(&t->o, t->step + 1, t->steps)};
    struct params *grads = t->shares.grads[0];
    uint64_t tokens;
    enum status st = batch_run(l.task, &tokens, t, draw_batch(t), true, err);

    if (st != OK)
        return st;
    l.selfsim = run_selfsim(t, grads);
    l.loss = l.task[TASK_DIALOG] + l.task[TASK_PLAYLIST] + t->o.lambda * l.selfsim;
    l.norm = adam_norm(grads, &t->spans);
    l.tokens = t->tokens += tokens;
    if (!isfinite(l.loss) || !isfinite(l.norm))
        return err_set(
            err, DATA, "step %ju: the loss is not finite; a lower --rate or --clip may help", (uintmax_t)l.step);
    adam_step(t->m->params, &t->moments, grads, &t->spans, &t->o, l.step, l.rate,
        t->o.clip > 0 && l.norm > t->o.clip ? t->o.clip / l.norm : 1);
    t->step++;
    return sft_log_add(t, &l, err);
}

bool
sft_valid_due(const struct sft *t)
{
    return t->has_valid && (t->step % t->o.valid_every == 0 || t->step == t->steps);
}

/* The examples of a validation: of each task every example, or each stride-th in the order of ids. */
static size_t
pick_valid(struct sft *t)
{
    size_t have[TASKS] = {0}, seen[TASKS] = {0}, stride[TASKS], n = 0;

    for (size_t i = 0; i < t->d->n; i++)
        have[t->d->example[i].task] += t->d->example[i].valid && t->d->example[i].n > 0;
    for (int k = 0; k < TASKS; k++)
        stride[k] = t->o.valid_max == 0 || have[k] == 0 ? 1 : (have[k] - 1) / t->o.valid_max + 1;
    for (size_t i = 0; i < t->d->n; i++) {
        struct example *e = &t->d->example[i];

        if (e->valid && e->n > 0 && seen[e->task]++ % stride[e->task] == 0)
            t->pick[n++] = e;
    }
    return n;
}

enum status
sft_validate(struct sft *t, struct err *err)
{
    struct sft_log l = {.step = t->step,
        .valid = true,
        .rate = adam_rate(&t->o, t->step > 0 ? t->step : 1, t->steps),
        .tokens = t->tokens};
    uint64_t tokens;
    enum status st = batch_run(l.task, &tokens, t, pick_valid(t), false, err);

    if (st != OK)
        return st;
    l.selfsim = run_selfsim(t, NULL);
    l.loss = l.task[TASK_DIALOG] + l.task[TASK_PLAYLIST] + t->o.lambda * l.selfsim;
    if (l.loss < t->best_loss) {
        t->best_loss = l.loss;
        t->best_step = t->step;
    }
    return sft_log_add(t, &l, err);
}

bool
sft_best_step(uint64_t *step, const struct sft *t)
{
    *step = t->best_step;
    return t->best_step != NEVER;
}

uint64_t
sft_step_count(const struct sft *t)
{
    return t->step;
}

uint64_t
sft_step_total(const struct sft *t)
{
    return t->steps;
}

/* ---- the log ---- */

enum status
sft_log_add(struct sft *t, const struct sft_log *l, struct err *err)
{
    if (t->n_log == t->cap_log) {
        size_t cap = t->cap_log + t->cap_log / 2 + 64;
        struct sft_log *p = realloc(t->log, cap * sizeof *p);

        if (p == NULL)
            return err_memory(err);
        t->log = p;
        t->cap_log = cap;
    }
    t->log[t->n_log++] = *l;
    return OK;
}

const struct sft_log *
sft_log(size_t *n, const struct sft *t)
{
    *n = t->n_log;
    return t->log;
}

void
sft_log_put(struct rec_writer *w, const struct sft_log *l)
{
    put_u64(w, "step", l->step);
    put_text(w, "split", l->valid ? "valid" : "train");
    put_f64(w, "loss", l->loss);
    put_f64(w, "loss_dialog", l->task[TASK_DIALOG]);
    put_f64(w, "loss_playlist", l->task[TASK_PLAYLIST]);
    put_f64(w, "loss_selfsim", l->selfsim);
    put_f64(w, "lr", l->rate);
    if (!l->valid)
        put_f64(w, "grad_norm", l->norm);
    put_u64(w, "tokens", l->tokens);
}

enum status
sft_log_get(struct sft_log *l, const msgpack_object *map, struct err *err)
{
    struct str split;

    *l = (struct sft_log){0};
    if (map_u64(&l->step, map, "step", UINT64_MAX, err) != OK || map_str(&split, map, "split", err) != OK ||
        map_f64(&l->loss, map, "loss", err) != OK || map_f64(&l->task[TASK_DIALOG], map, "loss_dialog", err) != OK ||
        map_f64(&l->task[TASK_PLAYLIST], map, "loss_playlist", err) != OK ||
        map_f64(&l->selfsim, map, "loss_selfsim", err) != OK || map_f64(&l->rate, map, "lr", err) != OK ||
        map_u64(&l->tokens, map, "tokens", UINT64_MAX, err) != OK)
        return DATA;
    l->valid = str_eq(split, STR("valid"));
    return l->valid ? OK : map_f64(&l->norm, map, "grad_norm", err);
}
