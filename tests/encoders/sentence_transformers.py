# SPDX-License-Identifier: Apache-2.0
"""A stand-in for sentence-transformers: letters counted."""
import os


class Tokenizer:
    eos_token = '</s>'
    padding_side = 'left'


class SentenceTransformer:
    def __init__(self, name, device=None, trust_remote_code=False, model_kwargs=None):
        assert name == 'small', name
        self.tokenizer = Tokenizer()

    def encode(self, texts, batch_size, prompt=None, normalize_embeddings=False, show_progress_bar=True):
        assert normalize_embeddings and not show_progress_bar and len(texts) <= batch_size
        wrong = os.environ.get('STANDIN')
        if wrong == 'raise':
            raise RuntimeError('out of memory')
        rows = [[((prompt or '') + text).lower().count(c) / 8 for c in 'aeiou</'] + [0.1] for text in texts]
        if wrong == 'nan':
            rows[0][0] = float('nan')
        return rows[1:] if wrong == 'short' else rows
