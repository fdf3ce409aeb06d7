#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Expected figures: by hand for the small cases; the larger one was computed in Python from trec_eval's definitions
# (recip_rank, success_k, ndcg_cut_k with -c) over the run and qrels that --trec writes, as trec_eval reads them.
load helper

# Turns x:1 (relevant b, c; b warm, c cold), x:2 (a, cold), y:z:1 (d, warm), y:z:2 (nothing relevant), w:1 (e, in no catalogue).
truth() {
    mk prompts.mp <<'JSON'
{"query_id":"x:1","turn":1,"relevant":["b","c","b"]}
{"query_id":"x:2","turn":2,"relevant":["a"]}
{"query_id":"y:z:1","turn":1,"relevant":["d"]}
{"query_id":"y:z:2","turn":2,"relevant":[]}
{"query_id":"w:1","turn":1,"relevant":["e"]}
JSON
    for t in a b c d f; do echo "{\"track_id\":\"$t\",\"cold\":$([[ $t == [ac] ]] && echo true || echo false)}"; done |
        sed 's/,"cold":false}/}/' | mk tracks.mp
}

# ranking QUERY TRACK...: scores tie, the order counts.
ranking() {
    local q=$1
    shift
    jq -nc --arg q "$q" '{query_id: $q, turn: 1, relevant: [], tracks: ($ARGS.positional | map({track_id: ., score: 1}))}' \
        --args "$@" | json2mp 2>/dev/null
}

# has JQ: the condition holds for m, the object of "system metric" -> record without turn.
has() {
    mp2json out.mp | jq -es "map(select(.turn == null) | {key: \"\(.system) \(.metric)\", value: .}) | from_entries as \$m
        | def near(\$x): (. - \$x) | . * . < 1e-20; length > 0 and ($1)"
}

@test "score: means over turns and over conversations, all, warm and cold, are those made by hand" {
    truth
    { ranking x:1 f c b; ranking y:z:1 d; ranking y:z:2 d; } >a.mp
    run --separate-stderr -0 score --truth prompts.mp --tracks tracks.mp --ranking s=a.mp -o out.mp
    [[ $stderr == *"s: 2 turns without a ranking count 0"* ]]
    # x:1 1/2, x:2 0, y:z:1 1, w:1 0; conversations x 1/4, y:z 1, w 0.
    has '$m["s mrr"] | (.value | near(0.375)) and .n == 4'
    has '$m["s mrr.conversations"] | (.value | near(5 / 12)) and .n == 3'
    has '$m["s hit_1"].value | near(0.25)'
    has '$m["s hit_10"].value | near(0.5)'
    # Warm: x:1 has b at rank 3, y:z:1 d at 1. Cold: x:1 has c at 2, x:2 nothing.
    has '$m["s mrr.warm"] | (.value | near(2 / 3)) and .n == 2'
    has '$m["s mrr.cold"] | (.value | near(0.25)) and .n == 2'
    has '$m["s mrr.cold.conversations"] | (.value | near(0.25)) and .n == 1'
    # (1/log2(3) + 1/log2(4)) / (1/log2(2) + 1/log2(3)) at x:1, 1 at y:z:1.
    has '$m["s ndcg_10"].value | near((1 + (1 / (3 | log2) + 0.5) / (1 + 1 / (3 | log2))) / 4)'
    mp2json out.mp | jq -es 'map(select(.turn != null and .metric == "mrr") | [.turn, .value, .n]) == [[1, 0.5, 3], [2, 0, 1]]'
}

@test "score: Hit@K is cut at exactly K and nDCG at its own" {
    mk prompts.mp <<'JSON'
{"query_id":"p:1","relevant":["r"]}
{"query_id":"q:1","relevant":["r"]}
{"query_id":"s:1","relevant":["r"]}
JSON
    {
        ranking p:1 $(seq 9) r
        ranking q:1 $(seq 10) r
        ranking s:1 $(seq 100) r
    } >a.mp
    score --truth prompts.mp --ranking s=a.mp -o out.mp
    has '($m["s hit_1"].value == 0) and ($m["s hit_10"].value | near(1 / 3)) and ($m["s hit_100"].value | near(2 / 3))'
    has '($m["s ndcg_10"].value | near(1 / (11 | log2) / 3)) and ($m["s mrr"].value | near((1/10 + 1/11 + 1/101) / 3))'
    has '$m["s ndcg_20"].value | near((1 / (11 | log2) + 1 / (12 | log2)) / 3)'
    has '$m["s mrr.warm"] == null'
}

