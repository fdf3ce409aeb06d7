#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
load helper

# planted N: N playlists of 6 tracks, each of one of 8 groups of 12 (tracks g-0 … g-11), a fixed sequence of its own.
planted() {
    awk -v n="$1" 'function u() { x = (x * 48271) % 2147483647; return x }
        BEGIN { x = 1; for (i = 0; i < n; i++) { printf "{\"playlist_id\":\"p%d\",\"tracks\":[", i
            for (j = 0; j < 6; j++) printf "%s\"%d-%d\"", j ? "," : "", i % 8, u() % 12
            print "]}" } }'
}

@test "item2vec: tracks of one planted group lie closer together than to any other" {
    planted 400 | mk in.mp
    run -0 --separate-stderr item2vec --dim 16 --epochs 20 -o v.mp in.mp
    # knowing nothing costs (1 + 5) ln 2 = 4.16 a track
    echo "$stderr" | awk '{ sub(/.* loss=/, ""); exit !($1 < 3) }'
    kmeans -m playlist -k 8 --unit -o v.cb v.mp
    mp2json v.mp | jq -c '{track_id, playlist: .vector}' | mk joined.mp
    tok-map -c v.cb joined.mp | mp2json >items.json
    # 96 tracks, 8 codes, and as many pairs of group and code as there are groups
    jq -es 'length == 96 and ([.[] | [(.track_id | split("-")[0]), .codes.playlist]] | unique | length == 8)
        and ([.[].codes.playlist] | unique | length == 8)' items.json
}

@test "item2vec: validation and test playlists are skipped and counted" {
    mk in.mp <<'JSON'
{"playlist_id":"a","tracks":["x","y"],"split":"train"}
{"playlist_id":"b","tracks":["y","z"]}
{"playlist_id":"c","tracks":["v","w"],"split":"valid"}
{"playlist_id":"d","tracks":["t","u"],"split":"test"}
JSON
    run -0 --separate-stderr item2vec --dim 4 -o out.mp in.mp
    [[ $stderr == *"in=4 out=3 rejected=0 skipped=2 "* ]]
    mp2json out.mp | jq -es '[.[].track_id] == ["x", "y", "z"]
        and all(.[]; .modality == "playlist" and (.vector | length == 4))'
    mk bad.mp <<'JSON'
{"playlist_id":"e","tracks":["x"],"split":"dev"}
{"playlist_id":"f","tracks":["x",""]}
JSON
    item2vec --dim 4 --rejects rej.mp -o out.mp in.mp bad.mp
    mp2json rej.mp | jq -es 'map(.reason) == ["split: expected train, valid or test, got \"dev\"", "tracks: expected ids, got an empty string"]'
}

@test "item2vec: rare tracks and those alone in their playlists get no vector" {
    mk in.mp <<'JSON'
{"playlist_id":"a","tracks":["x","y","r"]}
{"playlist_id":"b","tracks":["x","y","x"]}
{"playlist_id":"c","tracks":["s","s"]}
JSON
    item2vec --dim 4 in.mp | mp2json | jq -es '[.[].track_id] == ["x", "y", "r"]'
    item2vec --dim 4 --min-count 2 in.mp | mp2json | jq -es '[.[].track_id] == ["x", "y"]'
}

@test "item2vec: --tracks writes those alone, in their order" {
    mk in.mp <<<'{"playlist_id":"a","tracks":["x","y","z"]}'
    mk tracks.mp <<'JSON'
{"track_id":"z","title":"","artist":"","album":""}
{"track_id":"q","title":"","artist":"","album":""}
{"track_id":"x","title":"","artist":"","album":""}
JSON
    item2vec --dim 4 --tracks tracks.mp in.mp | mp2json | jq -es '[.[].track_id] == ["z", "x"]'
}

@test "item2vec: the same bytes twice and for 1 and 4 threads, others for another seed" {
    planted 300 | mk in.mp
    item2vec --dim 20 --epochs 3 --threads 1 -o a.mp in.mp
    item2vec --dim 20 --epochs 3 --threads 4 -o b.mp in.mp
    item2vec --dim 20 --epochs 3 --threads 4 - <in.mp >c.mp
    same a.mp b.mp
    same a.mp c.mp
    item2vec --dim 20 --epochs 3 --seed 2 -o d.mp in.mp
    run -1 cmp -s a.mp d.mp
}

@test "item2vec: --hogwild learns the same groups, with one thread the same bytes twice" {
    planted 400 | mk in.mp
    run -0 --separate-stderr item2vec --hogwild --dim 16 --epochs 20 --threads 2 -o v.mp in.mp
    echo "$stderr" | awk '{ sub(/.* loss=/, ""); exit !($1 < 3) }'
    kmeans -m playlist -k 8 --unit -o v.cb v.mp
    mp2json v.mp | jq -c '{track_id, playlist: .vector}' | mk joined.mp
    tok-map -c v.cb joined.mp | mp2json | jq -es 'length == 96
        and ([.[] | [(.track_id | split("-")[0]), .codes.playlist]] | unique | length == 8)'
    item2vec --hogwild --dim 16 --epochs 2 --threads 1 -o a.mp in.mp
    item2vec --hogwild --dim 16 --epochs 2 --threads 1 -o b.mp in.mp
    item2vec --dim 16 --epochs 2 --threads 1 -o c.mp in.mp
    same a.mp b.mp
    run -1 cmp -s a.mp c.mp
}

