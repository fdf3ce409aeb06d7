/* SPDX-License-Identifier: Apache-2.0 */
/*
 * num: matrix products against plain loops in double over odd sizes, the same bits for any number of threads and any
 * company; hashes and generators against published values.
 *
 * XXH64: from xxHash's own sanity test and documentation. xoshiro256**: its authors' C code, run from the state 1 2 3
 * 4.
 */
#include "num/num.h"

#include <stdlib.h>
#include <string.h>

#include "unit.h"

static float *
random_floats(struct rng *r, size_t n)
{
    float *x = malloc((n + 1) * sizeof *x);

    for (size_t i = 0; x != NULL && i < n; i++)
        x[i] = (float)rng_normal(r);
    return x;
}

/* Element (i, j) of op(X). */
static double
at(const float *x, size_t ld, bool t, size_t i, size_t j)
{
    return (double)(t ? x[j * ld + i] : x[i * ld + j]);
}

/* The largest |C - reference| over sqrt(K). */
static double
worst(const float *C, const float *C0, const float *A, bool ta, const float *B, bool tb, size_t M, size_t N, size_t K,
    double alpha, double beta)
{
    double most = 0;

    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++) {
            double want = beta * (double)C0[i * N + j], d;

            for (size_t k = 0; k < K; k++)
                want += alpha * at(A, ta ? M : K, ta, i, k) * at(B, tb ? K : N, tb, k, j);
            d = fabs((double)C[i * N + j] - want) / sqrt((double)K + 1);
            if (!(d <= most))
                most = d;
        }
    return most;
}

static void
check_mul(struct rng *r, size_t M, size_t N, size_t K, bool ta, bool tb)
{
    float *A = random_floats(r, M * K), *B = random_floats(r, K * N), *C0 = random_floats(r, M * N);
    float *C1 = random_floats(r, M * N), *C4 = random_floats(r, M * N);

    memcpy(C1, C0, M * N * sizeof *C1);
    memcpy(C4, C0, M * N * sizeof *C4);
    num_init(1);
    mat_mul(C1, N, A, ta ? M : K, ta, B, tb ? K : N, tb, M, N, K, 0.5F, 1);
    num_init(4);
    mat_mul(C4, N, A, ta ? M : K, ta, B, tb ? K : N, tb, M, N, K, 0.5F, 1);
    CHECK(worst(C1, C0, A, ta, B, tb, M, N, K, 0.5, 1) <= 1e-5, "mat_mul %zux%zux%zu %d%d is the product", M, N, K, ta,
        tb);
    CHECK(memcmp(C1, C4, M * N * sizeof *C1) == 0, "mat_mul %zux%zux%zu: same bits for 1 and 4 threads", M, N, K);
    free(A);
    free(B);
    free(C0);
    free(C1);
    free(C4);
}

static void
check_rows(struct rng *r, size_t M, size_t N, size_t K, bool packed)
{
    float *X = random_floats(r, M * K), *W = random_floats(r, N * K), *P = random_floats(r, mat_pack_size(N, K));
    float *Y1 = random_floats(r, M * N), *Y4 = random_floats(r, M * N), *y = random_floats(r, N);
    const char *name = packed ? "mat_packed_rows" : "mat_rows";
    void (*rows)(float *, const float *, const float *, size_t, size_t, size_t) = packed ? mat_packed_rows : mat_rows;
    bool alone = true;

    mat_pack(P, W, N, K);
    num_init(1);
    rows(Y1, X, packed ? P : W, M, N, K);
    num_init(4);
    rows(Y4, X, packed ? P : W, M, N, K);
    for (size_t i = 0; i < M; i++) {
        rows(y, X + i * K, packed ? P : W, 1, N, K);
        alone = alone && memcmp(y, Y1 + i * N, N * sizeof *y) == 0;
    }
    CHECK(worst(Y1, Y4, X, false, W, true, M, N, K, 1, 0) <= 1e-5, "%s %zux%zux%zu is the product", name, M, N, K);
    CHECK(memcmp(Y1, Y4, M * N * sizeof *Y1) == 0, "%s %zux%zux%zu: same bits for 1 and 4 threads", name, M, N, K);
    CHECK(alone, "%s %zux%zux%zu: a row alone has the bits it has in company", name, M, N, K);
    free(X);
    free(W);
    free(P);
    free(Y1);
    free(Y4);
    free(y);
}

