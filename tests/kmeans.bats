#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Expected centroids of the small cases are means taken by hand.
load helper

# four VECTORS: two pairs of neighbours in the plane.
four() {
    mk four.mp <<'JSON'
{"track_id":"a","modality":"semantic","vector":[0,0]}
{"track_id":"b","modality":"semantic","vector":[0,1]}
{"track_id":"c","modality":"semantic","vector":[10,0]}
{"track_id":"d","modality":"semantic","vector":[10,1]}
JSON
}

# planted N: N vectors of 8 numbers around 20 centres, a fixed sequence of its own.
planted() {
    awk -v n="$1" 'function u() { x = (x * 48271) % 2147483647; return x / 2147483647 - 0.5 }
        BEGIN { x = 1; for (c = 0; c < 20; c++) for (j = 0; j < 8; j++) m[c, j] = 8 * u()
            for (i = 0; i < n; i++) { printf "{\"track_id\":\"t%d\",\"modality\":\"audio\",\"vector\":[", i
                for (j = 0; j < 8; j++) printf "%s%.4f", j ? "," : "", m[i % 20, j] + u() / 4
                print "]}" } }'
}

@test "kmeans: two pairs of points become their two means" {
    four
    kmeans -m semantic -k 2 -o out.mp four.mp
    mp2json out.mp | jq -es 'length == 2 and all(.[]; .modality == "semantic" and .count == 2)
        and ([.[].index] == [0, 1]) and ([.[].vector] | sort == [[0, 0.5], [10, 0.5]])'
}

@test "kmeans: the last line tells live clusters, iterations and inertia" {
    four
    run -0 --separate-stderr kmeans -m semantic -k 2 -o out.mp four.mp
    # four points half a unit from their means
    [[ $stderr =~ "in=4 out=2 rejected=0 vectors=4 live=2 iterations="[0-9]+" inertia=1 " ]]
}

@test "kmeans: fewer points than clusters is a data error naming both" {
    four
    run -65 --separate-stderr kmeans -m semantic -k 5 -o out.mp four.mp
    [ "$stderr" = "kmeans: expected at least 5 vectors of modality semantic for 5 clusters, got 4" ]
    [ ! -e out.mp ]
    : >empty
    run -65 --separate-stderr kmeans -m semantic -k 1 empty
    [ "$stderr" = "kmeans: expected at least 1 vectors of modality semantic for 1 clusters, got 0" ]
}

@test "kmeans: one record is one cluster, and joined records count by their modality alone" {
    mk one.mp <<<'{"track_id":"a","semantic":[1,2],"playlist":[5,6,7],"note":"kept elsewhere"}'
    mk two.mp <<<'{"track_id":"b","semantic":[3,4]}'
    kmeans -m playlist -k 1 one.mp two.mp | mp2json >out.json
    jq -es 'length == 1 and .[0] == {modality: "playlist", index: 0, count: 1, vector: [5, 6, 7]}' out.json
}

@test "kmeans: no cluster stays empty while a point is away from its centroid" {
    # k-means++ can seed two of the far pair; every distinct point must end alone.
    mk in.mp <<'JSON'
{"track_id":"a","modality":"audio","vector":[0]}
{"track_id":"b","modality":"audio","vector":[1]}
{"track_id":"c","modality":"audio","vector":[1000]}
{"track_id":"d","modality":"audio","vector":[1001]}
{"track_id":"e","modality":"audio","vector":[1001]}
JSON
    for seed in 1 2 3 4 5 6; do
        kmeans -m audio -k 4 --seed "$seed" in.mp | mp2json >out.json
        jq -es '[.[].vector[0]] | sort == [0, 1, 1000, 1001]' out.json
    done
}

@test "kmeans: a cluster that no vector is nearest to takes the farthest vector" {
    # The 192 vectors that seeds are drawn from miss the two that differ, and the mean of all is where the others lie.
    awk 'BEGIN { for (i = 0; i < 3000; i++) printf "{\"track_id\":\"%d\",\"modality\":\"audio\",\"vector\":[%d]}\n", i, i == 1234 ? 9 : i == 2345 ? -9 : 0 }' | mk in.mp
    kmeans -m audio -k 3 in.mp | mp2json >out.json
    jq -es '[.[] | [.vector[0], .count]] | sort == [[-9, 1], [0, 2998], [9, 1]]' out.json
}

@test "kmeans: fewer distinct points than clusters leaves clusters of count 0" {
    for i in 1 2 3; do echo "{\"track_id\":\"$i\",\"modality\":\"audio\",\"vector\":[7,7]}"; done | mk same.mp
    run -0 --separate-stderr kmeans -m audio -k 2 -o out.mp same.mp
    [[ $stderr == *" live=1 "* ]]
    mp2json out.mp | jq -es '[.[].count] == [3, 0] and all(.[]; .vector == [7, 7])'
}

