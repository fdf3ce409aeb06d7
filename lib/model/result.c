/* SPDX-License-Identifier: Apache-2.0 */
/* result - the folder that a run leaves: made before the work, written behind it. */
#include "model/train.h"

/* The files of a model folder that are neither its weights nor its config.json: those of from, and no other. */
static enum status
carry(const char *to, const char *from, struct err *err)
{
    enum status st = OK;

    for (size_t i = 0; st == OK && folder_files[i] != NULL; i++)
        st = folder_has(from, folder_files[i]) ? folder_carry(to, from, folder_files[i], err)
                                               : folder_remove(to, folder_files[i], err);
    return st;
}

enum status
result_begin(const struct kept *k, const char *from, bool all, struct err *err)
{
    enum status st = folder_make(k->save, err);

    if (st != OK)
        return st;
    if (folder_same(k->save, from))
        return err_set(err, USAGE, "--save: %s is the model to start from", k->save);
    return kept_room(k, all, err);
}

enum status
result_end(uint64_t *step, const struct kept *k, const struct sft *t, const struct dataset *d,
    const struct save_options *o, struct err *err)
{
    struct buf ids = {0};
    struct params *p = NULL;
    enum status st;

    if ((st = kept_result(&p, step, k, t, err)) == OK &&
        (st = model_save_as(k->save, &k->m->config, p, o, err)) == OK && (st = dataset_trained(&ids, d, err)) == OK &&
        (st = folder_write(k->save, "trained.ids", ids.p, ids.n, err)) == OK &&
        (st = carry(k->save, o->like, err)) == OK)
        st = kept_end(k, err);
    kept_release(k, p);
    buf_free(&ids);
    return st;
}
