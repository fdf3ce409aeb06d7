#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Hostile input and failing calls, through the programs themselves. The bulk (each truncation, each flipped bit) is in
# tests/unit/test_hostile.c; what was found by fuzzing is replayed here.
# shellcheck disable=SC2154 # run sets stderr
load helper

# Streams that are none; printf's escapes. All are refused with their place.
hostile='\xdd\xff\xff\xff\xff
\xdf\xff\xff\xff\xff
\xdb\xff\xff\xff\xff
\xc6\xff\xff\xff\xff
\xc9\xff\xff\xff\xff\x01
\x81\xa1x\xdd\xff\xff\xff\xff
\x81\xa1x\xdf\xff\xff\xff\xff
\x81\xa1x\xdb\x03\xff\xff\xf0
\xdd\x03\xff\xff\xf0
\x81\xa1x\xc1\n
\x81\xa1x\n
\x80
\x80\x80\n
\x90\n
\n
{"a":1}\n'

@test "hostile: bytes that are no stream are 65, one line with their place, within 100 MB" {
    local limit='ulimit -v 4000000 -d 100000'
    if sanitized; then limit=true; fi
    while read -r bytes; do
        printf '%b' "$bytes" >a.mp
        for command in mp2json "mpcheck joined" "mpsplit -n 2"; do
            run -65 --separate-stderr bash -c "$limit; exec $command a.mp"
            [ "$output" = "" ]
            [[ "$stderr" == "${command%% *}: a.mp: record 1, byte 0: "* ]]
            [ "$(wc -l <<<"$stderr")" = 1 ]
        done
    done <<<"$hostile"
    [ "$(echo part*)" = "part*" ]
}

# Programs that read records from stdin without further ado. The others say what they miss.
@test "hostile: no program crashes on bytes that are no stream" {
    printf '\x81\xa1x\xdf\xff\xff\xff\xff' >a.mp
    for c in "$ROOT"/bin/*.c; do
        p=$(basename "$c" .c)
        run --separate-stderr bash -c "timeout 20 $p -o out.mp a.mp </dev/null"
        echo "$p: $status: $stderr"
        [[ " 64 65 66 " == *" $status "* ]]
        [ "$(wc -l <<<"$stderr")" = 1 ]
        [[ "$stderr" == "$p: "* ]]
        [ ! -e out.mp ]
    done
}

@test "hostile: nesting of 33 is refused where the innermost is empty, too" {
    for inner in '\x90' '\x80' '\xdc\0\0'; do
        { printf '\x81\xa1a'; head -c 30 /dev/zero | tr '\0' '\221'; printf '%b\n' "$inner"; } >a.mp
        mp2json a.mp >/dev/null
        { printf '\x81\xa1a'; head -c 31 /dev/zero | tr '\0' '\221'; printf '%b\n' "$inner"; } >b.mp
        run -65 --separate-stderr mp2json b.mp
        [[ "$stderr" == "mp2json: b.mp: record 1, byte 0: byte 34: nested deeper than 32" ]]
    done
}

@test "hostile: nesting of a hundred thousand is refused by json2mp, mp2json and mpcheck" {
    head -c 100000 /dev/zero | tr '\0' '[' >a.json
    run -65 --separate-stderr json2mp a.json
    { printf '{"a":'; cat a.json; head -c 100000 /dev/zero | tr '\0' ']'; printf '}'; } >b.json
    run -65 --separate-stderr json2mp b.json
    [ "$stderr" = "json2mp: b.json: record 1, byte 0: not JSON: nested too deep" ]
    { printf '\x81\xa1a'; head -c 100000 /dev/zero | tr '\0' '\221'; printf '\x01\n'; } >b.mp
    for command in mp2json "mpcheck joined"; do
        run -65 --separate-stderr bash -c "$command b.mp"
        [[ "$stderr" == "${command%% *}: b.mp: record 1, byte 0: byte 34: nested deeper than 32" ]]
    done
}

@test "hostile: a record above --max-record is refused, by json2mp too" {
    jq -nc '{a: ("x" * 1000)}' >a.json
    json2mp a.json >a.mp
    run -65 --separate-stderr mp2json --max-record 900 a.mp
    [[ "$stderr" == *"larger than 900 bytes" ]]
    run -65 --separate-stderr json2mp --max-record 200 a.json
    [ "$stderr" = "json2mp: a.json: record 1, byte 0: the value is longer than 800 bytes" ]
    run -0 mp2json --max-record 1010 a.mp
}

@test "hostile: a folder as input is 74, a missing file 66, a folder as output 73" {
    for p in mp2json json2mp "mpcheck track" "mpsplit -n 2"; do
        run -74 --separate-stderr bash -c "$p ."
        [[ "$stderr" == "${p%% *}: .: read: Is a directory" ]]
        run -66 --separate-stderr bash -c "$p none"
    done
    run -73 --separate-stderr mp2json -o . /dev/null
}

@test "hostile: every call of read, write, close, open and rename that fails is told, and leaves no output" {
    jq -nc 'range(3) | {track_id: "a", n: .}' >a.json
    json2mp a.json -o a.mp
    for command in "mp2json -o out a.mp" "json2mp -o out a.json" "mpsplit -n 2 --prefix out a.mp" "mpsplit --range 0:3 -o out a.mp" \
        "mpsplit --ranges 2 -o out a.mp" "mpsplit --join -o out a.mp" "mpcheck --rejects out joined a.mp"; do
        # shellcheck disable=SC2086 # a command and its arguments
        faults "read write close open rename" "66 73 74" $command
    done
}

@test "hostile: every allocation of ours that fails is 71, and leaves no output" {
    jq -nc 'range(3) | {track_id: "a", n: ., vector: [1], t: ["x", {}]}' >a.json
    json2mp a.json -o a.mp
    for command in "mp2json -o out a.mp" "json2mp --rejects out2 -o out a.json" "mpsplit -n 2 a.mp" \
        "mpcheck --canonical joined a.mp" "mpsplit -n 2 --filter cat a.mp"; do
        # shellcheck disable=SC2086
        faults malloc 71 $command
    done
}

@test "hostile: what fuzzing has found is replayed" {
    mkdir in
    # Any bytes as a stream: each type's records, and what the first test holds.
    for f in "$ROOT"/tests/records/*.json; do json2mp "$f" -o "in/$(basename "$f").mp"; done
    local count
    count=$(find in -type f | wc -l)
    while read -r bytes; do
        count=$((count + 1))
        printf '%b' "$bytes" >"in/$count.mp"
    done <<<"$hostile"
    run -0 "$BUILD/fuzz/replay_records" in/*.mp
        [ "$output" = "$count inputs" ]
    run -0 "$BUILD/fuzz/replay_json" "$ROOT"/tests/records/*.json in/*.mp
    run -0 "$BUILD/fuzz/replay_schema" "$ROOT"/schemas/*.json "$ROOT"/tests/records/*.json
    # Each cut and each flipped bit of a small file of tensors, of an index and of a config.json.
    for f in "$ROOT"/tests/fuzz/checkpoint/*; do
        run -0 "$BUILD/fuzz/replay_checkpoint" --cut --flip "$f"
        [ "$output" = "$(($(stat -c %s "$f") * 9 + 1)) inputs" ]
    done
}
