/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpeadd - tokens added to a tokenizer.json: their entries are written into the text of the file behind its last added
 * token, so that every other byte stays as its author left it.
 */
#include <stdlib.h>
#include <string.h>

#include "text/bpe.h"

/* What a walk over valid JSON finds: the top-level array "added_tokens". */
struct place {
    size_t open, close; /* of its brackets */
    bool found, empty;
};

/* i is on a quote; behind the closing one. */
static size_t
skip_string(struct str s, size_t i)
{
    for (i++; i < s.n && s.p[i] != '"'; i++)
        if (s.p[i] == '\\')
            i++;
    return i + 1;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* Is the string at i, which ends before end, the key "added_tokens"? *value is where its value begins. */
static bool
is_key(struct str s, size_t i, size_t end, size_t *value)
{
    static const char key[] = "\"added_tokens\"";

    if (end - i != sizeof(key) - 1 || memcmp(s.p + i, key, sizeof(key) - 1) != 0)
        return false;
    while (end < s.n && is_blank(s.p[end]))
        end++;
    if (end == s.n || s.p[end] != ':')
        return false;
    for (end++; end < s.n && is_blank(s.p[end]);)
        end++;
    *value = end;
    return true;
}

static struct place
find_added(struct str s)
{
    struct place at = {0, 0, false, true};
    int depth = 0;

    for (size_t i = 0; i < s.n;) {
        size_t value;
        if (s.p[i] == '"') {
            size_t end = skip_string(s, i);
            if (depth == 1 && !at.found && is_key(s, i, end, &value) && value < s.n && s.p[value] == '[') {
                at.found = true;
                at.open = value;
                end = value;
            } else if (at.found && at.close == 0)
                at.empty = false;
            i = end;
            continue;
        }
        if (s.p[i] == '{' || s.p[i] == '[')
            depth++;
        if (s.p[i] == '}' || s.p[i] == ']')
            depth--;
        if (at.found && at.close == 0 && depth == 1 && s.p[i] == ']')
            at.close = i;
        else if (at.found && at.close == 0 && s.p[i] == '{')
            at.empty = false;
        i++;
    }
    at.found = at.found && at.close > at.open;
    return at;
}

static enum status
put_entries(struct buf *out, const struct str *name, size_t n, uint32_t first, bool comma, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (buf_printf(out, err, "%s\n    {\n      \"id\": %u,\n      \"content\": ", comma || i > 0 ? "," : "",
                first + (uint32_t)i) != OK ||
            json_quote(out, name[i], err) != OK ||
            buf_printf(out, err,
                ",\n      \"single_word\": false,\n      \"lstrip\": false,\n      \"rstrip\": false,\n"
                "      \"normalized\": false,\n      \"special\": false\n    }") != OK)
            return err->status;
    }
    return buf_adds(out, STR("\n  "), err);
}

/* The largest id of vocabulary and added tokens, plus one; DATA if a name is there. */
static enum status
next_id(uint32_t *first, struct json root, struct ids *wanted, struct err *err)
{
    struct json model, vocab, added, v;
    uint64_t next = 0;

    if (json_type(root) != JSON_OBJECT || !json_get(&model, root, "model") || json_type(model) != JSON_OBJECT ||
        !json_get(&vocab, model, "vocab") || json_type(vocab) != JSON_OBJECT)
        return err_set(err, DATA, "model: vocab: missing: not a tokenizer.json");
    for (struct json_iter it = json_iter(vocab); json_next(&it);) {
        if (json_type(it.value) != JSON_I64 || json_i64(it.value) < 0 || ids_find(wanted, it.key) != IDS_NONE)
            return err_set(err, DATA, "vocab: %.*s: a bad id, or there already", (int)it.key.n, it.key.p);
        if (json_u64(it.value) >= next)
            next = json_u64(it.value) + 1;
    }
    if (json_get(&added, root, "added_tokens")) {
        if (json_type(added) != JSON_ARRAY)
            return err_set(err, DATA, "added_tokens: expected an array");
        for (struct json_iter it = json_iter(added); json_next(&it);) {
            if (json_type(it.value) != JSON_OBJECT || !json_get(&v, it.value, "id") || json_type(v) != JSON_I64 ||
                json_i64(v) < 0)
                return err_set(err, DATA, "added_tokens: an entry without an id");
            if (json_u64(v) >= next)
                next = json_u64(v) + 1;
            if (json_get(&v, it.value, "content") && json_type(v) == JSON_STRING &&
                ids_find(wanted, json_str(v)) != IDS_NONE)
                return err_set(err, DATA, "added_tokens: %.*s: there already", (int)json_str(v).n, json_str(v).p);
        }
    }
    if (next + ids_count(wanted) > BPE_MAX_VOCAB)
        return err_set(err, DATA, "more than %u tokens", BPE_MAX_VOCAB);
    *first = (uint32_t)next;
    return OK;
}

