# SPDX-License-Identifier: Apache-2.0
"""embed_sklearn.py TRACKS.jsonl MODALITY IDS.txt VECTORS.npy - neighbours by text-embed's vectors, and by a plain TF-IDF of the same words.

Of each track that shares an artist (a tag; where tracks have a truth: its genre, genre and mood) with another: the share of its ten nearest by
cosine that do. Ties count as they come. Every fifth track is asked. TF-IDF is TfidfVectorizer as it comes, whole and reduced by TruncatedSVD to as many numbers as ours.
"""
import json, sys, time
import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

path, modality, ids, vectors = sys.argv[1:]
tracks = {t['track_id']: t for t in map(json.loads, open(path))}
rows = [tracks[i] for i in open(ids).read().split('\n')[:-1]]
ours = np.load(vectors)


def words(t):
    listed = lambda v: ' '.join(v) if isinstance(v, list) else str(v or '')
    keys = {'semantic': ('tags', 'caption'), 'metadata': ('artist', 'title', 'album', 'year'), 'lyrics': ('lyrics',)}[modality]
    return ' '.join(listed(t.get(k)) for k in keys)


def first(t):
    return (t['artist'] or ['']) [0] if isinstance(t['artist'], list) else t['artist']


def together(names):
    """Which tracks (sets of names) share one: a function from a track to a mask."""
    of = {}
    for i, s in enumerate(names):
        for n in s:
            of.setdefault(n, []).append(i)

    def mask(i):
        m = np.zeros(len(names), bool)
        for n in names[i]:
            m[of[n]] = True
        m[i] = False
        return m
    return mask


asked = range(0, len(rows), 5)
truths = {'same artist': [{first(t)} - {''} for t in rows]}
if 'genre' in rows[0]:
    truths.update({'genre': [{t['genre']} for t in rows], 'genre and mood': [{(t['genre'], t['mood'])} for t in rows]})
else:
    truths['a tag in common'] = [set(t.get('tags') or []) for t in rows]
truths = {k: together(v) for k, v in truths.items()}


def report(what, X, seconds):
    hit = {k: [] for k in truths}
    for at in range(0, len(rows), 1000):
        some = [i for i in asked if at <= i < at + 1000]
        S = X[some] @ X.T
        S = np.asarray(S.todense()) if hasattr(S, 'todense') else S
        for i, s in zip(some, S):
            s[i] = -9
            top = np.argpartition(-s, 10)[:10]
            for k, mask in truths.items():
                m = mask(i)
                if m.any():
                    hit[k].append(m[top].sum() / min(10, m.sum()))
    print('  %-30s' % what + ''.join('%s %.3f (%d)  ' % (k, np.mean(v), len(v)) for k, v in hit.items()) + ('%.1f s' % seconds if seconds else ''),
          flush=True)


print('%s: %d tracks' % (modality, len(rows)))
report('text-embed, %d numbers' % ours.shape[1], normalize(ours), 0)
start = time.process_time()
T = TfidfVectorizer().fit_transform(map(words, rows))
report('TF-IDF, %d words' % T.shape[1], T, time.process_time() - start)
if T.shape[1] > ours.shape[1]:
    L = normalize(TruncatedSVD(ours.shape[1], random_state=1).fit_transform(T))
    report('TF-IDF, TruncatedSVD to %d' % ours.shape[1], L, time.process_time() - start)
