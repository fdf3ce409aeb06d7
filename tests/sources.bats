#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# nyphil.sh and mpd.sh: what the sources write. Counts of the programmes were taken from the JSON by a Python script.
load helper

# The programmes as a folder of N slices in the layout of the dataset.
slices() {
    mkdir -p "$2"
    xzcat "$ROOT"/examples/nyphil/data/mpd.slice.*.json.xz | jq -c '.playlists[]' >all
    split -d -n "l/$1" all part.
    for part in part.*; do
        first=$(head -n 1 "$part" | jq .pid)
        last=$(tail -n 1 "$part" | jq .pid)
        jq -cs "{info: {slice: \"$first-$last\"}, playlists: .}" "$part" >"$2/mpd.slice.$first-$last.json"
        rm "$part"
    done
}

@test "nyphil.sh: 2,000 programmes, 100 of the last year as test, 3,193 tracks with year and tags, valid records" {
    run -0 --separate-stderr "$ROOT/pipelines/nyphil.sh" out
    [[ $stderr == *" rejected=0 train=1807 valid=93 test=100 undated=0 tracks=3193 "* ]]
    [ "$(ls -A out)" = $'dialogs.mp\nplaylists.mp\ntracks.mp' ]
    mpcheck --canonical playlist out/playlists.mp
    mpcheck --canonical track out/tracks.mp
    [ ! -s out/dialogs.mp ]
    # 2001-12-31 00:00 UTC: the test is from the 365 days before 2003
    mp2json out/playlists.mp | jq -es 'map(select(.split == "test")) | length == 100 and all(.modified_at > 1009756800)'
    mp2json out/tracks.mp | jq -es 'all((.year | . > 1841 and . < 2003) and (.tags | type == "array")) and
        (map(select(.tags | index("piano"))) | length == 566)'
    [ "$(mp2json out/tracks.mp | jq -c 'select(.track_id == "nyphil:work:10150*2") | [.title, .artist, .year, .tags]')" = \
        '["SONATA, FLUTE, NO. 1, B MINOR, BWV 1030: Largo e dolce","Bach, Johann Sebastian",1990,["flute","harpsichord"]]' ]
}

@test "nyphil.sh: an option of mpd-split comes after its own and wins" {
    run -0 --separate-stderr "$ROOT/pipelines/nyphil.sh" --test 7 --valid 0 out
    [[ $stderr == *" train=1993 valid=0 test=7 "* ]]
}

@test "mpd.sh: the dataset in 1, 3 and 7 slices, one or two at a time, is the same bytes" {
    for n in 1 3 7; do
        slices "$n" "in$n/data"
        JOBS=$((1 + n % 2)) "$ROOT/pipelines/mpd.sh" --date 2002-12-31 --days 365 --test 50 "in$n" "out$n" 2>err
        grep -q "^mpd.sh: slices=$n in=2000 out=2000 rejected=0 entries=8323 untitled=0 wrong_counts=0 outside=0$" err
    done
    for f in playlists tracks dialogs rejects; do
        same "out1/$f.mp" "out3/$f.mp"
        same "out1/$f.mp" "out7/$f.mp"
    done
    [ "$(mp2json out1/tracks.mp | jq -r .track_id | sort -u | wc -l)" -eq 3193 ]
    [ "$(ls -A out1)" = $'dialogs.mp\nplaylists.mp\nrejects.mp\ntracks.mp' ]
}

@test "mpd.sh: slices are read in the order of their pids" {
    mkdir in
    for pid in 0 1000 10000 2000; do
        echo "{\"playlists\":[{\"pid\":$pid,\"tracks\":[]}]}" >"in/mpd.slice.$pid-$((pid + 999)).json"
    done
    "$ROOT/pipelines/mpd.sh" in out
    [ "$(mp2json out/playlists.mp | jq -r .playlist_id | tr '\n' ' ')" = "0 1000 2000 10000 " ]
}

@test "mpd.sh: a slice that is cut off ends it with 65, names the slice, and leaves nothing" {
    slices 3 in
    head -c 5000 in/mpd.slice.10000-*.json >part
    cat part >in/mpd.slice.5-5.json
    run -65 --separate-stderr "$ROOT/pipelines/mpd.sh" in out
    [[ $stderr == *"mpd-parse: in/mpd.slice.5-5.json: byte 5000: the file is cut off"* ]]
    [ -z "$(ls -A out)" ]
}

@test "mpd.sh: more bad playlists than MAX_REJECTED end it, fewer are set aside" {
    slices 1 in
    echo '{"playlists":[{"pid":1}]}' >in/mpd.slice.1-1.json
    run -65 --separate-stderr "$ROOT/pipelines/mpd.sh" in out
    [[ $stderr == *"mpd.sh: more than 100 in a million playlists were refused" ]]
    [ -z "$(ls -A out)" ]
    MAX_REJECTED=500 "$ROOT/pipelines/mpd.sh" in out
    [ "$(mp2json out/rejects.mp | jq -c '[.reason, .value]')" = '["tracks: missing","{\"pid\":1}"]' ]
}

@test "mpd.sh: a folder without slices is 66, no folder 64" {
    mkdir in
    run -66 --separate-stderr "$ROOT/pipelines/mpd.sh" in out
    [ "$stderr" = "mpd.sh: in: no mpd.slice.*.json in it or in its data folder" ]
    run -64 --separate-stderr "$ROOT/pipelines/mpd.sh" out
}

@test "nyphil.sh: the transcript of examples/nyphil/README.md is what happens" {
    sed -n 's/^    //p' "$ROOT/examples/nyphil/README.md" | sed '/^make /d' >expected
    [ "$(grep -c '^\$ ' expected)" -ge 2 ]
    ln -s "$ROOT/pipelines" pipelines
    sed -n 's/^\$ //p' expected | while read -r command; do
        printf '$ %s\n' "$command"
        bash -c "$command" 2>&1
    done >got
    diff <(sed 's/seconds=[0-9.]*/seconds=/' expected) <(sed 's/seconds=[0-9.]*/seconds=/' got)
}
