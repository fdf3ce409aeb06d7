#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# sft-train under mpirun: any number of processes comes to the same bytes; and the signals that ask for a checkpoint.
load helper
load tiny-model

# MPI leaves much behind when it ends.
export ASAN_OPTIONS=detect_leaks=0

# examples N: N lines of 13 tokens; the last fifth is for validation.
examples() {
    jq -nc --argjson n "$1" 'range($n) as $i | [range(13) | (. * . + $i * 7) % 250] as $ids |
        {example_id: "ex\($i)#0", task: (if $i % 3 == 0 then "dialog" else "playlist" end), segments: [],
         split: (if $i >= $n * 4 / 5 then "valid" else "train" end), ids: $ids,
         labels: [$ids | to_entries[] | if .key > 3 then .value else -100 end]}' | mk "$2"
}

setup_file() {
    cd "$BATS_FILE_TMPDIR" || exit 1
    tiny_model 4
    examples 50 ex.mp
}

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    ln -s "$BATS_FILE_TMPDIR"/{model,ex.mp} .
}

# train SAVE OPTION...: steps of about seven micro-batches, so that each of the four shares has some.
train() {
    local save=$1
    shift
    "${launch[@]}" sft-train --model model --save "$save" --steps 8 --valid-every 4 --batch 20 --micro-tokens 40 --rate 0.01 \
        --threads 1 "$@"
}

# wait_for FILE PID: until the file is there, as long as the process lives.
wait_for() {
    while [ ! -e "$1" ] && kill -0 "$2" 2>/dev/null; do sleep 0.02; done
    [ -e "$1" ]
}

# ended_by SIGNAL PID: the process ended so.
ended_by() {
    local status=0
    wait "$2" || status=$?
    [ "$status" = $((128 + $1)) ]
}

@test "sft-train: 1, 2, 3 and 4 processes write the same model, log and checkpoint, from files and from standard input" {
    launch=() && train alone --checkpoint alone.ckpt --checkpoint-every 8 -o alone.mp ex.mp
    for n in 1 2 3 4; do
        launch=(mpirun -n "$n")
        train "by$n" --checkpoint "by$n.ckpt" --checkpoint-every 8 -o "by$n.mp" ex.mp
        same alone.mp "by$n.mp"
        same alone/model.safetensors "by$n/model.safetensors"
        same alone.ckpt "by$n.ckpt"
        same alone/trained.ids "by$n/trained.ids"
    done
    launch=(mpirun -n 2)
    train piped --checkpoint piped.ckpt <ex.mp >piped.mp
    same alone.mp piped.mp
    same alone/model.safetensors piped/model.safetensors
    # The steps were of several micro-batches: one share sums them in another order.
    launch=() && train one --shares 1 -o one.mp ex.mp
    run -1 cmp -s alone/model.safetensors one/model.safetensors
    # And neither changes what is computed.
    for f in alone one; do mp2json "$f.mp" | jq -c '[.loss, .grad_norm // 0 | . * 1e4 | round]' >"$f.txt"; done
    same alone.txt one.txt
}

@test "sft-train: in less memory and with adapters, too, several processes write the same bytes" {
    for options in "--train new-rows" "--train lora:2" "--moments bf16 --checkpointing" "--precision bf16"; do
        rm -rf a b
        # shellcheck disable=SC2086
        { launch=() && train a $options -o a.mp ex.mp && launch=(mpirun -n 2) && train b $options -o b.mp ex.mp; }
        same a.mp b.mp
        same a/model.safetensors b/model.safetensors
    done
}

@test "sft-train: a run goes on under another number of processes, to the same bytes" {
    launch=() && train whole -o whole.mp ex.mp
    # A stop behind the sixth step: its log cannot be written.
    launch=(mpirun -n 4)
    train part --checkpoint part.ckpt --checkpoint-every 3 -o part.mp ex.mp &
    wait_for part.ckpt $! && kill -KILL $!
    wait $! || true
    launch=(mpirun -n 2)
    train part --checkpoint part.ckpt --resume -o part.mp ex.mp
    same whole.mp part.mp
    same whole/model.safetensors part/model.safetensors
}

