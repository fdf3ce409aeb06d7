/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads: ours are OpenMP's; BLAS runs on one thread below them.
 *
 * openblas_set_num_threads(1) settles it where OpenBLAS brings its own threads. In a build of OpenBLAS over OpenMP a
 * later call takes the OpenMP maximum again (OpenBLAS issue 5806) unless it is made inside a parallel region or that
 * maximum is 1: so every BLAS call of this room is made inside a region of num_threads() threads, and both cases are
 * covered.
 */
#include "num/num.h"

#include <stdio.h>

#include <cblas.h>
#include <omp.h>

static int threads = 1;

void
num_init(int n)
{
    threads = n < 1 ? 1 : n;
    omp_set_dynamic(0);
    omp_set_num_threads(threads);
    openblas_set_num_threads(1);
}

int
num_threads(void)
{
    return threads;
}

int
num_thread(void)
{
    return omp_get_thread_num();
}

/* Not above 2^18: smaller products than that OpenBLAS itself keeps on one thread, whichever way it was built. */
#define SERIAL ((size_t)1 << 17)

int
num_threads_for(size_t operations)
{
    return operations < SERIAL ? 1 : threads;
}

const char *
num_about(int n)
{
    static char text[160];
    char config[80] = "OpenBLAS";

    /* "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH … SkylakeX MAX_THREADS=64": the first two words count. */
    (void)sscanf(openblas_get_config(), "%40[^ ] %30[^ ]", config, config + 41);
    (void)snprintf(
        text, sizeof text, "%s %s %s, %d thread%s", config, config + 41, openblas_get_corename(), n, n == 1 ? "" : "s");
    return text;
}
