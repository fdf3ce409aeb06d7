/* SPDX-License-Identifier: Apache-2.0 */
/* config.json and what goes with it, written so that transformers and llama.cpp's converter read them. */
#include <string.h>

#include "model/model.h"

static enum status
add_real(struct buf *b, const char *key, double value, struct err *err)
{
    char number[32];
    int n = (int)json_number_f64(number, value);

    return buf_printf(b, err, "  \"%s\": %.*s,\n", key, n, number);
}

static enum status
add_rope(struct buf *b, const struct model_config *c, struct err *err)
{
    char factor[32], low[32], high[32];
    int f, l, h;
    enum status st;

    if (!c->rope_scaled)
        return buf_printf(b, err, "  \"rope_scaling\": null,\n");
    f = (int)json_number_f64(factor, c->rope_factor);
    l = (int)json_number_f64(low, c->rope_low);
    h = (int)json_number_f64(high, c->rope_high);
    st = buf_printf(
        b, err, "  \"rope_scaling\": {\n    \"factor\": %.*s,\n    \"high_freq_factor\": %.*s,\n", f, factor, h, high);
    if (st == OK)
        st = buf_printf(b, err,
            "    \"low_freq_factor\": %.*s,\n    \"original_max_position_embeddings\": %zu,\n"
            "    \"rope_type\": \"llama3\"\n  },\n",
            l, low, c->rope_original);
    return st;
}

/* The ids as one number, or an array of several; null for none. */
static enum status
add_tokens(struct buf *b, const char *key, const int32_t *id, size_t n, struct err *err)
{
    enum status st = buf_printf(b, err, "  \"%s\": %s", key, n == 0 ? "null" : n == 1 ? "" : "[");

    for (size_t i = 0; st == OK && i < n; i++)
        st = buf_printf(b, err, "%s%d", i == 0 ? "" : ", ", id[i]);
    return st == OK ? buf_printf(b, err, "%s,\n", n > 1 ? "]" : "") : st;
}

enum status
config_json(struct buf *b, const struct model_config *c, struct err *err)
{
    enum status st;

    if ((st = buf_printf(b, err,
             "{\n  \"architectures\": [\"LlamaForCausalLM\"],\n  \"attention_bias\": false,\n"
             "  \"attention_dropout\": 0.0,\n")) != OK ||
        (st = add_tokens(b, "bos_token_id", &c->bos, c->bos >= 0, err)) != OK ||
        (st = add_tokens(b, "eos_token_id", c->eos, c->n_eos, err)) != OK ||
        (st = buf_printf(b, err,
             "  \"head_dim\": %zu,\n  \"hidden_act\": \"silu\",\n  \"hidden_size\": %zu,\n"
             "  \"initializer_range\": 0.02,\n  \"intermediate_size\": %zu,\n  \"max_position_embeddings\": %zu,\n"
             "  \"mlp_bias\": false,\n  \"model_type\": \"llama\",\n  \"num_attention_heads\": %zu,\n"
             "  \"num_hidden_layers\": %zu,\n  \"num_key_value_heads\": %zu,\n  \"pretraining_tp\": 1,\n",
             c->E, c->D, c->F, c->max_positions, c->H, c->L, c->G)) != OK ||
        (st = add_real(b, "rms_norm_eps", c->norm_eps, err)) != OK || (st = add_rope(b, c, err)) != OK ||
        (st = add_real(b, "rope_theta", c->rope_theta, err)) != OK)
        return st;
    return buf_printf(b, err,
        "  \"tie_word_embeddings\": %s,\n  \"torch_dtype\": \"float32\",\n  \"use_cache\": true,\n  \"vocab_size\": "
        "%zu\n}\n",
        c->tied ? "true" : "false", c->V);
}

