#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""encode_musicfm.py --musicfm DIR [--folder DIR] [-o FILE] [FILE...] - vectors from recordings, by MusicFM (github.com/minzwon/musicfm).

DIR holds the checkout as DIR/musicfm, and in its data/ the statistics and the weights. A vector is the mean over time of one layer.
"""
import os
import sys

from records import Stage, sound

RATE = 24000  # what MusicFM was trained on


def main():
    stage = Stage('vectors of tracks from their recordings, by MusicFM', {
        '--musicfm': dict(required=True, help='the folder that holds musicfm/'),
        '--layer': dict(type=int, default=7),
        '--folder': dict(default='.', help='where relative paths begin'),
        '--seconds': dict(type=float, default=30, help='of a recording that count, from its start'),
        '--device': dict(default='cpu'),
    }, modality='audio')
    o = stage.options
    sys.path.append(o.musicfm)
    import torch
    from musicfm.model.musicfm_25hz import MusicFM25Hz
    data = os.path.join(o.musicfm, 'musicfm', 'data')
    model = MusicFM25Hz(is_flash=False, stat_path=os.path.join(data, 'msd_stats.json'),
                        model_path=os.path.join(data, 'pretrained_msd.pt')).to(o.device).eval()
    for batch in stage.batches(1, lambda track: track.get('audio_path')):  # recordings differ in length
        wave = torch.tensor(sound(stage, batch[0], RATE, o.seconds, o.folder)).unsqueeze(0).to(o.device)
        with torch.no_grad():
            stage.write(batch, model.get_latent(wave, layer_ix=o.layer).mean(dim=1))
    stage.finish()


if __name__ == '__main__':
    sys.exit(main())
