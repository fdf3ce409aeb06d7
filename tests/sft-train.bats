#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# sft-train: what it refuses, that it learns, and that nothing but its input, options and seed can be seen in its bytes.
load helper
load tiny-model

# model DIR: a Llama of 40 tokens, 8 wide, one layer, in bfloat16 from a small generator in awk.
model() {
    mkdir -p "$1"
    cat >"$1/config.json" <<'END'
{"model_type":"llama","vocab_size":40,"hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,
"intermediate_size":16,"max_position_embeddings":64,"rms_norm_eps":1e-5,"rope_theta":10000,"tie_word_embeddings":true,
"bos_token_id":0,"eos_token_id":1,"hidden_act":"silu"}
END
    awk 'function tensor(name, rows, cols,  n) {
            n = rows * (cols ? cols : 1)
            header = header sprintf("%s\"%s\":{\"dtype\":\"BF16\",\"shape\":[%s],\"data_offsets\":[%d,%d]}", header ? "," : "{",
                name, cols ? rows "," cols : rows, 2 * at, 2 * (at + n))
            at += n
            norm[at] = !cols
            ends[++tensors] = at
        }
        BEGIN {
            tensor("model.embed_tokens.weight", 40, 8)
            p = "model.layers.0."
            tensor(p "input_layernorm.weight", 8); tensor(p "self_attn.q_proj.weight", 8, 8)
            tensor(p "self_attn.k_proj.weight", 4, 8); tensor(p "self_attn.v_proj.weight", 4, 8)
            tensor(p "self_attn.o_proj.weight", 8, 8); tensor(p "post_attention_layernorm.weight", 8)
            tensor(p "mlp.gate_proj.weight", 16, 8); tensor(p "mlp.up_proj.weight", 16, 8)
            tensor(p "mlp.down_proj.weight", 8, 16); tensor("model.norm.weight", 8)
            header = header "}"
            while (length(header) % 8) header = header " "
            printf "%02x%02x%s%s", length(header) % 256, int(length(header) / 256), "000000000000", ""
            for (i = 1; i <= length(header); i++) printf "%02x", index(ascii(), substr(header, i, 1)) + 31
            i = 0
            for (t = 1; t <= tensors; t++)
                for (; i < ends[t]; i++) {
                    x = (x * 1103515245 + 12345) % 2147483648
                    if (norm[ends[t]]) printf "803f"
                    else printf "%02x%s", int(x / 65536) % 256, int(x / 16777216) % 2 ? "3e" : "be"
                }
        }
        function ascii(  c, s) { for (c = 32; c < 127; c++) s = s sprintf("%c", c); return s }' |
        perl -pe '$_ = pack("H*", $_)' >"$1/model.safetensors"
    echo '{"model":"carried along"}' >"$1/generation_config.json"
}

# examples N: N lines; the last fifth is for validation.
examples() {
    jq -nc --argjson n "$1" 'range($n) as $i | [range(12) | (. * . + $i * 7) % 40] as $ids |
        {example_id: "ex\($i)#0", task: (if $i % 2 == 0 then "dialog" else "playlist" end), segments: [],
         split: (if $i >= $n * 4 / 5 then "valid" else "train" end), ids: $ids,
         labels: [$ids | to_entries[] | if .key > 3 then .value else -100 end], extra: "kept out"}'
}

# log FILE FILTER: what jq makes of all records together.
log() {
    mp2json "$1" | jq -sc "$2"
}

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    model base
    examples 20 | json2mp -o ex.mp 2>/dev/null
}

@test "sft-train: an empty stream is a data error" {
    run -65 --separate-stderr sft-train --model base --save out -o log.mp /dev/null
    [[ $stderr == *"no example to train on"* ]]
    [ ! -e log.mp ] && [ ! -e out/model.safetensors ]
}

