/* SPDX-License-Identifier: Apache-2.0 */
/* mat_chain against a plain triple loop in double, over odd sizes; and what attention relies on, to the last bit. */
#include <stdlib.h>
#include <string.h>

#include "num/num.h"
#include "unit.h"

enum { LD = 160 };
static float A[140 * LD], B[140 * LD], C[140 * LD], D[140 * LD];

static double
error(size_t M, size_t N, size_t K)
{
    double worst = 0;

    memset(C, 0, sizeof C);
    mat_chain(C, LD, A, LD, B, LD, M, N, K);
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++) {
            double want = 0, e;

            for (size_t k = 0; k < K; k++)
                want += (double)A[i * LD + k] * (double)B[k * LD + j];
            e = fabs((double)C[i * LD + j] - want);
            worst = !(e <= worst) ? e : worst;
        }
    return worst;
}

int
main(void)
{
    struct rng rng = rng_seed(1, 1);
    size_t sizes[] = {1, 2, 7, 8, 9, 16, 17, 33, 64, 130};
    double worst = 0;

    num_init(1);
    for (size_t i = 0; i < sizeof A / sizeof *A; i++)
        A[i] = (float)rng_normal(&rng);
    for (size_t i = 0; i < sizeof B / sizeof *B; i++)
        B[i] = (float)rng_normal(&rng);
    for (size_t m = 0; m < 10; m++)
        for (size_t n = 0; n < 10; n++)
            for (size_t k = 0; k < 10; k++) {
                double e = error(sizes[m], sizes[n], sizes[k]);

                worst = !(e <= worst) ? e : worst;
            }
    CHECK(worst <= 3e-5, "mat_chain: the product, for odd sizes too (error %.1e)", worst);
    memset(C, 0, sizeof C);
    memset(D, 0, sizeof D);
    mat_chain(C, LD, A, LD, B, LD, 37, 150, 50);
    for (size_t i = 0; i < 37; i++)
        mat_chain(D + i * LD, LD, A + i * LD, LD, B, LD, 1, 150, 50);
    CHECK(memcmp(C, D, 150 * sizeof(float)) == 0, "mat_chain: a row alone has the same bits");
    for (size_t i = 1; i < 37; i++)
        if (memcmp(C + i * LD, D + i * LD, 150 * sizeof(float)) != 0)
            CHECK(false, "mat_chain: row %zu alone has the same bits", i);
    memset(D, 0, sizeof D);
    mat_chain(D, LD, A, LD, B, LD, 37, 150, 20);
    mat_chain(D, LD, A + 20, LD, B + 20 * LD, LD, 37, 150, 30);
    CHECK(memcmp(C, D, sizeof C) == 0, "mat_chain: in two pieces over k it has the same bits");
    return unit_done();
}
