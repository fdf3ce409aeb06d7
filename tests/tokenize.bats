#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tokenize. The tokenizer is that of bytes, whose ids are the order of the byte-level alphabet: "!" is 0, "a" 64, "b" 65 (33 and 97
# in ASCII); special tokens follow from 256, music tokens from 263, put there by jq.
load helper

tokenizer() {
    bpe-train -o bytes.json /dev/null 2>/dev/null
    jq '.added_tokens += ([range(3) | "<|playlist-\(.)|>"] + ["<start_of_music>", "<end_of_music>"] | to_entries | map({id: (263 + .key), content: .value,
        single_word: false, lstrip: false, rstrip: false, normalized: false, special: false}))' bytes.json >tokenizer.json
}

segment() { # KIND TRAIN TURN TEXT
    jq -nc --arg k "$1" --argjson t "$2" --argjson n "$3" --arg x "$4" '{text: $x, kind: $k, train: $t, turn: $n}'
}

example() { # segments on stdin
    jq -sc '{example_id: "e", task: "dialog", segments: ., note: 1}'
}

ids() {
    mp2json "$1" | jq -c .ids
}

@test "tokenize: ids are those of text and tokens, labels those that are trained, other keys stay" {
    tokenizer
    { segment control false 0 '<|begin_of_text|>'; segment text false 0 'ab'; segment control true 1 '<start_of_music><|playlist-2|><end_of_music>'
      segment text true 1 'b!'; segment control true 1 '<|eot_id|>'; } | example | mk e.mp
    run -0 --separate-stderr tokenize --tokenizer . -o x.mp e.mp
    [[ $stderr == "tokenize: in=1 out=1 rejected=0 cut=0 replaced=0 "* ]]
    [ "$(ids x.mp)" = "[256,64,65,266,265,267,65,0,262]" ]
    [ "$(mp2json x.mp | jq -c .labels)" = "[-100,-100,-100,266,265,267,65,0,262]" ]
    mp2json x.mp | jq -es '.[0].note == 1'
    mpcheck example x.mp
}

@test "tokenize: what spells a token in text stays letters, and a control token must be there" {
    tokenizer
    segment text false 0 '<|eot_id|>' | example | mk e.mp
    tokenize --tokenizer tokenizer.json -o x.mp e.mp
    [ "$(mp2json x.mp | jq '.ids | length')" -eq 10 ]
    mp2json x.mp | jq -es 'all(.[0].ids[]; . < 256)'
    segment control false 0 '<|playlist-3|>' | example | mk e.mp
    run -65 --separate-stderr tokenize --tokenizer . e.mp
    [[ $stderr == *"control text <|playlist-3|> is no token of the tokenizer"* ]]
}

@test "tokenize: --decode gives the text back, tokens and all" {
    tokenizer
    { segment control false 0 '<|begin_of_text|>'; segment text false 0 'Ça va? 🎵'; segment control true 1 '<start_of_music>'; } | example | mk e.mp
    tokenize --tokenizer . e.mp | tokenize --tokenizer . --decode -o t.mp
    [ "$(mp2json t.mp | jq -r .text)" = "<|begin_of_text|>Ça va? 🎵<start_of_music>" ]
    echo '{"ids":[100000]}' | mk bad.mp
    run -65 --separate-stderr tokenize --tokenizer . --decode bad.mp
    [[ $stderr == *"ids: 100000 is not an id of the tokenizer"* ]]
}

@test "tokenize: a conversation loses its oldest whole turns, then words, never a token of control" {
    tokenizer
    { segment text false 0 'sys'; segment text false 1 'aaaa'; segment control true 1 '<start_of_music><|playlist-1|><end_of_music>'
      segment text false 2 'bbbb'; segment control true 2 '<start_of_music><|playlist-2|><end_of_music>'; } | example | mk e.mp
    run -0 --separate-stderr tokenize --context 17 --tokenizer . -o all.mp e.mp
    [ "$(mp2json all.mp | jq '.ids | length')" -eq 17 ]
    tokenize --context 16 --tokenizer . e.mp | tokenize --tokenizer . --decode -o t.mp
    [ "$(mp2json t.mp | jq -r .text)" = "sysbbbb<start_of_music><|playlist-2|><end_of_music>" ]
    run -0 --separate-stderr tokenize --context 9 --tokenizer . -o x.mp e.mp
    [[ $stderr == *" cut=1 "* ]]
    tokenize --tokenizer . --decode -o t.mp x.mp
    [[ $(mp2json t.mp | jq -r .text) =~ ^sysb+\<start_of_music\>..playlist-2..\<end_of_music\>$ ]]
    [ "$(mp2json x.mp | jq '.ids | length')" -eq 9 ]
    run -65 --separate-stderr tokenize --context 5 --tokenizer . e.mp
}

