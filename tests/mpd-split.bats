#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# mpd-split. Days are from date -u; which playlists are training ones is counted by hand.
load helper

# playlists FILE: 40 on 2017-11-01 (1509494400) and 60 on the day before, tracks shared in a ring; one without a date.
playlists() {
    jq -nc 'range(100) | {playlist_id: "p\(.)", note: ., modified_at: (1509494400 + 700 * . - (if . >= 40 then 100000 else 0 end)),
        tracks: ["t\(.)", "t\((. + 1) % 100)"]}, (select(. == 50) | {playlist_id: "undated", tracks: ["u"]})' | mk "$1"
}

tracks() {
    jq -nc '(range(100) | {track_id: "t\(.)", title: "T \(.)", artist: "A", album: "B"}), {track_id: "u", title: "U", artist: "A", album: ""}' | mk "$1"
}

# splits FILE: playlist_id and split of each record.
splits() {
    mp2json "$1" | jq -r '"\(.playlist_id) \(.split)"'
}

@test "mpd-split: test is N playlists of the last day, the rest keeps its order and keys" {
    playlists p.mp
    run -0 --separate-stderr mpd-split --test 10 -o out.mp p.mp
    [[ $stderr == "mpd-split: in=101 out=101 rejected=0 train="*" test=10 undated=1 "* ]]
    [ "$(splits out.mp | awk '$2 == "test" && substr($1, 2) + 0 < 40' | wc -l)" -eq 10 ]
    [ "$(mp2json out.mp | jq -c 'del(.split)')" = "$(mp2json p.mp)" ]
    mp2json out.mp | jq -es 'all(.split | IN("train", "valid", "test"))'
}

@test "mpd-split: a track is cold exactly if no training playlist has it" {
    playlists p.mp && tracks t.mp
    run -0 --separate-stderr mpd-split --test 10 --tracks t.mp --tracks-out all.mp -o out.mp p.mp
    mp2json out.mp | jq -r 'select(.split == "train").tracks[]' | sort -u >train
    mp2json all.mp | jq -r 'select(.cold | not).track_id' | sort >warm
    mp2json all.mp | jq -r .track_id >all
    # every track of a training playlist has a record here: warm is train, and there are some cold ones
    same train warm
    [ "$(sort all | uniq | wc -l)" -eq 101 ] && [ "$(wc -l <all)" -eq 101 ]
    [ "$(wc -l <warm)" -lt 101 ]
    mpcheck --canonical playlist out.mp
    mpcheck --canonical track all.mp
    mp2json all.mp | jq -es 'all(.title and .artist and (.cold | type == "boolean"))'
}

@test "mpd-split: one part and three parts give the same bytes, and so does the order within the sample" {
    playlists p.mp && tracks t.mp
    mpd-split --test 10 --tracks t.mp --tracks-out t1.mp -o p1.mp p.mp
    mp2json p.mp | sed -n 1,20p | mk a.mp
    mp2json p.mp | sed -n 21,45p | mk b.mp
    mp2json p.mp | sed -n '46,$p' | mk c.mp
    mp2json t.mp | sed -n 1,50p | mk ta.mp
    mp2json t.mp | sed -n '40,$p' | mk tb.mp
    run -0 --separate-stderr mpd-split --test 10 --tracks ta.mp --tracks tb.mp --tracks-out t3.mp -o p3.mp a.mp b.mp c.mp
    [[ $stderr == *" repeated_tracks=11 "* ]]
    same p1.mp p3.mp
    same t1.mp t3.mp
    mpd-split --test 10 -o pr.mp c.mp b.mp a.mp
    [ "$(splits pr.mp | sort)" = "$(splits p1.mp | sort)" ]
}

