/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure - what a ranking is worth: one line of the table a measure, as in trec_eval.
 *
 * The definitions are those of trec_eval 9 (m_recip_rank.c, m_success.c, m_ndcg_cut.c) for binary relevance; a turn
 * without relevant tracks is never judged.
 */
#include <math.h>

#include "eval/eval.h"

static double
reciprocal_rank(const uint8_t *hit, size_t n, size_t relevant, size_t k)
{
    (void)relevant;
    (void)k;
    for (size_t i = 0; i < n; i++)
        if (hit[i])
            return 1.0 / (double)(i + 1);
    return 0;
}

static double
success(const uint8_t *hit, size_t n, size_t relevant, size_t k)
{
    (void)relevant;
    for (size_t i = 0; i < n && i < k; i++)
        if (hit[i])
            return 1;
    return 0;
}

static double
ndcg(const uint8_t *hit, size_t n, size_t relevant, size_t k)
{
    double gain = 0, ideal = 0;

    for (size_t i = 0; i < n && i < k; i++)
        gain += hit[i] ? 1 / log2((double)i + 2) : 0;
    for (size_t i = 0; i < relevant && i < k; i++)
        ideal += 1 / log2((double)i + 2);
    return ideal > 0 ? gain / ideal : 0;
}

const struct measure measures[MEASURES] = {
    {"mrr", "1 / rank of the first relevant track, 0 if none was ranked (trec_eval: recip_rank)", 0, reciprocal_rank},
    {"hit_1", "1 if the first track is relevant (trec_eval: success_1)", 1, success},
    {"hit_10", "1 if a relevant track is among the first 10 (success_10)", 10, success},
    {"hit_100", "1 if a relevant track is among the first 100 (success_100)", 100, success},
    {"ndcg_10",
        "sum of 1 / log2(rank + 1) over the relevant among the first 10, over the most that it could be "
        "(ndcg_cut_10; Järvelin, Kekäläinen 2002)",
        10, ndcg},
    {"ndcg_20", "the same for the first 20 (ndcg_cut_20)", 20, ndcg},
};
