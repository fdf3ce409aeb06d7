#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The whole way, from sources to report, by pipelines/talkplay.mk: the demo on a small part of its data (tests/small).
load helper

# Two clean runs at once, which the tests read: one thread and one piece; two threads, three pieces on two machines,
# make -j2, and training in two processes.
setup_file() {
    export DATA=$BATS_FILE_TMPDIR/data A=$BATS_FILE_TMPDIR/a B=$BATS_FILE_TMPDIR/b
    "$ROOT/tests/small/data.sh" "$DATA"
    export HOSTS_FOLDER=$BATS_FILE_TMPDIR/hosts PARALLEL_SSH=$ROOT/tests/small/ssh
    mkdir -p "$HOSTS_FOLDER/elsewhere"
    small "$A" THREADS=1 PARTS=1 >"$BATS_FILE_TMPDIR/a.txt" 2>&1 &
    small "$B" THREADS=2 PARTS=3 HOSTS=:,elsewhere LAUNCH="env ASAN_OPTIONS=detect_leaks=0 mpirun -n 2" -j2 >"$BATS_FILE_TMPDIR/b.txt" 2>&1 || { tail -n 20 "$BATS_FILE_TMPDIR/b.txt"; return 1; }
    wait $! || { tail -n 20 "$BATS_FILE_TMPDIR/a.txt"; return 1; }
}

# small RUN [OPTION]...: the makefile with the small configuration. What a make around the tests was told is not for it.
small() {
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$ROOT" --no-print-directory -f pipelines/talkplay.mk \
        CONFIG=tests/small/config.mk DATA="$DATA" BUILD="$BUILD" RUN="$1" THREADS=1 "${@:2}"
}

# copy RUN: a run of this test's own, as complete as the first.
copy() {
    cp -a "$A" "$1"
}

# changed SINCE RUN: what is newer in a run, but for what it keeps of stderr.
changed() {
    (cd "$2" && find . -type f -newer "$1" ! -path './log/*' | sed 's|^\./||' | sort)
}

# type FILE: the type of its records.
type() {
    case ${1##*/} in
    playlists.mp) echo playlist ;;
    tracks.mp) echo track ;;
    frames.mp) echo frame ;;
    embedding.*) echo embedding ;;
    joined.mp) echo joined ;;
    centroid.*) echo centroid ;;
    items.mp) echo item ;;
    codebook.mp) echo codebook ;;
    dialogs.mp | dialogs.train.mp | dialogs.test.mp | synth.mp) echo dialog ;;
    text.mp | examples.mp) echo example ;;
    prompts.mp) echo prompt ;;
    generation.*) echo generation ;;
    ranking.*) echo ranking ;;
    metric.mp) echo metric ;;
    log.mp) echo log ;;
    *) return 1 ;;
    esac
}

@test "run: clean runs with 1 and 2 threads, 1 and 3 pieces, 1 and 2 machines, 1 and 2 processes, make -j2, leave the same bytes in every file" {
    [ "$(grep -c ' model/model.safetensors$' "$A/SHA256SUMS")" -eq 1 ]
    diff "$A/SHA256SUMS" "$B/SHA256SUMS"
    # Pictures and the page too; commands name threads, pieces and processes, log times.
    diff -r -x log -x commands.txt "$A" "$B"
}

