/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One vector against many, and the weighted sum of many, as attention over keys and values that lie row by row has
 * them: on the calling thread, nothing packed.
 *
 * A product is summed in LANES lanes, which are then added by halves, lanes 0 … 7 to 8 … 15 first; what is left of a
 * row behind whole vectors comes last. Sixteen products are folded together, which takes a quarter of the steps that
 * they take alone; the sums are the same. A weighted sum is one chain over the rows. So no bit depends on how many rows
 * there are.
 */
#include "num/num.h"

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#define LANES 16
#ifdef __AVX512F__
#define ROWS LANES /* whose sums are held at a time, as many as there are registers for */
#else
#define ROWS 4
#endif
#define WIDE 4 /* vectors of a sum that are held at a time: their chains do not wait for each other */

typedef float vec __attribute__((vector_size(LANES * sizeof(float))));

#define INLINE static inline __attribute__((always_inline))

#ifdef __AVX512F__
/* s[i] = the lanes of v[i] by halves. */
INLINE void
fold(float s[LANES], const vec v[LANES])
{
    __m512 a[8], b[4], c[2], d;

    for (int i = 0; i < 8; i++) /* lane j + lane j + 8: of v[i] below, of v[i + 8] above */
        a[i] = _mm512_shuffle_f32x4((__m512)v[i], (__m512)v[i + 8], 0x44) +
               _mm512_shuffle_f32x4((__m512)v[i], (__m512)v[i + 8], 0xee);
    for (int i = 0; i < 4; i++) /* j + 4; quarters are of v[i], v[i + 8], v[i + 4], v[i + 12] */
        b[i] = _mm512_shuffle_f32x4(a[i], a[i + 4], 0x88) + _mm512_shuffle_f32x4(a[i], a[i + 4], 0xdd);
    for (int i = 0; i < 2; i++) /* j + 2 */
        c[i] = (__m512)_mm512_unpacklo_pd((__m512d)b[i], (__m512d)b[i + 2]) +
               (__m512)_mm512_unpackhi_pd((__m512d)b[i], (__m512d)b[i + 2]);
    d = _mm512_shuffle_ps(c[0], c[1], 0x88) + _mm512_shuffle_ps(c[0], c[1], 0xdd);
    d = _mm512_permutexvar_ps(_mm512_setr_epi32(0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15), d);
    memcpy(s, &d, sizeof d);
}
#else
typedef float half_vec __attribute__((vector_size(LANES / 2 * sizeof(float))));
typedef float quarter __attribute__((vector_size(LANES / 4 * sizeof(float))));

/* The same, four at a time. */
INLINE void
fold(float s[LANES], const vec v[LANES])
{
    for (size_t i = 0; i < LANES; i += 4) {
        quarter a[4], b[2], c;

        for (size_t r = 0; r < 4; r++) {
            half_vec h[2];
            quarter q[2];

            memcpy(h, &v[i + r], sizeof h);
            h[0] += h[1];
            memcpy(q, h, sizeof q);
            a[r] = q[0] + q[1];
        }
        for (size_t r = 0; r < 2; r++)
            b[r] = __builtin_shufflevector(a[2 * r], a[2 * r + 1], 0, 1, 4, 5) +
                   __builtin_shufflevector(a[2 * r], a[2 * r + 1], 2, 3, 6, 7);
        c = __builtin_shufflevector(b[0], b[1], 0, 2, 4, 6) + __builtin_shufflevector(b[0], b[1], 1, 3, 5, 7);
        memcpy(s + i, &c, sizeof c);
    }
}
#endif

/* Of ROWS rows, or fewer: rows is a constant where it is called. */
INLINE void
dots(float *s, const float *q, const float *k, size_t ld, size_t rows, size_t E)
{
    vec sum[LANES] = {{0}};
    float whole[LANES];
    size_t e = 0;

    for (; e + LANES <= E; e += LANES) {
        vec a, b;

        memcpy(&a, q + e, sizeof a);
        for (size_t i = 0; i < rows; i++) {
            memcpy(&b, k + i * ld + e, sizeof b);
            sum[i] += a * b;
        }
    }
    fold(whole, sum);
    for (size_t i = 0; i < rows; i++) {
        float rest = 0;

        for (size_t j = e; j < E; j++)
            rest += q[j] * k[i * ld + j];
        s[i] = whole[i] + rest;
    }
}

void
vec_dots(float *s, const float *q, const float *k, size_t ld, size_t n, size_t E)
{
    size_t p = 0;

    for (; p + ROWS <= n; p += ROWS)
        dots(s + p, q, k + p * ld, ld, ROWS, E);
    for (; ROWS > 4 && p + 4 <= n; p += 4)
        dots(s + p, q, k + p * ld, ld, 4, E);
    for (; p < n; p++)
        dots(s + p, q, k + p * ld, ld, 1, E);
}

INLINE void
sums(float *o, const float *s, const float *v, size_t ld, size_t n, size_t vectors)
{
    vec sum[WIDE];

    for (size_t i = 0; i < vectors; i++)
        memcpy(&sum[i], o + i * LANES, sizeof sum[i]);
    for (size_t p = 0; p < n; p++)
        for (size_t i = 0; i < vectors; i++) {
            vec a;

            memcpy(&a, v + p * ld + i * LANES, sizeof a);
            sum[i] += s[p] * a;
        }
    for (size_t i = 0; i < vectors; i++)
        memcpy(o + i * LANES, &sum[i], sizeof sum[i]);
}

void
vec_sums(float *o, const float *s, const float *v, size_t ld, size_t n, size_t E)
{
    size_t e = 0;

    for (; e + WIDE * LANES <= E; e += WIDE * LANES)
        sums(o + e, s, v + e, ld, n, WIDE);
    for (; e + LANES <= E; e += LANES)
        sums(o + e, s, v + e, ld, n, 1);
    for (; e < E; e++)
        for (size_t p = 0; p < n; p++)
            o[e] += s[p] * v[p * ld + e];
}
