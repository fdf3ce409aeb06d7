# SPDX-License-Identifier: Apache-2.0
# Loaded by every bats file: programs on PATH, a scratch folder, and stderr kept apart.
# shellcheck shell=bash
bats_require_minimum_version 1.5.0
export LC_ALL=C
unset OPENBLAS_CORETYPE MAKEFLAGS MFLAGS MAKELEVEL # a make within a test is one of its own
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-5000} # see Makefile
ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
export ROOT BUILD=${BUILD:-$ROOT/build}
export PATH="$BUILD/bin:$PATH"
# shellcheck source=tests/mpi.bash
. "$ROOT/tests/mpi.bash"

# Every test runs in a fresh folder of its own.
setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
}

# mk FILE: records from JSON lines on stdin.
mk() {
    json2mp -o "$1" 2>/dev/null
}

# times N FILE: the file N times over.
times() {
    yes "$2" | head -n "$1" | tr '\n' '\0' | xargs -0 cat
}

# same A B: two files have the same bytes.
same() {
    cmp "$1" "$2"
}

# unread COMMAND...: its stdout is a pipe that nobody reads any more.
unread() {
    (
        mkfifo unread.pipe
        exec 8<>unread.pipe
        exec 7>unread.pipe 8>&-
        rm unread.pipe
        exec "$@" >&7
    )
}

# Whether the programs were built with AddressSanitizer, which reserves terabytes and has a malloc of its own.
sanitized() {
    nm -D "$BUILD/bin/mp2json" | grep -q __asan_init
}

# faults "KIND..." "STATUS..." COMMAND...: fails the first, the second, … call of each kind (tests/fault.c names them) until a
# run makes no such call any more. Each run that meets its fault must end with one of the statuses and one line on stderr, and
# leave nothing named out*, part-* or *.XXXXXX behind; a close of what was only read from may fail unheard. Sets n_faults.
# Skips where sanitizers are, whose malloc is their own.
faults() {
    local kinds=$1 want=" $2 " kind n got said left
    shift 2
    if sanitized; then skip "not under sanitizers"; fi
    n_faults=0
    for kind in $kinds; do
        for ((n = 1; ; n++)); do
            got=0
            timeout 20 env FAULT="$kind:$n" FAULT_FIRED=fired LD_PRELOAD="$BUILD/fault.so" "$@" >/dev/null 2>said || got=$?
            mapfile -t said <said
            left=$(compgen -G 'out*' || compgen -G 'part-*' || compgen -G '*.??????' || true)
            rm -f out* part-*
            [ -e fired ] || break
            rm fired
            n_faults=$((n_faults + 1))
            echo "$* with $kind $n failing: status $got: ${said[*]}"
            if [ "$kind" = close ] && [ "$got" -eq 0 ]; then continue; fi
            [[ $want == *" $got "* ]] || return 1
            [ ${#said[@]} -eq 1 ] || return 1
            [ -z "$left" ] || { echo "left behind: $left" && return 1; }
        done
    done
    rm -f said
    [ "$n_faults" -gt 0 ]
}
