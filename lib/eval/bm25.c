/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bm25 - Okapi BM25 over an inverted index.
 *
 * Robertson, Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, eq. 3.15, for a
 * word that is in df of N documents and f times in a document of length l:
 *     idf * f (k1 + 1) / (f + k1 (1 - b + b l / mean l)),   idf = ln(1 + (N - df + 0.5) / (df + 0.5)).
 * Departure: the 1 inside the logarithm (as in Lucene), which keeps a word of more than half of the documents
 * from being worth less than nothing. A word that is said twice counts twice (k3 without bound).
 *
 * Time: a query costs the sum of its words' document frequencies. Memory: 8 bytes a posting, 16 while building.
 */
#include <math.h>
#include <stdlib.h>

#include "eval/room.h"

struct posting {
    uint32_t doc;
    float tf;
};

struct bm25 {
    double k1, b;
    struct words *words;
    struct ids *terms;
    /* Words as they were added, then, after building, NULL. */
    uint32_t *term_at, *doc_at;
    size_t n_at, cap_at;
    uint32_t *length; /* words of a document */
    size_t n_docs, cap_docs;
    size_t *start; /* postings of term t: start[t] … start[t+1]-1 */
    struct posting *posting;
    double *norm; /* k1 (1 - b + b l / mean l) of a document */
};

enum status
bm25_new(struct bm25 **out, double k1, double b, struct err *err)
{
    struct bm25 *x = calloc(1, sizeof(*x));
    enum status st;

    if (x == NULL)
        return err_memory(err);
    x->k1 = k1;
    x->b = b;
    if ((st = words_new(&x->words, err)) != OK || (st = ids_new(&x->terms, err)) != OK) {
        bm25_free(x);
        return st;
    }
    *out = x;
    return OK;
}

void
bm25_free(struct bm25 *x)
{
    if (x == NULL)
        return;
    words_free(x->words);
    ids_free(x->terms);
    free(x->term_at);
    free(x->doc_at);
    free(x->length);
    free(x->start);
    free(x->posting);
    free(x->norm);
    free(x);
}

/* The current document has its place in length[] once something asks for it. */
static enum status
need_document(struct bm25 *x, struct err *err)
{
    if (x->n_docs >= UINT32_MAX)
        return err_set(err, DATA, "more than %u documents", UINT32_MAX - 1);
    return room(&x->length, &x->cap_docs, x->n_docs + 1, sizeof(*x->length), err);
}

enum status
bm25_add(struct bm25 *x, struct str text, struct err *err)
{
    enum status st;
    struct str word;
    size_t cap;

    if ((st = need_document(x, err)) != OK || (st = words_start(x->words, text, err)) != OK)
        return st;
    while (words_next(&word, x->words)) {
        cap = x->cap_at;
        if ((st = room(&x->term_at, &cap, x->n_at + 1, sizeof(*x->term_at), err)) != OK ||
            (st = room(&x->doc_at, &x->cap_at, x->n_at + 1, sizeof(*x->doc_at), err)) != OK ||
            (st = ids_add(&x->term_at[x->n_at], x->terms, word, err)) != OK)
            return st;
        x->doc_at[x->n_at++] = (uint32_t)x->n_docs;
    }
    return OK;
}

enum status
bm25_end_document(struct bm25 *x, struct err *err)
{
    enum status st = need_document(x, err);

    if (st == OK)
        x->n_docs++;
    return st;
}

/* Sorts the words by term, documents in order (a counting sort), and joins those of one document. */
static void
fill_postings(struct bm25 *x)
{
    size_t terms = ids_count(x->terms), out = 0;

    for (size_t i = 0; i < x->n_at; i++)
        x->start[x->term_at[i] + 1]++;
    for (size_t t = 0; t < terms; t++)
        x->start[t + 1] += x->start[t];
    for (size_t i = 0; i < x->n_at; i++)
        x->posting[x->start[x->term_at[i]]++] = (struct posting){x->doc_at[i], 1};
    /* start[t] is now where term t ends. */
    for (size_t t = 0, i = 0; t < terms; t++) {
        size_t end = x->start[t], first = out;
        for (; i < end; i++) {
            if (out > first && x->posting[out - 1].doc == x->posting[i].doc)
                x->posting[out - 1].tf += 1;
            else
                x->posting[out++] = x->posting[i];
        }
        x->start[t] = first;
    }
    x->start[terms] = out;
}

enum status
bm25_build(struct bm25 *x, struct err *err)
{
    size_t docs = x->n_docs;
    double mean = docs > 0 ? (double)x->n_at / (double)docs : 0;

    x->start = calloc((size_t)ids_count(x->terms) + 1, sizeof(*x->start));
    x->posting = calloc(x->n_at + 1, sizeof(*x->posting));
    x->norm = calloc(docs + 1, sizeof(*x->norm));
    if (x->start == NULL || x->posting == NULL || x->norm == NULL)
        return err_memory(err);
    for (size_t d = 0; d < docs; d++)
        x->length[d] = 0;
    for (size_t i = 0; i < x->n_at; i++)
        x->length[x->doc_at[i]]++;
    for (size_t d = 0; d < docs; d++)
        x->norm[d] = x->k1 * (1 - x->b + (mean > 0 ? x->b * x->length[d] / mean : 0));
    fill_postings(x);
    free(x->term_at);
    free(x->doc_at);
    x->term_at = x->doc_at = NULL;
    return OK;
}

enum status
bm25_query(double *score, struct bm25 *x, struct str text, struct err *err)
{
    enum status st = words_start(x->words, text, err);
    double N = (double)x->n_docs;
    struct str word;

    if (st != OK)
        return st;
    while (words_next(&word, x->words)) {
        uint32_t t = ids_find(x->terms, word);
        if (t == IDS_NONE)
            continue;
        double df = (double)(x->start[t + 1] - x->start[t]);
        double idf = log(1 + (N - df + 0.5) / (df + 0.5));
        for (size_t i = x->start[t]; i < x->start[t + 1]; i++) {
            double f = (double)x->posting[i].tf;
            score[x->posting[i].doc] += idf * f * (x->k1 + 1) / (f + x->norm[x->posting[i].doc]);
        }
    }
    return OK;
}
