/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage - how well the codes tell tracks apart: clusters in use, perplexity, tuples and the tracks that share one.
 * Memory: a count a cluster, and about 70 bytes a distinct tuple. Linear time.
 */
#include <math.h>
#include <stdlib.h>

#include "music/music.h"

struct usage {
    size_t k[MODALITIES];
    uint64_t *count[MODALITIES]; /* tracks of each code */
    uint64_t imputed[MODALITIES];
    struct ids *tuples; /* the bytes of struct codes */
    uint64_t *of_tuple; /* tracks of each */
    uint32_t cap;
    uint64_t tracks;
};

enum status
usage_new(struct usage **out, const struct codebooks *books, struct err *err)
{
    struct usage *u = calloc(1, sizeof(*u));
    enum status st;

    *out = NULL;
    if (u == NULL)
        return err_memory(err);
    st = ids_new(&u->tuples, err);
    for (int m = 0; m < MODALITIES && st == OK; m++) {
        u->k[m] = books->k[m];
        if ((u->count[m] = calloc(u->k[m] + 1, sizeof(*u->count[m]))) == NULL)
            st = err_memory(err);
    }
    if (st == OK)
        *out = u;
    else
        usage_free(u);
    return st;
}

void
usage_free(struct usage *u)
{
    if (u == NULL)
        return;
    for (int m = 0; m < MODALITIES; m++)
        free(u->count[m]);
    ids_free(u->tuples);
    free(u->of_tuple);
    free(u);
}

enum status
usage_add(struct usage *u, const struct codes *codes, unsigned imputed, struct err *err)
{
    struct str tuple = {(const char *)codes, sizeof(*codes)};
    uint32_t before = ids_count(u->tuples), i;

    if (ids_add(&i, u->tuples, tuple, err) != OK)
        return err->status;
    if (i == before) {
        if (i >= u->cap) {
            uint32_t cap = u->cap == 0 ? 1024 : u->cap * 2;
            uint64_t *p = realloc(u->of_tuple, cap * sizeof(*p));
            if (p == NULL)
                return err_memory(err);
            u->of_tuple = p;
            u->cap = cap;
        }
        u->of_tuple[i] = 0;
    }
    u->of_tuple[i]++;
    u->tracks++;
    for (int m = 0; m < MODALITIES; m++) {
        if (codes->code[m] != CODE_NONE)
            u->count[m][codes->code[m]]++;
        u->imputed[m] += imputed >> m & 1U;
    }
    return OK;
}

struct usage_of
usage_of(const struct usage *u, enum modality m)
{
    struct usage_of of = {.codes = u->k[m], .imputed = u->imputed[m]};
    double entropy = 0;

    for (size_t c = 0; c < u->k[m]; c++) {
        of.tracks += u->count[m][c];
        of.used += u->count[m][c] > 0;
        of.largest = u->count[m][c] > of.largest ? u->count[m][c] : of.largest;
    }
    for (size_t c = 0; c < u->k[m]; c++)
        if (u->count[m][c] > 0) {
            double p = (double)u->count[m][c] / (double)of.tracks;
            entropy -= p * log(p);
        }
    of.perplexity = of.tracks > 0 ? exp(entropy) : 0;
    return of;
}

static void
write_modality(struct rec_writer *w, const struct usage *u, enum modality m)
{
    struct usage_of of = usage_of(u, m);

    put_map(w, modality_name[m]);
    put_u64(w, "tracks", of.tracks);
    put_u64(w, "imputed", of.imputed);
    put_u64(w, "codes", of.codes);
    put_u64(w, "used", of.used);
    put_u64(w, "largest", of.largest);
    put_f64(w, "perplexity", of.perplexity);
    put_close(w);
}

enum status
usage_write(struct rec_writer *w, const struct usage *u, struct err *err)
{
    uint64_t largest = 0, alone = 0;
    uint32_t n = ids_count(u->tuples);

    for (uint32_t i = 0; i < n; i++) {
        alone += u->of_tuple[i] == 1;
        largest = u->of_tuple[i] > largest ? u->of_tuple[i] : largest;
    }
    rec_begin(w);
    put_u64(w, "tracks", u->tracks);
    put_u64(w, "tuples", n);
    put_u64(w, "alone", alone);
    put_u64(w, "largest_tuple", largest);
    put_f64(w, "tracks_per_tuple", n > 0 ? (double)u->tracks / n : 0);
    put_map(w, "modalities");
    for (int m = 0; m < MODALITIES; m++)
        if (u->k[m] > 0)
            write_modality(w, u, (enum modality)m);
    put_close(w);
    return rec_end(w, err);
}
