/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpe - merging, training, loading and decoding. Expected values by hand, as said beside them; the fast merging is held
 * against the slow one.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text/bpe.h"
#include "unit.h"

static struct err err;

/* Symbol by symbol, as the definition says. */
static void
merge_plain(uint32_t *id, size_t *n, const struct merges *m)
{
    for (;;) {
        const struct merge *best = NULL;
        size_t at = 0;
        for (size_t i = 0; i + 1 < *n; i++) {
            const struct merge *p = merges_find(m, id[i], id[i + 1]);
            if (p != NULL && (best == NULL || p->rank < best->rank)) {
                best = p;
                at = i;
            }
        }
        if (best == NULL)
            return;
        id[at] = best->id;
        memmove(id + at + 1, id + at + 2, (*n - at - 2) * sizeof(*id));
        --*n;
    }
}

static void
test_merge(void)
{
    struct merges m;
    struct merge_work work = {0};
    struct rng r = rng_seed(2, 1);
    size_t wrong = 0;

    CHECK(merges_init(&m, 400, &err) == OK, "room for merges");
    for (uint32_t k = 0; k < 400; k++) /* symbols 0-2 at first; pairs of any two that are there */
        merges_add(&m, (uint32_t)rng_below(&r, 3 + k / 4), (uint32_t)rng_below(&r, 3 + k / 4), k, 3 + k);
    for (int round = 0; round < 2000; round++) {
        uint32_t a[300], b[300];
        size_t n = 1 + rng_below(&r, 299), k = n;
        for (size_t i = 0; i < n; i++)
            a[i] = b[i] = (uint32_t)rng_below(&r, 3);
        merge_plain(a, &n, &m);
        wrong += merges_apply(b, &k, &m, &work, &err) != OK || k != n || memcmp(a, b, n * sizeof(*a)) != 0;
    }
    CHECK(wrong == 0, "short and long words merge as the definition says");
    free(work.block);
    free(m.slot);
}

/* A tokenizer learnt from text, in a file of its own; the caller frees *json. */
static bool
learn(struct buf *json, uint32_t *made, const char *text, uint32_t vocab)
{
    struct bpe_trainer *t = NULL;
    bool ok = bpe_trainer_new(&t, &err) == OK && bpe_trainer_add(t, str_of(text), &err) == OK &&
              bpe_train(json, made, t, vocab, 2, &err) == OK;

    bpe_trainer_free(t);
    return ok;
}

static struct bpe *
load_bytes(struct str json)
{
    char path[] = "/tmp/test_text.XXXXXX";
    int fd = mkstemp(path);
    struct bpe *b = NULL;

    if (fd < 0)
        return NULL;
    if (write(fd, json.p, json.n) != (ssize_t)json.n || bpe_load(&b, path, &err) != OK)
        printf("# %s\n", err.text);
    (void)close(fd);
    (void)unlink(path);
    return b;
}

/* Are the tokens of text the ids named, spelled with | between them? */
static bool
encodes(struct bpe_encoder *e, const struct bpe *b, const char *text, bool control, const char *want)
{
    struct tokens t = {0};
    struct buf got = {0};
    bool ok = (control ? bpe_encode_control : bpe_encode_text)(&t, e, str_of(text), &err) == OK;

    for (size_t i = 0; ok && i < t.n; i++)
        ok = (i == 0 || buf_add(&got, "|", 1, &err) == OK) && buf_adds(&got, bpe_token_text(b, t.p[i]), &err) == OK;
    ok = ok && str_eq((struct str){got.p, got.n}, str_of(want));
    if (!ok)
        printf("# got %.*s\n", (int)got.n, got.p == NULL ? "" : got.p);
    tokens_free(&t);
    buf_free(&got);
    return ok;
}

/*
 * "ab ab ab abc" is ab once, _ab twice, _abc once: (a,b) 4, (_,a) 3, (b,c) 1. So ab is learnt, then (_,ab) of 3, and
 * (_ab,c) of 1 is too rare: 256 + 2 + 7 tokens.
 */
