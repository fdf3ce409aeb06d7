/* SPDX-License-Identifier: Apache-2.0 */
/*
 * textembed - vectors of tracks from their words: latent semantic analysis (Deerwester et al. 1990) of hashed n-grams.
 *
 * A track is a sparse row over the buckets of ngrams.c. A feature weighs (1 + ln count) times ln((1 + N) / (1 + df)) +
 * 1; each field (the artist, the title) is scaled to length 1 and then to its weight, so that a long title does not
 * drown the artist; then the row to length 1. Half of the numbers of a vector are the row's projection on the leading
 * right singular vectors of the matrix of all rows, which bring texts together that share company more than words; the
 * other half is a projection on random signs (Johnson and Lindenstrauss; Achlioptas 2003), which keeps what is rare,
 * above all the name of an artist with few tracks, that the singular vectors drop. Both halves are scaled to length 1
 * before they are joined. Lyrics are long and told by the company of their words: there the random part is an eighth,
 * and a quarter as long, enough to tell apart what has no word in common with the rest.
 *
 * The singular vectors come from randomised subspace iteration (Halko, Martinsson, Tropp 2011, algorithms 4.4 and 5.1),
 * bases orthonormalised through the eigenvectors of their Gram matrix. Time: 2 (ITERATIONS + 1) products of the sparse
 * matrix with dim / 2 + EXTRA columns. Memory: 12 bytes a feature of a track, 4 (dim + EXTRA) bytes a track and a
 * feature of the whole.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "music/ngrams.h"
#include "num/num.h"

#define EXTRA 8 /* columns beyond what is wanted: oversampling */
#define ITERATIONS 2
#define STRIPE 16 /* columns of a product that a thread takes */
#define FIELDS 4

enum { ARTIST, TITLE, ALBUM, YEAR };
enum { TAGS, CAPTION };

static const float metadata_weight[FIELDS] = {3, 1, 1, 0.5F};
static const float plain_weight[FIELDS] = {1, 1, 1, 1};

struct textembed {
    struct textembed_options o;
    struct ids *ids;
    struct bag bag;
    struct feature *feature; /* of all tracks; bucket becomes the column */
    size_t n_features, cap_features;
    size_t *row; /* (tracks + 1) where a track's features begin */
    size_t cap_rows;
    uint32_t n;
    uint32_t *column; /* (NGRAM_BUCKETS) + 1; 0 for none */
    uint32_t columns;
    uint32_t *df;  /* (columns) */
    float *vector; /* (n, dim) */
};

enum status
textembed_new(struct textembed **out, const struct textembed_options *o, struct err *err)
{
    struct textembed *te = calloc(1, sizeof(*te));

    *out = NULL;
    if (te == NULL)
        return err_memory(err);
    te->o = *o;
    te->column = calloc(NGRAM_BUCKETS, sizeof(*te->column));
    te->df = calloc(NGRAM_BUCKETS, sizeof(*te->df));
    te->row = calloc(2, sizeof(*te->row));
    te->cap_rows = 1;
    if (te->column == NULL || te->df == NULL || te->row == NULL || ids_new(&te->ids, err) != OK) {
        textembed_free(te);
        return err_memory(err);
    }
    *out = te;
    return OK;
}

void
textembed_free(struct textembed *te)
{
    if (te == NULL)
        return;
    ids_free(te->ids);
    bag_free(&te->bag);
    free(te->feature);
    free(te->row);
    free(te->column);
    free(te->df);
    free(te->vector);
    free(te);
}

/* ---- the text of a track ---- */

/* A string, or an array of strings. */
static enum status
add_texts(struct bag *b, uint32_t field, const msgpack_object *track, const char *key, unsigned kinds, struct err *err)
{
    const msgpack_object *o = map_find(track, key);
    struct str s;

    if (o == NULL)
        return OK;
    if (o->type != MSGPACK_OBJECT_ARRAY)
        return obj_str(&s, o, key, err) == OK ? bag_add(b, field, s, kinds, err) : err->status;
    for (uint32_t i = 0; i < o->via.array.size; i++)
        if (obj_str(&s, &o->via.array.ptr[i], key, err) != OK || bag_add(b, field, s, kinds, err) != OK)
            return err->status;
    return OK;
}

