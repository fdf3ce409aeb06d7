/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpetrain - byte-pair encoding learnt from text (Sennrich, Haddow, Birch 2016, algorithm 1) over the words of Llama
 * 3's split.
 *
 * Distinct words are kept with their counts; each merge visits only the words that hold its pair. Pairs wait in a heap
 * whose counts may be out of date: a pair that comes out on top with an old count goes back with its present one
 * (counts only fall between merges that make the pair). Ties: the smaller bytes of left, then of right, so that the
 * result depends on the counts alone. Time: about n log n in the bytes of distinct words; memory: 12 bytes a byte of
 * distinct words and what the pairs need. 5 MB of English to 4,000 tokens take well under a second.
 *
 * Two merges can make the same token (a+bc, ab+c): it is one token with two merges, as in the reference.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "text/bpe.h"

static const char *const special[] = {"<|begin_of_text|>", "<|end_of_text|>", "<|finetune_right_pad_id|>",
    "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>"};
#define SPECIALS ((uint32_t)(sizeof(special) / sizeof(special[0])))

struct bpe_trainer {
    struct splitter splitter;
    struct split_run run;
    struct ids *words;
    uint64_t *count; /* (cap) of each word */
    size_t cap;
    struct buf clean;
};

enum status
bpe_trainer_new(struct bpe_trainer **out, struct err *err)
{
    struct bpe_trainer *t = calloc(1, sizeof(*t));

    *out = NULL;
    if (t == NULL)
        return err_memory(err);
    if (ids_new(&t->words, err) != OK ||
        splitter_add_pattern(&t->splitter, STR(LLAMA3_SPLIT("{1,3}")), false, false, false, err) != OK ||
        split_run_init(&t->run, &t->splitter, err) != OK) {
        bpe_trainer_free(t);
        return err->status;
    }
    *out = t;
    return OK;
}

void
bpe_trainer_free(struct bpe_trainer *t)
{
    if (t == NULL)
        return;
    split_run_fini(&t->run);
    splitter_fini(&t->splitter);
    ids_free(t->words);
    free(t->count);
    buf_free(&t->clean);
    free(t);
}

uint64_t
bpe_trainer_words(const struct bpe_trainer *t)
{
    return ids_count(t->words);
}

static enum status
count_word(void *arg, struct str word, struct err *err)
{
    struct bpe_trainer *t = arg;
    uint32_t k;

    if (ids_add(&k, t->words, word, err) != OK)
        return err->status;
    if (k >= t->cap) {
        size_t cap = t->cap == 0 ? 1024 : t->cap * 2, size;
        uint64_t *p;
        if (!size_mul(&size, cap, sizeof(*p)) || (p = realloc(t->count, size)) == NULL)
            return err_memory(err);
        memset(p + t->cap, 0, (cap - t->cap) * sizeof(*p));
        t->count = p;
        t->cap = cap;
    }
    t->count[k]++;
    return OK;
}

enum status
bpe_trainer_add(struct bpe_trainer *t, struct str text, struct err *err)
{
    t->clean.n = 0;
    if (utf8_clean(&t->clean, text, NULL, err) != OK)
        return err->status;
    return split_text(&t->run, (struct str){t->clean.p, t->clean.n}, count_word, t, err);
}

enum status
bpe_trainer_add_control(struct bpe_trainer *t, struct str text, struct err *err)
{
    size_t done = 0;

    for (size_t i = 0; i <= text.n; i++) {
        const char *close;
        if (i < text.n && text.p[i] != '<')
            continue;
        if (i > done && bpe_trainer_add(t, (struct str){text.p + done, i - done}, err) != OK)
            return err->status;
        if (i == text.n)
            break;
        close = memchr(text.p + i, '>', text.n - i);
        i = close == NULL ? text.n - 1 : (size_t)(close - text.p);
        done = i + 1;
    }
    return OK;
}

/* ---- learning ---- */

#define GONE BPE_NONE /* a symbol that was merged into the one before it */

struct symbol {
    uint32_t id, word;
};

