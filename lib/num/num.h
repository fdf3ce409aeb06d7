/* SPDX-License-Identifier: Apache-2.0 */
/*
 * num - threads, processes, random numbers, vectors and matrix products. The only caller of BLAS and of MPI.
 *
 * Results never depend on the number of threads: work is cut by size, sums are joined in a fixed
 * order, and BLAS runs single-threaded below our own threads.
 */
#ifndef NUM_H
#define NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cli/cli.h"

/* ---- threads (threads.c) ---- */

/* Call once before any other thing here: our threads to n, those of BLAS to 1. */
void num_init(int threads);
int num_threads(void);
/* Within a region of our threads: which of them calls, from 0. */
int num_thread(void);
/* num_threads(), or 1 where there is too little to do (operations, about) for waking the others to pay. */
int num_threads_for(size_t operations);
/* "OpenBLAS 0.3.21 SkylakeX, 2 threads" */
const char *num_about(int threads);

/* Asks the system for large pages under a block that was allocated and not written to yet (pages.c). */
void num_large_pages(void *block, size_t bytes);

/* ---- processes (team.c) ---- */

/*
 * The processes of one program that mpirun has started, its ranks 0, 1, …. All make the same calls in the same order,
 * with the same sizes; of a process that ends otherwise the launcher ends the others. Started by hand, a program is a
 * team of one. SYSTEM where MPI fails.
 */
enum status team_join(struct err *err); /* before any other call, once */
enum status team_leave(struct err *err);
bool team_launched(void); /* whether a launcher started us, be it as the only one */
int team_size(void);
int team_rank(void);
/* Gives all what lies at p in process 0. */
enum status team_share(void *p, size_t bytes, struct err *err);
/* What each has at own, in the order of ranks, at all: (team_size(), bytes). bytes: below 2^31. */
enum status team_gather(void *all, const void *own, size_t bytes, struct err *err);
/* Each of n flags becomes true in all where it is true in one. n: below 2^31. */
enum status team_any(bool *flag, size_t n, struct err *err);
/* Row r of out (team_size(), bytes) goes to process r, and comes into row (own rank) of its in. bytes: below 2^31. */
enum status team_exchange(void *in, const void *out, size_t bytes, struct err *err);

/* ---- hashes (hash.c): XXH64 ---- */

/* 64 bits of hash of n bytes under seed: the same on every machine. Not for adversaries. */
uint64_t hash64(uint64_t seed, const void *bytes, size_t n);
/* The same of sixteen strings of n bytes each: hash[i] is that of p[i]. */
void hash64_sixteen(uint64_t *hash, uint64_t seed, const char *const *p, size_t n);

/* ---- random numbers (rng.c): xoshiro256** (Blackman, Vigna 2021), seeded by splitmix64 ---- */

struct rng {
    uint64_t s[4];
};
/* A generator for (seed, stream): give every purpose its own stream number. */
struct rng rng_seed(uint64_t seed, uint64_t stream);
/* A generator for what is drawn for the record with this id, whatever its position. */
struct rng rng_seed_id(uint64_t seed, const void *id, size_t n);
uint64_t rng_u64(struct rng *r);
double rng_unit(struct rng *r);                /* [0, 1), 53 bits */
uint64_t rng_below(struct rng *r, uint64_t n); /* 0 … n-1 without bias; n ≥ 1 */
double rng_normal(struct rng *r);              /* mean 0, variance 1 */
void rng_shuffle(struct rng *r, uint32_t *x, size_t n);

/* ---- vectors (vec.c); float data, double sums, fixed order ---- */

float vec_dot(const float *x, const float *y, size_t n);
double vec_norm(const float *x, size_t n);
/* Scales x to length 1; false (and x unchanged) where its length is 0. */
bool vec_unit(float *x, size_t n);
void vec_axpy(float *y, float a, const float *x, size_t n); /* y += a x */
float vec_max(const float *x, size_t n);                    /* -INFINITY if n is 0 */
/* y = exp(x), y may be x; relative error below 3e-7, 0 below -87.3 (so of -INFINITY too) (exp.c) */
void vec_exp(float *y, const float *x, size_t n);
/* log of the sum of exp(x); -INFINITY if n is 0. NaN anywhere gives NaN. */
double vec_logsumexp(const float *x, size_t n);

