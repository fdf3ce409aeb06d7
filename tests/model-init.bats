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

# halves FILE: its numbers as bfloat16, read and written as hexadecimal
halves() {
    od -An -v -tx2 -w2 "$1" | tr -d ' '
}

@test "model-init: a base of bfloat16 in shards keeps its type and its bytes; other types are rounded to the nearest" {
    v=$(plain_base --untied --dtype bf16)
    rm -r model
    jq -e '.torch_dtype == "bfloat16"' base/config.json
    model-init --base base --clusters 2 -o model
    jq -e --argjson v $((v + 12)) '.torch_dtype == "bfloat16" and .vocab_size == $v' model/config.json
    for t in model.embed_tokens.weight lm_head.weight; do
        cmp -n $((v * 32 * 2)) <(rows base/model.safetensors $t) <(rows model/model.safetensors $t)
    done
    cmp <(rows base/model.safetensors model.layers.0.self_attn.k_proj.weight) <(rows model/model.safetensors model.layers.0.self_attn.k_proj.weight)
    # float32 has the upper half of each number from bfloat16, and comes back to it.
    model-init --base base --clusters 2 --dtype f32 -o wide
    rows wide/model.safetensors model.norm.weight >wide.f32
    rows base/model.safetensors model.norm.weight >base.bf16
    cmp <(halves wide.f32 | sed -n 'n;p') <(halves base.bf16)
    # The new rows of wide are rounded, those of model were drawn alike and rounded at once: the same.
    model-init --base base --clusters 2 --dtype f16 -o half
    jq -e '.torch_dtype == "float16"' half/config.json
    paste <(rows half/model.safetensors model.embed_tokens.weight | od -An -v -tx2 -w2) \
        <(rows wide/model.safetensors model.embed_tokens.weight | od -An -v -tf4 -w4) | awk '
        function half(h, s, e, f) {
            s = h >= 32768 ? -1 : 1; h %= 32768; e = int(h / 1024); f = h % 1024
            return s * (e == 0 ? f * 2^-24 : (1 + f / 1024) * 2^(e - 15))
        }
        function hex(t, i, n) { for (i = 1; i <= length(t); i++) n = n * 16 + index("123456789abcdef", substr(t, i, 1)); return n }
        { d = half(hex($1)) - $2; a = $2 < 0 ? -$2 : $2; if (d < 0) d = -d; if (d > a * 2^-11 + 2^-25) bad = 1; n++ }
        END { exit bad || n == 0 }'
}

@test "model-init: shards are read and written, and hold what one file holds" {
    tiny_model 600 --hidden 128
    one=model/model.safetensors
    mv model one
    tiny_model 600 --hidden 128 --shard-size 1
    [ ! -e "$one" ]
    jq -e '(.weight_map | length) == 20 and ([.weight_map[]] | unique | length) == 3
        and .metadata.total_size > 1e6' model/model.safetensors.index.json
    jq -r '.weight_map | to_entries[] | "\(.key) \(.value)"' model/model.safetensors.index.json | while read -r t file; do
        cmp <(rows "model/$file" "$t") <(rows one/model.safetensors "$t")
    done
    for m in one model; do
        cp tokenizer.json $m
        model-init --base $m --clusters 3 -o "$m.more"
    done
    diff -r one.more model.more
    cp model/model-00001-of-00003.safetensors model/model-00002-of-00003.safetensors
    run -65 --separate-stderr model-init --base model --clusters 3 -o bad
    [[ $stderr == *"model.safetensors.index.json: tensor "*" is in model-0000"*", but in another file by the weight_map" ]]
    rm model/model-00002-of-00003.safetensors
    run -66 --separate-stderr model-init --base model --clusters 3 -o bad
    [ ! -e bad ]
}

@test "model-init: what a base has besides goes along: keys of config.json, and the files that transformers reads" {
    plain_base
    rm -r model
    jq '. + {transformers_version: "4.45.0", extra: {deep: [1, 2.5, "x", null]}, initializer_range: 0.5}' base/config.json >c
    mv c base/config.json
    echo '{"temperature": 0.6}' >base/generation_config.json
    for f in special_tokens_map.json chat_template.jinja LICENSE.txt; do echo "$f" >"base/$f"; done
    echo other >base/pytorch_model.bin
    model-init --base base --clusters 1 -o model
    diff <(jq -S 'del(.vocab_size)' base/config.json) <(jq -S 'del(.vocab_size)' model/config.json)
    jq -e '.vocab_size' model/config.json
    for f in special_tokens_map.json chat_template.jinja LICENSE.txt generation_config.json tokenizer_config.json; do
        cmp "base/$f" "model/$f"
    done
    [ ! -e model/pytorch_model.bin ]
}

@test "model-init: a base with a number that is not finite, or that does not fit the type, is 65 and leaves nothing" {
    plain_base
    n=$(od -An -tu8 -N8 base/model.safetensors | tr -d ' ')
    # The last number of the file, of the last norm.
    printf '\0\0\xc0\x7f' | dd of=base/model.safetensors bs=1 seek=$(($(stat -c %s base/model.safetensors) - 4)) conv=notrunc status=none
    run -65 --separate-stderr model-init --base base --clusters 1 -o new
    [[ $stderr == *"base/model.safetensors: tensor model.norm.weight: element 31 is not finite" ]]
    printf '\0\0\x80\x4f' | dd of=base/model.safetensors bs=1 seek=$(($(stat -c %s base/model.safetensors) - 4)) conv=notrunc status=none
    run -65 --separate-stderr model-init --base base --clusters 1 --dtype f16 -o new
    [[ $stderr == *"model.norm.weight has a number that is too large for F16" ]]
    printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n' >base/model.safetensors
    run -65 --separate-stderr model-init --base base --clusters 1 -o new
    [[ $stderr == "model-init: base/model.safetensors: a Git LFS pointer in place of the file: "* ]]
    [ "$(echo ./*new*)" = "./*new*" ]
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
