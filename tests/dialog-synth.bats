#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# dialog-synth. The frames of these tests are codes ("A:{artist}"), so that what was asked for can be read off and
# compared with what was played.
load helper

# 60 tracks: artist bN has tracks 10N … 10N+9; tags gN of every tenth; 50 to 59 are cold.
tracks() {
    jq -nc 'range(60) | {track_id: "t\(.)", title: "song\(.)", artist: (if . % 3 == 0 then ["b\(. / 10 | floor)", "x\(.)"] else "b\(. / 10 | floor)" end),
        album: "disc\(. / 5 | floor)", tags: ["g\(. % 10)"], cold: (. >= 50)}' | mk tracks.mp
}

playlists() {
    jq -nc 'range(40) | {playlist_id: "p\(.)", tracks: ["t\(.)", "t\((. + 1) % 50)", "t\((. + 7) % 50)", "t\((. + 20) % 50)", "nowhere"],
        split: (if . % 10 == 9 then "valid" else "train" end), note: "kept away"}' | mk playlists.mp
}

frames() {
    jq -c '.' <<'EOF' | mk frames.mp
{"role": "user", "intent": "artist", "text": "A={artist}"}
{"role": "user", "intent": "track", "text": "T={track}"}
{"role": "user", "intent": "album", "text": "D={album}"}
{"role": "user", "intent": "tag", "text": "G={tag}", "weight": 2}
{"role": "user", "intent": "year", "text": "Y={year}"}
{"role": "user", "intent": "tempo", "text": "S={tempo} bpm"}
{"role": "user", "intent": "key", "text": "K={key}"}
{"role": "user", "intent": "lyrics", "text": "L={lyrics}"}
{"role": "user", "intent": "like", "text": "N={artist}"}
{"role": "user", "intent": "more", "text": "more"}
{"role": "user", "intent": "praise", "text": "Great!"}
{"role": "user", "intent": "reject", "text": "no."}
{"role": "assistant", "intent": "any", "text": "here"}
EOF
}

synth() {
    dialog-synth --frames frames.mp --tracks tracks.mp "$@"
}

@test "dialog-synth: no playlists give no dialogues, one gives one" {
    tracks && frames && playlists
    run -0 --separate-stderr synth -o none.mp /dev/null
    [ -e none.mp ] && [ ! -s none.mp ]
    jq -nc '{playlist_id: "only", tracks: ["t1", "t2"]}' | mk one.mp
    run -0 --separate-stderr synth -o out.mp one.mp
    mp2json out.mp >out
    [ "$(wc -l <out)" -eq 1 ]
    jq -es 'length == 1 and (.[0] | .dialog_id == "only/1" and .playlist_id == "only" and (has("split") | not)
        and .turns[0].role == "user" and any(.turns[]; .role == "music"))' out
}

# Names in these tracks have no marks, and may come with a letter slipped: what is compared begins with a letter and a number.
@test "dialog-synth: what is played is what was asked for" {
    tracks && frames && playlists
    run -0 --separate-stderr synth --dialogs 30 -o out.mp playlists.mp
    mp2json out.mp >out
    jq -r 'def n: capture("(?<n>[0-9]+)").n | tonumber;
        .turns | reduce .[] as $t ({q: "", out: []};
            if $t.role == "user" then .q = $t.content
            elif $t.role == "music" and $t.train != false then .out += [[.q, ($t.content | n)]] else . end)
        | .out[] | .[1] as $k | .[0] | ascii_downcase
        | def num(re): capture(re).n | tonumber;
          if test("a=b[0-9]+$") then ["artist", num("a=b(?<n>[0-9]+)$") == ($k / 10 | floor)]
          elif test("a=x[0-9]+$") then ["artist", num("a=x(?<n>[0-9]+)$") == $k]
          elif test("t=song[0-9]+$") then ["track", num("t=song(?<n>[0-9]+)$") == $k]
          elif test("d=disc[0-9]+$") then ["album", num("d=disc(?<n>[0-9]+)$") == ($k / 5 | floor)]
          elif test("g=g[0-9]$") then ["tag", num("g=g(?<n>[0-9])$") == $k % 10]
          else ["other", true] end | "\(.[0]) \(.[1])"' out | sort | uniq -c | awk '{print $2, $3, $1}' >tally
    run -1 grep false tally
    for intent in artist track album tag; do
        awk -v i="$intent" '$1 == i && $2 == "true" && $3 > 20 {found = 1} END {exit !found}' tally
    done
}

@test "dialog-synth: intents without a field are not asked, with one they are" {
    tracks && frames && playlists
    synth --dialogs 20 playlists.mp 2>/dev/null | mp2json | jq -r '.turns[] | select(.role == "user").content' >plain
    run -1 grep -qE '[YSKLysk]=' plain
    mp2json tracks.mp | jq -c '. + {year: 1990, tempo: 99.6, key: "C minor", lyrics: "la la la la la la la la la la"}' | mk rich.mp
    dialog-synth --dialogs 20 --frames frames.mp --tracks rich.mp playlists.mp 2>/dev/null | mp2json |
        jq -r '.turns[] | select(.role == "user").content | ascii_downcase' >rich
    grep -q 'y=1990' rich
    grep -q 's=100 bpm' rich
    grep -q 'k=c minor' rich
    grep -qE 'l=(la ){3,7}la' rich
}