# How much closer two tracks of one half are than two of both halves, by cosine.
apart() {
    mp2json "$1" | jq -s 'def len: map(. * .) | add | sqrt; def cos($a; $b): [$a, $b | . as $v | len as $n | map(. / $n)]
            | transpose | map(.[0] * .[1]) | add;
        [.[] as $a | .[] as $b | select($a.track_id < $b.track_id)
            | {same: ($a.track_id[:1] == $b.track_id[:1]), cos: cos($a.vector; $b.vector)}]
        | ([.[] | select(.same) | .cos] | add / length) - ([.[] | select(.same | not) | .cos] | add / length)'
}

@test "item2vec: --window tells the halves of playlists apart, the whole playlist does not" {
    # 8 of a0 ... a9, then 8 of b0 ... b9
    awk 'function u() { x = (x * 48271) % 2147483647; return x }
        function half(c,   n, t, s) { s = ""; split("", seen)
            for (n = 0; n < 8;) { t = c u() % 10; if (!(t in seen)) { seen[t]; s = s (n++ ? "," : "") "\"" t "\"" } }
            return s }
        BEGIN { x = 1; for (i = 0; i < 300; i++) printf "{\"playlist_id\":\"p%d\",\"tracks\":[%s,%s]}\n", i, half("a"), half("b") }' |
        mk in.mp
    item2vec --dim 16 --window 2 -o near.mp in.mp
    item2vec --dim 16 -o all.mp in.mp
    awk -v near="$(apart near.mp)" -v all="$(apart all.mp)" 'BEGIN { print near, all; exit !(near > 1 && all < 0.5) }'
    run -64 item2vec --window 97 in.mp
}

@test "item2vec: --window takes long playlists in pieces, a track that repeats once, and any number of threads" {
    jq -nc '{playlist_id: "long", tracks: [range(2000) | "t\(. % 700)"]}, {playlist_id: "two", tracks: ["t5", "t9"]}' | mk in.mp
    jq -nc '{playlist_id: "long", tracks: [range(700) | "t\(.)"]}, {playlist_id: "two", tracks: ["t5", "t9"]}' | mk once.mp
    item2vec --dim 8 --window 5 --epochs 3 --threads 1 -o a.mp in.mp
    item2vec --dim 8 --window 5 --epochs 3 --threads 4 -o b.mp in.mp
    item2vec --dim 8 --window 5 --epochs 3 --threads 2 -o c.mp once.mp
    same a.mp b.mp
    same a.mp c.mp
    mp2json a.mp | jq -es 'length == 700 and all(.[].vector[]; . != 0)'
}

@test "item2vec: a playlist of 2,000 tracks and one of none are fine" {
    jq -nc '{playlist_id: "long", tracks: [range(2000) | "t\(.)"]}, {playlist_id: "none", tracks: []}' | mk in.mp
    item2vec --dim 8 --epochs 2 -o out.mp in.mp
    mp2json out.mp | jq -es 'length == 2000'
}

@test "item2vec: --subsample thins out without losing tracks" {
    planted 200 | mk in.mp
    item2vec --dim 8 --epochs 2 --subsample 0.001 -o out.mp in.mp
    item2vec --dim 8 --epochs 2 -o all.mp in.mp
    mp2json out.mp | jq -es 'length == 96'
    run -1 cmp -s out.mp all.mp
}

@test "item2vec: an empty stream has no tracks" {
    : >empty
    item2vec -o out.mp empty
    [ -f out.mp ] && [ ! -s out.mp ]
}

@test "item2vec: a wrong type is 65 or set aside, a cut-off record 65" {
    mk in.mp <<'JSON'
{"playlist_id":"a","tracks":["x","y"]}
{"playlist_id":"b","tracks":["bad",7]}
JSON
    run -65 --separate-stderr item2vec --dim 4 in.mp
    [[ $stderr == *"in.mp: record 2, "*"tracks: expected string, got integer" ]]
    item2vec --dim 4 --rejects rej.mp -o out.mp in.mp
    # nothing of the bad record is learnt
    mp2json out.mp | jq -es '[.[].track_id] == ["x", "y"]'
    mp2json rej.mp | jq -es 'length == 1'
    head -c 20 in.mp >cut.mp
    run -65 --separate-stderr item2vec cut.mp
    [[ $stderr == *"cut off"* ]]
}

@test "item2vec: a full disk is 74, a closed pipe ends quietly" {
    planted 50 | mk in.mp
    run -74 bash -c 'item2vec --dim 4 in.mp >/dev/full'
    run -141 --separate-stderr unread item2vec --dim 4 in.mp
    [ -z "$stderr" ]
}
