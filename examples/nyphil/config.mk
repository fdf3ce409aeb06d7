# SPDX-License-Identifier: Apache-2.0
# Concert programmes in the layout of the Million Playlist Dataset: every stage on data that fits in two minutes.
NAME ?= nyphil
SOURCE := nyphil
SOURCE_PROGRAMS := mpd-parse mpd-split
SOURCE_FILES := $(wildcard examples/nyphil/data/*)
# A day has one programme; the test is drawn from the last season's.
SOURCE_OPTS ?= --date 2002-12-31 --days 365 --test 100
# No lyrics, no audio. The tags are the instruments of soloists.
MODALITIES := playlist semantic metadata

ITEM2VEC := --dim 64
TEXT_EMBED := --dim 64
KMEANS := --clusters 64 --unit
DIALOG_SYNTH := --dialogs 2

VOCAB := 2000
CONTEXT := 384
MODEL_INIT := --clusters 64 --hidden 128 --layers 3 --heads 4 --kv-heads 4 --ffn 352 --positions 512
SFT_TRAIN := --steps 500 --batch-tokens 4000 --mix 0.7 --rate 2e-3 --warmup 20 --valid-every 50
