#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""encode_text.py --model NAME -m semantic|metadata|lyrics [-o FILE] [FILE...] - vectors from words, by any model of sentence-transformers.

NV-Embed-v2: --model nvidia/NV-Embed-v2 --trust-remote-code --eos --dtype float16 --batch-size 4.
"""
import sys

from records import Stage


def names(value):
    return ', '.join(value) if isinstance(value, list) else value or ''


def text(track, modality):
    """What an encoder is shown of a track; empty where it has nothing."""
    if modality == 'lyrics':
        return track.get('lyrics') or ''
    if modality == 'semantic':
        return '. '.join(filter(None, [names(track.get('tags')), track.get('caption')]))
    known = {'title': track.get('title'), 'artist': names(track.get('artist')), 'album': track.get('album'), 'year': track.get('year')}
    return ', '.join('%s: %s' % pair for pair in known.items() if pair[1])


def main():
    stage = Stage('vectors of tracks from their words', {
        '--model': dict(required=True, help='a name or a folder'),
        '--prompt': dict(default=None, help='what the model wants before each text'),
        '--max-tokens': dict(type=int, default=None, help='longer texts are cut'),
        '--dtype': dict(default=None, help='float16, bfloat16'),
        '--device': dict(default=None),
        '--eos': dict(action='store_true', help="put the tokenizer's end behind each text, and pad behind it: NV-Embed's way"),
        '--trust-remote-code': dict(action='store_true', help='run the Python code that comes with the model'),
    })
    o = stage.options
    if o.modality not in ('semantic', 'metadata', 'lyrics'):
        stage.fail(64, '--modality: expected semantic, metadata or lyrics, got "%s"' % o.modality)
    from sentence_transformers import SentenceTransformer
    model = SentenceTransformer(o.model, device=o.device, trust_remote_code=o.trust_remote_code,
                                model_kwargs={'torch_dtype': o.dtype} if o.dtype else {})
    if o.max_tokens:
        model.max_seq_length = o.max_tokens
    if o.eos:
        model.tokenizer.padding_side = 'right'
    end = model.tokenizer.eos_token if o.eos else ''
    for batch in stage.batches(o.batch_size, lambda track: text(track, o.modality)):
        stage.write(batch, model.encode([text(track, o.modality) + end for track in batch], batch_size=o.batch_size,
                                        prompt=o.prompt, normalize_embeddings=True, show_progress_bar=False))
    stage.finish()


if __name__ == '__main__':
    sys.exit(main())
