#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# mp2json and json2mp: inverses of each other, and what neither lets through. Expected bytes are by hand from the MessagePack
# specification.
# shellcheck disable=SC2154 # run sets stderr
load helper

# back FILE: FILE, a canonical stream, survives the way through JSON.
back() {
    mp2json "$1" >"$1.json" && json2mp -o "$1.back" "$1.json" 2>/dev/null && same "$1" "$1.back"
}

@test "mp2json: every type survives the way to JSON and back" {
    cat >in.json <<'END'
{"ints":[0,127,128,255,256,65535,65536,4294967295,4294967296,9007199254740993,18446744073709551615]}
{"negative":[-1,-32,-33,-128,-129,-32768,-32769,-2147483648,-2147483649,-9223372036854775808]}
{"floats":[0.0,-0.0,1.0,0.1,5e-324,2.2250738585072014e-308,1.7976931348623157e+308,1e+22]}
{"vector":[0,-0.0,1,0.1,1e-45,1.1754944e-38,3.4028235e+38,16777216],"playlist":[],"deep":[{"audio":[1]}]}
{"strings":["","\u0000","\"\\/\b\f\n\r\t\u001f","é€🎵"],"":"empty key"}
{"other":[null,true,false,[],{},[[]]]}
{}
END
    run -0 --separate-stderr json2mp -o a.mp in.json
    run -0 --separate-stderr mp2json a.mp
    [ "$output" = "$(cat in.json)" ]
    back a.mp
}

@test "json2mp: writes the bytes of the specification" {
    printf '{"a":-33,"vector":[1],"s":"\\u0000","f":1.5}' | json2mp >a.mp
    printf '\x84\xa1a\xd0\xdf\xa6vector\xd6\x01\x00\x00\x80\x3f\xa1s\xa1\x00\xa1f\xcb\x3f\xf8\0\0\0\0\0\0\n' >want.mp
    same a.mp want.mp
}

@test "json2mp: 16 keys, 70000 elements and a string of 70000 bytes take the longer headers and come back" {
    jq -nc '[range(16) | {key: "k\(.)", value: .}] | from_entries' >in.json
    jq -nc '{a: [range(70000)], s: ("x" * 70000)}' >>in.json
    run -0 json2mp -o a.mp in.json
    back a.mp
    mp2json a.mp | cmp - in.json
}

