# SPDX-License-Identifier: Apache-2.0
"""A stand-in for torch: what the encoders call of it."""
import contextlib


class tensor(list):
    def unsqueeze(self, dim):
        return tensor([self])

    def to(self, device):
        return self

    def mean(self, dim):
        return tensor([[sum(x) / len(x) for x in zip(*frames)] for frames in self])


no_grad = contextlib.nullcontext
