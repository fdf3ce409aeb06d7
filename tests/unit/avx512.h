/* SPDX-License-Identifier: Apache-2.0 */
/*
 * avx512 - the code for AVX-512, on processors that lack it: functions of SIMDe take the place of the instructions.
 * Included ahead of every file by `make avx512`.
 */
#if !defined AVX512_H && !defined __AVX512BF16__
#define AVX512_H

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#define __AVX512F__ 1
#define __AVX512BW__ 1
#define __AVX512DQ__ 1
#define __AVX512BF16__ 1

/* ---- what SIMDe 0.7 lacks ---- */

#define _mm512_shuffle_f32x4 simde_mm512_shuffle_f32x4
#define _mm512_cvtepi8_epi32(a) ((__m512i)EMULATED(int8_t, int32_t, a))
#define _mm512_cvtepu16_epi32(a) ((__m512i)EMULATED(uint16_t, uint32_t, a))
#define _mm512_cvtepi32_ps(a) ((__m512)EMULATED(int32_t, float, a))

/* Sixteen numbers of one type, as another. */
#define EMULATED(from, to, a) \
    (__extension__({ \
        typedef from many __attribute__((vector_size(16 * sizeof(from)))); \
        typedef to wide __attribute__((vector_size(16 * sizeof(to)))); \
        __builtin_convertvector((many)(a), wide); \
    }))

#endif
