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

# likelier A B: token B's row of the tied embedding is twice that of A.
likelier() {
    python3 - "$1" "$2" model/model.safetensors <<'END'
import array, json, struct, sys
a, b, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
with open(name, 'r+b') as f:
    n = struct.unpack('<Q', f.read(8))[0]
    t = json.loads(f.read(n))['model.embed_tokens.weight']
    size = 4 * t['shape'][1]
    at = 8 + n + t['data_offsets'][0]
    f.seek(at + a * size)
    row = array.array('f', f.read(size))
    f.seek(at + b * size)
    f.write(array.array('f', [2 * x for x in row]).tobytes())
END
}

@test "gen: words end where a turn does, whatever config.json knows of it, and where generation_config.json says" {
    tiny_model 4
    prompts 12 in.mp
    for f in config generation_config; do
        jq -c '.eos_token_id = null' model/$f.json >c && mv c model/$f.json
    done
    words() {
        gen --model model --greedy --max-tokens 20 in.mp | mp2json | jq -sc '.[0].response_ids'
    }
    long=$(words)
    jq -e 'length == 20' <<<"$long"
    jq -c --argjson ids "$long" '.eos_token_id = [$ids[2]]' model/generation_config.json >c && mv c model/generation_config.json
    jq -ne --argjson a "$(words)" --argjson b "$long" '($a | length) <= 3 and $a == $b[:($a | length)]'
    jq -c '.eos_token_id = null' model/generation_config.json >c && mv c model/generation_config.json
    likelier "$(jq '.[2]' <<<"$long")" "$(jq '.added_tokens[] | select(.content == "<|eot_id|>").id' model/tokenizer.json)"
    words | jq -e 'length < 3'
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

# catalogue N: items.mp, N tracks of up to five codes below 4, many of which share their codes or have the beginning of others'.
catalogue() {
    jq -nc --argjson n "$1" 'range($n) | . as $i | {track_id: "t\($i)", codes:
        ([["playlist", 3], ["semantic", 7], ["metadata", 13], ["lyrics", 29], ["audio", 31]]
         | map(($i * 7919 / .[1] | floor) as $x | select($x % 5 > 1 or .[0] == "playlist") | {key: .[0], value: ($x % 4)}) | from_entries)}' | mk items.mp
}

@test "gen: --constrain and match --exact: the tracks of brute force over every block, in its order" {
    tiny_model 4 --std 0.5
    catalogue 300
    prompts 5 in.mp
    # All 5^5 - 1 blocks, each scored by plain decoding; then P(tuple) / n, best first.
    gen --model model --beams 3124 --no-response in.mp | mp2json >blocks.json
    mp2json items.mp | jq -s 'map({track_id, tuple: (.codes | tojson)}) | group_by(.tuple) | map({key: .[0].tuple, value: map(.track_id)}) | from_entries' >tuples.json
    jq -c --slurpfile t tuples.json '[.candidates[] | $t[0][.codes | tojson] as $who | select($who) | (.logprob - ($who | length | log)) as $score
        | $who[] | {track_id: ., score: $score}] | sort_by(-.score)' blocks.json >all.json
    for n in 1 40 300; do
        gen --model model --constrain items.mp --top "$n" --no-response -o exact.mp in.mp
        mpcheck generation exact.mp
        match --exact --items items.mp --top "$n" exact.mp | mp2json >ranking.json
        # Tracks that share a tuple may come in any order; all of them are there.
        jq -ne --argjson n "$n" --slurpfile all all.json --slurpfile got ranking.json 'def close($a; $b): ($a - $b | fabs) < 1e-9;
            all(range(5); $all[.] as $a | $got[.].tracks as $g | ($g | length) == $n and all(range($n); . as $i
                | close($g[$i].score; $a[$i].score) and ($g[$i].track_id as $id | $a | map(select(.track_id == $id)) | close(.[0].score; $a[$i].score)))
                and ($g | map(.track_id) | unique | length) == $n)'
        mp2json exact.mp | jq -es 'length == 5 and all(.exact and .expansions >= 1 and .expansions < 500 and (.candidates | all(.count >= 1)))'
    done
}