@test "sft-train: what is saved has the type asked for, the keys of the starting folder's config.json and its files" {
    jq '. + {extra: [1, "x"], torch_dtype: "bfloat16"}' base/config.json >c && mv c base/config.json
    echo template >base/chat_template.jinja
    for t in f32 bf16 f16; do
        sft-train --model base --save "out.$t" --steps 2 --batch 4 --dtype "$t" -o log.mp ex.mp 2>/dev/null
        cmp base/chat_template.jinja "out.$t/chat_template.jinja"
    done
    jq -se '(map(.torch_dtype) == ["bfloat16", "float32", "bfloat16", "float16"])
        and (map(del(.torch_dtype, .architectures)) | unique | length) == 1' \
        base/config.json out.*32/config.json out.bf16/config.json out.f16/config.json
    # bfloat16 is float32 rounded: the upper half of each number, or one more.
    tail -c 16 out.bf16/model.safetensors | od -An -v -tu2 -w2 >bf16
    tail -c 32 out.f32/model.safetensors | od -An -v -tu4 -w4 >f32
    paste bf16 f32 | awk '{h = int($2 / 65536); r = $2 % 65536; if (r > 32768 || (r == 32768 && h % 2)) h++; bad += h != $1} END {exit bad > 0 || NR != 8}'
}

@test "sft-train: one example is enough, and one batch is learnt to a loss below 0.05" {
    examples 1 | jq -c '.split = "train"' | json2mp -o one.mp
    run -0 --separate-stderr sft-train --model base --save out --steps 300 --rate 0.02 --decay constant --weight-decay 0 -o log.mp one.mp
    [[ $stderr == *"in=1 out=300 rejected=0 steps=300 kept=300 "* ]]
    [ "$(log log.mp 'length, .[299].loss < 0.05, .[0].loss > 2, (map(.split) | unique)')" = $'300\ntrue\ntrue\n["train"]' ]
}

@test "sft-train: log records are whole and the loss is the sum of its parts" {
    sft-train --model base --save out --steps 4 --valid-every 2 --batch 4 --warmup 2 --rate 0.01 --decay linear -o log.mp ex.mp
    [ "$(log log.mp 'map([.step, .split])')" = '[[1,"train"],[2,"train"],[2,"valid"],[3,"train"],[4,"train"],[4,"valid"]]' ]
    log log.mp 'all(.loss == .loss_dialog + .loss_playlist and .loss_selfsim == 0 and .loss_playlist > 0)' | grep -qx true
    log log.mp 'map(select(.split == "train")) | all(.grad_norm > 0)' | grep -qx true
    [ "$(log log.mp 'map(select(.split == "train") | .lr * 1e6 | round)')" = "[5000,10000,6667,3333]" ]
    [ "$(log log.mp 'map(select(.split == "train") | .tokens)')" = "[44,88,132,176]" ]
}

@test "sft-train: the folder has model, config, the ids trained on and what the first folder had besides" {
    sft-train --model base --save out --steps 2 --batch 4 -o log.mp ex.mp
    [ "$(sort out/trained.ids | tr '\n' ' ')" = "ex0 ex1 ex10 ex11 ex12 ex13 ex14 ex15 ex2 ex3 ex4 ex5 ex6 ex7 ex8 ex9 " ]
    LC_ALL=C sort -c out/trained.ids
    same base/generation_config.json out/generation_config.json
    [ "$(jq -c '[.vocab_size, .hidden_size, .tie_word_embeddings, .architectures[0]]' out/config.json)" = '[40,8,true,"LlamaForCausalLM"]' ]
    [ ! -e out/tokenizer.json ]
    # Into the same folder from another model: what that has not goes.
    rm base/generation_config.json
    echo note >out/mine.txt
    sft-train --model base --save out --steps 1 --batch 4 -o log.mp ex.mp
    [ "$(cd out && echo *)" = "config.json mine.txt model.safetensors trained.ids" ]
}

@test "sft-train: SIGTERM while shards are replaced leaves no mixture of two models" {
    if sanitized; then skip "not under sanitizers"; fi
    tiny_model 600 --hidden 128
    tune() {
        sft-train --model model --save out --shard-size 1 --steps 1 --batch 4 -o log.mp "$@" ex.mp
    }
    tune --rate 0.01
    [ "$(cd out && echo model-*)" = "$(printf 'model-0000%d-of-00003.safetensors ' 1 2 3 | sed 's/ $//')" ]
    mv out old
    tune --rate 0.02
    sha256sum <(cat old/model-*) <(cat out/model-*) | cut -d' ' -f1 >whole
    for ((n = 1; n < 20; n++)); do
        rm -rf out fired && cp -r old out
        (export FAULT=term:$n FAULT_FIRED=fired LD_PRELOAD=$BUILD/fault.so && tune --rate 0.02) || true
        [ -e fired ] || break
        if model-info out; then cat out/model-* | sha256sum | cut -d' ' -f1 | grep -qxFf whole; fi
    done
    [ "$n" -gt 4 ] && [ "$n" -lt 20 ]
    model-info out
    # And what is left of shards goes where there is one file.
    sft-train --model model --save out --steps 1 --batch 4 -o log.mp ex.mp
    [ "$(cd out && echo model*)" = model.safetensors ]
}

