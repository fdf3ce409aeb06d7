#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The data of examples/cpcd and pipelines/cpcd.sh. Expected figures were counted in the published lines by a Python script
# that shares no code with the jq programs.
load helper

# One conversion of everything, which the tests read; and a reduced copy of the data for those that change it.
setup_file() {
    export WHOLE=$BATS_FILE_TMPDIR/whole PART=$BATS_FILE_TMPDIR/part
    "$ROOT/pipelines/cpcd.sh" "$WHOLE" &
    mkdir "$PART"
    for f in train_PlayMusic_full train_AddToPlaylist_full; do
        xz -dc "$ROOT/examples/cpcd/data/$f.json.xz" | jq -c 'map_values(.[:100])' | xz -0 >"$PART/$f.json.xz"
    done
    xz -dc "$ROOT/examples/cpcd/data/cpcd_v0.dialogs.dev.train.jsonl.xz" | sed -n '1,320d;p' |
        xz -0 >"$PART/cpcd_v0.dialogs.dev.train.jsonl.xz"
    xz -dc "$ROOT/examples/cpcd/data/cpcd_v1.dialogs.dev.val.jsonl.xz" | sed '10q' |
        xz -0 >"$PART/cpcd_v1.dialogs.dev.val.jsonl.xz"
    wait $!
}

# published V: the lines of a file as published
published() {
    xz -dc "$ROOT"/examples/cpcd/data/cpcd_v"$1".*.xz
}

@test "cpcd: the catalogue has every titled track, and each title with its artists once" {
    { published 0; published 1; } | jq -r '.tracks | keys[]' | sort -u >titled
    [ "$(wc -l <titled)" -eq 10920 ]
    mp2json "$WHOLE/tracks.mp" | jq -c '[.title, .artist]' | sort >names
    [ "$(wc -l <names)" -eq 10715 ] && [ "$(sort -u names | wc -l)" -eq 10715 ]
    mp2json "$WHOLE/tracks.mp" | jq -r .track_id | sort >ids
    [ -z "$(comm -23 ids titled)" ]
    mp2json "$WHOLE/tracks.mp" >tracks
    jq -es 'all(has("album") and (.cold | type == "boolean")) and (map(select(.cold)) | length == 3662)' tracks
}

@test "cpcd: 140 test turns have 517 likes, 153 of them liked in training and 264 warm" {
    mp2json "$WHOLE/dialogs.mp" >dialogs
    [ "$(jq -r .split dialogs | sort | uniq -c | xargs)" = "30 test 324 train 16 valid" ]
    jq -c 'select(.split == "test") | reduce .turns[] as $t ([]; if $t.role == "user" then . + [0]
        elif $t.role == "music" then .[-1] += 1 else . end) | .[] | select(. > 0)' dialogs >turns
    [ "$(wc -l <turns)" -eq 140 ] && [ "$(awk '{n += $1} END {print n}' turns)" -eq 517 ]
    jq -r 'select(.split == "test").turns[] | select(.role == "music").content' dialogs >likes
    mp2json "$WHOLE/playlists.mp" >playlists
    jq -r 'select(.split == "train" and (.playlist_id | endswith("/liked"))).tracks[]' playlists | sort -u >liked
    jq -r 'select(.split == "train").tracks[]' playlists | sort -u >warm
    [ "$(grep -cFxf liked likes)" -eq 153 ]
    [ "$(grep -cFxf warm likes)" -eq 264 ]
}

@test "cpcd: cold is in no training playlist, and ids without a title are in playlists only" {
    mp2json "$WHOLE/playlists.mp" | jq -r 'select(.split == "train").tracks[]' | sort -u >warm
    mp2json "$WHOLE/tracks.mp" | jq -r 'select(.cold | not).track_id' | sort >called_warm
    mp2json "$WHOLE/tracks.mp" | jq -r .track_id | sort >ids
    [ -s called_warm ]
    same <(comm -12 warm ids) called_warm
    mp2json "$WHOLE/playlists.mp" | jq -r '.tracks[]' | sort -u | comm -23 - ids >untitled
    [ "$(wc -l <untitled)" -eq 50724 ]
    mp2json "$WHOLE/dialogs.mp" | jq -r '.turns[] | select(.role == "music").content' | sort -u | comm -23 - ids >strange
    [ ! -s strange ]
}

@test "cpcd: tags are what training queries said, never those of validation or test" {
    mp2json "$WHOLE/playlists.mp" | jq -r 'select(.split == "train").name // empty' | sort -u >said
    mp2json "$WHOLE/tracks.mp" | jq -r '.tags // [] | .[]' | sort -u >tags
    [ "$(wc -l <tags)" -gt 2000 ]
    [ -z "$(comm -13 said tags)" ]
}

