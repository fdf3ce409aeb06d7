/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run keeps while it goes on: checkpoints, and the best weights so far in a file a step, PREFIX.best-STEP (a
 * second copy in memory would not fit beside a large model). That of the step which the checkpoint names is never
 * written over, and goes only once another checkpoint names another; of others the newest stays. One pass over the
 * weights each time. Of a team of processes the first alone writes.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/sft.h"

#define MARK ".best-"

static enum status
path_of(struct buf *out, const char *prefix, uint64_t step, struct err *err)
{
    out->n = 0;
    return buf_printf(out, err, "%s" MARK "%" PRIu64 "%c", prefix, step, 0);
}

static enum status
write_best(const char *prefix, uint64_t step, const struct params *p, struct err *err)
{
    struct buf path = {0};
    enum status st = path_of(&path, prefix, step, err);

    if (st == OK)
        st = params_write(path.p, p, err);
    buf_free(&path);
    return st;
}

/* Whether a file of that name holds kept weights of this prefix (without its folder), and of which step. */
static bool
is_kept(uint64_t *step, const char *name, const char *prefix)
{
    size_t n = strlen(prefix);
    char *end;

    if (strncmp(name, prefix, n) != 0 || strncmp(name + n, MARK, strlen(MARK)) != 0)
        return false;
    name += n + strlen(MARK);
    if (*name < '0' || *name > '9')
        return false;
    errno = 0;
    *step = strtoull(name, &end, 10);
    return errno == 0 && *end == 0;
}

/* Deletes kept weights but those of the two steps (NEVER: none). */
static enum status
forget(const char *prefix, uint64_t step, uint64_t other, struct err *err)
{
    const char *slash = strrchr(prefix, '/'), *base = slash == NULL ? prefix : slash + 1;
    struct buf path = {0};
    DIR *d = NULL;
    enum status st = buf_printf(&path, err, "%.*s.%c", (int)(base - prefix), prefix, 0);

    if (st == OK && (d = opendir(path.p)) == NULL)
        st = err_errno(err, IO, "%s", path.p);
    for (const struct dirent *e; st == OK && (e = readdir(d)) != NULL;) {
        uint64_t of;

        if (is_kept(&of, e->d_name, base) && of != step && of != other &&
            (st = path_of(&path, prefix, of, err)) == OK && unlink(path.p) != 0 && errno != ENOENT)
            st = err_errno(err, IO, "%s", path.p);
    }
    if (d != NULL)
        (void)closedir(d); /* only read from */
    buf_free(&path);
    return st;
}

static enum status
check_best(const char *prefix, uint64_t step, const struct model_config *c, struct err *err)
{
    struct weights *w = NULL;
    struct buf path = {0};
    enum status st = path_of(&path, prefix, step, err);

    if (st == OK && (st = weights_open_file(&w, path.p, err)) == NOINPUT)
        st = err_set(err, DATA, "%s: the weights that the interrupted run kept are not there", path.p);
    if (st == OK && weights_bytes(w) != params_count(c) * sizeof(float))
        st = err_set(err, DATA, "%s: not of this model's size", path.p);
    weights_close(w);
    buf_free(&path);
    return st;
}

static enum status
read_best(struct params **out, const char *prefix, uint64_t step, const struct model_config *c, struct err *err)
{
    struct buf path = {0};
    enum status st = path_of(&path, prefix, step, err);

    *out = NULL;
    if (st == OK)
        st = params_read(out, c, path.p, err);
    buf_free(&path);
    return st;
}

/* ---- a run ---- */

enum status
kept_init(struct kept *k, const char *save, const char *checkpoint, const struct model *m, struct err *err)
{
    *k = (struct kept){.save = save, .checkpoint = checkpoint, .m = m, .named = NEVER};
    return checkpoint != NULL ? buf_printf(&k->prefix, err, "%s%c", checkpoint, 0)
                              : buf_printf(&k->prefix, err, "%s/model%c", save, 0);
}