static void
test_train(void)
{
    struct buf json = {0}, more = {0};
    struct bpe *b, *music;
    struct bpe_encoder *e = NULL;
    uint32_t made = 0, first = 0;

    CHECK(learn(&json, &made, "ab ab ab abc", 300) && made == 265, "two merges are learnt by hand and here");
    b = load_bytes((struct str){json.p, json.n});
    CHECK(b != NULL && bpe_vocab_size(b) == 265 && bpe_token_id(b, STR("ab")) == 256 &&
              bpe_token_id(b, STR("\xc4\xa0"
                                  "ab")) == 257 &&
              bpe_token_id(b, STR("!")) == 0 && bpe_token_id(b, STR("<|begin_of_text|>")) == 258 &&
              bpe_token_id(b, STR("none")) == BPE_NONE,
        "ids: bytes, merges in their order, special tokens");
    CHECK(bpe_encoder_new(&e, b, &err) == OK && encodes(e, b, "ab abc", false,
                                                    "ab|\xc4\xa0"
                                                    "ab|c"),
        "text is merged");
    CHECK(encodes(e, b, "ab<|eot_id|>ab", true, "ab|<|eot_id|>|ab"), "control has special tokens");
    CHECK(encodes(e, b, "ab<|eot_id|>", false, "ab|<|||e|o|t|_|i|d|||>"), "text has none");
    bpe_encoder_free(e);

    CHECK(bpe_add_music(&more, &first, (struct str){json.p, json.n}, 2, &err) == OK && first == 265,
        "music tokens follow the vocabulary");
    music = load_bytes((struct str){more.p, more.n});
    CHECK(music != NULL && bpe_vocab_size(music) == 277 && bpe_token_id(music, STR("<|playlist-0|>")) == 265 &&
              bpe_token_id(music, STR("<|audio-1|>")) == 274 && bpe_token_id(music, STR("<end_of_music>")) == 276 &&
              !bpe_token_special(music, 265),
        "5K+2 of them, modality by modality, none special");
    json.n = 0;
    CHECK(bpe_add_music(&json, &first, (struct str){more.p, more.n}, 2, &err) == DATA, "not twice: %s", err.text);
    bpe_free(b);
    bpe_free(music);
    buf_free(&json);
    buf_free(&more);
}

/*
 * A special token that merges make too, where it is not found as one since it is part of a word: in text it stays
 * letters, in a control text the reference has it (tokenizers 0.23.2 gives this, and so for ignore_merges).
 */
static void
test_special_merge(void)
{
    static const char at[] = "\"added_tokens\": [",
                      entry[] = "{\"id\": 256, \"content\": \"ab\", \"single_word\": true, \"special\": true},";
    struct buf json = {0}, more = {0};
    struct bpe_encoder *e = NULL;
    struct bpe *b = NULL;
    uint32_t made = 0;
    const char *p;

    if (learn(&json, &made, "ab ab", 264) && (p = memmem(json.p, json.n, at, sizeof(at) - 1)) != NULL) {
        p += sizeof(at) - 1;
        if (buf_add(&more, json.p, (size_t)(p - json.p), &err) == OK && buf_adds(&more, str_of(entry), &err) == OK &&
            buf_add(&more, p, json.n - (size_t)(p - json.p), &err) == OK)
            b = load_bytes((struct str){more.p, more.n});
    }
    CHECK(b != NULL && bpe_encoder_new(&e, b, &err) == OK, "a vocabulary with a special token of letters");
    CHECK(e != NULL && encodes(e, b, "1ab ab", true, "1|ab|\xc4\xa0|ab") && encodes(e, b, "1ab", false, "1|a|b") &&
              encodes(e, b, "1ab", true, "1|ab"),
        "a control text may have it by merges, text may not");
    bpe_encoder_free(e);
    bpe_free(b);
    buf_free(&json);
    buf_free(&more);
}