# The strongest form of "no text of a test conversation": with all of it replaced nothing else changes.
@test "cpcd: of the test conversations training artifacts see the titles alone" {
    mkdir other
    cp "$PART"/* other
    xz -dc other/cpcd_v1.*.xz | jq -c '.id |= "zz" + . | .turns |= map(.user_query = "Play some Abba, hello?" | .system_response = "Here is Abba"
        | .search_queries = ["abba"] | .search_results = [["x", "y"]] | .disliked_results = [] | .liked_results |= .[:1])' |
        xz -0 >new
    mv new other/cpcd_v1.dialogs.dev.val.jsonl.xz
    "$ROOT/pipelines/cpcd.sh" --data "$PART" a
    "$ROOT/pipelines/cpcd.sh" --data other b
    for f in playlists tracks frames; do
        [ -s "a/$f.mp" ]
        same "a/$f.mp" "b/$f.mp"
    done
    mp2json a/dialogs.mp | jq -c 'select(.split != "test")' >train_a
    mp2json b/dialogs.mp | jq -c 'select(.split != "test")' >train_b
    same train_a train_b
    # the change itself was seen
    run -1 cmp -s a/dialogs.mp b/dialogs.mp
}

@test "cpcd: a title of the test conversations that changes does change the catalogue" {
    mkdir other
    cp "$PART"/* other
    xz -dc other/cpcd_v1.*.xz | jq -c '.tracks[].track_titles |= . + "!"' | xz -0 >new
    mv new other/cpcd_v1.dialogs.dev.val.jsonl.xz
    "$ROOT/pipelines/cpcd.sh" --data other b
    mp2json b/tracks.mp >tracks
    [ "$(jq -r 'select(.title | endswith("!")).track_id' tracks | wc -l)" -gt 500 ]
}

@test "cpcd: in a fold the test conversations are absent but for their titles" {
    FOLD=2/5 "$ROOT/pipelines/cpcd.sh" --data "$PART" fold
    [ "$(find fold -mindepth 1 | sort | xargs)" = "fold/dialogs.mp fold/frames.mp fold/playlists.mp fold/tracks.mp" ]
    xz -dc "$PART"/cpcd_v1.*.xz | jq -r .id >real
    [ "$(wc -l <real)" -eq 10 ]
    for f in playlists dialogs frames; do mp2json "fold/$f.mp"; done >seen
    run -1 grep -qFf real seen
    mp2json fold/dialogs.mp | jq -r 'select(.split == "test").dialog_id' >tested
    [ -s tested ]
    mp2json fold/playlists.mp | jq -r .playlist_id >lists
    run -1 grep -qFf tested lists
    xz -dc "$PART"/cpcd_v1.*.xz | jq -c '.tracks[].track_titles' | sort -u >titles
    mp2json fold/tracks.mp | jq -c .title | sort -u >catalogue
    [ -z "$(comm -23 titles catalogue)" ]
}

@test "cpcd: each training conversation is tested in one of five folds, and each fold has some to validate with" {
    published 0 >cpcd_v0.jsonl
    for i in 1 2 3 4 5; do
        jq -n -r -L "$ROOT/pipelines" "include \"cpcd\"; conversations([$i, 5]).role" cpcd_v0.jsonl >roles
        [ "$(grep -cx valid roles)" -ge 8 ]
        jq -n -r -L "$ROOT/pipelines" "include \"cpcd\"; conversations([$i, 5]) | select(.role == \"test\").id" cpcd_v0.jsonl >"fold$i"
        [ "$(wc -l <"fold$i")" -gt 50 ]
    done
    [ "$(sort fold? | uniq -c | awk '$1 == 1' | wc -l)" -eq 340 ]
}

@test "cpcd: bad arguments are 64 and leave nothing" {
    for bad in "--fold 0/5" "--fold 6/5" "--fold x" "--fold 1/1" "--what 1"; do
        # shellcheck disable=SC2086
        run -64 --separate-stderr "$ROOT/pipelines/cpcd.sh" $bad out
        [[ $stderr == usage:* ]]
        [ ! -e out ]
    done
    run -64 "$ROOT/pipelines/cpcd.sh"
}

@test "cpcd: at least 500 distinct frames of users, names gone, none a sentence of the test" {
    mp2json "$WHOLE/frames.mp" >frames
    [ "$(jq -r 'select(.role == "user").text' frames | sort -u | wc -l)" -ge 500 ]
    jq -es 'all(.text | length > 0) and (map(.source) | unique == ["cpcd", "requests"])' frames
    # sentences of test users that no training conversation has, and which are more than two words
    published 1 | jq -r '.turns[].user_query | ascii_downcase | splits("[.!?] *") | select(test(" .+ "))' | sort -u >test_said
    published 0 | jq -r '.turns[] | .user_query, .system_response | ascii_downcase' >train_said
    while IFS= read -r s; do grep -qF -e "$s" train_said || echo "$s"; done <test_said >only_test
    [ "$(wc -l <only_test)" -gt 100 ]
    jq -r 'select(.source == "cpcd").text | ascii_downcase' frames >texts
    run -1 grep -Ff only_test texts
}

@test "cpcd: simulated training conversations play no cold track" {
    # What they say comes from files that an earlier test shows to be free of the test's text.
    run -0 --separate-stderr dialog-synth --cover 0.5 --frames "$WHOLE/frames.mp" --tracks "$WHOLE/tracks.mp" -o synth.mp "$WHOLE/playlists.mp"
    [[ $stderr =~ " frames="([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 500 ]
    mp2json synth.mp >synth
    [ "$(wc -l <synth)" -gt 2000 ]
    mp2json "$WHOLE/tracks.mp" | jq -r 'select(.cold).track_id' >cold
    jq -r 'select(.split == "train").turns[] | select(.role == "music").content' synth >played
    [ "$(wc -l <played)" -gt 5000 ]
    run -1 grep -qFxf cold played
}
