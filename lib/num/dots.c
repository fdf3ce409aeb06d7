/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One vector against many, and the weighted sum of many, as attention over keys and values that lie row by row has
 * them: on the calling thread, nothing packed. Rows of bfloat16 are widened in registers.
 *
 * A product is summed in LANES lanes, which are then added by halves, lanes 0 … 7 to 8 … 15 first; what is left of a
 * row behind whole vectors comes last. Sixteen products are folded together, which takes a quarter of the steps that
 * they take alone; the sums are the same. A weighted sum is one chain over the rows. So no bit depends on how many rows
 * there are.
 */
#include "num/block.h"
#include "num/num.h"

#define LANES 16
#define PARTS (LANES / VL) /* registers of the lanes */
#ifdef __AVX512F__
#define ROWS 16 /* whose sums are held at a time, as many as there are registers for */
#else
#define ROWS 4
#endif
#define WIDE (64 / VL) /* vectors of a weighted sum that are held at a time: their chains do not wait for each other */

/* Number i of what begins at p, and VL numbers from there; half (a constant): of bfloat16. */
INLINE float
number(const void *p, size_t i, bool half)
{
    return half ? bf16_widen(((const bf16 *)p)[i]) : ((const float *)p)[i];
}

INLINE vec
numbers(const void *p, size_t i, bool half)
{
    const bf16 *h = (const bf16 *)p + i;

    if (!half)
        return vec_load((const float *)p + i);
        /* gcc 12 would take a plain loop number by number. */
#if defined __AVX512F__
    return (vec)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)h)), 16);
#elif defined __AVX2__
    return (vec)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)h)), 16);
#else
    vec v;

    for (int j = 0; j < VL; j++)
        v[j] = bf16_widen(h[j]);
    return v;
#endif
}

#ifdef __AVX512F__
/* s[i] = the lanes of v[i] by halves. */
INLINE void
fold(float s[ROWS], vec v[ROWS][PARTS])
{
    __m512 a[8], b[4], c[2], d;

    for (int i = 0; i < 8; i++) /* lane j + lane j + 8: of v[i] below, of v[i + 8] above */
        a[i] = _mm512_shuffle_f32x4((__m512)v[i][0], (__m512)v[i + 8][0], 0x44) +
               _mm512_shuffle_f32x4((__m512)v[i][0], (__m512)v[i + 8][0], 0xee);
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
typedef float quarter __attribute__((vector_size(LANES / 4 * sizeof(float))));

/* The same, all four at a time. */
INLINE void
fold(float s[ROWS], vec v[ROWS][PARTS])
{
    quarter a[4], b[2], c;

    for (size_t r = 0; r < 4; r++) {
        quarter q[PARTS * VL / 4];

        for (size_t n = PARTS; n > 1; n /= 2)
            for (size_t i = 0; i < n / 2; i++)
                v[r][i] += v[r][i + n / 2];
        memcpy(q, v[r], sizeof(vec));
        a[r] = VL > 4 ? q[0] + q[1] : q[0];
    }
    for (size_t r = 0; r < 2; r++)
        b[r] = __builtin_shufflevector(a[2 * r], a[2 * r + 1], 0, 1, 4, 5) +
               __builtin_shufflevector(a[2 * r], a[2 * r + 1], 2, 3, 6, 7);
    c = __builtin_shufflevector(b[0], b[1], 0, 2, 4, 6) + __builtin_shufflevector(b[0], b[1], 1, 3, 5, 7);
    memcpy(s, &c, sizeof c);
}
#endif

/* Of ROWS rows that begin at number at of k, or fewer: rows is a constant where it is called. */
INLINE void
dots(float *s, const float *q, const void *k, size_t at, size_t ld, size_t rows, size_t E, bool half)
{
    vec sum[ROWS][PARTS] = {{{0}}};
    float whole[ROWS];
    size_t e = 0;

    for (; e + LANES <= E; e += LANES)
        for (size_t j = 0; j < PARTS; j++) {
            vec a = vec_load(q + e + j * VL);

            for (size_t i = 0; i < rows; i++)
                sum[i][j] += a * numbers(k, at + i * ld + e + j * VL, half);
        }
    fold(whole, sum);
    for (size_t i = 0; i < rows; i++) {
        float rest = 0;

        for (size_t j = e; j < E; j++)
            rest = __builtin_fmaf(q[j], number(k, at + i * ld + j, half), rest);
        s[i] = whole[i] + rest;
    }
}

INLINE void
all_dots(float *s, const float *q, const void *k, size_t ld, size_t n, size_t E, bool half)
{
    size_t p = 0;

    for (; p + ROWS <= n; p += ROWS)
        dots(s + p, q, k, p * ld, ld, ROWS, E, half);
    for (; ROWS > 4 && p + 4 <= n; p += 4)
        dots(s + p, q, k, p * ld, ld, 4, E, half);
    for (; p < n; p++)
        dots(s + p, q, k, p * ld, ld, 1, E, half);
}

void
vec_dots(float *s, const float *q, const void *k, bool half, size_t ld, size_t n, size_t E)
{
    if (half)
        all_dots(s, q, k, ld, n, E, true);
    else
        all_dots(s, q, k, ld, n, E, false);
}

/* Vectors of o from number e on. */
INLINE void
sums(float *o, const float *s, const void *v, size_t e, size_t ld, size_t n, size_t vectors, bool half)
{
    vec sum[WIDE];

    for (size_t i = 0; i < vectors; i++)
        sum[i] = vec_load(o + e + i * VL);
    for (size_t p = 0; p < n; p++)
        for (size_t i = 0; i < vectors; i++)
            sum[i] += s[p] * numbers(v, p * ld + e + i * VL, half);
    for (size_t i = 0; i < vectors; i++)
        memcpy(o + e + i * VL, &sum[i], sizeof sum[i]);
}

INLINE void
all_sums(float *o, const float *s, const void *v, size_t ld, size_t n, size_t E, bool half)
{
    size_t e = 0;

    for (; e + WIDE * VL <= E; e += WIDE * VL)
        sums(o, s, v, e, ld, n, WIDE, half);
    for (; e + VL <= E; e += VL)
        sums(o, s, v, e, ld, n, 1, half);
    for (; e < E; e++)
        for (size_t p = 0; p < n; p++)
            o[e] = __builtin_fmaf(s[p], number(v, p * ld + e, half), o[e]);
}

void
vec_sums(float *o, const float *s, const void *v, bool half, size_t ld, size_t n, size_t E)
{
    if (half)
        all_sums(o, s, v, ld, n, E, true);
    else
        all_sums(o, s, v, ld, n, E, false);
}
