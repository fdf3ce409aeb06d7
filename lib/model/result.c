/* SPDX-License-Identifier: Apache-2.0 */
/* result - the folder that a run leaves: what is known of it before the work, and the model behind it. */
#include "model/train.h"

/* The files of a model folder that are neither its weights nor its config.json. */
static enum status
carry(const char *to, const char *from, struct err *err)
{
    enum status st = OK;

    for (size_t i = 0; st == OK && folder_files[i] != NULL; i++)
        st = folder_carry(to, from, folder_files[i], err);
    return st;
}

enum status
result_begin(const struct kept *k, const char *from, const struct dataset *d, bool all, struct err *err)
{
    struct buf ids = {0};
    enum status st;

    if ((st = folder_make(k->save, err)) != OK)
        return st;
    if (folder_same(k->save, from))
        return err_set(err, USAGE, "--save: %s is the model to start from", k->save);
    if ((st = dataset_trained(&ids, d, err)) == OK &&
        (st = folder_write(k->save, "trained.ids", ids.p, ids.n, err)) == OK && (st = carry(k->save, from, err)) == OK)
        st = kept_room(k, all, err);
    buf_free(&ids);
    return st;
}

enum status
result_end(uint64_t *step, const struct kept *k, const struct sft *t, const struct save_options *o, struct err *err)
{
    struct params *p = NULL;
    enum status st;

    if ((st = kept_result(&p, step, k, t, err)) == OK && (st = model_save_as(k->save, &k->m->config, p, o, err)) == OK)
        st = kept_end(k, err);
    kept_release(k, p);
    return st;
}
