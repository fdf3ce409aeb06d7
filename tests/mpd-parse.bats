#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# mpd-parse. Expected records are written by hand from the slices beside them; those of examples/nyphil were counted by a
# Python script over the same files (json.load, len, set).
load helper

# slice FILE INFO PLAYLIST...: a slice of these playlists; an empty INFO leaves info out.
slice() {
    local file=$1 info=$2 IFS=,
    shift 2
    printf '{%s"playlists":[%s]}\n' "${info:+\"info\":{\"slice\":\"$info\"\},}" "$*" >"$file"
}

# says FILE: the records of a file as one JSON array.
says() {
    mp2json "$1" | jq -cs .
}

@test "mpd-parse: a playlist keeps its optional fields, its ids become bare and its strings real" {
    slice s.json 7-7 '{"name":"Gitarre \ud83c\udfb8","collaborative":"true","pid":7,"modified_at":-5,
        "num_tracks":2,"num_albums":1,"num_followers":3,"description":"a\tb","tracks":[
        {"pos":0,"artist_name":"X","track_uri":"spotify:track:t1","artist_uri":"a","track_name":"One",
         "album_uri":"l","duration_ms":1000,"album_name":"L"},
        {"pos":1,"artist_name":"X","track_uri":"nyphil:work:2*3","artist_uri":"a","track_name":"Two",
         "album_uri":"l","duration_ms":0,"album_name":"L"}],"num_edits":1,"duration_ms":1000,"num_artists":1}'
    run -0 --separate-stderr mpd-parse --tracks t.mp -o p.mp s.json
    [[ $stderr == "mpd-parse: in=1 out=1 rejected=0 entries=2 tracks=2 untitled=0 wrong_counts=0 outside=0 seconds="* ]]
    [ "$(says p.mp)" = '[{"playlist_id":"7","name":"Gitarre 🎸","description":"a\tb","collaborative":true,"modified_at":-5,"num_followers":3,"tracks":["t1","nyphil:work:2*3"]}]' ]
    [ "$(says t.mp)" = '[{"track_id":"t1","title":"One","artist":"X","album":"L","duration_ms":1000},{"track_id":"nyphil:work:2*3","title":"Two","artist":"X","album":"L"}]' ]
}

@test "mpd-parse: a pid and the uris of its tracks are enough" {
    slice s.json '' '{"pid":1,"tracks":[{"track_uri":"a"}],"name":null}'
    run -0 --separate-stderr mpd-parse --tracks t.mp -o p.mp s.json
    [ "$(says p.mp)" = '[{"playlist_id":"1","tracks":["a"]}]' ]
    [ "$(says t.mp)" = '[{"track_id":"a","title":"","artist":"","album":""}]' ]
    [[ $stderr == *" untitled=1 "* ]]
}

@test "mpd-parse: repeated tracks stay in order, and are one track record a run" {
    slice a.json '' '{"pid":1,"tracks":[{"track_uri":"b"},{"track_uri":"a"},{"track_uri":"b"}]}'
    slice b.json '' '{"pid":2,"tracks":[{"track_uri":"a"},{"track_uri":"c"}]}'
    mpd-parse --tracks t.mp -o p.mp a.json b.json
    [ "$(mp2json p.mp | jq -c .tracks)" = $'["b","a","b"]\n["a","c"]' ]
    [ "$(mp2json t.mp | jq -r .track_id)" = $'b\na\nc' ]
}

@test "mpd-parse: the challenge set's missing names, held-out tracks and other top keys are fine" {
    printf '%s' '{"date":"2018-01-16 08:47:28.198015","version":"v1","playlists":[
        {"pid":1000002,"num_holdouts":48,"num_samples":0,"num_tracks":48,"tracks":[],"name":"Party"},
        {"num_holdouts":20,"pid":1003650,"num_samples":1,"num_tracks":21,"tracks":[{"pos":5,"track_uri":"spotify:track:x"}]}],
        "name":"Spotify Million Playlist Dataset Challenge","description":"…"}' >c.json
    run -0 --separate-stderr mpd-parse -o p.mp c.json
    [ "$(says p.mp)" = '[{"playlist_id":"1000002","name":"Party","num_holdouts":48,"tracks":[]},{"playlist_id":"1003650","num_holdouts":20,"tracks":["x"]}]' ]
    [[ $stderr == *" wrong_counts=0 outside=0 "* ]]
}

@test "mpd-parse: counts that lie are warned of, counted, and change nothing" {
    slice s.json 0-1 '{"pid":0,"num_tracks":9,"num_albums":2,"num_artists":1,"tracks":[{"track_uri":"a","album_uri":"l","artist_uri":"x"}]}'
    run -0 --separate-stderr mpd-parse -o p.mp s.json
    [ "${stderr_lines[0]}" = "mpd-parse: s.json: playlist 0: num_tracks says 9, there are 1" ]
    [ "${stderr_lines[1]}" = "mpd-parse: s.json: playlist 0: num_albums says 2, there are 1" ]
    [ "${stderr_lines[2]}" = "mpd-parse: s.json: 0-1 are 2 playlists, there are 1" ]
    [[ ${stderr_lines[3]} == *" wrong_counts=3 outside=0 "* ]]
    [ "$(says p.mp)" = '[{"playlist_id":"0","tracks":["a"]}]' ]
}

