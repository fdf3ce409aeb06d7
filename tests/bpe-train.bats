#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# bpe-train. Counts are by hand: "ab ab ab abc" is ab 1, _ab 2, _abc 1, so (a,b) 4, (_,a) 3, (b,c) 1.
load helper

example() {
    jq -nc --arg t "$1" --arg s "${2-train}" '{example_id: "e", task: "dialog", split: $s, segments: [{text: $t, kind: "text", train: true}]}'
}

@test "bpe-train: merges are those of the count by hand, and ids count everything" {
    example "ab ab ab abc" | mk e.mp
    run -0 --separate-stderr bpe-train --vocab 300 -o t.json e.mp
    [[ $stderr == *"265 tokens, not 300"* ]]
    jq -e '.model.merges == ["a b", "Ġ ab"]' t.json
    jq -e '(.model.vocab | length) == 258 and .model.vocab["!"] == 0 and .model.ignore_merges and
        (.added_tokens | map(.id)) == [range(258; 265)] and all(.added_tokens[]; .special)' t.json
    run -0 --separate-stderr bpe-train --vocab 264 -o t.json e.mp
    jq -e '.model.merges == ["a b"]' t.json
}

@test "bpe-train: what is held out and what stands in control tokens is not learnt" {
    { example "zz zz zz zz" test; example "ab ab"; } | mk e.mp
    run -0 --separate-stderr bpe-train --vocab 300 -o t.json e.mp
    [[ $stderr == *" held_out=1 "* ]]
    jq -e '.model.merges == ["a b"]' t.json
    jq -nc '{example_id: "e", task: "dialog", segments: [{text: "<|qq|>user<|qq|>user", kind: "control", train: false}]}' | mk e.mp
    bpe-train --vocab 300 -o t.json e.mp
    jq -e '.model.merges | index("q q") == null and length == 3' t.json
}

@test "bpe-train: --field takes strings and arrays, a dialog gives what was said" {
    jq -nc '{title: "xy xy", artist: ["xy", "xy"]}' | mk e.mp
    bpe-train --field title --field artist --vocab 300 -o t.json e.mp
    jq -e '.model.merges == ["x y"]' t.json
    jq -nc '{dialog_id: "d", turns: [{role: "user", content: "uv uv"}, {role: "music", content: "xyxyxy"}]}' | mk e.mp
    bpe-train --vocab 300 -o t.json e.mp
    jq -e '.model.merges == ["u v"]' t.json
    jq -nc '{title: 7}' | mk e.mp
    run -65 --separate-stderr bpe-train --field title e.mp
    [[ $stderr == *"title: expected string"* ]]
}

@test "bpe-train: the order of records does not matter, nor does a second run" {
    jq -nc 'range(200) | {t: "w\(. % 17) is \(. % 5) of the \(. * . % 31) words"}' | mk a.mp
    mp2json a.mp | tac | mk b.mp
    bpe-train --field t --vocab 280 -o a.json a.mp
    bpe-train --field t --vocab 280 -o b.json b.mp
    bpe-train --field t --vocab 280 -o c.json a.mp
    same a.json b.json
    same a.json c.json
    jq -e '.model.merges | length == 17' a.json
}

@test "bpe-train: an empty stream gives the bytes; a cut-off record is 65, a full disk 74, a small vocabulary 64" {
    run -0 --separate-stderr bpe-train -o t.json /dev/null
    jq -e '(.model.vocab | length) == 256 and .model.merges == []' t.json
    example "ab ab" | mk e.mp
    head -c 20 e.mp >cut.mp
    run -65 --separate-stderr bpe-train -o u.json cut.mp
    [ ! -e u.json ]
    run -74 --separate-stderr bash -c 'bpe-train e.mp >/dev/full'
    run -64 --separate-stderr bpe-train --vocab 100 e.mp
}

@test "bpe-train: nothing is learnt of a record that is set aside" {
    mk in.mp <<<'{"a":["good good"],"b":"well"}'
    { cat in.mp && mk bad.mp <<<'{"a":["bad bad bad"],"b":["worse",7]}' && cat bad.mp; } >both.mp
    bpe-train --field a --field b --vocab 270 --rejects rejects.mp -o both.json both.mp
    bpe-train --field a --field b --vocab 270 -o one.json in.mp
    same one.json both.json
    mp2json rejects.mp | jq -es 'length == 1 and .[0].record == 2'
}