@test "run: SHA256SUMS names every stream, the model and the report, and holds" {
    cd "$A"
    sha256sum --quiet -c SHA256SUMS
    awk '{print $2}' SHA256SUMS | sort >"$BATS_TEST_TMPDIR/named"
    { ls ./*.mp model/* && echo clusters.json && echo report/report.txt && echo tokenizer.json; } | sed 's|^\./||' | sort |
        diff "$BATS_TEST_TMPDIR/named" -
    [ "$(wc -l <"$BATS_TEST_TMPDIR/named")" -ge 35 ]
}

@test "run: commands.txt, run again in another place, makes the same figures" {
    mkdir -p again/log
    sed "s|$A|$PWD/again|g" "$A/commands.txt" >commands
    [ "$(grep -c "^sft-train " commands)" -eq 1 ]
    (cd "$ROOT" && bash -eu -o pipefail "$BATS_TEST_TMPDIR/commands" 2>"$BATS_TEST_TMPDIR/said")
    same "$A/metric.mp" again/metric.mp
    same "$A/model/model.safetensors" again/model/model.safetensors
}

@test "run: versions.txt has each program's version and sum, and neither host nor path nor time" {
    local sum
    read -r sum _ < <(sha256sum <"$BUILD/bin/kmeans")
    [ "$(grep -c "^kmeans (.*) [0-9.]* $sum$" "$A/versions.txt")" -eq 1 ]
    [ "$(wc -l <"$A/versions.txt")" -eq 24 ]
    run -1 grep -E "/|$(uname -n)|[0-9]:[0-9]" "$A/versions.txt"
}

@test "run: each artifact prints through mp2json and jq, and json2mp makes the same bytes of it" {
    n=0
    for f in "$A"/*.mp; do
        mp2json "$f" >json
        jq -c . json >lines
        [ -s "$f" ] && [ "$(wc -l <lines)" -eq "$(wc -l <json)" ]
        json2mp -o back json
        same "$f" back
        n=$((n + 1))
    done
    [ "$n" -ge 28 ]
}

@test "run: each artifact is a canonical stream of its type" {
    for f in "$A"/*.mp; do
        mpcheck --canonical "$(type "$f")" "$f"
    done
}

@test "run: a second make does nothing, in less than 2 seconds, and a dry one says so" {
    copy c
    touch since
    from=$(date +%s%3N)
    small "$PWD/c" >said
    [ $(($(date +%s%3N) - from)) -lt 2000 ]
    [ "$(cat said)" = "make: Nothing to be done for 'run'." ]
    [ "$(small "$PWD/c" -n)" = "make: Nothing to be done for 'run'." ]
    [ -z "$(changed "$PWD/since" c)" ]
}

@test "run: a dry run writes nothing, and what it lists is what is made" {
    copy c
    touch since
    small "$PWD/c" -n TOP=10 >listed
    small "$PWD/none" -n >all
    [ "$(grep -c '^sft-train ' all)" -eq 1 ]
    [ -z "$(changed "$PWD/since" c)" ] && [ ! -e none ]
    [ "$(small "$PWD/c" -n)" = "make: Nothing to be done for 'run'." ]
    small "$PWD/c" TOP=10 >said 2>/dev/null
    # What is kept of options is written without a word.
    grep -v '^\(printf\|touch\) ' listed | diff - <(grep -vxFf c/report/report.txt said)
    diff - <(changed "$PWD/since" c) <<'TEXT'
SHA256SUMS
commands.txt
generation.constrain.mp
metric.mp
options/TOP
ranking.bm25.mp
ranking.constrain.mp
ranking.paper.mp
ranking.popularity.mp
ranking.random.mp
ranking.search.mp
report/curves.png
report/curves.svg
report/report.html
report/report.json
report/report.txt
report/turns.png
report/turns.svg
versions.txt
TEXT
    mp2json c/ranking.bm25.mp | jq -es 'all(.tracks | length <= 10)'
}

# stages OPTION: programs that would run.
stages() {
    small "$A" -n "$1" >listed
    for program in "$BUILD"/bin/*; do
        if grep -q "\(^\|[| ]\)${program##*/}  *-" listed; then echo "${program##*/}"; fi
    done | xargs
}

@test "run: a changed option makes what depends on it, and nothing else" {
    [ "$(stages BM25='--history all')" = "bm25 score" ]
    [ "$(stages BEAMS=9)" = "gen match score" ]
    [ "$(stages CONSTRAIN="--max-expand 9")" = "gen match score" ]
    [ "$(stages SFT_TRAIN='--steps 9')" = "gen match score sft-train" ]
    [ "$(stages VOCAB=500)" = "bm25 bpe-train dialog-render gen match model-init prior score sft-train tokenize" ]
    [ "$(stages KMEANS='--clusters 9')" = "bm25 bpe-train dialog-render gen kmeans match model-init prior score sft-train tok-map tokenize" ]
    [ "$(stages MODALITIES='playlist metadata')" = "bm25 bpe-train dialog-render embed-join gen kmeans match model-init prior score sft-train tok-map tokenize" ]
    [ "$(stages SEED=2)" = "bm25 bpe-train dialog-render dialog-synth embed-join gen item2vec kmeans match model-init prior score sft-train text-embed tok-map tokenize" ]
    [ "$(stages THREADS=2)" = "" ]
}

@test "run: an option with quotes is kept as it is" {
    copy c
    small "$PWD/c" RENDER="--system 'Say \"hello\", 100 %'" "$PWD/c/text.mp" >/dev/null 2>&1
    [ "$(cat c/options/RENDER)" = "--system 'Say \"hello\", 100 %'" ]
    mp2json --limit 1 c/text.mp | grep -qF 'Say \"hello\", 100 %'
    small "$PWD/c" -n RENDER="--system 'Say \"hello\", 100 %'" "$PWD/c/text.mp" >said
    [[ $(cat said) == *"is up to date."* ]]
}

@test "run: a stage can be another program: kmeans in 20 lines of awk, and the run ends with a report" {
    [ "$(wc -l <"$ROOT/tests/small/awk/kmeans")" -le 20 ]
    copy c
    touch since
    small "$PWD/c" STAGES="$ROOT/tests/small/awk" >/dev/null 2>said || { cat said; return 1; }
    (cd c && sha256sum --quiet -c SHA256SUMS)
    [ c/report/report.txt -nt since ]
    for m in playlist semantic metadata; do
        mpcheck --canonical centroid "c/centroid.$m.mp"
        run -1 cmp -s "$A/centroid.$m.mp" "c/centroid.$m.mp"
    done
    # What does not need it is not made again.
    [ c/joined.mp -ot since ]
    grep -q '^kmeans (stand-in) ' c/versions.txt
}

@test "run: a stage that is killed leaves no target, and the next make ends as ever" {
    copy c
    mkdir stage
    printf '#!/bin/bash\n%s --limit 3 "$@"\nkill -9 $$\n' "$BUILD/bin/dialog-synth" >stage/dialog-synth
    printf '#!/bin/bash\n%s --limit 3 "$@"\nkill -9 $$\n' "$BUILD/bin/dialog-render" >stage/dialog-render
    chmod +x stage/*
    for stage in "3 synth.mp" "1 synth.mp" "1 text.mp" "2 prompts.mp"; do
        rm -f "c/${stage#* }"
        status=0
        small "$PWD/c" STAGES="$PWD/stage" PARTS="${stage% *}" "$PWD/c/${stage#* }" >/dev/null 2>said || status=$?
        [ "$status" -eq 2 ] || return 1
        [ ! -e "c/${stage#* }" ] || return 1
    done
    small "$PWD/c" >/dev/null 2>&1
    same "$A/SHA256SUMS" c/SHA256SUMS
}

@test "run: training that was killed goes on from its checkpoint, and ends with the same bytes" {
    copy c
    rm -r c/log.mp c/model
    touch c/kill
    run -2 small "$PWD/c" STAGES="$ROOT/tests/small/killed"
    [ -e c/checkpoint.mp ] && [ ! -e c/log.mp ] && [ ! -e c/model/model.safetensors ]
    rm c/kill
    small "$PWD/c" STAGES="$ROOT/tests/small/killed" >/dev/null 2>&1
    grep -q "begins at its checkpoint" c/log/log.mp.txt
    same "$A/SHA256SUMS" c/SHA256SUMS
    [ ! -e c/checkpoint.mp ]
}

@test "run: training that was killed begins afresh where an option has changed" {
    copy c
    touch c/kill
    run -2 small "$PWD/c" STAGES="$ROOT/tests/small/killed"
    [ -e c/checkpoint.mp ]
    rm c/kill
    small "$PWD/c" STAGES="$ROOT/tests/small/killed" SFT_TRAIN="--steps 2 --batch-tokens 600" "$PWD/c/log.mp" >/dev/null 2>&1
    grep -q "begins afresh" c/log/log.mp.txt
    [ "$(mp2json c/log.mp | jq -s 'map(select(.split == "train")) | length')" -eq 2 ]
}

@test "cv.sh: the mean over folds of each system, each fold tested on training conversations of its own" {
    SOURCE_OPTS="--data $DATA" "$ROOT/pipelines/cv.sh" 2 "$PWD/cv" env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$ROOT" \
        --no-print-directory -f pipelines/talkplay.mk CONFIG=tests/small/config.mk DATA="$DATA" BUILD="$BUILD" THREADS=1 \
        SFT_TRAIN="--steps 2 --batch-tokens 600" >table 2>said || { tail -n 5 said; return 1; }
    [ "$(cut -d ' ' -f 1 table | xargs)" = "2 bm25 constrain popularity search" ]
    for i in 1 2; do mp2json "cv-$i/dialogs.test.mp" | jq -r .dialog_id; done | sort >tested
    mp2json "$A/dialogs.mp" | jq -r 'select(.split != "test").dialog_id' | sort | diff tested -
    for i in 1 2; do mp2json "cv-$i/metric.mp"; done >metrics
    mean=$(grep '"bm25","metric":"mrr",' metrics | grep -v turn | sed 's/.*"value":\([^,]*\),.*/\1/' | awk '{s += $1} END {printf "%.3f", s / NR}')
    [ "$mean" != 0.000 ]
    [ "$(awk '$1 == "bm25" {print $3}' table)" = "$mean" ]
}

@test "cv.sh: bad arguments are 64, and a fold that fails ends it" {
    for n in 0 1 x 100; do run -64 --separate-stderr "$ROOT/pipelines/cv.sh" "$n" run true; done
    run -64 --separate-stderr "$ROOT/pipelines/cv.sh" 2 run
    run -1 --separate-stderr "$ROOT/pipelines/cv.sh" 2 run false
    [ -z "$output" ]
}

# The dataset itself may not be handed on; the programmes of examples/nyphil have its layout.
@test "run: examples/mpd takes a folder of slices and a model to start from, and ends with a report" {
    mkdir mpd base
    xzcat "$ROOT"/examples/nyphil/data/mpd.slice.*.json.xz | jq -c '.playlists[]' | sed -n '1~5p' >all
    for part in 1 2 3; do
        sed -n "$part~3p" all | jq -cs '{info: {}, playlists: .}' >"mpd/mpd.slice.$((part * 1000))-$((part * 1000 + 999)).json"
    done
    # Its embedding has rows to spare for the music tokens.
    cp "$A"/model.init/* base
    cp "$A/tokenizer.json" base
    mpd() {
        env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$ROOT" --no-print-directory -f pipelines/talkplay.mk CONFIG=examples/mpd/config.mk \
            MPD="$PWD/mpd" BASE="$PWD/base" BUILD="$BUILD" RUN="$PWD/m" FRAMES_OPTS="--data $DATA" KMEANS="--clusters 8" \
            ITEM2VEC="--dim 16" TEXT_EMBED="--dim 16" MODEL_INIT="--clusters 8" CONTEXT=256 TOP=20 BEAMS=8 RESPONSE_TOKENS=4 \
            SOURCE_OPTS="--date 2002-12-31 --days 365 --test 8 $PWD/mpd" THREADS=1 \
            SFT_TRAIN="--steps 5 --batch 8 --valid-max 5" "$@"
    }
    mpd -n >listed
    [ "$(grep -c '^sft-train ' listed)" -eq 1 ] && [ ! -e m ]
    mpd >said 2>&1 || { tail -n 5 said; return 1; }
    (cd m && sha256sum --quiet -c SHA256SUMS)
    # What is asked is what was simulated from the test's playlists.
    mp2json m/playlists.mp | jq -r 'select(.split == "test").playlist_id' | sort >testing
    [ "$(wc -l <testing)" -eq 8 ]
    mp2json m/prompts.mp | jq -r '.query_id | split("/")[0]' | sort -u | comm -13 testing - >strange
    [ -s m/prompts.mp ] && [ ! -s strange ]
    mp2json m/metric.mp | jq -es 'map(select(.system == "search" and .metric == "mrr" and (has("turn") | not)))[0].n > 8'
    grep -q "^Table 2" m/report/report.txt
    [ "$(mpd -n)" = "make: Nothing to be done for 'run'." ]
}
