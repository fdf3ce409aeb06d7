#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
load helper

few() {
    mk tracks.mp <<'JSON'
{"track_id":"a","title":"Blue Moon","artist":["Billie Holiday"],"album":"Solitude","tags":["jazz","ballad"],"lyrics":"blue moon you saw me","year":1952}
{"track_id":"b","title":"Strange Fruit","artist":"Billie Holiday","album":"Lady","tags":["jazz","protest"]}
{"track_id":"c","title":"Ace of Spades","artist":"Motörhead","album":"","tags":["metal"],"caption":"fast and loud"}
{"track_id":"d","title":"Bomber","artist":"Motorhead","album":"Bomber"}
{"track_id":"e","title":"--","artist":[],"album":"","tags":[]}
JSON
}

# cosines FILE: "ID ID COSINE" of all pairs; vectors have length 1.
cosines() {
    mp2json "$1" | jq -r '[.track_id] + .vector | @tsv' | awk '{ id[NR] = $1; for (j = 2; j <= NF; j++) v[NR, j] = $j }
        END { for (a = 1; a < NR; a++) for (b = a + 1; b <= NR; b++) { s = 0
            for (j = 2; j <= NF; j++) s += v[a, j] * v[b, j]
            printf "%s %s %.4f\n", id[a], id[b], s } }'
}

# nearest N LEAST MOST: lines of a class and its vector come in; of every Nth that has others of its class, more than LEAST have one
# of them nearest, where of pairs drawn at random less than MOST would be of one class.
nearest() {
    python3 -c '
import sys
from collections import Counter
from operator import mul
n, least, most = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
rows = [(line[0], list(map(float, line[1:]))) for line in (line.rstrip("\n").split("\t") for line in sys.stdin)]
count = Counter(name for name, _ in rows)
asked = [a for a in range(0, len(rows), n) if count[rows[a][0]] > 1]
same = chance = 0
for a in asked:
    name, query = rows[a]
    _, near = max((sum(map(mul, query, v)), b) for b, (_, v) in enumerate(rows) if b != a)
    same += (rows[near][0] == name) / len(asked)
    chance += (count[name] - 1) / len(rows) / len(asked)
print(same, chance, len(asked))
sys.exit(not (len(asked) > 50 and same > least and chance < most))' "$@"
}

@test "text-embed: metadata brings an artist's tracks together, accents or not" {
    few
    run -0 --separate-stderr text-embed -m metadata -o out.mp tracks.mp
    [[ $stderr == *"in=5 out=4 rejected=0 without=1 "* ]]
    cosines out.mp >pairs
    awk '($1 == "a" && $2 == "b") || ($1 == "c" && $2 == "d") { near += $3 > 0.6; next } { far += $3 < 0.3 }
        END { exit !(near == 2 && far == 4) }' pairs
}

@test "text-embed: semantic brings common tags together and leaves out tracks without any" {
    few
    text-embed -m semantic -o out.mp tracks.mp
    mp2json out.mp | jq -es '[.[].track_id] == ["a", "b", "c"] and all(.[]; .modality == "semantic")'
    cosines out.mp | awk '$1 == "a" && $2 == "b" { near = $3 } $2 == "c" && $3 > far { far = $3 }
        END { exit !(near > 0.2 && near > far + 0.2) }'
}

@test "text-embed: lyrics are those of the tracks that have them" {
    few
    text-embed -m lyrics tracks.mp | mp2json | jq -es 'length == 1 and .[0].track_id == "a"'
}

@test "text-embed: vectors have --dim numbers and length 1" {
    few
    for d in 2 7 128; do
        text-embed -m metadata --dim "$d" tracks.mp | mp2json >out.json
        jq -es --argjson d "$d" 'length == 4 and all(.[]; (.vector | length == $d)
            and ((.vector | map(. * .) | add) - 1 | . * . < 1e-10))' out.json
    done
}

@test "text-embed: of real tracks 8 in 10 nearest neighbours are by the same artist, where chance is 1 in 100" {
    xz -dc "$ROOT/examples/cpcd/data/cpcd_v1.dialogs.dev.val.jsonl.xz" | jq -c '.tracks | to_entries[]
        | {track_id: .key, title: .value.track_titles, artist: .value.track_artists, album: .value.track_release_titles}' |
        awk '!seen[$0]++' | sed -n 1,1500p >tracks.json
    mk tracks.mp <tracks.json
    text-embed -m metadata --dim 64 -o out.mp tracks.mp
    jq -r '.artist[0] // ""' tracks.json >artists
    mp2json out.mp | jq -r '.vector | @tsv' | paste artists - | nearest 15 0.8 0.02
}

@test "text-embed: of drawn lyrics 8 in 10 nearest neighbours are of the same genre and mood, where chance is 4 in 100" {
    mpd-synth -n 20 --catalogue 10000 --genres 16 --tracks tracks.mp --truth truth.mp -o /dev/null
    text-embed -m lyrics --dim 64 -o out.mp tracks.mp
    mp2json truth.mp | jq -r 'select(.track_id) | [.track_id, .genre + "/" + .mood] | @tsv' >truth.tsv
    mp2json out.mp | jq -r '[.track_id, .vector[]] | @tsv' |
        awk -F'\t' -v OFS='\t' 'NR == FNR { of[$1] = $2; next } { $1 = of[$1]; print }' truth.tsv - | nearest 10 0.8 0.05
}

@test "text-embed: the same bytes twice and for 1 and 4 threads" {
    few
    text-embed -m metadata --threads 1 -o a.mp tracks.mp
    text-embed -m metadata --threads 4 -o b.mp tracks.mp
    text-embed -m metadata - <tracks.mp >c.mp
    same a.mp b.mp
    same a.mp c.mp
    text-embed -m metadata --seed 2 -o d.mp tracks.mp
    run -1 cmp -s a.mp d.mp
}

@test "text-embed: an empty stream, and one of a single track" {
    : >empty
    text-embed -m metadata -o out.mp empty
    [ -f out.mp ] && [ ! -s out.mp ]
    mk one.mp <<<'{"track_id":"a","title":"x","artist":"y","album":"","extra":1}'
    text-embed -m metadata one.mp | mp2json | jq -es 'length == 1 and (.[0].vector | length == 128)'
}

@test "text-embed: wrong types, a repeated track and other modalities are refused" {
    few
    run -64 --separate-stderr text-embed -m audio tracks.mp
    [ "$stderr" = 'text-embed: --modality: expected semantic, metadata or lyrics, got "audio"' ]
    mk bad.mp <<<'{"track_id":"a","title":5,"artist":"y","album":""}'
    run -65 --separate-stderr text-embed -m metadata bad.mp
    [[ $stderr == *"bad.mp: record 1, byte 0: title: expected string, got integer" ]]
    text-embed -m metadata --rejects rej.mp -o out.mp bad.mp tracks.mp
    mp2json rej.mp | jq -es 'length == 1'
    run -65 --separate-stderr text-embed -m metadata tracks.mp tracks.mp
    [[ $stderr == *'tracks.mp: record 1, byte 0: track_id: "a" comes twice' ]]
    head -c 40 tracks.mp >cut.mp
    run -65 text-embed -m metadata cut.mp
}

@test "text-embed: a full disk is 74, a closed pipe ends quietly" {
    few
    run -74 bash -c 'text-embed -m metadata tracks.mp >/dev/full'
    run -141 --separate-stderr unread text-embed -m metadata tracks.mp
    [ -z "$stderr" ]
}
