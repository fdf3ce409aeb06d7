#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Expected scores were computed in Python from the formula of lib/eval/bm25.c over re.findall(r"\w+", text.lower()):
# words of a document 8, 8, 5, 5; k1 1.2, b 0.75 unless told.
load helper

catalogue() {
    mk tracks.mp <<'JSON'
{"track_id":"t1","title":"Blue Moon","artist":["Billie Holiday"],"album":"Lady Sings","tags":["jazz","ballad"]}
{"track_id":"t2","title":"Blue Monday","artist":"New Order","album":"Power Corruption","tags":["synth","pop"]}
{"track_id":"t3","title":"Moon River","artist":["Audrey","Hepburn"],"album":"Breakfast"}
{"track_id":"t4","title":"Blue Blue Blue","artist":"Blue Band","album":"","lyrics":"moon"}
JSON
}

prompts() {
    mk prompts.mp <<'JSON'
{"query_id":"d:2","turn":2,"relevant":["t3"],"history":[{"role":"user","content":"Hi, jazz please"},{"role":"music","content":"t4"},{"role":"user","content":"play BLUE moon"}]}
JSON
}

# scores JSON: the track ids in order, and their scores near these ones.
scores() {
    jq -es --argjson want "$1" '
        length == 1 and ([.[0].tracks[].track_id] == [$want[][0]])
        and all([[.[0].tracks[].score], [$want[][1]]] | transpose[]; (.[0] - .[1]) * (.[0] - .[1]) < 1e-24)'
}

@test "bm25: scores of the last request are those computed by hand, history left out" {
    catalogue && prompts
    bm25 --tracks tracks.mp prompts.mp -o out.mp
    mp2json out.mp >out.json
    scores '[["t1",0.9592623885195584],["t3",0.7654057669503643],["t2",0.32590745676190885]]' <out.json
    jq -es '.[0] | .query_id == "d:2" and .turn == 2 and .relevant == ["t3"]' out.json
}

@test "bm25: --keep-history ranks what was played, --top cuts" {
    catalogue && prompts
    bm25 --tracks tracks.mp --keep-history --top 3 prompts.mp | mp2json >out.json
    scores '[["t1",0.9592623885195584],["t3",0.7654057669503643],["t4",0.6287151554174266]]' <out.json
}

@test "bm25: --history all asks with every request" {
    catalogue && prompts
    bm25 --tracks tracks.mp --history all --top 1 prompts.mp | mp2json >out.json
    scores '[["t1",2.0593781138780813]]' <out.json
}

@test "bm25: --k1 and --b are the formula's" {
    catalogue && prompts
    bm25 --tracks tracks.mp --k1 2 --b 0 prompts.mp | mp2json >out.json
    scores '[["t1",1.0498221244986776],["t3",0.6931471805599453],["t2",0.3566749439387324]]' <out.json
}

@test "bm25: words are Unicode's, in lower case, and a repeated one counts twice" {
    mk tracks.mp <<'JSON'
{"track_id":"a","title":"ÉTUDE Ünder ДОМ","artist":"x","album":""}
{"track_id":"b","title":"etude","artist":"x","album":""}
JSON
    mk prompts.mp <<'JSON'
{"query_id":"d:1","history":[{"role":"user","content":"étude!"}]}
{"query_id":"d:2","history":[{"role":"user","content":"étude étude"}]}
{"query_id":"d:3","history":[{"role":"user","content":"дом"}]}
{"query_id":"d:4","history":[{"role":"user","content":"nothing of it"}]}
{"query_id":"d:5","history":[]}
JSON
    bm25 --tracks tracks.mp prompts.mp | mp2json >out.json
    jq -es '[.[].tracks | length] == [1, 1, 1, 0, 0] and all(.[:3][]; .tracks[0].track_id == "a")
        and .[1].tracks[0].score == 2 * .[0].tracks[0].score' out.json
}

@test "bm25: equal scores go by query and seed, and the same way twice" {
    for i in $(seq 100); do
        echo "{\"track_id\":\"t$i\",\"title\":\"same\",\"artist\":\"a\",\"album\":\"\"}"
    done | mk tracks.mp
    for i in 1 2; do
        echo "{\"query_id\":\"d:$i\",\"history\":[{\"role\":\"user\",\"content\":\"same\"}]}"
    done | mk prompts.mp
    bm25 --tracks tracks.mp --top 5 prompts.mp -o a
    bm25 --tracks tracks.mp --top 5 prompts.mp -o b
    bm25 --tracks tracks.mp --top 5 --seed 2 prompts.mp -o c
    same a b
    mp2json a c | jq -es '[.[].tracks | map(.track_id)] | (unique | length) == 4 and all(.[]; length == 5)'
    # The first five of a hundred are the first five of all.
    bm25 --tracks tracks.mp --top 1000 prompts.mp | mp2json >all.json
    mp2json a | jq -es --slurpfile all all.json '.[0].tracks == $all[0].tracks[:5] and ($all[0].tracks | length == 100)'
}

@test "bm25: an empty stream gives an empty stream" {
    catalogue
    : | bm25 --tracks tracks.mp >out.mp
    [ ! -s out.mp ]
}

@test "bm25: a cut-off record, a wrong type and text that is not UTF-8 are data errors with their place" {
    catalogue && prompts
    head -c 40 prompts.mp >cut.mp
    run -65 --separate-stderr bm25 --tracks tracks.mp cut.mp -o out.mp
    [[ $stderr == "bm25: cut.mp: record 1, byte "* ]]
    [ ! -e out.mp ]
    echo '{"query_id":"d:1","history":[{"role":"user","content":7}]}' | mk bad.mp
    run -65 --separate-stderr bm25 --tracks tracks.mp bad.mp -o out.mp
    [[ $stderr == *"history: entry 1: content: expected string"* ]]
    echo '{"query_id":"d:1","history":[{"role":"user","content":"ab"}]}' | json2mp | sed 's/\xa2ab/\xa2a\xff/' >bad.mp
    run -65 --separate-stderr bm25 --tracks tracks.mp bad.mp -o out.mp
    [[ $stderr == *"expected text in UTF-8"* ]]
    cat tracks.mp tracks.mp >twice.mp
    run -65 --separate-stderr bm25 --tracks twice.mp prompts.mp -o out.mp
    [[ $stderr == *"track_id: t1 comes twice"* ]]
}

@test "bm25: bad prompts are set aside with --rejects" {
    catalogue && prompts
    { cat prompts.mp; echo '{"query_id":"d:3"}' | json2mp; } >two.mp
    bm25 --tracks tracks.mp --rejects bad.mp two.mp -o out.mp
    mp2json bad.mp | jq -es 'length == 1 and .[0].reason == "history: missing" and .[0].record == 2'
    [ "$(mp2json out.mp | wc -l)" -eq 1 ]
}

@test "bm25: usage, missing files, a full disk and a closed pipe have their status" {
    catalogue && prompts
    run -64 --separate-stderr bm25 prompts.mp
    run -64 --separate-stderr bm25 --tracks tracks.mp --b 2 prompts.mp -o out.mp
    run -66 --separate-stderr bm25 --tracks none.mp prompts.mp -o out.mp
    run -74 --separate-stderr bash -c 'bm25 --tracks tracks.mp prompts.mp >/dev/full'
    times 4000 prompts.mp >many.mp
    run -141 --separate-stderr bash -c 'set -o pipefail; bm25 --tracks tracks.mp many.mp | head -c 10 >/dev/null'
    [ -z "$stderr" ]
}
