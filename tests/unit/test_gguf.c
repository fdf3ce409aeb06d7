/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GGUF file read back by a parser that shares nothing with the writer, by ggml's docs/gguf.md: every key, every
 * tensor's name, shape, place and numbers. Rows of query and key matrices are expected where llama.cpp's rotation wants
 * them: number 2j of a head is our j, number 2j + 1 our j + E/2. Factors of frequencies are by hand.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/model.h"
#include "gguf_read.h"
#include "unit.h"

#include "folder.h"

enum { V = 9, D = 32, L = 2, H = 4, G = 2, E = 16, F = 40 };

/* ---- what is written ---- */

static struct model *
some_model(bool tied, bool scaled)
{
    struct model_config c = {.V = V,
        .D = D,
        .L = L,
        .H = H,
        .G = G,
        .E = E,
        .F = F,
        .norm_eps = 1e-5,
        .rope_theta = 10000,
        .rope_scaled = scaled,
        .rope_factor = 8,
        .rope_low = 1,
        .rope_high = 4,
        .rope_original = 64,
        .max_positions = 77,
        .bos = 5,
        .eos = {6, 7},
        .n_eos = 2,
        .tied = tied};
    struct model *m = NULL;
    struct rng r = rng_seed(1, 1);

    if (model_new(&m, &c, NULL) != OK)
        return NULL;
    for (size_t i = 0; i < m->params->count; i++)
        m->params->block[i] = (float)rng_normal(&r);
    return m;
}

#define SPLIT \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| " \
    "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|" \
    "\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define LLAMA3 \
    "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" SPLIT \
    "\"},\"behavior\":\"Isolated\"},{\"type\":\"ByteLevel\",\"use_regex\":false}]}"
#define TOKENIZER(pre, whole, merges) \
    "{\"added_tokens\":[{\"id\":5,\"content\":\"<|begin|>\",\"special\":true},{\"id\":6,\"content\":\"<|eot_id|>\"," \
    "\"special\":true},{\"id\":8,\"content\":\"<|audio-0|>\",\"special\":false}],\"pre_tokenizer\":" pre \
    ",\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"\\u0120\":2,\"ab\":3,\"\\u0120ab\":4},\"merges\":" merges \
    ",\"ignore_merges\":" whole "}}"

static void
write_text(const char *name, const char *s)
{
    struct err err;

    CHECK(folder_write(folder, name, s, strlen(s), &err) == OK, "%s is written", name);
}

static enum status export(const struct model *m, enum gguf_as as, struct err *err) {
    struct weights *w = NULL; enum status st;

    if ((st = model_save(folder, &m->config, m->params, err)) == OK && (st = weights_open(&w, folder, err)) == OK)
        st = model_export_gguf(path_of("a.gguf"), folder, &m->config, w, as, true, err);
    weights_close(w);
    return st;
}

/* ---- keys ---- */

static void
test_sizes(struct file *f)
{
    CHECK(is_text(f, "general.architecture", "llama") && is_u32(f, "llama.block_count", L) &&
              is_u32(f, "llama.context_length", 77) && is_u32(f, "llama.embedding_length", D) &&
              is_u32(f, "llama.feed_forward_length", F) && is_u32(f, "llama.attention.head_count", H) &&
              is_u32(f, "llama.attention.head_count_kv", G) && is_u32(f, "llama.attention.key_length", E) &&
              is_u32(f, "llama.attention.value_length", E) && is_u32(f, "llama.rope.dimension_count", E) &&
              is_u32(f, "llama.vocab_size", V) && is_u32(f, "general.file_type", 0),
        "sizes");
    CHECK(is_real(f, "llama.rope.freq_base", 10000) && is_real(f, "llama.attention.layer_norm_rms_epsilon", 1e-5F),
        "theta and epsilon");
}