/* The year and its decade. */
static enum status
add_year(struct bag *b, const msgpack_object *track, struct err *err)
{
    char text[32];
    int64_t year;

    if (!map_has(track, "year"))
        return OK;
    if (map_i64(&year, track, "year", err) != OK)
        return err->status;
    for (int64_t y = year, i = 0; i < 2; i++, y /= 10) {
        int n = snprintf(text, sizeof(text), "year:%lld", (long long)y);
        if (bag_token(b, YEAR, (struct str){text, (size_t)n}, err) != OK)
            return SYSTEM;
    }
    return OK;
}

static enum status
add_text(struct bag *b, enum modality m, const msgpack_object *track, struct err *err)
{
    const unsigned name = NGRAM_WHOLE | NGRAM_WORDS | NGRAM_CHARS, prose = NGRAM_WORDS | NGRAM_PAIRS;

    b->n = 0;
    if (m == LYRICS)
        return add_texts(b, 0, track, "lyrics", NGRAM_WORDS, err);
    if (m == SEMANTIC)
        return add_texts(b, TAGS, track, "tags", name, err) != OK ||
                       add_texts(b, CAPTION, track, "caption", prose, err) != OK
                   ? err->status
                   : OK;
    if (add_texts(b, ARTIST, track, "artist", name, err) != OK ||
        add_texts(b, TITLE, track, "title", NGRAM_WORDS | NGRAM_CHARS, err) != OK ||
        add_texts(b, ALBUM, track, "album", NGRAM_WORDS | NGRAM_CHARS, err) != OK)
        return err->status;
    return add_year(b, track, err);
}

static enum status
reserve(struct textembed *te, size_t more, struct err *err)
{
    void *p;

    if (te->n_features + more > te->cap_features) {
        size_t cap = (te->n_features + more) * 3 / 2 + 4096;
        if ((p = realloc(te->feature, cap * sizeof(*te->feature))) == NULL)
            return err_memory(err);
        te->feature = p;
        te->cap_features = cap;
    }
    if (te->n + 1 > te->cap_rows) {
        size_t cap = te->cap_rows * 2;
        if ((p = realloc(te->row, (cap + 1) * sizeof(*te->row))) == NULL)
            return err_memory(err);
        te->row = p;
        te->cap_rows = cap;
    }
    return OK;
}

enum status
textembed_add(struct textembed *te, const msgpack_object *track, struct err *err)
{
    struct str id;
    uint32_t index;

    if (map_id(&id, track, "track_id", err) != OK || add_text(&te->bag, te->o.modality, track, err) != OK)
        return err->status;
    if (te->bag.n == 0)
        return END;
    if (ids_find(te->ids, id) != IDS_NONE)
        return err_set(err, DATA, "track_id: \"%.*s\" comes twice", id.n > 80 ? 80 : (int)id.n, id.p);
    bag_join(&te->bag);
    if (reserve(te, te->bag.n, err) != OK || ids_add(&index, te->ids, id, err) != OK)
        return err->status;
    for (size_t i = 0; i < te->bag.n; i++) {
        struct feature f = te->bag.feature[i];
        if (te->column[f.bucket] == 0)
            te->column[f.bucket] = ++te->columns;
        f.bucket = te->column[f.bucket] - 1;
        te->df[f.bucket]++; /* once a field that has it */
        te->feature[te->n_features++] = f;
    }
    te->row[++te->n] = te->n_features;
    return OK;
}

/* ---- weights ---- */

