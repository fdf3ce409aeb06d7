#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # run sets stderr
load helper

# sound OUT FORMAT RATE CHANNELS SECONDS SEED [PART], or OUT FORMAT from IN.wav
sound() {
    python3 "$BATS_TEST_DIRNAME/audio.py" "$@"
}

# tracks FILE...: a track record for each.
tracks() {
    printf '%s\n' "$@" | jq -Rc '{track_id: ., title: ., artist: "x", audio_path: .}'
}

# nearest FILE: "ID ID COSINE", each track and the one most like it.
nearest() {
    mp2json "$1" | jq -r '[.track_id] + .vector | @tsv' | awk '{ id[NR] = $1; for (j = 2; j <= NF; j++) v[NR, j] = $j }
        END { for (a = 1; a <= NR; a++) { best = -2
            for (b = 1; b <= NR; b++) if (b != a) { s = 0
                for (j = 2; j <= NF; j++) s += v[a, j] * v[b, j]
                if (s > best) { best = s; at = b } }
            printf "%s %s %.4f\n", id[a], id[at], best } }'
}

@test "audio-embed: two places of a real recording are nearest to each other, four times" {
    (cd "$ROOT/examples/audio/data" && tracks ./*.ogg) | mk tracks.mp
    run -0 --separate-stderr audio-embed --folder "$ROOT/examples/audio/data" -o out.mp tracks.mp
    [[ $stderr == "audio-embed: in=8 out=8 rejected=0 without=0 hours=0.0133333 "* ]]
    mpcheck --canonical embedding out.mp
    nearest out.mp >pairs
    cat pairs
    awk '{ sub(/-.\.ogg/, "", $1); sub(/-.\.ogg/, "", $2); n += $1 == $2 } END { exit !(NR == 8 && n == 8) }' pairs
}

@test "audio-embed: the transcript of examples/audio/README.md is what happens" {
    sed -n 's/^    //p' "$ROOT/examples/audio/README.md" | grep -v '^export PATH' >commands
    sed -n '/^```/,/^```/{/^```/d;p}' "$ROOT/examples/audio/README.md" >expected
    sed -i "s|examples/audio/|$ROOT/&|" commands
    bash -eu -o pipefail commands >said 2>log
    diff expected said
    [ "$(wc -l <said)" -eq 8 ]
}

@test "audio-embed: pieces of a made-up recording are nearest to each other" {
    for seed in 1 2 3 4; do
        for part in 0 1; do sound "$seed-$part" wav 16000 1 4 "$seed" "$part"; done
    done
    tracks ./?-? | mk tracks.mp
    audio-embed -o out.mp tracks.mp
    nearest out.mp >pairs
    cat pairs
    awk '{ n += substr($1, 3, 1) == substr($2, 3, 1) } END { exit !(NR == 8 && n == 8) }' pairs
}

@test "audio-embed: format, sampling rate, channels and volume hardly matter" {
    for f in wav flac ogg mp3 float; do sound $f $f 44100 2 3 7; done
    sound mono wav 44100 1 3 7
    sound r16 wav 16000 1 3 7
    sound r48 flac 48000 1 3 7
    sound r22 ogg 22050 1 3 7
    python3 - <<'PY'
import wave, array
w = wave.open('mono'); x = array.array('h', w.readframes(w.getnframes()))
o = wave.open('quiet', 'w'); o.setparams(w.getparams()); o.writeframes(array.array('h', (v // 4 for v in x)).tobytes())
PY
    sound other wav 44100 2 3 8
    tracks wav flac float mono ogg mp3 quiet r16 r48 r22 other | mk tracks.mp
    audio-embed -o out.mp tracks.mp
    mp2json out.mp | jq -r '[.track_id] + .vector | @tsv' | awk 'NR == 1 { for (j = 2; j <= NF; j++) v[j] = $j }
        { s = 0; for (j = 2; j <= NF; j++) s += v[j] * $j; print $1, s }' >cosines
    cat cosines
    awk '$2 < ($1 ~ /^(wav|flac|float|mono)$/ ? 0.99999 : $1 ~ /^(ogg|mp3)$/ ? 0.99 : 0.96) && $1 != "other" { bad++ }
        $1 == "other" { other = $2 } END { exit !(NR == 11 && !bad && other < 0.95) }' cosines
}

@test "audio-embed: vectors have 92 numbers and length 1; only the first --seconds count" {
    sound long wav 16000 1 4 1
    head -c $((44 + 2 * 16000 * 2)) long >short
    printf '\x24\xfa\0\0' | dd of=short bs=1 seek=4 conv=notrunc status=none
    printf '\0\xfa\0\0' | dd of=short bs=1 seek=40 conv=notrunc status=none
    tracks long short | mk tracks.mp
    audio-embed --seconds 2 tracks.mp >two.mp
    mp2json two.mp | jq -es '.[0].vector == .[1].vector and all(.[]; .modality == "audio" and (.vector | length == 92)
        and ((.vector | map(. * .) | add) - 1 | . * . < 1e-10))'
    audio-embed tracks.mp | mp2json | jq -es '.[0].vector != .[1].vector'
}

@test "audio-embed: the same bytes for any number of threads and any order of rejects" {
    for n in 1 2 3; do sound s$n ogg 22050 1 1.5 $n; done
    for n in 1 2 3 4 5; do tracks s1 none s2 "$ROOT/README.md" s3; done | jq -c '.track_id = "\(input_line_number)"' | mk tracks.mp
    audio-embed --threads 1 --rejects r1 -o 1.mp tracks.mp
    audio-embed --threads 4 --rejects r4 -o 4.mp tracks.mp
    same 1.mp 4.mp
    same r1 r4
    mp2json 1.mp | jq -es 'length == 15'
}

@test "audio-embed: what is missing, broken, silent, too short or no file is set aside with its name and reason" {
    sound good wav 16000 1 1.5 1
    mkdir folder
    mkfifo pipe
    : >empty
    head -c 3000 /dev/urandom >noise
    sound tiny wav 16000 1 0.5 1
    python3 - <<'PY'
import struct, wave
w = wave.open('silent', 'w'); w.setparams((1, 2, 16000, 0, 'NONE', '')); w.writeframes(bytes(64000))
def riff(name, form, channels, rate, width, claim, data):
    open(name, 'wb').write(b'RIFF' + struct.pack('<I', min(claim + 36, 2**32 - 1)) + b'WAVEfmt ' +
        struct.pack('<IHHIIHH', 16, form, channels, rate, rate * channels * width, channels * width, 8 * width) + b'data' + struct.pack('<I', claim) + data)
riff('nan', 3, 1, 16000, 4, 80000, struct.pack('<f', float('nan')) * 20000)
riff('loud', 3, 1, 16000, 4, 80000, struct.pack('<2f', 3e38, -3e38) * 10000)
riff('slow', 1, 1, 10, 2, 80000, bytes(80000))
riff('fast', 1, 1, 2**31 - 1, 2, 80000, bytes(80000))
riff('claims', 1, 2, 44100, 2, 2**32 - 1, bytes(400))
PY
    tracks good none folder pipe /dev/zero empty noise tiny silent nan loud slow fast claims >json
    jq -nc '{track_id: "n"}, {track_id: "zero", audio_path: "good\u0000"}, {track_id: "type", audio_path: 5}, {track_id: "void", audio_path: ""}' >>json
    mk tracks.mp <json
    run -0 --separate-stderr timeout 20 audio-embed --rejects rej.mp -o out.mp tracks.mp
    echo "$stderr"
    [[ $stderr == "audio-embed: in=18 out=1 rejected=16 without=1 "* && $(wc -l <<<"$stderr") = 1 ]]
    mpcheck --canonical reject rej.mp
    mp2json rej.mp | jq -r .reason >reasons
    cat reasons
    for f in none folder pipe /dev/zero empty noise tiny silent nan loud slow fast claims; do
        [ "$(grep -cE "^audio_path: (\./)?$f: " reasons)" -eq 1 ]
    done
    grep -q 'none: No such file or directory' reasons
    grep -q 'pipe: not a regular file' reasons
    grep -q 'tiny: expected at least 1 s of sound, got 0.50' reasons
    grep -q 'silent: silence' reasons
    grep -q 'nan: a sample that is not finite' reasons
    grep -q 'slow: expected 1000 to 768000 samples a second, got 10' reasons
    tracks good none | mk two.mp
    run -65 --separate-stderr audio-embed -o out2.mp two.mp
    [[ $stderr == "audio-embed: two.mp: record 2, byte "*": audio_path: ./none: No such file or directory" ]]
    [ ! -e out2.mp ]
}

@test "audio-embed: files cut off and with flipped bits are read or set aside, in every format" {
    n=0
    for f in wav flac ogg mp3; do
        sound $f $f 16000 1 1.1 5
        python3 - $f <<'PY'
import random, sys
b = open(sys.argv[1], 'rb').read(); r = random.Random(1)
for i in range(120):
    if i < 40: c = b[:i * 3 if i < 20 else len(b) * (i - 20) // 20]
    else:
        c = bytearray(b)
        for _ in range(1 if i < 80 else 20): c[r.randrange(200 if i < 100 else len(b))] ^= 1 << r.randrange(8)
    open('bad.%s.%d' % (sys.argv[1], i), 'wb').write(c)
PY
    done
    tracks bad.* | mk tracks.mp
    # (libsndfile forgets some 6 kB of a broken Ogg file: no leak of ours.)
    ASAN_OPTIONS=detect_leaks=0 run -0 --separate-stderr timeout 60 audio-embed --rejects rej.mp -o out.mp tracks.mp
    echo "$stderr"
    [[ $stderr == "audio-embed: in=480 "* && $(wc -l <<<"$stderr") = 1 ]]
    mpcheck reject rej.mp
    mpcheck embedding out.mp
}

@test "audio-embed: an empty stream; tracks without a recording" {
    : >empty
    audio-embed -o out.mp empty
    [ -f out.mp ] && [ ! -s out.mp ]
    mk t.mp <<<'{"track_id":"a","title":"x","artist":"y"}'
    run -0 --separate-stderr audio-embed -o out.mp t.mp
    [[ $stderr == *"in=1 out=0 rejected=0 without=1 "* ]]
}

# Of the recording itself a failure is bad data, whatever the library was short of.
@test "audio-embed: every call that fails is told, and leaves no output" {
    sound s wav 8000 1 1 1
    tracks s | mk t.mp
    faults "read write close open rename" "65 66 73 74" audio-embed --threads 1 -o out t.mp
    faults malloc "65 71" audio-embed --threads 1 -o out t.mp
}