@test "sft-train: the saved model has the validation loss it was kept for, to the last bit" {
    sft-train --model base --save out --steps 40 --valid-every 10 --batch 4 --rate 0.01 -o log.mp ex.mp
    sft-train --model out --save again --steps 1 --rate 0 -o again.mp ex.mp
    want=$(log log.mp 'map(select(.split == "valid").loss) | min')
    [ "$(log again.mp 'map(select(.split == "valid").loss) | min')" = "$want" ]
    same out/model.safetensors again/model.safetensors
}

@test "sft-train: the weights of the lowest validation loss are kept, not the last" {
    run -0 --separate-stderr sft-train --model base --save out --steps 400 --valid-every 10 --rate 0.05 --decay constant -o log.mp ex.mp
    kept=$(log log.mp 'map(select(.split == "valid")) | min_by(.loss).step')
    [ "$kept" -lt 400 ]
    [[ $stderr == *" kept=$kept "* ]]
}

@test "sft-train: same bytes twice, for 1 and 4 threads, and for any order of examples in any number of files" {
    options=(--model base --steps 30 --valid-every 10 --batch 5 --rate 0.01 --mix 0.3)
    sft-train "${options[@]}" --save a --threads 1 -o a.mp ex.mp
    sft-train "${options[@]}" --save b --threads 4 -o b.mp ex.mp
    examples 20 | tac >back && head -7 back | json2mp >one.mp && tail -n +8 back | json2mp >two.mp
    sft-train "${options[@]}" --save c -o c.mp two.mp one.mp
    same a/model.safetensors b/model.safetensors && same a.mp b.mp
    same a/model.safetensors c/model.safetensors && same a.mp c.mp
    sft-train "${options[@]}" --save d --seed 2 -o d.mp ex.mp
    run -1 cmp -s a.mp d.mp
}

@test "sft-train: --mix is the share of conversations, by tokens with --batch-tokens" {
    sft-train --model base --save out --steps 1 --mix 1 -o log.mp ex.mp
    log log.mp '.[0].loss_playlist == 0 and .[0].loss_dialog > 0' | grep -qx true
    sft-train --model base --save out --steps 1 --mix 0 -o log.mp ex.mp
    log log.mp '.[0].loss_playlist > 0 and .[0].loss_dialog == 0' | grep -qx true
    sft-train --model base --save out --epochs 2 --batch-tokens 50 -o log.mp ex.mp
    [ "$(log log.mp '.[-1].step')" = 8 ] # 16 examples of 11 tokens, twice, 50 at a time
    [ "$(log log.mp '.[0].tokens')" = 44 ]
}

@test "sft-train: killed at any moment and resumed, it ends with the same bytes" {
    options=(--model base --steps 4000 --valid-every 50 --batch 4 --rate 0.01 --checkpoint-every 7)
    sft-train "${options[@]}" --save a --checkpoint a.ckpt -o a.mp ex.mp
    for wait in 0.02 0.2; do
        rm -rf b b.ckpt b.mp
        sft-train "${options[@]}" --save b --checkpoint b.ckpt -o b.mp ex.mp 2>/dev/null &
        until [ -e b.ckpt ]; do sleep 0.01; done
        sleep "$wait"
        kill -9 $!
        killed=0
        wait $! || killed=$?
        [ "$killed" = 137 ]
        [ ! -e b/model.safetensors ] && [ ! -e b.mp ]
        sft-train "${options[@]}" --save b --checkpoint b.ckpt --resume -o b.mp ex.mp
        same a/model.safetensors b/model.safetensors
        same a.mp b.mp
        same a.ckpt b.ckpt
    done
}

