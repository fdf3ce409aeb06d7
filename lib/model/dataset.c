/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Examples in memory, and the order in which training draws them.
 *
 * Examples are sorted by id once all are there, and an epoch's order is that of hash64(seed and epoch, id): neither the
 * order of files nor how many parts they came in can be seen in the model. n log n time an epoch.
 */
#include "model/dataset.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define IGNORED (-100)

enum status
dataset_new(struct dataset **out, const struct model_config *c, struct err *err)
{
    struct dataset *d = calloc(1, sizeof *d);
    enum status st = d == NULL ? err_memory(err) : ids_new(&d->names, err);

    *out = NULL;
    if (st != OK) {
        dataset_free(d);
        return st;
    }
    d->config = *c;
    *out = d;
    return OK;
}

void
dataset_free(struct dataset *d)
{
    if (d == NULL)
        return;
    ids_free(d->names);
    free(d->example);
    free(d->token);
    free(d->trained);
    free(d);
}

/* ---- one record ---- */

static enum status
reserve(struct dataset *d, size_t tokens, struct err *err)
{
    size_t cap = d->n_tokens + tokens;
    void *p;

    if (cap > d->cap_tokens) {
        cap += cap / 2 + 1024;
        if ((p = realloc(d->token, cap * sizeof *d->token)) == NULL)
            return err_memory(err);
        d->token = p;
        if ((p = realloc(d->trained, cap * sizeof *d->trained)) == NULL)
            return err_memory(err);
        d->trained = p;
        d->cap_tokens = cap;
    }
    if (d->n == d->cap) {
        cap = d->cap + d->cap / 2 + 256;
        if ((p = realloc(d->example, cap * sizeof *d->example)) == NULL)
            return err_memory(err);
        d->example = p;
        d->cap = cap;
    }
    return OK;
}

static enum status
get_split(bool *valid, const msgpack_object *map, struct err *err)
{
    enum split split;

    if (map_split(&split, map, err) != OK)
        return DATA;
    *valid = split == SPLIT_VALID;
    return split == SPLIT_TEST ? err_set(err, DATA, "split: a test example is not for training") : OK;
}

/* An example_id without the "#VERSION" that dialog-render puts behind the id of what it rendered. */
static struct str
without_version(struct str id)
{
    size_t n = id.n;

    while (n > 0 && id.p[n - 1] >= '0' && id.p[n - 1] <= '9')
        n--;
    if (n < 2 || n == id.n || id.p[n - 1] != '#')
        return id;
    return (struct str){id.p, n - 1};
}

static enum status
get_names(struct example *e, struct dataset *d, const msgpack_object *map, struct err *err)
{
    struct str id, source, task;
    const char *key;
    enum status st;

    if (map_id(&id, map, "example_id", err) != OK || map_str(&task, map, "task", err) != OK)
        return DATA;
    if (!str_eq(task, STR("dialog")) && !str_eq(task, STR("playlist")))
        return err_set(err, DATA, "task: expected dialog or playlist, got %.*s", (int)task.n, task.p);
    e->task = str_eq(task, STR("dialog")) ? TASK_DIALOG : TASK_PLAYLIST;
    key = e->task == TASK_DIALOG ? "dialog_id" : "playlist_id";
    source = without_version(id);
    if (map_has(map, key) && map_id(&source, map, key, err) != OK)
        return DATA;
    if (memchr(source.p, '\n', source.n) != NULL)
        return err_set(err, DATA, "%s: contains a line break", key);
    if ((st = ids_add(&e->id, d->names, id, err)) != OK)
        return st;
    return ids_add(&e->source, d->names, source, err);
}

/* Token i and its label behind the tokens there are. */
static enum status
get_token(struct dataset *d, size_t i, const msgpack_object *id, const msgpack_object *label, struct err *err)
{
    uint64_t token;
    size_t at = d->n_tokens + i;

    if (obj_u64(&token, id, "ids", d->config.V - 1, err) != OK)
        return DATA;
    d->token[at] = (int32_t)token;
    d->trained[at] = label->type == MSGPACK_OBJECT_POSITIVE_INTEGER && label->via.u64 == token;
    if (d->trained[at] || (label->type == MSGPACK_OBJECT_NEGATIVE_INTEGER && label->via.i64 == IGNORED))
        return OK;
    return err_set(err, DATA, "labels: element %zu: expected %d or the id %ju", i, IGNORED, (uintmax_t)token);
}

enum status
dataset_add(struct dataset *d, const msgpack_object *map, struct err *err)
{
    const msgpack_object *ids, *labels;
    struct example e = {.at = d->n_tokens};
    enum status st;
    size_t n;

    if (get_split(&e.valid, map, err) != OK || map_array(&ids, map, "ids", err) != OK ||
        map_array(&labels, map, "labels", err) != OK)
        return DATA;
    n = ids->via.array.size;
    if (labels->via.array.size != n)
        return err_set(err, DATA, "labels: expected %zu as ids, got %u", n, labels->via.array.size);
    if (n > d->config.max_positions)
        return err_set(err, DATA, "ids: %zu are more than the model's %zu positions", n, d->config.max_positions);
    if ((st = reserve(d, n, err)) != OK)
        return st;
    for (size_t i = 0; i < n; i++)
        if (get_token(d, i, &ids->via.array.ptr[i], &labels->via.array.ptr[i], err) != OK)
            return DATA;
    /* Nothing comes before the first; and what comes after the last trained token changes nothing. */
    for (size_t i = 1; i < n; i++)
        if (d->trained[e.at + i])
            e.n = i + 1;
    if ((st = get_names(&e, d, map, err)) != OK)
        return st;
    d->n_tokens += e.n;
    d->longest = e.n > d->longest ? e.n : d->longest;
    d->example[d->n++] = e;
    return OK;
}