@test "dialog-synth: a rejected track is not of the playlist nor by its artists, is not trained on, and is followed by one that is" {
    tracks && frames && playlists
    run -0 --separate-stderr synth --dialogs 40 -o out.mp playlists.mp
    [[ $stderr =~ " rejections="([0-9]+) ]] && n=${BASH_REMATCH[1]}
    [ "$n" -gt 50 ]
    mp2json playlists.mp | jq -c '{key: .playlist_id, value: .tracks}' | jq -sc from_entries >lists
    mp2json out.mp >out
    jq -c --slurpfile lists lists '.playlist_id as $p | .turns | to_entries[] | select(.value.train == false)
        | .value.content as $t | ($lists[0][$p] | map(select(. != "nowhere") | .[1:] | tonumber / 10 | floor)) as $artists
        | {role: .value.role, mine: ($lists[0][$p] | index($t)), kin: ($artists | index($t[1:] | tonumber / 10 | floor))}' out >rejected
    [ "$(wc -l <rejected)" -eq "$n" ]
    jq -es 'all(.role == "music" and .mine == null and .kin == null)' rejected
    # of each dialogue with a rejection the music after it is trained on
    jq -c '[.turns[] | select(.role == "music") | .train != false] | select(index(false) != null) | .[index(false) + 1]' out | sort | uniq -c >after
    [ "$(awk '{print $2}' after)" = true ]
}

@test "dialog-synth: a dialogue has its playlist's split; training plays no cold track, validation may" {
    tracks && frames
    jq -nc '(range(30) | {playlist_id: "p\(.)", tracks: ["t\(.)", "t5\(. % 10)"], split: "train"}),
        {playlist_id: "v", tracks: ["t50", "t51"], split: "valid"}, {playlist_id: "w", tracks: ["t50"], split: "train"}' | mk p.mp
    run -0 --separate-stderr synth --dialogs 5 -o out.mp p.mp
    [[ $stderr == *" skipped=1 "* ]]
    mp2json out.mp >out
    jq -r 'select(.split == "train").turns[] | select(.role == "music").content[1:] | tonumber' out >played
    [ "$(wc -l <played)" -gt 100 ]
    [ "$(sort -n played | tail -n 1)" -lt 50 ]
    jq -r 'select(.split == "valid").turns[] | select(.role == "music").content' out | grep -qx t50
    jq -es 'all(.split == (if .playlist_id == "v" then "valid" else "train" end))' out
}

@test "dialog-synth: same bytes twice, others with another seed" {
    tracks && frames && playlists
    synth --dialogs 3 -o a.mp playlists.mp 2>/dev/null
    synth --dialogs 3 -o b.mp playlists.mp 2>/dev/null
    synth --dialogs 3 --seed 2 -o c.mp playlists.mp 2>/dev/null
    [ -s a.mp ]
    same a.mp b.mp
    run -1 cmp -s a.mp c.mp
}

@test "dialog-synth: three parts give the dialogues of the whole, in any order" {
    tracks && frames && playlists
    mp2json playlists.mp >p
    for i in 0 1 2; do
        awk -v i=$i 'NR % 3 == i' p | mk "part$i.mp"
        synth --dialogs 1.5 -o "d$i.mp" "part$i.mp" 2>/dev/null
        mp2json "d$i.mp"
    done | sort >parts
    synth --dialogs 1.5 playlists.mp 2>/dev/null | mp2json | sort >whole
    [ "$(wc -l <whole)" -gt 40 ] && [ "$(wc -l <whole)" -lt 80 ]
    same parts whole
}

@test "dialog-synth: cover asks for each track of a playlist about so often" {
    tracks && frames
    jq -nc '{playlist_id: "all", tracks: [range(35) | "t\(.)"]}' | mk p.mp
    run -0 --separate-stderr synth --cover 4 -o out.mp p.mp
    [[ $stderr == *" out=40 "* ]]
    mp2json out.mp | jq -r '.turns[] | select(.role == "music").content' | sort | uniq -c | awk '$1 >= 3' >often
    [ "$(wc -l <often)" -ge 30 ]
}

