#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What every program owes its user, held against all of them at once. What is particular to one is in its own file.
load helper
load npy

# A small run of every stage, whose artifacts the commands below read.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || exit 1
    {
        jq -nc 'range(12) | {track_id: "t\(.)", title: "Song \(.)", artist: "Band \(. % 4)", album: "Album \(. % 3)",
            tags: ["tag\(. % 3)"], cold: (. == 11)}' | json2mp -o tracks.mp
        jq -nc 'range(6) as $p | {playlist_id: "p\($p)", name: "mix", tracks: [range(6) | "t\((. * ($p + 1)) % 11)"],
            split: (if $p == 5 then "valid" else "train" end), modified_at: (1500000000 + $p * 86400)}' | json2mp -o playlists.mp
        json2mp -o frames.mp <<'JSON'
{"role":"user","intent":"artist","text":"play {artist}"}
{"role":"user","intent":"track","text":"i want {track} by {artist}"}
{"role":"user","intent":"more","text":"more like that"}
{"role":"assistant","intent":"any","text":"here is one"}
JSON
        echo '{"playlists":[{"pid":1,"tracks":[{"track_uri":"a"}]},{"pid":2,"tracks":[{"track_uri":"b"}]}]}' >slice.json
        echo '{"a":1}{"a":2}' >objects.json
        printf 'a\nb\n' >ids.txt
        python3 "$ROOT/tests/audio.py" tone wav 16000 1 1.2 1
        jq -nc --arg p "$PWD/tone" 'range(3) | {track_id: "t\(.)", title: "x", artist: "y", audio_path: $p}' | json2mp -o sound.mp
        npy m.npy 1 '<f4' False
        item2vec --dim 8 --min-count 1 -o playlist.mp playlists.mp
        text-embed -m metadata --dim 8 -o text.mp tracks.mp
        embed-join --hold -e playlist.mp -e text.mp -o joined.mp tracks.mp
        kmeans -m playlist -k 3 -o playlist.cb joined.mp
        kmeans -m metadata -k 3 -o text.cb joined.mp
        tok-map -c playlist.cb -c text.cb --missing impute --train joined.mp -o items.mp joined.mp
        dialog-synth --frames frames.mp --tracks tracks.mp -o dialogs.mp playlists.mp
        dialog-render --items items.mp -o examples.mp dialogs.mp playlists.mp
        dialog-render --prompts --items items.mp dialogs.mp | tokenize_less
        bpe-train --vocab 270 -o tokenizer.json examples.mp
        model-init --tokenizer tokenizer.json -k 3 --hidden 16 --layers 1 --heads 2 -o model
        tokenize --tokenizer model -o ids.mp examples.mp
        tokenize --tokenizer model -o prompts.mp asked.mp
        gen --model model --max-tokens 4 -o generation.mp prompts.mp
        match --items items.mp -o ranking.mp generation.mp
    } 2>log || { cat log; return 1; }
}

# The first three prompts are enough.
tokenize_less() {
    mp2json | sed 3q | json2mp -o asked.mp
}

