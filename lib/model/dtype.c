/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floats of files: float32, float16 (IEEE 754 binary16) and bfloat16 (the upper half of a float32), to float32
 * exactly and from it by rounding to the nearest, ties to even.
 *
 * Loops have no branches, so that compilers make vectors of them: they run as fast as memory does. What is in a file is
 * aligned to nothing, hence memcpy.
 */
#include <string.h>

#include "model/weights.h"

#define BLOCK ((size_t)4096) /* numbers after which it is looked whether one was not finite */
#define F32_EXPONENT 0x7F800000U

static const struct {
    const char *name;
    size_t size;
} types[] = {[DTYPE_F32] = {"F32", 4}, [DTYPE_F16] = {"F16", 2}, [DTYPE_BF16] = {"BF16", 2}, [DTYPE_OTHER] = {"", 0}};

size_t
dtype_size(enum dtype t)
{
    return types[t].size;
}

const char *
dtype_name(enum dtype t)
{
    return types[t].name;
}

enum dtype
dtype_of(struct str name)
{
    for (enum dtype t = 0; t < DTYPE_OTHER; t++)
        if (str_eq(name, str_of(types[t].name)))
            return t;
    return DTYPE_OTHER;
}

/* ---- to float32; each returns whether all n numbers are finite ---- */

static bool
from_f32(float *out, const unsigned char *p, size_t n)
{
    uint32_t bad = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, p + 4 * i, sizeof bits);
        memcpy(&out[i], &bits, sizeof bits);
        bad |= (uint32_t)((bits & F32_EXPONENT) == F32_EXPONENT);
    }
    return bad == 0;
}

static bool
from_bf16(float *out, const unsigned char *p, size_t n)
{
    uint32_t bad = 0;

    for (size_t i = 0; i < n; i++) {
        bf16 half;

        memcpy(&half, p + 2 * i, sizeof half);
        out[i] = bf16_widen(half);
        bad |= (uint32_t)((half & 0x7F80U) == 0x7F80U);
    }
    return bad == 0;
}

/* Exponent and fraction are moved to where float32 has them; a product with 2^112 sets the bias right, for subnormal
 * numbers too. */
static bool
from_f16(float *out, const unsigned char *p, size_t n)
{
    uint32_t bad = 0;

    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        uint32_t bits, special;
        float x;

        memcpy(&half, p + 2 * i, sizeof half);
        special = (half & 0x7C00U) == 0x7C00U ? F32_EXPONENT : 0;
        bits = (half & 0x7FFFU) << 13;
        memcpy(&x, &bits, sizeof x);
        x *= 0x1p112F;
        memcpy(&bits, &x, sizeof bits);
        bits |= special | (half & 0x8000U) << 16;
        memcpy(&out[i], &bits, sizeof bits);
        bad |= special;
    }
    return bad == 0;
}

static bool
block_to_f32(float *out, const unsigned char *p, size_t n, enum dtype t)
{
    return t == DTYPE_F32 ? from_f32(out, p, n) : t == DTYPE_F16 ? from_f16(out, p, n) : from_bf16(out, p, n);
}

static bool
is_finite(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return (bits & F32_EXPONENT) != F32_EXPONENT;
}

size_t
dtype_to_f32(float *out, const void *from, size_t n, enum dtype t)
{
    const unsigned char *p = from;
    size_t first = n;

    for (size_t i = 0; i < n; i += BLOCK) {
        size_t m = n - i < BLOCK ? n - i : BLOCK;

        if (!block_to_f32(out + i, p + i * types[t].size, m, t) && first == n)
            for (first = i; is_finite(out[first]);)
                first++;
    }
    return first;
}

/* ---- from float32; each returns whether all n numbers of the result are finite ---- */

static bool
to_f32(unsigned char *p, const float *x, size_t n)
{
    uint32_t bad = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, &x[i], sizeof bits);
        memcpy(p + 4 * i, &bits, sizeof bits);
        bad |= (uint32_t)((bits & F32_EXPONENT) == F32_EXPONENT);
    }
    return bad == 0;
}

static bool
to_bf16(unsigned char *p, const float *x, size_t n)
{
    uint32_t bad = 0;

    for (size_t i = 0; i < n; i++) {
        bf16 half = bf16_round(x[i]);

        memcpy(p + 2 * i, &half, sizeof half);
        bad |= (uint32_t)((half & 0x7F80U) == 0x7F80U);
    }
    return bad == 0;
}

/*
 * Numbers that are subnormal in float16 are rounded by adding 0.5, whose last bit is float16's last; normal ones by
 * adding half of the last bit that stays, less one where that is 0. From 65520 on the result is infinity.
 */
static bool
to_f16(unsigned char *p, const float *x, size_t n)
{
    uint32_t bad = 0;

    for (size_t i = 0; i < n; i++) {
        uint32_t bits, sign, small, normal, value;
        uint16_t half;
        float sum;

        memcpy(&bits, &x[i], sizeof bits);
        sign = bits >> 16 & 0x8000U;
        bits &= 0x7FFFFFFFU;
        memcpy(&sum, &bits, sizeof sum);
        sum += 0.5F;
        memcpy(&small, &sum, sizeof small);
        small -= 0x3F000000U;
        normal = (bits - 0x38000000U + 0xFFFU + (bits >> 13 & 1U)) >> 13;
        value = bits < 0x38800000U ? small : normal;
        value = bits >= 0x477FF000U ? 0x7C00U : value;
        value = bits > F32_EXPONENT ? 0x7E00U : value;
        half = (uint16_t)(value | sign);
        memcpy(p + 2 * i, &half, sizeof half);
        bad |= (uint32_t)((half & 0x7C00U) == 0x7C00U);
    }
    return bad == 0;
}

static bool
block_from_f32(unsigned char *p, const float *x, size_t n, enum dtype t)
{
    return t == DTYPE_F32 ? to_f32(p, x, n) : t == DTYPE_F16 ? to_f16(p, x, n) : to_bf16(p, x, n);
}

size_t
dtype_from_f32(void *out, const float *x, size_t n, enum dtype t)
{
    unsigned char *p = out;
    size_t first = n;

    for (size_t i = 0; i < n; i += BLOCK) {
        size_t m = n - i < BLOCK ? n - i : BLOCK;

        if (!block_from_f32(p + i * types[t].size, x + i, m, t) && first == n)
            for (first = i; block_from_f32(p + first * types[t].size, x + first, 1, t);)
                first++;
    }
    return first;
}