/* ---- matrix products (mat.c); row-major ---- */

/*
 * C (M,N) = alpha op(A) (M,K) op(B) (K,N) + beta C, over BLAS, cut over M and N into tiles of fixed size for our
 * threads. ta: A is stored (K,M); tb: B is stored (N,K). ld*: distance of rows, in floats.
 */
void mat_mul(float *C, size_t ldc, const float *A, size_t lda, bool ta, const float *B, size_t ldb, bool tb, size_t M,
    size_t N, size_t K, float alpha, float beta);

/*
 * Y (M,N) = X (M,K) W^T, W stored (N,K): each row of Y is computed in an order that depends on K and N only, so that a
 * row's bits do not depend on what shares its batch. For decoding and for looking records up.
 */
void mat_rows(float *Y, const float *X, const float *W, size_t M, size_t N, size_t K);

/*
 * C (M,N) += A (M,K) B (K,N) on the calling thread: each element is one chain of multiply-adds over k, so its bits
 * depend on its row of A and its column of B alone. For attention over keys and values where they lie (chain.c).
 */
void mat_chain(
    float *C, size_t ldc, const float *A, size_t lda, const float *B, size_t ldb, size_t M, size_t N, size_t K);

/* Asks memory for the n bytes from p on, which will be read soon: they go to the second cache. p may be anywhere. */
static inline void
prefetch(const void *p, size_t n)
{
    for (size_t i = 0; i < n; i += 64) /* bytes of a cache line */
        __builtin_prefetch((const char *)p + i, 0, 2);
}

/* ---- bfloat16 (bf16.c, mul16.c, widened.c) ---- */

/* The upper half of a float32. */
typedef uint16_t bf16;
/* To the nearest, ties to even; NaN stays NaN. A carry out of the fraction raises the exponent, as it should. */
static inline bf16
bf16_round(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof u);
    u = (u & 0x7fffffffU) > 0x7f800000U ? u | 0x00400000U : u + 0x7fffU + (u >> 16 & 1U);
    return (bf16)(u >> 16);
}
static inline float
bf16_widen(bf16 h)
{
    uint32_t u = (uint32_t)h << 16;
    float x;

    memcpy(&x, &u, sizeof x);
    return x;
}
/* The same of n numbers. */
void bf16_pack(bf16 *y, const float *x, size_t n);
void bf16_unpack(float *y, const bf16 *x, size_t n);

/*
 * Products of bfloat16 matrices, summed in float32, over oneDNN: what it has compiled for the shapes it has met, for
 * each of our threads. Where the processor has no such products they are widened to float32: the same numbers, but for
 * the order of the sum, at the speed of float32. Not for two callers at once. SYSTEM where memory is short.
 */
struct mul16;
enum status mul16_new(struct mul16 **out, struct err *err);
void mul16_free(struct mul16 *m);
/*
 * C (M,N) = op(A) (M,K) op(B) (K,N) + beta C, beta 0 or 1, row-major; ta: A is stored (K,M); tb: B is stored (N,K). A
 * shape that is new costs about a millisecond. Failures are kept for mul16_status, C is then worth nothing.
 */
void mul16(struct mul16 *m, float *C, size_t ldc, const bf16 *A, size_t lda, bool ta, const bf16 *B, size_t ldb,
    bool tb, size_t M, size_t N, size_t K, int beta);
/* Whether this processor multiplies bfloat16 faster than float32. */
bool mul16_fast(void);
/* Whether all products since mul16_new succeeded; else SYSTEM. */
enum status mul16_status(const struct mul16 *m, struct err *err);

/* ---- one vector and many rows (dots.c) ---- */

/*
 * For n rows of E numbers, ld apart, of bfloat16 if half, else of float: s[p] = q k_p; and o (E) += the sum of
 * s[p] v_p, in the order of p. On the calling thread. A product's bits depend on its row alone, and on its numbers, not
 * on how they are kept.
 */
void vec_dots(float *s, const float *q, const void *k, bool half, size_t ld, size_t n, size_t E);
void vec_sums(float *o, const float *s, const void *v, bool half, size_t ld, size_t n, size_t E);

/* ---- products with a matrix that is used again and again (pack.c, packed.c) ---- */

