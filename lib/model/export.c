/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Llama as a GGUF file: llama.cpp's names, keys and order of rows. It rotates neighbouring numbers of a head where
 * transformers rotates those half a head apart, so rows of the query and key matrices are dealt anew; llama3's scaling
 * of the rotary embedding becomes a factor for each frequency.
 *
 * Tensors are streamed from the mapped files. One pass over the data, by all threads; memory is the vocabulary and 8
 * MiB.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/gguf.h"

#define CHUNK ((size_t)1 << 20) /* numbers written at a time, in whole rows */

/* A tensor of ours under llama.cpp's name. */
struct place {
    const struct weight *from;
    char name[64];
    enum gguf_type type;
    size_t heads; /* of a matrix whose rows are dealt anew; else 0 */
};

struct export
{
    const struct model_config *c;
    const struct weights *w;
    enum gguf_type type;
    bool as_it_is; /* the type is each tensor's own */
    struct place *place;
    size_t n;
    float *factor; /* (E/2) of frequencies, or NULL */
    float *number; /* (CHUNK, or a row) */
    unsigned char *out;
};

/* ---- what there is ---- */

static const struct {
    const char *ours, *theirs;
} names[] = {{"input_layernorm.weight", "attn_norm"}, {"self_attn.q_proj.weight", "attn_q"},
    {"self_attn.k_proj.weight", "attn_k"}, {"self_attn.v_proj.weight", "attn_v"},
    {"self_attn.o_proj.weight", "attn_output"}, {"post_attention_layernorm.weight", "ffn_norm"},
    {"mlp.gate_proj.weight", "ffn_gate"}, {"mlp.up_proj.weight", "ffn_up"}, {"mlp.down_proj.weight", "ffn_down"}};

static void
set_name(struct place *p, const struct tensor *t, const struct model_config *c)
{
    unsigned long layer;
    char *rest;

    if (strncmp(t->name, "model.layers.", 13) != 0) {
        (void)snprintf(p->name, sizeof p->name, "%s",
            strncmp(t->name, "lm_head", 7) == 0 ? "output.weight"
            : t->cols == 0                      ? "output_norm.weight"
                                                : "token_embd.weight");
        return;
    }
    layer = strtoul(t->name + 13, &rest, 10);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(rest + 1, names[i].ours) == 0)
            (void)snprintf(p->name, sizeof p->name, "blk.%lu.%s.weight", layer, names[i].theirs);
    p->heads = strstr(p->name, "attn_q.") != NULL ? c->H : strstr(p->name, "attn_k.") != NULL ? c->G : 0;
}

/* Vectors are always float32 there; Q8_0 has whole blocks only. */
static enum gguf_type
type_of(const struct export *x, const struct tensor *t, const struct weight *from)
{
    if (t->cols == 0 || (x->type == GGUF_Q8_0 && !x->as_it_is && t->cols % GGUF_BLOCK != 0))
        return GGUF_F32;
    if (!x->as_it_is)
        return x->type;
    return from->dtype == DTYPE_F32 ? GGUF_F32 : from->dtype == DTYPE_F16 ? GGUF_F16 : GGUF_BF16;
}

static enum status
place_tensors(struct export *x, struct gguf *g, struct err *err)
{
    struct tensor *t = NULL;
    enum status st = params_list(&t, &x->n, x->c, err);

    if (st == OK && (x->place = calloc(x->n, sizeof *x->place)) == NULL)
        st = err_memory(err);
    for (size_t i = 0; st == OK && i < x->n; i++) {
        struct place *p = &x->place[i];

        if ((st = weights_get(&p->from, x->w, t[i].name, t[i].rows, t[i].cols, err)) != OK ||
            (st = weights_check(x->w, p->from, err)) != OK)
            break;
        set_name(p, &t[i], x->c);
        p->type = type_of(x, &t[i], p->from);
        st = gguf_tensor(g, p->name, p->type, t[i].rows, t[i].cols, err);
    }
    free(t);
    return st;
}

/* ---- keys ---- */

/* By how much llama3's scaling divides each frequency: what rope_table does (layers.c), as factors. */
static enum status
set_factors(struct export *x, struct err *err)
{
    const struct model_config *c = x->c;
    double low = (double)c->rope_original / c->rope_low, high = (double)c->rope_original / c->rope_high;

    if (!c->rope_scaled)
        return OK;
    if ((x->factor = calloc(c->E / 2, sizeof *x->factor)) == NULL)
        return err_memory(err);
    for (size_t i = 0; i < c->E / 2; i++) {
        double wave = 2 * M_PI * pow(c->rope_theta, 2 * (double)i / (double)c->E);
        double smooth = ((double)c->rope_original / wave - c->rope_low) / (c->rope_high - c->rope_low);

        x->factor[i] = (float)(wave < high  ? 1
                               : wave > low ? c->rope_factor
                                            : 1 / ((1 - smooth) / c->rope_factor + smooth));
    }
    return OK;
}

/* As llama.cpp numbers what a file mostly is. */
static uint32_t
file_type(enum gguf_type type)
{
    return type == GGUF_F32 ? 0 : type == GGUF_F16 ? 1 : type == GGUF_Q8_0 ? 7 : 32;
}

