/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eigenvectors of a symmetric matrix: LAPACK's dsyevd (divide and conquer; Cuppen 1981), about 9 n³ operations.
 */
#include "num/num.h"

#include <stdlib.h>

#include <lapacke.h>

enum status
mat_eigen(double *A, double *values, size_t n, struct err *err)
{
    lapack_int info = 0;

    if (n == 0)
        return OK;
        /* A region for one call: see threads.c. */
#pragma omp parallel for num_threads(num_threads())
    for (int once = 0; once < 1; once++)
        info = LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'V', 'U', (lapack_int)n, A, (lapack_int)n, values);
    if (info == LAPACK_WORK_MEMORY_ERROR || info == LAPACK_TRANSPOSE_MEMORY_ERROR)
        return err_memory(err);
    return info == 0 ? OK : err_set(err, SYSTEM, "dsyevd failed with %d", (int)info);
}
