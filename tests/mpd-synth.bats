#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# mpd-synth. What is asked of its output is worked out by jq and awk from the output of mpd-parse and its own records.
load helper

# Most tests look at one run: 2,000 playlists of a small catalogue.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || exit 1
    mpd-synth -n 2000 --catalogue 100000 --genres 8 --dim 16 --threads 2 -o slices.json --tracks tracks.mp --audio audio.mp \
        --truth truth.mp 2>log
    mpd-parse -o playlists.mp --tracks parsed.mp slices.json 2>parsed.log
}

# The scratch folder is as in every test; run is where the one run is.
setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    run=$BATS_FILE_TMPDIR
}

# beside JSON RECORDS: the objects of two streams in the same order, merged.
beside() {
    paste -d '\t' "$1" <(mp2json "$2") | sed 's/\t/,/; s/^/[/; s/$/]/' | jq -c add
}

@test "mpd-synth: the same bytes twice, and for 1, 2 and 5 threads; another seed gives others" {
    for threads in 1 5; do
        mpd-synth -n 2000 --catalogue 100000 --genres 8 --dim 16 --threads $threads -o s.json --tracks t.mp --audio a.mp --truth x.mp
        same s.json "$run/slices.json"
        same t.mp "$run/tracks.mp"
        same a.mp "$run/audio.mp"
        same x.mp "$run/truth.mp"
    done
    mpd-synth -n 1000 --catalogue 40000 --seed 2 -o s.json
    mpd-parse --tracks t.mp -o p.mp s.json
    # no track of one seed is a track of the other
    [ "$(mp2json t.mp "$run/parsed.mp" | jq -r .track_id | sort | uniq -d)" = "" ]
}

@test "mpd-synth: files hold what standard output has, and pieces what the whole has" {
    mkdir whole pieces
    mpd-synth -n 2500 --catalogue 40000 --dir whole
    [ "$(ls whole)" = $'mpd.slice.0-999.json\nmpd.slice.1000-1999.json\nmpd.slice.2000-2499.json' ]
    cat whole/mpd.slice.0-999.json whole/mpd.slice.1000-1999.json >two.json
    mpd-synth -n 2000 --catalogue 40000 -o s.json
    same two.json s.json
    mpd-synth -n 1000 --catalogue 40000 --dir pieces
    mpd-synth -n 1500 --first 1000 --catalogue 40000 --dir pieces
    diff -r whole pieces
    # the same playlists, whichever slice they are in
    mpd-synth -n 7 --first 1234 --catalogue 40000 | mpd-parse -o few.mp
    mpd-parse -o whole.mp whole/mpd.slice.0-999.json whole/mpd.slice.1000-1999.json
    [ "$(mp2json few.mp)" = "$(mp2json whole.mp | sed -n 1235,1241p)" ]
}

@test "mpd-synth: mpd-parse reads its slices without a warning, and counts what it counted" {
    [ "$(wc -l <"$run/parsed.log")" -eq 1 ]
    grep -q '^mpd-parse: in=2000 out=2000 rejected=0 .* wrong_counts=0 outside=0 ' "$run/parsed.log"
    [ "$(grep -oE '(entries|tracks)=[0-9]+' "$run/log")" = "$(grep -oE '(entries|tracks)=[0-9]+' "$run/parsed.log")" ]
    [ "$(mp2json "$run/playlists.mp" | jq -r .playlist_id)" = "$(seq 0 1999)" ]
    jq -es 'all(.info.version == "v1") and map(.info.slice) == ["0-999", "1000-1999"]' "$run/slices.json"
    # what Python's json.dump makes of it, with the blank behind commas that Python 2 left
    python3 -c 'import json, sys
text, at, d = open(sys.argv[1]).read(), 0, json.JSONDecoder()
while at < len(text):
    value, at = d.raw_decode(text, at)
    print(json.dumps(value, indent=4, separators=(", ", ": ")))
    at += 1' "$run/slices.json" >dumped.json
    same dumped.json "$run/slices.json"
}

