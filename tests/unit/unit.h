/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A unit test is a program that prints TAP. CHECK counts one claim; the claim is its text:
 *     CHECK(ids_count(ids) == 3, "a repeated id is not added again");
 * NEAR is written so that a NaN fails. End main with return unit_done().
 */
#ifndef UNIT_H
#define UNIT_H

#include <math.h>
#include <stdio.h>

static int unit_count, unit_failed;

#define CHECK(cond, ...) \
    do { \
        bool unit_ok = (cond); \
        unit_count++; \
        unit_failed += !unit_ok; \
        printf("%sok %d - ", unit_ok ? "" : "not ", unit_count); \
        printf(__VA_ARGS__); \
        printf("\n"); \
        if (!unit_ok) \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond); \
        fflush(stdout); \
    } while (0)

#define NEAR(a, b, tol, ...) CHECK(fabs((double)(a) - (double)(b)) <= (tol), __VA_ARGS__)

static inline int
unit_done(void)
{
    printf("1..%d\n", unit_count);
    return unit_failed == 0 && unit_count > 0 ? 0 : 1;
}

#endif
