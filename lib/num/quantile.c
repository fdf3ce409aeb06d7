/* SPDX-License-Identifier: Apache-2.0 */
/* Quantiles by keeping the numbers and sorting them. */
#include <math.h>
#include <stdlib.h>

#include "num/num.h"

void
quantiles_free(struct quantiles *q)
{
    free(q->p);
    *q = (struct quantiles){0};
}

enum status
quantiles_add(struct quantiles *q, double x, struct err *err)
{
    if (q->n == q->cap) {
        size_t cap = q->cap == 0 ? 1024 : 2 * q->cap;
        double *p = realloc(q->p, cap * sizeof *p);

        if (p == NULL)
            return err_memory(err);
        q->p = p;
        q->cap = cap;
    }
    q->p[q->n++] = x;
    return OK;
}

static int
compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

double
quantiles_at(struct quantiles *q, double share)
{
    size_t at = (size_t)ceil(share * (double)q->n);

    if (q->n == 0)
        return 0;
    qsort(q->p, q->n, sizeof *q->p, compare);
    return q->p[at > 0 ? at - 1 : 0];
}
