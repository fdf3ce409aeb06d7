/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model folder in: config.json and the tensors beside it, as Hugging Face transformers lays them out. One pass over
 * the files by all threads; memory is the parameters.
 */
#include <stdlib.h>

#include "model/model.h"

/* All parameters of that shape, of w. */
static enum status
params_fill(
    struct params **out, const struct model_config *c, const struct weights *w, const char *path, struct err *err)
{
    uint64_t bytes = weights_bytes(w);
    struct params *p = NULL;
    enum status st;

    /* A small file cannot ask for the memory of a large model. */
    if (params_count(c) > bytes / 2)
        return err_set(err, DATA, "%s: %zu parameters of config.json do not fit into %ju bytes", path, params_count(c),
            (uintmax_t)bytes);
    if ((st = params_new(&p, c, 0, err)) != OK)
        return st;
    for (size_t i = 0; st == OK && i < p->n_tensors; i++) {
        struct tensor *t = &p->tensor[i];

        st = weights_read(t->p, w, t->name, t->rows, t->cols, err);
    }
    if (st != OK) {
        params_free(p);
        return st;
    }
    *out = p;
    return OK;
}

enum status
params_read(struct params **out, const struct model_config *c, const char *path, struct err *err)
{
    struct weights *w = NULL;
    enum status st = weights_open_file(&w, path, err);

    *out = NULL;
    if (st == OK)
        st = params_fill(out, c, w, path, err);
    weights_close(w);
    return st;
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
    struct weights *w = NULL;
    enum status st;

    *out = NULL;
    if (m == NULL)
        return err_memory(err);
    if ((st = config_load(&m->config, dir, err)) == OK && (st = weights_open(&w, dir, err)) == OK)
        st = params_fill(&m->params, &m->config, w, dir, err);
    weights_close(w);
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
