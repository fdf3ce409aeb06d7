/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relocate - centroids that are of more use elsewhere.
 *
 * Lloyd's rounds move no centroid across a gap: two that share a cluster stay there while another spans two. To join
 * two clusters of a and b vectors raises the inertia by ab / (a + b) times the squared distance of their centroids
 * (Ward 1963), to part one lowers it by the same of its halves. So the clusters that lose least by being joined to
 * their neighbour are, and of those that gain most by being parted each takes a centroid that became free, as long as
 * the gain is well above the loss; none takes part twice. Halves are those of a few rounds of two means, begun at the
 * vector farthest from the centroid and that farthest from it.
 *
 * Cost: 2 k² dim operations in products, and some 10 n dim. Memory: 8 dim bytes a cluster, 12 bytes a vector.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lloyd.h"

#define WORTH 1.2 /* times the loss that a gain must be */
#define HALVING 4 /* rounds of two means */
#define BLOCK 256 /* centroids whose neighbours are sought together */

struct change {
    double by;
    uint32_t cluster;
};

struct plan {
    const struct cloud *cloud;
    size_t k, dim;
    float *centroid;            /* (k, dim) */
    const uint64_t *count;      /* (k) */
    uint32_t *member;           /* (n) vectors, those of a cluster side by side */
    size_t *start;              /* (k + 1) */
    uint32_t *partner;          /* (k) whom it costs least to join */
    struct change *loss, *gain; /* (k) */
    float *half;                /* (2 k, dim) */
};

/* ---- joining ---- */

/* What it costs each of m centroids from `from` on to be joined. tile: (m, k) their products with all. */
static void
find_partners(struct plan *p, const float *tile, const float *norm2, size_t from, size_t m)
{
    for (size_t i = 0; i < m; i++) {
        size_t c = from + i;
        double least = INFINITY, a = (double)p->count[c];

        for (size_t o = 0; o < p->k; o++) {
            double b = (double)p->count[o], d = (double)(norm2[c] + norm2[o] - 2 * tile[i * p->k + o]);
            double cost = o == c || a + b == 0 ? INFINITY : a * b / (a + b) * (d > 0 ? d : 0);

            if (cost < least) {
                least = cost;
                p->partner[c] = (uint32_t)o;
            }
        }
        p->loss[c] = (struct change){least, (uint32_t)c};
    }
}

static enum status
find_losses(struct plan *p, struct err *err)
{
    float *tile = calloc(BLOCK, p->k * sizeof(*tile)), *norm2 = calloc(p->k, sizeof(*norm2));
    enum status st = tile == NULL || norm2 == NULL ? err_memory(err) : OK;

    for (size_t c = 0; c < p->k && st == OK; c++)
        norm2[c] = vec_dot(p->centroid + c * p->dim, p->centroid + c * p->dim, p->dim);
    for (size_t c = 0; c < p->k && st == OK; c += BLOCK) {
        size_t m = p->k - c < BLOCK ? p->k - c : BLOCK;

        mat_mul(tile, p->k, p->centroid + c * p->dim, p->dim, false, p->centroid, p->dim, true, m, p->k, p->dim, 1, 0);
        find_partners(p, tile, norm2, c, m);
    }
    free(tile);
    free(norm2);
    return st;
}

/* ---- parting ---- */

static void
list_members(struct plan *p, const uint32_t *code)
{
    for (size_t c = 0; c < p->k; c++)
        p->start[c + 1] = p->start[c] + p->count[c];
    for (size_t i = 0; i < p->cloud->n; i++)
        p->member[p->start[code[i]]++] = (uint32_t)i;
    for (size_t c = p->k; c > 0; c--)
        p->start[c] = p->start[c - 1];
    p->start[0] = 0;
}

/* The member of c that is farthest from x. */
static const float *
farthest_member(const struct plan *p, size_t c, const float *x)
{
    const float *best = NULL;
    float most = -1;

    for (size_t i = p->start[c]; i < p->start[c + 1]; i++) {
        const float *v = cloud_at(p->cloud, p->member[i]);
        float d = nearest_distance(v, x, p->dim);

        if (d > most) {
            most = d;
            best = v;
        }
    }
    return best;
}

/* One round of two means over the members of c, whose means become a and b; how many are with a. */
static size_t
halve(const struct plan *p, size_t c, float *a, float *b, float *sums)
{
    size_t n[2] = {0}, dim = p->dim;

    memset(sums, 0, 2 * dim * sizeof(*sums));
    for (size_t i = p->start[c]; i < p->start[c + 1]; i++) {
        const float *v = cloud_at(p->cloud, p->member[i]);
        size_t which = nearest_distance(v, b, dim) < nearest_distance(v, a, dim);

        n[which]++;
        vec_axpy(sums + which * dim, 1, v, dim);
    }
    for (size_t j = 0; j < dim && n[0] > 0 && n[1] > 0; j++) {
        a[j] = sums[j] / (float)n[0];
        b[j] = sums[dim + j] / (float)n[1];
    }
    return n[0];
}