@test "sft-train: what is wrong ends all processes, and is told once" {
    launch=(mpirun -n 5)
    run -64 --separate-stderr train out -o log.mp ex.mp
    [ "$(grep -c "^sft-train: --shares: 5 processes need as many shares, there are 4$" <<<"$stderr")" = 1 ]
    launch=(mpirun -n 2)
    head -c 1000 ex.mp >cut.mp
    run -65 --separate-stderr train out -o log.mp cut.mp
    [ "$(grep -c "^sft-train: cut.mp: record .*cut off" <<<"$stderr")" = 1 ]
    run -66 --separate-stderr train out --model none -o log.mp ex.mp
    [ "$(grep -c "^sft-train: none/config.json: No such file" <<<"$stderr")" = 1 ]
    [ ! -e log.mp ] && [ ! -e out/model.safetensors ]
    # Two that do not run the same.
    run -65 --separate-stderr mpirun -n 1 sft-train --model model --save out ex.mp -o log.mp \
        : -n 1 sft-train --model model --save out --rate 0.5 ex.mp -o log.mp
    [[ $stderr == *"sft-train: process 1 has another model, checkpoint or options than process 0"* ]]
}

@test "sft-train: SIGUSR1 writes a checkpoint, SIGTERM writes one and ends; the run goes on to the same bytes" {
    long=(--model model --batch 20 --threads 1 --steps 400 --valid-every 50 --rate 0.01)
    sft-train "${long[@]}" --save whole -o whole.mp ex.mp
    sft-train "${long[@]}" --save part --checkpoint part.ckpt --checkpoint-every 1000 -o part.mp ex.mp &
    pid=$!
    wait_for part.ckpt.best-50 $pid
    kill -USR1 $pid
    wait_for part.ckpt $pid
    mv part.ckpt first.ckpt
    kill -TERM $pid
    ended_by 15 $pid
    [ ! -e part.mp ] && [ ! -e part/model.safetensors ]
    run -1 compgen -G 'part.mp.*'
    first=$(mp2json --limit 1 first.ckpt | jq .step) second=$(mp2json --limit 1 part.ckpt | jq .step)
    [ "$first" -ge 50 ] && [ "$second" -ge "$first" ] && [ "$second" -lt 400 ]
    sft-train "${long[@]}" --save part --checkpoint part.ckpt --resume -o part.mp ex.mp
    same whole.mp part.mp
    same whole/model.safetensors part/model.safetensors
}

@test "sft-train: mpirun passes SIGUSR1 on, and every process stops behind the same step at SIGTERM" {
    long=(--model model --batch 20 --micro-tokens 40 --threads 1 --steps 2000 --valid-every 2000 --rate 0.01)
    mpirun -n 2 sft-train "${long[@]}" --save part --checkpoint part.ckpt --checkpoint-every 5000 -o part.mp ex.mp 2>told &
    pid=$!
    wait_for part $pid
    sleep 0.1
    kill -USR1 $pid
    wait_for part.ckpt $pid
    mv part.ckpt first.ckpt
    kill -TERM $pid
    wait $pid || true
    [ "$(mp2json --limit 1 part.ckpt | jq .step)" -ge "$(mp2json --limit 1 first.ckpt | jq .step)" ]
    [ ! -e part.mp ]
}

@test "sft-train: without a checkpoint SIGTERM ends at once, and leaves nothing half-written" {
    sft-train --model model --steps 100000 --save out -o log.mp ex.mp &
    wait_for out $!
    kill -TERM $!
    ended_by 15 $!
    run -1 compgen -G 'log.mp*'
}

@test "sft-train: of best weights the newest and those of the last checkpoint are kept, no more" {
    sft-train --model model --batch 20 --threads 1 --steps 60 --valid-every 2 --rate 0.0005 --save out --checkpoint run.ckpt \
        --checkpoint-every 1000 -o log.mp ex.mp
    best=(run.ckpt.best-*)
    [ "$(mp2json log.mp | jq -s 'map(select(.split == "valid").loss) as $l |
        [range(1; $l | length) | select($l[.] < ($l[:.] | min))] | length')" -gt 5 ]
    [ "${#best[@]}" = 1 ]
}
