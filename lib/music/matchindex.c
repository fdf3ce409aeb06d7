/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue in a file that is read at the speed of memory, since 1.7 million item records take a while to decode:
 *
 *     "TPMATCH1"; the number of tracks n, the bytes of all ids, and XXH64 (seed 0) of all that follows: 8 bytes each
 *     codes     5 times n numbers of 2 bytes, a modality at a time; 0 where there is none
 *     present   n bytes: bit m where modality m has a code
 *     sizes     n numbers of 4 bytes: of the ids
 *     ids       behind each other
 *
 * Numbers are little-endian. The order is that of the tuples, so that a matcher finds its work done. What is read is
 * checked like records: a hash can be made to fit. 15 bytes a track and its id.
 */
#include <stdlib.h>
#include <string.h>

#include "music/matcher.h"

static const char magic[8] = "TPMATCH1";

struct head {
    char magic[8];
    uint64_t n, id_bytes, hash;
};

/* The parts behind the head. */
struct body {
    const uint16_t *code; /* (MODALITIES, n) */
    const uint8_t *present;
    const unsigned char *size; /* (n) of 4 bytes, where they happen to lie */
    const char *id;
};

#define EACH (2 * MODALITIES + 1 + 4) /* bytes of a track without its id */

/* ---- writing ---- */

static void
pack_body(char *p, const struct matcher *m)
{
    size_t n = m->items->n;
    uint16_t *code = (uint16_t *)p;
    uint8_t *present = (uint8_t *)(code + MODALITIES * n);
    char *size = (char *)(present + n);

    for (size_t i = 0; i < n; i++) {
        const struct codes *codes = &m->items->codes[m->order[i]];
        uint32_t bytes = (uint32_t)(m->id_at[i + 1] - m->id_at[i]);

        for (size_t k = 0; k < MODALITIES; k++)
            if (codes->code[k] != CODE_NONE) {
                code[k * n + i] = (uint16_t)codes->code[k];
                present[i] |= (uint8_t)(1U << k);
            }
        memcpy(size + 4 * i, &bytes, 4);
    }
    memcpy(size + 4 * n, m->id, m->id_at[n]);
}

enum status
matcher_save(const struct matcher *m, const char *path, struct err *err)
{
    size_t n = m->items->n, id_bytes = m->id_at[n], bytes;
    struct head head = {.n = n, .id_bytes = id_bytes};
    struct rec_writer *w;
    enum status st;
    char *body;

    if (!size_mul(&bytes, n, EACH) || __builtin_add_overflow(bytes, id_bytes, &bytes) ||
        (body = calloc(1, bytes + 1)) == NULL)
        return err_memory(err);
    pack_body(body, m);
    memcpy(head.magic, magic, sizeof(magic));
    head.hash = hash64(0, body, bytes);
    if ((st = rec_create(&w, path, err)) == OK) {
        if ((st = rec_raw(w, &head, sizeof(head), err)) == OK && (st = rec_raw(w, body, bytes, err)) == OK)
            st = rec_commit(w, err);
        else
            rec_discard(w);
    }
    free(body);
    return st;
}

/* ---- reading ---- */

static enum status
check_head(struct body *body, const struct buf *file, struct err *err)
{
    struct head head;
    size_t bytes;

    if (file->n < sizeof(head) || memcmp(file->p, magic, sizeof(magic)) != 0)
        return err_set(err, DATA, "not an index that match has written");
    memcpy(&head, file->p, sizeof(head));
    if (head.n > UINT32_MAX / 4 || __builtin_add_overflow((size_t)head.n * EACH, head.id_bytes, &bytes) ||
        bytes != file->n - sizeof(head))
        return err_set(err, DATA, "byte 8: expected as many bytes as %llu tracks with %llu bytes of ids have, got %zu",
            (unsigned long long)head.n, (unsigned long long)head.id_bytes, file->n - sizeof(head));
    if (hash64(0, file->p + sizeof(head), bytes) != head.hash)
        return err_set(err, DATA, "byte 24: the hash is not that of the rest: the file is damaged");
    body->code = (const uint16_t *)(file->p + sizeof(head));
    body->present = (const uint8_t *)(body->code + MODALITIES * head.n);
    body->size = body->present + head.n;
    body->id = (const char *)(body->size + 4 * head.n);
    return OK;
}

/* Takes track i, whose id begins at byte *at of all ids. */
static enum status
take_track(struct items *items, const struct body *b, uint32_t i, size_t *at, size_t id_bytes, struct err *err)
{
    uint32_t size, index;

    if (b->present[i] == 0 || b->present[i] >> MODALITIES != 0)
        return err_set(
            err, DATA, "track %u: expected some of %d modalities, got bits 0x%02x", i + 1, MODALITIES, b->present[i]);
    for (size_t k = 0; k < MODALITIES; k++)
        items->codes[i].code[k] = (b->present[i] >> k & 1U) != 0 ? b->code[k * items->n + i] : CODE_NONE;
    memcpy(&size, b->size + 4 * (size_t)i, 4);
    if (size == 0 || size > id_bytes - *at)
        return err_set(err, DATA, "track %u: expected an id of 1 to %zu bytes, got %u", i + 1, id_bytes - *at, size);
    if (ids_add(&index, items->ids, (struct str){b->id + *at, size}, err) != OK)
        return err->status;
    if (index != i)
        return err_set(
            err, DATA, "track %u: track_id: \"%.*s\" comes twice", i + 1, size > 80 ? 80 : (int)size, b->id + *at);
    *at += size;
    return OK;
}

static enum status
take_tracks(struct items *items, const struct buf *file, struct err *err)
{
    struct body body = {0};
    struct head head;
    enum status st = check_head(&body, file, err);
    size_t at = 0;

    if (st != OK)
        return st;
    memcpy(&head, file->p, sizeof(head));
    items->n = (uint32_t)head.n;
    if ((items->codes = calloc((size_t)items->n + 1, sizeof(*items->codes))) == NULL)
        return err_memory(err);
    if ((st = ids_new(&items->ids, err)) != OK)
        return st;
    for (uint32_t i = 0; i < items->n && st == OK; i++)
        st = take_track(items, &body, i, &at, (size_t)head.id_bytes, err);
    if (st == OK && at != head.id_bytes)
        st = err_set(
            err, DATA, "the ids have %llu bytes, of which their sizes name %zu", (unsigned long long)head.id_bytes, at);
    return st;
}

enum status
items_load_index(struct items **out, const char *path, struct err *err)
{
    struct items *items = calloc(1, sizeof(*items));
    struct buf file = {0};
    enum status st = items == NULL ? err_memory(err) : file_read(&file, path, SIZE_MAX / 2, err);

    *out = NULL;
    if (st == OK && (st = take_tracks(items, &file, err)) == DATA)
        (void)err_context(err, "%s", path);
    buf_free(&file);
    if (st == OK)
        *out = items;
    else
        items_free(items);
    return st;
}
