/* SPDX-License-Identifier: Apache-2.0 */
/* trie - the catalogue's tuples as a tree whose edges are chains of tokens. Private to lib/model. */
#ifndef TRIE_H
#define TRIE_H

#include "model/generate.h"

/*
 * A node is an edge and what lies behind it: tokens from … to - 1 of a tuple, then <end_of_music> if it has no
 * children. A tuple that others begin with has, among its node's children, one without tokens.
 */
struct trie_node {
    uint32_t child, n_children; /* they stand beside each other */
    uint32_t tuple;             /* one that goes through here; the tuple itself where there are no children */
    uint32_t from, to;
    uint32_t tracks; /* below */
    uint32_t fewest; /* tracks of a tuple below, at least */
};
struct trie {
    size_t n_tuples;
    struct tuple *tuple;
    uint32_t *tracks; /* (n_tuples) that have it */
    size_t n_nodes;
    struct trie_node *node; /* the first is the root, which has no edge; children come behind their parents */
};

#endif
