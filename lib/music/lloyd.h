/* SPDX-License-Identifier: Apache-2.0 */
/* lloyd - the parts of k-means: vectors, seeds, assignment under bounds, sums. Private to lib/music. */
#ifndef LLOYD_H
#define LLOYD_H

#include "music/music.h"
#include "nearest.h"

/* Vectors, or a selection of them. */
struct cloud {
    const float *X;      /* (…, dim) */
    const uint32_t *row; /* (n) rows of X; NULL for the first n */
    size_t n, dim;
};
static inline const float *
cloud_at(const struct cloud *c, size_t i)
{
    return c->X + (c->row == NULL ? i : (size_t)c->row[i]) * c->dim;
}

/* ---- seeds (seeds.c) ---- */

/*
 * k vectors of the cloud by greedy k-means++, as centroid (k, dim). left becomes the sum of the squared distances to
 * the nearest of them, about, as a part of those to the mean. SYSTEM.
 */
enum status seeds_draw(
    float *centroid, double *left, size_t k, const struct cloud *cloud, uint64_t seed, struct err *err);

/* ---- centroids that are of more use elsewhere (relocate.c) ---- */

/*
 * Joins clusters that are nearly one and parts, with the centroids that become free, others that are nearly two; how
 * many. code (n) and count (k) are of the cloud as centroid (k, dim) has it. SYSTEM.
 */
enum status relocate(size_t *moved, float *centroid, size_t k, const struct cloud *cloud, const uint32_t *code,
    const uint64_t *count, struct err *err);

/* ---- assignment (bounds.c) ---- */

struct bounds;
/* mean: as of struct nearest; it and the cloud are borrowed. half: products of bfloat16. SYSTEM. */
enum status bounds_new(
    struct bounds **out, const struct cloud *cloud, size_t k, bool half, const float *mean, struct err *err);
void bounds_free(struct bounds *b);
/* Puts every vector with the nearest of centroid (k, dim); those that cannot have changed are not looked at. How many
 * changed. SYSTEM. */
enum status bounds_assign(size_t *changed, struct bounds *b, const float *centroid, struct err *err);
/* The cluster of each vector, as of now. */
const uint32_t *bounds_code(const struct bounds *b);
/* Squared distances of all vectors to the centroid that they are with, as of the last bounds_assign. */
const float *bounds_distance(struct bounds *b);
/* Vector i belongs to c whatever the distances say: it will be looked at anew. */
void bounds_move(struct bounds *b, size_t i, uint32_t c);
/* Vectors looked at by bounds_assign so far, in parts of the centroids: 1 for one that was compared with all. */
double bounds_looked(const struct bounds *b);

/* ---- sums of clusters (sums.c) ---- */

struct sums;
/* The cloud is borrowed. SYSTEM. */
enum status sums_new(struct sums **out, const struct cloud *cloud, size_t k, struct err *err);
void sums_free(struct sums *s);
/* The sums and counts are those of this code from now on. */
void sums_follow(struct sums *s, const uint32_t *code);
/* (k) vectors of each cluster. */
const uint64_t *sums_count(const struct sums *s);
/*
 * The mean of each cluster, under unit to length 1; an empty cluster, and under unit one whose vectors cancel out,
 * keeps its place.
 */
void sums_means(float *centroid, const struct sums *s, bool unit);
/* The sum of the squared distances of the vectors to the centroid of their cluster, from the sums alone: what is small
 * beside the lengths of the vectors is lost. */
double sums_inertia(const struct sums *s, const float *centroid);

#endif
