/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A checkpoint is a stream of records like any other artifact: first the state, then weights and moments in pieces of
 * PIECE numbers; the best weights are elsewhere (kept.c). It replaces the last one whole, by rename. Reading it back is
 * checked as any input; and a run goes on only if it would compute what the interrupted one did: same options, seed,
 * data, starting model, centroids.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/sft.h"

#define FORMAT "talkplay sft 3"
#define PIECE ((size_t)1 << 18)
#define BLOCKS 3
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

#define AGREED 26

static size_t
agreements(struct agree out[AGREED], const struct sft *t)
{
    const struct sft_options *o = &t->o;
    const struct agree all[] = {
        {"--train", WHOLE, (uint64_t)o->train, 0},
        {"the rank of --train lora", WHOLE, o->rank, 0},
        {"the training data", HASH, t->data_hash, 0},
        {"the starting model", HASH, t->start_hash, 0},
        {"--centroids", HASH, t->target_hash, 0},
        {"--seed", WHOLE, o->seed, 0},
        {"the number of steps", WHOLE, t->steps, 0},
        {"--batch", WHOLE, o->batch, 0},
        {"--batch-tokens", WHOLE, o->batch_tokens, 0},
        {"--micro-tokens", WHOLE, o->micro_tokens, 0},
        {"--shares", WHOLE, o->shares, 0},
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
        {"--precision", WHOLE, o->half, 0},
        {"--moments", WHOLE, o->half_moments, 0},
        {"the number of parameters", WHOLE, t->m->params->count, 0},
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

/* What agrees by its values must agree by their hash. */
static uint64_t
hash_agreements(const struct sft *t)
{
    struct agree a[AGREED];
    size_t n = agreements(a, t);
    uint64_t h = 0;

    for (size_t i = 0; i < n; i++) {
        h = hash64(h, &a[i].u, sizeof a[i].u);
        h = hash64(h, &a[i].f, sizeof a[i].f);
    }
    return h;
}

enum status
sft_agree(const struct sft *t, struct err *err)
{
    size_t N = (size_t)team_size();
    uint64_t own[2] = {hash_agreements(t), t->step}, (*all)[2] = calloc(N, sizeof *all);
    enum status st = all == NULL ? err_memory(err) : team_gather(all, own, sizeof own, err);

    for (size_t r = 1; st == OK && r < N; r++)
        if (memcmp(all[r], all[0], sizeof own) != 0)
            st = err_set(err, DATA, "process %zu has another model, checkpoint or options than process 0", r);
    free(all);
    return st;
}

/* ---- blocks ---- */

/* The numbers of a run: its weights, then either moment. */
static const char *const block_name[BLOCKS] = {"weights", "moment1", "moment2"};

static void
block_get(float *out, const struct sft *t, int block, size_t at, size_t n)
{
    if (block == 0)
        memcpy(out, t->m->params->block + at, n * sizeof *out);
    else
        moments_get(out, &t->moments, block - 1, at, n);
}

static void
block_set(struct sft *t, int block, size_t at, const float *from, size_t n)
{
    if (block == 0)
        memcpy(t->m->params->block + at, from, n * sizeof *from);
    else
        moments_set(&t->moments, block - 1, at, from, n);
}

/* The next piece of what is trained: n numbers at *at, behind what was before. */
struct pieces {
    const struct spans *spans;
    size_t next, at, n, end; /* of a run of spans */
};

static bool
next_piece(struct pieces *p)
{
    p->at += p->n;
    if (p->at == p->end) {
        size_t run;

        if (!spans_run(&p->at, &run, &p->next, p->spans))
            return false;
        p->end = p->at + run;
    }
    p->n = p->end - p->at < PIECE ? p->end - p->at : PIECE;
    return true;
}

static enum status
write_block(struct rec_writer *w, float *piece, const struct sft *t, int block, struct err *err)
{
    enum status st = OK;

    for (struct pieces p = {.spans = &t->spans}; st == OK && next_piece(&p);) {
        block_get(piece, t, block, p.at, p.n);
        rec_begin(w);
        put_text(w, "block", block_name[block]);
        put_u64(w, "offset", p.at);
        put_vector(w, "vector", piece, p.n);
        st = rec_end(w, err);
    }
    return st;
}

static enum status
read_block(struct rec_reader *in, float *piece, struct sft *t, int block, struct err *err)
{
    struct rec *rec;
    struct str name;
    enum status st;

    for (struct pieces p = {.spans = &t->spans}; next_piece(&p);) {
        uint64_t at;

        if ((st = rec_read(&rec, in, err)) == END)
            return err_set(err, DATA, "the file ends before all of %s", block_name[block]);
        if (st != OK)
            return st;
        if (map_str(&name, &rec->map, "block", err) != OK || map_u64(&at, &rec->map, "offset", SIZE_MAX, err) != OK ||
            map_vector(piece, p.n, &rec->map, "vector", err) != OK)
            return rec_context(err, rec);
        if (!str_eq(name, str_of(block_name[block])) || at != p.at)
            return rec_context((err_set(err, DATA, "expected %s from %zu on", block_name[block], p.at), err), rec);
        block_set(t, block, p.at, piece, p.n);
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
    if (!t->has_valid)
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
    float *piece = malloc(PIECE * sizeof *piece);
    enum status st = piece == NULL ? err_memory(err) : OK;

    if (st != OK || (st = rec_create(&w, path, err)) != OK || (st = write_state(w, t, err)) != OK)
        goto out;
    for (int i = 0; i < BLOCKS; i++)
        if ((st = write_block(w, piece, t, i, err)) != OK)
            goto out;
    st = rec_commit(w, err);
    w = NULL;
out:
    rec_discard(w);
    free(piece);
    return st;
}

enum status
sft_resume(struct sft *t, const char *path, struct err *err)
{
    struct rec_reader *in = NULL;
    float *piece = malloc(PIECE * sizeof *piece);
    struct rec *rec;
    enum status st = piece == NULL ? err_memory(err) : rec_open(&in, path, MAX_STATE, err);

    if (st != OK)
        goto out;
    if ((st = rec_read(&rec, in, err)) == END)
        st = err_set(err, DATA, "%s: empty", path);
    else if (st == OK && (st = read_state(t, &rec->map, err)) != OK)
        (void)rec_context(err, rec);
    for (int i = 0; st == OK && i < BLOCKS; i++)
        st = read_block(in, piece, t, i, err);
    if (st == OK && t->o.half)
        st = params_half(t->m->params, err);
    if (st == OK && (st = rec_read(&rec, in, err)) != END)
        st = st == OK ? err_set(err, DATA, "%s: goes on behind its end", path) : st;
    else if (st == END)
        st = OK;
out:
    rec_close(in);
    free(piece);
    return st;
}
