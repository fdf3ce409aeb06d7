/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eval: measures, intervals, ranking and words.
 *
 * Expected measures: by hand, and for the long ranking by Python from trec_eval's definitions. Interval ends: Python's
 * own resampling. The order of rank_top: a plain sort.
 */
#include "eval/eval.h"

#include <stdlib.h>
#include <string.h>

#include "unit.h"

static double
value(const char *name, const uint8_t *hit, size_t n, size_t relevant)
{
    for (size_t m = 0; m < MEASURES; m++)
        if (strcmp(measures[m].name, name) == 0)
            return measures[m].value(hit, n, relevant, measures[m].k);
    return NAN;
}

static void
test_measures(void)
{
    const uint8_t none[3] = {0, 0, 0}, second[3] = {0, 1, 0}, both[2] = {1, 1};
    uint8_t deep[120] = {0};

    CHECK(value("mrr", none, 0, 1) == 0 && value("hit_100", none, 0, 1) == 0 && value("ndcg_10", none, 0, 1) == 0,
        "an empty ranking is worth 0 by every measure");
    CHECK(value("mrr", none, 3, 2) == 0, "a ranking without relevant tracks has no reciprocal rank");
    CHECK(value("mrr", second, 3, 2) == 0.5, "the first relevant track at rank 2 is 1/2");
    CHECK(value("hit_1", second, 3, 1) == 0 && value("hit_10", second, 3, 1) == 1, "rank 2 is a hit at 10, not at 1");
    CHECK(value("ndcg_10", both, 2, 2) == 1, "all relevant tracks in front are an nDCG of 1");
    NEAR(value("ndcg_10", both, 2, 5), (1 + 1 / log2(3)) / (1 + 1 / log2(3) + 0.5 + 1 / log2(5) + 1 / log2(6)), 1e-15,
        "relevant tracks that were not ranked count in the ideal");
    NEAR(value("ndcg_20", second, 3, 30), (1 / log2(3)) / 7.040268381923512, 1e-15,
        "the ideal of 30 relevant tracks ends at 20 (sum from Python)");
    deep[9] = deep[10] = deep[99] = deep[110] = 1;
    CHECK(value("hit_10", deep, 120, 4) == 1 && value("hit_10", deep + 1, 119, 4) == 1, "rank 10 counts at 10");
    CHECK(value("hit_10", deep + 10, 9, 1) == 1 && value("mrr", deep, 120, 4) == 0.1, "the first hit is at rank 10");
    memset(deep, 0, sizeof(deep));
    deep[100] = 1;
    CHECK(value("hit_100", deep, 120, 1) == 0 && value("hit_100", deep + 1, 119, 1) == 1,
        "rank 101 does not count at 100");
    for (size_t m = 0; m < MEASURES; m++)
        CHECK(strlen(measures[m].explanation) > 20, "%s is explained", measures[m].name);
}

/* Relevant at ranks 3, 8, 15, 17 and 40 of 50, out of 7. */
static void
test_long_ranking(void)
{
    uint8_t hit[50] = {0};

    hit[2] = hit[7] = hit[14] = hit[16] = hit[39] = 1;
    NEAR(value("mrr", hit, 50, 7), 1.0 / 3, 1e-15, "reciprocal rank of a long ranking");
    NEAR(value("ndcg_10", hit, 50, 7), 0.22415199495126514, 1e-14, "nDCG@10 of a long ranking, as in Python");
    NEAR(value("ndcg_20", hit, 50, 7), 0.3587898495772168, 1e-14, "nDCG@20 of a long ranking, as in Python");
}

static void
test_bootstrap(void)
{
    const uint64_t count[3] = {2, 1, 1};
    const double sum[6] = {1, 2, 0, 1, 1, 1}; /* (conversations, columns) */
    struct boot *b = NULL, *c = NULL;
    double low, high, low2, high2;
    struct err err;

    CHECK(boot_run(&b, count, sum, 3, 2, false, 7, 4000, &err) == OK, "a bootstrap over three conversations");
    CHECK(b->mean[0] == 0.5 && b->mean[1] == 1 && b->observations == 4, "means are over observations");
    boot_interval(&low, &high, b, 1, BOOT_ALONE);
    CHECK(low == 1 && high == 1, "what never varies has an interval of no width");
    boot_interval(&low, &high, b, 0, BOOT_ALONE);
    CHECK(low == 0 && high == 1, "27 equal resamples: 1/27 are all zeros and 1/27 all ones, both more than 2.5 %%");
    boot_interval(&low, &high, b, 0, 1);
    CHECK(low == -1 && high == 0, "a difference is taken within each resample");
    boot_interval(&low, &high, b, 0, 0);
    CHECK(low == 0 && high == 0, "a column differs from itself by nothing");
    boot_interval(&low, &high, b, 0, BOOT_ALONE);
    CHECK(boot_run(&c, count, sum, 3, 2, true, 7, 4000, &err) == OK && c->mean[0] == 0.5 && c->mean[1] == 1,
        "means of conversations weigh each the same");
    boot_free(c);
    CHECK(boot_run(&c, count, sum, 3, 2, false, 7, 4000, &err) == OK, "the same seed again");
    boot_interval(&low2, &high2, c, 0, BOOT_ALONE);
    CHECK(low == low2 && high == high2 && memcmp(b->draw, c->draw, 8000 * sizeof(double)) == 0, "gives the same draws");
    boot_free(b);
    boot_free(c);
}