@test "score: run and qrels fall strictly, and their figures are trec_eval's" {
    # Forty turns of eight conversations, rankings of 12 of 40 tracks by a rule; Python's figures of the files below.
    jq -nc 'range(40) as $q | {query_id: "c\($q % 8):\($q)", turn: ($q % 5 + 1),
        relevant: [range(1 + $q % 3) | "t\((. * 11 + $q * 7) % 40)"]}' | mk prompts.mp
    jq -nc 'range(40) as $q | {query_id: "c\($q % 8):\($q)", turn: 1, relevant: [],
        tracks: [range(12) | {track_id: "t\((. * 3 + $q * $q) % 40)", score: 1}]}' | mk a.mp
    score --truth prompts.mp --ranking s=a.mp --trec trec -o out.mp
    sort -k1,1 -k5,5nr -s trec/run.s | awk '$1 == q && $5 >= s {exit 1} {q = $1; s = $5}'
    [ "$(wc -l <trec/run.s)" -eq 480 ]
    awk 'NF != 4 || $2 != 0 || $4 != 1 {exit 1}' trec/qrels
    has '($m["s mrr"].value | near(0.20150072150072149)) and ($m["s hit_1"].value | near(0.1)) and ($m["s hit_10"].value | near(0.525))'
    has '($m["s ndcg_10"].value | near(0.17740643954545934)) and ($m["s ndcg_20"].value | near(0.2025450679859481)) and $m["s mrr"].n == 40'
}

@test "score: an interval over two conversations is the hand-made one, and the pair's is paired" {
    mk prompts.mp <<'JSON'
{"query_id":"p:1","turn":1,"relevant":["r"]}
{"query_id":"q:1","turn":1,"relevant":["r"]}
JSON
    { ranking p:1 r; ranking q:1 x; } >a.mp
    { ranking p:1 x r; ranking q:1 x; } >b.mp
    score --truth prompts.mp --ranking a=a.mp --ranking b=b.mp --ranking c=a.mp -o out.mp
    # Means of two draws out of {1, 0}: 0, 1/2 or 1 with 1/4, 1/2, 1/4.
    has '$m["a mrr"] == {system: "a", metric: "mrr", value: 0.5, low: 0, high: 1, n: 2}'
    has '$m["b mrr"] | .value == 0.25 and .low == 0 and .high == 0.5'
    has '$m["a - b mrr"] | .value == 0.25 and .low == 0 and .high == 0.5'
    # The same rankings: every resample differs by 0.
    has '$m["a - c mrr"] | .value == 0 and .low == 0 and .high == 0'
}

@test "score: same bytes twice; another seed or number of samples moves intervals and no value" {
    truth
    { ranking x:1 f c b; ranking y:z:1 d; } >a.mp
    score --truth prompts.mp --ranking s=a.mp -o 1.mp
    score --truth prompts.mp --ranking s=a.mp -o 2.mp
    same 1.mp 2.mp
    jq -nc 'range(1; 31) | {query_id: "d\(.):1", turn: 1, relevant: ["r"]}' | mk prompts.mp
    jq -nc 'range(1; 31) | {query_id: "d\(.):1", turn: 1, relevant: [],
        tracks: [(range(2; . % 7 + 2) | tostring), "r" | {track_id: ., score: 1}]}' | mk a.mp
    score --truth prompts.mp --ranking s=a.mp --samples 50 -o 1.mp
    score --truth prompts.mp --ranking s=a.mp --samples 50 --seed 2 -o 2.mp
    mp2json 1.mp 2.mp | jq -es 'map(select(.metric == "mrr" and .turn == null)) | length == 2
        and .[0].value == .[1].value and .[0].low != .[1].low and all(.[]; .low < .value and .value < .high)'
}

@test "score: a track twice in a ranking, a query twice or unknown, are data errors with their place" {
    truth
    ranking x:1 a b a >a.mp
    run -65 --separate-stderr score --truth prompts.mp --ranking s=a.mp -o out.mp
    [[ $stderr == *"a.mp: record 1, byte 0: tracks: a comes twice"* ]]
    { ranking x:1 a; ranking x:1 b; } >a.mp
    run -65 --separate-stderr score --truth prompts.mp --ranking s=a.mp -o out.mp
    [[ $stderr == *"a.mp: record 2, "*"query_id: x:1 comes twice"* ]]
    ranking x:9 a >a.mp
    run -65 --separate-stderr score --truth prompts.mp --ranking s=a.mp -o out.mp
    [[ $stderr == *"query_id: x:9 is not among the prompts"* ]]
    ranking x:1 a >a.mp
    cat prompts.mp prompts.mp >twice.mp
    run -65 --separate-stderr score --truth twice.mp --ranking s=a.mp -o out.mp
    [[ $stderr == *"record 6, "*"query_id: x:1 comes twice"* ]]
    echo '{"query_id":"x1","relevant":["a"]}' | mk bad.mp
    run -65 --separate-stderr score --truth bad.mp --ranking s=a.mp -o out.mp
    [[ $stderr == *"expected DIALOG:TURN, got x1"* ]]
    [ ! -e out.mp ]
}

