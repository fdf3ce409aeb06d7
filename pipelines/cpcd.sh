#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cpcd.sh - the conversations of examples/cpcd as records, by jq and json2mp.
#
#   pipelines/cpcd.sh [--data DIR] [--fold I/N] OUT
#
# writes into the folder OUT
#   tracks.mp     the catalogue: title, artist, album, tags, cold
#   playlists.mp  of training and validation conversations: liked tracks, results of each query
#   dialogs.mp    all conversations, split train, valid or test
#   frames.mp     wording of requests and answers, of training conversations and of the music requests
# --data names another folder with files of the same names (examples/cpcd/data).
# With --fold (or FOLD=I/N in the environment) the Ith of N parts of the training conversations plays
# the test set, and the real test conversations give their tracks' titles and nothing else.
# See examples/cpcd/data/README.md for the data, cpcd.jq and frames.jq for the conversion. Takes some 15 seconds.
set -eu -o pipefail
export LC_ALL=C

usage() {
    echo "usage: cpcd.sh [--data DIR] [--fold I/N] OUT" >&2
    exit 64
}

. "$(dirname "$0")/path.sh"
data=$here/../examples/cpcd/data
fold=${FOLD:-}
while [ $# -gt 1 ]; do
    case $1 in
    --data) data=$(realpath "$2") ;;
    --fold) fold=$2 ;;
    *) usage ;;
    esac
    shift 2
done
[ $# -eq 1 ] || usage
out=$1
foldjson=null
if [ -n "$fold" ]; then
    [[ $fold =~ ^([0-9]{1,3})/([0-9]{1,3})$ ]] || usage
    i=$((10#${BASH_REMATCH[1]})) n=$((10#${BASH_REMATCH[2]}))
    if [ "$n" -lt 2 ] || [ "$i" -lt 1 ] || [ "$i" -gt "$n" ]; then usage; fi
    foldjson="[$i,$n]"
fi

mkdir -p "$out"
# Absolute, since what follows runs inside it.
tmp=$(mktemp -d "$(realpath "$out")/.cpcd.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
for f in cpcd_v0.dialogs.dev.train.jsonl cpcd_v1.dialogs.dev.val.jsonl train_PlayMusic_full.json \
    train_AddToPlaylist_full.json; do
    xz -dc "$data/$f.xz" >"$f"
done
both=(cpcd_v0.dialogs.dev.train.jsonl cpcd_v1.dialogs.dev.val.jsonl)

# run SIDE PROGRAM FILE...: JSON lines out. The program's are $fold and $side, the values in the file SIDE.
run() {
    local side=$1 program=$2
    shift 2
    jq -n -c -L "$here" --argjson fold "$foldjson" --slurpfile side "$side" \
        "include \"cpcd\"; include \"frames\"; $program" "$@"
}

# shellcheck disable=SC2016
{
    run /dev/null 'catalogue($fold)' "${both[@]}" >catalogue
    run catalogue 'playlists($fold; $side[0].of)' "${both[@]}" >playlists
    run catalogue 'tracks($side[0].tracks)' playlists >tracks
    run catalogue 'dialogs($fold; $side[0].of)' "${both[@]}" >dialogs
    cat train_PlayMusic_full.json train_AddToPlaylist_full.json >requests
    run requests 'frames($fold; $side)' "${both[0]}" >frames
}
for f in playlists tracks dialogs frames; do
    json2mp -o "$f.mp" "$f"
done
# All of them or none.
mv playlists.mp tracks.mp dialogs.mp frames.mp ..