@test "mpd-synth: all its records are canonical records of their types" {
    mpcheck --canonical track "$run/tracks.mp"
    mpcheck --canonical embedding "$run/audio.mp"
    mpcheck --canonical truth "$run/truth.mp"
    mpcheck --canonical playlist "$run/playlists.mp"
    # each track of the playlists once in each, described as the slices do
    local keys='{track_id, title, artist, album, duration_ms}'
    mp2json "$run/tracks.mp" | jq -c "$keys" | sort >ours
    mp2json "$run/parsed.mp" | jq -c "$keys" | sort >theirs
    same ours theirs
    same <(mp2json "$run/audio.mp" | jq -r .track_id) <(mp2json "$run/tracks.mp" | jq -r .track_id)
    same <(mp2json "$run/truth.mp" | jq -r 'select(.track_id).track_id') <(mp2json "$run/tracks.mp" | jq -r .track_id)
    [ "$(mp2json "$run/truth.mp" | jq -r 'select(.playlist_id).playlist_id')" = "$(seq 0 1999)" ]
    mp2json "$run/audio.mp" | jq -es 'all((.vector | length) == 16 and .modality == "audio")'
}

@test "mpd-synth: sizes, repeats and what is missing come at about the dataset's rates" {
    mp2json "$run/playlists.mp" | jq -es '
        (map(.tracks | length)) as $n | ($n | add / length) as $mean |
        (map((.tracks | length) - (.tracks | unique | length)) | add / ($n | add)) as $repeats |
        (map(select(.description)) | length / 2000) as $described |
        (map(select(.collaborative)) | length / 2000) as $collaborative |
        [$mean, $repeats, $described, $collaborative, ($n | min), ($n | max)] | debug |
        ($n | min) >= 5 and ($n | max) <= 250 and $mean > 62 and $mean < 70 and
        $repeats > 0.008 and $repeats < 0.02 and $described > 0.01 and $described < 0.03 and
        $collaborative > 0.013 and $collaborative < 0.033'
    grep -q '"collaborative": "true"' "$run/slices.json"
    grep -qE '"name": ".*\\ud83' "$run/slices.json"
    grep -qE '"(artist|track)_name": ".*\\u00' "$run/slices.json"
    run -1 grep -qP '[^\x00-\x7f]' "$run/slices.json"
    mp2json "$run/playlists.mp" | jq -es 'all(.modified_at % 86400 == 0) and (map(.modified_at) | max) == 1509494400'
}

@test "mpd-synth: popularity falls by Zipf's law, and more playlists meet more tracks, ever fewer new ones" {
    mp2json "$run/playlists.mp" | jq -r '.tracks[]' | sort | uniq -c | sort -rn | awk '{print NR, $1}' >ranks
    # slope of log count over log rank between ranks 1,000 and 10,000
    awk '$1 >= 1000 && $1 <= 10000 { x = log($1); y = log($2); n++; sx += x; sy += y; sxx += x * x; sxy += x * y }
        END { s = (n * sxy - sx * sy) / (n * sxx - sx * sx); print s; exit !(s < -0.9 && s > -1.1) }' ranks
    mp2json "$run/playlists.mp" | jq -c .tracks | awk -F, '{ for (i = 1; i <= NF; i++) { gsub(/[][]/, "", $i); if (!($i in seen)) { seen[$i]; d++ } }
        if (NR % 500 == 0) print d }' >distinct
    awk '{ d[NR] = $1 } END { exit !(d[2] > 1.1 * d[1] && d[2] - d[1] < d[1] && d[3] - d[2] < d[2] - d[1]) }' distinct
}

@test "mpd-synth: the truth is behind tags, lyrics, audio, playlists and their names" {
    mp2json "$run/truth.mp" | jq -c 'select(.track_id)' >truth.json
    beside truth.json "$run/tracks.mp" | jq -es '
        (map(select(.tags)) | length / 1) as $tagged | length as $n | [$tagged / $n, (map(select(.lyrics)) | length / $n)] as $there |
        (map(select(.tags and ([.genre] - .tags == []))) | length / $tagged) as $genre |
        (map(select(.tags and ([.mood] - .tags == []))) | length / $tagged) as $mood |
        [$there, $genre, $mood] | debug |
        ($there[0] - 0.9 | fabs) < 0.02 and ($there[1] - 0.857 | fabs) < 0.02 and ($genre - 0.85 | fabs) < 0.02 and ($mood - 0.6 | fabs) < 0.03'
    # a mood's word is in the lyrics of its tracks, hardly in those of others
    beside truth.json "$run/tracks.mp" |
        jq -es 'map(select(.lyrics)) | map({calm: (.mood == "calm"), word: (.lyrics | test("\\bbreathe\\b"))}) |
            (map(select(.calm and .word)) | length) / (map(select(.calm)) | length) > 0.3 and
            (map(select((.calm | not) and .word)) | length) == 0'
    # a vector is nearer to the mean of its own genre than to that of another
    beside truth.json "$run/audio.mp" | jq -es '
        def mean: (length) as $n | transpose | map(add / $n);
        (group_by(.genre) | map(select(length > 30)) | .[0:2]) as [$a, $b] | ($a | map(.vector) | mean) as $ma | ($b | map(.vector) | mean) as $mb |
        [$a[], $b[]] | map(. as $t | ([$t.vector, $ma] | transpose | map((.[0] - .[1]) * (.[0] - .[1])) | add) as $da |
            ([$t.vector, $mb] | transpose | map((.[0] - .[1]) * (.[0] - .[1])) | add) as $db |
            (($da < $db) == ($t.genre == $a[0].genre))) | (map(select(.)) | length) / length > 0.9'
}

