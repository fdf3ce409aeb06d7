/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inverted lists of match.c against a plain reference: every track is compared with every candidate and the whole
 * catalogue is sorted by the rules of the paper's §4.4. Catalogues are random and small-coded, so that ties of every
 * kind come up. Token names and codes by hand.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "music/music.h"
#include "num/num.h"

#include "unit.h"

static const int weight[MODALITIES] = {25, 16, 9, 4, 1};
static const uint64_t seed = 7;

struct row {
    bool exact;
    size_t place; /* of the exact candidate */
    int sum;
    bool playlist; /* agrees in it */
    double logprob;
    size_t candidate; /* that has sum, playlist, logprob */
    uint64_t hash;
    uint32_t track;
};

/* Is (sum, playlist, logprob, earlier candidate) of a better than b's? */
static int
better(const struct row *a, const struct row *b)
{
    if (a->sum != b->sum)
        return a->sum > b->sum ? -1 : 1;
    if (a->playlist != b->playlist)
        return a->playlist ? -1 : 1;
    if (a->sum == 0)
        return 0;
    if (a->logprob != b->logprob)
        return a->logprob > b->logprob ? -1 : 1;
    return a->candidate < b->candidate ? -1 : a->candidate > b->candidate;
}

static int
compare(const void *x, const void *y)
{
    const struct row *a = x, *b = y;
    int c;

    if (a->exact != b->exact)
        return a->exact ? -1 : 1;
    if (a->exact && a->place != b->place)
        return a->place < b->place ? -1 : 1;
    if (!a->exact && (c = better(a, b)) != 0)
        return c;
    return a->hash < b->hash ? -1 : a->hash > b->hash;
}

static int
compare_exact(const void *x, const void *y)
{
    const struct row *a = x, *b = y;

    if (a->logprob != b->logprob)
        return a->logprob > b->logprob ? -1 : 1;
    return a->hash < b->hash ? -1 : a->hash > b->hash;
}

/* One track against all candidates. */
static struct row
judge(const struct items *items, uint32_t t, struct str query, const struct match_candidate *c, size_t n)
{
    struct str id = ids_str(items->ids, t);
    struct row best = {.sum = -1, .track = t, .hash = hash64(hash64(seed, query.p, query.n), id.p, id.n)};

    for (size_t i = 0; i < n; i++) {
        struct row row = best;
        bool same = true;

        row.sum = 0;
        row.logprob = c[i].logprob;
        row.candidate = i;
        for (int m = 0; m < MODALITIES; m++) {
            int32_t a = c[i].codes.code[m], b = items->codes[t].code[m];
            row.sum += a != CODE_NONE && a == b ? weight[m] : 0;
            same = same && a == b;
        }
        row.playlist = c[i].codes.code[0] != CODE_NONE && c[i].codes.code[0] == items->codes[t].code[0];
        if (same && !best.exact) {
            row.exact = best.exact = true;
            row.place = best.place = i;
        }
        if (best.sum < 0 || better(&row, &best) < 0) {
            row.exact = best.exact;
            row.place = best.place;
            best = row;
        }
    }
    return best;
}

static size_t
reference(struct row *rows, const struct items *items, struct str query, const struct match_candidate *c, size_t n,
    const uint32_t *drop, size_t n_drop)
{
    size_t found = 0;

    for (uint32_t t = 0; t < items->n && n > 0; t++) {
        bool out = false;
        for (size_t i = 0; i < n_drop; i++)
            out = out || drop[i] == t;
        if (!out)
            rows[found++] = judge(items, t, query, c, n);
    }
    if (found > 0)
        qsort(rows, found, sizeof(*rows), compare);
    return found;
}

/* Small codes, one in four absent, at least one there. */
static struct codes
random_codes(struct rng *rng, uint64_t codes)
{
    struct codes c;
    bool any = false;

    for (int m = 0; m < MODALITIES; m++) {
        c.code[m] = rng_below(rng, 4) == 0 ? CODE_NONE : (int32_t)rng_below(rng, codes);
        any = any || c.code[m] != CODE_NONE;
    }
    if (!any)
        c.code[0] = 0;
    return c;
}

static struct items *
random_items(struct rng *rng, uint32_t n, uint64_t codes)
{
    struct items *items = calloc(1, sizeof(*items));
    struct err err;

    if (items == NULL || ids_new(&items->ids, &err) != OK)
        abort();
    items->codes = calloc(n, sizeof(*items->codes));
    for (uint32_t i = 0; i < n; i++) {
        char name[24];
        uint32_t index;
        /* Sizes of ids differ, but not among many: both ways to hash them come up, also in one group. */
        int len = snprintf(name, sizeof(name), i % 50 == 7 ? "track-%u" : "a-track-of-a-%08u", i);
        if (ids_add(&index, items->ids, (struct str){name, (size_t)len}, &err) != OK)
            abort();
        items->codes[i] = random_codes(rng, codes);
    }
    items->n = n;
    return items;
}

#define MANY 3000

/* The tracks that have exactly a candidate's codes, by probability; n_hits of them. */
static size_t
exact_reference(struct row *rows, const struct items *items, struct str query, const struct match_candidate *c,
    size_t n, const uint32_t *drop, size_t n_drop)
{
    size_t found = reference(rows, items, query, c, n, drop, n_drop), kept = 0;

    for (size_t i = 0; i < found; i++) {
        size_t same = 0;
        for (uint32_t t = 0; t < items->n; t++)
            same += codes_equal(&items->codes[t], &items->codes[rows[i].track]);
        if (!rows[i].exact)
            continue;
        rows[kept] = rows[i];
        rows[kept].logprob = -INFINITY;
        for (size_t k = 0; k < n; k++)
            if (codes_equal(&c[k].codes, &items->codes[rows[i].track]) && c[k].logprob > rows[kept].logprob)
                rows[kept].logprob = c[k].logprob;
        rows[kept++].logprob -= log((double)same);
    }
    if (kept > 0)
        qsort(rows, kept, sizeof(*rows), compare_exact);
    return kept;
}

