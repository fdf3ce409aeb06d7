#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Expected codes are read off the plane: every vector lies beside one centroid.
load helper

books() {
    mk books.cb <<'JSON'
{"modality":"semantic","index":1,"count":1,"vector":[10,0]}
{"modality":"semantic","index":0,"count":1,"vector":[0,10]}
{"modality":"playlist","index":0,"count":1,"vector":[0,0,0]}
{"modality":"playlist","index":1,"count":1,"vector":[1,1,1]}
{"modality":"playlist","index":2,"count":1,"vector":[5,5,5]}
JSON
}

joined() {
    mk joined.mp <<'JSON'
{"track_id":"a","cold":false,"playlist":[1,1,0.9],"semantic":[9,1],"note":"stays"}
{"track_id":"b","cold":false,"playlist":[4,5,5],"semantic":[1,8]}
{"track_id":"c","cold":false,"playlist":[5,5,4],"semantic":[0,9]}
{"track_id":"d","cold":true,"semantic":[0.5,9]}
{"track_id":"e","cold":true,"playlist":[0,0,0.1]}
{"track_id":"f","cold":true,"lyrics":[1]}
JSON
}

@test "tok-map: the nearest centroid of each modality, unknown keys kept, vectors gone" {
    books && joined
    run -0 --separate-stderr tok-map -c books.cb -o out.mp joined.mp
    [[ $stderr == *"in=6 out=5 rejected=0 without=1 "* ]]
    mp2json out.mp >out.json
    cat >want.json <<'JSON'
{"track_id":"a","cold":false,"note":"stays","codes":{"playlist":1,"semantic":1}}
{"track_id":"b","cold":false,"codes":{"playlist":2,"semantic":0}}
{"track_id":"c","cold":false,"codes":{"playlist":2,"semantic":0}}
{"track_id":"d","cold":true,"codes":{"semantic":0}}
{"track_id":"e","cold":true,"codes":{"playlist":0}}
JSON
    same out.json want.json
}

@test "tok-map: --missing impute takes the majority of the nearest training tracks and says so" {
    books && joined
    run -0 --separate-stderr tok-map -c books.cb --missing impute --train joined.mp --neighbours 2 -o out.mp joined.mp
    [[ $stderr == *" train=3 "* ]]
    # d points where b and c do, both of playlist code 2; e points nearly nowhere: of [0,0,0.1] a, then b, c are next
    mp2json out.mp | jq -es '
        (.[] | select(.track_id == "d") | .codes == {playlist: 2, semantic: 0} and .imputed == ["playlist"])
        and ([.[] | select(.imputed)] | length == 2)'
    tok-map -c books.cb --missing impute --train joined.mp --neighbours 1 joined.mp 2>/dev/null | mp2json >one.json
    # cosines of [0,0,1] with a, b, c: .561, .615, .492
    jq -es '.[] | select(.track_id == "e") | .codes == {playlist: 0, semantic: 0} and .imputed == ["semantic"]' one.json
}

@test "tok-map: a tie of codes in the vote goes to the nearer tracks" {
    books && joined
    # neighbours of e by cosine: b (code 0), a (code 1): one vote each
    tok-map -c books.cb --missing impute --train joined.mp --neighbours 2 joined.mp 2>/dev/null | mp2json >out.json
    jq -es '.[] | select(.track_id == "e") | .codes.semantic == 0' out.json
}

@test "tok-map: equal distances go to the lower index" {
    mk tie.cb <<'JSON'
{"modality":"audio","index":0,"count":1,"vector":[1]}
{"modality":"audio","index":1,"count":1,"vector":[3]}
{"modality":"audio","index":2,"count":1,"vector":[1]}
JSON
    mk in.mp <<'JSON'
{"track_id":"a","audio":[2]}
{"track_id":"b","audio":[0]}
JSON
    tok-map -c tie.cb in.mp | mp2json | jq -es '[.[].codes.audio] == [0, 0]'
}

