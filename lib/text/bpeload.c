/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpeload - reads a Hugging Face tokenizer.json: the model (vocabulary, merges); the other parts are in bpeparts.c.
 *
 * The format is that of the tokenizers library (its serialisation code is the only definition there is). What changes
 * the result and is not supported is refused by name. Memory: the file's text twice while it loads (simdjson's own
 * tape), then about 100 bytes a token and 32 a merge.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "text/bpe.h"

#define MAX_FILE ((size_t)1 << 28)

/* True if key of o holds something that is not null, false, 0 or "". */
bool
bpe_json_set(struct json o, const char *key)
{
    struct json v;

    if (!json_get(&v, o, key))
        return false;
    switch (json_type(v)) {
    case JSON_BOOL:
        return json_bool(v);
    case JSON_STRING:
        return json_str(v).n > 0;
    case JSON_I64:
    case JSON_U64:
    case JSON_F64:
        return json_f64(v) != 0;
    case JSON_NULL:
        return false;
    default:
        return true;
    }
}

static enum status
check_model(struct json *model, struct json root, struct err *err)
{
    static const char *const refused[] = {
        "dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", NULL};
    struct json v;

    if (json_type(root) != JSON_OBJECT || !json_get(model, root, "model") || json_type(*model) != JSON_OBJECT)
        return err_set(err, DATA, "model: missing: not a tokenizer.json");
    if (json_get(&v, *model, "type") && !(json_type(v) == JSON_STRING && str_eq(json_str(v), STR("BPE"))))
        return err_set(err, DATA, "model: only type BPE is supported");
    for (int i = 0; refused[i] != NULL; i++)
        if (bpe_json_set(*model, refused[i]))
            return err_set(err, DATA, "model: %s is not supported", refused[i]);
    return OK;
}

/* Room for ids below n in the table of tokens. */
static enum status
grow_tokens(struct bpe *b, uint64_t n, struct err *err)
{
    struct bpe_token *p;

    if (n > BPE_MAX_VOCAB)
        return err_set(err, DATA, "ids above %u are not supported", BPE_MAX_VOCAB);
    if (n <= b->n)
        return OK;
    if ((p = realloc(b->token, n * sizeof(*p))) == NULL)
        return err_memory(err);
    memset(p + b->n, 0, (n - b->n) * sizeof(*p));
    b->token = p;
    b->n = (uint32_t)n;
    return OK;
}

/* The bytes that a token stands for; a text outside the alphabet stands for itself, and no text of bytes becomes it. */
static enum status
add_word(struct bpe *b, uint32_t id, struct buf *raw, struct err *err)
{
    struct bpe_token *t = &b->token[id];
    enum status st;
    uint32_t k;

    raw->n = 0;
    t->bytes = t->text;
    if (!alphabet_unspell(raw, t->text, &st, err))
        return st;
    if (ids_add(&k, b->words, (struct str){raw->p, raw->n}, err) != OK)
        return err->status;
    t->bytes = ids_str(b->words, k);
    b->word_id[k] = id;
    if (raw->n == 1)
        b->byte[(unsigned char)raw->p[0]] = id;
    return OK;
}

static enum status
add_token(struct bpe *b, struct str text, struct json value, struct buf *raw, struct err *err)
{
    uint32_t k, id;

    if ((json_type(value) != JSON_I64 && json_type(value) != JSON_U64) ||
        (json_type(value) == JSON_I64 && json_i64(value) < 0) || json_u64(value) >= BPE_MAX_VOCAB)
        return err_set(err, DATA, "vocab: %.*s: expected an id from 0 to %u", (int)text.n, text.p, BPE_MAX_VOCAB - 1);
    id = (uint32_t)json_u64(value);
    if (ids_add(&k, b->names, text, err) != OK)
        return err->status;
    if (k + 1 != ids_count(b->names))
        return err_set(err, DATA, "vocab: %.*s: comes twice", (int)text.n, text.p);
    b->name_id[k] = id;
    if (b->token[id].text.p != NULL)
        return err_set(err, DATA, "vocab: id %u comes twice", id);
    b->token[id].text = ids_str(b->names, k);
    return add_word(b, id, raw, err);
}

static enum status
largest_id(uint64_t *n, struct json vocab, struct err *err)
{
    *n = 0;
    for (struct json_iter it = json_iter(vocab); json_next(&it);) {
        if (json_type(it.value) != JSON_I64 || json_i64(it.value) < 0)
            return err_set(err, DATA, "vocab: %.*s: expected an id", (int)it.key.n, it.key.p);
        if ((uint64_t)json_i64(it.value) >= *n)
            *n = (uint64_t)json_i64(it.value) + 1;
    }
    return OK;
}

