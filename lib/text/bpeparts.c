/* SPDX-License-Identifier: Apache-2.0 */
/* bpeparts - what a tokenizer.json has around its model: normalizer, pre-tokenizer, added tokens, post-processor. */
#include <stdlib.h>
#include <string.h>

#include "text/bpe.h"

#define MAX_DEPTH 4 /* of Sequence in Sequence */

static struct str
type_of(struct json v)
{
    struct json type;

    if (json_type(v) != JSON_OBJECT || !json_get(&type, v, "type") || json_type(type) != JSON_STRING)
        return STR("?");
    return json_str(type);
}

static enum status
load_normal_form(struct bpe *b, struct json v, int depth, struct err *err)
{
    struct str type = type_of(v);
    struct json list;

    if (str_eq(type, STR("NFC")))
        return b->nfc == NULL ? nfc_new(&b->nfc, err) : OK; /* twice is as once */
    if (!str_eq(type, STR("Sequence")))
        return err_set(err, DATA, "normalizer: %.*s is not supported", (int)type.n, type.p);
    if (depth == MAX_DEPTH || !json_get(&list, v, "normalizers") || json_type(list) != JSON_ARRAY)
        return err_set(err, DATA, "normalizer: Sequence: expected normalizers");
    for (struct json_iter it = json_iter(list); json_next(&it);)
        if (load_normal_form(b, it.value, depth + 1, err) != OK)
            return err->status;
    return OK;
}

enum status
bpe_load_normalizer(struct bpe *b, struct json root, struct err *err)
{
    struct json v;

    if (!json_get(&v, root, "normalizer") || json_type(v) == JSON_NULL)
        return OK;
    return load_normal_form(b, v, 0, err);
}

/* {"Regex": "..."} or {"String": "..."} with behavior Isolated or Removed. */
static enum status
load_split(struct bpe *b, struct json v, struct err *err)
{
    struct json pattern, text, behavior;
    bool invert = bpe_json_set(v, "invert"), literal, removed;

    if (!json_get(&pattern, v, "pattern") || json_type(pattern) != JSON_OBJECT)
        return err_set(err, DATA, "pre_tokenizer: Split without a pattern");
    literal = json_get(&text, pattern, "String");
    if ((!literal && !json_get(&text, pattern, "Regex")) || json_type(text) != JSON_STRING)
        return err_set(err, DATA, "pre_tokenizer: pattern: expected a Regex or a String");
    if (!json_get(&behavior, v, "behavior") || json_type(behavior) != JSON_STRING)
        return err_set(err, DATA, "pre_tokenizer: Split without a behavior");
    removed = str_eq(json_str(behavior), STR("Removed"));
    if (!removed && !str_eq(json_str(behavior), STR("Isolated")))
        return err_set(err, DATA, "pre_tokenizer: behavior %.*s is not supported", (int)json_str(behavior).n,
            json_str(behavior).p);
    /* invert makes separators of what lies between the matches. */
    return splitter_add_pattern(&b->splitter, json_str(text), literal, removed && !invert, removed && invert, err);
}

static enum status
load_byte_level(struct bpe *b, struct json v, struct err *err)
{
    struct json use;

    if (bpe_json_set(v, "add_prefix_space") && splitter_add_blank(&b->splitter, err) != OK)
        return err->status;
    /* Older files have no use_regex: it was always used. */
    if (json_get(&use, v, "use_regex") && !bpe_json_set(v, "use_regex"))
        return OK;
    return splitter_add_pattern(&b->splitter, STR(GPT2_SPLIT), false, false, false, err);
}

