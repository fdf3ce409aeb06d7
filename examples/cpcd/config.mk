# SPDX-License-Identifier: Apache-2.0
# The demo: conversations of people who build playlists (CPCD), sized for ten minutes on two cores.
# README.md beside this file says how each figure was chosen.
NAME := cpcd
SOURCE := cpcd
SOURCE_FILES := $(wildcard examples/cpcd/data/*)
SOURCE_DIALOGS := yes
MODALITIES := playlist semantic metadata

ITEM2VEC := --dim 128
KMEANS := --clusters 256 --unit
DIALOG_SYNTH := --cover 4

VOCAB := 3000
CONTEXT := 384
MODEL_INIT := --clusters 256 --hidden 192 --layers 4 --heads 6 --kv-heads 6 --ffn 512 --positions 512
HUMAN_VERSIONS := 4
SFT_TRAIN := --steps 700 --batch-tokens 6000 --mix 0.87 --rate 2e-3 --warmup 50 --valid-every 50
