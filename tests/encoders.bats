#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# examples/encoders: the programs themselves, with stand-ins for the models.
# shellcheck disable=SC2154 # run sets stderr
load helper

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    export PYTHONPATH=$ROOT/tests/encoders PYTHONDONTWRITEBYTECODE=1
    export PATH=$ROOT/examples/encoders:$PATH
    mk tracks.mp <<'JSON'
{"track_id":"a","title":"Blue é","artist":["X","Y"],"album":"L","year":1952,"tags":["jazz","slow"],"lyrics":"oh <oh>"}
{"track_id":"b","title":"Two","artist":"Z","caption":"loud"}
{"track_id":"c","title":"Three","artist":"Z","tags":[],"lyrics":""}
JSON
}

@test "encoders: text joins as embeddings of its modality; tracks without text are counted" {
    for m in semantic lyrics metadata; do
        run -0 --separate-stderr encode_text.py --model small -m $m --batch-size 2 -o $m.mp tracks.mp
        echo "$stderr"
        mpcheck --canonical embedding $m.mp
    done
    [[ $stderr == "encode_text.py: in=3 out=3 rejected=0 without=0 "* ]]
    mp2json semantic.mp | jq -es 'map([.track_id, .modality]) == [["a", "semantic"], ["b", "semantic"]] and .[1].vector[:5] == [0, 0, 0, 0.125, 0.125]'
    mp2json lyrics.mp | jq -es 'map(.track_id) == ["a"] and .[0].vector[3] == 0.25'
    embed-join --hold -e semantic.mp -e lyrics.mp -e metadata.mp tracks.mp | mp2json | jq -es 'map(has("lyrics")) == [true, false, false]'
    encode_text.py --model small -m lyrics --eos <tracks.mp | mp2json | jq -e '.vector[5] == 0.25'
}

@test "encoders: recordings join by CLAP and by MusicFM" {
    python3 "$BATS_TEST_DIRNAME/audio.py" s.wav wav 8000 1 1 1
    jq -nc '{track_id: "s", title: "", artist: "", audio_path: "s.wav"}, {track_id: "n", title: "", artist: ""}' | mk sound.mp
    encode_clap.py --folder "$PWD" -o clap.mp sound.mp
    encode_musicfm.py --musicfm "$ROOT/tests/encoders/checkout" -o fm.mp sound.mp
    mpcheck --canonical embedding clap.mp fm.mp
    mp2json clap.mp fm.mp | jq -es 'map([.track_id, .modality]) == [["s", "audio"], ["s", "audio"]] and all(.[]; .vector[1] == 1 and .vector[0] > 0.1)'
    jq -nc '{track_id: "m", title: "", artist: "", audio_path: "none.wav"}' | mk gone.mp
    run -65 --separate-stderr encode_clap.py -o out.mp gone.mp
    [[ $stderr == "encode_clap.py: m: audio_path: ./none.wav: "* ]]
    [ ! -e out.mp ]
}

@test "encoders: whatever goes wrong leaves no output and a status of its own" {
    STANDIN=raise run -1 --separate-stderr encode_text.py --model small -m metadata -o out.mp tracks.mp
    STANDIN=nan run -65 --separate-stderr encode_text.py --model small -m metadata -o out.mp tracks.mp
    [ "$stderr" = "encode_text.py: a: a vector with a number that is not finite" ]
    STANDIN=short run -70 --separate-stderr encode_text.py --model small -m metadata -o out.mp tracks.mp
    head -c 100 tracks.mp >cut.mp
    run -65 --separate-stderr encode_text.py --model small -m metadata -o out.mp cut.mp
    [[ $stderr == "mp2json: cut.mp: "*"cut off"* ]]
    run -66 --separate-stderr encode_text.py --model small -m metadata -o out.mp none.mp
    run -64 --separate-stderr encode_text.py --model small -m audio -o out.mp tracks.mp
    run -64 --separate-stderr encode_text.py -m audio
    run -73 --separate-stderr encode_text.py --model small -m metadata -o none/out.mp tracks.mp
    run -74 --separate-stderr encode_text.py --model small -m metadata -o /dev/full tracks.mp
    run -141 --separate-stderr unread encode_text.py --model small -m metadata tracks.mp
    [ -z "$(compgen -G 'out*')" ]
}

@test "encoders: a run takes one in the place of text-embed, by STAGES" {
    "$ROOT/tests/small/data.sh" data
    make -C "$ROOT" --no-print-directory -f pipelines/talkplay.mk CONFIG=tests/small/config.mk DATA="$PWD/data" BUILD="$BUILD" \
        RUN="$PWD/run" THREADS=1 STAGES=examples/encoders/stages ENCODER='--model small' MODALITIES='semantic metadata' "$PWD/run/items.mp" >log 2>&1 ||
        { cat log; false; }
    grep -q '^encode_text.py: in=' log
    mpcheck --canonical item run/items.mp
    mp2json --limit 20 run/joined.mp | jq -es 'all(.[]; .metadata | length == 8) and length == 20'
}
