#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# pipelines/named-artists.sh: what it asks and how it counts. The stages behind it have tests of their own; here a folder of
# small stand-ins answers by a known rule: always the same tracks.
load helper

# stand-ins TRACK...: programs of which the last ranks these tracks for every request.
stand_ins() {
    mkdir -p b/bin
    for p in json2mp mp2json; do ln -sf "$BUILD/bin/$p" b/bin/; done
    cat >b/bin/dialog-render <<'SH'
#!/bin/sh
mp2json | jq -c '{query_id: "\(.dialog_id):1", history: .turns}' | tee ../asked.json | json2mp 2>/dev/null
SH
    printf '#!/bin/sh\ncat\n' | tee b/bin/tokenize >b/bin/gen
    cat >b/bin/match <<SH
#!/bin/sh
mp2json | jq -c '{query_id, tracks: ("$*" | split(" ") | map({track_id: ., score: 1}))}' | json2mp 2>/dev/null
SH
    sed -i "s/\$\*/$*/" b/bin/match
    chmod +x b/bin/{dialog-render,tokenize,gen,match}
    mkdir -p run
    mk run/tracks.mp <<'JSON'
{"track_id":"a1","title":"1","artist":["A","B"],"album":""}
{"track_id":"a2","title":"2","artist":"A","album":""}
{"track_id":"b2","title":"3","artist":["B"],"album":""}
{"track_id":"c1","title":"4","artist":["C"],"album":""}
{"track_id":"c2","title":"5","artist":["C"],"album":"","cold":true}
JSON
    echo '{"example_id":"e","segments":[{"text":"play some jazz","kind":"text","train":false}]}' | mk run/text.mp
}

@test "named-artists: asks for artists with two warm tracks in three phrasings and counts first and first ten" {
    stand_ins c1 a2 x
    BUILD=$PWD/b "$ROOT/pipelines/named-artists.sh" run >out
    # A has a1 and a2, B has a1 and b2; C has one warm track only. a2 is the second of every ranking.
    grep -qP '^6\t50\.0 %\t0\.0 %\tall, 2 artists$' out
    [ "$(grep -cP '^2\t50\.0 %\t0\.0 %\t.*%' out)" -eq 3 ]
    jq -es 'length == 6 and (map(.history[0].content) | unique | length) == 6
        and all(.[]; .history[0].content | test(" [AB][,?]| [AB]$"))' run/asked.json
    [ -z "$(find run -name '.named*')" ]
    stand_ins a1 x
    BUILD=$PWD/b "$ROOT/pipelines/named-artists.sh" run >out
    grep -qP '^6\t100\.0 %\t100\.0 %\tall, 2 artists$' out
}

@test "named-artists: the seed chooses, --artists bounds" {
    stand_ins a1
    for i in $(seq 60); do echo "{\"track_id\":\"t$i\",\"title\":\"\",\"artist\":\"N$((i % 30))\",\"album\":\"\"}"; done | mk run/tracks.mp
    for seed in 1 1 2; do
        BUILD=$PWD/b "$ROOT/pipelines/named-artists.sh" --artists 5 --seed "$seed" run >out
        grep -q '^15.*all, 5 artists$' out
        md5sum <run/asked.json
    done >sums
    [ "$(sort -u sums | wc -l)" -eq 2 ]
    [ "$(sed -n 1p sums)" = "$(sed -n 2p sums)" ]
}

@test "named-artists: a phrasing that training has seen is refused, and so is a bad call" {
    stand_ins a1
    echo '{"example_id":"e","segments":[{"text":"So: Surprise me with whatever you like best by Abba","kind":"text","train":false}]}' |
        mk run/text.mp
    BUILD=$PWD/b run -65 --separate-stderr "$ROOT/pipelines/named-artists.sh" run
    [[ $stderr == *'training has seen "Surprise me with whatever'* ]]
    run -64 --separate-stderr "$ROOT/pipelines/named-artists.sh"
    run -64 --separate-stderr "$ROOT/pipelines/named-artists.sh" --artists x run
}
