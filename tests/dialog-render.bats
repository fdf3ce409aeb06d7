#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# dialog-render. Expected texts were written by hand from the chat template published with Llama-3.2-1B-Instruct.
load helper

items() {
    mk items.mp <<'END'
{"track_id":"T1","codes":{"playlist":1,"semantic":2}}
{"track_id":"T2","codes":{"playlist":3,"audio":4}}
END
}

dialog() {
    mk d.mp <<'END'
{"dialog_id":"d:1","turns":[{"role":"user","content":" Hi <|eot_id|>\n"},{"role":"assistant","content":"Sure. "},{"role":"music","content":"T1"},{"role":"user","content":"not that"},{"role":"music","content":"T2"}],"split":"train","note":1}
END
}

system() {
    printf '<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: %s\n\n%s<|eot_id|>' "${1-20 Jan 2025}" \
        "${2-You are a music expert. Your task is conversational retrieval: Predict the next music item based on the given chat history.}"
}

text() {
    mp2json "$1" | jq -rj '.segments[].text'
}

@test "dialog-render: a conversation is the published template with blocks before the assistant's words" {
    items && dialog
    run -0 --separate-stderr dialog-render --items items.mp -o e.mp d.mp
    [[ $stderr == "dialog-render: in=1 out=1 rejected=0 tracks=2 missing=0 skipped=0 "* ]]
    text e.mp >got
    {
        system
        printf '<|start_header_id|>user<|end_header_id|>\n\nHi <|eot_id|><|eot_id|>'
        printf '<|start_header_id|>assistant<|end_header_id|>\n\n<start_of_music><|playlist-1|><|semantic-2|><end_of_music>Sure.<|eot_id|>'
        printf '<|start_header_id|>user<|end_header_id|>\n\nnot that<|eot_id|>'
        printf '<|start_header_id|>assistant<|end_header_id|>\n\n<start_of_music><|playlist-3|><|audio-4|><end_of_music><|eot_id|>'
    } >want
    same got want
    mp2json e.mp | jq -es 'length == 1 and .[0].example_id == "d:1" and .[0].task == "dialog" and .[0].note == 1'
    # what a user types is text, and only blocks, words and their end are trained
    mp2json e.mp | jq -es '[.[].segments[] | select(.kind == "text") | .text] | any(. == "Hi <|eot_id|>")'
    [ "$(mp2json e.mp | jq -rj '.segments[] | select(.train).text')" = "<start_of_music><|playlist-1|><|semantic-2|><end_of_music>Sure.<|eot_id|><start_of_music><|playlist-3|><|audio-4|><end_of_music><|eot_id|>" ]
    mpcheck example e.mp
}

@test "dialog-render: --date and --system replace those of the template" {
    dialog
    dialog-render --date "1 May 2030" --system " Be kind. " -o e.mp d.mp
    text e.mp >got
    system "1 May 2030" "Be kind." >want
    run -0 cmp -n "$(stat -c %s want)" got want
}

# The template, rendered by @huggingface/jinja 0.5.11 from contents stripped as Python's str.strip does, gives this.
@test "dialog-render: contents are trimmed as Python trims, blank ones are empty messages, no system message is an empty one" {
    jq -nc '{dialog_id: "d", turns: [{role: "assistant", content: "\u001c\u0085 a\u200b \u3000\u001f"}, {role: "user", content: "\ufeff\u2028b\u180e\u1680"},
        {role: "assistant", content: "\r\n\u000b\u00a0"}, {role: "user", content: " \u202f\t"}, {role: "user", content: "c\n\nd"}, {role: "assistant", content: "e"}]}' | mk d.mp
    dialog-render --system "" -o e.mp d.mp
    text e.mp >got
    {
        system "20 Jan 2025" ""
        printf '<|start_header_id|>assistant<|end_header_id|>\n\na\xe2\x80\x8b<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n\xef\xbb\xbf\xe2\x80\xa8b\xe1\xa0\x8e<|eot_id|>'
        printf '<|start_header_id|>assistant<|end_header_id|>\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n<|eot_id|>'
        printf '<|start_header_id|>user<|end_header_id|>\n\nc\n\nd<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\ne<|eot_id|>'
    } >want
    same got want
}

@test "dialog-render: train false keeps a track in the text and out of the targets" {
    items
    echo '{"dialog_id":"d","turns":[{"role":"user","content":"a"},{"role":"music","content":"T1","train":false},{"role":"user","content":"b"},{"role":"music","content":"T2"}]}' | mk d.mp
    dialog-render --items items.mp -o e.mp d.mp
    [ "$(mp2json e.mp | jq -rj '.segments[] | select(.train).text')" = "<start_of_music><|playlist-3|><|audio-4|><end_of_music><|eot_id|>" ]
    [[ $(text e.mp) == *"<|playlist-1|>"* ]]
    dialog-render --prompts --items items.mp -o p.mp d.mp
    mp2json p.mp | jq -es 'map(.query_id) == ["d:2"]'
}

@test "dialog-render: a prompt is asked for every turn with music and ends where the answer begins" {
    items && dialog
    run -0 --separate-stderr dialog-render --prompts --items items.mp -o p.mp d.mp
    mp2json p.mp | jq -es 'map([.query_id, .turn, .relevant]) == [["d:1:1", 1, ["T1"]], ["d:1:2", 2, ["T2"]]]'
    mp2json p.mp | jq -es '.[1].history == [{role: "user", content: " Hi <|eot_id|>\n"}, {role: "music", content: "T1"},
        {role: "assistant", content: "Sure. "}, {role: "user", content: "not that"}]'
    mp2json p.mp | jq -es 'all(.segments | (map(.text) | join("") | endswith("not that<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n")
        or endswith("Hi <|eot_id|><|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n")) and all(.train | not))'
    mpcheck prompt p.mp
}

