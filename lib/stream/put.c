/* SPDX-License-Identifier: Apache-2.0 */
/*
 * put - a canonical record, built in memory, since the number of pairs stands in front of them: put_map leaves one byte
 * for the header, put_close widens it where more than 15 pairs came.
 */
#include <math.h>
#include <string.h>

#include "stream/write.h"

void
writer_fail(struct rec_writer *w, enum status st, const char *what)
{
    if (w->err.status == OK)
        (void)err_set(&w->err, st, "%s", what);
}

int
writer_append(void *data, const char *bytes, size_t n)
{
    struct rec_writer *w = data;
    struct err err;

    if (w->err.status == OK && buf_add(&w->buf, bytes, n, &err) != OK)
        w->err = err;
    return 0;
}

static void
open_container(struct rec_writer *w, bool map)
{
    if (w->depth == REC_MAX_DEPTH) {
        writer_fail(w, DATA, "the record is nested too deep");
        return;
    }
    w->open[w->depth++] = (struct open){w->buf.n, 0, map};
    (void)writer_append(w, "\0", 1);
}

void
rec_begin(struct rec_writer *w)
{
    w->err.status = OK;
    if (w->depth > 0)
        w->buf.n = w->start; /* drop what was not ended */
    w->depth = 0;
    w->key_given = false;
    w->start = w->buf.n;
    open_container(w, true);
}

/* Counts the pair or element that begins here, and writes its key. */
static void
begin_value(struct rec_writer *w, const char *key)
{
    if (w->depth == 0) {
        writer_fail(w, SYSTEM, "a value outside a record");
        return;
    }
    if (w->key_given) {
        w->key_given = false;
        return;
    }
    w->open[w->depth - 1].n++;
    if (w->open[w->depth - 1].map != (key != NULL))
        writer_fail(w, SYSTEM, "a key in an array, or none in a map");
    if (key != NULL)
        (void)msgpack_pack_str_with_body(&w->pk, key, strlen(key));
}

static void
pack_str(struct rec_writer *w, struct str s)
{
    if (s.n > UINT32_MAX)
        writer_fail(w, DATA, "a string longer than 4 GiB");
    else
        (void)msgpack_pack_str_with_body(&w->pk, s.p, s.n);
}

static void
pack_f64(struct rec_writer *w, double x)
{
    if (!isfinite(x))
        writer_fail(w, DATA, "a number that is not finite");
    (void)msgpack_pack_double(&w->pk, x);
}

static void
pack_ext(struct rec_writer *w, int8_t type, const void *bytes, size_t n)
{
    const char *p = bytes;

    if (n > UINT32_MAX) {
        writer_fail(w, DATA, "an extension longer than 4 GiB");
        return;
    }
    for (size_t i = 0; type == REC_EXT_VECTOR && i + sizeof(float) <= n; i += sizeof(float)) {
        float x;
        memcpy(&x, p + i, sizeof(x));
        if (!isfinite(x))
            writer_fail(w, DATA, "a vector with a number that is not finite");
    }
    (void)msgpack_pack_ext_with_body(&w->pk, bytes, n, type);
}

/* Depth is bounded: objects come from rec_read. */
static void
pack_object(struct rec_writer *w, const msgpack_object *o)
{
    switch (o->type) {
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        pack_f64(w, o->via.f64);
        break;
    case MSGPACK_OBJECT_EXT:
        pack_ext(w, o->via.ext.type, o->via.ext.ptr, o->via.ext.size);
        break;
    case MSGPACK_OBJECT_ARRAY:
        (void)msgpack_pack_array(&w->pk, o->via.array.size);
        for (uint32_t i = 0; i < o->via.array.size; i++)
            pack_object(w, &o->via.array.ptr[i]);
        break;
    case MSGPACK_OBJECT_MAP:
        (void)msgpack_pack_map(&w->pk, o->via.map.size);
        for (uint32_t i = 0; i < o->via.map.size; i++) {
            pack_object(w, &o->via.map.ptr[i].key);
            pack_object(w, &o->via.map.ptr[i].val);
        }
        break;
    default:
        (void)msgpack_pack_object(&w->pk, *o);
    }
}

void
put_str(struct rec_writer *w, const char *key, struct str value)
{
    begin_value(w, key);
    pack_str(w, value);
}

