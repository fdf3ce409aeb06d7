/* SPDX-License-Identifier: Apache-2.0 */
/* What is trained where it is not all: the rows of the music tokens, and adapters beside a model that stays. */
#include <stdlib.h>
#include <string.h>

#include "model/train.h"

#define MAX_RANK 1024

enum status
trained_parse(struct sft_options *o, const char *what, struct err *err)
{
    char *end = NULL;

    o->rank = 0;
    if (strcmp(what, "all") == 0) {
        o->train = TRAIN_ALL;
        return OK;
    }
    if (strcmp(what, "new-rows") == 0) {
        o->train = TRAIN_NEW_ROWS;
        return OK;
    }
    if (strncmp(what, "lora:", 5) == 0 && what[5] >= '1' && what[5] <= '9') {
        o->train = TRAIN_LORA;
        o->rank = strtoull(what + 5, &end, 10);
        if (*end == 0 && o->rank <= MAX_RANK)
            return OK;
    }
    return err_set(err, USAGE, "--train: expected all, new-rows or lora:R with R from 1 to %d, got %s", MAX_RANK, what);
}

enum status
trained_adapt(struct model *m, struct sft_options *o, const char *dir, struct err *err)
{
    struct params *adapted;
    enum status st;

    if (o->train == TRAIN_ALL)
        return OK;
    if ((st = added_tokens_music(&o->row, &o->rows, dir, m->config.V, err)) != OK || o->train == TRAIN_NEW_ROWS)
        return st;
    if ((st = params_adapt(&adapted, m->params, &m->config, o->rank, o->seed, err)) == OK) {
        params_free(m->params);
        m->params = adapted;
    }
    return st;
}
