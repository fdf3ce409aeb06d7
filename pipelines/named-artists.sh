#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# named-artists.sh - does a trained model play the artist that it is asked for?
#
#   pipelines/named-artists.sh [--artists N] [--seed N] RUN
#
# Takes N (200) artists of the run's catalogue that have at least two warm tracks, in an order that the seed decides, asks for each in
# three phrasings that training has never seen (this is checked), and counts whether a track by the artist is recommended
# first, and among the first ten. Prints one line a phrasing and one for all:
#   requests, share in the first 10, share first, phrasing
# Context, masks and beams are those that the run's options/ say. Takes a minute or so for a demo model.
set -eu -o pipefail
export LC_ALL=C

usage() {
    echo "usage: named-artists.sh [--artists N] [--seed N] RUN" >&2
    exit 64
}
. "$(dirname "$0")/path.sh"
artists=200 seed=1
while [ $# -gt 1 ]; do
    case $1 in
    --artists) artists=$2 ;;
    --seed) seed=$2 ;;
    *) usage ;;
    esac
    [[ $2 =~ ^[1-9][0-9]{0,5}$ ]] || usage
    shift 2
done
if [ $# -ne 1 ] || [ ! -d "$1" ]; then usage; fi
run=$(cd "$1" && pwd)
tmp=$(mktemp -d "$run/.named.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"

# option NAME DEFAULT: what the run's makefile wrote down.
option() {
    if [ -e "$run/options/$1" ]; then
        cat "$run/options/$1"
    else
        echo "$2"
    fi
}
read -r -a render <<<"$(option RENDER '')" || true
read -r -a gen <<<"$(option GEN '')" || true
context=$(option CONTEXT 1024)
beams=$(option BEAMS 100)

cat >frames <<'TEXT'
my brother keeps recommending %, let me hear one of theirs
Do you happen to have anything in your collection from %?
surprise me with whatever you like best by %
TEXT

# What comes before the name must not be in any text that was trained on, upper or lower case.
trained=$run/text.mp
[ -e "$trained" ] || trained=$run/examples.mp
sed 's/%.*//' frames >openings
seen=$(mp2json "$trained" | { grep -oiF -f openings || [ $? -eq 1 ]; } | sort -u)
if [ -n "$seen" ]; then
    echo "named-artists.sh: training has seen \"$seen\"" >&2
    exit 65
fi

# {artist: [its tracks]}, and the artists that are asked for.
mp2json "$run/tracks.mp" | jq -c 'def names: if (.artist | type) == "array" then .artist[] else .artist end;
    .track_id as $id | (.cold == true) as $cold | [names] | unique[] | select(. != "") | [., $id, $cold]' >by
# shellcheck disable=SC2016
jq -s -c -L "$here" --argjson n "$artists" --arg seed "$seed" 'include "cpcd";
    group_by(.[0]) | map({artist: .[0][0], tracks: map(.[1]), warm: (map(select(.[2] | not)) | length)})
    | map(select(.warm >= 2)) | sort_by([(.artist | hash31("named artists " + $seed)), .artist])[:$n]
    | to_entries[] | {id: "artist\(.key + 1)", artist: .value.artist, tracks: .value.tracks}' by >asked
if [ ! -s asked ]; then
    echo "named-artists.sh: no artist has two warm tracks" >&2
    exit 65
fi
# shellcheck disable=SC2016
jq -c --rawfile frames frames '. as $a | $frames | split("\n") | map(select(. != "")) | to_entries[]
    | {dialog_id: "\($a.id)/frame\(.key + 1)", split: "test",
       turns: [{role: "user", content: (.value | split("%") | join($a.artist))}]}' asked |
    json2mp |
    dialog-render --prompts --last --items "$run/items.mp" "${render[@]}" |
    tokenize --tokenizer "$run/model" --context "$context" |
    gen --model "$run/model" "${gen[@]}" --beams "$beams" --no-response --seed "$seed" |
    match --items "$run/items.mp" --top 10 --seed "$seed" |
    mp2json >rankings.json

# shellcheck disable=SC2016
jq -n -r --slurpfile asked asked --rawfile frames frames '
    def percent: . * 1000 + 0.5 | floor | "\(. / 10 | floor).\(. % 10) %";
    ($asked | map({key: .id, value: (.tracks | map({key: ., value: true}) | from_entries)}) | from_entries) as $by
    | ($frames | split("\n") | map(select(. != ""))) as $frames
    | [inputs | (.query_id | capture("^(?<artist>[^/]+)/frame(?<frame>[0-9]+):")) as $q
       | [.tracks[].track_id | $by[$q.artist][.] // false] as $hit
       | {frame: ($q.frame | tonumber), ten: ($hit[:10] | any), first: ($hit[0] // false)}] as $all
    | def show($name): "\(length)\t\((map(select(.ten)) | length) / length | percent)\t\((map(select(.first)) | length) / length | percent)\t\($name)";
    "requests\tfirst 10\tfirst\tphrasing",
    (range(1; ($frames | length) + 1) as $f | $all | map(select(.frame == $f)) | show($frames[$f - 1])),
    ($all | show("all, \($asked | length) artists"))' rankings.json
