/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ngrams - text as a bag of hashed features: private to lib/music.
 */
#ifndef NGRAMS_H
#define NGRAMS_H

#include "music/music.h"

#define NGRAM_BUCKETS ((uint32_t)1 << 20)

struct feature {
    uint32_t bucket; /* below NGRAM_BUCKETS */
    uint32_t field;
    float weight;
};

/* All zero is empty. */
struct bag {
    struct feature *feature;
    size_t n, cap;
    struct buf text; /* work */
};

enum {
    NGRAM_WHOLE = 1, /* the text as one feature: a name, a tag */
    NGRAM_WORDS = 2,
    NGRAM_PAIRS = 4, /* of neighbouring words */
    NGRAM_CHARS = 8  /* three and four characters of a word with its ends */
};

/* Adds the features of text; what has neither letter nor digit adds nothing. SYSTEM. */
enum status bag_add(struct bag *b, uint32_t field, struct str text, unsigned kinds, struct err *err);
/* Adds one feature as it is: "year:1985". */
enum status bag_token(struct bag *b, uint32_t field, struct str token, struct err *err);
/* Sorts by (field, bucket) and joins what is equal: weight becomes the sum's, damped by 1 + ln count. */
void bag_join(struct bag *b);
void bag_free(struct bag *b);

#endif