@test "mpd-synth: most tracks of a playlist are of its genre and mood" {
    mp2json "$run/truth.mp" | jq -r '[.playlist_id // .track_id, .genre, .mood // "-"] | @tsv' >truth.tsv
    mp2json "$run/playlists.mp" | jq -r '.playlist_id as $p | .tracks[] | [$p, .] | @tsv' |
        awk -F'\t' 'NR == FNR { g[$1] = $2; m[$1] = $3; next }
            { n++; genre += g[$1] == g[$2]; if (m[$1] != "-") { moody++; mood += m[$1] == m[$2] } }
            END { print genre / n, mood / moody; exit !(genre / n > 0.6 && genre / n < 0.95 && mood / moody > 0.5) }' truth.tsv -
    # half of the names or more hint at the genre or the mood
    paste <(mp2json "$run/playlists.mp" | jq -r '.name | ascii_downcase') <(head -n 2000 truth.tsv) |
        awk -F'\t' 'index($1, $3) > 0 { n++ } END { print n; exit !(n > 600 && n < 1600) }'
}

@test "mpd-synth: no playlists, few genres, --limit" {
    run -0 --separate-stderr mpd-synth -n 0 --catalogue 10000 -o none.json --tracks t.mp --truth x.mp
    [ -e none.json ] && [ ! -s none.json ] && [ ! -s t.mp ] && [ ! -s x.mp ]
    [[ $stderr == "mpd-synth: in=0 out=0 rejected=0 slices=0 entries=0 tracks=0 "* ]]
    mpd-synth --limit 20 -n 50 --catalogue 10000 --genres 1 --moods 1 --lyrics 0 -o s.json --tracks t.mp --truth x.mp
    [ "$(mpd-parse s.json | mp2json | wc -l)" -eq 20 ]
    [ "$(mp2json x.mp | jq -r .genre | sort -u | wc -l)" -eq 1 ]
    [ "$(mp2json t.mp | jq -c 'select(.lyrics)' | wc -l)" -eq 0 ]
}

@test "mpd-synth: bad options are 64, a folder that is not there 73, a full disk 74, a closed pipe 141" {
    for o in '--catalogue 9999' '--genres 65' '--moods 0' '-n -1' '--dim 0' 'operand'; do
        # shellcheck disable=SC2086 # two words
        run -64 --separate-stderr mpd-synth $o -o out.json
        [ "$(wc -l <<<"$stderr")" = 1 ]
        [ ! -e out.json ]
    done
    run -73 --separate-stderr mpd-synth -n 10 --catalogue 10000 --dir none
    [[ $stderr == "mpd-synth: none: "* ]]
    : >file
    run -73 --separate-stderr mpd-synth -n 10 --catalogue 10000 --dir file
    [ "$stderr" = "mpd-synth: file: not a folder" ]
    run -73 --separate-stderr mpd-synth -n 10 --catalogue 10000 --tracks none/t.mp -o s.json
    [ ! -e s.json ]
    for o in -o --tracks --audio --truth; do
        run -74 --separate-stderr mpd-synth -n 300 --catalogue 10000 $o /dev/full
        [[ $stderr == "mpd-synth: /dev/full: "*"No space left on device" ]]
    done
    run -141 --separate-stderr unread mpd-synth -n 300 --catalogue 10000
    [ "$stderr" = "" ]
}
