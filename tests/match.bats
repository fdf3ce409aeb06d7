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

@test "match: --index is written from items, read instead of them, and ranks as they do" {
    items && ask
    match --items items.mp -o want.mp gen.mp
    match --items items.mp --index items.index -o out.mp gen.mp
    same out.mp want.mp
    match --index items.index -o out.mp gen.mp
    same out.mp want.mp
    match --exact --index items.index gen.mp | mp2json | jq -e '[.tracks[].track_id] == ["exact"]'
    # the index of a catalogue in another order is the same but for tracks of one tuple, which keep the order
    { mp2json items.mp | tac | mk back.mp; } && match --items back.mp --index back.index -o /dev/null /dev/null
    same items.index back.index
    : >none.mp
    match --items none.mp --index none.index -o /dev/null /dev/null
    match --index none.index gen.mp | mp2json | jq -e '.tracks == []'
    run -64 --separate-stderr match gen.mp
    [ "$stderr" = "match: --items or --index must be given" ]
    run -73 match --items items.mp --index no/such/folder gen.mp
    run -66 match --index no.index gen.mp
}

# forge OFFSET BYTES: the index with other bytes there, and the hash that then is right.
forge() {
    cp items.index forged.index
    printf '%b' "$2" | dd of=forged.index bs=1 seek="$1" conv=notrunc status=none
    python3 - <<'PYTHON'
import struct
M, P = (1 << 64) - 1, (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
rot = lambda x, k: (x << k | x >> 64 - k) & M
one = lambda a, x: rot((a + x * P[1]) & M, 31) * P[0] & M
d = open("forged.index", "rb").read()
b, i = d[32:], 0
if len(b) >= 32:
    v = [(P[0] + P[1]) & M, P[1], 0, -P[0] & M]
    while len(b) - i >= 32:
        v = [one(v[k], struct.unpack_from("<Q", b, i + 8 * k)[0]) for k in range(4)]
        i += 32
    h = (rot(v[0], 1) + rot(v[1], 7) + rot(v[2], 12) + rot(v[3], 18)) & M
    for x in v:
        h = ((h ^ one(0, x)) * P[0] + P[3]) & M
else:
    h = P[4]
h = (h + len(b)) & M
while len(b) - i >= 8:
    h = (rot(h ^ one(0, struct.unpack_from("<Q", b, i)[0]), 27) * P[0] + P[3]) & M
    i += 8
if len(b) - i >= 4:
    h = (rot(h ^ struct.unpack_from("<I", b, i)[0] * P[0] & M, 23) * P[1] + P[2]) & M
    i += 4
for c in b[i:]:
    h = rot(h ^ c * P[4] & M, 11) * P[0] & M
h = (h ^ h >> 33) * P[1] & M
h = (h ^ h >> 29) * P[2] & M
open("forged.index", "wb").write(d[:24] + struct.pack("<Q", h ^ h >> 32) + b)
PYTHON
}

@test "match: an index that is no index, damaged, cut off or forged is 65 and says what is wrong" {
    items && ask
    match --items items.mp --index items.index -o /dev/null /dev/null
    says() {
        run -65 --separate-stderr match --index "$1" gen.mp
        echo "$stderr"
        [[ $stderr == "match: $1: "*"$2"* ]]
    }
    says items.mp "not an index that match has written"
    says gen.mp "not an index that match has written"
    head -c 20 items.index >cut.index
    says cut.index "not an index that match has written"
    head -c -1 items.index >cut.index
    says cut.index "byte 8: expected as many bytes as 6 tracks with 18 bytes of ids have, got 107"
    { head -c 8 items.index; printf '\377\377\377\377\377\377\377\377'; tail -c +17 items.index; } >huge.index
    says huge.index "byte 8: expected as many bytes"
    { head -c 40 items.index; printf '\377'; tail -c +42 items.index; } >damaged.index
    says damaged.index "byte 24: the hash is not that of the rest: the file is damaged"
    forge 32 '\003' # another code: fine
    match --index forged.index -o /dev/null gen.mp
    forge 92 '\000'
    says forged.index "track 1: expected some of 5 modalities, got bits 0x00"
    forge 93 '\040'
    says forged.index "track 2: expected some of 5 modalities, got bits 0x20"
    forge 98 '\000'
    says forged.index "track 1: expected an id of 1 to 18 bytes, got 0"
    forge 98 '\377\377\377\377'
    says forged.index "track 1: expected an id of 1 to 18 bytes, got 4294967295"
    forge 118 '\001'
    says forged.index "the ids have 18 bytes, of which their sizes name 17"
    forge 138 'ps'
    says forged.index ' comes twice'
}
