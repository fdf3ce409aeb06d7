#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# data.sh OUT - a small part of examples/cpcd/data, in files of the same names, for pipelines/cpcd.sh --data.
#
# The first 40 conversations of the older file, 6 of the newer one, and 100 music requests of each kind.
set -eu -o pipefail

from=$(cd "$(dirname "$0")/../../examples/cpcd/data" && pwd)
out=$1
mkdir -p "$out"
for file in cpcd_v0.dialogs.dev.train:40 cpcd_v1.dialogs.dev.val:6; do
    xz -dc "$from/${file%:*}.jsonl.xz" | sed -n "1,${file#*:}p" | xz -0 >"$out/${file%:*}.jsonl.xz"
done
for file in train_PlayMusic_full train_AddToPlaylist_full; do
    xz -dc "$from/$file.json.xz" | jq -c 'map_values(.[:100])' | xz -0 >"$out/$file.json.xz"
done