@test "tok-map: the report counts codes, tuples and the tracks that share one" {
    books && joined
    tok-map -c books.cb --report use.mp -o out.mp joined.mp
    # semantic codes 1 0 0 0: entropy of 1/4, 3/4 is 0.5623351446, perplexity its exponential
    mp2json use.mp | jq -es 'length == 1 and (.[0] |
        .tracks == 5 and .tuples == 4 and .alone == 3 and .largest_tuple == 2 and .tracks_per_tuple == 1.25
        and (.modalities | keys == ["playlist", "semantic"])
        and (.modalities.semantic | .tracks == 4 and .codes == 2 and .used == 2 and .largest == 3 and .imputed == 0
            and (.perplexity - 1.7547653506) * (.perplexity - 1.7547653506) < 1e-18)
        and (.modalities.playlist | .used == 3 and .codes == 3))'
}

@test "tok-map: a codebook with a hole, a repeated index or another dimension is a data error" {
    joined
    mk hole.cb <<<'{"modality":"semantic","index":1,"count":1,"vector":[10,0]}'
    run -65 --separate-stderr tok-map -c hole.cb joined.mp
    [[ $stderr == *"index: semantic 0 is missing of 2" ]]
    cat hole.cb hole.cb >twice.cb
    run -65 --separate-stderr tok-map -c twice.cb joined.mp
    [[ $stderr == *"twice.cb: record 2, "*"index: semantic 1 comes twice" ]]
    mk wide.cb <<<'{"modality":"semantic","index":0,"count":1,"vector":[10,0,0]}'
    run -65 --separate-stderr tok-map -c wide.cb joined.mp
    [[ $stderr == *"joined.mp: record 1, byte 0: semantic: expected 3 numbers, got 2" ]]
}

@test "tok-map: a record's codes do not depend on what shares its batch, nor on threads" {
    awk 'BEGIN { x = 7; for (i = 0; i < 700; i++) { printf "{\"track_id\":\"t%d\",\"semantic\":[", i
        for (j = 0; j < 19; j++) { x = (x * 48271) % 2147483647; printf "%s%.5f", j ? "," : "", x / 2147483647 - 0.5 }
        print "]}" } }' >in.json
    mk in.mp <in.json
    kmeans -m semantic -k 50 --iterations 3 -o s.cb in.mp
    tok-map -c s.cb --threads 1 -o a.mp in.mp
    tok-map -c s.cb --threads 4 -o b.mp in.mp
    same a.mp b.mp
    sed -n 301,303p in.json | mk some.mp
    tok-map -c s.cb -o some.out some.mp
    mp2json a.mp | sed -n 301,303p >want.json
    mp2json some.out | cmp - want.json
}

# kinds N: N tracks of 10 kinds, with a playlist vector that tells the kind, and a semantic one that every third lacks.
kinds() {
    awk -v n="$1" 'function u() { x = (x * 48271) % 2147483647; return x / 2147483647 - 0.5 }
        BEGIN { x = 3; for (c = 0; c < 10; c++) for (j = 0; j < 12; j++) m[c, j] = 2 * u()
            for (i = 0; i < n; i++) { c = i * i % 10
                printf "{\"track_id\":\"t%d\",\"cold\":false,\"playlist\":[", i
                for (j = 0; j < 12; j++) printf "%s%.4f", j ? "," : "", m[c, j] + u()
                if (i % 3) { printf "],\"semantic\":["
                    for (j = 0; j < 5; j++) printf "%s%.4f", j ? "," : "", m[c, j] + u() / 4 }
                print "]}" } }'
}

