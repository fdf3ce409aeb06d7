/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nearest - the nearest of k centroids, exactly, by products of float32 or of bfloat16.
 *
 * |x - c|² = |x|² + 2 (|c|²/2 - x·c). A product has an error of at most g |x||c|, with g = dim 2^-24 for a chain of
 * float32 multiply-adds and 2^-7 more where both sides were rounded to bfloat16 (Higham, "Accuracy and Stability of
 * Numerical Algorithms", 2002, §3.1); so every product gives a lower bound of a distance. Where the bound is
 * least the distance is taken; what has a bound above it is out; what is left, mostly nothing, is decided by
 * nearest_distance. That makes the answer the same for both kinds of products and for any company. With bfloat16 the
 * mean of the vectors is taken off both sides first, since errors grow with lengths.
 *
 * Centroids lie in groups of whole panels, at most 32, so that a caller who knows better can leave groups out. Cost: 2
 * dim operations a vector and centroid looked at. Memory: the centroids packed (4 or 2 bytes a number), and once more
 * in float32; a thread's tile of at most 96 x k products. Long vectors are taken in slices that stay in the second
 * cache while all centroids pass.
 */
#include "nearest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LANES 16
#define TILE ((size_t)1 << 20) /* floats, about */
#define SLICE 512              /* numbers of a vector, even: those of a block stay in the second cache */
#define ROUND 0x1p-20          /* relative: more than what single operations of float32 lose together */

float
nearest_distance(const float *x, const float *y, size_t n)
{
    float s[LANES] = {0}, sum = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) {
            float d = x[i + j] - y[i + j];
            s[j] += d * d;
        }
    for (; i < n; i++)
        s[i % LANES] += (x[i] - y[i]) * (x[i] - y[i]);
    for (size_t j = 0; j < LANES; j++)
        sum += s[j];
    return sum;
}

/* ---- centroids ---- */

static size_t
columns(const struct nearest *n)
{
    return n->groups * n->width;
}

enum status
nearest_init(struct nearest *n, size_t k, size_t dim, bool half, const float *mean, struct err *err)
{
    size_t panel = packed_panel(), panels = (k + panel - 1) / panel, bytes;
    enum packing kind = half ? PACK_BF16 : PACK_F32;

    *n = (struct nearest){.k = k, .dim = dim, .half = half, .mean = mean};
    n->width = (panels + NEAREST_GROUPS - 1) / NEAREST_GROUPS * panel;
    n->groups = (k + n->width - 1) / n->width;
    n->slack = ((double)dim / LANES + 2 * LANES) * 0x1p-24;
    /* Columns behind the last centroid are never multiplied past the last panel that has one. */
    if (!packed_size(&bytes, kind, k, dim) || (n->memory = aligned_alloc(64, bytes)) == NULL)
        return err_memory(err);
    n->at = calloc(k, sizeof(*n->at));
    n->of = calloc(columns(n), sizeof(*n->of));
    n->low = calloc(columns(n), sizeof(*n->low));
    n->spread = calloc(columns(n), sizeof(*n->spread));
    n->shifted = calloc(k, dim * sizeof(*n->shifted));
    if (n->at == NULL || n->of == NULL || n->low == NULL || n->spread == NULL || n->shifted == NULL)
        return err_memory(err);
    for (size_t c = 0; c < columns(n); c++) {
        n->of[c] = c < k ? (uint32_t)c : NEAREST_NONE;
        n->low[c] = INFINITY;
        if (c < k)
            n->at[c] = (uint32_t)c;
    }
    return OK;
}

void
nearest_fini(struct nearest *n)
{
    free(n->at);
    free(n->of);
    free(n->low);
    free(n->spread);
    free(n->shifted);
    free(n->memory);
    *n = (struct nearest){0};
}

size_t
nearest_group_of(const struct nearest *n, uint32_t c)
{
    return n->at[c] / n->width;
}