@test "json2mp: takes values on one line, on many lines, and without blanks between them" {
    printf '{"a":1}{"a":2} \n\n{\n "a":\n3 }\t{"a":"}{"}' | json2mp >a.mp
    run -0 --separate-stderr mp2json a.mp
    [ "$output" = '{"a":1}
{"a":2}
{"a":3}
{"a":"}{"}' ]
}

@test "json2mp: packs arrays of numbers under the vectors' keys, and under --vector KEY" {
    printf '{"v":[1],"vector":[1,"x"],"lyrics":[2]}' >in.json
    json2mp in.json >a.mp
    json2mp --vector v --vector w in.json >b.mp
    printf '\x83\xa1v\x91\x01\xa6vector\x92\x01\xa1x\xa6lyrics\xd6\x01\0\0\0\x40\n' >want_a.mp
    printf '\x83\xa1v\xd6\x01\0\0\x80\x3f\xa6vector\x92\x01\xa1x\xa6lyrics\xd6\x01\0\0\0\x40\n' >want_b.mp
    same a.mp want_a.mp
    same b.mp want_b.mp
}

@test "json2mp: refuses what it cannot keep, naming the place" {
    while IFS='|' read -r text message; do
        printf '{"ok":1}\n%s' "$text" >in.json
        run -65 --separate-stderr json2mp in.json
        [ "$stderr" = "json2mp: in.json: record 2, byte 9: $message" ] || { echo "got: $stderr" && false; }
    done <<'END'
[1]|expected an object, got an array
5|expected an object, got a number
"x"|expected an object, got a string
{"a":18446744073709551616}|not JSON: a number that is malformed, or an integer beyond 64 bits
{"a":-9223372036854775809}|not JSON: a number that is malformed, or an integer beyond 64 bits
{"a":1e999}|not JSON: a number that is malformed, or an integer beyond 64 bits
{"a":"\ud800"}|not JSON: a string with a bad escape or half a surrogate pair
{"a":"\udc00x"}|not JSON: a string with a bad escape or half a surrogate pair
{"a":[0,{"vector":[1,1e39]}]}|a[1].vector: number 2 is beyond float32
{"a":nul}|not JSON: a word that is not true, false or null
{"a":1]|not JSON: misplaced or missing punctuation
{"a":[1,2|the value is cut off after 9 bytes
{"a":"x|the value is cut off after 7 bytes
END
}

@test "json2mp: nesting of 32 is kept, of 33 is refused" {
    deep() { printf '{"a":%*s1%*s}' "$1" '' "$1" '' | sed 's/ *1/&/; :a; s/ \( *1\)/[\1/; ta; :b; s/\(1\]*\) /\1]/; tb'; }
    deep 31 | json2mp >a.mp
    back a.mp
    deep 32 >in.json
    run -65 --separate-stderr json2mp in.json
    [[ "$stderr" == *"nested deeper than 32" ]]
}

@test "json2mp: --rejects sets the bad value aside as text and goes on" {
    printf '{"a":1}[2]{"a":3}' | json2mp --rejects bad.mp >a.mp 2>err
    [ "$(mp2json a.mp)" = '{"a":1}
{"a":3}' ]
    [ "$(mp2json bad.mp)" = '{"reason":"expected an object, got an array","file":"stdin","record":2,"byte":7,"value":"[2]"}' ]
    [[ "$(cat err)" == "json2mp: in=3 out=2 rejected=1 seconds="* ]]
}

@test "json2mp: --limit counts over all files" {
    printf '{"a":1}{"a":2}' >x.json
    json2mp --limit 3 x.json x.json >a.mp
    [ "$(mp2json a.mp)" = '{"a":1}
{"a":2}
{"a":1}' ]
}

@test "mp2json: refuses what JSON has no form for, naming the place" {
    while IFS='|' read -r bytes message; do
        printf '%b' "$bytes" >a.mp
        run -65 --separate-stderr mp2json a.mp
        [ "$output" = "" ]
        [ "$stderr" = "mp2json: a.mp: record 1, byte 0: $message" ] || { echo "got: $stderr" && false; }
    done <<'END'
\x81\xa1x\xc4\x01a\n|x: JSON has no form for binary
\x81\xa1x\xd4\x02a\n|x: JSON has no form for extension type 2
\x81\xa1x\x91\xca\x7f\xc0\x00\x00\n|x[0]: a number that is not finite
\x81\xa1x\xd6\x01\x00\x00\x80\x7f\n|x: number 1 is not finite
\x81\xa1x\xd5\x01\x00\x00\n|x: a vector of 2 bytes is not a whole number of float32
\x81\x01\x02\n|a key that is not a string but integer
\x81\xa1x\xa1\xff\n|x: a string whose byte 0 is not UTF-8
\x81\xa2x\xff\x01\n|x?: a string whose byte 1 is not UTF-8
\x81\xa1x\x81\xa1y\x91\xa2\xed\xa0\n|x.y[0]: a string whose byte 0 is not UTF-8
END
}

@test "mp2json, json2mp: an empty stream gives an empty stream" {
    run -0 --separate-stderr mp2json /dev/null
    [ "$output$stderr" = "" ]
    run -0 --separate-stderr json2mp /dev/null
    [ "$output$stderr" = "" ]
}

@test "mp2json: a cut-off record is a data error" {
    printf '{"a":1}' | json2mp | head -c 3 >a.mp
    run -65 --separate-stderr mp2json a.mp
    [ "$stderr" = "mp2json: a.mp: record 1, byte 0: the record is cut off after 3 bytes" ]
}

@test "mp2json, json2mp: a full disk is 74" {
    printf '{"a":1}' | json2mp >a.mp
    run -74 --separate-stderr mp2json -o /dev/full a.mp
    [[ "$stderr" == "mp2json: /dev/full: write: No space left"* ]]
    printf '{"a":1}' >a.json
    run -74 --separate-stderr json2mp -o /dev/full a.json
    [[ "$stderr" == "json2mp: /dev/full: write: No space left"* ]]
}

@test "mp2json, json2mp: a closed pipe ends quietly" {
    jq -nc 'range(200000) | {a: .}' >a.json
    json2mp -o a.mp a.json
    { mp2json a.mp 2>err || echo $? >status; } | head -c 1 >/dev/null
    [ "$(cat status)" = 141 ] && [ ! -s err ]
    { json2mp a.json 2>err || echo $? >status; } | head -c 1 >/dev/null
    [ "$(cat status)" = 141 ] && [ ! -s err ]
}

@test "mp2json: what a killed run left of its output goes, what another still writes and what only looks like it stays" {
    echo '{"a":1}' | json2mp -o a.mp 2>/dev/null
    mkfifo pipe
    mp2json -o out.json pipe 2>/dev/null &
    exec 9>pipe
    until [ -e "$(compgen -G 'out.json.tmp.??????')" ]; do sleep 0.01; done
    touch out.json.tmp.aaaaaa out.json.tmp.aaaaaaa out.json.backup other.json.tmp.aaaaaa out.json.2.tmp.aaaaaa
    mp2json -o out.json a.mp 2>/dev/null
    [ ! -e out.json.tmp.aaaaaa ]
    [ "$(compgen -G 'out.json.tmp.*' | wc -l)" = 2 ]
    [ -e out.json.tmp.aaaaaaa ] && [ -e out.json.backup ] && [ -e other.json.tmp.aaaaaa ] && [ -e out.json.2.tmp.aaaaaa ]
    cat a.mp a.mp >&9
    exec 9>&-
    wait $!
    [ "$(wc -l <out.json)" = 2 ]
    [ "$(compgen -G 'out.json.tmp.*')" = out.json.tmp.aaaaaaa ]
}