@test "gen: --constrain leaves out the history's tracks, stops at --max-expand, and speaks behind the best track" {
    tiny_model 4 --std 0.5
    catalogue 300
    prompts 4 in.mp
    gen --model model --constrain items.mp --top 20 in.mp --max-tokens 5 -o all.mp
    match --exact --items items.mp --top 20 all.mp | mp2json >ranking.json
    # What was best is now in the history.
    jq -c --slurpfile r ranking.json -n '[inputs] | to_entries[] | .key as $i | .value | .history += [$r[$i].tracks[:7][] | {role: "music", content: .track_id}]' \
        <(mp2json in.mp) | mk heard.mp
    gen --model model --constrain items.mp --top 20 --max-tokens 5 -o less.mp heard.mp
    match --exact --items items.mp --top 20 less.mp | mp2json >rest.json
    jq -ne --slurpfile a ranking.json --slurpfile b rest.json 'all(range(4); ($a[.].tracks[:7] | map(.track_id)) as $heard
        | ($b[.].tracks | length) == 20 and ($b[.].tracks | map(.track_id) | . - $heard | length) == 20
        and ($b[.].tracks[:13] | map(.score)) == ($a[.].tracks[7:] | map(.score)))'
    gen --model model --constrain items.mp --top 20 --max-tokens 5 --keep-history heard.mp | mp2json | jq -c '[.candidates, .response_ids]' >kept.json
    mp2json all.mp | jq -c '[.candidates, .response_ids]' | diff - kept.json
    gen --model model --constrain items.mp --top 20 --max-expand 3 --no-response -o few.mp in.mp 2>last
    mp2json few.mp | jq -es 'all(.exact == false and .expansions == 3)'
    grep -Eq ' inexact=4 expansions_median=3 expansions_p95=3 ms_median=[0-9.e+-]+ ms_p95=[0-9.e+-]+ seconds=' last
    # Every track was heard: nothing is left to play.
    mp2json items.mp | jq -sc 'map({role: "music", content: .track_id})' >every
    mp2json in.mp | jq -c --slurpfile h every '.history = $h[0]' | gen_nothing
}
gen_nothing() {
    json2mp | gen --model model --constrain items.mp | mp2json | jq -es 'length == 4 and all(.candidates == [] and .response_ids == [])'
}

@test "gen: --constrain: what is no catalogue of the run is refused before anything is read" {
    tiny_model 4
    catalogue 20
    prompts 1 in.mp
    : >empty.mp
    run -65 --separate-stderr gen --model model --constrain empty.mp in.mp
    [[ $stderr == *"empty.mp: no tracks"* ]]
    echo '{"track_id":"far","codes":{"playlist":4}}' | mk far.mp
    run -65 --separate-stderr gen --model model --constrain far.mp in.mp
    [[ $stderr == *"far.mp: track far: <|playlist-4|>"* ]]
    run -65 --separate-stderr gen --model model --modality playlist,semantic --constrain items.mp in.mp
    [[ $stderr == *"items.mp: track t"*": <|"* ]]
    run -66 gen --model model --constrain nowhere.mp in.mp
    for o in "--beams 3" "--samples 3" --unmasked --plain; do
        # shellcheck disable=SC2086
        run -64 gen --model model --constrain items.mp $o in.mp
    done
    run -64 gen --model model --max-expand 3 in.mp
    run -64 gen --model model --keep-history in.mp
}

@test "gen: --interactive answers each record before the next is written, with the same bytes" {
    tiny_model 4
    prompts 6 in.mp
    coproc gen --model model --interactive --samples 2 --max-tokens 7 2>last
    pid=$COPROC_PID
    while read -r prompt; do
        json2mp <<<"$prompt" 2>/dev/null 1>&"${COPROC[1]}"
        timeout 10 mp2json --limit 1 <&"${COPROC[0]}" >>answers.json 2>/dev/null
    done < <(mp2json in.mp)
    eval "exec ${COPROC[1]}>&-"
    wait "$pid"
    gen --model model --samples 2 --max-tokens 7 in.mp | mp2json | diff answers.json -
    [ "$(wc -l <answers.json)" -eq 6 ]
    grep -q "in=6 out=6" last
}

@test "gen: more records than places, answers of very different lengths: in order, each as it is alone" {
    tiny_model 4
    # About 3 in 100 words end an answer; 70 records are more than there are places.
    prompts 200 in.mp
    gen --model model --top-p 1 --temperature 3 --max-tokens 40 in.mp -o all.mp
    mp2json all.mp | jq -es '(map(.response_ids | length) | unique | length) > 10'
    [ "$(mp2json all.mp | jq -r .query_id)" = "$(mp2json in.mp | jq -r .query_id)" ]
    gen --model model --top-p 1 --temperature 3 --max-tokens 40 --interactive in.mp -o alone.mp
    same all.mp alone.mp
}

@test "gen: the same bytes twice, for 1 and 4 threads, and for a record alone" {
    tiny_model 4
    prompts 9 in.mp
    catalogue 100
    for mode in "--samples 4" "--beams 16" "--constrain items.mp --top 10" "--constrain items.mp --max-expand 9"; do
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