@test "mpd-parse: pids outside the range of info, or of the file's name, are warned of and counted" {
    slice s.json 3-3 '{"pid":4,"tracks":[]}'
    slice mpd.slice.8-8.json '' '{"pid":9,"tracks":[]}'
    run -0 --separate-stderr mpd-parse -o p.mp s.json ./mpd.slice.8-8.json
    [ "${stderr_lines[0]}" = "mpd-parse: s.json: playlist 4: outside the file's 3-3" ]
    [ "${stderr_lines[1]}" = "mpd-parse: ./mpd.slice.8-8.json: playlist 9: outside the file's 8-8" ]
    [[ ${stderr_lines[2]} == *" outside=2 "* ]]
}

@test "mpd-parse: many warnings are cut short, unless -v asks for all" {
    local all=()
    for i in $(seq 1 30); do all+=("{\"pid\":$i,\"num_tracks\":1,\"tracks\":[]}"); done
    slice s.json '' "${all[@]}"
    run -0 --separate-stderr mpd-parse -o p.mp s.json
    [ "${#stderr_lines[@]}" -eq 22 ]
    [[ ${stderr_lines[21]} == *" wrong_counts=30 "* ]]
    run -0 --separate-stderr mpd-parse -v -o p.mp s.json
    [ "$(grep -c 'num_tracks says 1' <<<"$stderr")" -eq 30 ]
}

@test "mpd-parse: a bad playlist ends the run with its number and byte" {
    printf '{"playlists":[{"pid":1,"tracks":[]},{"pid":2,"tracks":[{"pos":0}]}]}' >s.json
    run -65 --separate-stderr mpd-parse -o p.mp s.json
    [ "$stderr" = "mpd-parse: s.json: record 2, byte 36: tracks[0]: track_uri: missing" ]
    [ ! -e p.mp ]
}