float
nearest_norm2(const struct nearest *n, const float *x)
{
    double s[LANES / 2] = {0}, sum = 0;
    size_t i = 0;

    for (; i + LANES / 2 <= n->dim; i += LANES / 2)
        for (size_t j = 0; j < LANES / 2; j++) {
            float d = n->mean == NULL ? x[i + j] : x[i + j] - n->mean[i + j];
            s[j] += (double)d * (double)d;
        }
    for (; i < n->dim; i++) {
        float d = n->mean == NULL ? x[i] : x[i] - n->mean[i];
        s[0] += (double)d * (double)d;
    }
    for (size_t j = 0; j < LANES / 2; j++)
        sum += s[j];
    return (float)sum;
}

void
nearest_set(struct nearest *n, const float *centroid)
{
    double error = (double)n->dim * 0x1p-23 + (n->half ? 0x1.02p-7 : 0);
    size_t dim = n->dim;

    n->centroid = centroid;
#pragma omp parallel for schedule(static) num_threads(num_threads_for(n->k *dim))
    for (size_t c = 0; c < n->k; c++) {
        const float *v = centroid + (size_t)n->of[c] * dim;
        double norm2 = (double)nearest_norm2(n, v);

        for (size_t j = 0; j < dim; j++)
            n->shifted[c * dim + j] = n->mean == NULL ? v[j] : v[j] - n->mean[j];
        n->low[c] = (float)(norm2 / 2 * (1 - 2 * ROUND));
        n->spread[c] = (float)(error * sqrt(norm2) * (1 + 4 * ROUND));
    }
    packed_init(&n->packed, n->memory, n->half ? PACK_BF16 : PACK_F32, n->k, dim);
    (void)packed_put(&n->packed, 0, n->k, (struct packed_source){n->shifted, false});
}

/* ---- looking ---- */

#define STRIDE (SLICE + LANES) /* rows a power of two apart would share a few lines of the first cache */

struct nearest_work {
    size_t rows, width;          /* of a block; columns of the tile */
    float *tile;                 /* (rows, width) */
    float *least;                /* (rows, NEAREST_GROUPS) least lower bound of a group, in halves */
    float *slice;                /* (rows, STRIDE) of the vectors, one beside the other, or as bf16 */
    const void *x[NEAREST_ROWS]; /* the numbers of the slice */
};

enum status
nearest_work_new(struct nearest_work **out, const struct nearest *n, struct err *err)
{
    struct nearest_work *w = calloc(1, sizeof(*w));
    size_t rows = TILE / columns(n);

    *out = NULL;
    if (w == NULL)
        return err_memory(err);
    w->rows = rows > NEAREST_ROWS ? NEAREST_ROWS : rows < NEAREST_ROWS / 4 ? NEAREST_ROWS / 4 : rows;
    w->width = columns(n) + LANES; /* as with STRIDE */
    w->tile = calloc(w->rows, w->width * sizeof(*w->tile));
    w->least = calloc(w->rows, NEAREST_GROUPS * sizeof(*w->least));
    w->slice = calloc(w->rows, STRIDE * sizeof(*w->slice));
    if (w->tile == NULL || w->least == NULL || w->slice == NULL) {
        nearest_work_free(w);
        return err_memory(err);
    }
    *out = w;
    return OK;
}

void
nearest_work_free(struct nearest_work *w)
{
    if (w == NULL)
        return;
    free(w->tile);
    free(w->least);
    free(w->slice);
    free(w);
}

size_t
nearest_work_rows(const struct nearest_work *w)
{
    return w->rows;
}

static size_t
slice_size(const struct nearest *n, size_t k)
{
    return n->dim - k < SLICE ? n->dim - k : SLICE;
}

/* What the products take from vector x for the slice from k on; room for a slice. */
static const void *
slice_of(float *room, const struct nearest *n, const float *x, size_t k)
{
    size_t m = slice_size(n, k);
    bf16 *half = (bf16 *)(void *)room;
    float shifted[SLICE];

    if (!n->half)
        return m == n->dim ? x : memcpy(room, x + k, m * sizeof(*room));
    for (size_t j = 0; j < m && n->mean != NULL; j++)
        shifted[j] = x[k + j] - n->mean[k + j];
    half[(m - 1) | 1] = 0; /* what makes a pair of an odd last number */
    bf16_pack(half, n->mean != NULL ? shifted : x + k, m);
    return half;
}