static void
test_vocabulary(struct file *f)
{
    static const char *const want[V] = {
        "a", "b", "\304\240", "ab", "\304\240ab", "<|begin|>", "<|eot_id|>", "[PAD7]", "<|audio-0|>"};
    static const uint32_t kind[V] = {1, 1, 1, 1, 1, 3, 3, 5, 4};
    bool tokens = find_key(f, "tokenizer.ggml.tokens") == 9 && number(f, 4) == 8 && number(f, 8) == V, kinds, merges;

    for (size_t i = 0; tokens && i < V; i++)
        tokens = str_eq(text(f), str_of(want[i]));
    CHECK(tokens, "tokens, an unused row among them");
    kinds = find_key(f, "tokenizer.ggml.token_type") == 9 && number(f, 4) == 5 && number(f, 8) == V;
    for (size_t i = 0; kinds && i < V; i++)
        kinds = number(f, 4) == kind[i];
    CHECK(kinds, "their kinds: normal, control, user-defined, unused");
    merges = find_key(f, "tokenizer.ggml.merges") == 9 && number(f, 4) == 8 && number(f, 8) == 2;
    CHECK(merges && str_eq(text(f), STR("a b")) && str_eq(text(f), STR("\304\240 ab")), "merges");
    CHECK(is_text(f, "tokenizer.ggml.model", "gpt2") && is_u32(f, "tokenizer.ggml.bos_token_id", 5) &&
              is_u32(f, "tokenizer.ggml.eot_token_id", 6) && find_key(f, "tokenizer.ggml.add_bos_token") == 7 &&
              number(f, 1) == 1,
        "special tokens");
}

/* ---- tensors ---- */

static double
half(const char *p)
{
    float x;

    (void)dtype_to_f32(&x, p, 1, DTYPE_F16);
    return (double)x;
}

/* The number (r, c) of a tensor at p; blocks of Q8_0 are 34 bytes. */
static double
element(const char *p, uint64_t type, size_t r, size_t c, size_t cols)
{
    size_t i = r * cols + c;
    float x = NAN;

    if (type == 8)
        return half(p + i / 32 * 34) * (signed char)p[i / 32 * 34 + 2 + i % 32];
    (void)dtype_to_f32(&x, p + i * (type == 0 ? 4 : 2), 1, type == 0 ? DTYPE_F32 : type == 1 ? DTYPE_F16 : DTYPE_BF16);
    return (double)x;
}

/* How far the tensor is from ours at most, in parts of the largest number of the row; infinity if it is not there. */
static double
distance(struct file *f, const char *name, const float *ours, size_t rows, size_t cols, size_t heads, uint64_t want)
{
    uint64_t type = 99;
    size_t at = find_tensor(&type, f, name, rows, cols), n = cols > 0 ? cols : rows;
    double worst = 0;

    if (at == 0 || type != want || at + (cols > 0 ? rows : 1) * n * (type == 0 ? 4 : 1) > f->b.n)
        return (double)INFINITY;
    for (size_t r = 0; r < (cols > 0 ? rows : 1); r++) {
        size_t per = heads > 0 ? rows / heads : 1, k = r % per;
        const float *row = ours + (heads > 0 ? r - k + k / 2 + (k % 2 == 1 ? per / 2 : 0) : r) * n;
        double most = 0, far = 0;

        for (size_t c = 0; c < n; c++) {
            most = fmax(most, fabs((double)row[c]));
            far = fmax(far, fabs(element(f->b.p + at, type, r, c, n) - (double)row[c]));
        }
        worst = fmax(worst, far / most);
    }
    return worst;
}

