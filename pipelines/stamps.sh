#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# stamps.sh [--write] DIR PROGRAM... - which programs on PATH are not those whose sha256 the file DIR/PROGRAM keeps?
#
# Prints their names, or with --write writes their files. A stage's work is done again when its program
# changed, and not when it was merely relinked: a stamp is newer than that work only if the sum is another.
set -eu -o pipefail

write=
if [ "$1" = --write ]; then
    write=yes
    shift
fi
dir=$1
shift
for program; do
    sum='' old=''
    if path=$(command -v "$program"); then
        read -r sum _ < <(sha256sum <"$path")
    elif [ -n "$write" ]; then
        echo "stamps.sh: $program: not on PATH (make builds it)" >&2
        exit 1
    fi
    if [ -n "$write" ]; then
        echo "$sum" >"$dir/$program"
        continue
    fi
    if [ -e "$dir/$program" ]; then read -r old <"$dir/$program" || true; fi
    if [ -z "$sum" ] || [ "$sum" != "$old" ]; then echo "$program"; fi
done
