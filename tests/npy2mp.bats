#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # run sets stderr
load helper
load npy

few() {
    printf 'a\nb\n' >ids
    npy x.npy 1 '<f4' False
}

records='{"track_id":"a","modality":"audio","vector":[0.5,-1,2]}
{"track_id":"b","modality":"audio","vector":[3,0,-0.25]}'

@test "npy2mp: every version, width, byte order and element order gives the same records" {
    few
    files=()
    for version in 1 2 3; do
        for descr in '<f2' '>f2' '<f4' '>f4' '<f8' '>f8'; do
            for fortran in False True; do files+=("$version$descr$fortran" "$version" "$descr" "$fortran" '(2, 3)'); done
        done
    done
    npy "${files[@]}"
    n=0
    for file in [123]*; do
        npy2mp -m audio --ids ids -o out.mp "$file" 2>/dev/null
        [ "$(mp2json out.mp)" = "$records" ]
        n=$((n + 1))
    done
    [ "$n" -eq 36 ]
}

# 65,536 halves, by another decoder: struct's.
@test "npy2mp: each half is what Python says it is" {
    python3 - <<'PY'
import struct
h = [i for i in range(65536) if i & 0x7c00 != 0x7c00]
n = len(h) // 8
header = "{'descr': '<f2', 'fortran_order': False, 'shape': (%d, 8), }\n" % n
open('h.npy', 'wb').write(b'\x93NUMPY\1\0' + struct.pack('<H', len(header)) + header.encode() + struct.pack('<%dH' % len(h), *h))
open('want', 'wb').write(b''.join(struct.pack('<f', struct.unpack('<e', struct.pack('<H', i))[0]) for i in h))
PY
    seq 7936 >ids
    npy2mp -m audio --ids ids h.npy 2>/dev/null | mp2npy -m audio -o back.npy
    tail -c +129 back.npy >got
    same got want
}

@test "npy2mp: what a matrix of many blocks and tiles holds is where it was, in both orders" {
    python3 - <<'PY'
import struct
R, C = 1301, 301
x = [((i * 7919 + j * 104729) % 65521) / 8 for i in range(R) for j in range(C)]
for order, name in (('False', 'c'), ('True', 'f')):
    cells = x if order == 'False' else [x[i * C + j] for j in range(C) for i in range(R)]
    header = "{'descr': '<f4', 'fortran_order': %s, 'shape': (%d, %d), }" % (order, R, C)
    header += ' ' * (117 - len(header)) + '\n'
    open(name + '.npy', 'wb').write(b'\x93NUMPY\1\0' + struct.pack('<H', len(header)) + header.encode() + struct.pack('<%df' % len(cells), *cells))
PY
    seq 1301 >ids
    npy2mp -m audio --ids ids -o c.mp c.npy
    npy2mp -m audio --ids ids -o f.mp f.npy
    same c.mp f.mp
    mp2npy -m audio -o back.npy c.mp
    same back.npy c.npy
}

@test "npy2mp: ids from .npy strings of both kinds, and from lines with and without their last break" {
    few
    strings ids.npy '<U4' é 😀b
    [ "$(npy2mp -m audio --ids ids.npy x.npy 2>/dev/null | mp2json | jq -r .track_id | tr '\n' ' ')" = "é 😀b " ]
    strings ids.npy '>U2' a '😀b'
    [ "$(npy2mp -m audio --ids ids.npy x.npy 2>/dev/null | mp2json | jq -r .track_id | tr '\n' ' ')" = "a 😀b " ]
    strings ids.npy '|S4' a bcde
    [ "$(npy2mp -m audio --ids ids.npy x.npy 2>/dev/null | mp2json | jq -r .track_id | tr '\n' ' ')" = "a bcde " ]
    printf '\xef\xbb\xbfa\r\nb' >ids
    npy2mp -m audio --ids ids x.npy 2>/dev/null | mp2json >out
    [ "$(cat out)" = "$records" ]
}

@test "npy2mp: several matrices are one after another; a pipe, a redirection and a file are the same" {
    few
    npy y.npy 3 '>f8' True
    printf 'a\nb\nc\nd\n' >four
    npy2mp -m audio --ids four x.npy y.npy 2>/dev/null | mp2json | jq -es 'map(.track_id) == ["a", "b", "c", "d"] and .[3].vector == .[1].vector'
    npy2mp -m audio --ids ids -o a.mp x.npy
    npy2mp -m audio --ids ids <x.npy >b.mp
    # shellcheck disable=SC2002 # a pipe is what is tested
    cat x.npy | npy2mp -m audio --ids ids >c.mp
    same a.mp b.mp
    same a.mp c.mp
    [ "$(npy2mp --limit 1 -m audio --ids ids x.npy | mp2json)" = "$(sed 1q <<<"$records")" ]
}

