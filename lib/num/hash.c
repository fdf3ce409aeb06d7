/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes: XXH64 (Collet, xxHash specification 0.1.1), of one string, or of sixteen of one size side by side in vectors.
 * Linear time, no memory.
 */
#include <string.h>

#include "num/num.h"

#define P1 0x9E3779B185EBCA87U
#define P2 0xC2B2AE3D27D4EB4FU
#define P3 0x165667B19E3779F9U
#define P4 0x85EBCA77C2B2AE63U
#define P5 0x27D4EB2F165667C5U
#define LANES 16
#if defined __AVX512DQ__
#define WIDE 8 /* numbers of a vector */
#elif defined __AVX2__
#define WIDE 4
#else
#define WIDE 2
#endif
#define VECS (LANES / WIDE)

typedef uint64_t words __attribute__((vector_size(WIDE * sizeof(uint64_t))));

static inline uint64_t
rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static inline words
rotl_words(words x, int k)
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

static inline uint64_t
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

/* Of each lane's string n (≤ 8) bytes from at, as integers. */
static inline void
load_lanes(words w[VECS], const char *const *p, size_t at, size_t n)
{
    for (size_t i = 0; i < LANES; i++) {
        uint64_t word = 0;

        memcpy(&word, p[i] + at, n); /* little-endian machines only, like the streams' vectors */
        w[i / WIDE][i % WIDE] = word;
    }
}

/* Steps of the specification over the n (< 8) bytes of w, of which each lane's string ends. */
static inline words
mix_tail(words h, words w, size_t n)
{
    if (n >= 4) {
        h ^= (w & UINT32_MAX) * P1;
        h = rotl_words(h, 23) * P2 + P3;
        w >>= 32;
        n -= 4;
    }
    for (; n > 0; n--, w >>= 8) {
        h ^= (w & 0xff) * P5;
        h = rotl_words(h, 11) * P1;
    }
    return h;
}

static inline words
mix_words(words h, words w)
{
    w *= P2;
    h ^= rotl_words(w, 31) * P1;
    return rotl_words(h, 27) * P1 + P4;
}

static inline words
avalanche(words h)
{
    h = (h ^ h >> 33) * P2;
    h = (h ^ h >> 29) * P3;
    return h ^ h >> 32;
}

void
hash64_sixteen(uint64_t *hash, uint64_t seed, const char *const *p, size_t n)
{
    words h[VECS], w[VECS];
    size_t at = 0;

    for (size_t i = 0; i < LANES && n >= 32; i++)
        hash[i] = hash64(seed, p[i], n);
    if (n >= 32)
        return;
    for (size_t v = 0; v < VECS; v++)
        h[v] = (words){0} + (seed + P5 + n);
    for (; n - at >= 8; at += 8) {
        load_lanes(w, p, at, 8);
        for (size_t v = 0; v < VECS; v++)
            h[v] = mix_words(h[v], w[v]);
    }
    if (at > 0 && at < n) { /* eight bytes are one load where their number is known */
        load_lanes(w, p, n - 8, 8);
        for (size_t v = 0; v < VECS; v++)
            w[v] >>= 8 * (at + 8 - n);
    } else {
        load_lanes(w, p, at, n - at);
    }
    for (size_t v = 0; v < VECS; v++)
        h[v] = avalanche(mix_tail(h[v], w[v], n - at));
    memcpy(hash, h, sizeof(h));
}