/* Counts into weights: see the head of the file. */
static void
weigh(struct textembed *te)
{
    const float *field_weight = te->o.modality == METADATA ? metadata_weight : plain_weight;

    for (uint32_t t = 0; t < te->n; t++) {
        double square[FIELDS] = {0}, all = 0;

        for (size_t i = te->row[t]; i < te->row[t + 1]; i++) {
            struct feature *f = &te->feature[i];
            f->weight *= (float)(log((1.0 + te->n) / (1.0 + te->df[f->bucket])) + 1);
            /* A feature in two fields of all tracks would have df = 2 N and still a positive weight at N ≥ 2. */
            f->weight = f->weight > 0 ? f->weight : 0;
            square[f->field] += (double)f->weight * (double)f->weight;
        }
        for (int i = 0; i < FIELDS; i++)
            all += square[i] > 0 ? (double)(field_weight[i] * field_weight[i]) : 0;
        for (size_t i = te->row[t]; i < te->row[t + 1]; i++) {
            struct feature *f = &te->feature[i];
            if (f->weight > 0)
                f->weight = (float)((double)f->weight * (double)field_weight[f->field] / sqrt(square[f->field] * all));
        }
    }
}

/* ---- products with the sparse matrix A (tracks, columns) ---- */

/* Y (n, l) = A Z (columns, l). */
static void
times(float *Y, const struct textembed *te, const float *Z, size_t l)
{
#pragma omp parallel for schedule(static) num_threads(num_threads())
    for (uint32_t t = 0; t < te->n; t++) {
        memset(Y + t * l, 0, l * sizeof(*Y));
        for (size_t i = te->row[t]; i < te->row[t + 1]; i++)
            vec_axpy(Y + t * l, te->feature[i].weight, Z + te->feature[i].bucket * l, l);
    }
}

/* Z (columns, l) = Aᵀ Y (n, l). A thread takes a stripe of columns of Z: sums run over the tracks in order. */
static void
times_transposed(float *Z, const struct textembed *te, const float *Y, size_t l)
{
    memset(Z, 0, te->columns * l * sizeof(*Z));
#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads())
    for (size_t at = 0; at < l; at += STRIPE)
        for (uint32_t t = 0; t < te->n; t++)
            for (size_t i = te->row[t]; i < te->row[t + 1]; i++)
                vec_axpy(Z + te->feature[i].bucket * l + at, te->feature[i].weight, Y + t * l + at,
                    l - at < STRIPE ? l - at : STRIPE);
}

/* Random signs, those of a column from (seed, column's place): the test matrix, and the random projection. */
static void
signs(float *Z, const struct textembed *te, size_t l, uint64_t stream)
{
#pragma omp parallel for schedule(static) num_threads(num_threads())
    for (uint32_t bucket = 0; bucket < NGRAM_BUCKETS; bucket++) {
        if (te->column[bucket] == 0)
            continue;
        struct rng rng = rng_seed(te->o.seed ^ stream << 32, bucket);
        float *z = Z + (size_t)(te->column[bucket] - 1) * l;
        uint64_t bits = 0;
        for (size_t j = 0; j < l; j++, bits >>= 1) {
            if (j % 64 == 0)
                bits = rng_u64(&rng);
            z[j] = (bits & 1) != 0 ? 1 : -1;
        }
    }
}

/* ---- the fit ---- */

/* Work of the fit; l columns. */
struct fit {
    size_t l;
    float *Y, *W;  /* (n, l) */
    float *Z;      /* (columns, l) */
    float *G;      /* (l, l) */
    double *V, *d; /* (l, l) eigenvectors, (l) eigenvalues */
};

/* Eigenvectors of MᵀM, M (rows, l), into G (l, l), the leading one first; column j times scale: 1 / sqrt(value) or
 * 1. */
static enum status
gram(struct fit *f, const float *M, size_t rows, bool scale, struct err *err)
{
    size_t l = f->l;

    mat_mul(f->G, l, M, l, true, M, l, false, l, l, rows, 1, 0);
    for (size_t i = 0; i < l * l; i++)
        f->V[i] = (double)f->G[i];
    if (mat_eigen(f->V, f->d, l, err) != OK)
        return SYSTEM;
    for (size_t j = 0; j < l; j++) {
        double value = f->d[l - 1 - j], times = scale ? 1 / sqrt(value) : 1;
        /* Directions that the data does not have: rank below l. */
        if (!(value > f->d[l - 1] * 1e-7))
            times = 0;
        for (size_t i = 0; i < l; i++)
            f->G[i * l + j] = (float)(f->V[i * l + l - 1 - j] * times);
    }
    return OK;
}