@test "kmeans: planted clusters are found whole" {
    planted 2000 | mk in.mp
    # A bad start can merge two (seed 1 does): then both ends are a local minimum.
    kmeans -m audio -k 20 --seed 2 -o out.mp in.mp
    mp2json out.mp | jq -es 'length == 20 and all(.[]; .count == 100)'
}

@test "kmeans: --unit clusters directions, whatever the lengths" {
    mk in.mp <<'JSON'
{"track_id":"a","modality":"audio","vector":[1,0]}
{"track_id":"b","modality":"audio","vector":[100,0]}
{"track_id":"c","modality":"audio","vector":[0,1]}
{"track_id":"d","modality":"audio","vector":[0,0.01]}
JSON
    kmeans -m audio -k 2 --unit in.mp | mp2json >out.json
    jq -es '([.[].vector] | sort == [[0, 1], [1, 0]]) and all(.[]; .count == 2)' out.json
    mk zero.mp <<<'{"track_id":"z","modality":"audio","vector":[0,0]}'
    run -65 --separate-stderr kmeans -m audio -k 2 --unit in.mp zero.mp
    [[ $stderr == *"zero.mp: record 1, byte 0: vector: expected a vector with a direction, got one of length 0" ]]
}

@test "kmeans: another dimension is bad input, and --rejects sets it aside" {
    four
    mk odd.mp <<<'{"track_id":"x","modality":"semantic","vector":[1,2,3]}'
    run -65 --separate-stderr kmeans -m semantic -k 2 four.mp odd.mp
    [[ $stderr == "kmeans: odd.mp: record 1, byte 0: vector: expected 2 numbers, got 3" ]]
    run -0 --separate-stderr kmeans -m semantic -k 2 --rejects bad.mp -o out.mp four.mp odd.mp
    [[ $stderr == *"in=5 out=2 rejected=1 vectors=4 "* ]]
    mp2json bad.mp | jq -es 'length == 1 and .[0].value.track_id == "x"'
}

@test "kmeans: an unknown modality is 64, a wrong type and a cut-off record are 65" {
    four
    run -64 --separate-stderr kmeans -m smell -k 2 four.mp
    [[ $stderr == *"playlist, semantic, metadata, lyrics or audio"* ]]
    mk bad.mp <<<'{"track_id":"x","modality":"semantic","vector":"long"}'
    run -65 kmeans -m semantic -k 1 bad.mp
    head -c 50 four.mp >cut.mp
    run -65 --separate-stderr kmeans -m semantic -k 1 cut.mp
    [[ $stderr == *"cut off"* ]]
}

@test "kmeans: the same bytes twice and for 1 and 4 threads" {
    planted 3000 | mk in.mp
    kmeans -m audio -k 150 --threads 1 -o a.mp in.mp
    kmeans -m audio -k 150 --threads 4 -o b.mp in.mp
    kmeans -m audio -k 150 --threads 4 -o c.mp - <in.mp
    same a.mp b.mp
    same a.mp c.mp
    kmeans -m audio -k 150 --seed 2 -o d.mp in.mp
    run -1 cmp -s a.mp d.mp
}

@test "kmeans: products of bfloat16 and of float32 give the same bytes" {
    planted 4000 | mk in.mp
    kmeans -m audio -k 50 --precision f32 -o a.mp in.mp
    kmeans -m audio -k 50 --precision bf16 -o b.mp in.mp
    same a.mp b.mp
    kmeans -m audio -k 50 -o c.mp in.mp
    same a.mp c.mp
}

@test "kmeans: the order of the stream does not matter, of few vectors either" {
    for n in 330 3000; do
        planted $n >in.json
        mk in.mp <in.json
        sort -r in.json | mk other.mp
        kmeans -m audio -k 13 -o a.mp in.mp
        kmeans -m audio -k 13 -o b.mp other.mp
        same a.mp b.mp
    done
}

@test "kmeans: a vector whose distances do not fit float32 is bad input" {
    mk in.mp <<'JSON'
{"track_id":"a","modality":"audio","vector":[0,5e18]}
{"track_id":"b","modality":"audio","vector":[1e19,0]}
{"track_id":"c","modality":"audio","vector":[0,-5e18]}
JSON
    run -65 --separate-stderr kmeans -m audio -k 2 in.mp
    [[ $stderr == *"in.mp: record 2, "*": vector: too long: squares of distances do not fit float32" ]]
    run -0 --separate-stderr kmeans -m audio -k 2 --rejects rej.mp -o out.mp in.mp
    mp2json out.mp | jq -es '[.[] | [.count, .vector]] | sort == [[1, [0, -5e18]], [1, [0, 5e18]]]'
}

