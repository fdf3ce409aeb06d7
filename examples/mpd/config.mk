# SPDX-License-Identifier: Apache-2.0
# The Million Playlist Dataset with the paper's sizes: make run CONFIG=examples/mpd/config.mk MPD=DIR BASE=DIR
# README.md beside this file says what it costs.
NAME ?= mpd
SOURCE := mpd
SOURCE_PROGRAMS := mpd-parse mpd-split
# The folder of the dataset, and that of a Llama model to start from.
MPD ?=
BASE ?=
$(if $(MPD),,$(error MPD=DIR must name the folder of the dataset's slices))
SOURCE_FILES := $(wildcard $(MPD)/mpd.slice.*.json $(MPD)/data/mpd.slice.*.json)
# The test: 1,000 playlists of the last day that is there.
SOURCE_OPTS ?= --test 1000 $(MPD)
# What the dataset itself can feed.
MODALITIES ?= playlist metadata

ITEM2VEC := --dim 128
TEXT_EMBED := --dim 128
KMEANS := --clusters 1024
DIALOG_SYNTH := --dialogs 1

CONTEXT := 1024
# A random model needs positions for an answer behind the context.
MODEL_INIT := --clusters 1024 $(if $(BASE),,--positions 1152)
# The last four make a billion parameters fit into 20 GiB; of several processes (LAUNCH) each needs a share: --shares 4.
SFT_TRAIN := --batch 48 --rate 1e-4 --epochs 1 --mix 0.5 --lambda 0.1 --precision auto --moments bf16 --checkpointing \
    --shares 1
