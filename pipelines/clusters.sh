#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# clusters.sh - what each music token stands for, as clusters.json of a run's folder.
#
#   pipelines/clusters.sh RUN
#
# reads RUN/{tracks,items,joined,centroid.*}.mp and writes RUN/clusters.json:
#   {"playlist": {"53": {"count": 12, "tags": […], "artists": […], "tracks": [{title, artist}, …]}, …}, …}
# count is the number of tracks with that code, imputed ones included; tags and artists are the commonest
# among them, five at most; tracks are the three whose vectors have the smallest angle to the centroid.
# Memory grows with the catalogue. About 5 seconds for 10,000 tracks of three modalities.
set -eu -o pipefail
export LC_ALL=C
if [ $# -ne 1 ] || [ ! -d "$1" ]; then
    echo "usage: clusters.sh RUN" >&2
    exit 64
fi
run=$1
. "$(dirname "$0")/path.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mp2json "$run/items.mp" | jq -r '.track_id as $t | .codes | to_entries[] | "\(.key)\t\($t)\t\(.value)"' >"$work/codes"
# A line of mp2json is canonical: a vector is NAME":[numbers], and nothing else in these records is a number in brackets.
mp2json "$run"/centroid.*.mp >"$work/centroids"
mp2json "$run/joined.mp" >"$work/joined"
awk '
function vector(line, key, v,    at, rest) {
    at = index(line, "\"" key "\":[")
    if (at == 0)
        return 0
    rest = substr(line, at + length(key) + 4)
    return split(substr(rest, 1, index(rest, "]") - 1), v, ",")
}
function text(line, key,    at, rest) {
    at = index(line, "\"" key "\":\"")
    rest = substr(line, at + length(key) + 4)
    return substr(rest, 1, index(rest, "\"") - 1)
}
FILENAME ~ /codes$/ { split($0, f, "\t"); code[f[1], f[2]] = f[3]; next }
FILENAME ~ /centroids$/ {
    m = text($0, "modality"); match($0, /"index":[0-9]+/); k = substr($0, RSTART + 8, RLENGTH - 8)
    n = vector($0, "vector", v); seen[m] = 1
    for (i = 1; i <= n; i++) c[m, k, i] = v[i]
    next
}
{
    t = text($0, "track_id")
    for (m in seen) {
        n = vector($0, m, v)
        if (n == 0 || !((m, t) in code)) continue
        k = code[m, t]; dot = x = y = 0
        for (i = 1; i <= n; i++) { a = v[i]; b = c[m, k, i]; dot += a * b; x += a * a; y += b * b }
        if (x * y > 0) printf "%s\t%s\t%s\t%.6f\n", m, k, t, dot / sqrt(x * y)
    }
}' "$work/codes" "$work/centroids" "$work/joined" |
    sort -t "$(printf '\t')" -k1,1 -k2,2n -k4,4gr -k3,3 |
    awk -F '\t' '{ if ($1 != m || $2 != k) n = 0; m = $1; k = $2; if (n++ < 3) print $1 "\t" $2 "\t" $3 }' >"$work/near"

mp2json "$run/tracks.mp" >"$work/tracks"
jq -n --slurpfile tracks "$work/tracks" --rawfile codes "$work/codes" --rawfile near "$work/near" '
    def commonest: group_by(.) | map([length, .[0]]) | sort_by(-.[0], .[1]) | map(.[1])[:5];
    def artist: .artist | if type == "array" then join(", ") else . // "" end;
    ($tracks | map({key: .track_id, value: .}) | from_entries) as $track
    | def rows: rtrimstr("\n") | split("\n") | map(select(. != "") | split("\t"));
      (reduce ($near | rows | .[]) as [$m, $k, $t] ({};
          .[$m][$k] += [$track[$t] | {title: (.title // ""), artist: artist}])) as $nearest
    | [$codes | rows | group_by([.[0], .[2]])[] | {m: .[0][0], k: .[0][2], tracks: map($track[.[1]])}]
    | reduce .[] as $c ({}; .[$c.m][$c.k] = {
          count: ($c.tracks | length),
          tags: ($c.tracks | map(.tags // [] | .[]) | commonest),
          artists: ($c.tracks | map(.artist | if type == "array" then .[] else . // empty end) | commonest),
          tracks: ($nearest[$c.m][$c.k] // [])})' >"$work/out"
mv "$work/out" "$run/clusters.json.new"
mv "$run/clusters.json.new" "$run/clusters.json"
