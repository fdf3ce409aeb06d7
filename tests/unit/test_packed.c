/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products with packed matrices, and those of one vector with many, against plain loops over odd sizes; the same bits
 * for any number of threads and any company.
 */
#include "unit.h"

#include "floats.h"

/* What eight bits leave of W: of 32 numbers of a row the largest magnitude is 127. */
static void
quantise(float *W, size_t N, size_t K)
{
    for (size_t j = 0; j < N; j++)
        for (size_t k = 0; k < K; k += 32) {
            size_t n = K - k < 32 ? K - k : 32;
            float *w = W + j * K + k, most = 0;

            for (size_t i = 0; i < n; i++)
                most = fabsf(w[i]) > most ? fabsf(w[i]) : most;
            for (size_t i = 0; i < n && most > 0; i++)
                w[i] = (fmaf(w[i], 127 / most, 12582912.0F) - 12582912.0F) * (most / 127); /* to the nearest */
        }
}

/* In two pieces that do not end where panels do. */
static bool
put_odd(struct packed *P, void *memory, enum packing kind, struct packed_source W, size_t N, size_t K)
{
    size_t j = N * 2 / 5;
    const char *rest = (const char *)W.p + j * K * (W.half ? sizeof(bf16) : sizeof(float));
    bool finite;

    packed_init(P, memory, kind, N, K);
    finite = packed_put(P, j, N - j, (struct packed_source){rest, W.half});
    return packed_put(P, 0, j, W) && finite;
}

/* Whether packed_some, of all K at once and part by part, gives the bits of Y (M, ldy), panel by panel and for the rows
 * in backward order. */
static bool
same_in_panels(const float *Y, size_t ldy, const float *X, const struct packed *P, size_t M)
{
    size_t panel = packed_panel(), panels = (P->N + panel - 1) / panel, pairs = (P->K + 1) / 2 * 2;
    bf16 *half = calloc(M, pairs * sizeof *half);
    float *tile = malloc(M * panels * panel * sizeof *tile), **y = malloc(M * sizeof *y);
    const void **x = malloc(M * sizeof *x);
    bool same = true;

    for (size_t i = 0; i < M; i++)
        bf16_pack(half + i * pairs, X + i * P->K, P->K);
    for (int parts = 0; parts < 2; parts++) {
        size_t step = parts == 0 ? P->K : 134;

        memset(tile, 0xff, M * panels * panel * sizeof *tile);
        for (size_t k = 0; k < P->K; k += step) {
            for (size_t i = 0; i < M; i++) {
                size_t row = M - 1 - i;

                y[i] = tile + row * panels * panel;
                x[i] = P->kind == PACK_BF16 ? (const void *)(half + row * pairs + k) : X + row * P->K + k;
            }
            for (size_t q = 0; q < panels; q++)
                packed_some(y, x, P, M, (struct packed_part){q, q + 1, k, P->K - k < step ? P->K - k : step, k > 0});
        }
        for (size_t i = 0; i < M; i++)
            same = same && memcmp(tile + i * panels * panel, Y + i * ldy, P->N * sizeof *Y) == 0;
    }
    free(half);
    free(tile);
    free(y);
    free(x);
    return same;
}

/* Against the plain product of what the packing leaves of W, and of X where that is rounded too. */
static void
check_packed(struct rng *r, enum packing kind, size_t M, size_t N, size_t K)
{
    static const char *const name[] = {"float32", "bfloat16", "eight bits", "widened"};
    float *X = random_floats(r, M * K), *W = random_floats(r, N * K), *y = random_floats(r, N);
    float *Y1 = random_floats(r, M * (N + 3)), *Y4 = random_floats(r, M * (N + 3)), *Y = random_floats(r, M * N);
    float *scratch = malloc((M * (K + 1) + 1) * sizeof *scratch);
    bf16 *h = NULL;
    bool alone = true, same = true, finite;
    struct packed P;
    size_t bytes;
    void *memory;

    CHECK(packed_size(&bytes, kind, N, K) && bytes % 64 == 0, "packed_size");
    memory = aligned_alloc(64, bytes);
    num_init(4);
    finite = put_odd(&P, memory, kind, (struct packed_source){W, false}, N, K);
    packed_rows(Y4, N + 3, X, &P, M, scratch);
    if (kind == PACK_BF16 || kind == PACK_WIDE) {
        h = half_floats(W, N * K);
        finite = put_odd(&P, memory, kind, (struct packed_source){h, true}, N, K) && finite;
    }
    if (kind == PACK_BF16)
        free(half_floats(X, M * K));
    else if (kind == PACK_Q8)
        quantise(W, N, K);
    num_init(1);
    packed_rows(Y1, N + 3, X, &P, M, scratch);
    CHECK(kind > PACK_BF16 || same_in_panels(Y1, N + 3, X, &P, M), "packed %s %zux%zux%zu: panels by themselves",
        name[kind], M, N, K);
    for (size_t i = 0; i < M; i++) {
        packed_rows(y, N, X + i * K, &P, 1, scratch);
        alone = alone && memcmp(y, Y1 + i * (N + 3), N * sizeof *y) == 0;
        same = same && memcmp(Y4 + i * (N + 3), Y1 + i * (N + 3), N * sizeof *y) == 0;
        memcpy(Y + i * N, y, N * sizeof *y);
    }
    CHECK(worst(Y, Y, X, false, W, true, M, N, K, 1, 0) <= 1e-5, "packed %s %zux%zux%zu is the product", name[kind], M,
        N, K);
    if (kind == PACK_WIDE) {
        finite = packed_size(&bytes, PACK_F32, N, K) && finite;
        free(memory);
        memory = aligned_alloc(64, bytes);
        finite = put_odd(&P, memory, PACK_F32, (struct packed_source){W, false}, N, K) && finite;
        packed_rows(Y4, N + 3, X, &P, M, scratch);
        for (size_t i = 0; i < M; i++)
            same = same && memcmp(Y4 + i * (N + 3), Y1 + i * (N + 3), N * sizeof *y) == 0;
        CHECK(same, "packed %zux%zux%zu: widened numbers give the bits that float32 gives", M, N, K);
    }
    CHECK(finite, "packed %s %zux%zux%zu: all numbers are finite", name[kind], M, N, K);
    CHECK(same, "packed %s %zux%zux%zu: same bits for 1 and 4 threads, from either source", name[kind], M, N, K);
    CHECK(alone, "packed %s %zux%zux%zu: a row alone has the bits it has in company", name[kind], M, N, K);
    free(X);
    free(W);
    free(y);
    free(Y);
    free(Y1);
    free(Y4);
    free(h);
    free(scratch);
    free(memory);
}