/*
 * How it is kept: 4, 2, about 1.125 and 2 bytes a number. PACK_BF16 rounds what it is multiplied with, too; PACK_WIDE
 * is for numbers that bfloat16 holds exactly, and gives the bits that PACK_F32 gives of them.
 */
enum packing { PACK_F32, PACK_BF16, PACK_Q8, PACK_WIDE };
/* W (N,K) in a layout of its own, in memory that is the caller's. */
struct packed {
    enum packing kind;
    size_t N, K, stride;
    unsigned char *p;
};
/* Rows of K numbers behind each other, aligned to nothing: bfloat16 if half, else float32. */
struct packed_source {
    const void *p;
    bool half;
};
/* The bytes that it takes, a multiple of 64; false if no size_t can tell. */
bool packed_size(size_t *bytes, enum packing kind, size_t N, size_t K);
/* memory: aligned to 64 bytes; it must outlive out, whose rows are still to be put in. */
void packed_init(struct packed *out, void *memory, enum packing kind, size_t N, size_t K);
/* Rows j … j + n - 1 become the n rows of W. False if a number is not finite: its product is then worth nothing. */
bool packed_put(struct packed *out, size_t j, size_t n, struct packed_source W);
/*
 * Y (M,N), ldy floats from row to row, = X (M,K) W^T. A row's bits do not depend on what shares its batch. scratch has
 * room for M (K + 1) floats; only PACK_BF16 needs it, else NULL will do.
 */
void packed_rows(float *Y, size_t ldy, const float *X, const struct packed *P, size_t M, void *scratch);
/* Whether products with PACK_BF16 are faster than those with PACK_F32, as this was compiled. */
bool packed_half_fast(void);
/* How many rows of W (columns of Y) a panel has: what packed_some can leave out. */
size_t packed_panel(void);
/* Some of W: the panels from … to - 1, and of each row the n numbers from k on. */
struct packed_part {
    size_t from, to;
    size_t k, n; /* even for PACK_BF16, but for a last part that ends at an odd K */
    bool more;   /* products are added to what Y holds */
};
/*
 * The same of a part, and of M rows that lie anywhere, on the calling thread (panels.c): Y[i] gets its numbers
 * from * packed_panel() … to * packed_panel() - 1, those beyond N too, whatever they are. X[i] is what a row has from
 * number k on, of float, or for PACK_BF16 of bf16, K rounded up to even; PACK_Q8 is not for this. When every k had its
 * turn, the bits are those of packed_rows; where X or W has zeros only, and Y began with zeros, a part may be left out.
 */
void packed_some(float *const *Y, const void *const *X, const struct packed *P, size_t M, struct packed_part part);

/* ---- quantiles of what was counted (quantile.c) ---- */

/* Numbers, 8 bytes each; all zero is empty. */
struct quantiles {
    double *p;
    size_t n, cap;
};
void quantiles_free(struct quantiles *q);
enum status quantiles_add(struct quantiles *q, double x, struct err *err);
/* The smallest of them that at least the share of them do not exceed, share in (0, 1]; 0 if there are none. */
double quantiles_at(struct quantiles *q, double share);

/* ---- eigenvectors (eigen.c) ---- */

/*
 * Eigenvalues, ascending, and eigenvectors of the symmetric A (n,n), of which the upper triangle counts: column j of A
 * is afterwards the unit vector of values[j]. SYSTEM.
 */
enum status mat_eigen(double *A, double *values, size_t n, struct err *err);

/* ---- a normal distribution like that of given rows (gauss.c) ---- */

struct gauss;
/* Copies rows from … from + n - 1, all finite, to out (n, D); called by several threads at once. */
typedef void gauss_source(float *out, const void *arg, size_t from, size_t n);
/* Mean and covariance, the latter times scale (0: none), of n ≥ 1 rows of D numbers, each asked for twice. SYSTEM,
 * DATA. */
enum status gauss_fit(
    struct gauss **out, gauss_source *rows, const void *arg, size_t n, size_t D, double scale, struct err *err);
void gauss_free(struct gauss *g);
/* n rows (n, D) from it; without a covariance each is the mean. Row i is drawn from (seed, stream + i). SYSTEM. */
enum status gauss_draw(float *rows, const struct gauss *g, size_t n, uint64_t seed, uint64_t stream, struct err *err);

#endif