static void
test_decode(void)
{
    struct buf json = {0}, text = {0};
    uint32_t made = 0;
    struct bpe *b = learn(&json, &made, "", 263) ? load_bytes((struct str){json.p, json.n}) : NULL;
    struct tokens t = {0};
    struct bpe_encoder *e = NULL;
    static const char s[] = "\xc3\xa9 <|eot_id|>\n";

    if (b == NULL || bpe_encoder_new(&e, b, &err) != OK || bpe_encode_whole(&t, e, STR(s), &err) != OK) {
        CHECK(false, "a vocabulary of bytes loads: %s", err.text);
        return;
    }
    CHECK(t.n == 6 && t.p[0] == bpe_token_id(b, STR("<|begin_of_text|>")), "a whole text begins as the template says");
    CHECK(bpe_decode(&text, b, t.p + 1, t.n - 1, false, &err) == OK && str_eq((struct str){text.p, text.n}, STR(s)),
        "decoding gives the text back");
    text.n = 0;
    CHECK(bpe_decode(&text, b, t.p, 2, true, &err) == OK && str_eq((struct str){text.p, text.n}, STR("\xef\xbf\xbd")),
        "half a character is U+FFFD, special tokens can be left out");
    t.p[0] = 9999;
    CHECK(bpe_decode(&text, b, t.p, 1, false, &err) == DATA, "an unknown id is refused: %s", err.text);
    tokens_free(&t);
    bpe_encoder_free(e);
    bpe_free(b);
    buf_free(&json);
    buf_free(&text);
}

/* from, once in json, becomes to. */
static bool
replace(struct buf *json, const char *from, const char *to)
{
    const char *at = memmem(json->p, json->n, from, strlen(from));
    struct buf out = {0};
    size_t before = at == NULL ? 0 : (size_t)(at - json->p);
    bool ok = at != NULL && buf_add(&out, json->p, before, &err) == OK && buf_adds(&out, str_of(to), &err) == OK &&
              buf_add(&out, at + strlen(from), json->n - before - strlen(from), &err) == OK;

    buf_free(json);
    *json = out;
    return ok;
}

/* Text is normalized, a whole text has a token at either end, and a word of the byte 0 is one. */
static void
test_whole(void)
{
    struct buf json = {0};
    uint32_t made = 0;
    bool ok =
        learn(&json, &made, "", 263) && replace(&json, "\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}") &&
        replace(&json, "\"post_processor\": {",
            "\"post_processor\": {\"type\": \"BertProcessing\", \"cls\": [\"x\", 5], \"sep\": [\"y\", 7]}, \"old\": {");
    struct bpe *b = ok ? load_bytes((struct str){json.p, json.n}) : NULL;
    struct bpe_encoder *e = NULL;
    struct tokens t = {0};

    ok = b != NULL && bpe_encoder_new(&e, b, &err) == OK;
    CHECK(ok && bpe_encode_whole(&t, e, STR("!"), &err) == OK && t.n == 3 && t.p[0] == 5 && t.p[1] == 0 && t.p[2] == 7,
        "cls comes before a whole text, sep behind");
    CHECK(ok && encodes(e, b, "e\xcc\x81", false, "\xc3\x83|\xc2\xa9"), "text is normalized: two bytes, not three");
    t.n = 0;
    CHECK(ok && bpe_encode_text(&t, e, STR("\0"), &err) == OK && t.n == 1 && t.p[0] == bpe_token_id(b, STR("\xc4\x80")),
        "a byte 0 is a word");
    CHECK(ok && bpe_encoder_bad(e) == 0 &&
              bpe_encode_text(&t, e,
                  STR("a\xff"
                      "b\xe2\x82"),
                  &err) == OK &&
              bpe_encoder_bad(e) == 2,
        "what is ill-formed is counted");
    tokens_free(&t);
    bpe_encoder_free(e);
    bpe_free(b);
    CHECK(replace(&json, "\"sep\": [\"y\", 7]", "\"sep\": [\"y\", 999]") &&
              load_bytes((struct str){json.p, json.n}) == NULL && strstr(err.text, "post_processor: sep") != NULL,
        "an id that is none is refused: %s", err.text);
    buf_free(&json);
    CHECK(learn(&json, &made, "", 263) && replace(&json, "\"ids\": [256]", "\"ids\": [999]") &&
              load_bytes((struct str){json.p, json.n}) == NULL && strstr(err.text, "bad ids") != NULL,
        "so it is in a template: %s", err.text);
    buf_free(&json);
}

int
main(void)
{
    test_merge();
    test_train();
    test_special_merge();
    test_decode();
    test_whole();
    return unit_done();
}
