/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modality - the five modalities, their weights, and the codes of a track (Doh, Choi, Nam 2025, §4.1 and §4.4).
 * Constant time and memory.
 */
#include "music/music.h"

const char *const modality_name[MODALITIES] = {"playlist", "semantic", "metadata", "lyrics", "audio"};
const double modality_weight[MODALITIES] = {25, 16, 9, 4, 1};

int
modality_find(struct str name)
{
    for (int m = 0; m < MODALITIES; m++)
        if (str_eq(name, str_of(modality_name[m])))
            return m;
    return -1;
}

bool
codes_equal(const struct codes *a, const struct codes *b)
{
    for (int m = 0; m < MODALITIES; m++)
        if (a->code[m] != b->code[m])
            return false;
    return true;
}

/* One pair of the map of codes. */
static enum status
get_code(struct codes *out, const msgpack_object_kv *kv, const char *key, struct err *err)
{
    struct str name;
    uint64_t code;
    int m;

    if (obj_str(&name, &kv->key, key, err) != OK)
        return err->status;
    if ((m = modality_find(name)) < 0)
        return err_set(err, DATA, "%s: expected playlist, semantic, metadata, lyrics or audio, got \"%.*s\"", key,
            name.n > 40 ? 40 : (int)name.n, name.p);
    if (obj_u64(&code, &kv->val, modality_name[m], CODE_MAX, err) != OK)
        return err_context(err, "%s", key);
    if (out->code[m] != CODE_NONE)
        return err_set(err, DATA, "%s: %s comes twice", key, modality_name[m]);
    out->code[m] = (int32_t)code;
    return OK;
}

enum status
codes_get(struct codes *out, const msgpack_object *map, const char *key, struct err *err)
{
    const msgpack_object *codes;

    for (int m = 0; m < MODALITIES; m++)
        out->code[m] = CODE_NONE;
    if (map_map(&codes, map, key, err) != OK)
        return err->status;
    if (codes->via.map.size == 0)
        return err_set(err, DATA, "%s: expected at least one modality, got none", key);
    for (uint32_t i = 0; i < codes->via.map.size; i++)
        if (get_code(out, &codes->via.map.ptr[i], key, err) != OK)
            return err->status;
    return OK;
}

void
codes_put(struct rec_writer *w, const char *key, const struct codes *codes)
{
    put_map(w, key);
    for (int m = 0; m < MODALITIES; m++)
        if (codes->code[m] != CODE_NONE)
            put_u64(w, modality_name[m], (uint64_t)codes->code[m]);
    put_close(w);
}
