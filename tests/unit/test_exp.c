/* SPDX-License-Identifier: Apache-2.0 */
/* vec_exp, vec_max and vec_logsumexp against the C library's exp and log in double. */
#include <stdlib.h>

#include "num/num.h"
#include "unit.h"

int
main(void)
{
    enum { N = 4099 };
    static float x[N], y[N];
    double worst = 0, sum = 0;

    for (size_t i = 0; i < N; i++)
        x[i] = -87.0f + 175.0f * (float)i / (float)N;
    vec_exp(y, x, N);
    for (size_t i = 0; i < N; i++) {
        double e = fabs((double)y[i] / exp((double)x[i]) - 1);

        worst = !(e <= worst) ? e : worst;
    }
    CHECK(worst <= 3e-7, "vec_exp: relative error below 3e-7 from -87 to 88 (found %.2e)", worst);
    x[0] = -INFINITY;
    x[1] = -100;
    x[2] = 0;
    x[3] = 200;
    x[4] = NAN;
    vec_exp(y, x, 5);
    CHECK(y[0] == 0 && y[1] == 0 && y[2] == 1, "vec_exp: 0 of -infinity and below -87.3, 1 of 0");
    CHECK(isfinite(y[3]) && y[3] > 1e38f, "vec_exp: large arguments stay finite");
    CHECK(isnan(y[4]), "vec_exp: a NaN stays one");
    for (size_t i = 0; i < N; i++) {
        x[i] = (float)(i * 7919 % 1000) / 50.0f + 300;
        sum += exp((double)x[i] - 300);
    }
    NEAR(vec_logsumexp(x, N), 300 + log(sum), 1e-5, "vec_logsumexp: as in double");
    CHECK(vec_max(x, N) == 300 + 999 / 50.0f, "vec_max: the largest");
    CHECK(vec_max(x, 0) == -INFINITY && vec_logsumexp(x, 0) == -INFINITY, "of nothing: -infinity");
    x[77] = -INFINITY;
    CHECK(isfinite(vec_logsumexp(x, N)), "vec_logsumexp: what is masked counts nothing");
    x[78] = NAN;
    CHECK(isnan(vec_logsumexp(x, N)), "vec_logsumexp: a NaN is not lost");
    return unit_done();
}