@test "tokenize: a playlist's prefix loses its first, its continuation its last tracks, each to half" {
    tokenizer
    { segment control false 0 '<|begin_of_text|>'
      for i in 1 2 3 4; do segment control "$([ $i -gt 2 ] && echo true || echo false)" $i "<start_of_music><|playlist-$((i % 3))|><end_of_music>"; done
      segment control true 5 '<|eot_id|>'; } | jq -sc '{example_id: "p#0", task: "playlist", segments: .}' | mk e.mp
    tokenize --context 8 --tokenizer . -o x.mp e.mp
    [ "$(ids x.mp)" = "[256,266,265,267,266,263,267,262]" ]
    tokenize --context 0 --tokenizer . -o x.mp e.mp
    [ "$(mp2json x.mp | jq '.ids | length')" -eq 14 ]
}

@test "tokenize: one thread and four give the same bytes in the same order" {
    tokenizer
    jq -nc 'range(1000) | {query_id: "q:\(.)", turn: 1, segments: [{text: ("x" * (. % 40 + 1)), kind: "text", train: false}]}' | mk e.mp
    tokenize --threads 1 --tokenizer . -o one.mp e.mp
    tokenize --threads 4 --tokenizer . -o four.mp e.mp
    same one.mp four.mp
    mp2json one.mp | jq -es 'length == 1000 and all(has("labels") | not) and ([.[].query_id] == [range(1000) | "q:\(.)"])'
}

@test "tokenize: ids follow either form of merges and ignore_merges as in the definition" {
    # With merges "b c" and "a b" abc is a|bc; "abc" being in the vocabulary counts only with ignore_merges.
    tokenizer
    jq '.model.merges = ["b c", "a b"] | .model.vocab += {"bc": 256, "ab": 257, "abc": 258} | .added_tokens = [] | .post_processor = null' \
        bytes.json >strings.json
    jq '.model.merges |= map(split(" "))' strings.json >arrays.json
    jq '.model.ignore_merges = false' arrays.json >plain.json
    segment text false 0 'abc ab' | example | mk e.mp
    tokenize --tokenizer strings.json -o s.mp e.mp
    tokenize --tokenizer arrays.json -o a.mp e.mp
    tokenize --tokenizer plain.json -o p.mp e.mp
    [ "$(ids s.mp)" = "[258,220,257]" ]
    same s.mp a.mp
    [ "$(ids p.mp)" = "[64,256,220,257]" ]
}

@test "tokenize: what a Split removes is gone, old files split as GPT-2 does, white space that two tokens want is taken once" {
    tokenizer
    jq '.pre_tokenizer.pretokenizers[0] = {type: "Split", pattern: {String: "b"}, behavior: "Removed", invert: false}' bytes.json >split.json
    segment text false 0 'abbca' | example | mk e.mp
    tokenize --tokenizer split.json -o x.mp e.mp
    [ "$(ids x.mp)" = "[64,66,64]" ]
    # A ByteLevel of old files, which says nothing of use_regex, splits as GPT-2 does: no merge reaches over the end of a word.
    jq '.pre_tokenizer = {type: "ByteLevel", add_prefix_space: false} | .model.vocab += {"aĠ": 256} | .model.merges = ["a Ġ"]
        | .added_tokens = [] | .post_processor = null' bytes.json >old.json
    segment text false 0 'a b' | example | mk e.mp
    tokenize --tokenizer old.json -o x.mp e.mp
    [ "$(ids x.mp)" = "[64,220,65]" ]
    jq '.pre_tokenizer.use_regex = false' old.json >whole.json
    tokenize --tokenizer whole.json -o x.mp e.mp
    [ "$(ids x.mp)" = "[256,65]" ]
    # Behind <x>, which takes the blank, the blank is found as a token of its own: nothing is left of it.
    jq '.added_tokens[0] += {content: "<x>", rstrip: true} | .added_tokens[1] += {content: " ", lstrip: true} | .post_processor = null' \
        bytes.json >strip.json
    segment control false 0 '<x> a' | example | mk e.mp
    tokenize --tokenizer strip.json -o x.mp e.mp
    [ "$(ids x.mp)" = "[256,64]" ]
}

# tests/tokens.json holds changes to the tokenizer of bytes, texts, and the ids that tokenizers 0.23.2 (the binding for Node of
# its authors) gave for them with add_special_tokens false.
@test "tokenize: ids are those of the reference, for each split, normalizer and kind of added token" {
    tokenizer
    n=$(jq length "$ROOT/tests/tokens.json")
    for ((i = 0; i < n; i++)); do
        jq ".[$i]" "$ROOT/tests/tokens.json" >group.json
        jq -s '.[0] * {added_tokens: [], post_processor: null} * .[1].patch' bytes.json group.json >changed.json
        jq -c '.cases[] | {example_id: "e", task: "dialog", segments: [{text, kind: "control", train: false, turn: 0}]}' group.json | mk e.mp
        tokenize --tokenizer changed.json -o x.mp e.mp
        ids x.mp >got
        jq -c '.cases[].ids' group.json >want
        diff got want || { jq .what group.json; return 1; }
    done
    [ "$n" -eq 13 ]
}

