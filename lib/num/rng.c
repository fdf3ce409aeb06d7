/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers: xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021)
 * whose state is filled by splitmix64 (Steele, Lea and Flood 2014), as its authors advise. Constant time and memory a
 * draw.
 */
#include "num/num.h"

#include <math.h>
#include <string.h>

static uint64_t
rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static uint64_t
splitmix(uint64_t *x)
{
    uint64_t z = (*x += 0x9E3779B97F4A7C15U);

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
    z = (z ^ z >> 27) * 0x94D049BB133111EBU;
    return z ^ z >> 31;
}

struct rng
rng_seed(uint64_t seed, uint64_t stream)
{
    struct rng r;
    uint64_t x = seed, y = stream;

    /* Both are scrambled first: (1, 2) and (2, 1) are different generators. */
    x = splitmix(&x) + rotl(splitmix(&y), 32);
    for (size_t i = 0; i < 4; i++)
        r.s[i] = splitmix(&x);
    return r;
}

struct rng
rng_seed_id(uint64_t seed, const void *id, size_t n)
{
    return rng_seed(seed, hash64(seed, id, n));
}

uint64_t
rng_u64(struct rng *r)
{
    uint64_t *s = r->s, out = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return out;
}

double
rng_unit(struct rng *r)
{
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

/* Lemire, "Fast random integer generation in an interval", 2019: the high half of a product, biased draws rejected. */
uint64_t
rng_below(struct rng *r, uint64_t n)
{
    uint64_t least = -n % n;
    __extension__ unsigned __int128 m;

    do
        m = __extension__(unsigned __int128) rng_u64(r) * n;
    while ((uint64_t)m < least);
    return (uint64_t)(m >> 64);
}

/* Box and Muller 1958; the sine's half is not kept, so that a generator has no hidden state. */
double
rng_normal(struct rng *r)
{
    double u = 1.0 - rng_unit(r); /* (0, 1] */

    return sqrt(-2.0 * log(u)) * cos(2.0 * M_PI * rng_unit(r));
}

/* Fisher and Yates, as in Knuth's algorithm P. */
void
rng_shuffle(struct rng *r, uint32_t *x, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(r, i);
        uint32_t t = x[i - 1];

        x[i - 1] = x[j];
        x[j] = t;
    }
}