enum status
config_generation_json(struct buf *b, const struct model_config *c, struct err *err)
{
    enum status st = buf_printf(b, err, "{\n");

    if (st == OK && c->bos >= 0)
        st = buf_printf(b, err, "  \"bos_token_id\": %d,\n", (int)c->bos);
    for (size_t i = 0; st == OK && i < c->n_eos; i++)
        st = buf_printf(
            b, err, "%s%d%s", i == 0 ? "  \"eos_token_id\": [" : ", ", (int)c->eos[i], i + 1 == c->n_eos ? "],\n" : "");
    if (st == OK)
        st = buf_printf(b, err, "  \"do_sample\": true,\n  \"temperature\": 1.0,\n  \"top_p\": 0.9\n}\n");
    return st;
}

enum status
config_tokenizer_json(struct buf *b, const struct model_config *c, struct str bos, struct str eos, struct err *err)
{
    enum status st = buf_printf(b, err, "{\n");

    if (st == OK && bos.n > 0)
        st = buf_printf(b, err, "  \"bos_token\": \"%.*s\",\n", (int)bos.n, bos.p);
    if (st == OK)
        st = buf_printf(b, err, "  \"clean_up_tokenization_spaces\": false,\n");
    if (st == OK && eos.n > 0)
        st = buf_printf(b, err, "  \"eos_token\": \"%.*s\",\n", (int)eos.n, eos.p);
    return st != OK ? st
                    : buf_printf(b, err,
                          "  \"model_max_length\": %zu,\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\"\n}\n",
                          c->max_positions);
}

/* ---- following another ---- */

/* As transformers calls them. */
static const char *
long_name(enum dtype t)
{
    return t == DTYPE_F16 ? "float16" : t == DTYPE_BF16 ? "bfloat16" : "float32";
}

/* A key and its value, of which c and t know some better. */
static enum status
put_pair(struct buf *out, const struct json_iter *it, const struct model_config *c, enum dtype t, struct err *err)
{
    enum status st;

    if ((st = buf_adds(out, STR("  "), err)) != OK || (st = json_quote(out, it->key, err)) != OK)
        return st;
    if (str_eq(it->key, STR("torch_dtype")) || str_eq(it->key, STR("dtype")))
        return buf_printf(out, err, ": \"%s\",\n", long_name(t));
    if (str_eq(it->key, STR("vocab_size")))
        return buf_printf(out, err, ": %zu,\n", c->V);
    if ((st = buf_adds(out, STR(": "), err)) == OK && (st = json_text(out, it->value, 1, err)) == OK)
        st = buf_adds(out, STR(",\n"), err);
    return st;
}

static enum status
put_like(struct buf *out, struct json root, const struct model_config *c, enum dtype t, struct err *err)
{
    struct json v;
    enum status st = OK;

    for (struct json_iter it = json_iter(root); st == OK && json_next(&it);)
        st = put_pair(out, &it, c, t, err);
    /* What config_load can do without, and others can't. */
    if (st == OK && !json_get(&v, root, "architectures"))
        st = buf_printf(out, err, "  \"architectures\": [\"LlamaForCausalLM\"],\n");
    if (st == OK && !json_get(&v, root, "model_type"))
        st = buf_printf(out, err, "  \"model_type\": \"llama\",\n");
    if (st == OK && !json_get(&v, root, "torch_dtype") && !json_get(&v, root, "dtype"))
        st = buf_printf(out, err, "  \"torch_dtype\": \"%s\",\n", long_name(t));
    return st;
}

enum status
config_json_like(struct buf *out, struct str text, const struct model_config *c, enum dtype t, struct err *err)
{
    struct json_parser *parser = NULL;
    struct json root;
    enum status st;

    if ((st = json_parser_new(&parser, err)) == OK &&
        (st = json_parse_wide(&root, parser, text.p, text.n, err)) == OK) {
        if (json_type(root) != JSON_OBJECT)
            st = err_set(err, DATA, "config.json: expected an object");
        else if ((st = buf_adds(out, STR("{\n"), err)) == OK && (st = put_like(out, root, c, t, err)) == OK) {
            out->n -= 2; /* the last comma and line break: there is always a key */
            st = buf_adds(out, STR("\n}\n"), err);
        }
    }
    json_parser_free(parser);
    return st;
}
