#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # run sets stderr
load helper
load tiny-model

# tensor FILE NAME: its bytes
tensor() {
    local n from to
    n=$(od -An -tu8 -N8 "$1" | tr -d ' ')
    read -r from to < <(head -c $((8 + n)) "$1" | tail -c +9 | jq -r --arg t "$2" '.[$t].data_offsets | "\(.[0]) \(.[1])"')
    tail -c +$((9 + n + from)) "$1" | head -c $((to - from))
}

@test "model-info: sizes, vocabulary and each tensor; checksums are those of sha256sum" {
    tiny_model 3 --dtype bf16
    model-info model -o info.mp
    mpcheck --canonical info info.mp
    mp2json info.mp >info.json
    v=$(jq .vocab_size model/config.json)
    jq -se --argjson v "$v" '.[0] | .part == "model" and .vocab_size == $v and .tokens == $v and .layers == 2 and .tied
        and .music_tokens == {playlist: 3, semantic: 3, metadata: 3, lyrics: 3, audio: 3} and .files == 1 and .tensors == 20
        and .parameters * 2 == .bytes' info.json
    jq -se '.[0].parameters == ([.[] | select(.part == "tensor").parameters] | add)' info.json
    jq -r 'select(.part == "tensor") | "\(.name) \(.dtype) [\(.shape | map(tostring) | join(","))] \(.sha256)"' info.json >lines
    [ "$(wc -l <lines)" = 20 ]
    LC_ALL=C sort -c lines
    while read -r name dtype _ sum; do
        [ "$dtype" = BF16 ]
        [ "$(tensor model/model.safetensors "$name" | sha256sum)" = "$sum  -" ]
    done <lines
    grep -q "^model.layers.1.self_attn.k_proj.weight BF16 \[16,32\] " lines
    [ "$(sha256sum <lines)" = "$(jq -r 'select(.part == "model").sha256' info.json)  -" ]
}

@test "model-info: the checksum does not depend on shards and threads; it does on a bit, and on the type" {
    tiny_model 600 --hidden 128
    sum() {
        model-info --threads "$2" "$1" | mp2json --limit 1 | jq -r .sha256
    }
    one=$(sum model 1)
    mv model one
    tiny_model 600 --hidden 128 --shard-size 1
    [ "$(model-info model | mp2json --limit 1 | jq .files)" = 3 ]
    [ "$one" = "$(sum model 4)" ]
    rm -r model
    tiny_model 600 --hidden 128 --dtype f16
    [ "$one" != "$(sum model 2)" ]
    printf '\1' | dd of=one/model.safetensors bs=1 seek=$(($(stat -c %s one/model.safetensors) - 4)) conv=notrunc status=none
    [ "$one" != "$(sum one 2)" ]
}

@test "model-info: --centroids gives the self-similarity loss, by its definition" {
    tiny_model 4
    # Of the four codes of playlist one is of no track.
    jq -nc '[[1, 0, 0], [0.6, 0.8, 0], [0, 0, 2], [-1, 1, 1]] as $c | range(4) |
        {modality: "playlist", index: ., count: (if . == 2 then 0 else 5 end), vector: $c[.]}' | json2mp -o c.mp
    model-info --quick --centroids c.mp model | mp2json | jq -sc '.[1]' >got
    tensor model/model.safetensors model.embed_tokens.weight | od -An -v -tf4 -w128 |
        tail -n 22 | sed -n '1p;2p;4p' | awk '
        {for (j = 1; j <= 32; j++) {e[NR, j] = $j; l[NR] += $j * $j}}
        function cosine(a, b, j, s) {for (j = 1; j <= 32; j++) s += e[a, j] * e[b, j]; return s / sqrt(l[a] * l[b])}
        function abs(x) {return x < 0 ? -x : x}
        END {
            c[1] = 0.6; c[2] = -1 / sqrt(3); c[3] = 0.2 / sqrt(3)
            s[1] = cosine(1, 2); s[2] = cosine(1, 3); s[3] = cosine(2, 3)
            for (i = 1; i <= 3; i++) {d += abs(s[i] - c[i]) / 3; ms += s[i] / 3; mc += c[i] / 3}
            for (i = 1; i <= 3; i++) {x += (s[i] - ms) * (c[i] - mc); y += (s[i] - ms)^2; z += (c[i] - mc)^2}
            printf "%.9f %.9f\n", d, x / sqrt(y * z)
        }' >want
    read -r d r <want
    jq -e --argjson d "$d" --argjson r "$r" '.modality == "playlist" and .codes == 3 and (.selfsim - $d | fabs) < 1e-6
        and (.correlation - $r | fabs) < 1e-6' got
}

@test "model-info: --table is for people, --quick leaves checksums out" {
    tiny_model 3
    run -0 --separate-stderr model-info --table model
    [ "$stderr" = "" ]
    [[ $output == *"layers      2"*"heads       4 of 8, 2 of keys and values"*", head tied"*"3 playlist, 3 semantic"*"sha256      "* ]]
    [[ $output =~ model\.layers\.0\.mlp\.up_proj\.weight\ +F32\ +[0-9a-f]{12}\ 96\ x\ 32 ]]
    model-info --quick model | mp2json | jq -se 'all(has("sha256") | not)'
    rm model/tokenizer.json
    model-info --quick model | mp2json --limit 1 | jq -e 'has("tokens") | not'
}

@test "model-info: what is no model is 66 or 65, and a full disk 74" {
    tiny_model 3
    run -64 --separate-stderr model-info
    run -66 --separate-stderr model-info none
    [[ $stderr == "model-info: none/config.json: "* ]]
    run -74 --separate-stderr bash -c 'model-info model >/dev/full'
    run -65 --separate-stderr model-info --centroids <(echo '{"modality":"playlist","index":0,"count":1,"vector":[1]}
{"modality":"playlist","index":1,"count":1,"vector":[1]}
{"modality":"playlist","index":2,"count":1,"vector":[1]}
{"modality":"playlist","index":3,"count":1,"vector":[1]}' | json2mp) model
    [[ $stderr == *"<|playlist-3|>"* ]]
    truncate -s -1 model/model.safetensors
    run -65 --separate-stderr model-info model
    [[ $stderr == *"model.safetensors: expected "*" bytes of data, got "* ]]
    rm model/model.safetensors && mkfifo model/model.safetensors
    run -65 --separate-stderr timeout 10 model-info model
    [ "$stderr" = "model-info: model/model.safetensors: not a regular file" ]
}