static enum status
load_step(struct bpe *b, struct json v, int depth, bool *byte_level, struct err *err)
{
    struct str type = type_of(v);
    struct json list;

    if (str_eq(type, STR("ByteLevel"))) {
        if (*byte_level)
            return err_set(err, DATA, "pre_tokenizer: ByteLevel comes twice");
        *byte_level = true;
        return load_byte_level(b, v, err);
    }
    if (*byte_level)
        return err_set(err, DATA, "pre_tokenizer: %.*s behind ByteLevel is not supported", (int)type.n, type.p);
    if (str_eq(type, STR("Split")))
        return load_split(b, v, err);
    if (str_eq(type, STR("Digits")))
        return splitter_add_digits(&b->splitter, bpe_json_set(v, "individual_digits"), err);
    if (!str_eq(type, STR("Sequence")))
        return err_set(err, DATA, "pre_tokenizer: %.*s is not supported", (int)type.n, type.p);
    if (depth == MAX_DEPTH || !json_get(&list, v, "pretokenizers") || json_type(list) != JSON_ARRAY)
        return err_set(err, DATA, "pre_tokenizer: Sequence: expected pretokenizers");
    for (struct json_iter it = json_iter(list); json_next(&it);)
        if (load_step(b, it.value, depth + 1, byte_level, err) != OK)
            return err->status;
    return OK;
}

enum status
bpe_load_pre_tokenizer(struct bpe *b, struct json root, struct err *err)
{
    bool byte_level = false;
    struct json v;

    if (!json_get(&v, root, "pre_tokenizer") || json_type(v) == JSON_NULL)
        return err_set(err, DATA, "pre_tokenizer: missing: only byte-level tokenizers are supported");
    if (load_step(b, v, 0, &byte_level, err) != OK)
        return err->status;
    if (!byte_level)
        return err_set(err, DATA, "pre_tokenizer: no ByteLevel: only byte-level tokenizers are supported");
    return OK;
}

static enum status
load_one_added(struct bpe *b, struct json v, struct err *err)
{
    struct added *a = &b->added[b->n_added];
    struct json id, content;
    uint32_t k;

    if (json_type(v) != JSON_OBJECT || !json_get(&id, v, "id") || json_type(id) != JSON_I64 || json_i64(id) < 0 ||
        json_i64(id) >= BPE_MAX_VOCAB || !json_get(&content, v, "content") || json_type(content) != JSON_STRING)
        return err_set(err, DATA, "added_tokens[%zu]: expected a map with id and content", b->n_added);
    if (json_str(content).n == 0) /* the reference ignores it too */
        return OK;
    if (ids_add(&k, b->added_names, json_str(content), err) != OK)
        return err->status;
    if (k != b->n_added)
        return err_set(err, DATA, "added_tokens[%zu]: %.*s comes twice", b->n_added, (int)json_str(content).n,
            json_str(content).p);
    *a = (struct added){.content = ids_str(b->added_names, k),
        .id = (uint32_t)json_i64(id),
        .lstrip = bpe_json_set(v, "lstrip"),
        .rstrip = bpe_json_set(v, "rstrip"),
        .single_word = bpe_json_set(v, "single_word"),
        .normalized = bpe_json_set(v, "normalized"),
        .special = bpe_json_set(v, "special")};
    b->n_added++;
    return OK;
}

enum status
bpe_load_added(struct bpe *b, struct json root, struct err *err)
{
    struct json list;

    if (!json_get(&list, root, "added_tokens") || json_type(list) == JSON_NULL)
        return OK;
    if (json_type(list) != JSON_ARRAY)
        return err_set(err, DATA, "added_tokens: expected an array");
    if ((b->added = calloc(json_size(list) + 1, sizeof(*b->added))) == NULL)
        return err_memory(err);
    for (struct json_iter it = json_iter(list); json_next(&it);)
        if (load_one_added(b, it.value, err) != OK)
            return err->status;
    return added_prepare(b, err);
}

/* The ids of one special token of a template go to the list before or after the sequence. */
static enum status
template_token(struct bpe *b, struct json tokens, struct str name, bool behind, struct err *err)
{
    uint32_t *list = behind ? b->after : b->before;
    size_t *n = behind ? &b->n_after : &b->n_before;
    struct json ids;

    for (struct json_iter it = json_iter(tokens); json_next(&it);) {
        if (!str_eq(it.key, name))
            continue;
        if (json_type(it.value) != JSON_OBJECT || !json_get(&ids, it.value, "ids") || json_type(ids) != JSON_ARRAY)
            break;
        for (struct json_iter k = json_iter(ids); json_next(&k);) {
            if (json_type(k.value) != JSON_I64 || json_i64(k.value) < 0 || json_i64(k.value) >= b->n ||
                *n == BPE_MAX_AROUND)
                return err_set(err, DATA, "post_processor: special_tokens: %.*s: bad ids", (int)name.n, name.p);
            list[(*n)++] = (uint32_t)json_i64(k.value);
        }
        return OK;
    }
    return err_set(err, DATA, "post_processor: special_tokens: %.*s: missing", (int)name.n, name.p);
}