@test "sft-train: killed and resumed with bfloat16 and activations computed twice, it ends with the same bytes" {
    options=(--model base --steps 1500 --valid-every 50 --batch 4 --rate 0.01 --checkpoint-every 7 --precision bf16 --moments bf16)
    sft-train "${options[@]}" --save a --checkpoint a.ckpt -o a.mp ex.mp 2>/dev/null
    sft-train "${options[@]}" --save b --checkpoint b.ckpt --checkpointing -o b.mp ex.mp 2>/dev/null &
    until [ -e b.ckpt ]; do sleep 0.01; done
    sleep 0.1
    kill -9 $!
    killed=0
    wait $! || killed=$?
    [ "$killed" = 137 ]
    sft-train "${options[@]}" --save b --checkpoint b.ckpt --resume --threads 1 -o b.mp ex.mp
    same a/model.safetensors b/model.safetensors
    same a.mp b.mp
    # they are not the bytes of float32, and learn as much
    sft-train --model base --save c --steps 1500 --valid-every 50 --batch 4 --rate 0.01 -o c.mp ex.mp
    run -1 cmp -s a/model.safetensors c/model.safetensors
    for run in a c; do log $run.mp '.[0].loss, (map(select(.split == "train")) | .[-50:] | map(.loss) | add / length)'; done >ends
    awk '{x[NR] = $1} END {exit !(x[4] < 0.8 * x[3] && x[2] < 2 * x[4])}' ends
    run -65 --separate-stderr sft-train "${options[@]}" --moments f32 --save b --checkpoint b.ckpt --resume -o b.mp ex.mp
    [[ $stderr == *"--moments was 1 in the interrupted run and is 0 here"* ]]
}

@test "sft-train: bfloat16 on a processor that has no products of it learns what float32 learns" {
    options=(--model base --steps 60 --valid-every 20 --batch 4 --rate 0.01)
    ONEDNN_MAX_CPU_ISA=AVX2 sft-train "${options[@]}" --precision bf16 --save a -o a.mp ex.mp
    ONEDNN_MAX_CPU_ISA=AVX2 sft-train "${options[@]}" --precision bf16 --save b --threads 1 -o b.mp ex.mp
    same a/model.safetensors b/model.safetensors
    sft-train "${options[@]}" --save c -o c.mp ex.mp
    paste <(log a.mp '.[].loss') <(log c.mp '.[].loss') | tee losses |
        awk '{d = $1 / $2 - 1; if (d * d > 4e-4) bad++} END {exit bad > 0 || NR < 60}'
}

@test "sft-train: a resume whose best weights are gone is refused, a finished run can be resumed" {
    options=(--model base --save a --steps 40 --valid-every 10 --checkpoint-every 30 --checkpoint a.ckpt)
    sft-train "${options[@]}" -o a.mp ex.mp
    cp a/model.safetensors first && cp a.mp first.mp
    sft-train "${options[@]}" --resume -o a.mp ex.mp
    same a/model.safetensors first
    same a.mp first.mp
    rm a.ckpt.best-*
    run -65 --separate-stderr sft-train "${options[@]}" --resume -o b.mp ex.mp
    [[ $stderr == *"a.ckpt.best-"*"the weights that the interrupted run kept are not there"* ]]
}

@test "sft-train: no file of weights is left over without a checkpoint" {
    touch stale && mkdir out && touch out/model.best-7 out/model.best-7x
    sft-train --model base --save out --steps 40 --valid-every 10 -o log.mp ex.mp
    [ "$(cd out && echo *best*)" = model.best-7x ]
}

@test "sft-train: --resume without a checkpoint starts at the beginning" {
    sft-train --model base --save a --steps 5 -o a.mp ex.mp
    sft-train --model base --save b --steps 5 --checkpoint none.ckpt --resume -o b.mp ex.mp
    same a.mp b.mp
}