@test "tok-map: imputed codes are those of a plain search, for any number of threads and any order" {
    kinds 700 >in.json
    mk in.mp <in.json
    for m in playlist semantic; do kmeans -m $m -k 8 in.mp; done >all.cb
    tok-map -c all.cb --missing impute --train in.mp --neighbours 7 --threads 1 -o a.mp in.mp
    tok-map -c all.cb --missing impute --train in.mp --neighbours 7 --threads 4 -o b.mp in.mp
    same a.mp b.mp
    mp2json a.mp | jq -r '[.track_id, .codes.semantic, (.imputed != null)] | @tsv' | sort >codes
    # cosines of the playlist vectors; a vote of the seven nearest that have a semantic code
    jq -r '[.track_id, .playlist[]] | @tsv' in.json | sort | join -t "$(printf '\t')" codes - | awk -F'\t' '
        { code[NR] = $2; asks[NR] = $3 == "true"; n = 0
          for (j = 4; j <= NF; j++) n += $j * $j
          for (j = 4; j <= NF; j++) v[NR, j] = $j / sqrt(n) }
        END { for (i = 1; i <= NR; i++) if (asks[i]) {
            delete like
            for (t = 1; t <= NR; t++) if (!asks[t]) { like[t] = 0; for (j = 4; j <= 15; j++) like[t] += v[i, j] * v[t, j] }
            delete votes; delete sum
            for (k = 0; k < 7; k++) { best = 0
                for (t in like) if (!best || like[t] > like[best]) best = t
                votes[code[best]]++; sum[code[best]] += like[best]; delete like[best] }
            win = -1
            for (c in votes) if (win < 0 || votes[c] > votes[win] || (votes[c] == votes[win] && sum[c] > sum[win])) win = c
            asked++; wrong += win != code[i] } 
          print asked, wrong + 0; exit !(asked == 234 && wrong == 0) }'
    sed -n 301,303p in.json | mk some.mp
    tok-map -c all.cb --missing impute --train in.mp --neighbours 7 -o some.out some.mp
    mp2json a.mp | sed -n 301,303p >want.json
    mp2json some.out | cmp - want.json
}

@test "tok-map: tracks that a part of the products rules out would not have been neighbours" {
    # 15 classes of 40 tracks each, which lie near each other in three modalities; some lack one or two.
    awk 'function u(a, b, c, x) { x = sin(a * 12.9898 + b * 78.233 + c * 37.719) * 43758.5453; return x - int(x) }
        BEGIN { split("playlist semantic audio", name, " ")
            for (i = 0; i < 600; i++) { s = ""
                for (m = 1; m <= 3; m++) {
                    if ((m == 2 && i % 5 == 0) || (m == 3 && i % 7 == 0)) continue
                    s = s ",\"" name[m] "\":["
                    for (d = 0; d < 9; d++) s = s (d ? "," : "") u(int(i / 40), m, d) + 0.4 * u(i + 100, m, d + 50)
                    s = s "]" }
                printf "{\"track_id\":\"t%04d\"%s}\n", i, s } }' >in.json
    mk in.mp <in.json
    for m in playlist semantic audio; do kmeans -m $m -k 30 in.mp; done >all.cb 2>/dev/null
    tok-map -c all.cb --precision f32 --missing impute --train in.mp --neighbours 9 --threads 1 -o a.mp in.mp
    tok-map -c all.cb --precision bf16 --missing impute --train in.mp --neighbours 9 --threads 3 -o half.mp in.mp
    mp2json a.mp | jq -r '(.imputed // []) as $new |
        [.track_id, .codes.semantic, .codes.audio, ($new | index("semantic", "audio") != null)] | @tsv' >codes
    jq -r '[.track_id, (.playlist, .semantic, .audio | if . == null then range(9) | 0 else .[] end)] | @tsv' in.json |
        join -t "$(printf '\t')" codes - | awk -F'\t' '
        { code[NR, 0] = $2; code[NR, 1] = $3; asks[NR, 0] = $4 == "true"; asks[NR, 1] = $5 == "true"
          for (m = 0; m < 3; m++) { n = 0
            for (j = 6 + 9 * m; j < 15 + 9 * m; j++) n += $j * $j
            for (j = 6 + 9 * m; j < 15 + 9 * m; j++) v[NR, j] = n > 0 ? $j / sqrt(n) : 0 } }
        END { for (i = 1; i <= NR; i++) for (a = 0; a < 2; a++) if (asks[i, a]) {
            delete like; delete votes; delete sum
            for (t = 1; t <= NR; t++) if (!asks[t, a]) { like[t] = 0; for (j = 6; j <= 32; j++) like[t] += v[i, j] * v[t, j] }
            for (k = 0; k < 9; k++) { best = 0
                for (t in like) if (!best || like[t] > like[best]) best = t
                votes[code[best, a]]++; sum[code[best, a]] += like[best]; delete like[best] }
            win = -1
            for (c in votes) if (win < 0 || votes[c] > votes[win] || (votes[c] == votes[win] && sum[c] > sum[win])) win = c
            asked++; wrong += win != code[i, a] }
          print asked, wrong + 0; exit !(asked == 206 && wrong == 0) }'
    # bfloat16 is less exact: of neighbours that are about as near it may take others.
    [ "$(mp2json half.mp | jq -c .codes | paste - <(mp2json a.mp | jq -c .codes) | awk '$1 != $2' | wc -l)" -le 15 ]
}