static enum status
put_keys(struct gguf *g, const struct export *x, struct err *err)
{
    const struct model_config *c = x->c;
    const struct {
        const char *key;
        size_t value;
    } sizes[] = {{"llama.block_count", c->L}, {"llama.context_length", c->max_positions},
        {"llama.embedding_length", c->D}, {"llama.feed_forward_length", c->F}, {"llama.attention.head_count", c->H},
        {"llama.attention.head_count_kv", c->G}, {"llama.attention.key_length", c->E},
        {"llama.attention.value_length", c->E}, {"llama.rope.dimension_count", c->E}, {"llama.vocab_size", c->V}};
    enum gguf_type type = x->place[0].type;
    enum status st = gguf_str(g, "general.architecture", STR("llama"), err);

    if (st == OK)
        st = gguf_u32(g, "general.file_type", file_type(type), err);
    if (st == OK && type == GGUF_Q8_0)
        st = gguf_u32(g, "general.quantization_version", 2, err);
    for (size_t i = 0; st == OK && i < sizeof sizes / sizeof *sizes; i++)
        st = gguf_u32(g, sizes[i].key, (uint32_t)sizes[i].value, err);
    if (st == OK)
        st = gguf_f32(g, "llama.attention.layer_norm_rms_epsilon", (float)c->norm_eps, err);
    return st == OK ? gguf_f32(g, "llama.rope.freq_base", (float)c->rope_theta, err) : st;
}

/* ---- data ---- */

/* Where row r of theirs is among ours: theirs has the two halves of a head's rows alternate. */
static size_t
our_row(size_t r, size_t rows, size_t heads)
{
    size_t E = heads == 0 ? 1 : rows / heads, k = r % E;

    return heads == 0 ? r : r - k + k % 2 * (E / 2) + k / 2;
}

static enum status
write_tensor(struct rec_writer *out, const struct export *x, const struct place *p, struct err *err)
{
    size_t rows = p->from->dims > 1 ? p->from->dim[0] : 1, cols = p->from->dim[p->from->dims - 1];
    size_t size = dtype_size(p->from->dtype) * cols, bytes = gguf_row_bytes(p->type, cols);
    size_t some = cols < CHUNK ? CHUNK / cols : 1;
    enum status st = OK;

    for (size_t i = 0; st == OK && i < rows; i += some) {
        size_t n = rows - i < some ? rows - i : some;
        bool fine = true;

#pragma omp parallel for schedule(static) num_threads(num_threads_for(n *cols)) reduction(&& : fine)
        for (size_t r = 0; r < n; r++) {
            (void)dtype_to_f32(
                x->number + r * cols, p->from->p + our_row(i + r, rows, p->heads) * size, cols, p->from->dtype);
            fine = gguf_row(x->out + r * bytes, x->number + r * cols, cols, p->type) && fine;
        }
        st = fine ? rec_raw(out, x->out, n * bytes, err)
                  : err_set(err, DATA, "tensor %s has a number that is too large for its type", p->from->name);
    }
    return st == OK ? gguf_write_pad(out, (uint64_t)rows * bytes, err) : st;
}

static enum status
write_all(const char *path, const struct export *x, const struct gguf *g, struct err *err)
{
    struct rec_writer *out = NULL;
    enum status st;

    if ((st = rec_create(&out, path, err)) == OK)
        st = gguf_write_head(out, g, err);
    for (size_t i = 0; st == OK && i < x->n; i++)
        st = write_tensor(out, x, &x->place[i], err);
    if (st == OK && x->factor != NULL && (st = rec_raw(out, x->factor, x->c->E / 2 * sizeof(float), err)) == OK)
        st = gguf_write_pad(out, x->c->E / 2 * sizeof(float), err);
    if (st == OK) {
        st = rec_commit(out, err);
        out = NULL;
    }
    rec_discard(out);
    return st;
}

enum status
model_export_gguf(const char *path, const char *dir, const struct model_config *c, const struct weights *w,
    enum gguf_as as, bool add_bos, struct err *err)
{
    static const enum gguf_type types[] = {GGUF_F32, GGUF_F32, GGUF_F16, GGUF_BF16, GGUF_Q8_0};
    struct export x = {.c = c, .w = w, .type = types[as], .as_it_is = as == GGUF_AS_IT_IS};
    struct gguf g = {0};
    size_t room = c->D > c->F ? c->D : c->F;
    enum status st;

    room = room > c->H * c->E ? room : c->H * c->E;
    room = room > CHUNK ? room : CHUNK;
    x.number = calloc(room, sizeof *x.number);
    x.out = calloc(room, sizeof *x.number);
    if (x.number == NULL || x.out == NULL)
        st = err_memory(err);
    else if ((st = place_tensors(&x, &g, err)) == OK && (st = set_factors(&x, err)) == OK) {
        if (x.factor != NULL)
            st = gguf_tensor(&g, "rope_freqs.weight", GGUF_F32, c->E / 2, 0, err);
        if (st == OK && (st = put_keys(&g, &x, err)) == OK && (st = gguf_vocabulary(&g, dir, c, add_bos, err)) == OK)
            st = write_all(path, &x, &g, err);
    }
    gguf_free(&g);
    free(x.place);
    free(x.factor);
    free(x.number);
    free(x.out);
    return st;
}
