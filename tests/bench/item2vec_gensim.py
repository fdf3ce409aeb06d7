# SPDX-License-Identifier: Apache-2.0
"""gensim's word2vec on playlists as lines of text, and the next-track recall of anyone's vectors: see item2vec.

item2vec_gensim.py train LISTS WINDOW EPOCHS THREADS TEST
item2vec_gensim.py recall TEST VECTORS
"""

import sys
import time

import numpy as np


def recall(path, ids, vectors, k=20, last=5):
    """The share of lists whose last track is among the k nearest to the sum of those before it."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    at = {name: i for i, name in enumerate(ids)}
    query, heard, want, n, hits = [], [], [], 0, 0
    for line in open(path):
        tracks = [at.get(name, -1) for name in line.split()]
        n += 1
        if tracks[-1] < 0:
            continue
        before = [i for i in tracks[:-1] if i >= 0]
        query.append(unit[before[-last:]].sum(0))
        heard.append(before)
        want.append(tracks[-1])
    query = np.array(query, dtype=np.float32)
    for b in range(0, len(query), 250):
        scores = query[b : b + 250] @ unit.T
        for i, row in enumerate(scores):
            row[heard[b + i]] = -np.inf
            hits += np.count_nonzero(row > row[want[b + i]]) < k
    print(f"  recall@{k} {hits / n:.4f}", flush=True)


def train(path, window, epochs, threads, test):
    """word2vec with the options of item2vec; prints its words a second, then the recall."""
    from gensim import __version__
    from gensim.models import Word2Vec

    lists = [line.split() for line in open(path)]
    model = Word2Vec(vector_size=128, window=window, negative=5, sg=1, min_count=1, sample=0, workers=threads, seed=1)
    model.build_vocab(lists)
    start, cpu = time.time(), time.process_time()
    model.train(lists, total_examples=len(lists), epochs=epochs)
    wall = time.time() - start
    words = sum(map(len, lists)) * epochs
    print(f"gensim {__version__}, window {window}:     {words / wall:8.0f} words/s  ({wall:.1f} s, "
          f"user and system {time.process_time() - cpu:.1f} s)", end="", flush=True)
    recall(test, model.wv.index_to_key, model.wv.vectors)


if sys.argv[1] == "train":
    train(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
else:
    lines = [line.split("\t") for line in open(sys.argv[3])]
    recall(sys.argv[2], [x[0] for x in lines], np.array([x[1:] for x in lines], dtype=np.float32))
