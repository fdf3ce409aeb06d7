#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Expected orders follow by hand from the weights 25, 16, 9, 4, 1; tests/unit/test_match.c has the plain reference.
load helper

items() {
    mk items.mp <<'JSON'
{"track_id":"exact","codes":{"playlist":1,"semantic":2,"metadata":3}}
{"track_id":"more","codes":{"playlist":1,"semantic":2,"metadata":3,"audio":4}}
{"track_id":"sm","codes":{"playlist":9,"semantic":2,"metadata":3}}
{"track_id":"p","codes":{"playlist":1,"semantic":9,"metadata":9}}
{"track_id":"ps","codes":{"playlist":1,"semantic":2}}
{"track_id":"none","codes":{"playlist":7,"semantic":7,"metadata":7}}
JSON
}

ask() {
    mk gen.mp <<'JSON'
{"query_id":"d:1","turn":1,"relevant":["p"],"note":"stays","candidates":[{"codes":{"playlist":1,"semantic":2,"metadata":3},"logprob":-1}],"response":"Here","response_ids":[1]}
JSON
}

order() {
    mp2json "$1" | jq -c '[.tracks[].track_id]'
}

@test "match: exact first, then the sums, the playlist token first of 25 = 16 + 9, then the rest" {
    items && ask
    match --items items.mp -o out.mp gen.mp
    [ "$(order out.mp)" = '["exact","more","ps","p","sm","none"]' ]
    # 100, then 50, 41, 25, 25, 0; the fractions are 6/7 … 1/7
    mp2json out.mp | jq -es '[.[0].tracks[].score | floor] == [100, 50, 41, 25, 25, 0]
        and (.[0].tracks | [.[:-1], .[1:]] | transpose | all(.[]; .[0].score > .[1].score))'
}

@test "match: keys of the record stay, the answer's go" {
    items && ask
    match --items items.mp --top 1 gen.mp | mp2json >out.json
    jq -es '.[0] | keys_unsorted == ["query_id", "turn", "relevant", "note", "tracks"]' out.json
}

@test "match: tracks of the history are dropped unless --keep-history" {
    items
    mk gen.mp <<'JSON'
{"query_id":"d:2","turn":2,"relevant":[],"history":[{"role":"user","content":"ps"},{"role":"music","content":"exact"},{"role":"music","content":"unknown"}],"candidates":[{"codes":{"playlist":1,"semantic":2,"metadata":3},"logprob":-1}]}
JSON
    match --items items.mp --top 2 -o out.mp gen.mp
    [ "$(order out.mp)" = '["more","ps"]' ]
    match --items items.mp --top 2 --keep-history -o out.mp gen.mp
    [ "$(order out.mp)" = '["exact","more"]' ]
}

@test "match: of several candidates exact ones go by place, others by sum, then by probability" {
    mk items.mp <<'JSON'
{"track_id":"x","codes":{"semantic":1}}
{"track_id":"y","codes":{"semantic":2}}
{"track_id":"u","codes":{"semantic":1,"metadata":8}}
{"track_id":"v","codes":{"semantic":2,"metadata":8}}
JSON
    mk gen.mp <<'JSON'
{"query_id":"d:1","turn":1,"relevant":[],"candidates":[{"codes":{"semantic":1},"logprob":-5},{"codes":{"semantic":2},"logprob":-1}]}
JSON
    match --items items.mp -o out.mp gen.mp
    [ "$(order out.mp)" = '["x","y","v","u"]' ]
}

@test "match: a tie is drawn by seed, query and track, not by the catalogue's order" {
    for i in 0 1 2 3 4 5 6 7 8 9; do echo "{\"track_id\":\"t$i\",\"codes\":{\"audio\":1}}"; done >items.json
    mk items.mp <items.json
    tac items.json | mk back.mp
    for q in a b; do echo "{\"query_id\":\"$q:1\",\"candidates\":[{\"codes\":{\"audio\":1},\"logprob\":0}]}"; done | mk gen.mp
    match --items items.mp -o one.mp gen.mp
    match --items back.mp -o two.mp gen.mp
    same one.mp two.mp
    order one.mp | uniq | wc -l | grep -qx 2
    match --items items.mp --seed 2 -o three.mp gen.mp
    run -1 cmp -s one.mp three.mp
}

@test "match: a candidate without codes is malformed and recommends nothing" {
    items
    mk gen.mp <<'JSON'
{"query_id":"d:1","candidates":[{"codes":{},"logprob":-1},{"logprob":-1}]}
{"query_id":"d:2","candidates":[]}
JSON
    run -0 --separate-stderr match --items items.mp -o out.mp gen.mp
    [[ $stderr == *"in=2 out=2 rejected=0 exact=0 malformed=2 "* ]]
    mp2json out.mp | jq -es 'length == 2 and all(.[]; .tracks == [])'
}