@test "sft-train: a resume with another seed, option, model or other data is refused and says which" {
    options=(--model base --save a --steps 6 --checkpoint-every 3 --checkpoint a.ckpt)
    sft-train "${options[@]}" -o a.mp ex.mp
    run -65 --separate-stderr sft-train "${options[@]}" --resume --seed 2 -o b.mp ex.mp
    [[ $stderr == *"--seed was 1 in the interrupted run and is 2 here"* ]]
    run -65 --separate-stderr sft-train "${options[@]}" --resume --rate 0.5 -o b.mp ex.mp
    [[ $stderr == *"--rate was 0.0001 in the interrupted run and is 0.5 here"* ]]
    run -65 --separate-stderr sft-train "${options[@]}" --resume --steps 7 -o b.mp ex.mp
    [[ $stderr == *"number of steps was 6 in the interrupted run and is 7 here"* ]]
    examples 20 | jq -c '.ids[11] = 0 | .labels[11] = 0' | json2mp >other.mp
    run -65 --separate-stderr sft-train "${options[@]}" --resume -o b.mp other.mp
    [[ $stderr == *"training data: not the same as in the interrupted run"* ]]
    cp -r a changed
    run -65 --separate-stderr sft-train "${options[@]}" --model changed --resume -o b.mp ex.mp
    [[ $stderr == *"starting model: not the same as in the interrupted run"* ]]
}

@test "sft-train: a checkpoint that is cut off or changed is refused" {
    options=(--model base --save a --steps 6 --checkpoint-every 3 --checkpoint a.ckpt)
    sft-train "${options[@]}" -o a.mp ex.mp
    cp a.ckpt whole
    for cut in 0 1 100 1000 $(($(stat -c %s whole) - 1)); do
        head -c "$cut" whole >a.ckpt
        run -65 --separate-stderr sft-train "${options[@]}" --resume -o b.mp ex.mp
        [[ $stderr == *a.ckpt* ]]
    done
    mp2json whole | jq -c 'if .block == "moment1" then .offset = 1 else . end' | json2mp -o a.ckpt
    run -65 --separate-stderr sft-train "${options[@]}" --resume -o b.mp ex.mp
    [[ $stderr == *"record 3"*"expected moment1 from 0 on"* ]]
    { cat whole && printf '\x80\n'; } >a.ckpt
    run -65 --separate-stderr sft-train "${options[@]}" --resume -o b.mp ex.mp
    [[ $stderr == *"goes on behind its end"* ]]
}

@test "sft-train: bad examples are data errors that name what is wrong" {
    while IFS=@ read -r change message; do
        examples 20 | jq -c "if .example_id == \"ex2#0\" then $change else . end" | json2mp >bad.mp
        run -65 --separate-stderr sft-train --model base --save out --steps 1 -o log.mp bad.mp
        [[ $stderr == *"$message"* ]] || { echo "$change: $stderr"; false; }
    done <<'END'
.ids[3] = 40@ids: 
.ids = "x"@ids: expected array
del(.labels)@labels: missing
.labels = [1]@labels: expected 12 as ids, got 1
.labels[5] = 1@labels: element 5: expected -100 or the id
.split = "test"@split: a test example is not for training
.split = "other"@split: expected train, valid or test, got "other"
.task = "chat"@task: expected dialog or playlist, got chat
.example_id = "ex9#0"@example_id ex9#0 comes twice
(.ids = [range(65)]) * {labels: [range(65)]}@more than the model's 64 positions
END
}

@test "sft-train: a stream that is cut off is a data error with its position" {
    head -c 1000 ex.mp >cut.mp
    run -65 --separate-stderr sft-train --model base --save out --steps 1 -o log.mp cut.mp
    [[ $stderr == *"cut.mp: record "* ]]
}

@test "sft-train: with --rejects a bad example is set aside and the others are trained on" {
    examples 20 | jq -c 'if .example_id == "ex2#0" then .ids[3] = 40 else . end' | json2mp >bad.mp
    run -0 --separate-stderr sft-train --model base --save out --steps 1 --rejects r.mp -o log.mp bad.mp
    [[ $stderr == *"in=20 out=2 rejected=1 "* ]]
    [ "$(log r.mp 'map(.record)')" = "[3]" ]
    run -1 grep -x ex2 out/trained.ids
}

@test "sft-train: a full disk is status 74, a closed pipe ends quietly, and no model is left" {
    run -74 --separate-stderr sft-train --model base --save out --steps 3 -f -o /dev/full ex.mp
    [[ $stderr == *"/dev/full"* ]]
    [ ! -e out/model.safetensors ]
    run -0 bash -o pipefail -c '{ sft-train --model base --save out --steps 3000 -f ex.mp 2>err; echo $? >status; } | head -c 100 >/dev/null'
    [ "$(cat status)" = 141 ] && [ ! -s err ]
    [ ! -e out/model.safetensors ]
}

