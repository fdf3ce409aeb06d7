#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# mpsplit: every record in exactly one part, whatever its bytes.
# shellcheck disable=SC2154 # run sets stderr
load helper

# records N: N records whose payloads hold the separator's byte and whose sizes differ.
records() {
    jq -nc --argjson n "$1" 'range($n) | {id: "r\(. % 7)", n: 10, text: ("\n" * (. % 5)), i: .}' | mk a.mp
}

@test "mpsplit: -n deals records in turn, and --join puts them back" {
    for n in 1 3; do
        for size in 0 1 3 20; do
            records "$size"
            rm -f p-*
            run -0 --separate-stderr mpsplit -n "$n" --prefix p- a.mp
            [ "$(echo p-*.mp | wc -w)" = "$n" ]
            run -0 mpsplit --join -o b.mp p-*.mp
            same a.mp b.mp
        done
    done
    [ "$(mp2json p-1.mp | jq -c .i | tr '\n' ' ')" = "1 4 7 10 13 16 19 " ]
}

@test "mpsplit: part names are as wide as the last number, so that they sort" {
    records 3
    mpsplit -n 11 --prefix p- a.mp
    [ "$(echo p-*)" = "p-00.mp p-01.mp p-02.mp p-03.mp p-04.mp p-05.mp p-06.mp p-07.mp p-08.mp p-09.mp p-10.mp" ]
    [ "$(stat -c %s p-10.mp)" = 0 ]
}

@test "mpsplit: --key keeps records of one key together and loses none" {
    records 100
    run -0 mpsplit -n 3 --key id --prefix p- a.mp
    for p in p-*.mp; do mp2json "$p" | jq -r .id | sort -u; done | sort >keys
    [ "$(uniq -d keys)" = "" ]
    [ "$(wc -l <keys)" = 7 ]
    [ "$(cat p-*.mp | mp2json | jq .i | sort -n | tr '\n' ' ')" = "$(seq 0 99 | tr '\n' ' ')" ]
    # in the order of the input within a part, and the same parts whatever came before
    mp2json p-0.mp | jq .i | sort -nc
    mpsplit -n 3 --key id --prefix q- <(mp2json a.mp | jq -c 'select(.i >= 50)' | json2mp)
    mp2json p-1.mp | jq -c 'select(.i >= 50)' | json2mp | cmp - q-1.mp
}

@test "mpsplit: --key of a record without it is a data error, or a reject" {
    printf '{"id":"a"}{"x":1}{"id":5}' | mk a.mp
    run -65 --separate-stderr mpsplit -n 2 --key id --prefix p- a.mp
    [ "$stderr" = "mpsplit: a.mp: record 2, byte 7: id: missing" ]
    [ "$(echo p-*)" = "p-*" ]
    run -0 --separate-stderr mpsplit -n 2 --key id --prefix p- --rejects r.mp a.mp
    [ "$(mp2json r.mp | jq -c '[.record, .reason]' | tr '\n' ' ')" = '[2,"id: missing"] [3,"id: expected string, got integer"] ' ]
}

@test "mpsplit: --filter gives each part to a command, with its name and number" {
    records 20
    run -0 --separate-stderr mpsplit -n 3 --prefix p- --filter 'cat > "$FILE"; echo "$PART" >> parts' a.mp
    [ "$(sort parts | tr '\n' ' ')" = "0 1 2 " ]
    mpsplit --join p-*.mp | cmp - a.mp
}

@test "mpsplit: --filter with a command that fails is 71, with one that stops reading is not" {
    records 3
    run -71 --separate-stderr mpsplit -n 2 --filter 'cat >/dev/null; exit $((PART * 3))' a.mp
    [ "$stderr" = "mpsplit: the command of part-1.mp ended with status 3" ]
    records 100000
    run -0 --separate-stderr mpsplit -n 2 --filter 'true' a.mp
    [ "$stderr" = "" ]
    run -71 --separate-stderr mpsplit -n 2 --filter 'kill -9 $$' a.mp
    [ "$stderr" = "mpsplit: the command of part-0.mp was killed by signal 9" ]
}

@test "mpsplit: --ranges cuts at records, and --range copies each piece: together they are the file" {
    for size in 0 1 20; do
        records "$size"
        for n in 1 3 25; do
            run -0 --separate-stderr mpsplit --ranges "$n" a.mp
            [ "${#lines[@]}" = "$n" ]
            : >b.mp
            while IFS=$'\t' read -r offset length; do
                mpsplit --range "$offset:$length" a.mp >piece.mp
                mp2json piece.mp >/dev/null
                cat piece.mp >>b.mp
            done <<<"$output"
            same a.mp b.mp
        done
    done
}

@test "mpsplit: --ranges of equal records are as even as can be" {
    jq -nc 'range(80) | {i: 1}' | mk a.mp
    run -0 mpsplit --ranges 4 a.mp
    [ "$output" = $'0\t100\n100\t100\n200\t100\n300\t100' ]
}

@test "mpsplit: GNU parallel over --ranges gives what one process gives" {
    records 50
    run -0 --separate-stderr bash -o pipefail -c "mpsplit --ranges 4 a.mp |
        parallel -k --colsep '\t' 'mpsplit --range {1}:{2} a.mp | mp2json'"
    [ "$output" = "$(mp2json a.mp)" ]
}

@test "mpsplit: --join of files that were not dealt in turn is a data error" {
    records 3
    : >empty.mp
    run -65 --separate-stderr mpsplit --join -o b.mp empty.mp a.mp
    [ "$stderr" = "mpsplit: a.mp: more records than dealing in turn would have given it" ]
    [ ! -e b.mp ]
}

@test "mpsplit: needs one mode, one file for ranges, and a range within the file" {
    records 3
    run -64 --separate-stderr mpsplit a.mp
    run -64 --separate-stderr mpsplit -n 2 --join a.mp
    run -64 --separate-stderr mpsplit --ranges 2
    [ "$stderr" = "mpsplit: --ranges needs one FILE" ]
    run -64 --separate-stderr mpsplit --ranges 2 a.mp a.mp
    run -66 --separate-stderr mpsplit --ranges 2 none.mp
    for r in x 5 1:x :1 -1:1 99999999999999999999:1; do
        run -64 --separate-stderr mpsplit --range "$r" a.mp
        [[ "$stderr" == "mpsplit: --range: expected "* ]]
    done
    run -65 --separate-stderr mpsplit --range 0:100000 -o b.mp a.mp
    [[ "$stderr" == "mpsplit: a.mp: ends "*" bytes before the range does" ]]
    [ ! -e b.mp ]
}

@test "mpsplit: a cut-off record is a data error, and no part is left" {
    records 3
    head -c -1 a.mp >b.mp
    run -65 --separate-stderr mpsplit -n 2 --prefix p- b.mp
    [[ "$stderr" == "mpsplit: b.mp: record 3, byte "*": the record is cut off after "*" bytes" ]]
    [ "$(echo p*)" = "p*" ]
    run -65 mpsplit --ranges 2 b.mp
}

@test "mpsplit: a full disk is 74, a folder that is not there 73, a closed pipe ends quietly" {
    records 3
    run -74 --separate-stderr mpsplit --range 0:5 -o /dev/full a.mp
    run -74 --separate-stderr mpsplit --ranges 2 -o /dev/full a.mp
    run -73 --separate-stderr mpsplit -n 2 --prefix none/p- a.mp
    records 100000
    { mpsplit --range "0:$(stat -c %s a.mp)" a.mp 2>err || echo $? >status; } | head -c 1 >/dev/null
    [ "$(cat status)" = 141 ] && [ ! -s err ]
}