/* ---- all records ---- */

static int
by_name(const void *a, const void *b, void *names)
{
    return str_cmp(ids_str(names, ((const struct example *)a)->id), ids_str(names, ((const struct example *)b)->id));
}

enum status
dataset_close(struct dataset *d, struct err *err)
{
    size_t train = 0;

    if (d->n > UINT32_MAX)
        return err_set(err, DATA, "%zu examples are too many", d->n);
    if (d->n > 0)
        qsort_r(d->example, d->n, sizeof *d->example, by_name, d->names);
    for (size_t i = 0; i < d->n; i++) {
        struct str name = ids_str(d->names, d->example[i].id);

        if (i > 0 && d->example[i - 1].id == d->example[i].id)
            return err_set(err, DATA, "example_id %.*s comes twice", (int)name.n, name.p);
        train += !d->example[i].valid && d->example[i].n > 0;
    }
    return train == 0 ? err_set(err, DATA, "no example to train on") : OK;
}

static int
by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

enum status
dataset_trained(struct buf *out, const struct dataset *d, struct err *err)
{
    struct str *name = calloc(d->n + 1, sizeof *name);
    enum status st = OK;
    size_t n = 0;

    if (name == NULL)
        return err_memory(err);
    for (size_t i = 0; i < d->n; i++)
        if (!d->example[i].valid && d->example[i].n > 0)
            name[n++] = ids_str(d->names, d->example[i].source);
    qsort(name, n, sizeof *name, by_text);
    for (size_t i = 0; st == OK && i < n; i++)
        if (i == 0 || !str_eq(name[i - 1], name[i]))
            st = (st = buf_adds(out, name[i], err)) == OK ? buf_add(out, "\n", 1, err) : st;
    free(name);
    return st;
}

uint64_t
dataset_hash(const struct dataset *d)
{
    uint64_t h = 0;

    for (size_t i = 0; i < d->n; i++) {
        const struct example *e = &d->example[i];
        struct str id = ids_str(d->names, e->id), source = ids_str(d->names, e->source);
        uint64_t kind[2] = {e->task, e->valid};

        h = hash64(h, id.p, id.n);
        h = hash64(h, source.p, source.n);
        h = hash64(h, kind, sizeof kind);
        h = hash64(h, d->token + e->at, e->n * sizeof *d->token);
        h = hash64(h, d->trained + e->at, e->n * sizeof *d->trained);
    }
    return h;
}

/* ---- the order ---- */

static int
by_key(const void *a, const void *b, void *draw)
{
    const struct draw *w = draw;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;

    if (w->key[i] != w->key[j])
        return w->key[i] < w->key[j] ? -1 : 1;
    return i < j ? -1 : i > j;
}

static void
shuffle(struct draw *w, const struct dataset *d)
{
    struct rng r = rng_seed(w->seed, w->epoch * TASKS + (uint64_t)w->task);
    uint64_t salt = rng_u64(&r);

    for (size_t i = 0; i < w->n; i++) {
        struct str id = ids_str(d->names, d->example[w->order[i]].id);

        w->key[w->order[i]] = hash64(salt, id.p, id.n);
    }
    if (w->n > 0)
        qsort_r(w->order, w->n, sizeof *w->order, by_key, w);
}

enum status
draw_init(struct draw *w, const struct dataset *d, enum sft_task task, uint64_t seed, struct err *err)
{
    *w = (struct draw){.seed = seed, .task = task};
    if ((w->order = calloc(d->n + 1, sizeof *w->order)) == NULL || (w->key = calloc(d->n + 1, sizeof *w->key)) == NULL)
        return err_memory(err);
    for (size_t i = 0; i < d->n; i++)
        if (d->example[i].task == task && !d->example[i].valid && d->example[i].n > 0)
            w->order[w->n++] = (uint32_t)i;
    shuffle(w, d);
    return OK;
}

void
draw_fini(struct draw *w)
{
    free(w->order);
    free(w->key);
    *w = (struct draw){0};
}

enum status
draw_seek(struct draw *w, const struct dataset *d, uint64_t epoch, size_t at, struct err *err)
{
    if (at > w->n || (at == w->n && at > 0))
        return err_set(err, DATA, "position %zu of %zu examples", at, w->n);
    w->epoch = epoch;
    w->at = at;
    shuffle(w, d);
    return OK;
}

const struct example *
draw_peek(const struct draw *w, const struct dataset *d)
{
    assert(w->n > 0);
    return &d->example[w->order[w->at]];
}

void
draw_take(struct draw *w, const struct dataset *d)
{
    if (++w->at < w->n)
        return;
    w->at = 0;
    w->epoch++;
    shuffle(w, d);
}
