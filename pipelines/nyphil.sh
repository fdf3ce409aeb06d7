#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# nyphil.sh [OPTION of mpd-split]... OUT - concert programmes of examples/nyphil as records.
#
# Writes into the folder OUT
#   playlists.mp  a programme each, split train, valid or test
#   tracks.mp     works and movements: title, composer, year of the first programme, tags, cold
#   dialogs.mp    nothing: there are no conversations
# The slices go through mpd-parse as those of the Million Playlist Dataset would; what tracks.jsonl knows
# of a track besides (the instruments of its soloists become its tags) is joined by jq. A day has one
# programme, so the test is drawn from the last 365 days; options given are mpd-split's and come after that.
set -eu -o pipefail
export LC_ALL=C

[ $# -ge 1 ] || { echo "usage: nyphil.sh [OPTION]... OUT" >&2; exit 64; }
options=("${@:1:$#-1}")
out=${*: -1}

. "$(dirname "$0")/path.sh"
data=$here/../examples/nyphil/data

mkdir -p "$out"
tmp=$(mktemp -d "$out/.nyphil.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# xz joins the slices, and mpd-parse reads one document behind the other.
xz -dc "$data"/mpd.slice.*.json.xz |
    mpd-parse --tracks "$tmp/bare.mp" -o "$tmp/programmes.mp"
xz -dc "$data/tracks.jsonl.xz" >"$tmp/tracks.jsonl"
# The archive must know every track: a missing one is an error here, not a null further on.
mp2json "$tmp/bare.mp" | jq -c --slurpfile known "$tmp/tracks.jsonl" '
    (reduce $known[] as $t ({}; .[$t.track_uri] = $t)) as $by |
    foreach (., inputs) as $t (null; null;
        ($by[$t.track_id] // error("tracks.jsonl does not have " + $t.track_id)) as $k |
        $t + {year: $k.year, tags: $k.tags})' | json2mp -o "$tmp/known.mp"
mpd-split --date 2002-12-31 --days 365 --test 100 ${options[@]+"${options[@]}"} \
    --tracks "$tmp/known.mp" --tracks-out "$tmp/tracks.mp" -o "$tmp/playlists.mp" "$tmp/programmes.mp"
: >"$tmp/dialogs.mp"
# All of them or none.
mv "$tmp/playlists.mp" "$tmp/tracks.mp" "$tmp/dialogs.mp" "$out"
