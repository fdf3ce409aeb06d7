#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What the numbers must be is in tests/unit/test_generate.c; this is the program around them.
load helper
load tiny-model

@test "gen: candidates with codes of the grammar, passed-on keys, words as text and ids" {
    tiny_model 4
    prompts 12 in.mp
    gen --model model --samples 3 --max-tokens 9 in.mp -o out.mp
    mp2json out.mp | jq -es 'length == 12 and all(.[]; (.candidates | length) == 3
        and all(.candidates[]; (.codes | length) >= 1 and all(.codes[]; . >= 0 and . < 4) and .logprob < 0)
        and (.response | type) == "string" and (.response_ids | length) <= 9
        and (.candidates | map(.logprob)) as $l | $l == ($l | sort | reverse)
        and (.history | length) == 1 and (.relevant | length) == 1 and has("turn") and (has("extra") | not))'
    mpcheck generation out.mp
}

@test "gen: --modality leaves others out, of codes and of words" {
    tiny_model 4
    prompts 6 in.mp
    gen --model model --modality metadata,semantic --samples 8 in.mp | mp2json |
        jq -es '[.[].candidates[].codes | keys[]] | unique == ["metadata", "semantic"]'
    gen --model model --modality semantic in.mp | mp2json | jq -es 'length == 6 and all(.[]; .response | contains("<|") | not)'
    run -64 --separate-stderr gen --model model --modality semantic,smell in.mp
    [[ $stderr == *"smell"* ]]
}

@test "gen: --unmasked marks what is no track as malformed, with its tokens" {
    tiny_model 4
    prompts 6 in.mp
    gen --model model --unmasked --samples 8 --no-response in.mp -o out.mp
    mp2json out.mp | jq -es '[.[].candidates[]] | length == 48 and any(.malformed)
        and all(.[]; if .malformed then .codes == {} and (.ids | length) >= 1 else (.codes | length) >= 1 and (has("ids") | not) end)'
    mpcheck generation out.mp
}

@test "gen: --beams: as many different candidates as there are blocks" {
    tiny_model 2
    prompts 3 in.mp
    # 3^5 - 1 blocks of up to 5 codes from 2 each; their probabilities add up to less than 1.
    gen --model model --beams 300 --no-response in.mp | mp2json >out.json
    jq -es 'length == 3 and all(.[]; (.candidates | length) == 242 and (.candidates | map(.codes) | unique | length) == 242
        and (.candidates | map(.logprob) | . == (sort | reverse) and (map(exp) | add) < 1) and (has("response") | not))' out.json
    gen --model model --beams 300 --modality audio --no-response in.mp | mp2json | jq -es 'all(.[]; .candidates | length == 2)'
}

@test "gen: the same bytes twice, for 1 and 4 threads, and for a record alone" {
    tiny_model 4
    prompts 9 in.mp
    for mode in "--samples 4" "--beams 16"; do
        # shellcheck disable=SC2086
        gen --model model $mode --max-tokens 12 --threads 1 in.mp -o one.mp
        # shellcheck disable=SC2086
        gen --model model $mode --max-tokens 12 --threads 4 in.mp -o four.mp
        same one.mp four.mp
        # shellcheck disable=SC2086
        mp2json in.mp | tail -1 | json2mp | gen --model model $mode --max-tokens 12 -o last.mp
        mp2json one.mp | tail -1 | json2mp | cmp - last.mp
    done
    gen --model model --seed 2 --samples 4 --max-tokens 12 in.mp -o other.mp
    run -1 cmp -s one.mp other.mp
}

@test "gen: --greedy does not depend on the seed; --temperature and --top-p narrow the draw to it" {
    tiny_model 4
    prompts 4 in.mp
    gen --model model --greedy --max-tokens 6 in.mp -o a
    gen --model model --greedy --max-tokens 6 --seed 9 in.mp -o b
    gen --model model --top-p 0.000001 --max-tokens 6 --seed 9 in.mp -o c
    gen --model model --temperature 0.01 --max-tokens 6 --seed 9 in.mp -o d
    same a b
    same a c
    same a d
}

@test "gen: --plain needs no tokenizer and no query_id" {
    tiny_model 4
    prompts 3 in.mp
    gen --model model --plain --greedy --max-tokens 5 in.mp | mp2json >with.json
    jq -es 'length == 3 and all(.[]; has("response") and .candidates == [] and (.response_ids | length) <= 5)' with.json
    rm model/tokenizer.json
    mp2json in.mp | jq -c '{ids}' | json2mp | gen --model model --plain --greedy --max-tokens 5 | mp2json >without.json
    [ "$(jq -c .response_ids with.json)" = "$(jq -c .response_ids without.json)" ]
    jq -es 'length == 3 and all(.[]; has("response") | not)' without.json
    run -66 --separate-stderr gen --model model in.mp
    [[ $stderr == *tokenizer.json* ]]
    run -64 gen --model model --plain --beams 3 in.mp
}

@test "gen: --free lets the model decide: words without music, or both" {
    tiny_model 4
    # Nearly even over 300 tokens, one of which starts music.
    jq -nc 'range(1200) | {query_id: "d\(.):1", ids: [1]}' | json2mp -o in.mp
    gen --model model --free --temperature 100 --top-p 1 --max-tokens 1 in.mp | mp2json |
        jq -es '(map(.candidates | length) | unique) == [0, 1]'
}

@test "gen: a prompt that leaves no room is a data error with both numbers, and can be set aside" {
    tiny_model 4
    { jq -nc '{query_id: "a:1", ids: [range(89)]}'; jq -nc '{query_id: "b:1", ids: [range(90)]}'; } | json2mp -o in.mp
    run -65 --separate-stderr gen --model model --no-response in.mp
    [[ $stderr == *"record 2"*"ids: 90 tokens"*"room for 89"* ]]
    gen --model model --no-response --rejects bad.mp in.mp -o out.mp 2>/dev/null
    mp2json out.mp | jq -es 'length == 1'
    mp2json bad.mp | jq -es 'length == 1'
}

@test "gen: missing, empty, wrong or too large ids are data errors" {
    tiny_model 4
    for ids in null '[]' '"x"' '["x"]' '[-1]' '[99999]' '[1.5]'; do
        echo "{\"query_id\":\"a:1\",\"ids\":$ids}" | json2mp -o in.mp
        run -65 --separate-stderr gen --model model in.mp
        [[ $stderr == *"ids"* ]]
    done
    echo '{"ids":[1]}' | json2mp -o in.mp
    run -65 --separate-stderr gen --model model in.mp
    [[ $stderr == *query_id* ]]
}

@test "gen: a model without music tokens is refused" {
    tiny_model 4
    cp tokenizer.json model/
    prompts 1 in.mp
    run -65 --separate-stderr gen --model model in.mp
    [[ $stderr == *"<start_of_music>"* ]]
}

@test "gen: empty stream, cut-off record, full disk, closed pipe" {
    tiny_model 4
    : | gen --model model >out.mp
    [ ! -s out.mp ]
    prompts 40 in.mp
    head -c -1 in.mp >cut.mp
    run -65 --separate-stderr gen --model model --no-response -o out2.mp cut.mp
    [ ! -e out2.mp ]
    run -74 --separate-stderr bash -c 'gen --model model --no-response in.mp >/dev/full'
    run -141 --separate-stderr bash -o pipefail -c 'gen --model model --no-response --samples 200 in.mp | head -c 1 >/dev/null'
}