@test "mpd-split: another seed draws another sample and moves no line between training and validation" {
    playlists p.mp
    mpd-split --test 10 --seed 1 -o a.mp p.mp
    mpd-split --test 10 --seed 2 -o b.mp p.mp
    run -1 cmp -s a.mp b.mp
    mpd-split --test 0 --valid 0.3 --seed 1 -o a.mp p.mp
    mpd-split --test 0 --valid 0.3 --seed 2 -o b.mp p.mp
    same a.mp b.mp
}

@test "mpd-split: validation is the share asked for, all of it or none" {
    jq -nc 'range(4000) | {playlist_id: "\(.)", tracks: []}' | mk p.mp
    mpd-split -o a.mp p.mp
    local n
    n=$(splits a.mp | grep -c valid)
    # 5 % of 4000 is 200; four standard deviations are 55
    [ "$n" -ge 145 ] && [ "$n" -le 255 ]
    mpd-split --valid 1 -o a.mp p.mp
    [ "$(splits a.mp | grep -c valid)" -eq 4000 ]
    mpd-split --valid 0 -o a.mp p.mp
    [ "$(splits a.mp | grep -c train)" -eq 4000 ]
}

@test "mpd-split: --date and --days choose the time of the test, across 1970 too" {
    printf '%s\n' '{"playlist_id":"a","modified_at":-1,"tracks":[]}' '{"playlist_id":"b","modified_at":0,"tracks":[]}' \
        '{"playlist_id":"c","modified_at":-86400,"tracks":[]}' '{"playlist_id":"d","modified_at":-86401,"tracks":[]}' | mk p.mp
    mpd-split --date 1969-12-31 --valid 0 -o out.mp p.mp
    [ "$(splits out.mp)" = $'a test\nb train\nc test\nd train' ]
    mpd-split --date 1970-01-01 --days 3 --valid 0 -o out.mp p.mp
    [ "$(splits out.mp)" = $'a test\nb test\nc test\nd test' ]
    mpd-split --valid 0 -o out.mp p.mp
    [ "$(splits out.mp)" = $'a train\nb test\nc train\nd train' ]
    run -65 --separate-stderr mpd-split --date 2017-10-31 -o none.mp p.mp
    [ "$stderr" = "mpd-split: no playlist was modified on 2017-10-31" ]
    [ ! -e none.mp ]
}

@test "mpd-split: dates that are none, --days alone and --tracks alone are usage errors" {
    playlists p.mp
    for d in 2017-02-29 2017-13-01 2017-1-1 '2017-11-01 ' 2100-02-29 x; do
        run -64 --separate-stderr mpd-split --date "$d" -f p.mp
        [ "$stderr" = "mpd-split: --date: expected a date such as 2017-11-01, got \"$d\"" ]
    done
    run -64 --separate-stderr mpd-split --days 2 -f p.mp
    run -64 --separate-stderr mpd-split --tracks t.mp -f p.mp
    [ "$stderr" = "mpd-split: --tracks and --tracks-out go together" ]
}

@test "mpd-split: a day with fewer playlists than --test gives them all, and says so" {
    playlists p.mp
    run -0 --separate-stderr mpd-split --test 50 -o out.mp p.mp
    [ "${stderr_lines[0]}" = "mpd-split: 40 playlists were modified on 2017-11-01, fewer than --test 50" ]
    [ "$(splits out.mp | grep -c test)" -eq 40 ]
}

@test "mpd-split: an earlier split or cold is replaced" {
    echo '{"playlist_id":"a","split":"test","tracks":["t"],"x":1}' | mk p.mp
    echo '{"track_id":"t","cold":true,"title":"T"}' | mk t.mp
    run -0 --separate-stderr mpd-split --valid 0 --tracks t.mp --tracks-out all.mp -o out.mp p.mp
    [ "${stderr_lines[0]}" = "mpd-split: no playlist has modified_at: the test split is empty" ]
    [ "$(mp2json out.mp)" = '{"playlist_id":"a","tracks":["t"],"x":1,"split":"train"}' ]
    [ "$(mp2json all.mp)" = '{"track_id":"t","title":"T","cold":false}' ]
}

