#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# report.sh - what a run came to: the tables and figures of the paper (Doh, Choi, Nam 2025) for this run's data.
#
#   pipelines/report.sh RUN
#
# reads the artifacts in the folder RUN (each stage's page says what they are) and writes RUN/report/:
#   report.json              every number below
#   report.txt               the tables in 80 columns
#   curves.svg, curves.png   training and validation loss (the paper's Figure 2)
#   turns.svg, turns.png     MRR by turn (Figure 3)
#   report.html              all of it in one file that needs no other
# Nothing in them comes from anywhere but the artifacts. Tracks and playlists are streamed; memory grows with the
# conversations' distinct words and tracks (in sort, on disk).
set -eu -o pipefail
export LC_ALL=C

if [ $# -ne 1 ] || [ ! -d "$1" ]; then
    echo "usage: report.sh RUN" >&2
    exit 64
fi
. "$(dirname "$0")/path.sh"
run=$(cd "$1" && pwd)
for f in tracks playlists dialogs prompts items log metric generation.paper ranking.paper ranking.search; do
    if [ ! -e "$run/$f.mp" ]; then
        echo "report.sh: $run/$f.mp: not there" >&2
        exit 66
    fi
done
mkdir -p "$run/report"
tmp=$(mktemp -d "$run/report/.tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"

# read_stream NAME: a stream of the run as JSON lines; nothing where the run has none.
read_stream() {
    if [ -e "$run/$1.mp" ]; then
        mp2json "$run/$1.mp"
    fi
}

# ---- Table 1: what the data is ------------------------------------------------------------------

read_stream tracks | jq -r 'select(.cold == true) | [.track_id] | @tsv' | sort >cold
read_stream tracks | jq -r '[.track_id] | @tsv' | sort >catalogue

# Conversations of people and simulated ones: what was said, one entry a line: split, turn, role, content; and
# a line without a role before each conversation. Then a JSON object a split: sums, and what is distinct.
for kind in dialogs synth; do
    # shellcheck disable=SC2016
    read_stream "$kind" | jq -r '(.split // "train") as $s | [$s, 0, "", ""],
        foreach .turns[] as $t (0; if $t.role == "user" then . + 1 else . end; [$s, ., $t.role, $t.content]) | @tsv' >said.tsv
    for split in train valid test; do
        awk -F '\t' -v s="$split" '$1 == s && $3 == "music" {print $4}' said.tsv | sort -u >music
        awk -F '\t' -v s="$split" '$1 == s && $3 != "music" {print $4}' said.tsv | tr '[:upper:]' '[:lower:]' |
            tr -cs 'a-z0-9\200-\377' '\n' | sort -u >words
        awk -F '\t' -v s="$split" -v kind="$kind" -v distinct="$(wc -l <music)" -v cold="$(comm -12 music cold | wc -l)" \
            -v known="$(comm -12 music catalogue | wc -l)" -v words="$(awk 'NF {n++} END {print n + 0}' words)" \
            -f "$here/report.awk" said.tsv
    done >"$kind.counts"
done
read_stream playlists | jq -n -c -L "$here" 'include "report"; playlist_counts' >playlists.counts
jq -n -c --argjson tracks "$(wc -l <catalogue)" --argjson cold "$(wc -l <cold)" '{tracks: $tracks, cold: $cold}' >catalogue.counts

# ---- Table 3: one turn that went well, chosen by rule, and the first of all ------------------------

for s in paper search; do
    # shellcheck disable=SC2016
    read_stream "ranking.$s" | jq -c '(.relevant | map({key: ., value: true}) | from_entries) as $r
        | {query_id, top: .tracks[0].track_id, rank: ([.tracks[].track_id | $r[.] // false] | index(true) | if . == null then null else . + 1 end)}' \
        >"ranks.$s"
done
# The turn whose sampled track is liked, or failing that ranks a liked track highest; the first of equals.
best=$(jq -r -s 'map(select(.rank != null)) | sort_by(.rank) | .[0].query_id // empty' ranks.paper)
first=$(jq -r -s '.[0].query_id // empty' ranks.paper)
: >turns.json
for q in "$best" "$first"; do
    [ -n "$q" ] || continue
    for f in prompts generation.paper; do
        # shellcheck disable=SC2016
        read_stream "$f" | jq -c --arg q "$q" 'select(.query_id == $q)' >"one.$f"
    done
    # shellcheck disable=SC2016
    jq -n -c --arg q "$q" --slurpfile p one.prompts --slurpfile g one.generation.paper --slurpfile paper ranks.paper \
        --slurpfile search ranks.search '
        def of($x): $x | map(select(.query_id == $q)) | .[0];
        {query_id: $q, turn: $p[0].turn, relevant: $p[0].relevant, history: $p[0].history,
         request: ($p[0].history | map(select(.role == "user")) | .[-1].content),
         codes: $g[0].candidates[0].codes, response: ($g[0].response // ""),
         paper: of($paper), search: of($search)}' >>turns.json
done
# Titles of the tracks that the turns name.
jq -c '.relevant[], .paper.top, .search.top, (.history[] | select(.role == "music").content) | select(. != null)' turns.json |
    sort -u | jq -s -c 'map({key: ., value: true}) | from_entries' >named
# shellcheck disable=SC2016
read_stream tracks | jq -c --slurpfile named named 'select($named[0][.track_id])
    | {key: .track_id, value: {title, artist: (if (.artist | type) == "array" then .artist | join(", ") else .artist end)}}' |
    jq -s -c 'from_entries' >titles.json

# ---- all numbers in one place, then words, then pictures -----------------------------------------

# One record of tok-map --report; nothing where the run has none.
read_stream codebook >codebook.json
[ -s codebook.json ] || echo null >codebook.json
read_stream metric >metric.json
read_stream log >log.json
cat dialogs.counts synth.counts >counts
# shellcheck disable=SC2016
jq -n -L "$here" --slurpfile metric metric.json --slurpfile counts counts --slurpfile playlists playlists.counts \
    --slurpfile catalogue catalogue.counts --slurpfile turns turns.json --slurpfile titles titles.json \
    --slurpfile codebook codebook.json --slurpfile log log.json \
    'include "report"; report($metric; $counts; $playlists[0]; $catalogue[0]; $turns; $titles[0]; $codebook[0]; $log)' \
    >report.json
jq -r -L "$here" 'include "report"; text' report.json >report.txt

jq -r 'select(.split == "train") | [.step, .loss_dialog // "?", .loss_playlist // "?"] | @tsv' log.json >train.tsv
jq -r 'select(.split == "valid") | [.step, .loss_dialog // "?", .loss_playlist // "?"] | @tsv' log.json >valid.tsv
# A mean of fewer than five turns says nothing: it stays in report.json.
jq -r '.by_turn[] | .system as $s | .turns[] | select(.n >= 5) | [$s, .turn, .value, .low, .high, .n] | @tsv' report.json >turns.tsv
for figure in curves turns; do
    gnuplot -e "form = 'svg'" "$here/$figure.gp" >"$figure.svg"
    gnuplot -e "form = 'png'" "$here/$figure.gp" >"$figure.png"
done
# In the page, what gnuplot drew in black takes the colour of the text, so that it can be read in the dark.
for figure in curves turns; do
    sed -e '1,/<svg/{/<?xml/d;/<!DOCTYPE/,/>/d}' -e "s/rgb( *0, *0, *0)/currentColor/g; s/'black'/'currentColor'/g; s/\"black\"/\"currentColor\"/g" \
        -e '/<title>/d; /<desc>/d' "$figure.svg" >"$figure.inline"
done
jq -r -L "$here" --rawfile curves curves.inline --rawfile turns turns.inline --rawfile css "$here/report.css" \
    'include "report"; html($curves; $turns; $css)' report.json >report.html

mv report.json report.txt curves.svg curves.png turns.svg turns.png report.html ..