@test "match: a bad candidate or history is 65 with its place, or is set aside" {
    items && ask
    mk bad.mp <<<'{"query_id":"d:1","candidates":[{"codes":{"playlist":1}},{"codes":{"smell":1}}]}'
    run -65 --separate-stderr match --items items.mp bad.mp
    [[ $stderr == *'bad.mp: record 1, byte 0: candidates: 2: codes: expected playlist, semantic, metadata, lyrics or audio, got "smell"' ]]
    match --items items.mp --rejects rej.mp -o out.mp bad.mp gen.mp
    mp2json rej.mp | jq -es 'length == 1 and .[0].value.query_id == "d:1"'
    mk bad.mp <<<'{"query_id":"d:1","candidates":[{"codes":{"playlist":65536}}]}'
    run -65 match --items items.mp bad.mp
    mk bad.mp <<<'{"query_id":"d:1","candidates":[],"history":[{"role":"music","content":5}]}'
    run -65 --separate-stderr match --items items.mp bad.mp
    [[ $stderr == *"history: 1: content: expected string, got integer" ]]
}

@test "match: empty stream, cut-off record, a track twice in the catalogue" {
    items && ask
    : >empty
    match --items items.mp -o out.mp empty
    [ -f out.mp ] && [ ! -s out.mp ]
    match --items empty -o out.mp gen.mp
    mp2json out.mp | jq -es 'length == 1 and .[0].tracks == []'
    head -c 30 gen.mp >cut.mp
    run -65 --separate-stderr match --items items.mp cut.mp
    [[ $stderr == *"cut off"* ]]
    cat items.mp items.mp >twice.mp
    run -65 --separate-stderr match --items twice.mp gen.mp
    [[ $stderr == *'twice.mp: record 7, '*'track_id: "exact" comes twice' ]]
    run -64 match gen.mp
}

@test "match: the same bytes twice; a full disk is 74; a closed pipe ends quietly" {
    items && ask
    match --items items.mp -o a.mp gen.mp
    match --items items.mp - <gen.mp | cmp - a.mp
    run -74 bash -c 'match --items items.mp gen.mp >/dev/full'
    run -141 unread match --items items.mp gen.mp
}

@test "match: --exact ranks exact matches alone, by the candidate's probability over the tracks that share it" {
    for t in a:1:2 b:1:2 c:1:2 d:1:3 e:2:2 f:2:2; do
        IFS=: read -r id p m <<<"$t"
        echo "{\"track_id\":\"$id\",\"codes\":{\"playlist\":$p,\"metadata\":$m}}"
    done | mk items.mp
    {
        echo '{"track_id":"g","codes":{"playlist":1}}'
        echo '{"track_id":"h","codes":{"playlist":9,"metadata":9}}'
    } | json2mp >>items.mp 2>/dev/null
    # a, b, c share .6 and come behind d with .25; a prefix of their codes is a tuple of its own; the second of two equal
    # candidates counts for nothing; codes that no track has, or that none has together, find nothing.
    echo '{"query_id":"q:1","candidates":[
        {"codes":{"playlist":1,"metadata":2},"logprob":-0.5108256237659907},
        {"codes":{"playlist":1,"metadata":3},"logprob":-1.3862943611198906},
        {"codes":{"playlist":2,"metadata":2},"logprob":-9.0},
        {"codes":{"playlist":1,"metadata":2},"logprob":-2.0},
        {"codes":{"playlist":2,"metadata":3},"logprob":-0.1},
        {"codes":{"playlist":77},"logprob":-0.1},
        {"codes":{"playlist":1},"logprob":-5.0},{"codes":{},"logprob":-0.1}]}' | tr -d '\n' | mk in.mp
    match --exact --items items.mp -o out.mp in.mp
    mpcheck ranking out.mp
    mp2json out.mp | jq -e '(.tracks | map(.track_id)) as $t | $t[0] == "d" and ($t[1:4] | sort) == ["a", "b", "c"]
        and $t[4] == "g" and ($t[5:] | sort) == ["e", "f"]
        and (.tracks | map(.score | exp * 1e6 | round)) == [250000, 200000, 200000, 200000, 6738, 62, 62]'
    match --exact --top 3 --items items.mp in.mp | mp2json >top.json
    mp2json out.mp | jq -e --slurpfile top top.json '.tracks[:3] == $top[0].tracks'
    # Tracks of the history are left out, and count among those that share.
    mp2json in.mp | jq -c '.history = [{role: "music", content: "b"}, {role: "music", content: "b"}]' | mk heard.mp
    match --exact --items items.mp heard.mp | mp2json | jq -e '(.tracks | length) == 6 and (.tracks[1].score | exp * 10 | round) == 2'
    match --exact --keep-history --items items.mp heard.mp | mp2json | jq -e '.tracks | length == 7'
    echo '{"query_id":"q:2","candidates":[{"codes":{"playlist":77}}]}' | mk none.mp
    match --exact --items items.mp none.mp | mp2json | jq -e '.tracks == []'
}
