/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rank - the best tracks by score, ties by a seeded hash of query and track.
 *
 * A heap of the n best, the worst of them on top. Time: one comparison a track, and log n for those that get in; the
 * hash is computed only where a score reaches the heap's worst. Memory: the n entries.
 */
#include "eval/eval.h"

static bool
better(const struct ranked *a, const struct ranked *b)
{
    if (a->score > b->score || a->score < b->score)
        return a->score > b->score;
    if (a->tie != b->tie)
        return a->tie > b->tie;
    return a->track < b->track;
}

/* Moves the entry at i down until neither child is worse than it. */
static void
sift(struct ranked *heap, size_t n, size_t i)
{
    struct ranked x = heap[i];

    for (size_t c; (c = 2 * i + 1) < n; i = c) {
        if (c + 1 < n && better(&heap[c], &heap[c + 1]))
            c++;
        if (!better(&x, &heap[c]))
            break;
        heap[i] = heap[c];
    }
    heap[i] = x;
}

size_t
rank_top(struct ranked *top, size_t n, const double *score, const uint8_t *skip, const struct ids *catalogue,
    uint64_t seed, struct str query)
{
    uint64_t key = hash64(seed, query.p, query.n);
    size_t have = 0;

    for (uint32_t i = 0; n > 0 && i < ids_count(catalogue); i++) {
        if (skip[i] || (have == n && score[i] < top[0].score))
            continue;
        struct str id = ids_str(catalogue, i);
        struct ranked x = {score[i], hash64(key, id.p, id.n), i};
        if (have < n) {
            top[have++] = x;
            for (size_t k = have / 2; have == n && k-- > 0;)
                sift(top, n, k);
        } else if (better(&x, &top[0])) {
            top[0] = x;
            sift(top, n, 0);
        }
    }
    for (size_t k = have / 2; have < n && k-- > 0;)
        sift(top, have, k);
    for (size_t end = have; end-- > 1;) {
        struct ranked worst = top[0];
        top[0] = top[end];
        top[end] = worst;
        sift(top, end, 0);
    }
    return have;
}

enum status
rank_put(struct rec_writer *w, const struct query *q, const struct ranked *top, size_t n, const struct ids *catalogue,
    struct err *err)
{
    rec_begin(w);
    put_str(w, "query_id", q->id);
    if (q->turn != NULL)
        put_object(w, "turn", q->turn);
    if (q->relevant != NULL)
        put_object(w, "relevant", q->relevant);
    put_array(w, "tracks");
    for (size_t i = 0; i < n; i++) {
        put_map(w, NULL);
        put_str(w, "track_id", ids_str(catalogue, top[i].track));
        put_f64(w, "score", top[i].score);
        put_close(w);
    }
    put_close(w);
    return rec_end(w, err);
}
