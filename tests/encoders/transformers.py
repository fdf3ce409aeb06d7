# SPDX-License-Identifier: Apache-2.0
"""A stand-in for transformers' CLAP: two numbers of a sound."""


class Inputs(dict):
    def to(self, device):
        return self


class ClapProcessor:
    @staticmethod
    def from_pretrained(name):
        return ClapProcessor()

    def __call__(self, audios=None, sampling_rate=None, return_tensors=None):
        assert sampling_rate == 48000 and return_tensors == 'pt'
        return Inputs(audios=audios)


class ClapModel:
    @staticmethod
    def from_pretrained(name):
        return ClapModel()

    def to(self, device):
        return self

    def eval(self):
        return self

    def get_audio_features(self, audios):
        return [[max(x), len(x) / 48000] for x in audios]
