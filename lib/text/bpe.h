/* SPDX-License-Identifier: Apache-2.0 */
/* bpe - the inside of a tokenizer, for this room alone. */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "text/nfc.h"
#include "text/splithand.h"
#include "text/text.h"
#include "text/utf8.h"

#define BPE_MAX_VOCAB ((uint32_t)1 << 22)
#define BPE_MAX_STEPS 8
#define BPE_MAX_AROUND 8 /* tokens that a post-processor puts before or after a sequence */

/* ---- the byte-level alphabet (alphabet.c) ---- */

/* The character that stands for a byte, and back (-1 for characters that stand for none). */
uint32_t alphabet_char(unsigned char byte);
int alphabet_byte(uint32_t c);
/* bytes spelled in the alphabet, appended to out. */
enum status alphabet_spell(struct buf *out, struct str bytes, struct err *err);
/* The reverse; false, and nothing appended, if a character is not of the alphabet. */
bool alphabet_unspell(struct buf *out, struct str spelled, enum status *st, struct err *err);

/* ---- merges (bpemerge.c) ---- */

struct merge {
    uint64_t pair; /* left << 32 | right */
    uint32_t rank, id;
};
#define MERGE_NONE UINT32_MAX /* as rank: a free slot */
/* Open addressing, at most half full. */
struct merges {
    struct merge *slot;
    size_t slots, n;
};
enum status merges_init(struct merges *m, size_t n, struct err *err);
/* The last rank given to a pair counts, as in the reference. */
void merges_add(struct merges *m, uint32_t left, uint32_t right, uint32_t rank, uint32_t id);
const struct merge *merges_find(const struct merges *m, uint32_t left, uint32_t right); /* NULL */

struct merge_work {
    void *block;
    size_t size;
};
/* Merges the *n symbols of id in place until no pair has a rank: lowest rank first, then leftmost. */
enum status merges_apply(uint32_t *id, size_t *n, const struct merges *m, struct merge_work *work, struct err *err);

/* ---- pre-tokenizers (split.c) ---- */

/* The split of GPT-2 (encoder.py of its release), where a ByteLevel pre-tokenizer has use_regex. */
#define GPT2_SPLIT "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
/* Those of Llama 3, with {1,3} digits, and Qwen 2, with none. */
#define LLAMA3_SPLIT(digits) \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" digits \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

enum split_kind { SPLIT_PATTERN, SPLIT_HAND, SPLIT_BLANK };
struct split_step {
    enum split_kind kind;
    pcre2_code *code; /* of a pattern */
    bool drop_match, drop_gap;
    struct hand hand;
};
struct splitter {
    struct split_step step[BPE_MAX_STEPS];
    size_t n;
    uint8_t *set; /* (SPLIT_TABLE), NULL where no step goes by hand */
};
/* pattern: a regular expression as the reference reads it, or the text itself if literal. */
enum status splitter_add_pattern(
    struct splitter *s, struct str pattern, bool literal, bool drop_match, bool drop_gap, struct err *err);
/* Numbers are pieces: each digit by itself, or each run. */
enum status splitter_add_digits(struct splitter *s, bool individual, struct err *err);
/* A blank is put before a piece that does not begin with one. */
enum status splitter_add_blank(struct splitter *s, struct err *err);
void splitter_fini(struct splitter *s);
/* *set (SPLIT_TABLE, the caller frees it) becomes 1 for what Rust's \\w takes: letters, marks, digits, joiners … */
enum status split_word_set(uint8_t **set, struct err *err);
/* pattern as PCRE2 has to read it, appended to out (splitpattern.c); DATA for what has no equal. */
enum status split_pattern(struct buf *out, struct str pattern, struct err *err);

/* What a thread needs to run a splitter. */
struct split_run {
    const struct splitter *splitter;
    pcre2_match_data *match[BPE_MAX_STEPS];
    struct buf blank;
};
enum status split_run_init(struct split_run *r, const struct splitter *s, struct err *err);
void split_run_fini(struct split_run *r);
/* Calls each for every piece of text, which is UTF-8, from left to right. */
enum status split_text(struct split_run *r, struct str text,
    enum status (*each)(void *arg, struct str piece, struct err *err), void *arg, struct err *err);

