/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout of a matrix W that is used again and again (packed.c): panels of PANEL of its rows.
 *
 * float32: for each k the PANEL numbers of a panel. bfloat16: for each pair of k the PANEL pairs. Eight bits: for every
 * GROUP of k and each row a float32 scale, the largest magnitude there over 127 (as Q8_0 of ggml), then for each k the
 * PANEL numbers.
 *
 * Rows are taken STRIP at a time and RUN numbers of each, so that what is read and written stays in the first cache:
 * 1.2 billion numbers of bfloat16 are laid out about as fast as memory takes them in.
 */
#include "num/panel.h"

#define ALIGN 64
#define RUN 256 /* 32-bit words of a row at a time: floats, or pairs of bfloat16 */
#define STRIP VL
#define EXPONENT 0x7f800000U

bool
packed_size(size_t *bytes, enum packing kind, size_t N, size_t K)
{
    size_t panels = N / PANEL + (N % PANEL > 0);

    /* No kind takes more than 8 bytes a number and its share of the rounding up. */
    if (K > SIZE_MAX / 16 / PANEL || !size_mul(bytes, panels, round_up(panel_bytes(kind, K), ALIGN)))
        return false;
    return *bytes <= SIZE_MAX / 2;
}

void
packed_init(struct packed *out, void *memory, enum packing kind, size_t N, size_t K)
{
    size_t stride = round_up(panel_bytes(kind, K), ALIGN);

    *out = (struct packed){.kind = kind, .N = N, .K = K, .stride = stride, .p = memory};
    /* Rows behind the last give columns that nobody looks at; still they are multiplied. */
    if (N % PANEL > 0)
        memset(out->p + N / PANEL * stride, 0, stride);
}

/* ---- numbers in ---- */

/* Numbers k … k + n - 1 of row j. */
static void
read_floats(float *x, const struct packed_source *W, size_t j, size_t k, size_t n, size_t K)
{
    const unsigned char *p = (const unsigned char *)W->p + (j * K + k) * (W->half ? sizeof(bf16) : sizeof(float));

    if (!W->half) {
        memcpy(x, p, n * sizeof *x);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        bf16 h;

        memcpy(&h, p + i * sizeof h, sizeof h);
        x[i] = bf16_widen(h);
    }
}

/* The same as pairs of bfloat16, n of them; behind an odd K the last is filled up by 0. */
static void
read_pairs(uint32_t *x, const struct packed_source *W, size_t j, size_t k, size_t n, size_t K)
{
    size_t have = K - k < 2 * n ? K - k : 2 * n;

    x[n - 1] = 0;
    if (W->half) {
        memcpy(x, (const unsigned char *)W->p + (j * K + k) * sizeof(bf16), have * sizeof(bf16));
        return;
    }
    for (size_t i = 0; i < have; i++) {
        float f;

        memcpy(&f, (const unsigned char *)W->p + (j * K + k + i) * sizeof f, sizeof f);
        ((bf16 *)(void *)x)[i] = bf16_round(f);
    }
}

/* 0 where none of n words holds an exponent that only infinities and NaN have. */
static uint32_t
not_finite(const uint32_t *x, size_t n, bool pairs)
{
    uint32_t bad = 0, low = pairs ? EXPONENT >> 16 : 0;

    for (size_t i = 0; i < n; i++)
        bad |= (uint32_t)((x[i] & EXPONENT) == EXPONENT) | (uint32_t)(low > 0 && (x[i] & low) == low);
    return bad;
}

/* ---- numbers out ---- */

/* Rows j … j + rows - 1 as 32-bit words into a panel from its column at on; rows ≤ STRIP. */
static uint32_t
fill_words(uint32_t *p, size_t at, const struct packed_source *W, size_t j, size_t rows, size_t K, bool pairs)
{
    size_t words = pairs ? round_up(K, 2) / 2 : K;
    uint32_t x[STRIP][RUN + 1] = {{0}}, bad = 0; /* + 1: columns that do not meet in the cache */

    for (size_t w = 0; w < words; w += RUN) {
        size_t n = words - w < RUN ? words - w : RUN;

        for (size_t i = 0; i < rows; i++) {
            if (pairs)
                read_pairs(x[i], W, j + i, 2 * w, n, K);
            else
                read_floats((float *)(void *)x[i], W, j + i, w, n, K);
            bad |= not_finite(x[i], n, pairs);
        }
        for (size_t k = 0; k < n; k++)
            for (size_t i = 0; i < rows; i++)
                p[(w + k) * PANEL + at + i] = x[i][k];
    }
    return bad;
}

/* One row's n numbers of a group: its scale and they, PANEL apart. */
static uint32_t
quantise(float *scale, int8_t *q, const float x[GROUP], size_t n)
{
    const float round = 12582912.0F; /* 1.5 * 2^23: adding it rounds to the nearest integer, ties to even */
    uint32_t bits[GROUP], top = 0;
    int8_t near[GROUP];
    float most, inverse;

    /* Magnitudes are ordered as their bits are. */
    memcpy(bits, x, sizeof bits);
    for (size_t i = 0; i < GROUP; i++)
        top = (bits[i] & 0x7fffffffU) > top ? bits[i] & 0x7fffffffU : top;
    memcpy(&most, &top, sizeof most);
    *scale = most / 127;
    inverse = most > 0 && top < EXPONENT ? 127 / most : 0;
    for (size_t i = 0; i < GROUP; i++)
        near[i] = (int8_t)(__builtin_fmaf(x[i], inverse, round) - round); /* one rounding, whoever compiles it */
    for (size_t i = 0; i < n; i++)
        q[i * PANEL] = near[i];
    return (uint32_t)(top >= EXPONENT);
}

/* A row as column at of a panel. */
static uint32_t
fill_q8(unsigned char *p, size_t at, const struct packed_source *W, size_t j, size_t K)
{
    uint32_t bad = 0;

    for (size_t k = 0; k < K; k += GROUP) {
        size_t n = K - k < GROUP ? K - k : GROUP;
        float x[GROUP] = {0}, scale;

        read_floats(x, W, j, k, n, K);
        bad |= quantise(&scale, (int8_t *)(p + PANEL * sizeof scale) + at, x, n);
        memcpy(p + at * sizeof scale, &scale, sizeof scale);
        p += PANEL * (sizeof(float) + n);
    }
    return bad;
}

bool
packed_put(struct packed *out, size_t j, size_t n, struct packed_source W)
{
    size_t K = out->K, first = j / PANEL, panels = n == 0 ? 0 : (j + n - 1) / PANEL + 1 - first;
    uint32_t bad = 0;

#pragma omp parallel for schedule(static) num_threads(num_threads_for(n *K)) reduction(| : bad)
    for (size_t q = 0; q < panels; q++) {
        unsigned char *p = out->p + (first + q) * out->stride;
        size_t from = (first + q) * PANEL, to = from + PANEL < j + n ? from + PANEL : j + n;

        for (size_t i = from < j ? j : from; i < to;) {
            size_t rows = to - i < STRIP ? to - i : STRIP;

            if (out->kind == PACK_Q8)
                for (size_t r = i; r < i + rows; r++)
                    bad |= fill_q8(p, r - from, &W, r - j, K);
            else
                bad |= fill_words((uint32_t *)(void *)p, i - from, &W, i - j, rows, K, out->kind != PACK_F32);
            i += rows;
        }
    }
    return bad == 0;
}