struct pair {
    uint32_t left, right;
    uint64_t count;
    uint32_t *at; /* places of left, some of them out of date */
    uint32_t n, cap;
    bool taken;
};

struct learn {
    struct bpe_trainer *t;
    struct symbol *symbol; /* all words behind each other */
    uint32_t n;
    struct merges index; /* pair -> number of pair (in id) */
    struct pair *pair;
    size_t n_pairs, cap_pairs;
    struct ids *tokens; /* bytes; index = token */
    struct {
        uint64_t count;
        uint32_t pair;
    } * heap;
    size_t n_heap, cap_heap;
    uint32_t (*merge)[2]; /* what was learnt */
    uint32_t n_merges, cap_merges;
};

/* Does pair a with count x come before pair b with count y? */
static bool
before(const struct learn *l, uint64_t x, uint32_t a, uint64_t y, uint32_t b)
{
    const struct pair *p = &l->pair[a], *q = &l->pair[b];
    int c;

    if (x != y)
        return x > y;
    c = str_cmp(ids_str(l->tokens, p->left), ids_str(l->tokens, q->left));
    if (c == 0)
        c = str_cmp(ids_str(l->tokens, p->right), ids_str(l->tokens, q->right));
    return c < 0;
}

static enum status
push(struct learn *l, uint64_t count, uint32_t pair, struct err *err)
{
    size_t i;

    if (l->n_heap == l->cap_heap) {
        size_t cap = l->cap_heap == 0 ? 1024 : l->cap_heap * 2, size;
        void *p;
        if (!size_mul(&size, cap, sizeof(*l->heap)) || (p = realloc(l->heap, size)) == NULL)
            return err_memory(err);
        l->heap = p;
        l->cap_heap = cap;
    }
    for (i = l->n_heap++; i > 0; i = (i - 1) / 2) {
        size_t up = (i - 1) / 2;
        if (!before(l, count, pair, l->heap[up].count, l->heap[up].pair))
            break;
        l->heap[i] = l->heap[up];
    }
    l->heap[i].count = count;
    l->heap[i].pair = pair;
    return OK;
}

static void
pop(struct learn *l, uint64_t *count, uint32_t *pair)
{
    size_t i = 0, last = --l->n_heap;

    *count = l->heap[0].count;
    *pair = l->heap[0].pair;
    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= last)
            break;
        if (c + 1 < last && before(l, l->heap[c + 1].count, l->heap[c + 1].pair, l->heap[c].count, l->heap[c].pair))
            c++;
        if (!before(l, l->heap[c].count, l->heap[c].pair, l->heap[last].count, l->heap[last].pair))
            break;
        l->heap[i] = l->heap[c];
        i = c;
    }
    l->heap[i] = l->heap[last];
}

/* The index doubles as it fills. */
static enum status
grow_index(struct learn *l, struct err *err)
{
    struct merges bigger;

    if (l->index.n < l->index.slots / 2)
        return OK;
    if (merges_init(&bigger, l->index.slots, err) != OK)
        return err->status;
    for (size_t i = 0; i < l->n_pairs; i++)
        merges_add(&bigger, l->pair[i].left, l->pair[i].right, 0, (uint32_t)i);
    free(l->index.slot);
    l->index = bigger;
    return OK;
}

static enum status
find_pair(uint32_t *k, struct learn *l, uint32_t left, uint32_t right, struct err *err)
{
    const struct merge *m = merges_find(&l->index, left, right);

    if (m != NULL) {
        *k = m->id;
        return OK;
    }
    if (l->n_pairs == l->cap_pairs) {
        size_t cap = l->cap_pairs == 0 ? 1024 : l->cap_pairs * 2, size;
        void *p;
        if (!size_mul(&size, cap, sizeof(*l->pair)) || (p = realloc(l->pair, size)) == NULL)
            return err_memory(err);
        l->pair = p;
        l->cap_pairs = cap;
    }
    if (grow_index(l, err) != OK)
        return err->status;
    *k = (uint32_t)l->n_pairs;
    l->pair[l->n_pairs++] = (struct pair){left, right, 0, NULL, 0, 0, false};
    merges_add(&l->index, left, right, 0, *k);
    return OK;
}

