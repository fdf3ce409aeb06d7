/* SPDX-License-Identifier: Apache-2.0 */
/* A model folder out: weights in one type, and a config.json that has all keys of the one that it follows. */
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "model/safetensors.h"

#define CONFIG_MAX ((size_t)1 << 20)

/* The tensors of p, to be written as type t; the caller frees them. NULL without memory. */
static struct saved *
tensors_of(const struct params *p, enum dtype t)
{
    struct saved *out = calloc(p->n_tensors + 1, sizeof *out);

    for (size_t i = 0; out != NULL && i < p->n_tensors; i++) {
        const struct tensor *from = &p->tensor[i];

        out[i] = (struct saved){.name = from->name, .dtype = t, .rows = from->rows, .cols = from->cols, .n = 1};
        out[i].piece[0] = (struct piece){from->p, DTYPE_F32, from->count};
    }
    return out;
}

enum status
params_write(const char *path, const struct params *p, struct err *err)
{
    struct saved *t = tensors_of(p, DTYPE_F32);
    enum status st = t == NULL ? err_memory(err) : safetensors_write(path, t, p->n_tensors, err);

    free(t);
    return st;
}

size_t
params_shards(const struct params *p, enum dtype t, uint64_t shard)
{
    struct saved *list = tensors_of(p, t);
    size_t n = list == NULL ? 0 : weights_shards(list, p->n_tensors, shard);

    free(list);
    return n;
}

/* DIR/config.json for c and weights of type t, with all that the one of like has where like is not NULL. */
enum status
config_save(const char *dir, const struct model_config *c, const char *like, enum dtype t, struct err *err)
{
    struct buf text = {0}, base = {0}, path = {0};
    enum status st = OK;

    if (like == NULL)
        st = config_json(&base, c, err);
    else if ((st = buf_printf(&path, err, "%s/config.json%c", like, 0)) == OK)
        st = file_read(&base, path.p, CONFIG_MAX, err);
    if (st == OK && (st = config_json_like(&text, (struct str){base.p, base.n}, c, t, err)) == OK)
        st = folder_write(dir, "config.json", text.p, text.n, err);
    buf_free(&text);
    buf_free(&base);
    buf_free(&path);
    return st;
}

enum status
model_save_as(const char *dir, const struct model_config *c, const struct params *p, const struct save_options *o,
    struct err *err)
{
    struct saved *t = tensors_of(p, o->dtype);
    enum status st = t == NULL ? err_memory(err) : folder_make(dir, err);

    if (st == OK && (st = weights_write(dir, t, p->n_tensors, o->shard, err)) == OK)
        st = config_save(dir, c, o->like, o->dtype, err);
    free(t);
    return st;
}

enum status
model_save(const char *dir, const struct model_config *c, const struct params *p, struct err *err)
{
    return model_save_as(dir, c, p, &(struct save_options){DTYPE_F32, SHARD_BYTES, NULL}, err);
}
