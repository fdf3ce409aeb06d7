# SPDX-License-Identifier: Apache-2.0
# The demo in some seconds, for tests: DATA is the folder that data.sh beside this file made.
NAME ?= small
SOURCE := cpcd
DATA ?=
SOURCE_FILES := $(wildcard $(DATA)/*)
SOURCE_OPTS ?= --data $(DATA)
SOURCE_DIALOGS := yes
MODALITIES ?= playlist semantic metadata

ITEM2VEC := --dim 16
TEXT_EMBED := --dim 16
KMEANS := --clusters 8
DIALOG_SYNTH := --dialogs 0.5

VOCAB := 400
CONTEXT := 256
MODEL_INIT := --clusters 8 --hidden 32 --layers 2 --heads 2 --kv-heads 2 --ffn 64 --positions 320
SFT_TRAIN := --steps 150 --batch-tokens 600 --rate 5e-3 --warmup 5 --valid-every 50 --valid-max 20 --checkpoint-every 20
BEAMS := 8
RESPONSE_TOKENS := 8
TOP := 20
