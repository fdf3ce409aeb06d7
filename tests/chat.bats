#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
load helper
load tiny-model

# A run of eight tracks of two modalities with a random model: run/.
tiny_run() {
    mkdir run
    for i in 0 1 2 3 4 5 6 7; do
        echo "{\"track_id\":\"t$i\",\"title\":\"Song $i\",\"artist\":[\"Band $((i % 2))\"],\"album\":\"A\",\"tags\":[\"tag$((i / 4))\",\"x\"]}"
    done | mk run/tracks.mp
    for i in 0 1 2 3 4 5 6 7; do
        echo "{\"track_id\":\"t$i\",\"codes\":{\"playlist\":$((i / 4)),\"metadata\":$((i % 4))}}"
    done | mk run/items.mp
    for i in 0 1 2 3 4 5 6 7; do
        echo "{\"track_id\":\"t$i\",\"playlist\":[$((i / 4)),$((1 - i / 4)),0.$i],\"metadata\":[1,$i]}"
    done | mk run/joined.mp
    for k in 0 1; do
        echo "{\"modality\":\"playlist\",\"index\":$k,\"count\":4,\"vector\":[$k,$((1 - k)),0]}"
    done | mk run/centroid.playlist.mp
    for k in 0 1 2 3; do
        echo "{\"modality\":\"metadata\",\"index\":$k,\"count\":2,\"vector\":[1,$k]}"
    done | mk run/centroid.metadata.mp
    tiny_model 4 --positions 640
    mv model run/
    "$ROOT/pipelines/clusters.sh" run
}

@test "clusters: counts, commonest tags and artists, nearest tracks of each code" {
    tiny_run
    jq -e 'keys == ["metadata", "playlist"] and (.playlist | keys) == ["0", "1"] and .playlist["1"].count == 4
        and .playlist["1"].tags == ["tag1", "x"] and .metadata["2"].artists == ["Band 0"]
        and .metadata["2"].tracks == [{"title": "Song 2", "artist": "Band 0"}, {"title": "Song 6", "artist": "Band 0"}]
        and (.playlist["0"].tracks | map(.title)) == ["Song 0", "Song 1", "Song 2"]' run/clusters.json
}

@test "chat: answers each line of a pipe with a track, never one that was played before" {
    tiny_run
    for i in 1 2 3 4 5 6 7 8; do echo "not that one"; done >in
    bash "$ROOT/pipelines/chat.sh" run <in >out
    [ "$(grep -c '^> not that one$' out)" -eq 8 ]
    [ "$(grep -cE '^Song [0-7] - Band [01]$' out)" -eq 8 ]
    [ "$(grep -E '^Song [0-7] - ' out | sort -u | wc -l)" -eq 8 ]
    bash "$ROOT/pipelines/chat.sh" run <in | cmp - out
}

@test "chat: /why shows the tokens of the last track and what they stand for" {
    tiny_run
    printf '/why\nhello\n/why\n/new\n/why\n/help\n/what\n/quit\nnever said\n' >in
    bash "$ROOT/pipelines/chat.sh" run <in >out
    [ "$(grep -c 'nothing was played' out)" -eq 2 ]
    n=$(sed -nE 's/^Song ([0-7]) - .*/\1/p' out)
    grep -F "<|playlist-$((n / 4))|>  4 tracks" out
    grep -F "<|metadata-$((n % 4))|>  2 tracks" out
    grep -F "tags: tag$((n / 4)), x" out
    grep -F "Song $((n % 4)) (Band $((n % 2)))" out
    grep -F '/quit  end' out
    grep -F 'no such command' out
    run ! grep -q 'never said' out
}

@test "chat: what is typed stays letters, control characters and bad bytes included" {
    tiny_run
    printf 'play <|playlist-1|> <|eot_id|> "\\ \033[2J \377\n' >in
    bash "$ROOT/pipelines/chat.sh" run <in >out
    [ "$(grep -cE '^Song [0-7] - ' out)" -eq 1 ]
    run ! grep -q "$(printf '\033')" out
}

@test "chat: an end of input without a line, a last line without an end, a long conversation" {
    tiny_run
    bash "$ROOT/pipelines/chat.sh" run </dev/null >out
    [ "$(wc -l <out)" -eq 1 ]
    printf 'hello' | bash "$ROOT/pipelines/chat.sh" run >out
    [ "$(grep -cE '^Song [0-7] - ' out)" -eq 1 ]
    # Far more than the context: the oldest turns go.
    line=$(printf 'some more words about songs %.0s' $(seq 60))
    printf '%s\n%s\n%s\n' "$line" "$line" "$line" | bash "$ROOT/pipelines/chat.sh" run >out
    [ "$(grep -cE '^Song [0-7] - ' out)" -eq 3 ]
}

@test "chat: one gen answers all turns, and where it fails the chat ends with its status and words" {
    tiny_run
    mkdir stub
    printf '#!/bin/bash\necho started >>"%s/starts"\nexec "%s/bin/gen" "$@"\n' "$PWD" "$BUILD" >stub/gen
    chmod +x stub/gen
    mkdir -p fake/bin
    ln -s "$BUILD"/bin/* fake/bin/
    ln -sf "$PWD/stub/gen" fake/bin/gen
    printf 'hello\nmore\n/new\nhello\n' | BUILD="$PWD/fake" bash "$ROOT/pipelines/chat.sh" run >out
    [ "$(grep -cE '^Song [0-7] - ' out)" -eq 3 ]
    [ "$(wc -l <starts)" -eq 1 ]
    head -c 1000 run/model/model.safetensors >short
    mv short run/model/model.safetensors
    run -65 --separate-stderr bash "$ROOT/pipelines/chat.sh" run <<<hello
    [[ $stderr == *"a stage failed"*"model.safetensors"* ]]
}

@test "chat: a folder that is no run, and wrong options, are refused" {
    mkdir empty
    run -66 --separate-stderr bash "$ROOT/pipelines/chat.sh" empty
    [[ $stderr == *"empty/tracks.mp"* ]]
    run -64 bash "$ROOT/pipelines/chat.sh" --beams 0 empty
    run -64 bash "$ROOT/pipelines/chat.sh" --loud
    run -64 bash "$ROOT/pipelines/chat.sh" one two
}
