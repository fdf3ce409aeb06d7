#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# mpd.sh [OPTION of mpd-split]... MPD OUT - the Million Playlist Dataset as records.
#
# MPD is the folder that the dataset was unpacked to: its slices lie in it or in its data folder. Writes into OUT
#   playlists.mp  split train, valid or test
#   tracks.mp     each track once, with cold
#   dialogs.mp    nothing: there are no conversations
#   rejects.mp    playlists that were refused, if any, each with its reason
# One mpd-parse a slice goes through GNU parallel: JOBS of them at a time (one a processor), here or on HOSTS (spread.sh).
# Interrupted, and called again, it goes on: what is done is kept in OUT/.mpd meanwhile. Up to MAX_REJECTED playlists in a million (100) may be refused; with more the run ends.
# Needs about 10 GB of disk beside OUT while it runs, for the whole dataset.
set -eu -o pipefail
export LC_ALL=C

[ $# -ge 2 ] || { echo "usage: mpd.sh [OPTION]... MPD OUT" >&2; exit 64; }
options=("${@:1:$#-2}")
mpd=${*: -2:1} out=${*: -1}
jobs=${JOBS:-$(nproc)} max_rejected=${MAX_REJECTED:-100}

. "$(dirname "$0")/path.sh"

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

keep=$out/.mpd
"$here/key.sh" "$keep" mpd-parse "${slices[@]}"
mkdir -p "$keep/in"
for slice in "${slices[@]}"; do
    ln -sf "$(realpath "$slice")" "$keep/in"
done
names=("${slices[@]##*/}")

# stderr of each is kept until the counts have been taken from its last line.
status=0
"$here/spread.sh" -q -j "$jobs" -H "${HOSTS:-}" -o tracks -o rejects "$keep" \
    mpd-parse --rejects 'rejects/{}' --tracks 'tracks/{}' 'in/{}' || status=$?
logs=()
for name in "${names[@]}"; do
    [ ! -e "$keep/log/$name" ] || logs+=("$keep/log/$name")
done
# What was warned of; the lines of counts become one.
cat ${logs[@]+"${logs[@]}"} </dev/null | awk '
    / in=[0-9]+ out=[0-9]+ / {
        for (i = 2; i <= NF; i++) if (split($i, pair, "=") == 2 && pair[1] != "seconds" && pair[1] != "tracks") {
            if (!(pair[1] in sum)) name[++n] = pair[1]
            sum[pair[1]] += pair[2]
        }
        next
    }
    { print >"/dev/stderr" }
    END { for (i = 1; i <= n; i++) printf "%s%s=%d", (i > 1 ? " " : ""), name[i], sum[name[i]]; print "" }' >"$keep/counts"
case $status in
    0) ;;
    65) rm -rf "$keep"; echo "mpd.sh: a slice could not be read" >&2; exit 65 ;;
    *) echo "mpd.sh: not all slices were read; what was stays for another call" >&2; exit "$status" ;;
esac
echo "mpd.sh: slices=${#slices[@]} $(cat "$keep/counts")" >&2

count() {
    sed -E "s/.*\\b$1=([0-9]+).*/\\1/" "$keep/counts"
}
if [ $(($(count rejected) * 1000000)) -gt $((max_rejected * $(count in))) ]; then
    echo "mpd.sh: more than $max_rejected in a million playlists were refused" >&2
    rm -rf "$keep"
    exit 65
fi

playlists=() tracks=() rejects=()
for name in "${names[@]}"; do
    playlists+=("$keep/out/$name")
    tracks+=(--tracks "$keep/tracks/$name")
    rejects+=("$keep/rejects/$name")
done
cat "${rejects[@]}" >"$keep/rejects.mp"
mpd-split ${options[@]+"${options[@]}"} "${tracks[@]}" --tracks-out "$keep/tracks.mp" \
    -o "$keep/playlists.mp" "${playlists[@]}"
: >"$keep/dialogs.mp"
# All of them or none.
mv "$keep/playlists.mp" "$keep/tracks.mp" "$keep/dialogs.mp" "$keep/rejects.mp" "$out"
rm -rf "$keep"