@test "tokenize: ill-formed UTF-8 has the ids of U+FFFD, and is counted" {
    tokenizer
    # 61 ff e2 82 62: two ill-formed sequences. The reference never sees them: its binding replaces them the same way.
    printf '\x82\xa8query_id\xa1q\xa8segments\x91\x82\xa4text\xa5a\xff\xe2\x82b\xa4kind\xa4text\n' >bad.mp
    run -0 --separate-stderr tokenize --tokenizer . -o x.mp bad.mp
    [[ $stderr == *" replaced=2 "* ]]
    # ids: 64, then 171 123 121 twice, then 65, of which only 171 needs two bytes
    [ "$(tail -c 16 x.mp | od -An -tx1 | tr -d ' \n')" = "a369647398""40""ccab7b79""ccab7b79""41""0a" ]
}

@test "tokenize: what is not supported is refused by name" {
    tokenizer
    segment text false 0 'a' | example | mk e.mp
    jq '.normalizer = {type: "NFKC"}' bytes.json >n.json
    run -65 --separate-stderr tokenize --tokenizer n.json e.mp
    [[ $stderr == *"n.json: normalizer: NFKC is not supported"* ]]
    jq '.model.type = "Unigram"' bytes.json >u.json
    run -65 --separate-stderr tokenize --tokenizer u.json e.mp
    [[ $stderr == *"only type BPE is supported"* ]]
    jq '.pre_tokenizer = {type: "Metaspace"}' bytes.json >m.json
    run -65 --separate-stderr tokenize --tokenizer m.json e.mp
    [[ $stderr == *"Metaspace is not supported"* ]]
    jq '.pre_tokenizer.pretokenizers[0].pattern.Regex = "a\\b"' bytes.json >b.json
    run -65 --separate-stderr tokenize --tokenizer b.json e.mp
    [[ $stderr == *"pre_tokenizer: pattern: byte 1: \\b is not supported"* ]]
    jq '.decoder = {type: "Fuse"}' bytes.json >d.json
    run -65 --separate-stderr tokenize --tokenizer d.json e.mp
    [[ $stderr == *"decoder: Fuse is not supported"* ]]
    jq '.added_tokens[-1].id += 1' bytes.json >i.json
    run -65 --separate-stderr tokenize --tokenizer i.json e.mp
    [[ $stderr == *"added_tokens: <|eot_id|> has id 263; tokenizers would give it 262"* ]]
    jq '.model.merges = ["a zz"]' bytes.json >z.json
    run -65 --separate-stderr tokenize --tokenizer z.json e.mp
    [[ $stderr == *"merges[0]: zz is not in the vocabulary"* ]]
    jq '.model.merges = ["a b c"]' bytes.json >z.json
    run -65 --separate-stderr tokenize --tokenizer z.json e.mp
    [[ $stderr == *"merges[0]: expected two tokens"* ]]
    jq '.model.vocab += {zz: 5}' bytes.json >z.json
    run -65 --separate-stderr tokenize --tokenizer z.json e.mp
    [[ $stderr == *"vocab: id 5 comes twice"* ]]
    jq '.model.vocab |= (del(.a) + {aa: 64})' bytes.json >z.json
    run -65 --separate-stderr tokenize --tokenizer z.json e.mp
    [[ $stderr == *"vocab: no token for byte 0x61"* ]]
    jq '.added_tokens += [.added_tokens[0]]' bytes.json >z.json
    run -65 --separate-stderr tokenize --tokenizer z.json e.mp
    [[ $stderr == *"added_tokens[7]: <|begin_of_text|> comes twice"* ]]
    head -c 500 bytes.json >cut.json
    run -65 --separate-stderr tokenize --tokenizer cut.json e.mp
    run -66 --separate-stderr tokenize --tokenizer nowhere e.mp
    run -64 --separate-stderr tokenize e.mp
}

@test "tokenize: an empty stream is one; bad records, a full disk and a closed pipe have their status" {
    tokenizer
    run -0 --separate-stderr tokenize --tokenizer . -o x.mp /dev/null
    [ ! -s x.mp ]
    echo '{"segments":[{"text":"a","kind":"word"}]}' | mk e.mp
    run -65 --separate-stderr tokenize --tokenizer . e.mp
    [[ $stderr == *"e.mp: record 1, byte 0: segments: segment 1: kind: expected control or text, got 'word'"* ]]
    segment text false 0 'a' | example | mk e.mp
    head -c 30 e.mp >cut.mp
    run -65 --separate-stderr tokenize --tokenizer . cut.mp
    run -74 --separate-stderr bash -c 'tokenize --tokenizer . e.mp >/dev/full'
    jq -nc 'range(20000) | {segments: [{text: ("x" * 40), kind: "text", train: false}]}' | mk big.mp
    run -0 --separate-stderr bash -c 'tokenize --tokenizer . big.mp | true; echo "${PIPESTATUS[0]}"'
    [ "$output" -eq 141 ]
}