/* ---- the tokenizer ---- */

struct bpe_token {
    struct str text, bytes; /* in the pools of struct bpe once all are loaded; empty text: the id is not used */
    bool added, special;
};

struct added {
    struct str content, pattern; /* pattern: what is looked for */
    uint32_t id;
    bool lstrip, rstrip, single_word, normalized, special;
};

/* Those that are looked for in one pass, sorted by their patterns. */
struct added_set {
    const struct added **sorted; /* (n) */
    size_t n;
    bool first[256]; /* of a pattern */
};

struct bpe {
    struct bpe_token *token; /* (n) */
    uint32_t n;
    struct ids *names;   /* spelled, vocabulary */
    uint32_t *name_id;   /* index in names -> id */
    struct ids *words;   /* bytes of tokens that a whole word may become */
    uint32_t *word_id;   /* index in words -> id */
    struct ids *strings; /* keeps the bytes and patterns of added tokens */
    uint32_t byte[256];
    struct merges merges, word_merges;
    bool apart; /* words of their own are merged by word_merges */
    bool ignore_merges;
    struct splitter splitter;
    struct added *added;
    size_t n_added;
    struct ids *added_names;       /* index = index of added */
    struct added_set added_set[2]; /* as they are, normalized */
    uint8_t *word;                 /* (SPLIT_TABLE) not 0 for what is part of a word; NULL where nobody asks */
    struct nfc *nfc;               /* NULL for no normalizer */
    uint32_t before[BPE_MAX_AROUND], after[BPE_MAX_AROUND];
    size_t n_before, n_after;
};

/* Well-formed, normalized text as tokens, none of them added, appended to out. */
enum status bpe_encode_clean(struct tokens *out, struct bpe_encoder *e, struct str text, struct err *err);
/* Ill-formed sequences that a caller replaced itself. */
void bpe_encoder_add_bad(struct bpe_encoder *e, uint64_t n);
const struct bpe *bpe_encoder_bpe(const struct bpe_encoder *e);
/* Where e normalizes; one text at a time. */
struct nfc_work *bpe_encoder_nfc(struct bpe_encoder *e);

/* ---- the file's parts (bpeload.c, bpeparts.c) ---- */

/* True if key of o holds something that is not null, false, 0 or "". */
bool bpe_json_set(struct json o, const char *key);
enum status bpe_load_normalizer(struct bpe *b, struct json root, struct err *err);
enum status bpe_load_pre_tokenizer(struct bpe *b, struct json root, struct err *err);
enum status bpe_load_post_processor(struct bpe *b, struct json root, struct err *err);
enum status bpe_load_decoder(struct json root, struct err *err);
enum status bpe_load_added(struct bpe *b, struct json root, struct err *err);

/* ---- added tokens in a text (added.c) ---- */

/* Once all of b->added, and b->nfc, are there. */
enum status added_prepare(struct bpe *b, struct err *err);
/* A text around its added tokens: calls plain for what lies between (normalized) and token for each token found, from
 * left to right. */
struct added_calls {
    enum status (*plain)(void *arg, struct str text, struct err *err);
    enum status (*token)(void *arg, uint32_t id, struct err *err);
    void *arg;
};
enum status added_split(
    const struct bpe *b, struct nfc_work *work, struct str text, const struct added_calls *calls, struct err *err);

/* ---- the file of a trained tokenizer (bpewrite.c) ---- */

struct learnt {
    const struct ids *tokens; /* bytes, by id */
    const uint32_t (*merge)[2];
    uint32_t n_merges;
    const char *const *special; /* ids behind the tokens; the first is what begins a sequence */
    uint32_t n_special;
};
enum status bpe_write(struct buf *out, const struct learnt *x, struct err *err);

#endif
