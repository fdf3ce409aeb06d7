#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# talkplay, make install, packages.sh.
load helper

@test "talkplay: alone it lists each stage with its purpose" {
    run -0 --separate-stderr "$ROOT/pipelines/talkplay"
    [ -z "$stderr" ]
    for p in "$BUILD"/bin/*; do
        [ -x "$p" ] || continue
        grep -qE "^  ${p##*/} +[a-zA-Z].{10}" <<<"$output"
    done
    [ "$(grep -c '^  ' <<<"$output")" -eq "$(find "$BUILD/bin" -type f -perm -u+x | wc -l)" ]
    local listed=$output
    run -0 --separate-stderr "$ROOT/pipelines/talkplay" --help
    [ "$output" = "$listed" ]
}

@test "talkplay: STAGE is run with its options, input and status" {
    echo '{"playlists":[{"pid":1,"tracks":[]}]}' >s.json
    "$ROOT/pipelines/talkplay" mpd-parse <s.json >a.mp
    mpd-parse s.json >b.mp
    same a.mp b.mp
    run -64 --separate-stderr "$ROOT/pipelines/talkplay" mpd-parse --no-such
    run -66 --separate-stderr "$ROOT/pipelines/talkplay" mpd-parse -f none.json
}

@test "talkplay: what is no stage is a usage error" {
    for name in nosuch ../bin/mpd-parse -x .; do
        run -64 --separate-stderr "$ROOT/pipelines/talkplay" "$name"
        [[ $stderr == "talkplay: "*"talkplay alone lists them" ]]
    done
}

@test "talkplay: make install puts programs, pages and schemas where talkplay finds them, under DESTDIR" {
    make -s -C "$ROOT" BUILD="$BUILD" PREFIX=/opt/tp DESTDIR="$PWD/d" install >/dev/null
    run -0 "$PWD/d/opt/tp/bin/talkplay" mpd-parse --version
    [[ $output == "mpd-parse "* ]]
    ln -s "$PWD/d/opt/tp/bin/talkplay" link
    run -0 ./link mpd-parse --version
    [ "$(find d/opt/tp/libexec/talkplay -type f | wc -l)" -eq "$(find "$ROOT/bin" -name '*.c' | wc -l)" ]
    [ "$(find d/opt/tp/share/man/man1 -name '*.1' | wc -l)" -eq "$(find "$ROOT/bin" -name '*.1' | wc -l)" ]
    [ -z "$(find d -type f ! -path 'd/opt/tp/*')" ]
}

# A PATH on which only the tools named and stand-ins in ./path exist. dpkg is not asked: what counts is what is there.
bare() {
    mkdir -p path
    for tool in bash env cat sed grep "$@"; do
        ln -sf "$(command -v "$tool")" "path/$tool"
    done
}

# fake NAME BODY: a program of that name.
fake() {
    printf '#!/bin/bash\n%s\n' "$2" >"path/$1"
    chmod +x "path/$1"
}

@test "packages.sh: with everything there it does nothing and says nothing" {
    run -0 --separate-stderr bash "$ROOT/pipelines/packages.sh" test
    [ -z "$output$stderr" ]
}

@test "packages.sh: as nobody without sudo it prints the one command to run, and fails" {
    bare jq make
    fake apt-get 'echo apt-get was run; exit 9'
    fake id 'echo 1000'
    run -1 --separate-stderr env PATH="$PWD/path" bash "$ROOT/pipelines/packages.sh"
    [ -z "$output" ]
    [[ ${stderr_lines[1]} == "  apt-get update && apt-get install -y --no-install-recommends g++ gcc gnuplot-nox "* ]]
    # what is there is not asked for
    [[ " ${stderr_lines[1]} " != *" jq "* ]] && [[ " ${stderr_lines[1]} " != *" make "* ]]
    [[ " ${stderr_lines[1]} " == *" libmsgpack-dev "* ]]
    # tests need more than the build
    [[ $stderr != *shellcheck* ]]
    run -1 --separate-stderr env PATH="$PWD/path" bash "$ROOT/pipelines/packages.sh" test
    [[ $stderr == *shellcheck* ]]
}

@test "packages.sh: as root it names what it installs, installs it, and looks again" {
    bare
    fake id 'echo 0'
    fake pkg-config 'exit 0'
    fake apt-get 'echo "$*" >>log'
    for tool in g++ gcc gnuplot make mpirun parallel rsync xz; do fake "$tool" 'exit 0'; done
    run -1 --separate-stderr env PATH="$PWD/path" bash "$ROOT/pipelines/packages.sh"
    # this apt-get installs nothing, and that is noticed
    [ "${stderr_lines[0]}" = "packages.sh: installing jq" ]
    [ "${stderr_lines[1]}" = "packages.sh: installed, yet not found: jq" ]
    [ "$(cat log)" = $'update -qq\ninstall -y -qq --no-install-recommends jq' ]
    fake apt-get "$(printf 'echo "#!/bin/bash" >%q/path/jq\nPATH=/bin:/usr/bin chmod +x %q/path/jq' "$PWD" "$PWD")"
    run -0 --separate-stderr env PATH="$PWD/path" bash "$ROOT/pipelines/packages.sh"
    [ "$stderr" = "packages.sh: installing jq" ]
}

@test "packages.sh: with sudo that asks for no password it goes through sudo" {
    bare
    fake id 'echo 1000'
    fake pkg-config 'exit 0'
    fake sudo '[ "$1" = -n ] && exit 0; echo "sudo $*" >>log; exec "$@"'
    fake apt-get '[ "$1" = update ] || echo "#!/bin/bash" >path/jq; PATH=/bin:/usr/bin; [ ! -e path/jq ] || chmod +x path/jq'
    fake true 'exit 0'
    for tool in g++ gcc gnuplot make mpirun parallel rsync xz; do fake "$tool" 'exit 0'; done
    run -0 --separate-stderr env PATH="$PWD/path" bash "$ROOT/pipelines/packages.sh"
    [ "$(head -n 1 log)" = "sudo env apt-get update -qq" ]
}

@test "packages.sh: where there is no apt-get it names the packages, and fails" {
    bare
    fake id 'echo 0'
    run -1 --separate-stderr env PATH="$PWD/path" bash "$ROOT/pipelines/packages.sh"
    [[ $stderr == "packages.sh: missing, by their names in Debian 12: g++ gcc "* ]]
}
