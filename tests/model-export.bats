#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The file's inside, read by another parser, is in tests/unit/test_gguf.c.
# shellcheck disable=SC2154 # run sets stderr
load helper
load tiny-model

@test "model-export: a GGUF of version 3 for any type, the same for 1 and 4 threads and for shards" {
    tiny_model 600 --hidden 128 --shard-size 1
    mv model shards
    tiny_model 600 --hidden 128
    for t in base f32 f16 bf16 q8_0; do
        run -0 --separate-stderr model-export --model model --type $t --gguf $t.gguf --threads 1
        [ "$output$stderr" = "" ]
        model-export --model shards --type $t --gguf again.gguf --threads 4
        same $t.gguf again.gguf
        [ "$(head -c 8 $t.gguf | od -An -tx1 | tr -d ' ')" = 4747554603000000 ]
        # 20 tensors: 2 layers of 9, embedding and norm.
        [ "$(od -An -tu8 -j8 -N8 $t.gguf | tr -d ' ')" = 20 ]
    done
    same base.gguf f32.gguf
    grep -aq '<|audio-599|>' base.gguf
    [ "$(stat -c %s bf16.gguf)" -lt $(($(stat -c %s f32.gguf) * 6 / 10)) ]
    [ "$(stat -c %s q8_0.gguf)" -lt "$(stat -c %s bf16.gguf)" ]
}

@test "model-export: bfloat16 stays what it is; what begins a text is told" {
    tiny_model 3 --dtype bf16
    model-export --model model --gguf a.gguf
    model-export --model model --type bf16 --gguf b.gguf
    same a.gguf b.gguf
    after() {
        grep -aobF "$1" a.gguf | cut -d: -f1 | { read -r at; od -An -tu1 -j $((at + ${#1})) -N5 a.gguf | tr -s ' '; }
    }
    [[ "$(after tokenizer.ggml.add_bos_token)" == " 7 0 0 0 1" ]]
    sed -i 's/"model_max_length": [0-9]*/"model_max_length": 1000000000000000019884624838656/' model/tokenizer_config.json # transformers' largest
    model-export --model model --gguf b.gguf
    same a.gguf b.gguf
    jq '.post_processor = null' model/tokenizer.json >t && mv t model/tokenizer.json
    model-export --model model --gguf a.gguf
    [[ "$(after tokenizer.ggml.add_bos_token)" == " 7 0 0 0 0" ]]
}

@test "model-export: what cannot be written for llama.cpp is refused by name, and leaves nothing" {
    tiny_model 3
    run -64 --separate-stderr model-export --model model
    run -66 --separate-stderr model-export --model none --gguf a.gguf
    run -73 --separate-stderr model-export --model model --gguf none/a.gguf
    run -74 --separate-stderr model-export --model model --gguf /dev/full
    cp model/tokenizer.json good.json
    jq '.pre_tokenizer.pretokenizers[0].pattern.Regex = "\\s+"' good.json >model/tokenizer.json
    run -65 --separate-stderr model-export --model model --gguf a.gguf
    [[ $stderr == "model-export: model/tokenizer.json: pre_tokenizer: llama.cpp has no name for this split: "* ]]
    jq '.added_tokens += [.added_tokens[-1] | .id += 1 | .content = "one more"]' good.json >model/tokenizer.json
    run -65 --separate-stderr model-export --model model --gguf a.gguf
    [[ $stderr =~ "model: the tokenizer has "[0-9]+" tokens, the model "[0-9]+$ ]]
    rm model/tokenizer.json
    run -66 --separate-stderr model-export --model model --gguf a.gguf
    cp good.json model/tokenizer.json
    printf '\0\0\xc0\x7f' | dd of=model/model.safetensors bs=1 seek=$(($(stat -c %s model/model.safetensors) - 4)) conv=notrunc status=none
    run -65 --separate-stderr model-export --model model --gguf a.gguf
    [[ $stderr == *"tensor model.norm.weight: element 31 is not finite" ]]
    [ "$(echo a.gguf*)" = "a.gguf*" ]
}

@test "model-export: every call of write, close, open and rename that fails is told, and leaves no file" {
    tiny_model 1
    faults "write open rename" "65 66 73 74" model-export --model model --gguf out.gguf
}