@test "tok-map: --precision bf16 gives the same codes" {
    kinds 900 | mk in.mp
    for m in playlist semantic; do kmeans -m $m -k 40 in.mp; done >all.cb
    tok-map -c all.cb --precision f32 -o a.mp in.mp
    tok-map -c all.cb --precision bf16 -o b.mp in.mp
    same a.mp b.mp
    tok-map -c all.cb --precision bf16 --missing impute --train in.mp in.mp | mp2json >out.json
    jq -es 'length == 900 and ([.[] | select(.imputed)] | length) == 300' out.json
}

@test "tok-map: --probe hides codes that are known and tells how many come out right" {
    kinds 900 | mk in.mp
    for m in playlist semantic; do kmeans -m $m -k 8 --seed 2 in.mp; done >all.cb
    run -0 --separate-stderr tok-map -c all.cb --missing impute --train in.mp --probe 0.5 -o a.mp in.mp
    # six kinds: what tells the kind tells the code, but for kinds of two codes; a track that were its own neighbour would be right by definition
    [[ $stderr =~ "semantic: of "([0-9]+)" hidden codes "([0-9.]+)" % imputed right, "([0-9.]+)" % by the most frequent code" ]]
    [ "${BASH_REMATCH[1]}" -gt 200 ] && [ "${BASH_REMATCH[1]}" -lt 400 ]
    awk -v a="${BASH_REMATCH[2]}" -v b="${BASH_REMATCH[3]}" 'BEGIN { exit !(a > 60 && a < 100 && b < 50) }'
    [[ $stderr == *"playlist: of "* ]]
    run -0 --separate-stderr tok-map -c all.cb --missing impute --train in.mp --neighbours 1 --probe 0.5 -o a1.mp in.mp
    [[ $stderr == *"hidden codes"* && $stderr != *"hidden codes 100.0 %"* ]]
    # what is written stays as it is
    tok-map -c all.cb --missing impute --train in.mp -o b.mp in.mp
    same a.mp b.mp
    run -64 --separate-stderr tok-map -c all.cb --probe 0.5 in.mp
    [ "$stderr" = "tok-map: --probe needs --missing impute" ]
}

@test "tok-map: empty stream, cut-off record, missing options" {
    books && joined
    : >empty
    tok-map -c books.cb -o out.mp empty
    [ -f out.mp ] && [ ! -s out.mp ]
    head -c 40 joined.mp >cut.mp
    run -65 --separate-stderr tok-map -c books.cb cut.mp
    [[ $stderr == *"cut off"* ]]
    run -64 --separate-stderr tok-map joined.mp
    [ "$stderr" = "tok-map: --centroids must be given" ]
    run -64 --separate-stderr tok-map -c books.cb --missing impute joined.mp
    [ "$stderr" = "tok-map: --missing impute and --train go together" ]
    run -66 tok-map -c nowhere.cb joined.mp
}

@test "tok-map: bad records are set aside, a full disk is 74, a closed pipe ends quietly" {
    books && joined
    mk bad.mp <<<'{"track_id":7,"semantic":[1,2]}'
    run -65 --separate-stderr tok-map -c books.cb bad.mp
    [[ $stderr == *"bad.mp: record 1, byte 0: track_id: expected string, got integer" ]]
    tok-map -c books.cb --rejects rej.mp -o out.mp bad.mp joined.mp
    mp2json rej.mp | jq -es 'length == 1 and .[0].value.track_id == 7'
    run -74 bash -c 'tok-map -c books.cb joined.mp >/dev/full'
    run -141 unread tok-map -c books.cb joined.mp
}
