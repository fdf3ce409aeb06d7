/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A checkpoint is a stream of records like any other artifact: first the state, then weights, moments and the best
 * weights in pieces of PIECE numbers. It replaces the last one whole, by rename. Reading it back is checked as any
 * input; and a run goes on only if it would compute what the interrupted one did: same options, seed, data, starting
 * model, centroids.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/sft.h"

#define FORMAT "talkplay sft 1"
#define PIECE ((size_t)1 << 18)
#define BLOCKS 4
#define MAX_STATE ((size_t)1 << 30) /* the log of a long run is one record */

/* ---- what must agree ---- */

/* Hashes are written as text: jq rounds integers above 2^53. */
enum kind { HASH, WHOLE, REAL };

struct agree {
    const char *name;
    enum kind kind;
    uint64_t u;
    double f;
};

#define AGREED 20

static size_t
agreements(struct agree out[AGREED], const struct sft *t)
{
    const struct sft_options *o = &t->o;
    const struct agree all[] = {
        {"the training data", HASH, t->data_hash, 0},
        {"the starting model", HASH, t->start_hash, 0},
        {"--centroids", HASH, t->target_hash, 0},
        {"--seed", WHOLE, o->seed, 0},
        {"the number of steps", WHOLE, t->steps, 0},
        {"--batch", WHOLE, o->batch, 0},
        {"--batch-tokens", WHOLE, o->batch_tokens, 0},
        {"--mix", REAL, 0, o->mix},
        {"--rate", REAL, 0, o->rate},
        {"--warmup", WHOLE, o->warmup, 0},
        {"--decay", WHOLE, (uint64_t)o->decay, 0},
        {"--weight-decay", REAL, 0, o->weight_decay},
        {"--beta1", REAL, 0, o->beta1},
        {"--beta2", REAL, 0, o->beta2},
        {"--clip", REAL, 0, o->clip},
        {"--lambda", REAL, 0, o->lambda},
        {"--valid-every", WHOLE, o->valid_every, 0},
        {"--valid-max", WHOLE, o->valid_max, 0},
        {"the number of parameters", WHOLE, t->grads->count, 0},
    };
    size_t n = sizeof all / sizeof *all;

    memcpy(out, all, sizeof all);
    return n;
}

static void
hash_text(char out[17], uint64_t h)
{
    (void)snprintf(out, 17, "%016jx", (uintmax_t)h);
}

static void
put_agreements(struct rec_writer *w, const struct sft *t)
{
    struct agree a[AGREED];
    size_t n = agreements(a, t);
    char hash[17];

    put_map(w, "run");
    for (size_t i = 0; i < n; i++) {
        hash_text(hash, a[i].u);
        if (a[i].kind == HASH)
            put_text(w, a[i].name, hash);
        else if (a[i].kind == WHOLE)
            put_u64(w, a[i].name, a[i].u);
        else
            put_f64(w, a[i].name, a[i].f);
    }
    put_close(w);
}

static enum status
check_agreement(const struct agree *a, const msgpack_object *run, struct err *err)
{
    char hash[17];
    struct str was;
    uint64_t u;
    double f;

    hash_text(hash, a->u);
    if (a->kind == HASH && map_str(&was, run, a->name, err) == OK)
        return str_eq(was, str_of(hash)) ? OK
                                         : err_set(err, DATA, "%s: not the same as in the interrupted run", a->name);
    if (a->kind == WHOLE && map_u64(&u, run, a->name, UINT64_MAX, err) == OK)
        return u == a->u ? OK
                         : err_set(err, DATA, "%s was %ju in the interrupted run and is %ju here", a->name,
                               (uintmax_t)u, (uintmax_t)a->u);
    if (a->kind == REAL && map_f64(&f, run, a->name, err) == OK)
        return f == a->f ? OK : err_set(err, DATA, "%s was %g in the interrupted run and is %g here", a->name, f, a->f);
    return DATA;
}

static enum status
check_agreements(const struct sft *t, const msgpack_object *state, struct err *err)
{
    struct agree a[AGREED];
    size_t n = agreements(a, t);
    const msgpack_object *run;
    enum status st = map_map(&run, state, "run", err);

    for (size_t i = 0; st == OK && i < n; i++)
        st = check_agreement(&a[i], run, err);
    return st;
}

/* ---- blocks ---- */

struct block {
    const char *name;
    struct params *p; /* NULL where this run has none */
};

static void
blocks_of(struct block out[BLOCKS], const struct sft *t)
{
    out[0] = (struct block){"weights", t->m->params};
    out[1] = (struct block){"moment1", t->moment1};
    out[2] = (struct block){"moment2", t->moment2};
    out[3] = (struct block){"best", t->best_step == NEVER ? NULL : t->best};
}

static enum status
write_block(struct rec_writer *w, const struct block *b, struct err *err)
{
    enum status st = OK;

    for (size_t i = 0; st == OK && b->p != NULL && i < b->p->count; i += PIECE) {
        rec_begin(w);
        put_text(w, "block", b->name);
        put_u64(w, "offset", i);
        put_vector(w, "vector", b->p->block + i, b->p->count - i < PIECE ? b->p->count - i : PIECE);
        st = rec_end(w, err);
    }
    return st;
}