@test "kmeans: --sample draws by track_id, so that the order of the stream does not matter" {
    planted 3000 >in.json
    mk in.mp <in.json
    sort -r in.json | mk other.mp
    run -0 --separate-stderr kmeans -m audio -k 20 --sample 500 -o a.mp in.mp
    [[ $stderr == *"in=3000 out=20 rejected=0 vectors=500 "* ]]
    kmeans -m audio -k 20 --sample 500 -o b.mp other.mp
    same a.mp b.mp
    mp2json a.mp | jq -es '([.[].count] | add) == 500'
    # more than there are: all
    run -0 --separate-stderr kmeans -m audio -k 20 --sample 5000 -o c.mp in.mp
    [[ $stderr == *" vectors=3000 "* ]]
    kmeans -m audio -k 20 --sample 500 --seed 2 -o d.mp in.mp
    run -1 cmp -s a.mp d.mp
}

@test "kmeans: --minibatch holds one batch, counts every vector and comes near to the whole" {
    planted 3000 | mk in.mp
    run -0 --separate-stderr kmeans -m audio -k 20 --minibatch 700 --threads 1 -o a.mp in.mp
    [[ $stderr =~ "in=3000 out=20 rejected=0 vectors=3000 live=20 iterations=5 inertia="([0-9.]+)" " ]]
    mini=${BASH_REMATCH[1]}
    kmeans -m audio -k 20 --minibatch 700 --threads 4 -o b.mp in.mp
    same a.mp b.mp
    mp2json a.mp | jq -es '([.[].count] | add) == 3000'
    run -0 --separate-stderr kmeans -m audio -k 20 -o whole.mp in.mp
    [[ $stderr =~ " inertia="([0-9.]+)" " ]]
    awk -v a="$mini" -v b="${BASH_REMATCH[1]}" 'BEGIN { exit !(a < 1.7 * b) }' # its own was taken while centroids moved
    # one batch that is not even full
    kmeans -m audio -k 20 --minibatch 5000 in.mp | mp2json | jq -es '([.[].count] | add) == 3000'
}

@test "kmeans: --target ends as soon as the inertia is there" {
    planted 3000 | mk in.mp
    run -0 --separate-stderr kmeans -m audio -k 150 -o a.mp in.mp
    [[ $stderr =~ " iterations="([0-9]+)" inertia="([0-9.]+)" " ]]
    all=${BASH_REMATCH[1]} target=$(awk -v x="${BASH_REMATCH[2]}" 'BEGIN { print 1.05 * x }')
    run -0 --separate-stderr kmeans -m audio -k 150 --target "$target" -v -o b.mp in.mp
    [[ $stderr =~ " iterations="([0-9]+)" inertia="([0-9.]+)" " ]]
    [ "${BASH_REMATCH[1]}" -lt "$all" ]
    awk -v x="${BASH_REMATCH[2]}" -v t="$target" 'BEGIN { exit !(x <= t) }'
    [[ $stderr == *"kmeans: clustered in "*" comparisons of a vector with all clusters"* ]]
}

@test "kmeans: --spherical is --unit; samples and batches below K, and both, are 64" {
    planted 300 | mk in.mp
    kmeans -m audio -k 9 --unit -o a.mp in.mp
    kmeans -m audio -k 9 --spherical -o b.mp in.mp
    same a.mp b.mp
    run -64 --separate-stderr kmeans -m audio -k 9 --sample 8 in.mp
    [ "$stderr" = "kmeans: --sample: expected 0 or at least 9, the clusters, got 8" ]
    run -64 --separate-stderr kmeans -m audio -k 9 --minibatch 8 in.mp
    [ "$stderr" = "kmeans: --minibatch: expected 0 or at least 9, the clusters, got 8" ]
    run -64 --separate-stderr kmeans -m audio -k 9 --minibatch 20 --sample 20 in.mp
    [ "$stderr" = "kmeans: --minibatch goes with neither --sample nor --target" ]
    mk nameless.mp <<<'{"modality":"audio","vector":[1]}'
    run -65 --separate-stderr kmeans -m audio -k 1 nameless.mp
    [[ $stderr == *"record 1, byte 0: track_id: missing" ]]
}

@test "kmeans: a full disk is 74, a closed pipe ends quietly" {
    four
    run -74 --separate-stderr bash -c 'kmeans -m semantic -k 2 four.mp >/dev/full'
    [[ $stderr == *"No space left"* ]]
    run -141 --separate-stderr unread kmeans -m semantic -k 2 four.mp
    [ -z "$stderr" ]
}

@test "kmeans: -v names the kernel and the threads that are asked for" {
    run -65 --separate-stderr kmeans -v --threads 3 --modality audio /dev/null -o out.mp
    [[ ${stderr_lines[0]} == "kmeans: OpenBLAS "*", 3 threads" ]]
}