@test "dialog-synth: those who roam name an artist or a title of any warm track, which is what they get" {
    tracks && frames
    jq -nc '{playlist_id: "few", tracks: ["t1"]}' | mk p.mp
    synth --dialogs 30 --roam 1 p.mp 2>/dev/null | mp2json >out
    jq -r '.turns | reduce .[] as $t ({q: "", out: []};
            if $t.role == "user" then .q = $t.content elif $t.role == "music" then .out += [[.q, $t.content]] else . end)
        | .out[] | [(.[0] | ascii_downcase), .[1][1:]] | @tsv' out >asked
    [ "$(wc -l <asked)" -gt 300 ]
    awk -F '\t' '$2 >= 50 {bad = 1} {seen[$2]} END {n = 0; for (t in seen) n++; exit bad || n < 40}' asked
    # "b3", "x21", "song21" alone and in a frame: the number is the track's, or its tens
    awk -F '\t' '$1 ~ /^(a=)?b[0-9]+$/ {n = $1; sub(/^(a=)?b/, "", n); named++; bad += n != int($2 / 10)}
        $1 ~ /^(a=)?x[0-9]+$/ {n = $1; sub(/^(a=)?x/, "", n); named++; bad += n != $2}
        $1 ~ /^(t=)?song[0-9]+$/ {n = $1; sub(/^(t=)?song/, "", n); named++; bad += n != $2}
        $1 ~ /^[bxs]/ {alone++} $1 ~ /=/ {framed++}
        END {exit bad || named < 0.9 * NR || alone < 0.3 * NR || framed < 0.3 * NR}' asked
    synth --dialogs 100 --roam 0.5 p.mp 2>/dev/null | mp2json | jq '[.turns[] | select(.role == "user")] | length == 12' | sort | uniq -c >share
    awk '$2 == "true" {t = $1} END {exit !(t > 30 && t < 70)}' share
}

@test "dialog-synth: an opening is one of the requests of the playlist, unless it asks for nothing" {
    tracks && frames
    jq -nc '{playlist_id: "r", tracks: ["t1", "t2"], requests: ["Songs To Sail With", "more", "Great! more"]}' | mk p.mp
    synth --dialogs 200 p.mp 2>/dev/null | mp2json | jq -r '.turns[0].content | ascii_downcase' >first
    [ "$(grep -cx 'songs to sail with' first)" -gt 10 ]
    run -1 grep -x 'great! more' first
}

@test "dialog-synth: bad records end it with 65 and their position, or are set aside" {
    tracks && frames
    jq -nc '{playlist_id: "a", tracks: ["t1"]}, {playlist_id: "b", tracks: "t1"}, {playlist_id: "c", tracks: ["t2"]}' | mk p.mp
    run -65 --separate-stderr synth -o out.mp p.mp
    [[ $stderr == *"p.mp: record 2, byte "*": tracks: expected array, got string"* ]]
    [ ! -e out.mp ]
    run -0 --separate-stderr synth --rejects bad.mp -o out.mp p.mp
    [[ $stderr == *" in=3 out=2 rejected=1 "* ]]
    playlists && head -c -3 playlists.mp >cut.mp
    run -65 --separate-stderr synth -o out2.mp cut.mp
    [[ $stderr == *"cut.mp: record 40, byte "*"cut off"* ]]
    [ ! -e out2.mp ]
    jq -nc '{playlist_id: "a", tracks: ["t1", 2]}' | mk p.mp
    run -65 --separate-stderr synth -o out2.mp p.mp
    [[ $stderr == *"tracks: expected string, got "* ]]
}

@test "dialog-synth: side files that are not what they should be are refused" {
    tracks && frames && playlists
    run -64 --separate-stderr dialog-synth --frames frames.mp playlists.mp
    run -66 --separate-stderr dialog-synth --frames nowhere.mp --tracks tracks.mp playlists.mp
    run -65 --separate-stderr dialog-synth --frames /dev/null --tracks tracks.mp playlists.mp
    [[ $stderr == *"expected frames of role user, found none"* ]]
    jq -nc '{role: "user", intent: "artist", text: "some {artis}"}' | mk f.mp
    run -65 --separate-stderr dialog-synth --frames f.mp --tracks tracks.mp playlists.mp
    [[ $stderr == *"f.mp: record 1, byte 0: text: "*"slot"* ]]
    jq -nc '{role: "user", intent: "sing", text: "la"}' | mk f.mp
    run -65 --separate-stderr dialog-synth --frames f.mp --tracks tracks.mp playlists.mp
    [[ $stderr == *"no user says sing"* ]]
    cat tracks.mp tracks.mp >twice.mp
    run -65 --separate-stderr dialog-synth --frames frames.mp --tracks twice.mp playlists.mp
    [[ $stderr == *"record 61, byte "*"t0 comes twice"* ]]
}

@test "dialog-synth: with frames for nothing but a greeting the name alone is said" {
    tracks && playlists
    jq -nc '{role: "user", intent: "hello", text: "Hi!"}' | mk frames.mp
    synth playlists.mp 2>/dev/null | mp2json >out
    [ "$(wc -l <out)" -eq 40 ]
    jq -es 'all(.[].turns[]; .role != "assistant" and (.content | length > 0))' out
}

@test "dialog-synth: a full disk is 74, a closed pipe is quiet" {
    tracks && frames && playlists
    run -74 --separate-stderr bash -c 'dialog-synth --dialogs 50 --frames frames.mp --tracks tracks.mp playlists.mp >/dev/full'
    [[ $stderr == *"No space left"* ]]
    run -0 --separate-stderr bash -c 'set +o pipefail; dialog-synth --dialogs 500 --frames frames.mp --tracks tracks.mp playlists.mp | head -c 10 >/dev/null; echo "${PIPESTATUS[0]}"'
    [ "$output" = 141 ]
    [ -z "$stderr" ]
}