/* The least lower bound of a vector's distances to m columns from c on, halved and without its own squared length. */
static float
least_of(const struct nearest *n, const float *restrict dot, float norm, size_t c, size_t m)
{
    const float *restrict spread = n->spread + c, *restrict low = n->low + c;
    float least = INFINITY;

#pragma omp simd reduction(min : least)
    for (size_t j = 0; j < m; j++) {
        float l = low[j] - dot[j] - norm * spread[j];

        least = l < least ? l : least;
    }
    return least;
}

/* How many of m columns from c on have a lower bound that is not above limit; NaN counts. */
static size_t
not_above(const struct nearest *n, const float *restrict dot, float norm, size_t c, size_t m, float limit)
{
    const float *restrict spread = n->spread + c, *restrict low = n->low + c;
    uint32_t count = 0;

#pragma omp simd reduction(+ : count)
    for (size_t j = 0; j < m; j++)
        count += low[j] - dot[j] - norm * spread[j] > limit ? 0U : 1U;
    return count;
}

static float
length(float norm2)
{
    return sqrtf(norm2) * (float)(1 + 2 * ROUND);
}

/* Products, of a slice from k on, with group g for the rows that look there. */
static void
multiply(const struct nearest_block *b, const struct nearest *n, struct nearest_work *w, size_t g, size_t k)
{
    size_t panel = packed_panel(), first = g * n->width / panel, panels = n->width / panel, m = 0;
    size_t all = (n->k + panel - 1) / panel;
    const void *x[NEAREST_ROWS];
    float *y[NEAREST_ROWS];
    struct packed_part part = {first, first + panels < all ? first + panels : all, k, slice_size(n, k), k > 0};

    for (size_t i = 0; i < b->n; i++)
        if ((b->groups[i] >> g & 1U) != 0) {
            x[m] = w->x[i];
            y[m++] = w->tile + i * w->width;
        }
    packed_some(y, x, &n->packed, m, part);
}

/* Bounds of group g for the rows that look there. */
static void
look_group(const struct nearest_block *b, const struct nearest *n, struct nearest_work *w, size_t g)
{
    size_t from = g * n->width, to = from + n->width < n->k ? from + n->width : n->k;

    for (size_t i = 0; i < b->n; i++)
        if ((b->groups[i] >> g & 1U) != 0)
            w->least[i * NEAREST_GROUPS + g] =
                least_of(n, w->tile + i * w->width + from, length(b->norm2[i]), from, to - from);
}

/* The search of one vector: the best so far, of which no bound above limit, in halves, can be better. */
struct search {
    const struct nearest *n;
    const float *x, *dot; /* its numbers; its products with all columns */
    float norm;
    double norm2;
    uint32_t own, best;
    float distance, limit;
};

/* From the best distance so far. */
static void
set_limit(struct search *s)
{
    double far = s->best == NEAREST_NONE ? INFINITY : (double)s->distance * (1 + 8 * s->n->slack);
    double limit = (far - s->norm2) / 2 + 2 * ROUND * s->norm2;

    s->limit = (float)(limit + ROUND * fabs(limit));
}

/* Tries the m columns from c on. */
static void
try_columns(struct search *s, size_t c, size_t m)
{
    if (not_above(s->n, s->dot + c, s->norm, c, m, s->limit) == 0)
        return;
    for (size_t j = c; j < c + m; j++) {
        uint32_t at = s->n->of[j];
        float d;

        if (at == s->own || at == s->best || not_above(s->n, s->dot + j, s->norm, j, 1, s->limit) == 0)
            continue;
        d = nearest_distance(s->x, s->n->centroid + (size_t)at * s->n->dim, s->n->dim);
        if (s->best == NEAREST_NONE || d < s->distance || (!(s->distance < d) && at < s->best)) {
            s->distance = d;
            s->best = at;
            set_limit(s);
        }
    }
}

static void
try_group(struct search *s, size_t g)
{
    size_t end = (g + 1) * s->n->width < s->n->k ? (g + 1) * s->n->width : s->n->k;

    for (size_t c = g * s->n->width; c < end; c += LANES)
        try_columns(s, c, end - c < LANES ? end - c : LANES);
}

/* Decides row i among the columns that are not excluded: first those of the group with the least bound, which mostly
 * exclude all others. */
