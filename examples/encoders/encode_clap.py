#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""encode_clap.py [--model laion/larger_clap_music] [--folder DIR] [-o FILE] [FILE...] - vectors from recordings, by CLAP (transformers)."""
import inspect
import sys

from records import Stage, sound

RATE = 48000  # what CLAP was trained on


def main():
    stage = Stage('vectors of tracks from their recordings, by CLAP', {
        '--model': dict(default='laion/larger_clap_music', help='a name or a folder'),
        '--folder': dict(default='.', help='where relative paths begin'),
        '--seconds': dict(type=float, default=30, help='of a recording that count, from its start'),
        '--device': dict(default='cpu'),
    }, modality='audio')
    o = stage.options
    import torch
    from transformers import ClapModel, ClapProcessor
    model = ClapModel.from_pretrained(o.model).to(o.device).eval()
    processor = ClapProcessor.from_pretrained(o.model)
    # Newer versions of transformers call it audio.
    key = 'audio' if 'audio' in inspect.signature(processor.__call__).parameters else 'audios'
    for batch in stage.batches(o.batch_size, lambda track: track.get('audio_path')):
        sounds = [sound(stage, track, RATE, o.seconds, o.folder) for track in batch]
        with torch.no_grad():
            inputs = processor(**{key: sounds}, sampling_rate=RATE, return_tensors='pt').to(o.device)
            stage.write(batch, model.get_audio_features(**inputs))
    stage.finish()


if __name__ == '__main__':
    sys.exit(main())