@test "sft-train: folders and options that cannot work are refused before the work" {
    run -66 --separate-stderr sft-train --model none --save out --steps 1 -o log.mp ex.mp
    [[ $stderr == *"none/config.json"* ]]
    run -64 --separate-stderr sft-train --model base --save base --steps 1 -o log.mp ex.mp
    [[ $stderr == *"--save: base is the model to start from"* ]]
    run -73 --separate-stderr sft-train --model base --save no/such/folder --steps 1 -o log.mp ex.mp
    run -64 --separate-stderr sft-train --model base --save out --steps 1 --resume -o log.mp ex.mp
    [[ $stderr == *"--resume: needs --checkpoint"* ]]
    run -64 --separate-stderr sft-train --model base --save out --steps 5 --warmup 5 -o log.mp ex.mp
    run -64 --separate-stderr sft-train --model base --save out --mix 2 -o log.mp ex.mp
    run -64 --separate-stderr sft-train --save out ex.mp
    [[ $stderr == *--model* ]]
}

@test "sft-train: a rate that makes the loss infinite is a data error, not a model of NaNs" {
    run -65 --separate-stderr sft-train --model base --save out --steps 200 --rate 10 --clip 0 --decay constant --weight-decay 10 -o log.mp ex.mp
    [[ $stderr == *"the loss is not finite"* ]]
    [ ! -e out/model.safetensors ]
}

@test "sft-train: a model file that is cut off anywhere is a data error" {
    size=$(stat -c %s base/model.safetensors)
    cp base/model.safetensors whole
    for cut in 0 7 8 100 1000 $((size - 1)); do
        head -c "$cut" whole >base/model.safetensors
        run -65 --separate-stderr sft-train --model base --save out --steps 1 -o log.mp ex.mp
        [[ $stderr == *base/model.safetensors* ]]
    done
}

# tensor FILE NAME: the bytes of a float32 tensor that the file holds.
tensor() {
    python3 -c '
import json, struct, sys
f = open(sys.argv[1], "rb")
n = struct.unpack("<Q", f.read(8))[0]
begin, end = json.loads(f.read(n))[sys.argv[2]]["data_offsets"]
f.seek(8 + n + begin)
sys.stdout.buffer.write(f.read(end - begin))' "$1" "$2"
}