@test "mpd-split: no records are no records" {
    : >e.mp
    run -0 --separate-stderr mpd-split --tracks e.mp --tracks-out t.mp -o out.mp e.mp
    [ -e out.mp ] && [ ! -s out.mp ] && [ -e t.mp ] && [ ! -s t.mp ]
    [[ $stderr == "mpd-split: in=0 out=0 rejected=0 "* ]]
}

@test "mpd-split: stdin and pipes are refused, since the playlists are read twice" {
    playlists p.mp
    run -64 --separate-stderr mpd-split -f <p.mp
    [ "$stderr" = "mpd-split: the playlists are read twice: name files, not stdin" ]
    run -64 --separate-stderr mpd-split -f <(cat p.mp)
    [[ $stderr == *"expected a file, not a pipe" ]]
}

@test "mpd-split: bad records are 65 with their place, or set aside from both passes" {
    printf '%s\n' '{"playlist_id":"a","modified_at":5,"tracks":["t"]}' '{"playlist_id":"b","modified_at":99999999,"tracks":[7]}' \
        '{"playlist_id":"","tracks":[]}' '{"playlist_id":"c","modified_at":"x","tracks":[]}' | mk p.mp
    printf '%s\n' '{"title":"no id"}' '{"track_id":"t"}' | mk t.mp
    run -65 --separate-stderr mpd-split -o out.mp p.mp
    [[ ${stderr_lines[1]} == "mpd-split: p.mp: record 2, byte "*": tracks: expected string, got integer" ]]
    [ ! -e out.mp ]
    run -0 --separate-stderr mpd-split --test 1 --rejects r.mp --tracks t.mp --tracks-out all.mp -o out.mp p.mp
    # the bad playlist of a later day must not have moved the day of the test
    [ "$(splits out.mp)" = "a test" ]
    [ "$(mp2json r.mp | jq -c '[.file, .record]')" = $'["p.mp",2]\n["p.mp",3]\n["p.mp",4]\n["t.mp",1]' ]
    [ "$(mp2json all.mp | jq -c .)" = '{"track_id":"t","cold":true}' ]
}

@test "mpd-split: a cut-off record is 65, a full disk 74, a missing file 66, a closed pipe 141" {
    playlists p.mp && tracks t.mp
    head -c 1000 p.mp >cut.mp
    run -65 --separate-stderr mpd-split -o out.mp cut.mp
    [[ $stderr == "mpd-split: cut.mp: record "*": the record is cut off after "* ]]
    [ ! -e out.mp ]
    head -c 1000 t.mp >cut.mp
    run -65 --separate-stderr mpd-split --tracks cut.mp --tracks-out all.mp -o out.mp p.mp
    [ ! -e out.mp ] && [ ! -e all.mp ]
    run -74 --separate-stderr mpd-split -o /dev/full p.mp
    run -74 --separate-stderr mpd-split --tracks t.mp --tracks-out /dev/full -o out.mp p.mp
    run -66 --separate-stderr mpd-split -f none.mp
    jq -nc 'range(3000) | {playlist_id: "\(.)", tracks: ["a track with a long id", "and another of them"]}' | mk big.mp
    run -141 --separate-stderr bash -c 'mpd-split --test 0 big.mp | head -c 1 >/dev/null; exit "${PIPESTATUS[0]}"'
    [ -z "$stderr" ]
}

@test "mpd-split: --limit holds for both passes" {
    playlists p.mp
    mpd-split --limit 40 --test 100 -o out.mp p.mp 2>/dev/null
    [ "$(splits out.mp | grep -c test)" -eq 40 ]
    mp2json p.mp | tac | mk r.mp
    mpd-split --limit 60 --test 100 --valid 0 -o out.mp r.mp 2>/dev/null
    # the first 60 of the reversed file: p99 … p41 and the one without a date; all that have one are of one day
    [ "$(splits out.mp | grep -c test)" -eq 59 ]
}
