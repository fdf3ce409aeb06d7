#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Work in pieces, here and on other machines: parts.sh, spread.sh, key.sh, mpd.sh.
load helper

setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
    export HOSTS_FOLDER=$PWD/hosts PARALLEL_SSH="$ROOT/tests/small/ssh"
    mkdir -p hosts/a hosts/b
    jq -nc 'range(60) | {n: ., text: ("x" * (. % 7))}' | mk in.mp
    echo 5 >side.txt
    # A filter that counts its calls, and says where it is run.
    cat >filter <<-'END_OF_FILTER'
		#!/bin/bash
		# filter SIDE: each record with what is in SIDE; each call is a line of $CALLS.
		echo "$HOME" >>"$CALLS"
		mp2json | jq -c --argjson side "$(cat "$1")" '. + {side: $side}' | json2mp
		echo "filter: read" >&2
	END_OF_FILTER
    chmod +x filter
    PATH=$PWD:$PATH
    parts=("$ROOT/pipelines/parts.sh")
    export CALLS=$PWD/calls
    filter=(filter "$PWD/side.txt")
    "${filter[@]}" <in.mp >whole.mp 2>/dev/null
    : >calls
}

@test "parts.sh: any number of pieces, one or several at a time, is the whole; nothing of them is left" {
    export TMPDIR=$PWD/passing
    mkdir passing
    for n in 1 2 7 100; do
        "${parts[@]}" -j 3 "$n" in.mp "${filter[@]}" >out.mp
        same whole.mp out.mp
    done
    : >empty.mp
    "${parts[@]}" 3 empty.mp "${filter[@]}" >out.mp
    same empty.mp out.mp
    [ -z "$(ls -A passing)" ]
}

@test "parts.sh: words with blanks, quotes and braces reach the filter as they are" {
    printf '#!/bin/bash\nprintf "%%s\\n" "$@" | jq -Rsc "{a: .}" | json2mp\n' >say && chmod +x say
    words=("a  b" "it's" '"$HOME"' 'a;b' '*' '' '\\n' $'two\nlines')
    printf '%s\n' "${words[@]}" >want
    for hosts in : a,b; do
        "${parts[@]}" -H $hosts 2 in.mp say "${words[@]}" | mp2json | jq -r .a | head -9 >got
        diff want got
    done
}

@test "parts.sh: the status of a piece that fails is the whole's, its message is heard, and other pieces are kept" {
    cat >fails <<-'END'
		#!/bin/bash
		# As the filter, but for the piece that holds record 30, as long as there is a file bad.
		mp2json >"$1.$$"
		! { [ -e "$2" ] && grep -q '"n":30,' "$1.$$"; } || { echo "fails: record 30" >&2; exit 65; }
		echo call >>"$1"
		json2mp <"$1.$$"
	END
    chmod +x fails && touch bad
    run -65 --separate-stderr "${parts[@]}" -j 1 -k keep 6 in.mp fails "$PWD/calls" "$PWD/bad"
    [[ $stderr == *"fails: record 30"* ]]
    [ -z "$output" ]
    before=$(wc -l <calls)
    [ "$before" -ge 1 ] && [ "$before" -le 5 ]
    # Nothing that counts has changed; then something has.
    mv bad good
    ln -s none bad
    "${parts[@]}" -j 1 -k keep 6 in.mp fails "$PWD/calls" "$PWD/bad" >out.mp
    same in.mp out.mp
    [ "$(wc -l <calls)" -ge 6 ]
}

@test "parts.sh: interrupted, it goes on; with another input, option or program it begins afresh" {
    "${parts[@]}" -k keep 6 in.mp "${filter[@]}" >out.mp
    : >calls
    "${parts[@]}" -k keep 6 in.mp "${filter[@]}" >out.mp
    same whole.mp out.mp
    [ ! -s calls ]
    rm keep/*/done/000004 keep/*/out/000004
    "${parts[@]}" -k keep 6 in.mp "${filter[@]}" >out.mp
    same whole.mp out.mp
    [ "$(wc -l <calls)" = 1 ]
    : >calls
    echo 6 >side.txt
    "${parts[@]}" -k keep 6 in.mp "${filter[@]}" >out.mp
    [ "$(wc -l <calls)" = 6 ]
    mp2json out.mp | jq -se 'all(.side == 6)' >/dev/null
    : >calls
    touch -d "2001-01-01" filter
    "${parts[@]}" -k keep 6 in.mp "${filter[@]}" >out.mp
    [ "$(wc -l <calls)" = 6 ]
}

@test "parts.sh: on two machines, where program and files travel; nothing stays there" {
    "${parts[@]}" -j 1 -H a,b 6 in.mp "${filter[@]}" >out.mp 2>err
    same whole.mp out.mp
    [ "$(grep -c '^filter: read$' err)" = 6 ]
    [ "$(sort -u calls)" = "$HOSTS_FOLDER"/a$'\n'"$HOSTS_FOLDER"/b ]
    [ -z "$(find hosts -type f ! -path '*/.parallel/*')" ]
}

