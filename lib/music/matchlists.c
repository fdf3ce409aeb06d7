/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue as a matcher wants it: tracks in the order of their tuples, and for each modality the tracks of each
 * code with their other codes beside them, so that agreement is found by reading on and comparing, 64 tracks at a
 * time. All by counting sorts: linear time. Memory: 62 bytes a track, 30 more with its id of 22.
 */
#include <stdlib.h>
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "music/matcher.h"

#define KEYS (CODE_MAX + 2) /* absence and the codes */

static uint32_t
key_of(const struct items *items, uint32_t t, int mod)
{
    return (uint32_t)(items->codes[t].code[mod] + 1);
}

/* Counts into the starts of the keys: start[k] is where key k begins, start[KEYS] the number of tracks. */
static void
count_keys(uint32_t *start, const struct items *items, int mod)
{
    memset(start, 0, (KEYS + 1) * sizeof(*start));
    for (uint32_t t = 0; t < items->n; t++)
        start[key_of(items, t, mod) + 1]++;
    for (size_t k = 1; k <= KEYS; k++)
        start[k] += start[k - 1];
}

/* Order by tuple, then by track: a stable pass a modality, the first modality last. */
static enum status
sort_tuples(struct matcher *m, uint32_t *start, struct err *err)
{
    const struct items *items = m->items;
    uint32_t *from = calloc((size_t)items->n + 1, sizeof(*from));

    m->order = calloc((size_t)items->n + 1, sizeof(*m->order));
    if (from == NULL || m->order == NULL) {
        free(from);
        return err_memory(err);
    }
    for (uint32_t t = 0; t < items->n; t++)
        m->order[t] = t;
    for (int mod = MODALITIES - 1; mod >= 0; mod--) {
        uint32_t *swap = from;
        from = m->order;
        m->order = swap;
        count_keys(start, items, mod);
        for (uint32_t i = 0; i < items->n; i++)
            m->order[start[key_of(items, from[i], mod)]++] = from[i];
    }
    free(from);
    return OK;
}

static enum status
copy_ids(struct matcher *m, struct err *err)
{
    uint32_t n = m->items->n;
    size_t bytes = 0;

    for (uint32_t t = 0; t < n; t++)
        bytes += ids_str(m->items->ids, t).n; /* they are in memory: no overflow */
    m->id = malloc(bytes + 1);
    m->id_at = calloc((size_t)n + 1, sizeof(*m->id_at));
    if (m->id == NULL || m->id_at == NULL)
        return err_memory(err);
    num_large_pages(m->id, bytes + 1);
    num_large_pages(m->id_at, ((size_t)n + 1) * sizeof(*m->id_at));
    for (uint32_t i = 0; i < n; i++) {
        struct str id = ids_str(m->items->ids, m->order[i]);
        memcpy(m->id + m->id_at[i], id.p, id.n);
        m->id_at[i + 1] = m->id_at[i] + id.n;
    }
    return OK;
}

/* Puts the track at position i into entry at of the list of mod. */
static void
put_entry(struct matcher *m, int mod, size_t at, uint32_t i)
{
    const struct codes *codes = &m->items->codes[m->order[i]];

    if (m->list[mod].pos != NULL)
        m->list[mod].pos[at] = i;
    for (int other = 0; other < MODALITIES; other++)
        if (other != mod)
            m->list[mod].code[other][at] = (uint16_t)codes->code[other]; /* CODE_NONE becomes CODE_MAX */
}

