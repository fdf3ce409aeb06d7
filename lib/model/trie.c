/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prefix tree of a catalogue. The tracks are sorted by their tuples; a node is then a range of them, and its
 * children are the pieces of the range that go on alike. Tokens that all tuples of a range go on with are one edge, so
 * that a node is a place where tuples part, or one's end (Morrison 1968).
 *
 * n log n comparisons; at most two nodes a distinct tuple.
 */
#include <stdlib.h>
#include <string.h>

#include "model/trie.h"

struct sorted {
    const struct tuple *tuple;
    size_t track;
};

/* By tokens, a prefix before what it begins. */
static int
compare_tuples(const struct tuple *a, const struct tuple *b)
{
    for (size_t i = 0; i < a->n && i < b->n; i++)
        if (a->token[i] != b->token[i])
            return a->token[i] < b->token[i] ? -1 : 1;
    return a->n < b->n ? -1 : a->n > b->n;
}

static int
compare_sorted(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;

    return compare_tuples(x->tuple, y->tuple);
}

/* The distinct tuples, in order, with their counts of tracks. */
static enum status
number_tuples(struct trie *t, uint32_t *of, const struct tuple *tracks, size_t n, struct err *err)
{
    struct sorted *s = calloc(n, sizeof *s);

    if (s == NULL)
        return err_memory(err);
    for (size_t i = 0; i < n; i++)
        s[i] = (struct sorted){&tracks[i], i};
    qsort(s, n, sizeof *s, compare_sorted);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || compare_tuples(s[i - 1].tuple, s[i].tuple) != 0)
            t->tuple[t->n_tuples++] = *s[i].tuple;
        t->tracks[t->n_tuples - 1]++;
        of[s[i].track] = (uint32_t)(t->n_tuples - 1);
    }
    free(s);
    return OK;
}

/* While it is built, tuple and n_children of a node are the range of tuples below. */
static void
add_node(struct trie *t, uint32_t first, uint32_t n, uint32_t from)
{
    t->node[t->n_nodes++] = (struct trie_node){.tuple = first, .n_children = n, .from = from, .to = from};
}

/* Follows node i to where its tuples part, and adds its children. Their tokens there are in ascending order. */
static void
part_node(struct trie *t, size_t i)
{
    struct trie_node *v = &t->node[i];
    uint32_t lo = v->tuple, hi = lo + v->n_children;
    const struct tuple *a = &t->tuple[lo], *z = &t->tuple[hi - 1];

    while (i > 0 && v->to < a->n && a->token[v->to] == z->token[v->to])
        v->to++;
    v->n_children = 0;
    v->child = (uint32_t)t->n_nodes;
    if (lo + 1 == hi && v->to == a->n)
        return;
    while (lo < hi) {
        uint32_t next = lo + 1;

        if (t->tuple[lo].n > v->to)
            while (next < hi && t->tuple[next].token[v->to] == t->tuple[lo].token[v->to])
                next++;
        add_node(t, lo, next - lo, v->to);
        v->n_children++;
        lo = next;
    }
}

/* From the leaves up. */
static void
count_tracks(struct trie *t)
{
    for (size_t i = t->n_nodes; i-- > 0;) {
        struct trie_node *v = &t->node[i];

        if (v->n_children == 0)
            v->tracks = v->fewest = t->tracks[v->tuple];
        for (uint32_t k = 0; k < v->n_children; k++) {
            const struct trie_node *child = &t->node[v->child + k];

            v->tracks += child->tracks;
            v->fewest = k == 0 || child->fewest < v->fewest ? child->fewest : v->fewest;
        }
    }
}

enum status
trie_new(struct trie **out, uint32_t *of, const struct tuple *tracks, size_t n, struct err *err)
{
    struct trie *t = calloc(1, sizeof *t);
    size_t nodes;
    enum status st;

    *out = NULL;
    if (t == NULL)
        return err_memory(err);
    if (size_mul(&nodes, n, 2) && n < UINT32_MAX / 2) {
        t->tuple = calloc(n + 1, sizeof *t->tuple);
        t->tracks = calloc(n + 1, sizeof *t->tracks);
        t->node = calloc(nodes + 2, sizeof *t->node);
    }
    if (t->tuple == NULL || t->tracks == NULL || t->node == NULL)
        st = err_memory(err);
    else if (n == 0)
        st = OK;
    else if ((st = number_tuples(t, of, tracks, n, err)) == OK) {
        add_node(t, 0, (uint32_t)t->n_tuples, 0);
        for (size_t i = 0; i < t->n_nodes; i++)
            part_node(t, i);
        count_tracks(t);
    }
    if (st == OK)
        *out = t;
    else
        trie_free(t);
    return st;
}

void
trie_free(struct trie *t)
{
    if (t == NULL)
        return;
    free(t->tuple);
    free(t->tracks);
    free(t->node);
    free(t);
}

size_t
trie_tuples(const struct trie *t)
{
    return t->n_tuples;
}