static enum status
read_block(struct rec_reader *in, const struct block *b, struct err *err)
{
    struct rec *rec;
    struct str name;
    enum status st;

    for (size_t i = 0; b->p != NULL && i < b->p->count; i += PIECE) {
        uint64_t at;

        if ((st = rec_read(&rec, in, err)) == END)
            return err_set(err, DATA, "the file ends before all of %s", b->name);
        if (st != OK)
            return st;
        if (map_str(&name, &rec->map, "block", err) != OK || map_u64(&at, &rec->map, "offset", SIZE_MAX, err) != OK ||
            map_vector(b->p->block + i, b->p->count - i < PIECE ? b->p->count - i : PIECE, &rec->map, "vector", err) !=
                OK)
            return rec_context(err, rec);
        if (!str_eq(name, str_of(b->name)) || at != i)
            return rec_context((err_set(err, DATA, "expected %s from %zu on", b->name, i), err), rec);
    }
    return OK;
}

/* ---- the state ---- */

static enum status
write_state(struct rec_writer *w, const struct sft *t, struct err *err)
{
    rec_begin(w);
    put_text(w, "format", FORMAT);
    put_agreements(w, t);
    put_u64(w, "step", t->step);
    put_u64(w, "tokens", t->tokens);
    put_array(w, "draw");
    for (int k = 0; k < TASKS; k++) {
        put_map(w, NULL);
        put_u64(w, "epoch", t->draw[k].epoch);
        put_u64(w, "at", t->draw[k].at);
        put_close(w);
    }
    put_close(w);
    if (t->best_step != NEVER) {
        put_u64(w, "best_step", t->best_step);
        put_f64(w, "best_loss", t->best_loss);
    }
    put_array(w, "log");
    for (size_t i = 0; i < t->n_log; i++) {
        put_map(w, NULL);
        sft_log_put(w, &t->log[i]);
        put_close(w);
    }
    put_close(w);
    return rec_end(w, err);
}

static enum status
read_draws(struct sft *t, const msgpack_object *state, struct err *err)
{
    const msgpack_object *draw;

    if (map_array(&draw, state, "draw", err) != OK)
        return DATA;
    if (draw->via.array.size != TASKS)
        return err_set(err, DATA, "draw: expected %d places", TASKS);
    for (int k = 0; k < TASKS; k++) {
        const msgpack_object *place = &draw->via.array.ptr[k];
        uint64_t epoch, at;

        if (obj_map(place, "draw", err) != OK || map_u64(&epoch, place, "epoch", UINT64_MAX, err) != OK ||
            map_u64(&at, place, "at", SIZE_MAX, err) != OK || draw_seek(&t->draw[k], t->d, epoch, at, err) != OK)
            return DATA;
    }
    return OK;
}

static enum status
read_log(struct sft *t, const msgpack_object *state, struct err *err)
{
    const msgpack_object *log;
    enum status st = map_array(&log, state, "log", err);

    for (uint32_t i = 0; st == OK && i < log->via.array.size; i++) {
        struct sft_log l;

        if ((st = obj_map(&log->via.array.ptr[i], "log", err)) == OK &&
            (st = sft_log_get(&l, &log->via.array.ptr[i], err)) == OK)
            st = sft_log_add(t, &l, err);
    }
    return st;
}

static enum status
read_state(struct sft *t, const msgpack_object *state, struct err *err)
{
    struct str format;
    enum status st;

    if (map_str(&format, state, "format", err) != OK)
        return DATA;
    if (!str_eq(format, STR(FORMAT)))
        return err_set(err, DATA, "format: expected \"%s\"", FORMAT);
    if ((st = check_agreements(t, state, err)) != OK || (st = read_draws(t, state, err)) != OK ||
        (st = read_log(t, state, err)) != OK || (st = map_u64(&t->step, state, "step", t->steps, err)) != OK ||
        (st = map_u64(&t->tokens, state, "tokens", UINT64_MAX, err)) != OK)
        return st;
    if (!map_has(state, "best_step"))
        return OK;
    if (t->best == NULL)
        return err_set(err, DATA, "best_step: there are no validation examples");
    if ((st = map_u64(&t->best_step, state, "best_step", t->steps, err)) != OK)
        return st;
    return map_f64(&t->best_loss, state, "best_loss", err);
}

/* ---- files ---- */

enum status
sft_checkpoint(const char *path, const struct sft *t, struct err *err)
{
    struct rec_writer *w = NULL;
    struct block b[BLOCKS];
    enum status st;

    blocks_of(b, t);
    if ((st = rec_create(&w, path, err)) != OK || (st = write_state(w, t, err)) != OK)
        goto out;
    for (size_t i = 0; i < BLOCKS; i++)
        if ((st = write_block(w, &b[i], err)) != OK)
            goto out;
    st = rec_commit(w, err);
    w = NULL;
out:
    rec_discard(w);
    return st;
}

enum status
sft_resume(struct sft *t, const char *path, struct err *err)
{
    struct rec_reader *in = NULL;
    struct block b[BLOCKS];
    struct rec *rec;
    enum status st;

    if ((st = rec_open(&in, path, MAX_STATE, err)) != OK)
        return st;
    if ((st = rec_read(&rec, in, err)) == END)
        st = err_set(err, DATA, "%s: empty", path);
    else if (st == OK && (st = read_state(t, &rec->map, err)) != OK)
        (void)rec_context(err, rec);
    blocks_of(b, t);
    for (size_t i = 0; st == OK && i < BLOCKS; i++)
        st = read_block(in, &b[i], err);
    if (st == OK && (st = rec_read(&rec, in, err)) != END)
        st = st == OK ? err_set(err, DATA, "%s: goes on behind its end", path) : st;
    else if (st == END)
        st = OK;
    rec_close(in);
    return st;
}