static enum status
load_template(struct bpe *b, struct json v, struct err *err)
{
    struct json single, tokens, part, id;
    bool behind = false;

    if (b->n_before + b->n_after > 0)
        return err_set(err, DATA, "post_processor: two that add tokens");
    if (!json_get(&single, v, "single") || json_type(single) != JSON_ARRAY || !json_get(&tokens, v, "special_tokens") ||
        json_type(tokens) != JSON_OBJECT)
        return err_set(err, DATA, "post_processor: TemplateProcessing: expected single and special_tokens");
    for (struct json_iter it = json_iter(single); json_next(&it);) {
        if (json_type(it.value) != JSON_OBJECT)
            return err_set(err, DATA, "post_processor: single: expected maps");
        if (json_get(&part, it.value, "Sequence"))
            behind = true;
        else if (!json_get(&part, it.value, "SpecialToken") || json_type(part) != JSON_OBJECT ||
                 !json_get(&id, part, "id") || json_type(id) != JSON_STRING)
            return err_set(err, DATA, "post_processor: single: expected SpecialToken or Sequence");
        else if (template_token(b, tokens, json_str(id), behind, err) != OK)
            return err->status;
    }
    return OK;
}

/* {"sep": ["</s>", 2], "cls": ["<s>", 0]}: cls before, sep behind. */
static enum status
load_roberta(struct bpe *b, struct json v, struct err *err)
{
    static const char *const keys[] = {"cls", "sep"};

    if (b->n_before + b->n_after > 0)
        return err_set(err, DATA, "post_processor: two that add tokens");
    for (int i = 0; i < 2; i++) {
        struct json pair, id = {0};
        if (!json_get(&pair, v, keys[i]) || json_type(pair) != JSON_ARRAY || json_size(pair) != 2)
            return err_set(err, DATA, "post_processor: %s: expected a token and its id", keys[i]);
        for (struct json_iter it = json_iter(pair); json_next(&it);)
            id = it.value;
        if (json_type(id) != JSON_I64 || json_i64(id) < 0 || json_i64(id) >= b->n)
            return err_set(err, DATA, "post_processor: %s: expected a token and its id", keys[i]);
        (i == 0 ? b->before : b->after)[0] = (uint32_t)json_i64(id);
    }
    b->n_before = b->n_after = 1;
    return OK;
}

static enum status
load_processor(struct bpe *b, struct json v, int depth, struct err *err)
{
    struct str type = type_of(v);
    struct json list;

    if (str_eq(type, STR("ByteLevel"))) /* trims offsets, which nobody asks for here */
        return OK;
    if (str_eq(type, STR("TemplateProcessing")))
        return load_template(b, v, err);
    if (str_eq(type, STR("RobertaProcessing")) || str_eq(type, STR("BertProcessing")))
        return load_roberta(b, v, err);
    if (!str_eq(type, STR("Sequence")))
        return err_set(err, DATA, "post_processor: %.*s is not supported", (int)type.n, type.p);
    if (depth == MAX_DEPTH || !json_get(&list, v, "processors") || json_type(list) != JSON_ARRAY)
        return err_set(err, DATA, "post_processor: Sequence: expected processors");
    for (struct json_iter it = json_iter(list); json_next(&it);)
        if (load_processor(b, it.value, depth + 1, err) != OK)
            return err->status;
    return OK;
}

enum status
bpe_load_decoder(struct json root, struct err *err)
{
    struct json v;
    struct str type;

    if (!json_get(&v, root, "decoder") || json_type(v) == JSON_NULL || str_eq(type = type_of(v), STR("ByteLevel")))
        return OK;
    return err_set(err, DATA, "decoder: %.*s is not supported", (int)type.n, type.p);
}

enum status
bpe_load_post_processor(struct bpe *b, struct json root, struct err *err)
{
    struct json v;

    if (!json_get(&v, root, "post_processor") || json_type(v) == JSON_NULL)
        return OK;
    return load_processor(b, v, 0, err);
}