@test "score: nothing relevant anywhere, empty prompts and cut-off streams are data errors" {
    truth
    : >empty.mp
    ranking x:1 a >a.mp
    run -65 --separate-stderr score --truth empty.mp --ranking s=empty.mp -o out.mp
    [[ $stderr == *"no prompt has a relevant track"* ]]
    head -c 20 a.mp >cut.mp
    run -65 --separate-stderr score --truth prompts.mp --ranking s=cut.mp -o out.mp
    [[ $stderr == "score: cut.mp: record 1, byte "* ]]
    run -65 --separate-stderr score --truth cut.mp --ranking s=a.mp -o out.mp
    [ ! -e out.mp ]
    # An empty ranking stream is a system that ranks nothing.
    score --truth prompts.mp --ranking s=empty.mp -o out.mp
    has '$m["s hit_100"] | .value == 0 and .high == 0 and .n == 4'
}

@test "score: --trained refuses conversations that were trained on, whatever colons their id has" {
    truth
    ranking x:1 a >a.mp
    printf 'v\ny:z\n' >ids
    run -65 --separate-stderr score --truth prompts.mp --trained ids --ranking s=a.mp -o out.mp
    [[ $stderr == *"ids: line 2: conversation y:z was trained on"* ]]
    printf 'y\nx:1\nxx' >ids
    score --truth prompts.mp --trained ids --ranking s=a.mp -o out.mp
    for ids in 'v\nx' 'v\r\nx\r\n'; do
        # shellcheck disable=SC2059 # with escapes
        printf "$ids" >ids
        run -65 --separate-stderr score --truth prompts.mp --trained ids --ranking s=a.mp
    done
}

@test "score: samples are malformed, exact or partial, with shares and counts, warm and cold by their own" {
    truth
    mk items.mp <<'JSON'
{"track_id":"a","codes":{"playlist":1,"semantic":2}}
{"track_id":"b","codes":{"playlist":1,"semantic":2}}
{"track_id":"c","codes":{"semantic":2}}
JSON
    mk g.mp <<'JSON'
{"query_id":"x:1","candidates":[{"codes":{"semantic":2,"playlist":1},"logprob":-1},{"codes":{"semantic":2},"logprob":-1},{"malformed":true,"codes":{},"logprob":-1}]}
{"query_id":"x:2","candidates":[{"codes":{"playlist":1},"logprob":-1}]}
{"query_id":"y:z:1","candidates":[{"codes":{"playlist":2,"semantic":2},"malformed":false,"logprob":-1}]}
{"query_id":"y:z:2","candidates":[{"codes":{"semantic":2},"logprob":-1}]}
JSON
    score --truth prompts.mp --tracks tracks.mp --items items.mp --generation u=g.mp -o out.mp
    has '$m["u match_malformed"] | (.value | near(1 / 5)) and .n == 5 and .count == 1'
    has '$m["u match_exact"] | (.value | near(2 / 5)) and .n == 5 and .count == 2 and .low <= .value and .value <= .high'
    has '$m["u match_partial"] | (.value | near(2 / 5)) and .n == 5 and .count == 2'
    has '$m["u match_exact.warm"] | (.value | near(1 / 2)) and .n == 4 and .count == 2'
    has '$m["u match_partial.cold"] | (.value | near(1 / 4)) and .n == 4 and .count == 1'
}

@test "score: usage, missing files, blanks in ids and full disks have their status" {
    truth
    ranking x:1 a >a.mp
    run -64 --separate-stderr score --truth prompts.mp -o out.mp
    [[ $stderr == *"nothing to judge"* ]]
    run -64 --separate-stderr score --ranking s=a.mp -o out.mp
    run -64 --separate-stderr score --truth prompts.mp --ranking "s - t=a.mp" -o out.mp
    run -64 --separate-stderr score --truth prompts.mp --ranking s=a.mp --ranking s=a.mp -o out.mp
    [[ $stderr == *"s is given twice"* ]]
    run -64 --separate-stderr score --truth prompts.mp --generation s=a.mp -o out.mp
    run -64 --separate-stderr score --truth prompts.mp --ranking s=a.mp a.mp -o out.mp
    [[ $stderr == *"unexpected operand a.mp"* ]]
    run -66 --separate-stderr score --truth prompts.mp --ranking s=none.mp -o out.mp
    [ ! -e out.mp ]
    run -74 --separate-stderr bash -c 'score --truth prompts.mp --ranking s=a.mp >/dev/full'
    run -73 --separate-stderr score --truth prompts.mp --ranking s=a.mp --trec none/trec -o out.mp
    ranking x:1 'a b' >a.mp
    score --truth prompts.mp --ranking s=a.mp -o out.mp
    run -65 --separate-stderr score --truth prompts.mp --ranking s=a.mp --trec trec -o out.mp
    [[ $stderr == *"a blank in an id"* ]]
    [ ! -e trec/run.s ]
    run -141 --separate-stderr unread score --truth prompts.mp --ranking s=a.mp
}

@test "score: --help explains every measure of the table" {
    run -0 --separate-stderr score --help
    for m in mrr hit_1 hit_10 hit_100 ndcg_10 ndcg_20; do
        grep -qE "^ +$m +[A-Za-z0-9].{20}" <<<"$output"
    done
}