void
kept_fini(struct kept *k)
{
    buf_free(&k->prefix);
}

enum status
kept_room(const struct kept *k, bool all, struct err *err)
{
    uint64_t p = (uint64_t)params_count(&k->m->config) * sizeof(float), bytes = 3 * p;
    const char *to = k->prefix.p, *slash = strrchr(to, '/');
    struct buf dir = {0};
    enum status st;

    if (k->checkpoint != NULL && all)
        bytes += 6 * p; /* weights and two moments */
    if ((st = folder_room(k->save, bytes, err)) == OK &&
        (st = buf_printf(&dir, err, "%.*s.%c", slash == NULL ? 0 : (int)(slash + 1 - to), to, 0)) == OK)
        st = folder_room(dir.p, bytes, err);
    buf_free(&dir);
    return st;
}

/* What runs that were killed left half written. */
static enum status
sweep(const struct kept *k, struct err *err)
{
    struct buf path = {0};
    enum status st = buf_printf(&path, err, "%s/%c", k->save, 0);

    if (st == OK && (st = rec_sweep(path.p, true, err)) == OK && k->checkpoint != NULL &&
        (st = rec_sweep(k->checkpoint, false, err)) == OK) {
        path.n = 0;
        if ((st = buf_printf(&path, err, "%s" MARK "%c", k->prefix.p, 0)) == OK)
            st = rec_sweep(path.p, true, err);
    }
    buf_free(&path);
    return st;
}

enum status
kept_begin(struct kept *k, struct sft *t, bool resume, struct err *err)
{
    enum status st = team_rank() == 0 ? sweep(k, err) : OK;

    if (st != OK)
        return st;
    if (!resume || !folder_has(NULL, k->checkpoint))
        return team_rank() == 0 ? forget(k->prefix.p, NEVER, NEVER, err) : OK;
    if ((st = sft_resume(t, k->checkpoint, err)) == OK && sft_best_step(&k->named, t))
        st = check_best(k->prefix.p, k->named, &k->m->config, err);
    return st;
}

/* The weights as they are now, adapters merged: to be freed unless they are the model's own. */
static enum status
whole(struct params **out, const struct kept *k, struct err *err)
{
    *out = k->m->params;
    return k->m->params->rank == 0 ? OK : params_merge(out, k->m->params, &k->m->config, err);
}

enum status
kept_validate(const struct kept *k, struct sft *t, struct err *err)
{
    struct params *p = NULL;
    uint64_t best;
    enum status st;

    if (!sft_valid_due(t))
        return OK;
    if ((st = sft_validate(t, err)) != OK || !sft_best_step(&best, t) || best != sft_step_count(t) || team_rank() > 0)
        return st;
    if ((st = whole(&p, k, err)) == OK && (st = write_best(k->prefix.p, best, p, err)) == OK)
        st = forget(k->prefix.p, best, k->named, err);
    kept_release(k, p);
    return st;
}

enum status
kept_checkpoint(struct kept *k, const struct sft *t, struct err *err)
{
    enum status st = sft_checkpoint(k->checkpoint, t, err);

    return st == OK && sft_best_step(&k->named, t) ? forget(k->prefix.p, k->named, NEVER, err) : st;
}

enum status
kept_result(struct params **out, uint64_t *step, const struct kept *k, const struct sft *t, struct err *err)
{
    if (sft_best_step(step, t) && *step != sft_step_count(t))
        return read_best(out, k->prefix.p, *step, &k->m->config, err);
    *step = sft_step_count(t);
    return whole(out, k, err);
}

void
kept_release(const struct kept *k, struct params *p)
{
    if (p != k->m->params)
        params_free(p);
}

enum status
kept_end(const struct kept *k, struct err *err)
{
    return k->checkpoint == NULL ? forget(k->prefix.p, NEVER, NEVER, err) : OK;
}
