/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors (Hugging Face, format description in the README of huggingface/safetensors): the header of a hostile
 * file, and its tensors where they lie.
 *
 * Stricter than that description: what it calls "no holes" and "no duplicate keys" is checked, keys within a tensor's
 * entry included. Memory is the header (at most 100 MB, as the reference reader allows); of the data nothing is touched
 * here. Numbers are little-endian in the file and, on every machine that this project is built for, in memory.
 */
#include "model/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_MAX ((uint64_t)100 << 20)
#define LFS "version https://git-lfs"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are taken as they lie in the file");

static const struct {
    const char *name;
    size_t size;
} types[] = {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F64", 8}, {"I64", 8}, {"I32", 4}, {"I16", 2}, {"I8", 1}, {"U8", 1},
    {"U16", 2}, {"U32", 4}, {"U64", 8}, {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};

/* A tensor, and the range of its bytes behind the header. */
struct entry {
    struct weight w;
    char *name;
    uint64_t begin, end;
};

struct safetensors {
    const unsigned char *map; /* the file */
    size_t size;
    bool mapped;   /* by us */
    uint64_t data; /* where the data begins */
    struct entry *entry;
    struct weight *weight; /* those of entry */
    size_t n;
};

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static int
by_begin(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* ---- the header ---- */

static bool
get_u64(uint64_t *out, struct json v)
{
    enum json_type t = json_type(v);

    if (t != JSON_U64 && !(t == JSON_I64 && json_i64(v) >= 0))
        return false;
    *out = json_u64(v);
    return true;
}

static enum status
get_offsets(struct entry *e, struct json o, struct err *err)
{
    struct json v;
    uint64_t at[2] = {0, 0};
    size_t i = 0;

    if (!json_get(&v, o, "data_offsets") || json_type(v) != JSON_ARRAY || json_size(v) != 2)
        return err_set(err, DATA, "data_offsets: expected two numbers");
    for (struct json_iter it = json_iter(v); json_next(&it) && i < 2; i++)
        if (!get_u64(&at[i], it.value))
            return err_set(err, DATA, "data_offsets: expected two numbers");
    if (at[0] > at[1])
        return err_set(err, DATA, "data_offsets: ends at %" PRIu64 " before it begins at %" PRIu64, at[1], at[0]);
    e->begin = at[0];
    e->end = at[1];
    return OK;
}

static enum status
get_dims(struct entry *e, struct json o, struct err *err)
{
    struct json v;

    if (!json_get(&v, o, "shape") || json_type(v) != JSON_ARRAY)
        return err_set(err, DATA, "shape: expected an array");
    for (struct json_iter it = json_iter(v); json_next(&it);) {
        uint64_t x;

        if (e->w.dims == WEIGHT_MAX_DIMS)
            return err_set(err, DATA, "shape: expected at most %d dimensions", WEIGHT_MAX_DIMS);
        if (!get_u64(&x, it.value))
            return err_set(err, DATA, "shape: expected whole numbers");
        e->w.dim[e->w.dims++] = (size_t)x;
    }
    return OK;
}

static enum status
get_dtype(struct entry *e, size_t *size, struct json o, struct err *err)
{
    struct json v;

    if (!json_get(&v, o, "dtype") || json_type(v) != JSON_STRING)
        return err_set(err, DATA, "dtype: expected a string");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_eq(json_str(v), str_of(types[i].name))) {
            e->w.type = types[i].name;
            e->w.dtype = dtype_of(json_str(v));
            *size = types[i].size;
            return OK;
        }
    return err_set(err, DATA, "dtype: %.*s is not known", (int)json_str(v).n, json_str(v).p);
}

static enum status
get_entry(struct entry *e, struct json o, struct err *err)
{
    size_t size = 0, count = 1, bytes;
    enum status st;

    if (json_type(o) != JSON_OBJECT)
        return err_set(err, DATA, "expected an object");
    if ((st = keys_once(o, err)) != OK || (st = get_dtype(e, &size, o, err)) != OK ||
        (st = get_dims(e, o, err)) != OK || (st = get_offsets(e, o, err)) != OK)
        return st;
    for (size_t i = 0; i < e->w.dims; i++)
        if (!size_mul(&count, count, e->w.dim[i]))
            return err_set(err, DATA, "shape: too large");
    if (!size_mul(&bytes, count, size))
        return err_set(err, DATA, "shape: too large");
    if (bytes != e->end - e->begin)
        return err_set(err, DATA, "its shape has %zu bytes, its data_offsets %" PRIu64, bytes, e->end - e->begin);
    e->w.count = count;
    e->w.bytes = bytes;
    return OK;
}

/* A map of strings to strings. */
static enum status
check_about(struct json o, struct err *err)
{
    if (json_type(o) != JSON_OBJECT)
        return err_set(err, DATA, "__metadata__: expected an object");
    for (struct json_iter it = json_iter(o); json_next(&it);)
        if (json_type(it.value) != JSON_STRING)
            return err_set(err, DATA, "__metadata__: %.*s: expected a string", (int)it.key.n, it.key.p);
    return OK;
}

static enum status
get_entries(struct safetensors *f, struct json root, struct err *err)
{
    size_t n = json_size(root);
    bool about = false;
    enum status st;

    if ((f->entry = calloc(n + 1, sizeof *f->entry)) == NULL)
        return err_memory(err);
    for (struct json_iter it = json_iter(root); json_next(&it);) {
        struct entry *e = &f->entry[f->n];

        if (str_eq(it.key, STR("__metadata__"))) {
            if (about)
                return err_set(err, DATA, "__metadata__: comes twice");
            about = true;
            if ((st = check_about(it.value, err)) != OK)
                return st;
            continue;
        }
        if (memchr(it.key.p, 0, it.key.n) != NULL)
            return err_set(err, DATA, "a tensor's name contains the byte 0");
        if ((e->name = strndup(it.key.p, it.key.n)) == NULL)
            return err_memory(err);
        f->n++;
        if (get_entry(e, it.value, err) != OK)
            return err_context(err, "tensor %s", e->name);
    }
    return OK;
}

/* Ranges follow each other from 0 to size without hole or overlap; names are distinct. Leaves entries in order of
 * name. */
static enum status
check_entries(struct safetensors *f, struct err *err)
{
    uint64_t at = 0, size = f->size - f->data;

    qsort(f->entry, f->n, sizeof *f->entry, by_begin);
    for (size_t i = 0; i < f->n; at = f->entry[i++].end)
        if (f->entry[i].begin != at)
            return err_set(err, DATA, "tensor %s: %s: its data begin at %" PRIu64 ", those before end at %" PRIu64,
                f->entry[i].name, f->entry[i].begin < at ? "overlap" : "hole", f->entry[i].begin, at);
    if (at != size)
        return err_set(err, DATA, "expected %" PRIu64 " bytes of data, got %" PRIu64, at, size);
    qsort(f->entry, f->n, sizeof *f->entry, by_name);
    for (size_t i = 1; i < f->n; i++)
        if (strcmp(f->entry[i - 1].name, f->entry[i].name) == 0)
            return err_set(err, DATA, "tensor %s: comes twice", f->entry[i].name);
    return OK;
}

/* The checked entries become what others see. */
static enum status
place(struct safetensors *f, struct err *err)
{
    if ((f->weight = calloc(f->n + 1, sizeof *f->weight)) == NULL)
        return err_memory(err);
    for (size_t i = 0; i < f->n; i++) {
        f->weight[i] = f->entry[i].w;
        f->weight[i].name = f->entry[i].name;
        f->weight[i].p = f->map + f->data + f->entry[i].begin;
    }
    return OK;
}

static enum status
read_header(struct safetensors *f, struct err *err)
{
    struct json_parser *parser = NULL;
    uint64_t n = 0;
    struct json root;
    enum status st;

    if (f->size >= sizeof LFS - 1 && memcmp(f->map, LFS, sizeof LFS - 1) == 0)
        return err_set(err, DATA, "a Git LFS pointer in place of the file: \"git lfs pull\" fetches it");
    if (f->size < 8)
        return err_set(err, DATA, "the file ends early: expected tensors, got %zu bytes", f->size);
    for (size_t i = 0; i < 8; i++)
        n |= (uint64_t)f->map[i] << (8 * i);
    if (n < 2 || n > HEADER_MAX || n > f->size - 8)
        return err_set(err, DATA, "a header of %" PRIu64 " bytes in a file of %zu", n, f->size);
    f->data = n + 8;
    if ((st = json_parser_new(&parser, err)) == OK &&
        (st = json_parse(&root, parser, (const char *)f->map + 8, n, err)) == OK) {
        if (json_type(root) != JSON_OBJECT)
            st = err_set(err, DATA, "header: expected an object");
        else if ((st = get_entries(f, root, err)) == OK && (st = check_entries(f, err)) == OK)
            st = place(f, err);
    }
    json_parser_free(parser);
    return st;
}

static enum status
map_file(struct safetensors *f, const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a named pipe in its place has no writer */
    struct stat sb;
    enum status st = OK;
    void *p = NULL;

    if (fd < 0)
        return err_errno(err, NOINPUT, "%s", path);
    if (fstat(fd, &sb) != 0)
        st = err_errno(err, IO, "%s: stat", path);
    else if (!S_ISREG(sb.st_mode))
        st = err_set(err, DATA, "%s: not a regular file", path);
    else if (sb.st_size > 0 && (p = mmap(NULL, (size_t)sb.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
        st = err_errno(err, IO, "%s: map", path);
    if (st == OK && p != NULL) {
        f->map = p;
        f->size = (size_t)sb.st_size;
        f->mapped = true;
    }
    (void)close(fd); /* only read from; the mapping stays */
    return st;
}

enum status
safetensors_open(struct safetensors **out, const char *path, struct err *err)
{
    struct safetensors *f = calloc(1, sizeof *f);
    enum status st;

    *out = NULL;
    if (f == NULL)
        return err_memory(err);
    if ((st = map_file(f, path, err)) == OK && (st = read_header(f, err)) != OK)
        (void)err_context(err, "%s", path);
    if (st != OK) {
        safetensors_close(f);
        return st;
    }
    *out = f;
    return OK;
}

enum status
safetensors_parse(struct safetensors **out, const void *bytes, size_t n, struct err *err)
{
    struct safetensors *f = calloc(1, sizeof *f);
    enum status st;

    *out = NULL;
    if (f == NULL)
        return err_memory(err);
    f->map = bytes;
    f->size = n;
    if ((st = read_header(f, err)) != OK) {
        safetensors_close(f);
        return st;
    }
    *out = f;
    return OK;
}

void
safetensors_close(struct safetensors *f)
{
    if (f == NULL)
        return;
    for (size_t i = 0; i < f->n; i++)
        free(f->entry[i].name);
    free(f->entry);
    free(f->weight);
    if (f->mapped)
        (void)munmap((void *)(uintptr_t)f->map, f->size);
    free(f);
}

uint64_t
safetensors_bytes(const struct safetensors *f)
{
    return f->size - f->data;
}

const struct weight *
safetensors_tensors(size_t *n, const struct safetensors *f)
{
    *n = f->n;
    return f->weight;
}