static void
test_tensors(struct file *f, const struct model *m, uint64_t type, double allowed)
{
    static const struct {
        const char *name;
        size_t rows, cols, heads;
        size_t at; /* in struct model_layer */
    } all[] = {{"attn_norm", D, 0, 0, offsetof(struct model_layer, attn_norm)},
        {"attn_q", H * E, D, H, offsetof(struct model_layer, wq)},
        {"attn_k", G * E, D, G, offsetof(struct model_layer, wk)},
        {"attn_v", G * E, D, 0, offsetof(struct model_layer, wv)},
        {"attn_output", D, H * E, 0, offsetof(struct model_layer, wo)},
        {"ffn_norm", D, 0, 0, offsetof(struct model_layer, ffn_norm)},
        {"ffn_gate", F, D, 0, offsetof(struct model_layer, w_gate)},
        {"ffn_up", F, D, 0, offsetof(struct model_layer, w_up)},
        {"ffn_down", D, F, 0, offsetof(struct model_layer, w_down)}};
    double worst = distance(f, "token_embd.weight", m->params->embed, V, D, 0, type);

    worst = fmax(worst, distance(f, "output_norm.weight", m->params->norm, D, 0, 0, 0));
    for (size_t l = 0; l < L; l++)
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            float *const *ours = (float *const *)(const void *)((const char *)&m->params->layer[l] + all[i].at);
            bool whole = all[i].cols > 0 && (type != 8 || all[i].cols % 32 == 0);
            char name[64];

            (void)snprintf(name, sizeof name, "blk.%zu.%s.weight", l, all[i].name);
            worst = fmax(worst, distance(f, name, *ours, all[i].rows, all[i].cols, all[i].heads, whole ? type : 0));
        }
    if (!m->config.tied)
        worst = fmax(worst, distance(f, "output.weight", m->params->head, V, D, 0, type));
    CHECK(worst <= allowed, "type %u: every tensor is there with its numbers: %g", (unsigned)type, worst);
}

/* theta 10000, E 16: waves of 2 pi 10000^(i/8). Below 64/4 they stay, above 64/1 they are 8 times as long; between, a
 * mixture. */
static void
test_factors(struct file *f)
{
    uint64_t type = 99, none;
    size_t at = find_tensor(&type, f, "rope_freqs.weight", E / 2, 0);
    double smooth = (64 / (2 * M_PI * pow(10000, 0.125)) - 1) / 3;

    CHECK(at > 0 && type == 0, "factors of frequencies");
    if (at == 0)
        return;
    NEAR(element(f->b.p + at, 0, 0, 0, 8), 1, 0, "a short wave stays as it is");
    NEAR(element(f->b.p + at, 0, 0, 1, 8), 1 / ((1 - smooth) / 8 + smooth), 1e-6, "one between");
    NEAR(element(f->b.p + at, 0, 0, 7, 8), 8, 0, "a long wave is 8 times as long");
    CHECK(find_tensor(&none, f, "output.weight", V, D) == 0, "a tied head is not written");
}

static void
test_types(void)
{
    static const struct {
        enum gguf_as as;
        uint64_t type;
        double allowed;
    } types[] = {{GGUF_AS_IT_IS, 0, 0}, {GGUF_AS_F32, 0, 0}, {GGUF_AS_F16, 1, 0x1p-11}, {GGUF_AS_BF16, 30, 0x1p-8},
        {GGUF_AS_Q8, 8, 0.5 / 127 * 1.001 + 0x1p-11}};

    for (int tied = 0; tied < 2; tied++)
        for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
            struct model *m = some_model(tied != 0, tied != 0);
            struct file f = {0};
            struct err err = {0};

            CHECK(export(m, types[i].as, &err) == OK && open_file(&f, path_of("a.gguf")), "written, and parsed: %s",
                err.text);
            CHECK(f.n_tensors == 2 + 9 * L + 1, "as many tensors as there should be");
            test_tensors(&f, m, types[i].type, types[i].allowed);
            if (i == 0) {
                test_sizes(&f);
                test_vocabulary(&f);
                CHECK(is_text(&f, "tokenizer.ggml.pre", "llama-bpe"), "the split's name");
            }
            if (tied == 1)
                test_factors(&f);
            buf_free(&f.b);
            model_free(m);
        }
}

/* ---- tokenizers ---- */