/* One random query; false where the two disagree. */
static bool
agree(struct rng *rng, struct matcher *m, const struct items *items, uint64_t codes, int q)
{
    static struct row rows[MANY];
    static struct match_hit hits[MANY];
    struct match_candidate c[12];
    uint32_t drop[3];
    size_t n = (size_t)rng_below(rng, 13), n_drop = (size_t)rng_below(rng, 4),
           top = 1 + (size_t)rng_below(rng, items->n);
    size_t want, got;
    char name[16];
    struct str query = {name, (size_t)snprintf(name, sizeof(name), "q%d:1", q)};
    struct err err;

    for (size_t i = 0; i < n; i++)
        c[i] = (struct match_candidate){random_codes(rng, codes + 1), -(double)rng_below(rng, 4)};
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < MODALITIES && rng_below(rng, 8) == 0; k++)
            c[i].codes.code[k] = CODE_MAX;
    for (size_t i = 0; i < n && rng_below(rng, 2) == 0; i++) /* those of a track */
        c[i].codes = items->codes[rng_below(rng, items->n)];
    for (size_t i = 0; i < n_drop; i++)
        drop[i] = (uint32_t)rng_below(rng, items->n);
    want = reference(rows, items, query, c, n, drop, n_drop);
    want = want < top ? want : top;
    if (matcher_rank(hits, &got, top, m, query, c, n, drop, n_drop, &err) != OK || got != want)
        return false;
    for (size_t i = 0; i < got; i++)
        if (hits[i].track != rows[i].track || hits[i].exact != rows[i].exact ||
            (!rows[i].exact && hits[i].sum != rows[i].sum))
            return false;
    want = exact_reference(rows, items, query, c, n, drop, n_drop);
    want = want < top ? want : top;
    if (matcher_exact(hits, &got, top, m, query, c, n, drop, n_drop, &err) != OK || got != want)
        return false;
    for (size_t i = 0; i < got; i++)
        if (hits[i].track != rows[i].track || !(fabs(hits[i].logprob - rows[i].logprob) < 1e-12))
            return false;
    return true;
}

static void
test_against_reference(void)
{
    for (uint64_t codes = 1; codes <= 16; codes *= 4)
        for (uint32_t n = 1; n <= MANY; n = n * 7 > MANY && n < MANY ? MANY : n * 7) {
            struct rng rng = rng_seed(codes, n);
            struct items *items = random_items(&rng, n, codes);
            struct matcher *m;
            struct err err;
            int bad = 0;

            CHECK(matcher_new(&m, items, seed, &err) == OK, "an index of %u tracks, %u codes", n, (unsigned)codes);
            for (int q = 0; q < (n < 1000 ? 100 : 10); q++)
                bad += !agree(&rng, m, items, codes, q);
            CHECK(bad == 0, "random queries rank as the reference does, both ways");
            matcher_free(m);
            items_free(items);
        }
}

/* The largest code and absence are one number in the lists. */
static void
test_largest_code(void)
{
    struct rng rng = rng_seed(3, 3);
    struct items *items = random_items(&rng, 49, 4);
    struct matcher *m;
    struct err err;
    int bad = 0;

    for (uint32_t t = 0; t < items->n; t++)
        for (int k = 0; k < MODALITIES; k++)
            if (items->codes[t].code[k] == 3)
                items->codes[t].code[k] = CODE_MAX;
    CHECK(matcher_new(&m, items, seed, &err) == OK, "an index with the largest code");
    for (int q = 0; q < 100; q++)
        bad += !agree(&rng, m, items, 4, q);
    CHECK(bad == 0, "random queries rank as the reference does");
    matcher_free(m);
    items_free(items);
}

static void
test_tokens(void)
{
    struct codes codes = {{53, 559, CODE_NONE, 654, 0}};
    struct buf buf = {0};
    enum modality m;
    struct err err;
    char name[32];
    int32_t code;

    CHECK(token_name(name, METADATA, 895) == 16 && strcmp(name, "<|metadata-895|>") == 0, "a token's name");
    CHECK(token_parse(&m, &code, STR("<|audio-65535|>")) && m == AUDIO && code == 65535, "the largest code is read");
    CHECK(!token_parse(&m, &code, STR("<|audio-65536|>")), "one more is not");
    CHECK(!token_parse(&m, &code, STR("<|audio-07|>")), "a leading zero is no token");
    CHECK(!token_parse(&m, &code, STR("<|audio-|>")) && !token_parse(&m, &code, STR("<|audio-+1|>")), "nor a sign");
    CHECK(!token_parse(&m, &code, STR("<|smell-1|>")) && !token_parse(&m, &code, STR("<|")), "nor another word");
    CHECK(token_block(&buf, &codes, &err) == OK &&
              str_eq((struct str){buf.p, buf.n},
                  STR("<start_of_music><|playlist-53|><|semantic-559|><|lyrics-654|><|audio-0|><end_of_music>")),
        "a block leaves out what is missing");
    buf_free(&buf);
    CHECK(modality_find(STR("lyrics")) == LYRICS && modality_find(STR("Lyrics")) == -1, "modalities by name");
}

int
main(void)
{
    num_init(1);
    test_tokens();
    test_against_reference();
    test_largest_code();
    return unit_done();
}
