#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# stamps.sh DIR PROGRAM... - for each program on PATH a file DIR/PROGRAM with its sha256.
#
# A stamp is rewritten only when the sum changed, so that what a stage made is made again when its
# program changed, and not when it was merely relinked.
set -eu -o pipefail

dir=$1
shift
mkdir -p "$dir"
for program; do
    path=$(command -v "$program") || continue
    read -r sum _ < <(sha256sum <"$path")
    old=
    [ -e "$dir/$program" ] && read -r old <"$dir/$program"
    [ "$sum" = "$old" ] || echo "$sum" >"$dir/$program"
done
