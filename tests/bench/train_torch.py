#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""train_torch.py - what tests/bench/train is compared with: the same Llama shape trained by PyTorch.

usage: train_torch.py f32|bf16 HIDDEN LAYERS HEADS KV_HEADS FFN VOCAB CONTEXT BATCH STEPS THREADS

Untied, every token trained, AdamW, random ids: arithmetic as in transformers' modeling_llama.py. bf16 is autocast on
the CPU. Prints tokens a second, over all but the first two steps.
"""
import math
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

precision = sys.argv[1]
D, L, H, G, FF, V, S, B, steps, threads = map(int, sys.argv[2:12])
E = D // H
torch.set_num_threads(threads)
torch.manual_seed(1)

angle = torch.outer(torch.arange(S).float(), 10000.0 ** (-torch.arange(0, E, 2).float() / E))
cosine = torch.cat([angle.cos(), angle.cos()], 1)
sine = torch.cat([angle.sin(), angle.sin()], 1)
mask = torch.full((S, S), -math.inf).triu(1)


def rope(x):
    half = E // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], -1)
    return x * cosine + turned * sine


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(D))

    def forward(self, x):
        x = x.float()
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = Norm(), Norm()
        self.qkv = nn.Linear(D, (H + 2 * G) * E, bias=False)
        self.o = nn.Linear(H * E, D, bias=False)
        self.gate_up = nn.Linear(D, 2 * FF, bias=False)
        self.down = nn.Linear(FF, D, bias=False)

    def forward(self, x):
        q, k, v = self.qkv(self.n1(x)).split([H * E, G * E, G * E], -1)
        q = rope(q.view(B, S, H, E).transpose(1, 2))
        k = rope(k.view(B, S, G, E).transpose(1, 2)).repeat_interleave(H // G, 1)
        v = v.view(B, S, G, E).transpose(1, 2).repeat_interleave(H // G, 1)
        p = (q @ k.transpose(-1, -2) / math.sqrt(E) + mask).softmax(-1)
        x = x + self.o((p.to(v.dtype) @ v).transpose(1, 2).reshape(B, S, H * E))
        gate, up = self.gate_up(self.n2(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Llama(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(V, D)
        self.layers = nn.ModuleList(Layer() for _ in range(L))
        self.norm = Norm()
        self.head = nn.Linear(D, V, bias=False)

    def forward(self, ids):
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


model = Llama()
optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
done, start = 0, 0.0
for step in range(steps):
    ids = torch.randint(0, V, (B, S + 1))
    if step == 2:
        done, start = 0, time.perf_counter()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1).float(), ids[:, 1:].flatten())
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    done += B * S
print(f"{done / (time.perf_counter() - start):.0f}")