static enum status
load_vocab(struct bpe *b, struct json model, struct err *err)
{
    struct buf raw = {0};
    struct json vocab;
    enum status st = OK;
    uint64_t n;

    if (!json_get(&vocab, model, "vocab") || json_type(vocab) != JSON_OBJECT || json_size(vocab) == 0)
        return err_set(err, DATA, "model: vocab: expected a map of tokens to ids");
    if (largest_id(&n, vocab, err) != OK || grow_tokens(b, n, err) != OK)
        return err->status;
    b->name_id = calloc(json_size(vocab), sizeof(*b->name_id));
    b->word_id = calloc(json_size(vocab), sizeof(*b->word_id));
    if (b->name_id == NULL || b->word_id == NULL)
        return err_memory(err);
    for (int i = 0; i < 256; i++)
        b->byte[i] = BPE_NONE;
    for (struct json_iter it = json_iter(vocab); st == OK && json_next(&it);)
        st = add_token(b, it.key, it.value, &raw, err);
    buf_free(&raw);
    if (st != OK)
        return st;
    for (int i = 0; i < 256; i++)
        if (b->byte[i] == BPE_NONE)
            return err_set(err, DATA, "vocab: no token for byte 0x%02x: not a byte-level vocabulary", (unsigned)i);
    return OK;
}

/* "a b", or ["a", "b"]. */
static bool
merge_parts(struct str part[2], struct json v)
{
    const char *blank;
    int n = 0;

    if (json_type(v) == JSON_ARRAY && json_size(v) == 2) {
        for (struct json_iter it = json_iter(v); json_next(&it); n++) {
            if (json_type(it.value) != JSON_STRING)
                return false;
            part[n] = json_str(it.value);
        }
        return true;
    }
    if (json_type(v) != JSON_STRING)
        return false;
    part[0] = json_str(v);
    if ((blank = memchr(part[0].p, ' ', part[0].n)) == NULL)
        return false;
    part[1] = (struct str){blank + 1, part[0].n - (size_t)(blank + 1 - part[0].p)};
    part[0].n = (size_t)(blank - part[0].p);
    return memchr(part[1].p, ' ', part[1].n) == NULL;
}

static enum status
load_merge(struct bpe *b, struct json v, uint32_t rank, struct buf *joined, struct err *err)
{
    struct str part[2];
    uint32_t k[3];

    if (!merge_parts(part, v))
        return err_set(err, DATA, "merges[%u]: expected two tokens", rank);
    joined->n = 0;
    if (buf_adds(joined, part[0], err) != OK || buf_adds(joined, part[1], err) != OK)
        return err->status;
    k[0] = ids_find(b->names, part[0]);
    k[1] = ids_find(b->names, part[1]);
    k[2] = ids_find(b->names, (struct str){joined->p, joined->n});
    for (int i = 0; i < 3; i++)
        if (k[i] == IDS_NONE) {
            struct str s = i == 2 ? (struct str){joined->p, joined->n} : part[i];
            return err_set(err, DATA, "merges[%u]: %.*s is not in the vocabulary", rank, (int)s.n, s.p);
        }
    merges_add(&b->merges, b->name_id[k[0]], b->name_id[k[1]], rank, b->name_id[k[2]]);
    return OK;
}

/*
 * No text of a user becomes a special token, whatever a file's merges make of it, nor an added one by ignore_merges:
 * where that could be, words have merges of their own.
 */
static enum status
part_words(struct bpe *b, struct err *err)
{
    for (size_t i = 0; i < b->merges.slots && !b->apart; i++)
        b->apart = b->merges.slot[i].rank != MERGE_NONE && b->token[b->merges.slot[i].id].special;
    for (size_t i = 0; i < b->n_added && !b->apart; i++)
        b->apart = b->ignore_merges && ids_find(b->names, b->added[i].content) != IDS_NONE;
    if (!b->apart)
        return OK;
    if (merges_init(&b->word_merges, b->merges.n, err) != OK)
        return err->status;
    for (size_t i = 0; i < b->merges.slots; i++) {
        const struct merge *m = &b->merges.slot[i];
        if (m->rank != MERGE_NONE && !b->token[m->id].special)
            merges_add(&b->word_merges, (uint32_t)(m->pair >> 32), (uint32_t)m->pair, m->rank, m->id);
    }
    return OK;
}

static enum status
load_merges(struct bpe *b, struct json model, struct err *err)
{
    struct json list;
    struct buf joined = {0};
    uint32_t rank = 0;
    enum status st = OK;

    if (!json_get(&list, model, "merges") || json_type(list) != JSON_ARRAY)
        return err_set(err, DATA, "model: merges: expected an array");
    if (json_size(list) > BPE_MAX_VOCAB * 2)
        return err_set(err, DATA, "model: merges: more than %u", BPE_MAX_VOCAB * 2);
    if (merges_init(&b->merges, json_size(list), err) != OK)
        return err->status;
    for (struct json_iter it = json_iter(list); st == OK && json_next(&it);)
        st = load_merge(b, it.value, rank++, &joined, err);
    buf_free(&joined);
    return st;
}

