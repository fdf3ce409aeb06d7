#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # run sets stderr
load helper
load npy

few() {
    mk joined.mp <<'JSON'
{"track_id":"a","playlist":[1,2],"audio":[0.1,-0.0,1e-40]}
{"track_id":"b","playlist":[3,4]}
{"track_id":"c","audio":[3e38,16777217,5]}
JSON
}

@test "mp2npy: a file of its own and standard output have the same bytes, NumPy's own" {
    few
    mp2npy -m playlist -o a.npy joined.mp
    mp2npy -m playlist joined.mp >b.npy
    mp2npy -m playlist joined.mp | cat >c.npy
    same a.npy b.npy
    same a.npy c.npy
    # What numpy 1.24 saves of np.array([[1, 2], [3, 4]], 'f4').
    {
        printf '\x93NUMPY\1\0v\0'
        printf '%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }"
        printf '\0\0\200\77\0\0\0\100\0\0\100\100\0\0\200\100'
    } >want
    same a.npy want
}

@test "mp2npy: joined, embedding and centroid records; those without the modality are counted" {
    few
    run -0 --separate-stderr mp2npy -m audio --ids ids.txt -o a.npy joined.mp
    [[ $stderr == "mp2npy: in=3 out=2 rejected=0 without=1 "* ]]
    [ "$(cat ids.txt)" = $'a\nc' ]
    mk other.mp <<'JSON'
{"track_id":"a","modality":"audio","vector":[1]}
{"track_id":"a","modality":"lyrics","vector":[2,3]}
JSON
    mp2npy -m lyrics --ids ids.txt -o l.npy other.mp
    [ "$(tail -c +129 l.npy | od -An -tf4 | tr -s ' ')" = " 2 3" ]
    mk centroid.mp <<'JSON'
{"modality":"audio","index":1,"count":4,"vector":[1,2]}
{"modality":"audio","index":0,"count":4,"vector":[3,4]}
JSON
    mp2npy -m audio --ids ids.txt -o c.npy centroid.mp
    [ "$(cat ids.txt)" = $'1\n0' ]
}

@test "mp2npy: the way there and back is exact" {
    few
    mp2npy -m audio --ids ids.txt -o a.npy joined.mp
    npy2mp -m audio --ids ids.txt -o back.mp a.npy
    # (jq would make 0 of -0.0.)
    mp2json joined.mp | sed -n 's/"playlist":[^]]*],//; s/"audio":/"modality":"audio","vector":/p' | json2mp -o want.mp
    same back.mp want.mp
    mp2npy -m audio --ids ids2.txt -o b.npy back.mp
    same a.npy b.npy
    same ids.txt ids2.txt
}

@test "mp2npy: NumPy reads what it writes, and the way back reads what NumPy writes" {
    python=
    for p in python3 /usr/bin/python3; do if "$p" -c 'import numpy' 2>/dev/null; then python=$p; fi; done
    [ -n "$python" ] || skip "python3-numpy is not installed"
    few
    mp2npy -m audio --ids ids.txt -o a.npy joined.mp
    "$python" - <<'PY'
import numpy as np
a = np.load('a.npy')
assert a.dtype == np.float32 and a.shape == (2, 3) and a[1, 1] == 16777216
ids = np.array(open('ids.txt').read().split())
np.save('saved.npy', a)
for version in ((1, 0), (2, 0), (3, 0)):
    for name, b in (('c', a.astype('>f8')), ('f', np.asfortranarray(a))):
        np.lib.format.write_array(open('%s%d.npy' % (name, version[0]), 'wb'), b, version=version)
np.save('ids.U.npy', ids)
np.save('ids.S.npy', ids.astype('S'))
PY
    same saved.npy a.npy
    npy2mp -m audio --ids ids.txt -o want.mp a.npy
    for f in c1 c2 c3 f1 f2 f3; do
        for ids in ids.txt ids.U.npy ids.S.npy; do
            npy2mp -m audio --ids $ids -o got.mp $f.npy
            same got.mp want.mp
        done
    done
}

@test "mp2npy: an empty stream is a matrix of shape (0, 0), and comes back as one" {
    : >empty
    mp2npy -m audio --ids ids -o a.npy empty
    [ ! -s ids ]
    grep -qa "'shape': (0, 0)" a.npy
    npy2mp -m audio --ids ids -o out.mp a.npy
    [ ! -s out.mp ]
}

@test "mp2npy: vectors of two lengths, ids that are no line, and other types are 65 with their place" {
    mk bad.mp <<'JSON'
{"track_id":"a","modality":"audio","vector":[1]}
{"track_id":"b","modality":"audio","vector":[1,2]}
{"track_id":"c\nd","modality":"audio","vector":[3]}
{"track_id":5,"modality":"audio","vector":[3]}
{"modality":"audio","vector":[3]}
JSON
    run -65 --separate-stderr mp2npy -m audio --ids ids -o out.npy bad.mp
    [[ $stderr == "mp2npy: bad.mp: record 2, byte "*": vector: expected 1 numbers, got 2" ]]
    [ ! -e out.npy ] && [ ! -e ids ]
    run -0 --separate-stderr mp2npy -m audio --ids ids --rejects rej.mp -o out.npy bad.mp
    [[ $stderr == *"in=5 out=1 rejected=4 "* ]]
    [ "$(cat ids)" = a ]
    mp2json rej.mp | jq -es 'map(.reason) == ["vector: expected 1 numbers, got 2", "track_id: not a line of text, as --ids needs",
        "track_id: expected string, got integer", "track_id: missing"]'
    run -64 --separate-stderr mp2npy -m sound bad.mp
    run -73 --separate-stderr mp2npy -m audio --ids none/ids -o out.npy bad.mp
    mk one.mp <<<'{"track_id":"a","modality":"audio","vector":[1]}'
    run -74 --separate-stderr mp2npy -m audio --ids /dev/full -o out2.npy one.mp
    [ ! -e out2.npy ]
}

@test "mp2npy: every call that fails is told, and leaves no output" {
    few
    faults "read write close open rename" "66 73 74" mp2npy -m audio --ids ids -o out joined.mp
    faults malloc 71 mp2npy -m audio --ids ids -o out joined.mp
}