/* One more place where the pair stands. */
static enum status
note(struct learn *l, uint32_t left, uint32_t right, uint32_t at, struct err *err)
{
    struct pair *p;
    uint32_t k = 0;

    if (find_pair(&k, l, left, right, err) != OK)
        return err->status;
    p = &l->pair[k];
    if (p->n == p->cap) {
        uint32_t cap = p->cap == 0 ? 4 : p->cap * 2;
        uint32_t *q = realloc(p->at, cap * sizeof(*q));
        if (q == NULL)
            return err_memory(err);
        p->at = q;
        p->cap = cap;
    }
    p->at[p->n++] = at;
    p->count += l->t->count[l->symbol[at].word];
    return OK;
}

static void
unnote(struct learn *l, uint32_t left, uint32_t right, uint32_t at)
{
    const struct merge *m = merges_find(&l->index, left, right);

    if (m != NULL && !l->pair[m->id].taken)
        l->pair[m->id].count -= l->t->count[l->symbol[at].word];
}

/* The neighbour's place in the same word; l->n for none. */
static uint32_t
next_of(const struct learn *l, uint32_t i)
{
    uint32_t j = i + 1;

    while (j < l->n && l->symbol[j].word == l->symbol[i].word && l->symbol[j].id == GONE)
        j++;
    return j < l->n && l->symbol[j].word == l->symbol[i].word ? j : l->n;
}

static uint32_t
previous_of(const struct learn *l, uint32_t i)
{
    for (uint32_t j = i; j > 0 && l->symbol[j - 1].word == l->symbol[i].word; j--)
        if (l->symbol[j - 1].id != GONE)
            return j - 1;
    return l->n;
}

