/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at a model without running it: checksums of its tensors, and how like their codebook music tokens are.
 *
 * A tensor's checksum is SHA-256 of its bytes as they lie in the file; a model's is that of one line a tensor, in the
 * order of their names, so that it does not depend on how files are cut. One pass over the data.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/train.h"
#include "model/sha256.h"

_Static_assert(CHECKSUM == SHA256_HEX, "a checksum is the digest's text");

static enum status
add_line(struct buf *b, const struct weight *t, const char *hex, struct err *err)
{
    enum status st = buf_printf(b, err, "%s %s [", t->name, t->type);

    for (size_t i = 0; st == OK && i < t->dims; i++)
        st = buf_printf(b, err, "%s%zu", i > 0 ? "," : "", t->dim[i]);
    return st == OK ? buf_printf(b, err, "] %s\n", hex) : st;
}

enum status
weights_checksums(char (*each)[CHECKSUM], char all[CHECKSUM], const struct weights *w, struct err *err)
{
    struct buf lines = {0};
    struct sha256 s;
    enum status st = OK;
    size_t n;
    const struct weight *t = weights_all(&n, w);

#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads())
    for (size_t i = 0; i < n; i++) {
        struct sha256 one;

        sha256_start(&one);
        sha256_add(&one, t[i].p, t[i].bytes);
        sha256_hex(each[i], &one);
    }
    for (size_t i = 0; st == OK && i < n; i++)
        st = add_line(&lines, &t[i], each[i], err);
    sha256_start(&s);
    sha256_add(&s, lines.p, lines.n);
    sha256_hex(all, &s);
    buf_free(&lines);
    return st;
}

/* Rows of the embedding, scaled to length 1. */
static enum status
unit_rows(float *u, const struct weight *embed, const int32_t *id, size_t K, struct err *err)
{
    size_t D = embed->dim[1], size = dtype_size(embed->dtype);

    for (size_t i = 0; i < K; i++) {
        if (dtype_to_f32(u + i * D, embed->p + (size_t)id[i] * D * size, D, embed->dtype) < D)
            return err_set(err, DATA, "%s: row %d: a number that is not finite", embed->name, (int)id[i]);
        (void)vec_unit(u + i * D, D); /* a row of zeros is similar to nothing */
    }
    return OK;
}

/* Sums over pairs i < j of the cosines s and c. */
struct sums {
    double n, difference, s, c, ss, cc, sc;
};

static struct sums
compare(const float *s, const float *c, size_t K)
{
    struct sums sum = {0};

    for (size_t i = 0; i < K; i++)
        for (size_t j = i + 1; j < K; j++) {
            double a = (double)s[i * K + j], b = (double)c[i * K + j];

            sum.n++;
            sum.difference += a > b ? a - b : b - a;
            sum.s += a;
            sum.c += b;
            sum.ss += a * a;
            sum.cc += b * b;
            sum.sc += a * b;
        }
    return sum;
}

enum status
selfsim_measure(double *difference, double *correlation, const struct selfsim_target *t, const struct weights *w,
    const struct model_config *c, struct err *err)
{
    size_t K = t->K, D = c->D;
    float *u = calloc(K + 1, D * sizeof *u), *s = calloc(K + 1, (K + 1) * sizeof *s);
    const struct weight *embed;
    struct sums x;
    double vs, vc;
    enum status st = u == NULL || s == NULL ? err_memory(err) : OK;

    *difference = *correlation = 0;
    if (st == OK && (st = weights_get(&embed, w, "model.embed_tokens.weight", c->V, D, err)) == OK &&
        (st = unit_rows(u, embed, t->id, K, err)) == OK && K >= 2) {
        mat_mul(s, K, u, D, false, u, D, true, K, K, D, 1, 0);
        x = compare(s, t->cosine, K);
        vs = x.ss - x.s * x.s / x.n;
        vc = x.cc - x.c * x.c / x.n;
        *difference = x.difference / x.n;
        *correlation = vs > 0 && vc > 0 ? (x.sc - x.s * x.c / x.n) / sqrt(vs * vc) : 0;
    }
    free(u);
    free(s);
    return st;
}
