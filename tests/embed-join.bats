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

@test "embed-join: embeddings in any order and of other tracks give the same bytes, also held in memory or from a pipe" {
    inputs
    embed-join -e sem.mp -e pl.mp -o want.mp tracks.mp
    mk mixed.mp <<'JSON'
{"track_id":"z","modality":"playlist","vector":[9]}
{"track_id":"c","modality":"playlist","vector":[6]}
{"track_id":"y","modality":"playlist","vector":[8]}
{"track_id":"b","modality":"playlist","vector":[5]}
JSON
    run -0 --separate-stderr embed-join -e sem.mp -e mixed.mp --left-over left.mp -o out.mp tracks.mp
    [[ $stderr == *" left_over=2 twice=0 "* ]]
    same out.mp want.mp
    mp2json left.mp | jq -es 'map([.track_id, .modality, .vector]) == [["z", "playlist", [9]], ["y", "playlist", [8]]]'
    run -0 --separate-stderr embed-join --hold -e sem.mp -e <(cat mixed.mp) -o out.mp tracks.mp
    [[ $stderr == *" left_over=2 "* ]]
    same out.mp want.mp
    embed-join -e sem.mp -e - -o out.mp tracks.mp <mixed.mp
    same out.mp want.mp
}

@test "embed-join: a pipe of embeddings is refused in words, and --left-over with --hold" {
    inputs
    run -65 --separate-stderr embed-join -e <(cat sem.mp) -o out.mp tracks.mp
    [[ $stderr == *": a pipe or device, and vectors are read by position: write them to a file first, or use --hold" ]]
    [ ! -e out.mp ]
    run -64 embed-join --hold --left-over left.mp -e sem.mp tracks.mp
}

@test "embed-join: 3,000 tracks shuffled, with vectors of 300, join as by hand" {
    seq 3000 | shuf --random-source=<(yes) >order
    awk '{printf "{\"track_id\":\"t%d\",\"modality\":\"audio\",\"vector\":[%d", $1, $1
        for (i = 1; i < 300; i++) printf ",%d", ($1 * i) % 997; print "]}"}' order | mk audio.mp
    seq 3000 | awk '$1 % 7 {printf "{\"track_id\":\"t%d\",\"modality\":\"lyrics\",\"vector\":[%d,1]}\n", $1, -$1}' | mk lyrics.mp
    seq 3000 | awk '{printf "{\"track_id\":\"t%d\"}\n", $1}' | mk tracks.mp
    embed-join -e audio.mp -e lyrics.mp -o out.mp tracks.mp
    mp2json out.mp | jq -es 'length == 3000 and all(.[]; (.track_id[1:] | tonumber) as $t | .audio[0] == $t
        and .audio[299] == $t * 299 % 997 and (if $t % 7 > 0 then .lyrics == [-$t, 1] else has("lyrics") | not end))'
}

@test "embed-join: an embedding that comes twice is 65 or set aside, and so is a track" {
    inputs
    mk twice.mp <<'JSON'
{"track_id":"a","modality":"semantic","vector":[1,2]}
{"track_id":"c","modality":"semantic","vector":[3,4]}
{"track_id":"a","modality":"semantic","vector":[7,7]}
JSON
    run -65 --separate-stderr embed-join -e twice.mp tracks.mp
    [[ $stderr == "embed-join: twice.mp: record 3, "*'track_id: "a" comes twice' ]]
    run -0 --separate-stderr embed-join -e twice.mp -e pl.mp --rejects rej.mp -o out.mp tracks.mp
    [[ $stderr == *" rejected=1 left_over=0 twice=1 "* ]]
    embed-join -e sem.mp -e pl.mp -o want.mp tracks.mp
    same out.mp want.mp
    mp2json rej.mp | jq -es 'map([.file, .record, .value.track_id]) == [["twice.mp", 3, "a"]]'
    run -65 --separate-stderr embed-join -e sem.mp tracks.mp tracks.mp
    [[ $stderr == *'tracks.mp: record 1, byte 0: track_id: "a" comes twice' ]]
}

@test "embed-join: a file of embeddings that changes while it is read is an error" {
    inputs
    cp sem.mp moving.mp
    mk other.mp <<<'{"track_id":"q","modality":"semantic","vector":[9,9]}'
    jq -nc 'range(5000) | {track_id: "x\(.)", title: "", artist: ""}' | mk many.mp
    # More than a pipe holds: once it has gone through, the places of the vectors are known.
    { cat many.mp; cp other.mp moving.mp; cat tracks.mp; } | {
        run -65 --separate-stderr embed-join -e moving.mp -o out.mp
        [[ $stderr == *"moving.mp: byte 0: "* || $stderr == *"moving.mp: track_id: expected"* ]]
    }
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

@test "embed-join: bad tracks and bad embeddings are set aside" {
    inputs
    mk bad.mp <<<'{"title":"no id"}'
    run -65 --separate-stderr embed-join -e sem.mp bad.mp
    [[ $stderr == *"bad.mp: record 1, byte 0: track_id: missing" ]]
    embed-join -e sem.mp --rejects rej.mp -o out.mp bad.mp tracks.mp
    mp2json rej.mp | jq -es 'length == 1 and .[0].reason == "track_id: missing"'
    mk wrong.mp <<'JSON'
{"track_id":"a","modality":"semantic","vector":"no"}
{"track_id":"b","modality":"semantic","vector":[1,2]}
{"track_id":"c","modality":"semantic","vector":[1]}
{"track_id":"c","modality":"audio","vector":[1,2]}
{"track_id":"b","modality":"semantic","vector":[5,6]}
{"track_id":"","modality":"semantic","vector":[1,2]}
JSON
    printf '\x83\xa8track_id\xa1c\xa8modality\xa8semantic\xa6vector\xc7\x08\x01\0\0\x80\x3f\0\0\xc0\x7f\n' >>wrong.mp
    mk rest.mp <<<'{"track_id":"c","modality":"semantic","vector":[3,4]}'
    cat rest.mp >>wrong.mp
    run -65 --separate-stderr embed-join -e wrong.mp tracks.mp
    [[ $stderr == *"wrong.mp: record 1, byte 0: vector: expected vector, got string" ]]
    for how in '' --hold; do
        run -0 --separate-stderr embed-join $how -e wrong.mp --rejects rej.mp -o out.mp tracks.mp
        [[ $stderr == *" rejected=6 left_over=0 twice=1 "* ]]
        mp2json out.mp | jq -es 'map(select(.semantic) | [.track_id, .semantic]) == [["b", [1, 2]], ["c", [3, 4]]]'
        mp2json rej.mp | jq -es 'map([.record, .reason]) == [[1, "vector: expected vector, got string"],
            [3, "vector: expected 2 numbers, got 1"], [4, "modality: expected semantic as in the records before, got audio"],
            [5, "track_id: \"b\" comes twice"], [6, "track_id: expected an id, got an empty string"], [7, "vector: number 2 is not finite"]]'
    done
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
