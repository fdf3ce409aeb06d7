/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What music tokens' embeddings shall be like: the cosines between the centroids that they stand for, a modality. Codes
 * that no track has are left out.
 */
#include <stdlib.h>
#include <string.h>

#include "model/train.h"

/* Cosines between centroids: they are scaled to length 1, then a matrix times itself. */
static enum status
cosines(struct selfsim_target *t, const struct codebooks *books, size_t m, const size_t *live, struct err *err)
{
    size_t K = t->K, dim = books->dim[m];
    float *u = calloc(K * dim + 1, sizeof *u);

    if (u == NULL || (t->cosine = calloc(K * K, sizeof *t->cosine)) == NULL) {
        free(u);
        return err_memory(err);
    }
    for (size_t i = 0; i < K; i++) {
        memcpy(u + i * dim, books->v[m] + live[i] * dim, dim * sizeof *u);
        (void)vec_unit(u + i * dim, dim); /* a centroid at the origin is similar to nothing */
    }
    mat_mul(t->cosine, K, u, dim, false, u, dim, true, K, K, dim, 1, 0);
    free(u);
    return OK;
}

/* The live codes of modality m and their tokens. */
static enum status
target_make(
    struct selfsim_target *t, const struct codebooks *books, size_t m, const char *dir, size_t V, struct err *err)
{
    size_t k = books->k[m], *live = calloc(k, sizeof *live);
    struct str *name = calloc(k, sizeof *name);
    char(*text)[32] = calloc(k, sizeof *text);
    enum status st = OK;

    if (live == NULL || name == NULL || text == NULL || (t->id = calloc(k, sizeof *t->id)) == NULL)
        st = err_memory(err);
    t->modality = (enum modality)m;
    for (size_t i = 0; st == OK && i < k; i++)
        if (books->count[m][i] > 0) {
            live[t->K] = i;
            name[t->K] = (struct str){text[t->K], token_name(text[t->K], (enum modality)m, (int32_t)i)};
            t->K++;
        }
    if (st == OK)
        st = added_tokens_find(t->id, dir, name, t->K, err);
    for (size_t i = 0; st == OK && i < t->K; i++)
        if ((size_t)t->id[i] >= V)
            st = err_set(err, DATA, "%s/tokenizer.json: %s is not in the model's vocabulary of %zu", dir, text[i], V);
    if (st == OK && t->K > 0)
        st = cosines(t, books, m, live, err);
    free(live);
    free(name);
    free(text);
    return st;
}

enum status
selfsim_targets(struct selfsim_target target[MODALITIES], size_t *n, const struct opt_list *files, const char *dir,
    size_t V, struct err *err)
{
    struct codebooks *books = NULL;
    enum status st = OK;

    *n = 0;
    if (files->n > 0)
        st = codebooks_load(&books, files->item, files->n, err);
    for (size_t m = 0; st == OK && books != NULL && m < MODALITIES; m++)
        if (books->k[m] > 0)
            st = target_make(&target[(*n)++], books, m, dir, V, err);
    codebooks_free(books);
    return st;
}

void
selfsim_targets_fini(struct selfsim_target target[MODALITIES])
{
    for (size_t i = 0; i < MODALITIES; i++) {
        free(target[i].id);
        free(target[i].cosine);
    }
}
