/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model folder in and out: config.json and model.safetensors, as Hugging Face transformers lays them out. One pass
 * over the file; memory is the parameters.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "model/model.h"
#include "model/safetensors.h"

/* A NaN or infinity in a weight would surface much later, as text without sense. */
static enum status
check_finite(const struct params *p, const char *path, struct err *err)
{
    for (size_t i = 0; i < p->n_tensors; i++) {
        const struct tensor *t = &p->tensor[i];

        for (size_t j = 0; j < t->count; j++)
            if (!isfinite(t->p[j]))
                return err_set(err, DATA, "%s: tensor %s: element %zu is not finite", path, t->name, j);
    }
    return OK;
}

enum status
params_read(struct params **out, const struct model_config *c, const char *path, struct err *err)
{
    struct safetensors *f = NULL;
    struct params *p = NULL;
    uint64_t bytes;
    enum status st;

    *out = NULL;
    if ((st = safetensors_open(&f, path, err)) != OK)
        goto out;
    /* A small file cannot ask for the memory of a large model. */
    bytes = safetensors_bytes(f);
    if (params_count(c) > bytes / 2) {
        st = err_set(err, DATA, "%s: %zu parameters of config.json do not fit into %ju bytes", path, params_count(c),
            (uintmax_t)bytes);
        goto out;
    }
    if ((st = params_new(&p, c, 0, err)) != OK)
        goto out;
    for (size_t i = 0; i < p->n_tensors; i++) {
        struct tensor *t = &p->tensor[i];

        if ((st = safetensors_read(t->p, f, t->name, t->rows, t->cols, err)) != OK)
            goto out;
    }
    if ((st = check_finite(p, path, err)) == OK) {
        *out = p;
        p = NULL;
    }
out:
    params_free(p);
    safetensors_close(f);
    return st;
}

enum status
params_write(const char *path, const struct params *p, struct err *err)
{
    return safetensors_write(path, p->tensor, p->n_tensors, err);
}

enum status
model_new(struct model **out, const struct model_config *c, struct err *err)
{
    struct model *m = calloc(1, sizeof *m);
    enum status st = m == NULL ? err_memory(err) : params_new(&m->params, c, 0, err);

    *out = NULL;
    if (st != OK) {
        model_free(m);
        return st;
    }
    m->config = *c;
    *out = m;
    return OK;
}

enum status
model_load(struct model **out, const char *dir, struct err *err)
{
    struct model *m = calloc(1, sizeof *m);
    struct buf path = {0};
    enum status st;

    *out = NULL;
    if (m == NULL)
        return err_memory(err);
    if ((st = config_load(&m->config, dir, err)) == OK &&
        (st = buf_printf(&path, err, "%s/model.safetensors%c", dir, 0)) == OK)
        st = params_read(&m->params, &m->config, path.p, err);
    buf_free(&path);
    if (st != OK) {
        model_free(m);
        return st;
    }
    *out = m;
    return OK;
}

void
model_free(struct model *m)
{
    if (m == NULL)
        return;
    params_free(m->params);
    free(m);
}

/* ---- folders out ---- */

enum status
folder_make(const char *dir, struct err *err)
{
    struct stat sb;

    if (mkdir(dir, 0777) == 0)
        return OK;
    if (errno != EEXIST)
        return err_errno(err, NOCREATE, "%s", dir);
    if (stat(dir, &sb) != 0 || !S_ISDIR(sb.st_mode))
        return err_set(err, NOCREATE, "%s: exists and is no folder", dir);
    return OK;
}

enum status
folder_write(const char *dir, const char *name, const void *bytes, size_t n, struct err *err)
{
    struct rec_writer *w = NULL;
    struct buf path = {0};
    enum status st;

    if ((st = buf_printf(&path, err, "%s/%s%c", dir, name, 0)) == OK && (st = rec_create(&w, path.p, err)) == OK) {
        if ((st = rec_raw(w, bytes, n, err)) == OK)
            st = rec_commit(w, err);
        else
            rec_discard(w);
    }
    buf_free(&path);
    return st;
}

bool
folder_has(const char *dir, const char *name)
{
    struct buf path = {0};
    struct stat sb;
    struct err err;
    bool there;

    if (dir == NULL)
        return stat(name, &sb) == 0;
    there = buf_printf(&path, &err, "%s/%s%c", dir, name, 0) == OK && stat(path.p, &sb) == 0;
    buf_free(&path);
    return there;
}

bool
folder_same(const char *a, const char *b)
{
    struct stat sa, sb;

    return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

enum status
folder_carry(const char *to, const char *from, const char *name, struct err *err)
{
    struct buf path = {0}, bytes = {0};
    struct stat sb;
    enum status st;

    if ((st = buf_printf(&path, err, "%s/%s%c", from, name, 0)) == OK && (stat(path.p, &sb) == 0 || errno != ENOENT) &&
        (st = file_read(&bytes, path.p, FOLDER_FILE_MAX, err)) == OK)
        st = folder_write(to, name, bytes.p, bytes.n, err);
    buf_free(&path);
    buf_free(&bytes);
    return st;
}

enum status
model_save(const char *dir, const struct model_config *c, const struct params *p, struct err *err)
{
    struct buf path = {0}, config = {0};
    enum status st;

    if ((st = folder_make(dir, err)) == OK && (st = config_json(&config, c, err)) == OK &&
        (st = buf_printf(&path, err, "%s/model.safetensors%c", dir, 0)) == OK &&
        (st = params_write(path.p, p, err)) == OK)
        st = folder_write(dir, "config.json", config.p, config.n, err);
    buf_free(&path);
    buf_free(&config);
    return st;
}