static void
decide(struct nearest_block *b, const struct nearest *n, const struct nearest_work *w, size_t i)
{
    const float *least = w->least + i * NEAREST_GROUPS;
    struct search s = {.n = n,
        .x = b->x[i],
        .dot = w->tile + i * w->width,
        .norm = length(b->norm2[i]),
        .norm2 = (double)b->norm2[i],
        .own = b->code[i],
        .best = b->code[i],
        .distance = b->distance[i]};
    size_t first = n->groups;

    for (size_t g = 0; g < n->groups; g++)
        if ((b->groups[i] >> g & 1U) != 0 && (first == n->groups || least[g] < least[first]))
            first = g;
    set_limit(&s);
    if (first < n->groups && s.best == NEAREST_NONE) { /* a first guess: what has the least bound */
        s.limit = least[first];
        for (size_t c = first * n->width; c < n->k && s.best == NEAREST_NONE; c += LANES)
            try_columns(&s, c, n->k - c < LANES ? n->k - c : LANES);
    }
    for (size_t g = first; g < n->groups; g++)
        if ((b->groups[i] >> g & 1U) != 0 && !(least[g] > s.limit))
            try_group(&s, g);
    for (size_t g = 0; g < first; g++)
        if ((b->groups[i] >> g & 1U) != 0 && !(least[g] > s.limit))
            try_group(&s, g);
    if (s.best == NEAREST_NONE) { /* numbers whose squares overflow */
        s.best = 0;
        s.distance = nearest_distance(b->x[i], n->centroid, n->dim);
    }
    b->code[i] = s.best;
    b->distance[i] = s.distance;
}

/* A lower bound of a distance, from one in halves. */
static float
bound_from(float least, double norm2)
{
    double d = norm2 * (1 - 4 * ROUND) + 2 * (double)least;

    return d > 0 ? (float)(sqrt(d) * (1 - ROUND)) : d <= 0 ? 0 : -INFINITY;
}

/* The bounds of row i after its code was own, and is another perhaps. */
static void
set_bounds(struct nearest_block *b, const struct nearest *n, const struct nearest_work *w, size_t i, uint32_t own,
    float own_distance)
{
    const float *dot = w->tile + i * w->width;
    size_t mine = nearest_group_of(n, b->code[i]);
    float norm = length(b->norm2[i]), *bound = b->bound[i];

    for (size_t g = 0; g < n->groups; g++) {
        float least = w->least[i * NEAREST_GROUPS + g];

        if ((b->groups[i] >> g & 1U) == 0)
            continue;
        if (g == mine) {
            size_t from = g * n->width, to = from + n->width < n->k ? from + n->width : n->k, at = n->at[b->code[i]];
            float before = least_of(n, dot + from, norm, from, at - from);
            float behind = least_of(n, dot + at + 1, norm, at + 1, to - at - 1);

            least = before < behind ? before : behind;
        }
        bound[g] = bound_from(least, (double)b->norm2[i]);
    }
    if (own != NEAREST_NONE && own != b->code[i]) {
        size_t g = nearest_group_of(n, own);
        float d = sqrtf(own_distance) * (float)(1 - n->slack - ROUND);

        if ((b->groups[i] >> g & 1U) == 0 && !(bound[g] <= d))
            bound[g] = d;
    }
}

void
nearest_look(struct nearest_block *b, const struct nearest *n, struct nearest_work *w)
{
    uint32_t any = 0;

    for (size_t i = 0; i < b->n; i++)
        any |= b->groups[i];
    for (size_t k = 0; k < n->dim; k += SLICE) {
        for (size_t i = 0; i < b->n; i++)
            w->x[i] = slice_of(w->slice + i * STRIDE, n, b->x[i], k);
        for (size_t g = 0; g < n->groups; g++)
            if ((any >> g & 1U) != 0)
                multiply(b, n, w, g, k);
    }
    for (size_t g = 0; g < n->groups; g++)
        if ((any >> g & 1U) != 0)
            look_group(b, n, w, g);
    for (size_t i = 0; i < b->n; i++) {
        uint32_t own = b->code[i];
        float d = b->distance[i];

        decide(b, n, w, i);
        if (b->bound[i] != NULL)
            set_bounds(b, n, w, i, own, d);
    }
}
