/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids - distinct strings numbered in the order of their first appearance.
 *
 * Open addressing with linear probing over a power of two, at most half full. The strings lie behind
 * each other in blocks that never move, so that a struct str handed out stays valid.
 */
#include <stdlib.h>
#include <string.h>

#include "stream/stream.h"

#define BLOCK ((size_t)1 << 16)

struct block {
    struct block *next;
    size_t used, size;
    char bytes[];
};

struct ids {
    struct str *str;
    uint64_t *hash;
    uint32_t n, cap;
    uint32_t *slot; /* index + 1; 0 is free */
    uint32_t slots; /* a power of two */
    struct block *blocks;
};

enum status
ids_new(struct ids **out, struct err *err)
{
    struct ids *ids = calloc(1, sizeof(*ids));

    *out = NULL;
    if (ids == NULL)
        return err_memory(err);
    ids->slots = 64;
    if ((ids->slot = calloc(ids->slots, sizeof(*ids->slot))) == NULL) {
        free(ids);
        return err_memory(err);
    }
    *out = ids;
    return OK;
}

void
ids_free(struct ids *ids)
{
    if (ids == NULL)
        return;
    for (struct block *b = ids->blocks; b != NULL;) {
        struct block *next = b->next;
        free(b);
        b = next;
    }
    free(ids->str);
    free(ids->hash);
    free(ids->slot);
    free(ids);
}

/* The slot where s is, or where it would go. */
static uint32_t
probe(const struct ids *ids, struct str s, uint64_t h)
{
    uint32_t mask = ids->slots - 1, i = (uint32_t)h & mask;

    while (ids->slot[i] != 0) {
        uint32_t k = ids->slot[i] - 1;
        if (ids->hash[k] == h && str_eq(ids->str[k], s))
            break;
        i = (i + 1) & mask;
    }
    return i;
}

static enum status
grow_slots(struct ids *ids, struct err *err)
{
    uint32_t slots = ids->slots * 2, *slot;

    if (slots == 0 || (slot = calloc(slots, sizeof(*slot))) == NULL)
        return err_memory(err);
    free(ids->slot);
    ids->slot = slot;
    ids->slots = slots;
    for (uint32_t k = 0; k < ids->n; k++) {
        uint32_t i = (uint32_t)ids->hash[k] & (slots - 1);
        while (slot[i] != 0)
            i = (i + 1) & (slots - 1);
        slot[i] = k + 1;
    }
    return OK;
}

static enum status
grow_strings(struct ids *ids, struct err *err)
{
    uint32_t cap = ids->cap == 0 ? 64 : ids->cap * 2;
    struct str *str;
    uint64_t *hash;

    if (cap < ids->cap)
        return err_memory(err);
    if ((str = realloc(ids->str, cap * sizeof(*str))) == NULL)
        return err_memory(err);
    ids->str = str;
    if ((hash = realloc(ids->hash, cap * sizeof(*hash))) == NULL)
        return err_memory(err);
    ids->hash = hash;
    ids->cap = cap;
    return OK;
}

static char *
store(struct ids *ids, struct str s)
{
    struct block *b = ids->blocks;
    char *p;

    if (b == NULL || b->size - b->used < s.n) {
        size_t size = s.n > BLOCK ? s.n : BLOCK;
        if (size > SIZE_MAX - sizeof(*b) || (b = malloc(sizeof(*b) + size)) == NULL)
            return NULL;
        b->used = 0;
        b->size = size;
        b->next = ids->blocks;
        ids->blocks = b;
    }
    p = b->bytes + b->used;
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    b->used += s.n;
    return p;
}

static enum status
add_hashed(uint32_t *index, struct ids *ids, struct str s, uint64_t h, struct err *err)
{
    uint32_t i = probe(ids, s, h);
    char *p;

    if (ids->slot[i] != 0) {
        *index = ids->slot[i] - 1;
        return OK;
    }
    if (ids->n == UINT32_MAX / 4)
        return err_set(err, DATA, "more than %u distinct ids", UINT32_MAX / 4);
    if (ids->n == ids->cap && grow_strings(ids, err) != OK)
        return SYSTEM;
    if (ids->n >= ids->slots / 2) {
        if (grow_slots(ids, err) != OK)
            return SYSTEM;
        i = probe(ids, s, h);
    }
    if ((p = store(ids, s)) == NULL)
        return err_memory(err);
    ids->str[ids->n] = (struct str){p, s.n};
    ids->hash[ids->n] = h;
    *index = ids->n++;
    ids->slot[i] = ids->n;
    return OK;
}

enum status
ids_add(uint32_t *index, struct ids *ids, struct str s, struct err *err)
{
    return add_hashed(index, ids, s, str_hash(s), err);
}

/*
 * Of a table larger than the cache a string is waited for thrice: for its slot, for what the slot says, for the bytes
 * there. Some strings together wait three times, too.
 */
enum status
ids_add_many(uint32_t *index, struct ids *ids, const struct str *s, size_t n, struct err *err)
{
    uint64_t hash[IDS_TOGETHER];

    for (size_t from = 0; from < n; from += IDS_TOGETHER) {
        size_t to = n - from < IDS_TOGETHER ? n : from + IDS_TOGETHER;

        for (size_t i = from; i < to; i++) {
            hash[i - from] = str_hash(s[i]);
            __builtin_prefetch(&ids->slot[hash[i - from] & (ids->slots - 1)]);
        }
        for (size_t i = from; i < to; i++) {
            uint32_t k = ids->slot[hash[i - from] & (ids->slots - 1)];
            if (k > 0) {
                __builtin_prefetch(&ids->hash[k - 1]);
                __builtin_prefetch(&ids->str[k - 1]);
            }
        }
        for (size_t i = from; i < to; i++) {
            uint32_t k = ids->slot[hash[i - from] & (ids->slots - 1)];
            if (k > 0)
                __builtin_prefetch(ids->str[k - 1].p);
        }
        for (size_t i = from; i < to; i++)
            if (add_hashed(&index[i], ids, s[i], hash[i - from], err) != OK)
                return err->status;
    }
    return OK;
}

uint32_t
ids_find(const struct ids *ids, struct str s)
{
    uint32_t i = probe(ids, s, str_hash(s));

    return ids->slot[i] == 0 ? IDS_NONE : ids->slot[i] - 1;
}

struct str
ids_str(const struct ids *ids, uint32_t index)
{
    return ids->str[index];
}

uint32_t
ids_count(const struct ids *ids)
{
    return ids->n;
}
