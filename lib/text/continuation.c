/* SPDX-License-Identifier: Apache-2.0 */
/*
 * continuation - a playlist as text: its first tracks are given, the model learns the rest.
 *
 * begin_of_text, blocks, eot. The cut is uniform in 1 … n-1 tracks. Each block is a segment of its
 * own (they differ in turn), so that a context too short drops whole tracks.
 */
#include <stdlib.h>

#include "text/text.h"

/* Items of the playlist's tracks that have any, in order. */
static enum status
find_items(uint32_t **out, size_t *n, struct chat_tally *tally, const msgpack_object *ids, const struct items *items,
    struct err *err)
{
    uint32_t size = ids->via.array.size;

    *n = 0;
    if ((*out = malloc(((size_t)size + 1) * sizeof(**out))) == NULL)
        return err_memory(err);
    for (uint32_t i = 0; i < size; i++) {
        struct str id;
        uint32_t k;
        if (obj_str(&id, &ids->via.array.ptr[i], "tracks", err) != OK)
            return DATA;
        if ((k = ids_find(items->ids, id)) == IDS_NONE)
            tally->missing++;
        else
            (*out)[(*n)++] = k;
    }
    tally->blocks += *n;
    return OK;
}

static enum status
add_blocks(
    struct segments *out, const uint32_t *track, size_t n, size_t cut, const struct items *items, struct err *err)
{
    struct buf block = {0};
    enum status st = segments_add(out, true, false, 0, STR("<|begin_of_text|>"), err);

    for (size_t i = 0; st == OK && i < n; i++) {
        block.n = 0;
        if ((st = token_block(&block, &items->codes[track[i]], err)) == OK)
            st = segments_add(out, true, i >= cut, (uint32_t)i + 1, (struct str){block.p, block.n}, err);
    }
    if (st == OK)
        st = segments_add(out, true, true, (uint32_t)n + 1, STR("<|eot_id|>"), err);
    buf_free(&block);
    return st;
}

enum status
playlist_example(struct segments *out, size_t *tracks, struct chat_tally *tally, struct str id,
    const msgpack_object *track_ids, const struct items *items, uint64_t seed, uint32_t version, struct err *err)
{
    uint32_t *track = NULL;
    enum status st = find_items(&track, tracks, tally, track_ids, items, err);

    if (st == OK && *tracks >= 2) {
        struct rng rng = rng_seed_id(hash64(seed, &version, sizeof(version)), id.p, id.n);
        st = add_blocks(out, track, *tracks, 1 + (size_t)rng_below(&rng, *tracks - 1), items, err);
    }
    free(track);
    return st;
}