static void
test_splits(void)
{
    static const struct {
        const char *json, *name; /* or what is refused */
        bool fine;
    } cases[] = {
        {TOKENIZER(LLAMA3, "false", "[\"a b\",\"\\u0120 ab\"]"), "smaug-bpe", true},
        {TOKENIZER("{\"type\":\"ByteLevel\"}", "false", "[]"), "gpt-2", true},
        {TOKENIZER("{\"type\":\"ByteLevel\",\"use_regex\":true}", "true", "[]"), "no name for this split", false},
        {TOKENIZER("{\"type\":\"ByteLevel\",\"use_regex\":false}", "false", "[]"), "no name for this split", false},
        {TOKENIZER("{\"type\":\"ByteLevel\",\"add_prefix_space\":true}", "false", "[]"), "no name for this split",
            false},
        {TOKENIZER("null", "false", "[]"), "no name for this split", false},
        {TOKENIZER(LLAMA3, "true", "[[\"a b\",\"c\"]]"), "without blanks", false},
        {TOKENIZER(LLAMA3, "true", "7"), "merges: expected an array", false},
        {"{\"model\":{\"vocab\":{\"a\":9}},\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}", "expected an id below 9",
            false},
        {"[]", "no name for this split", false},
        {"{", "not JSON", false},
    };
    struct model *m = some_model(true, false);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        struct file f = {0};
        enum status st;

        (void)unlink(path_of("a.gguf"));
        write_text("tokenizer.json", cases[i].json);
        st = export(m, GGUF_AS_F32, &err);
        if (cases[i].fine)
            CHECK(st == OK && open_file(&f, path_of("a.gguf")) && is_text(&f, "tokenizer.ggml.pre", cases[i].name),
                "%s", cases[i].name);
        else
            CHECK(st == DATA && strstr(err.text, cases[i].name) != NULL && !folder_has(folder, "a.gguf"), "refused: %s",
                err.text);
        buf_free(&f.b);
    }
    model_free(m);
}

/* eos of tokenizer_config.json, and the chat template in the three places where it may be. */
static void
test_config(void)
{
    static const char *const config[] = {
        "{\"eos_token\":{\"content\":\"<|eot_id|>\"},\"chat_template\":\"{{ one }}\"}",
        "{\"eos_token\":\"<|begin|>\",\"chat_template\":[{\"name\":\"x\",\"template\":\"{{ x }}\"},"
        "{\"name\":\"default\",\"template\":\"{{ two }}\"}]}",
    };
    static const char *const want[] = {"{{ one }}", "{{ two }}", "{{ three }}"};
    struct model *m = some_model(true, false);

    write_text("tokenizer.json", TOKENIZER(LLAMA3, "true", "[\"a b\",\"\\u0120 ab\"]"));
    for (size_t i = 0; i < 3; i++) {
        struct file f = {0};
        struct err err = {0};

        if (i < 2)
            write_text("tokenizer_config.json", config[i]);
        else
            write_text("chat_template.jinja", want[2]);
        CHECK(export(m, GGUF_AS_F32, &err) == OK && open_file(&f, path_of("a.gguf")) &&
                  is_text(&f, "tokenizer.chat_template", want[i]) &&
                  is_u32(&f, "tokenizer.ggml.eos_token_id", i == 0 ? 6 : 5),
            "chat template and eos: %s %s", want[i], err.text);
        buf_free(&f.b);
    }
    model_free(m);
}

int
main(void)
{
    static const char *const files[] = {
        "a.gguf", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "config.json", "model.safetensors"};

    if (!folder_begin())
        return 1;
    num_init(2);
    write_text("tokenizer.json", TOKENIZER(LLAMA3, "true", "[\"a b\",[\"\\u0120\",\"ab\"]]"));
    test_types();
    test_splits();
    test_config();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        (void)unlink(path_of(files[i]));
    folder_end();
    return unit_done();
}
