#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# mpcheck and the schemas. tests/records/TYPE.json holds good records of every type.
# shellcheck disable=SC2154 # run sets stderr
load helper

@test "mpcheck: there is a schema for each type, and good records of it pass, canonical ones at that" {
    types=(centroid codebook dialog embedding example frame generation info item joined log metric playlist prompt ranking reject track truth)
    [ "$(cd "$ROOT/schemas" && ls -- *.json)" = "$(printf '%s.schema.json\n' "${types[@]}")" ]
    for t in "${types[@]}"; do
        mk "$t.mp" <"$ROOT/tests/records/$t.json"
        run -0 --separate-stderr mpcheck --canonical "$t" "$t.mp"
        [ "$output$stderr" = "" ]
    done
}

@test "mpcheck: a record of another type is a fault, for every pair of types" {
    for t in "$ROOT"/tests/records/*.json; do
        t=$(basename "$t" .json)
        mk "$t.mp" <"$ROOT/tests/records/$t.json"
    done
    for t in *.mp; do
        for u in *.mp; do
            # a joined record needs no more than a track_id, which is much like many another
            [ "$t" = "$u" ] || [ "$u" = joined.mp ] && continue
            run -65 --separate-stderr mpcheck "${u%.mp}" "$t"
        done
    done
}

@test "mpcheck: names the first faults with their place, and the status is 65" {
    while IFS='|' read -r type record message; do
        printf '%s' "$record" | mk a.mp
        run -65 --separate-stderr mpcheck "$type" a.mp
        [ "$output" = "" ]
        [ "$stderr" = "mpcheck: a.mp: record 1, byte 0: $message" ] || { echo "got: $stderr" && false; }
    done <<'END'
track|{}|track_id: missing
track|{"track_id":null,"title":"","artist":""}|track_id: missing
track|{"track_id":"","title":"","artist":""}|track_id: expected a string that is not empty
track|{"track_id":"a","title":1,"artist":""}|title: expected string, got integer
track|{"track_id":"a","title":"","artist":-1}|artist: expected string or array, got negative integer
track|{"track_id":"a","title":"","artist":[]}|artist: expected at least 1 elements, got 0
track|{"track_id":"a","title":"","artist":["",[]]}|artist[1]: expected string, got array
track|{"track_id":"a","title":"","artist":"","year":10000}|year: expected at most 9999, got 10000
track|{"track_id":"a","title":"","artist":"","year":1.0}|year: expected integer, got float
track|{"track_id":"a","title":"","artist":"","tempo":-0.5}|tempo: expected at least 0, got -0.5
track|{"track_id":"a","title":"","artist":"","cold":"no"}|cold: expected boolean, got string
track|{"track_id":"a","title":"","artist":"","title":""}|title: a key that comes twice
embedding|{"track_id":"a","modality":"smell","vector":[1]}|modality: expected one of "playlist", "semantic", "metadata", "lyrics", "audio", got "smell"
embedding|{"track_id":"a","modality":"audio","vector":[]}|vector: expected at least 1 numbers, got 0
embedding|{"track_id":"a","modality":"audio","vector":["x"]}|vector: expected vector, got array
item|{"track_id":"a","codes":{"playlist":65536}}|codes.playlist: expected at most 65535, got 65536
item|{"track_id":"a","codes":{"smell":1}}|codes.smell: not a key that is allowed here
dialog|{"dialog_id":"a","turns":[{"role":"user","content":""},{"role":"user"}]}|turns[1].content: missing
example|{"example_id":"a","task":"dialog","segments":[],"ids":[1,2],"labels":[1]}|labels: expected as many as ids (2), got 1
example|{"example_id":"a","task":"dialog","segments":[],"ids":[-1]}|ids[0]: expected at least 0, got -1
END
}

@test "mpcheck: what no schema allows is a fault even under a key it does not know" {
    while IFS='|' read -r bytes message; do
        printf '%b' "$bytes" >a.mp
        run -65 --separate-stderr mpcheck joined a.mp
        [ "$stderr" = "mpcheck: a.mp: record 1, byte 0: $message" ] || { echo "got: $stderr" && false; }
    done <<'END'
\x82\xa8track_id\xa1a\x01\x02\n|a key that is not a string but integer
\x82\xa8track_id\xa1a\xa1\xff\x02\n|?: a key that is not UTF-8
\x82\xa8track_id\xa1a\xa5audio\xd6\x01\x00\x00\xc0\x7f\n|audio: number 1 is not finite
\x82\xa8track_id\xa1a\xa5audio\xd5\x01\x00\x00\n|audio: a vector of 2 bytes is not a whole number of float32
\x81\xa8track_id\xa1\xff\n|track_id: a string whose byte 0 is not UTF-8
\x82\xa8track_id\xa1a\xa1z\xcb\x7f\xf8\0\0\0\0\0\0\n|z: expected a finite number
\x82\xa8track_id\xa1a\xa1z\x92\x01\xa1\xff\n|z[1]: a string whose byte 0 is not UTF-8
\x82\xa8track_id\xa1a\xa1z\x81\xa1y\x81\x01\x02\n|z.y: a key that is not a string but integer
\x82\xa8track_id\xa1a\xa1z\x82\xa1y\x01\xa1y\x02\n|z.y: a key that comes twice
END
}

@test "mpcheck: --canonical refuses longer forms, float32, vectors that JSON would not bring back" {
    while IFS='|' read -r bytes message; do
        printf '\x82\xa8track_id\xa1a\xa1x%b\n' "$bytes" >a.mp
        run -0 --separate-stderr mpcheck joined a.mp
        run -65 --separate-stderr mpcheck --canonical joined a.mp
        [ "$stderr" = "mpcheck: a.mp: record 1, byte 0: $message" ] || { echo "got: $stderr" && false; }
    done <<'END'
\xcc\x05|not canonical: by way of JSON, the record's bytes from byte 14 on become others
\xd0\x05|not canonical: by way of JSON, the record's bytes from byte 14 on become others
\xd9\x01a|not canonical: by way of JSON, the record's bytes from byte 14 on become others
\xdc\x00\x01\x05|not canonical: by way of JSON, the record's bytes from byte 14 on become others
\xde\x00\x00|not canonical: by way of JSON, the record's bytes from byte 14 on become others
\xca\x3f\x80\x00\x00|not canonical: by way of JSON, the record's bytes from byte 14 on become others
\xc7\x04\x01\x00\x00\x80\x3f|not canonical: by way of JSON, the record's bytes from byte 14 on become others
\xd6\x01\x00\x00\x80\x3f|not canonical: by way of JSON, the record's bytes from byte 14 on become others
\xc4\x01a|x: JSON has no form for binary
END
    printf '\x82\xa8track_id\xa1a\xa1x\xd6\x01\x00\x00\x80\x3f\n' >a.mp
    run -0 mpcheck --canonical --vector x joined a.mp
}

@test "mpcheck: goes on behind a fault, up to --faults of them" {
    jq -nc 'range(20) | {n: .}' | mk a.mp
    run -65 --separate-stderr mpcheck track a.mp
    [ "$(grep -c 'track_id: missing' <<<"$stderr")" = 10 ]
    run -65 --separate-stderr mpcheck --faults 15 track a.mp
    [ "$(grep -c 'track_id: missing' <<<"$stderr")" = 15 ]
    run -65 --separate-stderr mpcheck --faults 99 track a.mp
    [ "$(grep -c 'track_id: missing' <<<"$stderr")" = 20 ]
}

@test "mpcheck: --rejects sets faulty records aside" {
    printf '{"track_id":"a"}{"x":1}' | mk a.mp
    run -0 --separate-stderr mpcheck --rejects r.mp joined a.mp
    [[ "$stderr" == "mpcheck: in=2 out=0 rejected=1 seconds="* ]]
    [ "$(mp2json r.mp)" = '{"reason":"track_id: missing","file":"a.mp","record":2,"byte":13,"value":{"x":1}}' ]
    run -0 mpcheck --canonical reject r.mp
}

@test "mpcheck: an unknown type, a missing one and a bad schema are named" {
    run -64 --separate-stderr mpcheck smell
    [ "$stderr" = "mpcheck: no schema for records of type 'smell'; --schemas DIR says where they are" ]
    run -64 --separate-stderr mpcheck ../schemas/track
    run -64 --separate-stderr mpcheck
    [[ "$stderr" == "mpcheck: TYPE is missing; usage: mpcheck [options] TYPE [FILE...]"* ]]
    echo '{"type": "object", "properties": {"a": {"pattern": "x"}}}' >bad.schema.json
    run -65 --separate-stderr mpcheck --schemas . bad /dev/null
    [ "$stderr" = "mpcheck: ./bad.schema.json: properties: a: pattern: not a keyword that is understood here" ]
    echo '{"properties": {"a": {"const": 7}}}' >seven.schema.json
    printf '{"a":7}{"a":7.0}' | mk a.mp
    run -65 --separate-stderr mpcheck --schemas . seven a.mp
    [ "$stderr" = "mpcheck: a.mp: record 2, byte 5: a: not the constant that it must be" ]
    echo '{"type": "thing"}' >bad.schema.json
    run -65 --separate-stderr env TALKPLAY_SCHEMAS=. mpcheck bad /dev/null
    [ "$stderr" = "mpcheck: ./bad.schema.json: type: expected the name of a type" ]
}

@test "mpcheck: an empty stream is fine, a cut-off record is not" {
    run -0 mpcheck track /dev/null
    printf '\x81\xa1' >a.mp
    run -65 --separate-stderr mpcheck track a.mp
    [ "$stderr" = "mpcheck: a.mp: record 1, byte 0: the record is cut off after 2 bytes" ]
}

@test "mpcheck: rejects stay readable whatever was rejected: NaN, text that is no UTF-8, nesting of 32" {
    printf '\x81\xa1a\xca\x7f\xc0\x00\x00\n\x81\xa1a\xa1\xff\n\x81\xa1a' >a.mp
    head -c 31 /dev/zero | tr '\0' '\221' >>a.mp
    printf '\x01\n' >>a.mp
    run -0 mpcheck --rejects r.mp track a.mp
    [ "$(mp2json r.mp | jq -c '[.record, .value]' | tr '\n' ' ')" = '[1,null] [2,null] [3,null] ' ]
    run -0 mpcheck --canonical reject r.mp
    printf '{"a":"\xff"}' >"$(printf 'b\xff')"
    run -0 json2mp --rejects r.mp -o b.mp "$(printf 'b\xff')"
    [ "$(mp2json r.mp | jq -c '[.reason, .file, .value]')" = '["not JSON: byte 6 is not UTF-8","b�","{\"a\":\"�\"}"]' ]
}
