/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rates [THREADS] - what this machine can do, as the other benchmarks are measured by it: bytes read from memory a
 * second, and products of float32 and bfloat16 matrices, each at its best. Prints three numbers: GB/s, and GFLOP/s of
 * the two (0 where the processor has no bfloat16).
 */
#include <stdio.h>
#include <stdlib.h>

#include "num/num.h"

#define BYTES ((size_t)1 << 30)
#define PIECE ((size_t)1 << 20)
#define SIDE ((size_t)2048)
#define ROUNDS 7

/* The sum keeps the reads alive. */
static double
read_rate(const uint64_t *block, uint64_t *sum)
{
    double best = 0;

    for (int r = 0; r < ROUNDS; r++) {
        double since = cli_seconds(), rate;
        uint64_t all = 0;

#pragma omp parallel for schedule(static) num_threads(num_threads()) reduction(+ : all)
        for (size_t i = 0; i < BYTES / PIECE; i++) {
            uint64_t lane[32] = {0}; /* chains enough not to wait for one another */

            for (size_t k = 0; k < PIECE / sizeof *block; k += 32)
                for (size_t j = 0; j < 32; j++)
                    lane[j] += block[i * (PIECE / sizeof *block) + k + j];
            for (size_t j = 0; j < 32; j++)
                all += lane[j];
        }
        *sum += all;
        rate = (double)BYTES / (cli_seconds() - since) / 1e9;
        best = rate > best ? rate : best;
    }
    return best;
}

static double
product_rate(float *C, const void *A, const void *B, struct mul16 *m)
{
    double best = 0;

    for (int r = 0; r < ROUNDS; r++) {
        double since = cli_seconds(), rate;

        if (m != NULL)
            mul16(m, C, SIDE, A, SIDE, false, B, SIDE, true, SIDE, SIDE, SIDE, 0);
        else
            mat_mul(C, SIDE, A, SIDE, false, B, SIDE, true, SIDE, SIDE, SIDE, 1, 0);
        rate = 2 * (double)(SIDE * SIDE * SIDE) / (cli_seconds() - since) / 1e9;
        best = rate > best ? rate : best;
    }
    return best;
}

int
main(int argc, char **argv)
{
    uint64_t *block = malloc(BYTES), sum = 0;
    float *A = malloc(SIDE * SIDE * sizeof *A), *C = malloc(SIDE * SIDE * sizeof *C);
    bf16 *half = malloc(SIDE * SIDE * sizeof *half);
    struct mul16 *m = NULL;
    double bytes, f32, b16 = 0;

    num_init(argc > 1 ? atoi(argv[1]) : 1);
    if (block == NULL || A == NULL || C == NULL || half == NULL) {
        (void)fprintf(stderr, "rates: out of memory\n");
        return 71;
    }
    num_large_pages(block, BYTES); /* as weights have */
    for (size_t i = 0; i < BYTES / sizeof *block; i++)
        block[i] = i;
    for (size_t i = 0; i < SIDE * SIDE; i++)
        A[i] = (float)(i % 127) / 127 - 0.5F;
    bf16_pack(half, A, SIDE * SIDE);
    bytes = read_rate(block, &sum);
    f32 = product_rate(C, A, A, NULL);
    if (mul16_fast() && mul16_new(&m, NULL) == OK)
        b16 = product_rate(C, half, half, m);
    if (printf("%.1f %.0f %.0f\n", bytes, f32, b16) < 0 || fflush(stdout) != 0)
        return 74;
    mul16_free(m);
    free(block);
    free(A);
    free(C);
    free(half);
    return sum == 0; /* it is not */
}