void
put_text(struct rec_writer *w, const char *key, const char *value)
{
    put_str(w, key, str_of(value));
}

void
put_u64(struct rec_writer *w, const char *key, uint64_t value)
{
    begin_value(w, key);
    (void)msgpack_pack_uint64(&w->pk, value);
}

void
put_i64(struct rec_writer *w, const char *key, int64_t value)
{
    begin_value(w, key);
    (void)msgpack_pack_int64(&w->pk, value);
}

void
put_f64(struct rec_writer *w, const char *key, double value)
{
    begin_value(w, key);
    pack_f64(w, value);
}

void
put_bool(struct rec_writer *w, const char *key, bool value)
{
    begin_value(w, key);
    (void)(value ? msgpack_pack_true(&w->pk) : msgpack_pack_false(&w->pk));
}

void
put_nil(struct rec_writer *w, const char *key)
{
    begin_value(w, key);
    (void)msgpack_pack_nil(&w->pk);
}

void
put_vector(struct rec_writer *w, const char *key, const float *value, size_t n)
{
    begin_value(w, key);
    pack_ext(w, REC_EXT_VECTOR, value, n * sizeof(*value));
}

void
put_bin(struct rec_writer *w, const char *key, const void *bytes, size_t n)
{
    begin_value(w, key);
    if (n > UINT32_MAX)
        writer_fail(w, DATA, "binary longer than 4 GiB");
    else
        (void)msgpack_pack_bin_with_body(&w->pk, bytes, n);
}

void
put_ext(struct rec_writer *w, const char *key, int8_t type, const void *bytes, size_t n)
{
    begin_value(w, key);
    pack_ext(w, type, bytes, n);
}

void
put_object(struct rec_writer *w, const char *key, const msgpack_object *value)
{
    begin_value(w, key);
    pack_object(w, value);
}

void
put_map(struct rec_writer *w, const char *key)
{
    begin_value(w, key);
    open_container(w, true);
}

void
put_array(struct rec_writer *w, const char *key)
{
    begin_value(w, key);
    open_container(w, false);
}

void
put_key(struct rec_writer *w, struct str key)
{
    begin_value(w, "");
    if (w->err.status != OK)
        return;
    w->buf.n--; /* the empty key that begin_value wrote is one byte */
    pack_str(w, key);
    w->key_given = true;
}

/* Widens the header byte at o->at for more than 15 entries. */
static void
widen_header(struct rec_writer *w, const struct open *o)
{
    size_t more = o->n > UINT16_MAX ? 4 : 2, body = w->buf.n - o->at - 1;
    unsigned char *p;
    struct err err;

    if (buf_reserve(&w->buf, more, &err) != OK) {
        w->err = err;
        return;
    }
    p = (unsigned char *)w->buf.p + o->at;
    memmove(p + 1 + more, p + 1, body);
    p[0] = (unsigned char)(more == 2 ? (o->map ? 0xde : 0xdc) : (o->map ? 0xdf : 0xdd));
    for (size_t i = 0; i < more; i++)
        p[1 + i] = (unsigned char)(o->n >> (8 * (more - 1 - i)));
    w->buf.n += more;
}

void
put_close(struct rec_writer *w)
{
    struct open *o;

    if (w->depth == 0) {
        writer_fail(w, SYSTEM, "put_close without an open map or array");
        return;
    }
    o = &w->open[--w->depth];
    if (w->err.status != OK)
        return;
    if (o->n < 16)
        w->buf.p[o->at] = (char)((o->map ? 0x80 : 0x90) | o->n);
    else
        widen_header(w, o);
}

static bool
in_list(struct str s, const char *const *list)
{
    for (; list != NULL && *list != NULL; list++)
        if (str_eq(s, str_of(*list)))
            return true;
    return false;
}

void
put_rest(struct rec_writer *w, const msgpack_object *map, const char *const *skip)
{
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[i];
        struct str key = {kv->key.via.str.ptr, kv->key.via.str.size};

        if (kv->key.type != MSGPACK_OBJECT_STR) {
            writer_fail(w, DATA, "a key that is not a string");
            return;
        }
        if (!in_list(key, skip)) {
            put_key(w, key);
            put_object(w, NULL, &kv->val);
        }
    }
}
