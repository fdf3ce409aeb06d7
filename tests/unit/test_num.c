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

#include "num/widened.h"
#include "unit.h"

#include "floats.h"

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
check_rows(struct rng *r, size_t M, size_t N, size_t K)
{
    float *X = random_floats(r, M * K), *W = random_floats(r, N * K);
    float *Y1 = random_floats(r, M * N), *Y4 = random_floats(r, M * N), *y = random_floats(r, N);
    bool alone = true;

    num_init(1);
    mat_rows(Y1, X, W, M, N, K);
    num_init(4);
    mat_rows(Y4, X, W, M, N, K);
    for (size_t i = 0; i < M; i++) {
        mat_rows(y, X + i * K, W, 1, N, K);
        alone = alone && memcmp(y, Y1 + i * N, N * sizeof *y) == 0;
    }
    CHECK(worst(Y1, Y4, X, false, W, true, M, N, K, 1, 0) <= 1e-5, "mat_rows %zux%zux%zu is the product", M, N, K);
    CHECK(memcmp(Y1, Y4, M * N * sizeof *Y1) == 0, "mat_rows %zux%zux%zu: same bits for 1 and 4 threads", M, N, K);
    CHECK(alone, "mat_rows %zux%zux%zu: a row alone has the bits it has in company", M, N, K);
    free(X);
    free(W);
    free(Y1);
    free(Y4);
    free(y);
}

static void
check_mul16(struct mul16 *const m[2], struct rng *r, size_t M, size_t N, size_t K, bool ta, bool tb)
{
    float *A = random_floats(r, M * K), *B = random_floats(r, K * N), *C0 = random_floats(r, M * N);
    float *C1 = random_floats(r, M * N), *C2 = random_floats(r, M * N);
    bf16 *a = half_floats(A, M * K), *b = half_floats(B, K * N);
    float *work = malloc(widened_floats(M, N) * sizeof *work);
    struct err err;

    for (int beta = 0; beta < 2; beta++) {
        memcpy(C1, C0, M * N * sizeof *C1);
        widened_mul(C1, N, a, ta ? M : K, ta, b, tb ? K : N, tb, M, N, K, beta, work);
        CHECK(worst(C1, C0, A, ta, B, tb, M, N, K, 1, beta) <= 1e-5,
            "widened_mul %zux%zux%zu %d%d beta %d is the product", M, N, K, ta, tb, beta);
        memcpy(C1, C0, M * N * sizeof *C1);
        memcpy(C2, C0, M * N * sizeof *C2);
        num_init(1);
        mul16(m[0], C1, N, a, ta ? M : K, ta, b, tb ? K : N, tb, M, N, K, beta);
        num_init(2);
        mul16(m[1], C2, N, a, ta ? M : K, ta, b, tb ? K : N, tb, M, N, K, beta);
        CHECK(mul16_status(m[0], &err) == OK && mul16_status(m[1], &err) == OK, "mul16 %zux%zux%zu", M, N, K);
        CHECK(worst(C1, C0, A, ta, B, tb, M, N, K, 1, beta) <= 1e-5, "mul16 %zux%zux%zu %d%d beta %d is the product", M,
            N, K, ta, tb, beta);
        CHECK(memcmp(C1, C2, M * N * sizeof *C1) == 0, "mul16 %zux%zux%zu: same bits for 1 and 2 threads", M, N, K);
    }
    free(A);
    free(B);
    free(C0);
    free(C1);
    free(C2);
    free(a);
    free(b);
    free(work);
}

static void
test_half(void)
{
    /* Ties go to even; rounding may carry into the exponent; a NaN whose upper half is that of infinity stays one. */
    static const uint32_t from[] = {
        0x3f800000, 0x3f808000, 0x3f818000, 0x3f808001, 0x3fffffff, 0x7f7fffff, 0xff800000, 0x7f800001, 0x80000000};
    static const bf16 to[] = {0x3f80, 0x3f80, 0x3f82, 0x3f81, 0x4000, 0x7f80, 0xff80, 0x7fc0, 0x8000};
    static const size_t size[][3] = {
        {1, 1, 1}, {3, 5, 7}, {64, 33, 65}, {130, 257, 19}, {600, 70, 31}, {1, 2000, 129}, {20, 30, 600}};
    struct mul16 *m[2] = {NULL, NULL};
    struct rng r = rng_seed(7, 2);
    struct err err;
    float x;
    bf16 h;

    for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
        memcpy(&x, &from[i], sizeof x);
        bf16_pack(&h, &x, 1);
        CHECK(h == to[i], "bf16_pack %08x is %04x, got %04x", (unsigned)from[i], (unsigned)to[i], (unsigned)h);
    }
    num_init(1);
    CHECK(mul16_new(&m[0], &err) == OK, "mul16_new");
    num_init(2);
    CHECK(mul16_new(&m[1], &err) == OK, "mul16_new");
    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        for (int t = 0; t < 4; t++)
            check_mul16(m, &r, size[i][0], size[i][1], size[i][2], t & 1, t & 2);
    mul16_free(m[0]);
    mul16_free(m[1]);
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
        check_rows(&r, size[i][0], size[i][1], size[i][2]);
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
    for (size_t n = 0; n <= 40; n++) {
        char text[16][40];
        const char *p[16];
        uint64_t hash[16];
        bool same = true;

        for (size_t i = 0; i < 16; i++) {
            for (size_t j = 0; j < n; j++)
                text[i][j] = (char)(i * 40 + j * 7);
            p[i] = text[i];
        }
        hash64_sixteen(hash, n, p, n);
        for (size_t i = 0; i < 16; i++)
            same = same && hash[i] == hash64(n, p[i], n);
        CHECK(same, "sixteen strings of %zu bytes", n);
    }
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
    CHECK(strncmp(num_about(num_threads()), "OpenBLAS 0.", 11) == 0, "num_about: %s", num_about(num_threads()));
    test_products();
    test_half();
    num_init(2);
    test_hash();
    test_rng();
    test_vectors();
    quantiles();
    return unit_done();
}
