/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segments - pieces of an example: what may become special tokens and what may not.
 *
 * Neighbours of the same kind, turn and training flag grow together, so that a record holds few of them.
 */
#include <stdlib.h>
#include <string.h>

#include "text/text.h"

void
segments_clear(struct segments *s)
{
    s->n = 0;
    s->bytes.n = 0;
}

void
segments_free(struct segments *s)
{
    free(s->p);
    free(s->at);
    buf_free(&s->bytes);
    *s = (struct segments){0};
}

static enum status
grow(struct segments *s, struct err *err)
{
    size_t cap = s->cap == 0 ? 32 : s->cap * 2, bytes;
    struct segment *p;
    size_t *at;

    if (!size_mul(&bytes, cap, sizeof(*p)) || (p = realloc(s->p, bytes)) == NULL)
        return err_memory(err);
    s->p = p;
    if ((at = realloc(s->at, cap * sizeof(*at))) == NULL)
        return err_memory(err);
    s->at = at;
    s->cap = cap;
    return OK;
}

enum status
segments_add(struct segments *s, bool control, bool train, uint32_t turn, struct str text, struct err *err)
{
    struct segment *last = s->n > 0 ? &s->p[s->n - 1] : NULL;

    if (text.n == 0)
        return OK;
    if (last != NULL && last->control == control && last->train == train && last->turn == turn) {
        if (buf_adds(&s->bytes, text, err) != OK)
            return SYSTEM;
        last->text.n += text.n;
        return OK;
    }
    if (s->n == s->cap && grow(s, err) != OK)
        return SYSTEM;
    s->at[s->n] = s->bytes.n;
    if (buf_adds(&s->bytes, text, err) != OK)
        return SYSTEM;
    s->p[s->n++] = (struct segment){{NULL, text.n}, control, train, turn};
    return OK;
}

struct segments_mark
segments_mark(const struct segments *s)
{
    return (struct segments_mark){s->n, s->n == 0 ? 0 : s->p[s->n - 1].text.n, s->bytes.n};
}

void
segments_back(struct segments *s, struct segments_mark mark)
{
    s->n = mark.n;
    s->bytes.n = mark.bytes;
    if (s->n > 0)
        s->p[s->n - 1].text.n = mark.last;
}

struct segment
segments_get(const struct segments *s, size_t i)
{
    struct segment x = s->p[i];

    /* The bytes move as they grow: the pointer is made when it is asked for. */
    x.text.p = s->bytes.p + s->at[i];
    return x;
}

void
segments_put(struct rec_writer *w, const char *key, const struct segments *s)
{
    put_array(w, key);
    for (size_t i = 0; i < s->n; i++) {
        struct segment x = segments_get(s, i);
        put_map(w, NULL);
        put_str(w, "text", x.text);
        put_text(w, "kind", x.control ? "control" : "text");
        put_bool(w, "train", x.train);
        put_u64(w, "turn", x.turn);
        put_close(w);
    }
    put_close(w);
}

static enum status
read_one(struct segments *out, const msgpack_object *o, uint32_t turn, struct err *err)
{
    struct str text, kind;
    bool train = false;
    uint64_t t = turn;

    if (obj_map(o, "segment", err) != OK || map_str(&text, o, "text", err) != OK ||
        map_str(&kind, o, "kind", err) != OK)
        return DATA;
    if (!str_eq(kind, STR("control")) && !str_eq(kind, STR("text")))
        return err_set(
            err, DATA, "kind: expected control or text, got '%.*s'", (int)(kind.n < 40 ? kind.n : 40), kind.p);
    if (map_has(o, "train") && map_bool(&train, o, "train", err) != OK)
        return DATA;
    if (map_has(o, "turn") && map_u64(&t, o, "turn", UINT32_MAX, err) != OK)
        return DATA;
    return segments_add(out, kind.p[0] == 'c', train, (uint32_t)t, text, err);
}

enum status
segments_read(struct segments *out, const msgpack_object *map, const char *key, struct err *err)
{
    const msgpack_object *array;
    enum status st = map_array(&array, map, key, err);

    for (uint32_t i = 0; st == OK && i < array->via.array.size; i++) {
        uint32_t turn = out->n > 0 ? out->p[out->n - 1].turn : 0;
        st = read_one(out, &array->via.array.ptr[i], turn, err);
        if (st == DATA)
            return err_context(err, "%s: segment %u", key, i + 1);
    }
    return st;
}
