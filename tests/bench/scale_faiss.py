# SPDX-License-Identifier: Apache-2.0
"""scale_faiss.py MODALITY TRUTH.tsv IDS.txt VECTORS.npy CODES.tsv K - our codes and faiss's, against the truth.

faiss clusters all vectors in 25 rounds. A line each: the normalised mutual information of codes and genre, genre with mood, artist, over the
tracks that have a vector. TRUTH: track_id, genre, mood, artist_id. CODES: track_id, code.
"""
import sys, time
import faiss
import numpy as np
from sklearn.metrics import normalized_mutual_info_score as nmi

modality, truth, ids, vectors, codes, k = sys.argv[1:]
rows = [line.rstrip('\n').split('\t') for line in open(truth)]
truth = {r[0]: (r[1], r[1] + '/' + r[2], r[3]) for r in rows}
codes = dict(line.split() for line in open(codes))
ids = open(ids).read().split('\n')[:-1]
X = np.load(vectors, mmap_mode='r')
X = np.ascontiguousarray(X, dtype=np.float32)
kept = [i for i, t in enumerate(ids) if t in codes]
names = [np.unique([truth[ids[i]][j] for i in kept], return_inverse=True)[1] for j in range(3)]


def report(what, code, seconds):
    print('  %-9s %-12s NMI: genre %.3f  genre and mood %.3f  artist %.3f%s' % ((modality, what) + tuple(nmi(n, code) for n in names) +
          ('  %.1f s' % seconds if seconds else '',)), flush=True)


report('kmeans', [int(codes[ids[i]]) for i in kept], 0)
start = time.time()
clusters = faiss.Kmeans(X.shape[1], int(k), niter=25, max_points_per_centroid=X.shape[0])
clusters.train(X)
report('faiss', clusters.index.search(X, 1)[1][kept, 0], time.time() - start)