static int
by_place(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Every place of pair k becomes one symbol; pairs that appear are queued. */
static enum status
merge_pair(struct learn *l, uint32_t k, uint32_t token, bool is_new, struct err *err)
{
    uint32_t left = l->pair[k].left, right = l->pair[k].right, n = l->pair[k].n, *at = l->pair[k].at;
    size_t old = l->n_pairs;
    enum status st = OK;

    l->pair[k].taken = true;
    l->pair[k].at = NULL;
    l->pair[k].n = l->pair[k].cap = 0;
    qsort(at, n, sizeof(*at), by_place); /* from left to right: aaa is (aa)a */
    for (uint32_t i = 0; i < n && st == OK; i++) {
        uint32_t a = at[i], b = l->symbol[a].id == left ? next_of(l, a) : l->n, p, q;
        if (b == l->n || l->symbol[b].id != right)
            continue;
        p = previous_of(l, a);
        q = next_of(l, b);
        if (p != l->n)
            unnote(l, l->symbol[p].id, left, p);
        if (q != l->n)
            unnote(l, right, l->symbol[q].id, b);
        l->symbol[a].id = token;
        l->symbol[b].id = GONE;
        if (p != l->n)
            st = note(l, l->symbol[p].id, token, p, err);
        if (st == OK && q != l->n)
            st = note(l, token, l->symbol[q].id, a, err);
    }
    free(at);
    for (size_t i = old; i < l->n_pairs && st == OK; i++)
        st = push(l, l->pair[i].count, (uint32_t)i, err);
    /* Where another merge had made the token before, old pairs can gain: they are queued again. */
    for (size_t i = 0; i < old && !is_new && st == OK; i++)
        if (!l->pair[i].taken && (l->pair[i].left == token || l->pair[i].right == token))
            st = push(l, l->pair[i].count, (uint32_t)i, err);
    return st;
}

static enum status
learn_start(struct learn *l, struct err *err)
{
    uint32_t words = ids_count(l->t->words), of_byte[256];
    uint64_t total = 0;
    enum status st = OK;

    memset(of_byte, 0, sizeof(of_byte));
    for (uint32_t w = 0; w < words; w++)
        total += ids_str(l->t->words, w).n;
    if (total >= UINT32_MAX)
        return err_set(err, DATA, "more than 4 GiB of distinct words");
    if ((l->symbol = malloc((total + 1) * sizeof(*l->symbol))) == NULL)
        return err_memory(err);
    if (merges_init(&l->index, 1 << 12, err) != OK || ids_new(&l->tokens, err) != OK)
        return err->status;
    for (uint32_t c = 0; c < 0x144 && st == OK;
         c++) { /* in the order of the alphabet, as the files of others have it */
        int byte = alphabet_byte(c);
        char one = (char)byte;
        if (byte >= 0)
            st = ids_add(&of_byte[byte], l->tokens, (struct str){&one, 1}, err);
    }
    for (uint32_t w = 0; w < words; w++)
        for (size_t i = 0; i < ids_str(l->t->words, w).n; i++)
            l->symbol[l->n++] = (struct symbol){of_byte[(unsigned char)ids_str(l->t->words, w).p[i]], w};
    for (uint32_t i = 0; i + 1 < l->n && st == OK; i++)
        if (l->symbol[i].word == l->symbol[i + 1].word)
            st = note(l, l->symbol[i].id, l->symbol[i + 1].id, i, err);
    for (size_t i = 0; i < l->n_pairs && st == OK; i++)
        st = push(l, l->pair[i].count, (uint32_t)i, err);
    return st;
}

static enum status
keep_merge(struct learn *l, uint32_t left, uint32_t right, struct err *err)
{
    if (l->n_merges == l->cap_merges) {
        uint32_t cap = l->cap_merges == 0 ? 1024 : l->cap_merges * 2;
        void *p = realloc(l->merge, cap * sizeof(*l->merge));
        if (p == NULL)
            return err_memory(err);
        l->merge = p;
        l->cap_merges = cap;
    }
    l->merge[l->n_merges][0] = left;
    l->merge[l->n_merges++][1] = right;
    return OK;
}

static enum status
learn_merges(struct learn *l, uint32_t want, uint64_t min_count, struct err *err)
{
    struct buf joined = {0};
    enum status st = OK;

    while (ids_count(l->tokens) < want && l->n_heap > 0 && st == OK) {
        uint64_t count;
        uint32_t k, token, old = ids_count(l->tokens);
        struct pair *p;
        pop(l, &count, &k);
        p = &l->pair[k];
        if (p->taken || p->count < min_count)
            continue;
        if (p->count != count) {
            st = push(l, p->count, k, err);
            continue;
        }
        joined.n = 0;
        if ((st = buf_adds(&joined, ids_str(l->tokens, p->left), err)) == OK &&
            (st = buf_adds(&joined, ids_str(l->tokens, p->right), err)) == OK &&
            (st = ids_add(&token, l->tokens, (struct str){joined.p, joined.n}, err)) == OK &&
            (st = keep_merge(l, p->left, p->right, err)) == OK)
            st = merge_pair(l, k, token, token >= old, err);
    }
    buf_free(&joined);
    return st;
}

static void
learn_fini(struct learn *l)
{
    for (size_t i = 0; i < l->n_pairs; i++)
        free(l->pair[i].at);
    free(l->pair);
    free(l->symbol);
    free(l->index.slot);
    free(l->heap);
    free(l->merge);
    ids_free(l->tokens);
}

enum status
bpe_train(struct buf *out, uint32_t *made, struct bpe_trainer *t, uint32_t vocab, uint64_t min_count, struct err *err)
{
    struct learn l = {.t = t};
    enum status st;

    if (vocab < 256 + SPECIALS || vocab > BPE_MAX_VOCAB)
        return err_set(err, DATA, "a vocabulary has %u (bytes and special tokens) to %u tokens, not %u", 256 + SPECIALS,
            BPE_MAX_VOCAB, vocab);
    if ((st = learn_start(&l, err)) == OK && (st = learn_merges(&l, vocab - SPECIALS, min_count, err)) == OK) {
        struct learnt x = {l.tokens, (const uint32_t(*)[2])l.merge, l.n_merges, special, SPECIALS};
        *made = ids_count(l.tokens) + SPECIALS;
        st = bpe_write(out, &x, err);
    }
    learn_fini(&l);
    return st;
}
