#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
load helper
load tiny-model

@test "model-init: tokens are added to tokenizer, configuration and weights together" {
    tiny_model 3
    before=$(jq '[.model.vocab[], .added_tokens[].id] | max + 1' tokenizer.json)
    jq -e --argjson b "$before" '.vocab_size == $b + 17 and .hidden_size == 32 and .num_key_value_heads == 2
        and .head_dim == 8 and .tie_word_embeddings and .max_position_embeddings == 96' model/config.json
    jq -e --argjson b "$before" '[.added_tokens[] | select(.id >= $b)] | sort_by(.id) | map(.content) as $n
        | $n[0] == "<|playlist-0|>" and $n[3] == "<|semantic-0|>" and $n[14] == "<|audio-2|>"
        and $n[15] == "<start_of_music>" and $n[16] == "<end_of_music>" and all(.[]; .special | not)' model/tokenizer.json
    jq -e '.temperature == 1 and .top_p == 0.9 and (.eos_token_id | length) == 2' model/generation_config.json
    # The header of safetensors: 8 bytes of length, then JSON.
    n=$(od -An -tu8 -N8 model/model.safetensors | tr -d ' ')
    head -c $((8 + n)) model/model.safetensors | tail -c +9 |
        jq -e --argjson v $((before + 17)) '.["model.embed_tokens.weight"].shape == [$v, 32] and (has("lm_head.weight") | not)'
}

@test "model-init: random weights have the deviation asked for, norms are 1" {
    tiny_model 600 --std 0.05
    n=$(od -An -tu8 -N8 model/model.safetensors | tr -d ' ')
    head -c $((8 + n)) model/model.safetensors | tail -c +9 >header.json
    tensor() {
        read -r from to < <(jq -r --arg t "$1" '.[$t].data_offsets | "\(.[0]) \(.[1])"' header.json)
        tail -c +$((9 + n + from)) model/model.safetensors | head -c $((to - from)) | od -An -v -tf4 -w4
    }
    tensor model.embed_tokens.weight | awk '{s += $1; q += $1 * $1} END {d = sqrt(q / NR - (s / NR)^2); exit !(d > 0.0495 && d < 0.0505)}'
    # Divided by sqrt(2 L) = 2; 32 x 32 numbers.
    tensor model.layers.1.self_attn.o_proj.weight | awk '{q += $1 * $1} END {d = sqrt(q / NR); exit !(d > 0.022 && d < 0.028)}'
    tensor model.norm.weight | awk '$1 != 1 {bad = 1} END {exit bad || NR != 32}'
}

@test "model-init: the same seed gives the same folder, for 1 and 4 threads; another seed does not" {
    tiny_model 4 --threads 1
    mv model one
    tiny_model 4 --threads 4
    diff -r one model
    rm -r model
    tiny_model 4 --seed 2
    run -1 cmp -s one/model.safetensors model/model.safetensors
    cmp one/tokenizer.json model/tokenizer.json
}

# rows FILE TENSOR: its numbers, one a line
rows() {
    local n from to
    n=$(od -An -tu8 -N8 "$1" | tr -d ' ')
    read -r from to < <(head -c $((8 + n)) "$1" | tail -c +9 | jq -r --arg t "$2" '.[$t].data_offsets | "\(.[0]) \(.[1])"')
    tail -c +$((9 + n + from)) "$1" | head -c $((to - from))
}

# plain_base: base/, a model whose tokenizer has no music tokens
plain_base() {
    tiny_model 1 "$@"
    cp -r model base
    v=$(jq '[.model.vocab[], .added_tokens[].id] | max + 1' tokenizer.json)
    cp tokenizer.json base/
    # The 7 rows of the model's music tokens become rows behind the vocabulary, which a base may have.
    echo "$v"
}

@test "model-init: --base keeps old rows to the byte and draws new ones around their mean" {
    v=$(plain_base --untied)
    rm -r model
    model-init --base base --clusters 4 -o model
    jq -e --argjson v $((v + 22)) '.vocab_size == $v' model/config.json
    for t in model.embed_tokens.weight lm_head.weight; do
        cmp -n $((v * 32 * 4)) <(rows base/model.safetensors $t) <(rows model/model.safetensors $t)
        # New rows: column means of the old ones, deviation sqrt(1e-5) of theirs.
        paste <(rows model/model.safetensors $t | od -An -v -tf4 -w4) | awk -v v="$v" '
            {i = int((NR - 1) / 32); j = (NR - 1) % 32; if (i < v) {m[j] += $1 / v; q[j] += $1 * $1 / v} else {d = $1 - m[j]; e += d * d; s += q[j] - m[j]^2}}
            END {r = e / s / 1e-5; exit !(i == v + 21 && r > 0.7 && r < 1.4)}'
    done
    cmp <(rows base/model.safetensors model.layers.1.mlp.up_proj.weight) <(rows model/model.safetensors model.layers.1.mlp.up_proj.weight)
    gen --model model --beams 4 --no-response <(echo '{"query_id":"a:1","ids":[1,2,3]}' | json2mp) | mp2json |
        jq -es '.[0].candidates | length == 4'
}

@test "model-init: --init mean gives the mean; an embedding with room keeps its size" {
    v=$(plain_base)
    rm -r model
    model-init --base base --clusters 1 --init mean -o model
    jq -e --argjson v $((v + 7)) '.vocab_size == $v' model/config.json
    rows model/model.safetensors model.embed_tokens.weight | od -An -v -tf4 -w4 | awk -v v="$v" '
        {i = int((NR - 1) / 32); j = (NR - 1) % 32; if (i < v) m[j] += $1 / v; else if (($1 - m[j])^2 > 1e-12) bad = 1}
        END {exit bad || i != v + 6}'
}

@test "model-init: --config gives sizes, options override them" {
    tiny_model 2
    mv model first
    model-init --tokenizer tokenizer.json --config first/config.json --layers 1 --clusters 2 -o model
    jq -e '.hidden_size == 32 and .num_hidden_layers == 1 and .num_key_value_heads == 2' model/config.json
}

@test "model-init: what cannot be is refused, and leaves nothing" {
    tiny_model 2
    run -73 --separate-stderr model-init --tokenizer tokenizer.json -o model
    [[ $stderr == *"model: exists"* ]]
    run -65 --separate-stderr model-init --tokenizer model/tokenizer.json --clusters 2 -o new
    [[ $stderr == *playlist-0* ]]
    run -64 --separate-stderr model-init --tokenizer tokenizer.json --hidden 33 --heads 4 -o new
    [[ $stderr == *"33"*"4"* ]]
    run -64 model-init --tokenizer tokenizer.json --base model -o new
    run -64 model-init -o new
    run -64 model-init --base model --hidden 64 -o new
    run -66 model-init --tokenizer missing.json -o new
    run -73 model-init --tokenizer tokenizer.json -o missing/new
    echo '{}' >bad.json
    run -65 model-init --tokenizer bad.json -o new
    [ "$(echo ./*new*)" = "./*new*" ]
}
