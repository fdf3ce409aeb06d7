/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Hugging Face tokenizer.json as the keys by which llama.cpp knows a tokenizer: tokens as the file spells them, the
 * kind of each (special ones are control tokens, other added ones user-defined), merges, and the name of the split.
 *
 * llama.cpp has splits by name only: that of GPT-2 ("gpt-2"); and that of Llama 3, "llama-bpe" where words that are
 * tokens are not merged (ignore_merges), "smaug-bpe" where they are.
 */
#include <stdlib.h>
#include <string.h>

#include "model/gguf.h"

#define FILE_MAX ((size_t)256 << 20)

static const char gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
static const char llama3[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

enum kind { NORMAL = 1, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5 };

struct token {
    struct str text;
    int32_t kind;
};

/* ---- JSON ---- */

static bool
is_true(struct json o, const char *key)
{
    struct json v;

    return json_get(&v, o, key) && json_type(v) == JSON_BOOL && json_bool(v);
}

static struct str
string_at(struct json o, const char *key)
{
    struct json v;

    return json_get(&v, o, key) && json_type(v) == JSON_STRING ? json_str(v) : STR("");
}

/* ---- tokens ---- */

static enum status
set_token(struct token *t, size_t V, struct str text, struct json id, int32_t kind, struct err *err)
{
    if (json_type(id) != JSON_I64 || json_i64(id) < 0 || (uint64_t)json_i64(id) >= V)
        return err_set(
            err, DATA, "token %.*s: expected an id below %zu", (int)(text.n < 200 ? text.n : 200), text.p, V);
    t[json_i64(id)] = (struct token){text, kind};
    return OK;
}

static enum status
collect(struct token *t, size_t V, struct json root, struct err *err)
{
    struct json model, vocab, added, id;
    enum status st = OK;

    if (!json_get(&model, root, "model") || !json_get(&vocab, model, "vocab") || json_type(vocab) != JSON_OBJECT)
        return err_set(err, DATA, "model: vocab: expected a map of tokens to ids");
    for (struct json_iter it = json_iter(vocab); st == OK && json_next(&it);)
        st = set_token(t, V, it.key, it.value, NORMAL, err);
    if (st != OK || !json_get(&added, root, "added_tokens"))
        return st;
    for (struct json_iter it = json_iter(added); st == OK && json_next(&it);) {
        if (!json_get(&id, it.value, "id"))
            return err_set(err, DATA, "added_tokens: an entry without an id");
        st = set_token(
            t, V, string_at(it.value, "content"), id, is_true(it.value, "special") ? CONTROL : USER_DEFINED, err);
    }
    return st;
}

static enum status
put_tokens(struct gguf *g, const struct token *t, size_t V, struct err *err)
{
    enum status st = gguf_array(g, "tokenizer.ggml.tokens", GGUF_STRING, V, err);

    for (size_t i = 0; st == OK && i < V; i++) {
        char pad[32];

        (void)snprintf(pad, sizeof pad, "[PAD%zu]", i);
        st = gguf_add_str(g, t[i].kind != 0 ? t[i].text : str_of(pad), err);
    }
    if (st == OK)
        st = gguf_array(g, "tokenizer.ggml.token_type", GGUF_I32, V, err);
    for (size_t i = 0; st == OK && i < V; i++)
        st = gguf_add_i32(g, t[i].kind != 0 ? t[i].kind : UNUSED, err);
    return st;
}

/* The id of an added token of that text; V if there is none. */
static size_t
find_added(const struct token *t, size_t V, struct str text)
{
    size_t i = 0;

    while (i < V && !((t[i].kind == CONTROL || t[i].kind == USER_DEFINED) && str_eq(t[i].text, text)))
        i++;
    return i;
}

/* ---- merges and split ---- */

/* "a b", or ["a", "b"] with nothing in them that would make that ambiguous. */
static enum status
put_merge(struct gguf *g, struct json v, struct buf *joined, struct err *err)
{
    enum status st = OK;

    if (json_type(v) == JSON_STRING)
        return gguf_add_str(g, json_str(v), err);
    joined->n = 0;
    for (struct json_iter it = json_iter(v); st == OK && json_next(&it);) {
        if (json_type(it.value) != JSON_STRING || memchr(json_str(it.value).p, ' ', json_str(it.value).n) != NULL)
            return err_set(err, DATA, "merges: expected pairs of tokens without blanks");
        if (joined->n > 0)
            st = buf_add(joined, " ", 1, err);
        if (st == OK)
            st = buf_adds(joined, json_str(it.value), err);
    }
    return st == OK ? gguf_add_str(g, (struct str){joined->p, joined->n}, err) : st;
}

static enum status
put_merges(struct gguf *g, struct json root, struct err *err)
{
    struct json model, merges;
    struct buf joined = {0};
    enum status st;

    if (!json_get(&model, root, "model") || !json_get(&merges, model, "merges") || json_type(merges) != JSON_ARRAY)
        return err_set(err, DATA, "model: merges: expected an array");
    st = gguf_array(g, "tokenizer.ggml.merges", GGUF_STRING, json_size(merges), err);
    for (struct json_iter it = json_iter(merges); st == OK && json_next(&it);)
        st = put_merge(g, it.value, &joined, err);
    buf_free(&joined);
    return st;
}

/* The regular expression by which a pre-tokenizer splits, if that is all that it does; else empty. */
static struct str
split_of(struct json pre)
{
    struct json list, step, pattern, bytes;
    struct json_iter it;

    if (str_eq(string_at(pre, "type"), STR("ByteLevel"))) {
        struct json use;
        bool regex = !json_get(&use, pre, "use_regex") || is_true(pre, "use_regex");

        return regex && !is_true(pre, "add_prefix_space") ? STR(gpt2) : STR("");
    }
    if (!str_eq(string_at(pre, "type"), STR("Sequence")) || !json_get(&list, pre, "pretokenizers") ||
        json_type(list) != JSON_ARRAY || json_size(list) != 2)
        return STR("");
    it = json_iter(list);
    (void)json_next(&it);
    step = it.value;
    (void)json_next(&it);
    bytes = it.value;
    if (!str_eq(string_at(step, "type"), STR("Split")) || !str_eq(string_at(step, "behavior"), STR("Isolated")) ||
        is_true(step, "invert") || !json_get(&pattern, step, "pattern") ||
        !str_eq(string_at(bytes, "type"), STR("ByteLevel")) || is_true(bytes, "add_prefix_space") ||
        !json_get(&list, bytes, "use_regex") || is_true(bytes, "use_regex"))
        return STR("");
    return string_at(pattern, "Regex");
}

static enum status
put_split(struct gguf *g, struct json root, struct err *err)
{
    struct json model, pre;
    bool whole = json_get(&model, root, "model") && is_true(model, "ignore_merges");
    struct str regex = json_get(&pre, root, "pre_tokenizer") ? split_of(pre) : STR("");
    const char *name = NULL;

    if (str_eq(regex, STR(llama3)))
        name = whole ? "llama-bpe" : "smaug-bpe";
    else if (str_eq(regex, STR(gpt2)) && !whole)
        name = "gpt-2";
    if (name == NULL)
        return err_set(err, DATA,
            "pre_tokenizer: llama.cpp has no name for this split: expected that of Llama 3, or of GPT-2 without "
            "ignore_merges");
    return gguf_str(g, "tokenizer.ggml.pre", str_of(name), err);
}

/* ---- special tokens and the chat template ---- */

/* A token's name in tokenizer_config.json: a string, or an object with its content. */
static struct str
named(struct json o, const char *key)
{
    struct json v;

    if (!json_get(&v, o, key))
        return STR("");
    return json_type(v) == JSON_STRING ? json_str(v) : string_at(v, "content");
}

static enum status
put_special(struct gguf *g, const struct token *t, const struct model_config *c, bool add_bos, struct json config,
    struct err *err)
{
    size_t V = c->V, eos = find_added(t, V, named(config, "eos_token"));
    size_t eot = find_added(t, V, STR("<|eot_id|>")), eom = find_added(t, V, STR("<|eom_id|>"));
    enum status st = OK;

    if (c->bos >= 0)
        st = gguf_u32(g, "tokenizer.ggml.bos_token_id", (uint32_t)c->bos, err);
    if (eos == V && c->n_eos > 0)
        eos = (size_t)c->eos[0];
    if (st == OK && eos < V)
        st = gguf_u32(g, "tokenizer.ggml.eos_token_id", (uint32_t)eos, err);
    if (st == OK && eot < V)
        st = gguf_u32(g, "tokenizer.ggml.eot_token_id", (uint32_t)eot, err);
    if (st == OK && eom < V)
        st = gguf_u32(g, "tokenizer.ggml.eom_token_id", (uint32_t)eom, err);
    return st == OK ? gguf_bool(g, "tokenizer.ggml.add_bos_token", add_bos, err) : st;
}

/* chat_template.jinja, or what tokenizer_config.json has: one template, or several of which one is the default. */
static enum status
put_template(struct gguf *g, const char *dir, struct json config, struct err *err)
{
    struct buf path = {0}, text = {0};
    struct str chat = string_at(config, "chat_template");
    struct json list;
    enum status st = OK;

    if (json_get(&list, config, "chat_template") && json_type(list) == JSON_ARRAY)
        for (struct json_iter it = json_iter(list); json_next(&it);)
            if (str_eq(string_at(it.value, "name"), STR("default")))
                chat = string_at(it.value, "template");
    if (folder_has(dir, "chat_template.jinja") &&
        (st = buf_printf(&path, err, "%s/chat_template.jinja%c", dir, 0)) == OK &&
        (st = file_read(&text, path.p, FILE_MAX, err)) == OK)
        chat = (struct str){text.p, text.n};
    if (st == OK && chat.n > 0)
        st = gguf_str(g, "tokenizer.chat_template", chat, err);
    buf_free(&path);
    buf_free(&text);
    return st;
}

/* ---- all of it ---- */

/* DIR/NAME as JSON; what text holds must live as long as root. An absent file is the number 0, which has no keys. */
static enum status
parse_file(struct json *root, struct json_parser *p, const char *dir, const char *name, bool needed, struct err *err)
{
    struct buf path = {0}, text = {0};
    enum status st = buf_printf(&path, err, "%s/%s%c", dir, name, 0);

    if (st == OK && !needed && !folder_has(dir, name))
        st = json_parse(root, p, "0", 1, err);
    else if (st == OK && (st = file_read(&text, path.p, FILE_MAX, err)) == OK &&
             (st = json_parse_wide(root, p, text.p, text.n, err)) != OK)
        (void)err_context(err, "%s", path.p);
    buf_free(&path);
    buf_free(&text);
    return st;
}

enum status
gguf_vocabulary(struct gguf *g, const char *dir, const struct model_config *c, bool add_bos, struct err *err)
{
    struct json_parser *parser[2] = {NULL, NULL};
    struct token *t = calloc(c->V, sizeof *t);
    struct json root, config;
    enum status st = t == NULL ? err_memory(err) : OK;

    if (st == OK && (st = json_parser_new(&parser[0], err)) == OK && (st = json_parser_new(&parser[1], err)) == OK &&
        (st = parse_file(&root, parser[0], dir, "tokenizer.json", true, err)) == OK &&
        (st = parse_file(&config, parser[1], dir, "tokenizer_config.json", false, err)) == OK) {
        if ((st = gguf_str(g, "tokenizer.ggml.model", STR("gpt2"), err)) != OK ||
            (st = put_split(g, root, err)) != OK || (st = collect(t, c->V, root, err)) != OK ||
            (st = put_tokens(g, t, c->V, err)) != OK || (st = put_merges(g, root, err)) != OK ||
            (st = put_special(g, t, c, add_bos, config, err)) != OK)
            (void)err_context(err, "%s/tokenizer.json", dir);
        else
            st = put_template(g, dir, config, err);
    }
    json_parser_free(parser[0]);
    json_parser_free(parser[1]);
    free(t);
    return st;
}