@test "mpd-parse: --rejects sets bad playlists aside as they are, and the run goes on" {
    slice s.json '' '{"pid":1,"tracks":[]}' '{"pid":2,"name":"bad \ud83c"}' '{"pid":"3"}' '{"pid":4 "x"}' '{"pid":5,"tracks":[{"track_uri":"t"}]}'
    run -0 --separate-stderr mpd-parse --rejects r.mp --tracks t.mp -o p.mp s.json
    [[ $stderr == "mpd-parse: in=5 out=2 rejected=3 "* ]]
    [ "$(mp2json p.mp | jq -r .playlist_id)" = $'1\n5' ]
    [ "$(mp2json t.mp | jq -r .track_id)" = t ]
    [ "$(mp2json r.mp | jq -c '[.file, .record, .byte, .value]')" = '["s.json",2,36,"{\"pid\":2,\"name\":\"bad \\ud83c\"}"]
["s.json",3,66,"{\"pid\":\"3\"}"]
["s.json",4,78,"{\"pid\":4 \"x\"}"]' ]
    mp2json r.mp | jq -es 'all(.reason | length > 5)'
    mpcheck --canonical reject r.mp
}

@test "mpd-parse: a rejected playlist that is not UTF-8 still makes a readable reject" {
    printf '{"playlists":[{"pid":1,"name":"\xff","tracks":[]}]}' >s.json
    run -0 --separate-stderr mpd-parse --rejects r.mp -o p.mp s.json
    [ "$(mp2json r.mp | jq -r .value)" = '{"pid":1,"name":"?","tracks":[]}' ]
}

@test "mpd-parse: a file cut in mid-string is 65 with its position, with --rejects too, and leaves no output" {
    printf '{"playlists":[{"pid":1,"tracks":[]},{"pid":2,"name":"cut he' >s.json
    run -65 --separate-stderr mpd-parse --rejects r.mp --tracks t.mp -o p.mp s.json
    [ "$stderr" = "mpd-parse: s.json: byte 59: the file is cut off within the string that begins at byte 52" ]
    [ ! -e p.mp ]
    [ ! -e t.mp ]
}

@test "mpd-parse: what is no slice is 65 and says what was expected" {
    run -65 --separate-stderr mpd-parse -f <<<'[1,2]'
    [ "$stderr" = "mpd-parse: stdin: byte 0: expected a JSON object, got byte 0x5b" ]
    run -65 --separate-stderr mpd-parse -f <<<'{"info":{}}'
    [ "$stderr" = "mpd-parse: stdin: byte 0: playlists: missing" ]
    run -65 --separate-stderr mpd-parse -f <<<'{"playlists":{}}'
    [ "$stderr" = "mpd-parse: stdin: byte 13: playlists: expected an array" ]
    run -65 --separate-stderr mpd-parse -f < <(printf '{"a\xff":1,"playlists":[]}')
    [ "$stderr" = "mpd-parse: stdin: byte 1: not JSON: byte 2 is not UTF-8" ]
    run -65 --separate-stderr mpd-parse -f <<<'{"\q":1,"playlists":[]}'
    [ "$stderr" = "mpd-parse: stdin: byte 1: not JSON: a string with a bad escape or half a surrogate pair" ]
    run -65 --separate-stderr mpd-parse -f </dev/null
    [ "$stderr" = "mpd-parse: stdin: byte 0: expected a JSON object, got nothing at all" ]
    run -65 --separate-stderr mpd-parse -f <<<'{"playlists":[]} x'
    [ "$stderr" = "mpd-parse: stdin: byte 17: expected a JSON object, got byte 0x78" ]
}

@test "mpd-parse: keys may be escaped; of two the first counts; a duration below 0 is none" {
    cat >s.json <<'JSON'
{"inf\u006f":{"slice":"7-7"},"info":{"slice":"1-1"},"playlist\u0073":[{"pid":7,"tracks":[{"track_uri":"a","duration_ms":-1},
{"track_uri":"b","duration_ms":5}]}],"playlists":[]}
JSON
    run -0 --separate-stderr mpd-parse --tracks t.mp -o p.mp s.json
    [ "${#stderr_lines[@]}" = 1 ]
    mp2json p.mp | jq -es 'map([.playlist_id, .tracks]) == [["7", ["a", "b"]]]'
    mp2json t.mp | jq -es 'map(.duration_ms) == [null, 5]'
}

@test "mpd-parse: slices that follow each other on stdin are read like files" {
    slice a.json 0-0 '{"pid":0,"tracks":[{"track_uri":"a"}]}'
    slice b.json 1-1 '{"pid":1,"tracks":[{"track_uri":"b"}]}'
    mpd-parse -o files.mp a.json b.json
    cat a.json b.json | mpd-parse >stdin.mp
    same files.mp stdin.mp
    [ "$(mp2json stdin.mp | jq -c .tracks)" = $'["a"]\n["b"]' ]
}

@test "mpd-parse: standard input that is a file is read once, and to its end" {
    slice s.json 0-0 '{"pid":0,"tracks":[{"track_uri":"a"}]}'
    run -65 --separate-stderr mpd-parse -o p.mp - - <s.json
    [[ $stderr == "mpd-parse: stdin: byte 0: expected a JSON object, got nothing at all"* ]]
    [ -z "$({ mpd-parse -o p.mp && cat; } <s.json)" ]
    [ "$(mp2json p.mp | jq -c .tracks)" = '["a"]' ]
}

@test "mpd-parse: no playlists are an empty stream" {
    slice s.json '' ''
    run -0 --separate-stderr mpd-parse -o p.mp s.json
    [ -e p.mp ] && [ ! -s p.mp ]
}

@test "mpd-parse: --limit counts playlists over all files" {
    slice a.json '' '{"pid":0,"tracks":[]}' '{"pid":1,"tracks":[]}'
    slice b.json '' '{"pid":2,"tracks":[]}' '{"pid":3,"tracks":[]}'
    mpd-parse --limit 3 -o p.mp a.json b.json
    [ "$(mp2json p.mp | jq -r .playlist_id)" = $'0\n1\n2' ]
}

@test "mpd-parse: the programmes of examples/nyphil: 2,000 playlists, 8,323 entries, 3,193 tracks, twice the same bytes" {
    xzcat "$ROOT"/examples/nyphil/data/mpd.slice.*.json.xz >all.json
    run -0 --separate-stderr mpd-parse --tracks t.mp -o p.mp all.json
    [[ $stderr == "mpd-parse: in=2000 out=2000 rejected=0 entries=8323 tracks=3193 untitled=0 wrong_counts=0 outside=0 "* ]]
    mpd-parse --tracks t2.mp <all.json >p2.mp
    same p.mp p2.mp
    same t.mp t2.mp
    mpcheck --canonical playlist p.mp
    mpcheck --canonical track t.mp
    mp2json p.mp | jq -es 'length == 2000 and all(.playlist_id | type == "string")'
}

@test "mpd-parse: a full disk is 74, a missing file 66, a bad option 64, a closed pipe 141" {
    slice s.json '' '{"pid":0,"tracks":[{"track_uri":"a"}]}'
    run -74 --separate-stderr mpd-parse -o /dev/full s.json
    [[ $stderr == "mpd-parse: "*"No space left on device"* ]]
    run -74 --separate-stderr mpd-parse --tracks /dev/full -o p.mp s.json
    run -66 --separate-stderr mpd-parse -f none.json
    [[ $stderr == "mpd-parse: none.json: No such file or directory" ]]
    run -64 --separate-stderr mpd-parse --trakcs t.mp s.json
    local all=()
    for i in $(seq 1 3000); do all+=("{\"pid\":$i,\"name\":\"a name of some length, so that the pipe fills up\",\"tracks\":[]}"); done
    slice big.json '' "${all[@]}"
    run -141 --separate-stderr bash -c 'set -o pipefail; mpd-parse big.json | head -c 1 >/dev/null; exit "${PIPESTATUS[0]}"'
    [ -z "$stderr" ]
}