/* W = projections of the rows on the leading right singular vectors. */
static enum status
singular(struct fit *f, const struct textembed *te, struct err *err)
{
    size_t l = f->l, n = te->n;

    signs(f->Z, te, l, 1);
    times(f->Y, te, f->Z, l);
    for (int i = 0; i <= ITERATIONS; i++) {
        if (gram(f, f->Y, n, true, err) != OK)
            return SYSTEM;
        mat_mul(f->W, l, f->Y, l, false, f->G, l, false, n, l, l, 1, 0); /* an orthonormal basis Q */
        times_transposed(f->Z, te, f->W, l);
        if (i < ITERATIONS)
            times(f->Y, te, f->Z, l);
    }
    /* Z = AᵀQ; with the eigenvectors V of ZᵀZ, Q V S holds the left singular vectors times their values. */
    if (gram(f, f->Z, te->columns, false, err) != OK)
        return SYSTEM;
    memcpy(f->Y, f->W, n * l * sizeof(*f->Y));
    for (size_t j = 0; j < l; j++) {
        float s = f->d[l - 1 - j] > 0 ? (float)sqrt(f->d[l - 1 - j]) : 0;
        for (size_t i = 0; i < l; i++)
            f->G[i * l + j] *= s;
    }
    mat_mul(f->W, l, f->Y, l, false, f->G, l, false, n, l, l, 1, 0);
    return OK;
}

static enum status
fit_new(struct fit *f, const struct textembed *te, struct err *err)
{
    size_t l = f->l;

    f->Y = calloc((size_t)te->n + 1, l * sizeof(float));
    f->W = calloc((size_t)te->n + 1, l * sizeof(float));
    f->Z = calloc((size_t)te->columns + 1, l * sizeof(float));
    f->G = calloc(l, l * sizeof(float));
    f->V = calloc(l, l * sizeof(double));
    f->d = calloc(l, sizeof(double));
    return f->Y == NULL || f->W == NULL || f->Z == NULL || f->G == NULL || f->V == NULL || f->d == NULL
               ? err_memory(err)
               : OK;
}

enum status
textembed_fit(struct textembed *te, struct err *err)
{
    bool lyrics = te->o.modality == LYRICS;
    size_t dim = te->o.dim, rest = lyrics ? (dim + 7) / 8 : (dim + 1) / 2, told = dim - rest;
    float length = lyrics ? 0.25F : 1;
    struct fit f = {.l = (told > rest ? told : rest) + EXTRA};
    enum status st;

    weigh(te);
    if ((te->vector = calloc((size_t)te->n + 1, dim * sizeof(float))) == NULL)
        return err_memory(err);
    if (te->n == 0)
        return OK;
    if ((st = fit_new(&f, te, err)) == OK && (st = singular(&f, te, err)) == OK) {
        signs(f.Z, te, rest, 2);
        times(f.Y, te, f.Z, rest);
        for (uint32_t t = 0; t < te->n; t++) {
            float *v = te->vector + t * dim;
            memcpy(v, f.Y + t * rest, rest * sizeof(*v));
            memcpy(v + rest, f.W + t * f.l, told * sizeof(*v));
            (void)vec_unit(v, rest);
            for (size_t i = 0; i < rest; i++)
                v[i] *= length;
            (void)vec_unit(v + rest, told);
            (void)vec_unit(v, dim);
        }
    }
    free(f.Y);
    free(f.W);
    free(f.Z);
    free(f.G);
    free(f.V);
    free(f.d);
    return st;
}

uint32_t
textembed_count(const struct textembed *te)
{
    return te->n;
}

struct str
textembed_id(const struct textembed *te, uint32_t i)
{
    return ids_str(te->ids, i);
}

const float *
textembed_vector(const struct textembed *te, uint32_t i)
{
    return te->vector + i * te->o.dim;
}