static enum status
splice(struct buf *out, struct str json, const struct str *name, size_t n, uint32_t first, struct err *err)
{
    struct place at = find_added(json);
    size_t brace = 0;

    if (at.found) {
        size_t end = at.close;
        while (end > at.open + 1 && is_blank(json.p[end - 1]))
            end--;
        if (buf_add(out, json.p, end, err) != OK || put_entries(out, name, n, first, !at.empty, err) != OK)
            return err->status;
        return buf_add(out, json.p + at.close, json.n - at.close, err);
    }
    while (brace < json.n && json.p[brace] != '{')
        brace++;
    if (buf_add(out, json.p, brace + 1, err) != OK || buf_adds(out, STR("\n  \"added_tokens\": ["), err) != OK ||
        put_entries(out, name, n, first, false, err) != OK || buf_adds(out, STR("],"), err) != OK)
        return err->status;
    return buf_add(out, json.p + brace + 1, json.n - brace - 1, err);
}

enum status
bpe_add_tokens(struct buf *out, uint32_t *first, struct str json, const struct str *name, size_t n, struct err *err)
{
    struct json_parser *parser = NULL;
    struct ids *wanted = NULL;
    struct json root;
    enum status st;

    if ((st = ids_new(&wanted, err)) != OK || (st = json_parser_new(&parser, err)) != OK)
        goto done;
    for (size_t i = 0; i < n; i++) {
        uint32_t k;
        if ((st = ids_add(&k, wanted, name[i], err)) != OK)
            goto done;
        if (k != i || name[i].n == 0) {
            st = err_set(err, DATA, "%.*s: an empty or repeated name", (int)name[i].n, name[i].p);
            goto done;
        }
    }
    if ((st = json_parse(&root, parser, json.p, json.n, err)) == OK && (st = next_id(first, root, wanted, err)) == OK)
        st = splice(out, json, name, n, *first, err);
done:
    json_parser_free(parser);
    ids_free(wanted);
    return st;
}

enum status
bpe_add_music(struct buf *out, uint32_t *first, struct str json, size_t K, struct err *err)
{
    size_t n = MODALITIES * K + 2;
    char(*text)[32] = NULL;
    struct str *name = NULL;
    enum status st;

    if (K == 0 || K > CODE_MAX + 1)
        return err_set(err, DATA, "expected 1 to %d codes a modality, got %zu", CODE_MAX + 1, K);
    text = malloc(n * sizeof(*text));
    name = malloc(n * sizeof(*name));
    if (text == NULL || name == NULL) {
        st = err_memory(err);
        goto done;
    }
    for (int m = 0; m < MODALITIES; m++)
        for (size_t k = 0; k < K; k++) {
            size_t i = (size_t)m * K + k;
            name[i] = (struct str){text[i], token_name(text[i], (enum modality)m, (int32_t)k)};
        }
    name[n - 2] = STR(MUSIC_START);
    name[n - 1] = STR(MUSIC_END);
    st = bpe_add_tokens(out, first, json, name, n, err);
done:
    free(text);
    free(name);
    return st;
}
