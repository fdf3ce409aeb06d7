# SPDX-License-Identifier: Apache-2.0
"""A stand-in for MusicFM: two numbers of each of two halves of a sound."""


class MusicFM25Hz:
    def __init__(self, is_flash, stat_path, model_path):
        assert stat_path.endswith('/musicfm/data/msd_stats.json') and model_path.endswith('/musicfm/data/pretrained_msd.pt')

    def to(self, device):
        return self

    def eval(self):
        return self

    def get_latent(self, wave, layer_ix):
        import torch
        assert layer_ix == 7
        return torch.tensor([[[max(x[:len(x) // 2]), len(x) / 24000], [max(x[len(x) // 2:]), 1]] for x in wave])