/* One conversation a value: resampled means of 0 … 9 move in small steps. */
static void
test_interval_width(void)
{
    uint64_t count[10];
    double sum[10], low, high;
    struct boot *b = NULL;
    struct err err;

    for (int i = 0; i < 10; i++) {
        count[i] = 1;
        sum[i] = i;
    }
    CHECK(boot_run(&b, count, sum, 10, 1, false, 1, 100000, &err) == OK && b->mean[0] == 4.5,
        "the mean of 0 to 9 is 4.5");
    boot_interval(&low, &high, b, 0, BOOT_ALONE);
    /* Python's random, 200,000 resamples: 2.7 and 6.3; the mean moves in steps of 0.1. */
    NEAR(low, 2.7, 0.101, "lower end as in Python, got %.3f", low);
    NEAR(high, 6.3, 0.101, "upper end as in Python, got %.3f", high);
    boot_free(b);
}

struct pair {
    double score;
    uint32_t index;
};

static int
by_score(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;

    return x->score > y->score ? -1 : x->score < y->score ? 1 : 0;
}

static void
test_rank(void)
{
    enum { N = 500 };
    struct ids *ids = NULL;
    double score[N];
    uint8_t skip[N];
    struct ranked top[N];
    struct pair all[N];
    size_t left = 0;
    struct err err;
    char name[16];
    uint32_t index;
    bool same = true;

    if (ids_new(&ids, &err) != OK)
        return;
    for (uint32_t i = 0; i < N; i++) {
        int n = snprintf(name, sizeof(name), "t%u", i);
        if (ids_add(&index, ids, (struct str){name, (size_t)n}, &err) != OK)
            return;
        score[i] = (double)((i * 7919) % 503); /* distinct, since 503 is prime */
        skip[i] = i % 5 == 0;
        if (!skip[i])
            all[left++] = (struct pair){score[i], i};
    }
    qsort(all, left, sizeof(all[0]), by_score);
    for (size_t n = 0; n <= N; n += n < 3 ? 1 : 97) {
        size_t got = rank_top(top, n, score, skip, ids, 1, STR("q"));
        same = same && got == (n < left ? n : left);
        for (size_t i = 0; i < got; i++)
            same = same && top[i].track == all[i].index;
    }
    CHECK(same, "the n best are those of a plain sort, for n from 0 to all");
    for (uint32_t i = 0; i < N; i++)
        score[i] = 0;
    (void)rank_top(top, N, score, skip, ids, 1, STR("q"));
    same = true;
    for (size_t i = 0; i + 1 < left; i++)
        same = same && top[i].tie >= top[i + 1].tie;
    CHECK(same, "equal scores go by their hash");
    index = top[0].track;
    (void)rank_top(top, 1, score, skip, ids, 1, STR("q"));
    CHECK(top[0].track == index, "the best of equal ones does not depend on how many are asked for");
    ids_free(ids);
}

/* Words joined by '|'. */
static const char *
words_of(struct words *w, struct str text)
{
    static char out[256];
    struct err err;
    struct str word;

    out[0] = '\0';
    if (words_start(w, text, &err) != OK)
        return "error";
    while (words_next(&word, w)) {
        strncat(out, word.p, word.n);
        strcat(out, "|");
    }
    return out;
}

static void
test_words(void)
{
    struct words *w = NULL;
    struct err err;

    if (words_new(&w, &err) != OK)
        return;
    CHECK(strcmp(words_of(w, STR("")), "") == 0, "no text has no words");
    CHECK(strcmp(words_of(w, STR(" .,!\n")), "") == 0, "nor have stops and blanks");
    CHECK(strcmp(words_of(w, STR("AC/DC's T.N.T. 24-7")), "ac|dc|s|t|n|t|24|7|") == 0, "letters and digits are words");
    CHECK(strcmp(words_of(w, STR("ÀÉÎ Ærø ΑΒΓ Жуки")), "àéî|ærø|αβγ|жуки|") == 0, "lower case is Unicode's");
    CHECK(strcmp(words_of(w, STR("日本 e\xcc\x81t")), "日本|e\xcc\x81t|") == 0, "marks belong to their word");
    /* U+023A becomes U+2C65: two bytes grow to three. */
    CHECK(strcmp(words_of(w, STR("\xc8\xba\xc8\xba\xc8\xba\xc8\xba\xc8\xba\xc8\xba\xc8\xba\xc8\xba\xc8\xba\xc8\xba")),
              "\xe2\xb1\xa5\xe2\xb1\xa5\xe2\xb1\xa5\xe2\xb1\xa5\xe2\xb1\xa5\xe2\xb1\xa5\xe2\xb1\xa5\xe2\xb1\xa5\xe2\xb1"
              "\xa5"
              "\xe2\xb1\xa5|") == 0,
        "lower case may take more bytes");
    CHECK(words_start(w, STR("a\xff"), &err) == DATA && strstr(err.text, "UTF-8") != NULL, "other bytes are refused");
    CHECK(strcmp(words_of(w, STR("A")), "a|") == 0, "and the next text is read all the same");
    words_free(w);
    words_free(NULL);
}

int
main(void)
{
    test_measures();
    test_long_ranking();
    test_bootstrap();
    test_interval_width();
    test_rank();
    test_words();
    return unit_done();
}