@test "npy2mp: no rows are an empty stream" {
    raw_npy x.npy "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 128), }"
    : >ids
    npy2mp -m audio --ids ids -o out.mp x.npy
    [ -f out.mp ] && [ ! -s out.mp ]
}

# SHAPE, HEADER or FILE and the message.
@test "npy2mp: hostile headers are 65, one line, and leave nothing" {
    few
    n=0
    while IFS=@ read -r header said; do
        raw_npy bad.npy "$header" 24
        run -65 --separate-stderr npy2mp -m audio --ids ids -o out.mp bad.npy
        echo "$header: $stderr"
        [ "$stderr" = "npy2mp: bad.npy: $said" ]
        [ ! -e out.mp ]
        n=$((n + 1))
    done <<'HEADERS'
@header, byte 0: expected {
None@header, byte 0: expected {
{}@header: descr is missing
{'descr': '<f4'@header, byte 15: expected a comma or }
{'descr': '<f4', 'descr': '<f4'}@header: descr comes twice
{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'x': 1}@header: expected descr, fortran_order and shape, got "x"
{'descr': '<f4', 'fortran_order': 1, 'shape': (2, 3)}@header, byte 34: expected True or False
{'descr': '<f4', 'fortran_order': False}@header: shape is missing
{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}@header, byte 53: expected a comma or )
{'descr': '<f4', 'fortran_order': False, 'shape': (2, -3)}@header, byte 54: expected a whole number
{'descr': '<f4', 'fortran_order': False, 'shape': (6)}@header, byte 53: expected a comma in a shape of one dimension
{'descr': '<f4', 'fortran_order': False, 'shape': (6,)}@shape: expected 2 dimensions, got 1
{'descr': '<f4', 'fortran_order': False, 'shape': ()}@shape: expected 1 or 2 dimensions, got 0
{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3)}@shape: expected 1 or 2 dimensions, got 3
{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}@shape: more elements than 64 bits count
{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 1)}@shape: more bytes than 64 bits count
{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 1)}@shape: a dimension beyond 64 bits
{'descr': '<f4', 'fortran_order': False, 'shape': (2, 0)}@24 bytes behind the data
{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4)}@expected 32 bytes of data, got 24
{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}@8 bytes behind the data
{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} import os@header, byte 58: expected nothing behind }
{'descr': '|O', 'fortran_order': False, 'shape': (2, 3)}@descr: pickled objects ('|O'), which are not read
{'descr': 'O', 'fortran_order': False, 'shape': (2, 3)}@descr: pickled objects ('O'), which are not read
{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2, 3)}@descr: expected one number or string an element, got a structure
{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3)}@descr: expected f2, f4, f8, U or S, got '<i4'
{'descr': '<f16', 'fortran_order': False, 'shape': (2, 3)}@descr: expected f2, f4, f8, U or S, got '<f16'
{'descr': '', 'fortran_order': False, 'shape': (2, 3)}@descr: expected f2, f4, f8, U or S, got ''
{'descr': '<U1', 'fortran_order': False, 'shape': (2, 3)}@descr: expected f2, f4 or f8, got strings
HEADERS
    [ "$n" -eq 28 ]
}

@test "npy2mp: what is no .npy file, of another version, or claims a long header, is 65" {
    few
    printf 'PK\3\4' >z.npy
    run -65 --separate-stderr npy2mp -m audio --ids ids z.npy
    [ "$stderr" = 'npy2mp: z.npy: not an .npy file: it does not begin with \x93NUMPY' ]
    run -65 --separate-stderr npy2mp -m audio --ids ids - </dev/null
    [ "$stderr" = 'npy2mp: stdin: not an .npy file: it does not begin with \x93NUMPY' ]
    npy x.npy 4 '<f4' False
    run -65 --separate-stderr npy2mp -m audio --ids ids x.npy
    [ "$stderr" = 'npy2mp: x.npy: expected version 1.0, 2.0 or 3.0, got 4.0' ]
    printf '\x93NUMPY\x02\0\xff\xff\xff\xff{}' >x.npy
    run -65 --separate-stderr npy2mp -m audio --ids ids x.npy
    [ "$stderr" = 'npy2mp: x.npy: a header of 4294967295 bytes: expected at most 65535' ]
}

