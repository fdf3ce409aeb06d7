#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kmeans_peers - the vectors of tests/bench/kmeans, and faiss, scikit-learn and OpenBLAS over them.

    make KIND N DIM PREFIX        PREFIX.f32 (plain numbers), PREFIX.mp (joined records, audio), PREFIX.class (a line a track)
    tracks N DIM PREFIX           PREFIX.mp: joined records of five modalities, each absent from a tenth of the tracks
    faiss|sklearn N DIM K ROUNDS THREADS PREFIX    a line: seconds, processor seconds, inertia; PREFIX.code
    product N DIM K THREADS PREFIX                 GFLOP/s of the product of vectors and centroids, and of faiss's search

Kinds: mixture (1,024 classes, the largest 20 times the smallest about, around centres in 24 dimensions of the whole, that
overlap), clustered (1,024 classes that hardly overlap), unclustered (one normal distribution, no classes).
"""
import struct
import sys
import time

import numpy as np

CLASSES = 1024


def draw(kind, n, dim):
    rng = np.random.default_rng(1)
    weight = 1 / (np.arange(CLASSES) + 50.0)
    y = rng.choice(CLASSES, n, p=weight / weight.sum())
    if kind == "unclustered":
        return rng.standard_normal((n, dim), dtype=np.float32), np.zeros(n, int)
    if kind == "clustered":
        x = rng.standard_normal((CLASSES, dim)).astype(np.float32)[y]
        x += np.float32(0.7) * rng.standard_normal((n, dim), dtype=np.float32)
        return x, y
    axes = rng.standard_normal((24, dim)).astype(np.float32) / np.float32(np.sqrt(24))
    centre = rng.standard_normal((CLASSES, 24)).astype(np.float32)
    x = (centre[y] + np.float32(0.6) * rng.standard_normal((n, 24), dtype=np.float32)) @ axes
    x += np.float32(0.5) * rng.standard_normal((n, dim), dtype=np.float32)
    return x, y


def text(s):
    return bytes([0xA0 | len(s)]) + s.encode()


def vector(x):
    b = x.astype("<f4").tobytes()
    return b"\xc9" + struct.pack(">I", len(b)) + b"\x01" + b if len(b) > 65535 else b"\xc8" + struct.pack(">H", len(b)) + b"\x01" + b


def make(kind, n, dim, prefix):
    x, y = draw(kind, n, dim)
    x.tofile(prefix + ".f32")
    np.savetxt(prefix + ".class", y, "%d")
    with open(prefix + ".mp", "wb") as f:
        for i in range(n):
            f.write(b"\x82" + text("track_id") + text("t%d" % i) + text("audio") + vector(x[i]) + b"\n")


def tracks(n, dim, prefix):
    rng = np.random.default_rng(2)
    z, _ = draw("mixture", n, 24)
    names = ["playlist", "semantic", "metadata", "lyrics", "audio"]
    there = rng.random((n, 5)) > 0.1
    there[~there.any(1), 0] = True
    axes = [rng.standard_normal((24, dim)).astype(np.float32) for _ in names]
    with open(prefix + ".mp", "wb") as f:
        for at in range(0, n, 1000):
            v = [z[at : at + 1000] @ a + 2 * rng.standard_normal((len(z[at : at + 1000]), dim), dtype=np.float32) for a in axes]
            for i in range(len(v[0])):
                has = [m for m in range(5) if there[at + i, m]]
                f.write(bytes([0x81 + len(has)]) + text("track_id") + text("t%d" % (at + i)))
                for m in has:
                    f.write(text(names[m]) + vector(v[m][i]))
                f.write(b"\n")


def load(n, dim, prefix):
    return np.fromfile(prefix + ".f32", "<f4").reshape(n, dim)


def cluster(peer, n, dim, k, rounds, threads, prefix):
    import faiss

    faiss.omp_set_num_threads(threads)
    x = load(n, dim, prefix)
    wall, cpu = time.time(), time.process_time()
    if peer == "faiss":
        km = faiss.Kmeans(dim, k, niter=rounds, seed=1, max_points_per_centroid=10**9)
        km.train(x)
        centroid = km.centroids
    else:
        from sklearn.cluster import MiniBatchKMeans

        centroid = MiniBatchKMeans(k, n_init=1, random_state=1).fit(x).cluster_centers_
    wall, cpu = time.time() - wall, time.process_time() - cpu
    index = faiss.IndexFlatL2(dim)
    index.add(np.ascontiguousarray(centroid, dtype=np.float32))
    d, code = index.search(x, 1)
    np.savetxt(prefix + ".code", code, "%d")
    # Not the distances of the search, which lose to cancellation.
    inertia = sum(float(((x[i : i + 4096] - centroid[code[i : i + 4096, 0]]).astype(np.float64) ** 2).sum()) for i in range(0, n, 4096))
    print("%.2f %.2f %.9g" % (wall, cpu, inertia))


def product(n, dim, k, threads, prefix):
    import faiss

    faiss.omp_set_num_threads(threads)
    x, c = load(n, dim, prefix), load(n, dim, prefix)[:k]
    t = []
    for _ in range(5):
        start = time.time()
        for i in range(0, min(n, 32768), 4096):
            x[i : i + 4096] @ c.T
        t.append(time.time() - start)
    index = faiss.IndexFlatL2(dim)
    index.add(c)
    start = time.time()
    index.search(x[: min(n, 32768)], 1)
    search = time.time() - start
    work = 2e-9 * min(n, 32768) * dim * k
    print("%.0f %.0f" % (work / min(t), work / search))


a = sys.argv[1:]
if a[0] == "make":
    make(a[1], int(a[2]), int(a[3]), a[4])
elif a[0] == "tracks":
    tracks(int(a[1]), int(a[2]), a[3])
elif a[0] == "product":
    product(int(a[1]), int(a[2]), int(a[3]), int(a[4]), a[5])
else:
    cluster(a[0], *map(int, a[1:6]), a[6])