/* work: (2, dim) */
static void
find_gain(struct plan *p, size_t c, float *work)
{
    size_t dim = p->dim, n = p->start[c + 1] - p->start[c], na = 0;
    float *a = p->half + 2 * c * dim, *b = a + dim;

    p->gain[c] = (struct change){0, (uint32_t)c};
    if (n < 2)
        return;
    memcpy(a, farthest_member(p, c, p->centroid + c * dim), dim * sizeof(*a));
    memcpy(b, farthest_member(p, c, a), dim * sizeof(*b));
    for (int i = 0; i < HALVING; i++)
        na = halve(p, c, a, b, work);
    if (na > 0 && na < n)
        p->gain[c].by = (double)na * (double)(n - na) / (double)n * (double)nearest_distance(a, b, dim);
}

static enum status
find_gains(struct plan *p, struct err *err)
{
    float *work = calloc((size_t)num_threads(), 2 * p->dim * sizeof(*work));

    if (work == NULL)
        return err_memory(err);
#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads())
    for (size_t c = 0; c < p->k; c++)
        find_gain(p, c, work + (size_t)num_thread() * 2 * p->dim);
    free(work);
    return OK;
}

/* ---- both ---- */

static int
by_size(const void *x, const void *y)
{
    const struct change *a = x, *b = y;

    if (a->by != b->by)
        return a->by < b->by ? -1 : 1;
    return a->cluster < b->cluster ? -1 : a->cluster > b->cluster;
}

/* c joins its partner o, and t becomes two, of which c is one. */
static void
move(struct plan *p, size_t c, size_t o, size_t t)
{
    size_t dim = p->dim;
    float a = (float)p->count[c], b = (float)p->count[o], *x = p->centroid + o * dim;

    for (size_t j = 0; j < dim && a + b > 0; j++)
        x[j] = (a * p->centroid[c * dim + j] + b * x[j]) / (a + b);
    memcpy(p->centroid + t * dim, p->half + 2 * t * dim, dim * sizeof(float));
    memcpy(p->centroid + c * dim, p->half + (2 * t + 1) * dim, dim * sizeof(float));
}

static size_t
move_all(struct plan *p, bool *used)
{
    size_t moved = 0, left = p->k; /* gains that are not used up, the largest last */

    qsort(p->loss, p->k, sizeof(*p->loss), by_size);
    qsort(p->gain, p->k, sizeof(*p->gain), by_size);
    for (size_t i = 0; i < p->k; i++) {
        size_t c = p->loss[i].cluster, o = p->partner[c], t = 0;

        if (used[c] || used[o])
            continue;
        while (left > 0 && (used[(t = p->gain[left - 1].cluster)] || t == c || t == o))
            left--;
        if (left == 0 || !(p->gain[left - 1].by > WORTH * p->loss[i].by))
            break;
        used[c] = used[o] = used[t] = true;
        move(p, c, o, t);
        moved++;
    }
    return moved;
}

enum status
relocate(size_t *moved, float *centroid, size_t k, const struct cloud *cloud, const uint32_t *code,
    const uint64_t *count, struct err *err)
{
    struct plan p = {.cloud = cloud, .k = k, .dim = cloud->dim, .centroid = centroid, .count = count};
    bool *used = calloc(k, sizeof(*used));
    enum status st = OK;

    *moved = 0;
    p.member = calloc(cloud->n, sizeof(*p.member));
    p.start = calloc(k + 1, sizeof(*p.start));
    p.partner = calloc(k, sizeof(*p.partner));
    p.loss = calloc(k, sizeof(*p.loss));
    p.gain = calloc(k, sizeof(*p.gain));
    p.half = calloc(k, 2 * cloud->dim * sizeof(*p.half));
    if (used == NULL || p.member == NULL || p.start == NULL || p.partner == NULL || p.loss == NULL || p.gain == NULL ||
        p.half == NULL)
        st = err_memory(err);
    if (st == OK) {
        list_members(&p, code);
        if ((st = find_losses(&p, err)) == OK && (st = find_gains(&p, err)) == OK)
            *moved = move_all(&p, used);
    }
    free(used);
    free(p.member);
    free(p.start);
    free(p.partner);
    free(p.loss);
    free(p.gain);
    free(p.half);
    return st;
}