static enum status
index_modality(struct matcher *m, int mod, uint32_t *start, struct err *err)
{
    struct list *l = &m->list[mod];
    uint32_t n = m->items->n, absent;

    for (uint32_t t = 0; t < n; t++)
        if (key_of(m->items, t, mod) > l->codes)
            l->codes = key_of(m->items, t, mod);
    if ((l->start = calloc((size_t)l->codes + 1, sizeof(*l->start))) == NULL)
        return err_memory(err);
    if (mod != 0 && (l->pos = calloc((size_t)n + 1, sizeof(*l->pos))) == NULL)
        return err_memory(err);
    for (int other = 0; other < MODALITIES; other++)
        if (other != mod && (l->code[other] = calloc((size_t)n + MATCH_WORD, sizeof(**l->code))) == NULL)
            return err_memory(err);
    count_keys(start, m->items, mod);
    absent = mod == 0 ? 0 : start[1]; /* the playlist's list has all tracks: its index is the position */
    for (uint32_t c = 0; c <= l->codes; c++)
        l->start[c] = start[c + 1] - absent;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t key = key_of(m->items, m->order[i], mod);
        if (mod == 0)
            put_entry(m, mod, i, i);
        else if (key > 0)
            put_entry(m, mod, start[key]++ - absent, i);
    }
    return OK;
}

enum status
match_lists(struct matcher *m, struct err *err)
{
    uint32_t *start = calloc(KEYS + 1, sizeof(*start));
    enum status st = start == NULL ? err_memory(err) : sort_tuples(m, start, err);

    if (st == OK)
        st = copy_ids(m, err);
    for (int mod = 0; mod < MODALITIES && st == OK; mod++)
        st = index_modality(m, mod, start, err);
    free(start);
    return st;
}

/* Does the track at position i come before tuple and t? */
static bool
before(const struct matcher *m, uint32_t i, const struct codes *codes, uint32_t t)
{
    uint32_t track = m->order[i];

    for (int mod = 0; mod < MODALITIES; mod++) {
        int32_t a = m->items->codes[track].code[mod], b = codes->code[mod];
        if (a != b)
            return a < b;
    }
    return track < t;
}

uint32_t
match_position(const struct matcher *m, const struct codes *codes, uint32_t t)
{
    size_t to, from = match_range(&to, m, 0, codes->code[0]);

    if (codes->code[0] == CODE_NONE) {
        from = 0;
        to = m->list[0].start[0];
    }
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (before(m, (uint32_t)mid, codes, t))
            from = mid + 1;
        else
            to = mid;
    }
    return (uint32_t)from;
}

size_t
match_range(size_t *to, const struct matcher *m, int mod, int32_t code)
{
    const struct list *l = &m->list[mod];

    if (code == CODE_NONE || (uint32_t)code >= l->codes)
        return *to = l->start[l->codes];
    *to = l->start[code + 1];
    return l->start[code];
}

/* Bits of those of 64 codes that are the one wanted. */
static inline uint64_t
equal(const uint16_t *code, uint16_t want)
{
    uint64_t bits = 0;

#ifdef __AVX2__
    for (int i = 0; i < 2; i++) {
        const __m256i *p = (const __m256i *)(const void *)(code + 32 * i);
        __m256i a = _mm256_cmpeq_epi16(_mm256_loadu_si256(p), _mm256_set1_epi16((short)want));
        __m256i b = _mm256_cmpeq_epi16(_mm256_loadu_si256(p + 1), _mm256_set1_epi16((short)want));
        __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi16(a, b), 0xd8); /* packed half by half */

        bits |= (uint64_t)(uint32_t)_mm256_movemask_epi8(both) << (32 * i);
    }
#else
    for (int i = 0; i < MATCH_WORD; i++)
        bits |= (uint64_t)(code[i] == want) << i;
#endif
    return bits;
}

void
match_agree(
    uint64_t agree[MODALITIES], const struct matcher *m, int mod, size_t at, size_t n, const struct codes *codes)
{
    const struct list *l = &m->list[mod];
    uint64_t all = UINT64_MAX >> (MATCH_WORD - n);

    for (int other = 0; other < MODALITIES; other++) {
        agree[other] = 0;
        if (other == mod || codes->code[other] == CODE_NONE)
            continue;
        agree[other] = all & equal(l->code[other] + at, (uint16_t)codes->code[other]);
        for (uint64_t bits = agree[other]; codes->code[other] == CODE_MAX && bits != 0; bits &= bits - 1) {
            size_t i = (size_t)__builtin_ctzll(bits);

            if (m->items->codes[m->order[match_entry(m, mod, at + i)]].code[other] == CODE_NONE)
                agree[other] &= ~(UINT64_C(1) << i);
        }
    }
}