static void
test_packed(void)
{
    static const size_t size[][3] = {
        {1, 1, 1}, {2, 40, 70}, {3, 5, 7}, {17, 33, 65}, {130, 257, 19}, {1, 2000, 129}, {7, 1500, 66}, {9, 70, 1301}};
    struct rng r = rng_seed(7, 3);
    size_t bytes;

    for (size_t i = 0; i < sizeof size / sizeof *size; i++)
        for (int kind = PACK_F32; kind <= PACK_WIDE; kind++)
            check_packed(&r, (enum packing)kind, size[i][0], size[i][1], size[i][2]);
    CHECK(!packed_size(&bytes, PACK_F32, SIZE_MAX / 4, 64) && !packed_size(&bytes, PACK_Q8, 64, SIZE_MAX / 2),
        "a packed size that overflows is refused");
}

/* Against double sums; n rows at once against each alone. */
static void
check_dots(struct rng *r, size_t n, size_t E)
{
    size_t ld = E + 3;
    float *q = random_floats(r, E), *k = random_floats(r, n * ld), *s = random_floats(r, n), *o = random_floats(r, E);
    float *was = malloc(E * sizeof *was), alone, far = 0;
    bool same = true;

    memcpy(was, o, E * sizeof *o);
    vec_dots(s, q, k, false, ld, n, E);
    for (size_t p = 0; p < n; p++) {
        double sum = 0;

        for (size_t e = 0; e < E; e++)
            sum += (double)q[e] * (double)k[p * ld + e];
        far = fmaxf(far, fabsf((float)sum - s[p]));
        vec_dots(&alone, q, k + p * ld, false, ld, 1, E);
        same = same && memcmp(&alone, s + p, sizeof alone) == 0;
    }
    CHECK(far <= 1e-5F * (float)E && same, "vec_dots %zux%zu: the products, each as it is alone (%.1e)", n, E,
        (double)far);
    far = 0;
    vec_sums(o, s, k, false, ld, n, E);
    for (size_t e = 0; e < E; e++) {
        double sum = (double)was[e];

        for (size_t p = 0; p < n; p++)
            sum += (double)s[p] * (double)k[p * ld + e];
        far = fmaxf(far, fabsf((float)sum - o[e]) / (1 + fabsf((float)sum)));
    }
    for (size_t p = 0; p < n; p++)
        vec_sums(was, s + p, k + p * ld, false, ld, 1, E);
    same = memcmp(was, o, E * sizeof *o) == 0;
    CHECK(far <= 1e-4F && same, "vec_sums %zux%zu: the sums, one row after the other (%.1e)", n, E, (double)far);
    free(q);
    free(k);
    free(s);
    free(o);
    free(was);
}

/* Rows of bfloat16 give what float32 gives of the same numbers. */
static void
check_half_dots(struct rng *r, size_t n, size_t E)
{
    float *q = random_floats(r, E), *k = random_floats(r, n * E), *s = random_floats(r, n), *o = random_floats(r, E);
    float *t = malloc(n * sizeof *t), *p = malloc(E * sizeof *p);
    bf16 *half = half_floats(k, n * E);

    memcpy(p, o, E * sizeof *p);
    vec_dots(s, q, k, false, E, n, E);
    vec_dots(t, q, half, true, E, n, E);
    vec_sums(o, s, k, false, E, n, E);
    vec_sums(p, s, half, true, E, n, E);
    CHECK(memcmp(s, t, n * sizeof *s) == 0 && memcmp(o, p, E * sizeof *o) == 0,
        "vec_dots and vec_sums %zux%zu: the same of bfloat16", n, E);
    free(q);
    free(k);
    free(s);
    free(o);
    free(t);
    free(p);
    free(half);
}

static void
test_dots(void)
{
    static const size_t rows[] = {1, 3, 4, 15, 16, 39}, widths[] = {1, 6, 16, 40, 64, 150};
    struct rng r = rng_seed(8, 1);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < sizeof widths / sizeof *widths; j++) {
            check_dots(&r, rows[i], widths[j]);
            check_half_dots(&r, rows[i], widths[j]);
        }
}

int
main(void)
{
    test_packed();
    test_dots();
    return unit_done();
}
