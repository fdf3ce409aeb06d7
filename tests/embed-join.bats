#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
load helper

inputs() {
    mk tracks.mp <<'JSON'
{"track_id":"a","title":"A","artist":"x","album":"","cold":false}
{"track_id":"b","title":"B","artist":"x","album":"","cold":true}
{"track_id":"c","title":"C","artist":"x","album":""}
JSON
    mk sem.mp <<'JSON'
{"track_id":"a","modality":"semantic","vector":[1,2]}
{"track_id":"c","modality":"semantic","vector":[3,4]}
JSON
    mk pl.mp <<'JSON'
{"track_id":"b","modality":"playlist","vector":[5]}
{"track_id":"c","modality":"playlist","vector":[6]}
JSON
}

@test "embed-join: vectors stand under their modalities in order, a missing one is absent, cold is kept" {
    inputs
    run -0 --separate-stderr embed-join -e sem.mp -e pl.mp -o out.mp tracks.mp
    [[ $stderr == *"in=3 out=3 rejected=0 left_over=0 "* ]]
    mp2json out.mp >out.json
    cat >want.json <<'JSON'
{"track_id":"a","cold":false,"semantic":[1,2]}
{"track_id":"b","cold":true,"playlist":[5]}
{"track_id":"c","playlist":[6],"semantic":[3,4]}
JSON
    same out.json want.json
}

@test "embed-join: --hold takes any order and other tracks, and gives the same bytes" {
    inputs
    embed-join -e sem.mp -e pl.mp -o want.mp tracks.mp
    mk mixed.mp <<'JSON'
{"track_id":"z","modality":"playlist","vector":[9]}
{"track_id":"c","modality":"playlist","vector":[6]}
{"track_id":"b","modality":"playlist","vector":[5]}
JSON
    run -0 --separate-stderr embed-join --hold -e sem.mp -e mixed.mp -o out.mp tracks.mp
    [[ $stderr == *" left_over=1 "* ]]
    same out.mp want.mp
}

@test "embed-join: an embedding out of order, or of no track, is a data error that says so" {
    inputs
    mk mixed.mp <<'JSON'
{"track_id":"c","modality":"playlist","vector":[6]}
{"track_id":"b","modality":"playlist","vector":[5]}
JSON
    run -65 --separate-stderr embed-join -e mixed.mp -o out.mp tracks.mp
    [[ $stderr == "embed-join: mixed.mp: record 2, "*'track_id: "b" is no track, or not in the order of the tracks (--hold takes any order)' ]]
    [ ! -e out.mp ]
}

@test "embed-join: two files of one modality, two modalities in one file, no file at all" {
    inputs
    run -65 --separate-stderr embed-join -e sem.mp -e sem.mp tracks.mp
    [[ $stderr == *"sem.mp and sem.mp are both of modality semantic" ]]
    cat sem.mp pl.mp >both.mp
    run -65 --separate-stderr embed-join --hold -e both.mp tracks.mp
    [[ $stderr == *"modality: expected semantic as in the records before, got playlist" ]]
    run -64 --separate-stderr embed-join tracks.mp
    [ "$stderr" = "embed-join: --embedding must be given" ]
}

@test "embed-join: an empty stream joins to an empty one" {
    : >empty
    embed-join -e empty -o out.mp empty
    [ -f out.mp ] && [ ! -s out.mp ]
}

@test "embed-join: a bad track is set aside, a bad embedding ends the run" {
    inputs
    mk bad.mp <<<'{"title":"no id"}'
    run -65 --separate-stderr embed-join -e sem.mp bad.mp
    [[ $stderr == *"bad.mp: record 1, byte 0: track_id: missing" ]]
    embed-join -e sem.mp --rejects rej.mp -o out.mp bad.mp tracks.mp
    mp2json rej.mp | jq -es 'length == 1 and .[0].reason == "track_id: missing"'
    mk wrong.mp <<<'{"track_id":"a","modality":"semantic","vector":"no"}'
    run -65 --separate-stderr embed-join -e wrong.mp --rejects rej.mp tracks.mp
    [[ $stderr == *"wrong.mp: record 1, byte 0: vector: expected vector, got string" ]]
}

@test "embed-join: dimensions must agree, and a cut-off file is 65" {
    inputs
    mk odd.mp <<'JSON'
{"track_id":"a","modality":"semantic","vector":[1,2]}
{"track_id":"b","modality":"semantic","vector":[1]}
JSON
    run -65 --separate-stderr embed-join -e odd.mp tracks.mp
    [[ $stderr == *"odd.mp: record 2, "*"vector: expected 2 numbers, got 1" ]]
    head -c 60 sem.mp >cut.mp
    run -65 --separate-stderr embed-join -e cut.mp tracks.mp
    [[ $stderr == *"cut off"* ]]
}

@test "embed-join: a full disk is 74, a closed pipe ends quietly" {
    inputs
    run -74 bash -c 'embed-join -e sem.mp tracks.mp >/dev/full'
    run -141 --separate-stderr unread embed-join -e sem.mp tracks.mp
    [ -z "$stderr" ]
}