@test "dialog-render: --last asks for the last turn although it has no music" {
    echo '{"dialog_id":"d","turns":[{"role":"user","content":"a"},{"role":"music","content":"T1"},{"role":"user","content":"b"}]}' | mk d.mp
    dialog-render --prompts --last -o p.mp d.mp
    mp2json p.mp | jq -es 'map([.query_id, .relevant]) == [["d:2", []]]'
}

@test "dialog-render: several tracks are shuffled by seed and dialog, and at most --max-tracks" {
    jq -nc 'range(50) | {track_id: "t\(.)", codes: {playlist: .}}' | mk items.mp
    jq -nc '{dialog_id: ("a", "b"), turns: [{role: "user", content: "x"}, (range(50) | {role: "music", content: "t\(.)"})]}' | mk d.mp
    dialog-render --items items.mp --max-tracks 4 -o one.mp d.mp
    dialog-render --items items.mp --max-tracks 4 -o again.mp d.mp
    dialog-render --items items.mp --max-tracks 4 --seed 2 -o other.mp d.mp
    same one.mp again.mp
    mp2json one.mp | jq -es 'all([.segments[].text | scan("<start_of_music>")] | length == 4)'
    mp2json one.mp | jq -es 'map([.segments[].text | scan("playlist-[0-9]+")]) | .[0] != .[1]'
    run -1 cmp -s one.mp other.mp
    # a record's draw does not depend on what stands before it
    mp2json d.mp | tail -n 1 | json2mp | dialog-render --items items.mp --max-tracks 4 -o b.mp
    [ "$(mp2json b.mp)" = "$(mp2json one.mp | tail -n 1)" ]
}

@test "dialog-render: a playlist is two continuations, cut between 1 and n-1 tracks" {
    jq -nc 'range(9) | {track_id: "t\(.)", codes: {playlist: .}}' | mk items.mp
    jq -nc 'range(60) | {playlist_id: "p\(.)", tracks: ["t0", "gone", "t1", "t2", "t3"], name: "N"}' | mk p.mp
    run -0 --separate-stderr dialog-render --items items.mp -o e.mp p.mp
    [[ $stderr == *" out=120 "* ]]
    mp2json e.mp | jq -es 'all(.task == "playlist" and .name == "N")
        and ([.[] | .segments | map(select(.train and (.text | startswith("<start"))).text | scan("<start")) | length] | unique == [1, 2, 3])'
    [ "$(text e.mp | head -c 300 | grep -o '^<|begin_of_text|><start_of_music><|playlist-0|><end_of_music><start_of_music><|playlist-1|><end_of_music><start_of_music><|playlist-2|><end_of_music><start_of_music><|playlist-3|><end_of_music><|eot_id|>' | wc -l)" -eq 1 ]
}

@test "dialog-render: a turn without known music and words has no message, and nothing to train no example" {
    echo '{"dialog_id":"d","turns":[{"role":"user","content":"a"},{"role":"music","content":"gone"}]}' | mk d.mp
    run -0 --separate-stderr dialog-render -o e.mp d.mp
    [[ $stderr == *" out=0 "*" missing=1 skipped=1 "* ]]
    [ ! -s e.mp ]
}

@test "dialog-render: a version without a target does not end those that follow; a dialog is skipped once" {
    items
    jq -nc '{dialog_id: range(40), turns: [{role: "user", content: "a"}, {role: "music", content: "T1", train: false}, {role: "music", content: "T2"}]}
        | .dialog_id |= tostring' | mk d.mp
    run -0 --separate-stderr dialog-render --items items.mp --max-tracks 1 --versions 3 -o e.mp d.mp
    mp2json e.mp | jq -es 'group_by(.example_id | split("#")[0]) | map(map(.example_id | contains("#"))) |
        any(.[]; . == [true]) and (length as $n | $n > 20 and $n < 40)'
    there=$(mp2json e.mp | jq -r '.example_id | split("#")[0]' | sort -u | wc -l)
    [[ $stderr == *" skipped=$((40 - there)) "* ]]
}

@test "dialog-render: a wrong role, a missing key and a cut-off record are data errors with their place" {
    echo '{"dialog_id":"d","turns":[{"role":"bot","content":"a"}]}' | mk d.mp
    run -65 --separate-stderr dialog-render -o e.mp d.mp
    [[ $stderr == *"d.mp: record 1, byte 0: turns: entry 1: role: expected user, music or assistant, got 'bot'"* ]]
    echo '{"turns":[]}' | mk d.mp
    run -65 --separate-stderr dialog-render -o e.mp d.mp
    [[ $stderr == *"dialog_id: missing"* ]]
    echo '{"dialog_id":"d","split":"Test","turns":[]}' | mk d.mp
    run -65 --separate-stderr dialog-render -o e.mp d.mp
    [[ $stderr == *'split: expected train, valid or test, got "Test"' ]]
    dialog && head -c 40 d.mp >cut.mp
    run -65 --separate-stderr dialog-render -o e.mp cut.mp
    [ ! -e e.mp ]
}

@test "dialog-render: an empty stream is one; a full disk is 74, a missing side file 66" {
    dialog
    run -0 --separate-stderr dialog-render -o e.mp /dev/null
    [ ! -s e.mp ]
    run -74 --separate-stderr bash -c 'dialog-render d.mp >/dev/full'
    run -66 --separate-stderr dialog-render --items nowhere.mp d.mp
}
