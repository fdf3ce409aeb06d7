#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# packages.sh [test | avx512 | bench] - installs what is missing of the distribution's packages, and says which.
#
# Without an argument: what the build and the runs need. With "test": what lint and tests need besides; with "avx512":
# what `make avx512` does; with "bench": what benchmarks compare with. Looks for the programs and libraries themselves,
# not for packages: what came onto the machine in another way is fine. Without root and sudo it prints the one command
# to run, and ends with 1.
set -eu -o pipefail

# package, then what shows that it is there: a program, or pc:NAME for a library that pkg-config knows.
build='
g++ g++
gcc gcc
gnuplot-nox gnuplot
jq jq
libc6-dev /usr/include/stdio.h
libdnnl-dev /usr/include/dnnl.h
libkissfft-dev pc:kissfft-float
liblapacke-dev pc:lapacke
libmsgpack-dev pc:msgpack
libopenblas-pthread-dev pc:openblas
libopenmpi-dev pc:ompi-c
libpcre2-dev pc:libpcre2-8
libsimdjson-dev pc:simdjson
libsndfile1-dev pc:sndfile
make make
openmpi-bin mpirun
parallel parallel
pkg-config pkg-config
rsync rsync
xz-utils xz
'
test='
bats bats
bsdextrautils col
clang clang
clang-format clang-format
git git
libomp-dev /usr/lib/llvm-*/lib/clang/*/include/omp.h
mandoc mandoc
python3 python3
shellcheck shellcheck
valgrind valgrind
'
avx512='
libsimde-dev /usr/include/simde/x86/avx512.h
'

bench='
python3-faiss /usr/lib/python3/dist-packages/faiss/__init__.py
python3-gensim /usr/lib/python3/dist-packages/gensim/__init__.py
python3-numpy /usr/lib/python3/dist-packages/numpy/__init__.py
python3-sklearn /usr/lib/python3/dist-packages/sklearn/__init__.py
python3-torch /usr/lib/python3/dist-packages/torch/__init__.py
time /usr/bin/time
'

# Is the program, library or file there?
have() {
    case $1 in
        pc:*) command -v pkg-config >/dev/null && pkg-config --exists "${1#pc:}" ;;
        /*) compgen -G "$1" >/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

# The packages of the list on stdin that are not there.
missing() {
    local package probe
    while read -r package probe; do
        [ -z "$package" ] || have "$probe" || echo "$package"
    done
}

case ${1-} in
    '') list=$build ;;
    test) list=$build$test ;;
    avx512) list=$build$avx512 ;;
    bench) list=$build$bench ;;
    *) echo "usage: packages.sh [test | avx512 | bench]" >&2; exit 64 ;;
esac
mapfile -t need < <(missing <<<"$list")
[ ${#need[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "packages.sh: missing, by their names in Debian 12: ${need[*]}" >&2
    exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
    root=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    root=(sudo env)
else
    echo "packages.sh: these packages are missing; as root, run" >&2
    echo "  apt-get update && apt-get install -y --no-install-recommends ${need[*]}" >&2
    exit 1
fi
echo "packages.sh: installing ${need[*]}" >&2
"${root[@]}" apt-get update -qq
"${root[@]}" DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
mapfile -t need < <(missing <<<"$list")
if [ ${#need[@]} -gt 0 ]; then
    echo "packages.sh: installed, yet not found: ${need[*]}" >&2
    exit 1
fi
