/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json of a Llama in the form of Hugging Face transformers (LlamaConfig): read with its defaults, and bounded.
 *
 * Read are the keys that change the arithmetic; those that would change it in a way that is not built here (biases,
 * another activation, a window, quantized weights, another rotary scaling than llama3's) are refused by name, since to
 * ignore them would give a wrong model without a word.
 */
#include <math.h>
#include <string.h>

#include "model/model.h"
#include "model/safetensors.h"

#define CONFIG_MAX_BYTES ((size_t)1 << 20)

static enum status
get_size(size_t *out, struct json o, const char *key, size_t otherwise, size_t lo, size_t hi, struct err *err)
{
    struct json v;
    bool there = json_get(&v, o, key) && json_type(v) != JSON_NULL;

    if (!there && otherwise == 0)
        return err_set(err, DATA, "%s: missing", key);
    if (!there)
        *out = otherwise;
    else if (json_type(v) != JSON_I64 || json_i64(v) < 0)
        return err_set(err, DATA, "%s: expected a whole number", key);
    else
        *out = (size_t)json_i64(v);
    if (*out < lo || *out > hi)
        return err_set(err, DATA, "%s: expected %zu to %zu, got %zu", key, lo, hi, *out);
    return OK;
}

/* otherwise: what a key that is not there stands for; NAN: it must be there. */
static enum status
get_real(double *out, struct json o, const char *key, double otherwise, double lo, double hi, struct err *err)
{
    struct json v;

    *out = otherwise;
    if (!json_get(&v, o, key) || json_type(v) == JSON_NULL)
        return isnan(otherwise) ? err_set(err, DATA, "%s: missing", key) : OK;
    if (json_type(v) != JSON_F64 && json_type(v) != JSON_I64 && json_type(v) != JSON_U64)
        return err_set(err, DATA, "%s: expected a number", key);
    *out = json_f64(v);
    if (!(*out >= lo && *out <= hi))
        return err_set(err, DATA, "%s: expected %g to %g, got %g", key, lo, hi, *out);
    return OK;
}

static enum status
get_bool(bool *out, struct json o, const char *key, struct err *err)
{
    struct json v;

    *out = false;
    if (!json_get(&v, o, key) || json_type(v) == JSON_NULL)
        return OK;
    if (json_type(v) != JSON_BOOL)
        return err_set(err, DATA, "%s: expected true or false", key);
    *out = json_bool(v);
    return OK;
}

/* The key is absent or says exactly want. */
static enum status
must_be(struct json o, const char *key, const char *want, struct err *err)
{
    struct json v;

    if (!json_get(&v, o, key) || json_type(v) == JSON_NULL)
        return OK;
    if (json_type(v) != JSON_STRING || !str_eq(json_str(v), str_of(want)))
        return err_set(err, DATA, "%s: expected \"%s\"", key, want);
    return OK;
}

static enum status
must_be_false(struct json o, const char *key, struct err *err)
{
    bool on;

    if (get_bool(&on, o, key, err) != OK)
        return DATA;
    return on ? err_set(err, DATA, "%s: not supported", key) : OK;
}

/* That a head is rotated as a whole. */
static enum status
check_whole(struct json o, struct err *err)
{
    double part;

    if (get_real(&part, o, "partial_rotary_factor", 1, -1e300, 1e300, err) != OK)
        return DATA;
    return part == 1 ? OK : err_set(err, DATA, "partial_rotary_factor: %g is not supported", part);
}

/* What would change the arithmetic and is not built. */
static enum status
check_plain(struct json o, struct err *err)
{
    static const char *const absent[] = {"quantization_config", "sliding_window"};
    struct json v;
    size_t parts;

    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        if (json_get(&v, o, absent[i]) && json_type(v) != JSON_NULL)
            return err_set(err, DATA, "%s: not supported", absent[i]);
    if (must_be(o, "model_type", "llama", err) != OK || must_be(o, "hidden_act", "silu", err) != OK ||
        must_be_false(o, "attention_bias", err) != OK || must_be_false(o, "mlp_bias", err) != OK ||
        must_be_false(o, "use_sliding_window", err) != OK ||
        get_size(&parts, o, "pretraining_tp", 1, 0, SIZE_MAX, err) != OK || check_whole(o, err) != OK)
        return DATA;
    return parts > 1 ? err_set(err, DATA, "pretraining_tp: products in %zu parts are not supported", parts) : OK;
}

static enum status
get_token(int32_t *out, struct json v, const char *key, size_t V, struct err *err)
{
    if (json_type(v) != JSON_I64 || json_i64(v) < 0 || (uint64_t)json_i64(v) >= V)
        return err_set(err, DATA, "%s: expected token ids below %zu", key, V);
    *out = (int32_t)json_i64(v);
    return OK;
}

/* One id or several; where o says nothing, what c has stays. */
static enum status
get_eos(struct model_config *c, struct json o, struct err *err)
{
    struct json v;

    if (!json_get(&v, o, "eos_token_id") || json_type(v) == JSON_NULL)
        return OK;
    c->n_eos = 0;
    if (json_type(v) != JSON_ARRAY) {
        c->n_eos = 1;
        return get_token(c->eos, v, "eos_token_id", c->V, err);
    }
    for (struct json_iter it = json_iter(v); json_next(&it);) {
        if (c->n_eos == MODEL_MAX_EOS)
            return err_set(err, DATA, "eos_token_id: expected at most %d ids", MODEL_MAX_EOS);
        if (get_token(&c->eos[c->n_eos], it.value, "eos_token_id", c->V, err) != OK)
            return DATA;
        c->n_eos++;
    }
    return OK;
}

static enum status
get_tokens(struct model_config *c, struct json o, struct err *err)
{
    struct json v;

    c->bos = -1;
    c->n_eos = 0;
    if (json_get(&v, o, "bos_token_id") && json_type(v) != JSON_NULL &&
        get_token(&c->bos, v, "bos_token_id", c->V, err) != OK)
        return DATA;
    return get_eos(c, o, err);
}

/* The values of llama3, in rope_scaling or rope_parameters. */
static enum status
get_scaling(struct model_config *c, struct json s, struct err *err)
{
    c->rope_scaled = true;
    if (get_real(&c->rope_factor, s, "factor", (double)NAN, 1, 1e6, err) != OK ||
        get_real(&c->rope_low, s, "low_freq_factor", (double)NAN, 1e-6, 1e6, err) != OK ||
        get_real(&c->rope_high, s, "high_freq_factor", (double)NAN, 1e-6, 1e6, err) != OK ||
        get_size(&c->rope_original, s, "original_max_position_embeddings", 0, 1, MODEL_MAX_POSITIONS, err) != OK)
        return DATA;
    return c->rope_low < c->rope_high ? OK : err_set(err, DATA, "low_freq_factor is not below high_freq_factor");
}

/* The object of either name: its type, where it has none the default one. */
static enum status
get_rope_type(struct model_config *c, struct json s, struct err *err)
{
    struct json type;
    struct str name;

    if (json_type(s) != JSON_OBJECT)
        return err_set(err, DATA, "expected an object");
    if (get_real(&c->rope_theta, s, "rope_theta", c->rope_theta, 1, 1e12, err) != OK || check_whole(s, err) != OK)
        return DATA;
    if (!json_get(&type, s, "rope_type") && !json_get(&type, s, "type"))
        return json_get(&type, s, "factor") ? err_set(err, DATA, "rope_type: missing") : OK;
    name = json_type(type) == JSON_STRING ? json_str(type) : STR("");
    if (str_eq(name, STR("llama3")))
        return get_scaling(c, s, err);
    return str_eq(name, STR("default")) ? OK : err_set(err, DATA, "rope_type: expected \"llama3\" or \"default\"");
}

/* rope_theta at the top and rope_scaling beside it; transformers 5 keeps both in rope_parameters. */
static enum status
get_rope(struct model_config *c, struct json o, struct err *err)
{
    static const char *const name[] = {"rope_parameters", "rope_scaling"};
    struct json s;

    c->rope_scaled = false;
    if (get_real(&c->rope_theta, o, "rope_theta", 10000, 1, 1e12, err) != OK)
        return DATA;
    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        if (json_get(&s, o, name[i]) && json_type(s) != JSON_NULL)
            return get_rope_type(c, s, err) == OK ? OK : err_context(err, "%s", name[i]);
    return OK;
}

static enum status
get_shape(struct model_config *c, struct json o, struct err *err)
{
    if (get_size(&c->V, o, "vocab_size", 0, 2, MODEL_MAX_V, err) != OK ||
        get_size(&c->D, o, "hidden_size", 0, 2, MODEL_MAX_D, err) != OK ||
        get_size(&c->L, o, "num_hidden_layers", 0, 1, MODEL_MAX_L, err) != OK ||
        get_size(&c->H, o, "num_attention_heads", 0, 1, MODEL_MAX_H, err) != OK ||
        get_size(&c->G, o, "num_key_value_heads", c->H, 1, c->H, err) != OK ||
        get_size(&c->F, o, "intermediate_size", 0, 1, MODEL_MAX_F, err) != OK ||
        get_size(&c->max_positions, o, "max_position_embeddings", 2048, 1, MODEL_MAX_POSITIONS, err) != OK)
        return DATA;
    if (c->D / c->H == 0)
        return err_set(err, DATA, "num_attention_heads: more than hidden_size");
    if (get_size(&c->E, o, "head_dim", c->D / c->H, 2, MODEL_MAX_E, err) != OK)
        return DATA;
    if (c->E % 2 != 0)
        return err_set(err, DATA, "head_dim: expected an even number, got %zu", c->E);
    if (c->H % c->G != 0)
        return err_set(err, DATA, "num_attention_heads: %zu is not a multiple of the %zu key/value heads", c->H, c->G);
    return OK;
}

enum status
config_parse(struct model_config *c, struct json o, struct err *err)
{
    memset(c, 0, sizeof *c);
    if (json_type(o) != JSON_OBJECT)
        return err_set(err, DATA, "expected an object");
    if (check_plain(o, err) != OK || get_shape(c, o, err) != OK || get_rope(c, o, err) != OK ||
        get_tokens(c, o, err) != OK)
        return DATA;
    if (get_real(&c->norm_eps, o, "rms_norm_eps", 1e-6, 1e-12, 1, err) != OK)
        return DATA;
    if (get_bool(&c->tied, o, "tie_word_embeddings", err) != OK)
        return DATA;
    return keys_once(o, err);
}

/* Hands the object in a file to what reads it. */
static enum status
with_file(struct model_config *c, const char *path,
    enum status (*get)(struct model_config *, struct json, struct err *), struct err *err)
{
    struct json_parser *parser = NULL;
    struct buf text = {0};
    struct json root;
    enum status st;

    if ((st = file_read(&text, path, CONFIG_MAX_BYTES, err)) == OK && (st = json_parser_new(&parser, err)) == OK &&
        ((st = json_parse_wide(&root, parser, text.p, text.n, err)) != OK || (st = get(c, root, err)) != OK))
        (void)err_context(err, "%s", path);
    json_parser_free(parser);
    buf_free(&text);
    return st;
}

enum status
config_read(struct model_config *out, const char *path, struct err *err)
{
    return with_file(out, path, config_parse, err);
}

enum status
config_load(struct model_config *out, const char *dir, struct err *err)
{
    struct buf path = {0};
    enum status st;

    if ((st = buf_printf(&path, err, "%s/config.json%c", dir, 0)) == OK)
        st = config_read(out, path.p, err);
    buf_free(&path);
    return st;
}

enum status
config_load_ends(struct model_config *c, const char *dir, struct err *err)
{
    static const char name[] = "generation_config.json";
    struct buf path = {0};
    enum status st = OK;

    if (folder_has(dir, name) && (st = buf_printf(&path, err, "%s/%s%c", dir, name, 0)) == OK)
        st = with_file(c, path.p, get_eos, err);
    buf_free(&path);
    return st;
}
