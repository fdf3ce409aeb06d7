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
DIALOG_SYNTH := --cover 4 --roam 0.55

VOCAB := 4000
CONTEXT := 384
MODEL_INIT := --clusters 256 --hidden 256 --layers 2 --heads 8 --kv-heads 8 --ffn 1024 --positions 512
HUMAN_VERSIONS := 4
SFT_TRAIN := --precision auto --steps 4500 --batch-tokens 1500 --mix 0.9 --rate 1.2e-3 --warmup 150 \
    --beta2 0.99 --valid-every 500 --valid-max 150
BEAMS := 200
