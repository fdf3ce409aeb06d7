#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Expected counts were made by hand.
load helper

fixture() {
    for t in a b c d; do echo "{\"track_id\":\"$t\",\"title\":\"$t\",\"artist\":\"x\",\"album\":\"\"}"; done | mk tracks.mp
    mk playlists.mp <<'JSON'
{"playlist_id":"p1","tracks":["b","b","b","c"],"split":"train"}
{"playlist_id":"p2","tracks":["c","unknown"]}
{"playlist_id":"p3","tracks":["a","a"],"split":"valid"}
{"playlist_id":"p4","tracks":["a"],"split":"test"}
{"playlist_id":"p5","tracks":["d","c"],"split":"train"}
JSON
    mk prompts.mp <<'JSON'
{"query_id":"q:1","turn":1,"relevant":["d"],"history":[{"role":"user","content":"hi"}]}
{"query_id":"q:2","turn":2,"relevant":["a"],"history":[{"role":"user","content":"hi"},{"role":"music","content":"c"},{"role":"user","content":"more"}]}
JSON
}

@test "prior: popularity counts training playlists, each once, and drops what was played" {
    fixture
    prior --tracks tracks.mp --playlists playlists.mp prompts.mp | mp2json >out.json
    jq -es '(.[0].tracks | map([.track_id, .score]) | .[0] == ["c", 3] and (.[1:3] | sort) == [["b", 1], ["d", 1]]
            and .[3] == ["a", 0] and length == 4)
        and (.[1].tracks | map(.track_id) | index("c") == null and length == 3)
        and .[0].turn == 1 and .[0].relevant == ["d"]' out.json
}

@test "prior: --keep-history and --top" {
    fixture
    prior --tracks tracks.mp --playlists playlists.mp --keep-history --top 1 prompts.mp | mp2json >out.json
    jq -es 'map(.tracks | map(.track_id)) == [["c"], ["c"]]' out.json
}

@test "prior: a random order is one of (seed, query), the same twice and whatever stands around" {
    fixture
    for i in $(seq 500); do echo "{\"track_id\":\"t$i\"}"; done | mk tracks.mp
    prior --by random --tracks tracks.mp prompts.mp -o a
    prior --by random --tracks tracks.mp prompts.mp -o b
    prior --by random --tracks tracks.mp --seed 2 prompts.mp -o c
    same a b
    mp2json prompts.mp | tail -1 | json2mp | prior --by random --tracks tracks.mp >last
    mp2json a | tail -1 | json2mp | cmp - last
    mp2json a c | jq -es '[.[].tracks | map(.track_id)] | (unique | length) == 4'
    mp2json a | jq -es 'all(.[]; (.tracks | map(.score)) as $s | $s == ($s | sort | reverse) and $s[0] < 1
        and ($s | unique | length) == 100)'
}

@test "prior: a random order is even: each of four tracks comes first about as often" {
    fixture
    for i in $(seq 4000); do echo "{\"query_id\":\"d$i:1\",\"history\":[]}"; done | mk many.mp
    # 1000 expected each; five standard deviations are 137.
    prior --by random --top 1 --tracks tracks.mp many.mp | mp2json |
        jq -es 'group_by(.tracks[0].track_id) | length == 4 and all(.[]; length > 863 and length < 1137)'
}

@test "prior: an empty stream gives an empty stream" {
    fixture
    : | prior --by random --tracks tracks.mp >out.mp
    [ ! -s out.mp ]
}

@test "prior: bad input and bad usage have their status and say what is wrong" {
    fixture
    run -64 --separate-stderr prior --tracks tracks.mp prompts.mp -o out.mp
    [[ $stderr == *"needs --playlists"* ]]
    echo '{"playlist_id":"p","tracks":"a"}' | mk bad.mp
    run -65 --separate-stderr prior --tracks tracks.mp --playlists bad.mp prompts.mp -o out.mp
    [[ $stderr == *"bad.mp: record 1, byte 0: tracks: expected array"* ]]
    head -c 30 prompts.mp >cut.mp
    run -65 --separate-stderr prior --by random --tracks tracks.mp cut.mp -o out.mp
    [[ $stderr == "prior: cut.mp: record 1, byte "* ]]
    run -65 --separate-stderr prior --by random --tracks cut.mp prompts.mp -o out.mp
    run -66 --separate-stderr prior --by random --tracks none.mp prompts.mp -o out.mp
    run -74 --separate-stderr bash -c 'prior --by random --tracks tracks.mp prompts.mp >/dev/full'
    [ ! -e out.mp ]
    times 4000 prompts.mp >many.mp
    run -141 --separate-stderr bash -c \
        'set -o pipefail; prior --by random --tracks tracks.mp many.mp | head -c 10 >/dev/null'
    [ -z "$stderr" ]
}