static void
test_products(void)
{
    static const size_t size[][3] = {
        {1, 1, 1}, {3, 5, 7}, {17, 33, 65}, {130, 257, 19}, {600, 70, 31}, {1, 2000, 129}, {7, 1500, 65}};
    struct rng r = rng_seed(7, 1);

    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        for (int t = 0; t < 4; t++)
            check_mul(&r, size[i][0], size[i][1], size[i][2], t & 1, t & 2);
    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        for (int packed = 0; packed < 2; packed++)
            check_rows(&r, size[i][0], size[i][1], size[i][2], packed);
}

static void
test_hash(void)
{
    static const char nobody[] = "Nobody inspects the spammish repetition";

    CHECK(hash64(0, NULL, 0) == 0xEF46DB3751D8E999U, "XXH64 of nothing");
    CHECK(hash64(0, "a", 1) == 0xD24EC4F1A98C6E5BU, "XXH64 of a");
    CHECK(hash64(0, "abc", 3) == 0x44BC2CF5AD770999U, "XXH64 of abc");
    CHECK(hash64(0, nobody, sizeof nobody - 1) == 0xFBCEA83C8A378BF1U, "XXH64 of 39 bytes");
    CHECK(hash64(1, "a", 1) != hash64(0, "a", 1), "the seed counts");
}

static void
test_rng(void)
{
    static const uint64_t want[] = {11520, 0, 1509978240, 1215971899390074240};
    struct rng r = {{1, 2, 3, 4}}, a = rng_seed(1, 2), b = rng_seed(2, 1), c = rng_seed_id(5, "x", 1);
    double sum = 0, square = 0;
    uint32_t x[100];
    uint64_t bins[7] = {0};
    size_t seen = 0;

    for (size_t i = 0; i < 4; i++)
        CHECK(rng_u64(&r) == want[i], "xoshiro256** draw %zu", i);
    CHECK(rng_u64(&a) != rng_u64(&b), "seed and stream are not exchangeable");
    for (size_t i = 0; i < 100000; i++) {
        double z = rng_normal(&c);

        sum += z;
        square += z * z;
        bins[rng_below(&c, 7)]++;
    }
    NEAR(sum / 1e5, 0, 0.02, "normal draws have mean 0");
    NEAR(square / 1e5, 1, 0.03, "and variance 1");
    for (size_t i = 0; i < 7; i++)
        NEAR(bins[i], 1e5 / 7, 600, "draws below 7 are uniform: %zu", i);
    for (uint32_t i = 0; i < 100; i++)
        x[i] = i;
    rng_shuffle(&c, x, 100);
    for (uint32_t i = 0; i < 100; i++)
        for (size_t j = 0; j < 100; j++)
            seen += x[j] == i;
    CHECK(seen == 100 && !(x[0] == 0 && x[1] == 1 && x[2] == 2), "a shuffle is a permutation");
}

static void
test_vectors(void)
{
    float x[37], y[37], zero[3] = {0};
    double want = 0;

    for (size_t i = 0; i < 37; i++) {
        x[i] = (float)i * 0.25F - 3;
        y[i] = 1 / (float)(i + 1);
        want += (double)x[i] * (double)y[i];
    }
    NEAR(vec_dot(x, y, 37), want, 1e-6, "vec_dot");
    NEAR(vec_norm(x, 2), sqrt(9 + 2.75 * 2.75), 1e-12, "vec_norm");
    vec_axpy(y, 2, x, 37);
    NEAR(y[36], 2 * 6.0 + 1.0 / 37, 1e-6, "vec_axpy");
    CHECK(vec_unit(x, 37), "vec_unit");
    NEAR(vec_norm(x, 37), 1, 1e-6, "a unit vector has length 1");
    CHECK(!vec_unit(zero, 3), "vec_unit refuses length 0");
}

static void
quantiles(void)
{
    struct quantiles q = {0};
    bool fine = quantiles_at(&q, 0.5) == 0;

    for (int i = 0; i < 3000; i++)
        fine = fine && quantiles_add(&q, (double)(i * 7 % 3000), NULL) == OK;
    CHECK(fine && quantiles_at(&q, 0.5) == 1499 && quantiles_at(&q, 0.95) == 2849 && quantiles_at(&q, 1) == 2999,
        "quantiles of 0 ... 2999");
    quantiles_free(&q);
    fine = quantiles_add(&q, 4, NULL) == OK;
    CHECK(fine && quantiles_at(&q, 0.001) == 4, "and of one number");
    quantiles_free(&q);
}

int
main(void)
{
    num_init(2);
    CHECK(num_threads() == 2, "num_threads");
    CHECK(strncmp(num_about(), "OpenBLAS 0.", 11) == 0, "num_about: %s", num_about());
    test_products();
    test_hash();
    test_rng();
    test_vectors();
    quantiles();
    return unit_done();
}
