/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nearest - which centroid is nearest, by products that exclude and distances that decide. Private to lib/music.
 *
 * The nearest centroid of x is the one with the least nearest_distance, the lower index on a tie: whatever products are
 * used, and whichever centroids were looked at with it, the answer is that.
 */
#ifndef NEAREST_H
#define NEAREST_H

#include "num/num.h"

#define NEAREST_NONE UINT32_MAX
#define NEAREST_ROWS 96   /* vectors of a block, at most */
#define NEAREST_GROUPS 32 /* of centroids, at most: a bit each */

/* Squared Euclidean distance of n numbers, in an order of summation that is fixed. */
float nearest_distance(const float *x, const float *y, size_t n);

/* Centroids made ready; those of a group are looked at together. */
struct nearest {
    size_t k, dim, groups, width; /* width: columns of a group, whole panels */
    bool half;                    /* products of bfloat16 */
    const float *centroid;        /* (k, dim), borrowed */
    double slack;                 /* relative error of nearest_distance, at most */
    const float *mean;            /* (dim) what products leave out of every vector, borrowed; NULL for nothing */
    uint32_t *at;                 /* (k) the column of a centroid */
    uint32_t *of;                 /* (columns) the centroid of a column; NEAREST_NONE behind the last */
    float *low, *spread;          /* (columns) half the squared length, less its error; error of a product */
    float *shifted;               /* (k, dim) in the order of columns, without the mean */
    struct packed packed;
    void *memory;
};
/* Room for k centroids. SYSTEM. */
enum status nearest_init(struct nearest *n, size_t k, size_t dim, bool half, const float *mean, struct err *err);
void nearest_fini(struct nearest *n);
/* Puts the centroids into groups of such as lie together, once. SYSTEM. */
enum status nearest_group(struct nearest *n, const float *centroid, struct err *err);
/* These are the centroids now; borrowed until the next call. */
void nearest_set(struct nearest *n, const float *centroid);
/* The group that centroid c is in. */
size_t nearest_group_of(const struct nearest *n, uint32_t c);
/* The squared length of x as the products see it. */
float nearest_norm2(const struct nearest *n, const float *x);

/* What one thread works in. */
struct nearest_work;
enum status nearest_work_new(struct nearest_work **out, const struct nearest *n, struct err *err);
void nearest_work_free(struct nearest_work *w);
/* The vectors that a block may have for it: at most NEAREST_ROWS. */
size_t nearest_work_rows(const struct nearest_work *w);

/* Vectors that are looked up together. */
struct nearest_block {
    size_t n;
    const float *x[NEAREST_ROWS];
    float norm2[NEAREST_ROWS];
    uint32_t groups[NEAREST_ROWS]; /* where to look: what is nowhere there must be known not to be nearer than code */
    uint32_t code[NEAREST_ROWS];   /* in: a centroid whose distance is known, or NEAREST_NONE; out: the nearest */
    float distance[NEAREST_ROWS];  /* to code, squared */
    float *bound[NEAREST_ROWS];    /* (groups) lower bounds of the distance to all but code; NULL for none */
};
void nearest_look(struct nearest_block *b, const struct nearest *n, struct nearest_work *w);

#endif
