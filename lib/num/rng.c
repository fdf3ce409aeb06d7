/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers and hashes: xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021)
 * whose state is filled by splitmix64 (Steele, Lea and Flood 2014), as its authors advise; XXH64 (Collet, xxHash
 * specification 0.1.1). Constant time and memory a draw.
 */
#include "num/num.h"

#include <math.h>
#include <string.h>

#define P1 0x9E3779B185EBCA87U
#define P2 0xC2B2AE3D27D4EB4FU
#define P3 0x165667B19E3779F9U
#define P4 0x85EBCA77C2B2AE63U
#define P5 0x27D4EB2F165667C5U

static uint64_t
rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

/* Little-endian, whatever the machine. */
static uint64_t
load(const unsigned char *p, size_t n)
{
    uint64_t x = 0;

    for (size_t i = 0; i < n; i++)
        x |= (uint64_t)p[i] << (8 * i);
    return x;
}

static uint64_t
xxh_round(uint64_t acc, uint64_t x)
{
    return rotl(acc + x * P2, 31) * P1;
}

/* The four lanes over as many whole blocks of 32 bytes as there are. */
static uint64_t
xxh_blocks(const unsigned char **p, const unsigned char *end, uint64_t seed)
{
    uint64_t v[4] = {seed + P1 + P2, seed + P2, seed, seed - P1};
    uint64_t h;

    for (; end - *p >= 32; *p += 32)
        for (size_t i = 0; i < 4; i++)
            v[i] = xxh_round(v[i], load(*p + 8 * i, 8));
    h = rotl(v[0], 1) + rotl(v[1], 7) + rotl(v[2], 12) + rotl(v[3], 18);
    for (size_t i = 0; i < 4; i++)
        h = (h ^ xxh_round(0, v[i])) * P1 + P4;
    return h;
}

uint64_t
hash64(uint64_t seed, const void *bytes, size_t n)
{
    static const unsigned char nothing[1];
    const unsigned char *p = n > 0 ? bytes : nothing, *end = p + n;
    uint64_t h = n >= 32 ? xxh_blocks(&p, end, seed) : seed + P5;

    h += n;
    for (; end - p >= 8; p += 8)
        h = rotl(h ^ xxh_round(0, load(p, 8)), 27) * P1 + P4;
    if (end - p >= 4) {
        h = rotl(h ^ load(p, 4) * P1, 23) * P2 + P3;
        p += 4;
    }
    for (; p < end; p++)
        h = rotl(h ^ *p * P5, 11) * P1;
    h = (h ^ h >> 33) * P2;
    h = (h ^ h >> 29) * P3;
    return h ^ h >> 32;
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
