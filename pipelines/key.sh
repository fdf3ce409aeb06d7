#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# key.sh KEEP WORD... - empties the folder KEEP unless it was made for the same words.
#
# The words are those of a command: of a word that is a program, a file or a folder, its size and its time of change count
# too, of a folder those of all in it. So what an interrupted run has left is used again for the same work alone.
set -eu -o pipefail
export LC_ALL=C

[ $# -ge 2 ] || { echo "usage: key.sh KEEP WORD..." >&2; exit 64; }
keep=$1
shift
key=$(for word; do
    path=$word
    [[ $word == */* ]] || path=$(command -v -- "$word" || true)
    printf '%q\n' "$word"
    if [[ $path == */* && -e $path ]]; then find -L "$path" -type f -printf '%P %s %T@\n' | sort; fi
done)
[ "$(cat "$keep/key" 2>/dev/null)" = "$key" ] && exit 0
rm -rf "$keep"
mkdir -p "$keep"
printf '%s\n' "$key" >"$keep/key"