setup() {
    cp -r "$BATS_FILE_TMPDIR"/*.mp "$BATS_FILE_TMPDIR"/*.cb "$BATS_FILE_TMPDIR"/*.json "$BATS_FILE_TMPDIR"/model \
        "$BATS_FILE_TMPDIR"/m.npy "$BATS_FILE_TMPDIR"/ids.txt "$BATS_TEST_TMPDIR"
    cd "$BATS_TEST_TMPDIR" || exit 1
}

# INPUT COMMAND...: each program with what it needs but its input, which comes last or on stdin. What model-init makes is a folder;
# mpd-split reads its input twice, and score all of it by options.
commands='sound.mp      audio-embed
prompts.mp    bm25 --tracks tracks.mp
examples.mp   bpe-train --vocab 270
dialogs.mp    dialog-render --items items.mp
playlists.mp  dialog-synth --frames frames.mp --tracks tracks.mp
tracks.mp     embed-join --hold -e text.mp
prompts.mp    gen --model model --max-tokens 4
playlists.mp  item2vec --dim 8 --min-count 1
objects.json  json2mp
joined.mp     kmeans -m metadata -k 3
generation.mp match --items items.mp
tracks.mp     mp2json
joined.mp     mp2npy -m playlist
slice.json    mpd-parse
playlists.mp  mpd-split
m.npy         npy2mp -m audio --ids ids.txt
prompts.mp    prior --tracks tracks.mp --playlists playlists.mp
ids.mp        sft-train --model model --save tuned --steps 2 --batch 4
tracks.mp     text-embed -m metadata --dim 8
joined.mp     tok-map -c playlist.cb -c text.cb
examples.mp   tokenize --tokenizer model'

# each FUNCTION: calls it with input and command of every program. Not behind || or within if: errexit would be off in there.
each() {
    local input command
    while read -r input command; do
        echo "$command $input"
        "$1" "$input" "$command"
    done <<<"$commands"
}

@test "manners: no program is missing from these tests" {
    {
        awk '{print $2}' <<<"$commands"
        # without a main output (two), from options alone, and into a folder: see their own tests
        printf '%s\n' mpcheck mpsplit score mpd-synth model-init model-info model-export
    } | sort >here
    (cd "$ROOT/bin" && basename -s .c ./*.c | sort) >there
    same here there
}

last_line() {
    run -0 --separate-stderr bash -c "$2 -v -o out $1"
    [ "$output" = "" ]
    [[ "${stderr_lines[-1]}" =~ ^"${2%% *}: in="[0-9]+" out="[0-9]+" rejected=0 ".*seconds=[0-9.]+$ ]]
    [ -s out ]
}

@test "manners: a run that goes well writes its output, nothing on stdout, and the last line" {
    each last_line
}

twice() {
    $2 -o one "$1" 2>/dev/null
    $2 -o two "$1" 2>/dev/null
    same one two
    case $($2 --help) in
        *--threads*)
            $2 --threads 1 -o one "$1" 2>/dev/null
            $2 --threads 4 -o two "$1" 2>/dev/null
            same one two ;;
    esac
}

@test "manners: same bytes twice, and for 1 and 4 threads" {
    each twice
}

full_disk() {
    run -74 --separate-stderr bash -c "$2 -o /dev/full $1"
    [[ "${stderr_lines[-1]}" == "${2%% *}: /dev/full: "*"No space left on device" ]]
    run -74 --separate-stderr bash -c "$2 $1 >/dev/full"
    [[ "${stderr_lines[-1]}" == "${2%% *}: stdout: "*"No space left on device" ]]
}

@test "manners: a full disk is 74 and named" {
    each full_disk
}

closed_pipe() {
    # shellcheck disable=SC2086 # a command and its arguments
    run -141 --separate-stderr unread $2 "$1"
    # What some find out about their data they say before the end.
    run -1 grep -Ev '^(|tok-map: [a-z]+: [0-9]+ of .*|mpd-split: 1 playlists were modified .*)$' <<<"$stderr"
}

@test "manners: a closed pipe ends quietly" {
    each closed_pipe
}

# ended OUTPUT COMMAND...: SIGTERM right behind each file and folder that the command makes leaves none of them.
ended() {
    local n=0 made=$1
    shift
    while rm -rf fired tuned "$made"* && FAULT=term:$((n += 1)) FAULT_FIRED=fired run bash -c "LD_PRELOAD=$BUILD/fault.so exec $*" && [ -e fired ]; do
        [ "$status" -eq 143 ]
        [ -z "$(compgen -G "$made*")" ]
    done
    [ "$status" -eq 0 ]
    [ "$n" -gt 1 ]
}

signal() {
    ended out "$2 -o out $1"
}

@test "manners: SIGTERM just when an output is made leaves nothing" {
    if sanitized; then skip "not under sanitizers"; fi
    each signal
    ended new "model-init --tokenizer tokenizer.json -k 3 --hidden 16 --layers 1 --heads 2 -o new"
}

no_folder() {
    run -73 --separate-stderr bash -c "$2 -o none/out $1"
    [[ "${stderr_lines[-1]}" == "${2%% *}: none/out: "* ]]
    run -66 --separate-stderr bash -c "$2 -o out none"
    [[ "${stderr_lines[-1]}" == "${2%% *}: none: "* ]]
    [ ! -e out ]
}

@test "manners: an output that cannot be made is 73, an input that is not there 66" {
    each no_folder
}

cut_off() {
    [[ $1 == *.mp ]] || return 0
    head -c -1 "$1" >cut.mp
    run -65 --separate-stderr bash -c "$2 -o out cut.mp"
    [[ "${stderr_lines[-1]}" =~ ^"${2%% *}: cut.mp: record "[0-9]+", byte "[0-9]+": the record is cut off after "[0-9]+" bytes"$ ]]
    # With --rejects, too: what is no record at all can't be set aside.
    run -65 --separate-stderr bash -c "$2 --rejects rejects.mp -o out cut.mp"
    [ ! -e out ] && [ ! -e rejects.mp ]
}

@test "manners: a record that is cut off is 65 with its place, and leaves nothing" {
    each cut_off
}

# A second record whose every value is of the wrong type.
bad_record() {
    [[ $1 == *.mp && $2 != mp2json* ]] || return 0
    rm -f out rejects.mp
    mp2json "$1" | jq -c 'if input_line_number == 1 then ., map_values(true) else . end' | json2mp -o bad.mp
    run -65 --separate-stderr bash -c "$2 -o out bad.mp"
    [[ "${stderr_lines[-1]}" == "${2%% *}: bad.mp: record 2, byte "*": "* ]]
    [ ! -e out ]
    run -0 --separate-stderr bash -c "$2 --rejects rejects.mp -o out bad.mp"
    [[ "${stderr_lines[-1]}" == *" rejected=1 "* ]]
    mpcheck --canonical reject rejects.mp
    mp2json rejects.mp | jq -es 'map([.file, .record, (.value | map(. == true) | all)]) == [["bad.mp", 2, true]]'
    $2 -o good "$1" 2>/dev/null
    same good out
    run -74 --separate-stderr bash -c "$2 --rejects /dev/full -o out2 bad.mp"
    [ ! -e out2 ]
}

@test "manners: a bad record is 65 with its place; --rejects sets it aside and the rest is as if it were not there" {
    each bad_record
}

@test "manners: mpcheck, mpsplit, score and model-init: a full disk is 74, a closed pipe 141 where there is output" {
    run -74 --separate-stderr bash -c 'mpcheck --rejects /dev/full item tracks.mp'
    run -74 --separate-stderr bash -c 'mpsplit --join tracks.mp >/dev/full'
    run -74 --separate-stderr bash -c 'mpsplit --ranges 2 tracks.mp >/dev/full'
    run -74 --separate-stderr bash -c 'score --truth asked.mp --ranking a=ranking.mp >/dev/full'
    for c in 'mpsplit --join tracks.mp' 'score --truth asked.mp --ranking a=ranking.mp'; do
        # shellcheck disable=SC2086
        run -141 --separate-stderr unread $c
        [ "$stderr" = "" ]
    done
    run -73 --separate-stderr model-init --tokenizer tokenizer.json -o /dev/full/model
    [ "$(wc -l <<<"$stderr")" = 1 ]
    run -74 --separate-stderr bash -c 'for p in gen score mpcheck; do $p --help >/dev/full || exit; done'
}