@test "npy2mp: a file cut at any byte is 65 and one line" {
    few
    size=$(stat -c %s x.npy)
    for ((n = 0; n < size; n += n < 20 || n > 126 ? 1 : 9)); do
        head -c "$n" x.npy >cut.npy
        run -65 --separate-stderr npy2mp -m audio --ids ids -o out.mp cut.npy
        [[ $stderr == "npy2mp: cut.npy: "* && $stderr != *$'\n'* ]]
    done
    [ ! -e out.mp ]
}

@test "npy2mp: any cut and any flipped bit of matrices and strings is read or refused, nothing else" {
    npy a.npy 1 '<f4' False
    npy b.npy 3 '>f8' True
    strings c.npy '<U2' ab c
    strings d.npy '|S2' ab c
    run -0 "$BUILD/fuzz/replay_npy" --cut --flip a.npy b.npy c.npy d.npy
    [ "$output" = "$(($(cat ./?.npy | wc -c) * 9 + 4)) inputs" ]
}

@test "npy2mp: NaN, infinity and what float32 cannot hold are refused by place, or set aside with their id" {
    printf 'a\nb\nc\n' >ids
    python3 - <<'PY'
import struct
header = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }" + ' ' * 58 + '\n'
for name, x in (('nan', float('nan')), ('inf', float('-inf')), ('big', 1e39)):
    open(name + '.npy', 'wb').write(b'\x93NUMPY\1\0' + struct.pack('<H', len(header)) + header.encode() + struct.pack('<6d', 1, 2, 3, x, 5, 6))
PY
    for x in nan inf big; do
        run -65 --separate-stderr npy2mp -m audio --ids ids -o out.mp $x.npy
        [ "$stderr" = "npy2mp: $x.npy: record 2, byte 152: column 1: not a finite float32" ]
        [ ! -e out.mp ]
    done
    run -0 --separate-stderr npy2mp -m audio --ids ids --rejects rej.mp -o out.mp nan.npy
    [[ "$stderr" == *"in=3 out=2 rejected=1 dim=2 "* ]]
    mpcheck --canonical reject rej.mp
    mp2json rej.mp | jq -es '.[0].value == "b" and .[0].record == 2'
    mp2json out.mp | jq -es 'map(.track_id) == ["a", "c"]'
}

@test "npy2mp: ids that do not fit are 65 with their place" {
    few
    printf 'a\n' >one
    run -65 --separate-stderr npy2mp -m audio --ids one x.npy
    [ "$stderr" = "npy2mp: one: expected an id for each of 2 rows, got 1" ]
    printf 'a\n\n' >empty
    run -65 --separate-stderr npy2mp -m audio --ids empty -o out.mp x.npy
    [ "$stderr" = "npy2mp: empty: line 2: an empty id" ]
    printf 'a\n\xff\n' >latin
    run -65 --separate-stderr npy2mp -m audio --ids latin -o out.mp x.npy
    [ "$stderr" = "npy2mp: latin: line 2: an id that is not UTF-8 text" ]
    printf 'a\nb\0c\n' >zero
    run -65 --separate-stderr npy2mp -m audio --ids zero -o out.mp x.npy
    [ "$stderr" = "npy2mp: zero: line 2: an id that is not UTF-8 text" ]
    strings ids.npy '<U2' a $'b\n'
    run -65 --separate-stderr npy2mp -m audio --ids ids.npy x.npy
    [ "$stderr" = "npy2mp: ids.npy: string 2: an id with a line break" ]
    run -65 --separate-stderr npy2mp -m audio --ids x.npy x.npy
    [ "$stderr" = "npy2mp: x.npy: expected one column of strings" ]
    strings ids.npy '<U1' a b
    printf '\0\330\0\0' | dd of=ids.npy bs=1 seek=$(($(stat -c %s ids.npy) - 4)) conv=notrunc status=none
    run -65 --separate-stderr npy2mp -m audio --ids ids.npy -o out.mp x.npy
    [ "$stderr" = "npy2mp: ids.npy: string 2: not a character: U+D800" ]
    run -66 --separate-stderr npy2mp -m audio --ids none x.npy
    run -64 --separate-stderr npy2mp -m sound --ids ids x.npy
    npy y.npy 1 '<f4' False '(3, 2)'
    printf 'a\nb\nc\nd\ne\n' >five
    run -65 --separate-stderr npy2mp -m audio --ids five x.npy y.npy
    [ "$stderr" = "npy2mp: y.npy: shape: expected 3 columns, as in the first file, got 2" ]
    [ ! -e out.mp ]
}

@test "npy2mp: every call that fails is told, and leaves no output" {
    few
    faults "read write close open rename" "66 73 74" npy2mp -m audio --ids ids -o out x.npy
    faults malloc 71 npy2mp -m audio --ids ids -o out x.npy
}
