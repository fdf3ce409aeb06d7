/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors (Hugging Face, format description in the README of huggingface/safetensors): reading float32, float16 and
 * bfloat16 from hostile files, writing float32.
 *
 * Stricter than that description: what it calls "no holes" and "no duplicate keys" is checked, types are only looked at
 * where a tensor is read. Time is one pass over the data, memory the header (at most 100 MB, as the reference reader
 * allows) and 1 MiB. Numbers are little-endian in the file and, on every machine that this project is built for, in
 * memory.
 */
#include "model/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HEADER_MAX ((uint64_t)100 << 20)
#define MAX_DIMS 8
#define CHUNK ((size_t)1 << 18) /* numbers converted at a time */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are copied as they lie in the file");

static const struct dtype {
    const char *name;
    size_t size;
} dtypes[] = {{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F64", 8}, {"I64", 8}, {"I32", 4}, {"I16", 2}, {"I8", 1}, {"U8", 1},
    {"U16", 2}, {"U32", 4}, {"U64", 8}, {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};

struct entry {
    char *name;
    size_t dtype;
    size_t dims, dim[MAX_DIMS];
    uint64_t begin, end; /* bytes, from the first behind the header */
};

struct safetensors {
    char *path;
    FILE *file;
    uint64_t data, bytes; /* where the data begins, and its size */
    struct entry *entry;
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

        if (e->dims == MAX_DIMS)
            return err_set(err, DATA, "shape: expected at most %d dimensions", MAX_DIMS);
        if (!get_u64(&x, it.value))
            return err_set(err, DATA, "shape: expected whole numbers");
        e->dim[e->dims++] = (size_t)x;
    }
    return OK;
}

static enum status
get_dtype(struct entry *e, struct json o, struct err *err)
{
    struct json v;

    if (!json_get(&v, o, "dtype") || json_type(v) != JSON_STRING)
        return err_set(err, DATA, "dtype: expected a string");
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (str_eq(json_str(v), str_of(dtypes[i].name))) {
            e->dtype = i;
            return OK;
        }
    return err_set(err, DATA, "dtype: %.*s is not known", (int)json_str(v).n, json_str(v).p);
}

static enum status
get_entry(struct entry *e, struct json o, struct err *err)
{
    size_t bytes;

    if (json_type(o) != JSON_OBJECT)
        return err_set(err, DATA, "expected an object");
    if (get_dtype(e, o, err) != OK || get_dims(e, o, err) != OK || get_offsets(e, o, err) != OK)
        return DATA;
    bytes = dtypes[e->dtype].size;
    for (size_t i = 0; i < e->dims; i++)
        if (!size_mul(&bytes, bytes, e->dim[i]))
            return err_set(err, DATA, "shape: too large");
    if (bytes != e->end - e->begin)
        return err_set(err, DATA, "its shape has %zu bytes, its data_offsets %" PRIu64, bytes, e->end - e->begin);
    return OK;
}

static enum status
get_entries(struct safetensors *f, struct json root, struct err *err)
{
    size_t n = json_size(root);

    if ((f->entry = calloc(n + 1, sizeof *f->entry)) == NULL)
        return err_memory(err);
    for (struct json_iter it = json_iter(root); json_next(&it);) {
        struct entry *e = &f->entry[f->n];

        if (str_eq(it.key, STR("__metadata__")))
            continue;
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
check_entries(struct safetensors *f, uint64_t size, struct err *err)
{
    uint64_t at = 0;

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

static enum status
read_bytes(void *out, size_t n, struct safetensors *f, struct err *err)
{
    if (fread(out, 1, n, f->file) == n)
        return OK;
    if (ferror(f->file))
        return err_errno(err, IO, "read");
    return err_set(err, DATA, "the file ends early");
}

static enum status
read_header(struct safetensors *f, struct err *err)
{
    struct json_parser *parser = NULL;
    unsigned char length[8];
    uint64_t n = 0;
    struct stat sb;
    struct json root;
    char *text = NULL;
    enum status st;

    if (fstat(fileno(f->file), &sb) != 0)
        return err_errno(err, IO, "stat");
    if (!S_ISREG(sb.st_mode))
        return err_set(err, DATA, "not a regular file");
    if ((st = read_bytes(length, sizeof length, f, err)) != OK)
        return st;
    for (size_t i = 0; i < 8; i++)
        n |= (uint64_t)length[i] << (8 * i);
    if (n < 2 || n > HEADER_MAX || n > (uint64_t)sb.st_size - 8)
        return err_set(err, DATA, "a header of %" PRIu64 " bytes in a file of %jd", n, (intmax_t)sb.st_size);
    f->data = n + 8;
    f->bytes = (uint64_t)sb.st_size - f->data;
    if ((text = malloc(n)) == NULL)
        return err_memory(err);
    if ((st = read_bytes(text, n, f, err)) == OK && (st = json_parser_new(&parser, err)) == OK &&
        (st = json_parse(&root, parser, text, n, err)) == OK) {
        if (json_type(root) != JSON_OBJECT)
            st = err_set(err, DATA, "header: expected an object");
        else if ((st = get_entries(f, root, err)) == OK)
            st = check_entries(f, f->bytes, err);
    }
    json_parser_free(parser);
    free(text);
    return st;
}

enum status
safetensors_open(struct safetensors **out, const char *path, struct err *err)
{
    struct safetensors *f = calloc(1, sizeof *f);
    enum status st;

    *out = NULL;
    if (f == NULL || (f->path = strdup(path)) == NULL)
        st = err_memory(err);
    else if ((f->file = fopen(path, "rb")) == NULL)
        st = err_errno(err, NOINPUT, "%s", path);
    else if ((st = read_header(f, err)) != OK)
        (void)err_context(err, "%s", path);
    if (st != OK) {
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
    free(f->path);
    if (f->file != NULL)
        (void)fclose(f->file); /* only read from */
    free(f);
}

/* ---- tensors in ---- */

static const struct entry *
find(const struct safetensors *f, const char *name)
{
    size_t lo = 0, hi = f->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(f->entry[mid].name, name);

        if (c == 0)
            return &f->entry[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

uint64_t
safetensors_bytes(const struct safetensors *f)
{
    return f->bytes;
}

/* IEEE 754 binary16, subnormals, infinities and NaNs included. */
static float
from_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000U) << 16, exponent = (h >> 10) & 0x1FU, fraction = h & 0x3FFU, bits;
    float x;

    if (exponent == 0) {
        x = (float)fraction * 0x1p-24F;
        return sign != 0 ? -x : x;
    }
    bits = exponent == 31 ? 0x7F800000U : (exponent + 112) << 23;
    bits |= sign | fraction << 13;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float
from_bf16(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

static enum status
read_halves(float *out, size_t n, struct safetensors *f, float (*convert)(uint16_t), struct err *err)
{
    uint16_t *half = malloc(CHUNK * sizeof *half);
    enum status st = half == NULL ? err_memory(err) : OK;

    for (size_t i = 0; st == OK && i < n;) {
        size_t some = n - i < CHUNK ? n - i : CHUNK;

        if ((st = read_bytes(half, some * sizeof *half, f, err)) == OK)
            for (size_t j = 0; j < some; j++)
                out[i + j] = convert(half[j]);
        i += some;
    }
    free(half);
    return st;
}

static enum status
read_entry(float *out, struct safetensors *f, const struct entry *e, size_t rows, size_t cols, struct err *err)
{
    size_t n = cols == 0 ? rows : rows * cols;
    const char *type = dtypes[e->dtype].name;

    if (e->dims != (cols == 0 ? 1U : 2U) || e->dim[0] != rows || (cols > 0 && e->dim[1] != cols))
        return err_set(err, DATA, "expected shape [%zu%s%.0zu], got %zu dimensions, %zu by %zu", rows,
            cols > 0 ? ", " : "", cols, e->dims, e->dims > 0 ? e->dim[0] : 0, e->dims > 1 ? e->dim[1] : 1);
    if (fseeko(f->file, (off_t)(f->data + e->begin), SEEK_SET) != 0)
        return err_errno(err, IO, "seek");
    if (strcmp(type, "F32") == 0)
        return read_bytes(out, n * sizeof *out, f, err);
    if (strcmp(type, "F16") == 0)
        return read_halves(out, n, f, from_f16, err);
    if (strcmp(type, "BF16") == 0)
        return read_halves(out, n, f, from_bf16, err);
    return err_set(err, DATA, "expected F32, F16 or BF16, got %s", type);
}

enum status
safetensors_read(float *out, struct safetensors *f, const char *name, size_t rows, size_t cols, struct err *err)
{
    const struct entry *e = find(f, name);
    enum status st;

    if (e == NULL)
        st = err_set(err, DATA, "missing");
    else
        st = read_entry(out, f, e, rows, cols, err);
    return st == OK ? OK : err_context(err, "%s: tensor %s", f->path, name);
}

/* ---- tensors out ---- */

static enum status
add_header(struct buf *b, const struct tensor *tensor, size_t n, struct err *err)
{
    uint64_t at = 0, length;
    enum status st = buf_printf(b, err, "01234567{\"__metadata__\":{\"format\":\"pt\"}");

    for (size_t i = 0; st == OK && i < n; i++) {
        const struct tensor *t = &tensor[i];
        uint64_t bytes = (uint64_t)t->count * sizeof(float);

        st = buf_printf(b, err, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[%zu", t->name, t->rows);
        if (st == OK && t->cols > 0)
            st = buf_printf(b, err, ",%zu", t->cols);
        if (st == OK)
            st = buf_printf(b, err, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, at + bytes);
        at += bytes;
    }
    if (st == OK)
        st = buf_printf(b, err, "}");
    while (st == OK && b->n % 8 != 0)
        st = buf_printf(b, err, " ");
    if (st != OK)
        return st;
    length = b->n - 8;
    for (size_t i = 0; i < 8; i++)
        b->p[i] = (char)(length >> (8 * i) & 0xFFU);
    return OK;
}

enum status
safetensors_write(const char *path, const struct tensor *tensor, size_t n, struct err *err)
{
    struct rec_writer *w = NULL;
    struct buf header = {0};
    enum status st;

    if ((st = add_header(&header, tensor, n, err)) != OK || (st = rec_create(&w, path, err)) != OK ||
        (st = rec_raw(w, header.p, header.n, err)) != OK)
        goto out;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < tensor[i].count; j += CHUNK) {
            size_t some = tensor[i].count - j < CHUNK ? tensor[i].count - j : CHUNK;

            if ((st = rec_raw(w, tensor[i].p + j, some * sizeof(float), err)) != OK)
                goto out;
        }
    st = rec_commit(w, err);
    w = NULL;
out:
    rec_discard(w);
    buf_free(&header);
    return st;
}
