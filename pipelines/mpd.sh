#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# mpd.sh [OPTION of mpd-split]... MPD OUT - the Million Playlist Dataset as records.
#
# MPD is the folder that the dataset was unpacked to: its slices lie in it or in its data folder. Writes into OUT
#   playlists.mp  split train, valid or test
#   tracks.mp     each track once, with cold
#   dialogs.mp    nothing: there are no conversations
#   rejects.mp    playlists that were refused, if any, each with its reason
# One mpd-parse a slice goes through GNU parallel: JOBS of them at a time (one a processor), and PARALLEL_OPTS are more
# options for parallel. Up to MAX_REJECTED playlists in a million (100) may be refused; with more the run ends.
# Needs about 10 GB of disk beside OUT while it runs, for the whole dataset.
set -eu -o pipefail
export LC_ALL=C

[ $# -ge 2 ] || { echo "usage: mpd.sh [OPTION]... MPD OUT" >&2; exit 64; }
options=("${@:1:$#-2}")
mpd=${*: -2:1} out=${*: -1}
jobs=${JOBS:-$(nproc)} max_rejected=${MAX_REJECTED:-100}

here=$(cd "$(dirname "$0")" && pwd)
PATH="${BUILD:-$here/../build}/bin:$PATH"

# In the order of their pids, whatever the order of names: the result depends on it.
find_slices() {
    find -L "$1" -maxdepth 1 -type f -name 'mpd.slice.*.json' | sort -V
}
mapfile -t slices < <(find_slices "$mpd")
if [ ${#slices[@]} -eq 0 ] && [ -d "$mpd/data" ]; then
    mapfile -t slices < <(find_slices "$mpd/data")
fi
if [ ${#slices[@]} -eq 0 ]; then
    echo "mpd.sh: $mpd: no mpd.slice.*.json in it or in its data folder" >&2
    exit 66
fi

mkdir -p "$out"
tmp=$(mktemp -d "$out/.mpd.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/playlists" "$tmp/tracks" "$tmp/rejects" "$tmp/log"

# stderr of each is kept until the counts have been taken from its last line.
read -ra more <<<"${PARALLEL_OPTS:-}"
export tmp
status=0
# shellcheck disable=SC2016 # the shells that parallel starts expand these
printf '%s\0' "${slices[@]}" | parallel --will-cite -0 --halt now,fail=1 --jobs "$jobs" ${more[@]+"${more[@]}"} \
    'mpd-parse --rejects "$tmp"/rejects/{#} --tracks "$tmp"/tracks/{#} -o "$tmp"/playlists/{#} {} 2>"$tmp"/log/{#}' \
    || status=$?
logs=()
for i in $(seq ${#slices[@]}); do
    [ -e "$tmp/log/$i" ] && logs+=("$tmp/log/$i")
done
# What was warned of; the lines of counts become one.
cat "${logs[@]}" | awk '
    / in=[0-9]+ out=[0-9]+ / {
        for (i = 2; i <= NF; i++) if (split($i, pair, "=") == 2 && pair[1] != "seconds" && pair[1] != "tracks") {
            if (!(pair[1] in sum)) name[++n] = pair[1]
            sum[pair[1]] += pair[2]
        }
        next
    }
    { print >"/dev/stderr" }
    END { for (i = 1; i <= n; i++) printf "%s%s=%d", (i > 1 ? " " : ""), name[i], sum[name[i]]; print "" }' >"$tmp/counts"
[ "$status" -eq 0 ] || { echo "mpd.sh: a slice could not be read" >&2; exit 65; }
echo "mpd.sh: slices=${#slices[@]} $(cat "$tmp/counts")" >&2

count() {
    sed -E "s/.*\\b$1=([0-9]+).*/\\1/" "$tmp/counts"
}
if [ $(($(count rejected) * 1000000)) -gt $((max_rejected * $(count in))) ]; then
    echo "mpd.sh: more than $max_rejected in a million playlists were refused" >&2
    exit 65
fi

playlists=() tracks=() rejects=()
for i in $(seq ${#slices[@]}); do
    playlists+=("$tmp/playlists/$i")
    tracks+=(--tracks "$tmp/tracks/$i")
    rejects+=("$tmp/rejects/$i")
done
cat "${rejects[@]}" >"$tmp/rejects.mp"
mpd-split ${options[@]+"${options[@]}"} "${tracks[@]}" --tracks-out "$tmp/tracks.mp" \
    -o "$tmp/playlists.mp" "${playlists[@]}"
: >"$tmp/dialogs.mp"
# All of them or none.
mv "$tmp/playlists.mp" "$tmp/tracks.mp" "$tmp/dialogs.mp" "$tmp/rejects.mp" "$out"