@test "sft-train: --train new-rows changes the rows of the music tokens, and nothing else by a byte" {
    jq -nc '{added_tokens: ([range(4) | {id: (20 + .), content: "<|playlist-\(.)|>"}] + [{id: 24, content: "<end_of_music>"}])}' >base/tokenizer.json
    sft-train --model base --save zero --steps 1 --rate 0 -o zero.mp ex.mp
    sft-train --model base --save out --steps 60 --rate 0.02 --train new-rows --checkpoint c.ckpt --checkpoint-every 60 -o log.mp ex.mp
    log log.mp 'map(select(.split == "train").loss) | .[59] < .[0]' | grep -qx true
    for name in layers.0.self_attn.q_proj layers.0.mlp.down_proj layers.0.input_layernorm norm; do
        same <(tensor zero/model.safetensors model.$name.weight) <(tensor out/model.safetensors model.$name.weight)
    done
    for run in zero out; do tensor "$run/model.safetensors" model.embed_tokens.weight | split -b 32 -d -a 2 - "$run.row."; done
    for row in {00..39}; do
        if ((10#$row >= 20 && 10#$row <= 24)); then
            run -1 cmp -s "zero.row.$row" "out.row.$row"
        else
            same "zero.row.$row" "out.row.$row"
        fi
    done
    mp2json c.ckpt | jq -c 'select(.block) | [.block, .offset, (.vector | length)]' >blocks
    [ "$(xargs <blocks)" = '[weights,160,40] [moment1,160,40] [moment2,160,40]' ]
}

@test "sft-train: --train lora:R learns, saves merged weights, and resumes to the same bytes" {
    jq -nc '{added_tokens: ([range(4) | {id: (20 + .), content: "<|playlist-\(.)|>"}] + [{id: 24, content: "<end_of_music>"}])}' >base/tokenizer.json
    options=(--model base --steps 60 --rate 0.02 --train lora:3 --valid-every 30 --checkpoint-every 30)
    sft-train "${options[@]}" --save a --checkpoint a.ckpt -o a.mp ex.mp
    sft-train --model base --save rows --steps 60 --rate 0.02 --train new-rows -o rows.mp ex.mp
    log a.mp 'map(select(.split == "train").loss)[59]' >ends && log rows.mp 'map(select(.split == "train").loss)[59]' >>ends
    awk '{x[NR] = $1} END {exit !(x[1] < x[2])}' ends
    same <(tensor rows/model.safetensors model.norm.weight) <(tensor a/model.safetensors model.norm.weight)
    run -1 cmp -s <(tensor rows/model.safetensors model.layers.0.mlp.up_proj.weight) <(tensor a/model.safetensors model.layers.0.mlp.up_proj.weight)
    # what was saved, read again, has the loss of the step that it was kept for
    sft-train --model a --save again --steps 1 --rate 0 -o again.mp ex.mp
    log a.mp 'map(select(.split == "valid").loss) | min' >ends && log again.mp 'map(select(.split == "valid").loss)[0]' >>ends
    awk '{x[NR] = $1} END {d = x[1] - x[2]; exit !(d < 1e-4 && d > -1e-4)}' ends
    cp a.ckpt b.ckpt && for f in a.ckpt.best-*; do cp "$f" "b.${f#a.}"; done
    sft-train "${options[@]}" --save b --checkpoint b.ckpt --resume -o b.mp ex.mp
    same a/model.safetensors b/model.safetensors
    same a.mp b.mp
    run -65 --separate-stderr sft-train "${options[@]}" --train lora:4 --save b --checkpoint b.ckpt --resume -o b.mp ex.mp
    [[ $stderr == *"the rank of --train lora was 3 in the interrupted run and is 4 here"* ]]
    for what in lora: lora:0 lora:3x lora:99999 rows; do
        run -64 --separate-stderr sft-train --model base --save c --train "$what" -o c.mp ex.mp
        [[ $stderr == *"--train: expected all, new-rows or lora:R"* ]]
    done
    rm base/tokenizer.json
    run -66 --separate-stderr sft-train --model base --save c --train new-rows -o c.mp ex.mp
}

# centroids N: N codes of modality playlist on a half circle; the second stands for no track.
centroids() {
    jq -nc --argjson n "$1" 'range($n) | {modality: "playlist", index: ., count: (if . == 1 then 0 else 3 end),
        vector: [(. * 3.14159265 / $n | cos), (. * 3.14159265 / $n | sin)]}'
}

@test "sft-train: --centroids brings the tokens of live codes to the similarities of their centroids" {
    jq -nc '{added_tokens: [range(5) | {id: (20 + .), content: "<|playlist-\(.)|>", special: false}]}' >base/tokenizer.json
    centroids 5 | json2mp -o c.mp
    sft-train --model base --save out --steps 100 --rate 0.02 --lambda 10 --centroids c.mp -o log.mp ex.mp
    log log.mp 'map(select(.split == "train")) | all((.loss - .loss_dialog - .loss_playlist - 10 * .loss_selfsim | fabs) < 1e-9)' | grep -qx true
    log log.mp 'map(select(.split == "train")) | .[0].loss_selfsim > 0.3 and .[99].loss_selfsim < 0.05' | grep -qx true
    same base/tokenizer.json out/tokenizer.json
    sft-train --model base --save one --steps 1 --threads 1 --centroids c.mp -o a.mp ex.mp
    sft-train --model base --save four --steps 1 --threads 4 --centroids c.mp -o b.mp ex.mp
    same one/model.safetensors four/model.safetensors
}

@test "sft-train: a centroid whose token the model does not have is a data error naming it" {
    jq -nc '{added_tokens: [range(4) | {id: (20 + .), content: "<|playlist-\(.)|>", special: false}]}' >base/tokenizer.json
    centroids 5 | json2mp -o c.mp
    run -65 --separate-stderr sft-train --model base --save out --steps 1 --centroids c.mp -o log.mp ex.mp
    [[ $stderr == *"base/tokenizer.json: no added token <|playlist-4|>"* ]]
    rm base/tokenizer.json
    run -66 --separate-stderr sft-train --model base --save out --steps 1 --centroids c.mp -o log.mp ex.mp
    [[ $stderr == *base/tokenizer.json* ]]
}