@test "parts.sh: a machine that is lost in the middle has its work done by the other, with the same bytes" {
    cat >sometimes <<-'END'
		#!/bin/bash
		# The filter, unless this is machine b: then it is lost.
		if [ "$(basename "$HOME")" = b ]; then touch "$HOME/lost"; sleep 0.2; exit 1; fi
		mp2json | jq -c --argjson side "$(cat "$1")" '. + {side: $side}' | json2mp
	END
    chmod +x sometimes
    "${parts[@]}" -j 1 -H a,b 6 in.mp sometimes "$PWD/side.txt" >out.mp 2>err
    [ -e hosts/b/lost ]
    same whole.mp out.mp
    # Lost from the beginning: it is told, and the other does all. None that answers: an error.
    "${parts[@]}" -j 1 -H a,b 6 in.mp sometimes "$PWD/side.txt" >out.mp 2>err
    same whole.mp out.mp
    grep -qx "spread.sh: b: not reached, goes without" err
    "${parts[@]}" -H :,b 6 in.mp sometimes "$PWD/side.txt" >out.mp 2>err
    same whole.mp out.mp
    touch hosts/a/lost
    run -71 --separate-stderr "${parts[@]}" -H a,b 6 in.mp sometimes "$PWD/side.txt"
    [[ $stderr == *"spread.sh: no host was reached" ]]
}

@test "mpd.sh: slices parsed on two machines give the same bytes, and an interrupted call goes on" {
    for first in 0 1000 2000; do
        jq -nc --argjson f $first '{playlists: [range(20) | {pid: ($f + .), name: "p\(.)", collaborative: "false", modified_at: 1500000000,
            num_tracks: 1, num_albums: 1, num_followers: 1, tracks: [{pos: 0, track_uri: "spotify:track:t\($f + . % 7)", track_name: "T", artist_name: "A",
            artist_uri: "spotify:artist:a", album_name: "B", album_uri: "spotify:album:b", duration_ms: 1000}], num_edits: 1, duration_ms: 1000,
            num_artists: 1}]}' >"mpd.slice.$first-$((first + 999)).json"
    done
    mkdir mpd && mv mpd.slice.* mpd
    "$ROOT/pipelines/mpd.sh" --test 5 mpd here
    HOSTS=a,b JOBS=1 "$ROOT/pipelines/mpd.sh" --test 5 mpd there
    diff -r here there
    # Killed behind its second slice.
    mkdir stage
    cat >stage/mpd-parse <<-END
		#!/bin/bash
		echo call >>$PWD/calls
		[ \$(wc -l <$PWD/calls) -ne 3 ] || kill -9 \$\$
		exec $BUILD/bin/mpd-parse "\$@"
	END
    chmod +x stage/mpd-parse
    : >calls
    export STAGES=$PWD/stage JOBS=1
    run ! "$ROOT/pipelines/mpd.sh" --test 5 mpd again
    [ -e again/.mpd ] && [ ! -e again/playlists.mp ]
    "$ROOT/pipelines/mpd.sh" --test 5 mpd again
    [ "$(wc -l <calls)" = 4 ]
    diff -r here again
}

# A server of this test's own, for as long as it runs: serve NAME PORT.
serve() {
    cat >"$1.conf" <<-END
		Port $2
		ListenAddress 127.0.0.1
		HostKey $PWD/hostkey
		AuthorizedKeysFile $PWD/key.pub
		PidFile none
		StrictModes no
		UsePAM no
		PermitRootLogin yes
	END
    "$(command -v sshd || echo /usr/sbin/sshd)" -D -e -f "$PWD/$1.conf" 2>"$1.log" 3>&- &
    eval "$1=$!"
    printf 'Host %s\n  Port %s\n' "$1" "$2" >>ssh.conf
}

@test "parts.sh: over two real ssh servers, of which one is killed in the middle" {
    if [ ! -x /usr/sbin/sshd ] || ! command -v ssh-keygen >/dev/null; then skip "no ssh server here"; fi
    [ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
    ssh-keygen -q -t ed25519 -N '' -f key
    ssh-keygen -q -t ed25519 -N '' -f hostkey
    port=$((20000 + RANDOM % 20000))
    serve one $port
    serve two $((port + 1))
    # shellcheck disable=SC2154 # serve sets them
    trap 'kill $one $two 2>/dev/null || true' EXIT
    printf 'Host *\n  HostName 127.0.0.1\n  IdentityFile %s\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n' \
        "$PWD/key" >>ssh.conf
    export PARALLEL_SSH="ssh -o BatchMode=yes -F $PWD/ssh.conf"
    for _ in {1..50}; do ! $PARALLEL_SSH one : 2>/dev/null || break; sleep 0.1; done
    $PARALLEL_SSH two :
    # The server two and all its sessions are killed by the first piece that it works on.
    cat >sometimes <<-'END'
		#!/bin/bash
		if [ "${SSH_CONNECTION##* }" = "$1" ]; then
		    touch "$3"
		    kill -9 "$2" $(pgrep -P "$2")
		    sleep 5
		fi
		exec cat
	END
    chmod +x sometimes
    "${parts[@]}" -j 1 -H one,two 4 in.mp sometimes $((port + 1)) "$two" "$PWD/killed" >out.mp 2>err || { cat err; return 1; }
    [ -e killed ]
    same in.mp out.mp
}