static int
compare_ids(const void *a, const void *b)
{
    const struct added *x = *(const struct added *const *)a, *y = *(const struct added *const *)b;

    return x->id < y->id ? -1 : x->id > y->id;
}

/*
 * The reference does not read the ids of added tokens: it takes that of the vocabulary, or the next one behind all that
 * there are. A file that says otherwise would mean two things.
 */
static enum status
check_ids(const struct bpe *b, struct err *err)
{
    const struct added **by_id = malloc((b->n_added + 1) * sizeof(*by_id));
    uint32_t next = ids_count(b->names);
    enum status st = OK;

    if (by_id == NULL)
        return err_memory(err);
    for (size_t i = 0; i < b->n_added; i++)
        by_id[i] = &b->added[i];
    qsort(by_id, b->n_added, sizeof(*by_id), compare_ids);
    for (size_t i = 0; i < b->n_added && st == OK; i++) {
        const struct added *a = by_id[i];
        uint32_t k = ids_find(b->names, a->content), id = k == IDS_NONE ? next : b->name_id[k];
        if (a->id != id)
            st = err_set(err, DATA, "added_tokens: %.*s has id %u; tokenizers would give it %u", (int)a->content.n,
                a->content.p, a->id, id);
        if (id >= next)
            next = id + 1;
    }
    free(by_id);
    return st;
}

/* The reference decodes added tokens like others: one all of whose characters are of the alphabet is read as bytes. */
static enum status
added_bytes(struct bpe *b, const struct added *a, struct err *err)
{
    struct bpe_token *t = &b->token[a->id];
    struct buf raw = {0};
    enum status st;
    uint32_t k;

    t->text = t->bytes = a->content;
    if (alphabet_unspell(&raw, a->content, &st, err) &&
        (st = ids_add(&k, b->strings, (struct str){raw.p, raw.n}, err)) == OK)
        t->bytes = ids_str(b->strings, k);
    buf_free(&raw);
    return st;
}

/* Added tokens may have ids beyond the vocabulary. */
static enum status
place_added(struct bpe *b, struct err *err)
{
    if (check_ids(b, err) != OK)
        return err->status;
    for (size_t i = 0; i < b->n_added; i++) {
        const struct added *a = &b->added[i];
        if (grow_tokens(b, (uint64_t)a->id + 1, err) != OK)
            return err->status;
        if (b->token[a->id].text.n > 0 && !str_eq(b->token[a->id].text, a->content))
            return err_set(err, DATA, "added_tokens: id %u is %.*s already", a->id, (int)b->token[a->id].text.n,
                b->token[a->id].text.p);
        b->token[a->id].added = true;
        b->token[a->id].special = a->special;
        if (added_bytes(b, a, err) != OK)
            return err->status;
    }
    return OK;
}

static enum status
load_root(struct bpe *b, struct json root, struct err *err)
{
    struct json model;

    if (check_model(&model, root, err) != OK || load_vocab(b, model, err) != OK ||
        bpe_load_normalizer(b, root, err) != OK || bpe_load_added(b, root, err) != OK || place_added(b, err) != OK ||
        load_merges(b, model, err) != OK || bpe_load_pre_tokenizer(b, root, err) != OK ||
        bpe_load_post_processor(b, root, err) != OK || bpe_load_decoder(root, err) != OK)
        return err->status;
    b->ignore_merges = bpe_json_set(model, "ignore_merges");
    return part_words(b, err);
}

/* DIR/tokenizer.json for a folder, else the path itself. */
static enum status
tokenizer_path(struct buf *out, const char *path, struct err *err)
{
    struct stat sb;
    bool folder = stat(path, &sb) == 0 && S_ISDIR(sb.st_mode);

    if (buf_printf(out, err, folder ? "%s/tokenizer.json" : "%s", path) != OK)
        return err->status;
    return buf_add(out, "", 1, err);
}

enum status
bpe_load(struct bpe **out, const char *path, struct err *err)
{
    struct bpe *b = calloc(1, sizeof(*b));
    struct json_parser *parser = NULL;
    struct buf name = {0}, text = {0};
    struct json root;
    enum status st;

    *out = NULL;
    if (b == NULL)
        return err_memory(err);
    if ((st = ids_new(&b->names, err)) != OK || (st = ids_new(&b->words, err)) != OK ||
        (st = ids_new(&b->strings, err)) != OK || (st = ids_new(&b->added_names, err)) != OK ||
        (st = tokenizer_path(&name, path, err)) != OK || (st = file_read(&text, name.p, MAX_FILE, err)) != OK ||
        (st = json_parser_new(&parser, err)) != OK)
        goto done;
    if ((st = json_parse(&root, parser, text.p, text.n, err)) != OK || (st = load_root(b, root, err)) != OK) {
        st = err_context(err, "%s", name.p);
        goto done;
    }
    *out = b;
    b = NULL;
done:
    json_parser_free(parser);
    buf_free(&name);
    buf_free(&text);
    bpe_free(b);
    return st;
}
