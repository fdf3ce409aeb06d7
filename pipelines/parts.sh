#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# parts.sh [-j JOBS] [-H HOSTS] [-k KEEP] N FILE COMMAND... - runs a filter over N pieces of a record stream, output in input order.
#
# FILE is cut at record boundaries (mpsplit --ranges), each piece goes through COMMAND, JOBS of them at a time (N) here or on
# HOSTS (spread.sh), and what they write is joined in the order of the pieces: for a filter that maps records one by one the
# bytes are those of COMMAND < FILE. With KEEP, pieces that an interrupted call of the same has finished are not made again:
# it is a folder of the caller's, who deletes it.
set -eu -o pipefail
export LC_ALL=C

usage() {
    echo "usage: parts.sh [-j JOBS] [-H HOSTS] [-k KEEP] N FILE COMMAND..." >&2
    exit 64
}
jobs='' hosts='' keep=''
while getopts j:H:k: option; do
    case $option in
        j) jobs=$OPTARG ;;
        H) hosts=$OPTARG ;;
        k) keep=$OPTARG ;;
        *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -ge 3 ] || usage
n=$1 file=$2
shift 2
if [ "$n" -eq 1 ] && [ -z "$hosts" ]; then
    exec "$@" <"$file"
fi
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "$keep" ]; then
    keep=$(mktemp -d)
    passing=$keep
    trap 'rm -rf "$passing"' EXIT
fi
# One call is one folder in it: a caller may make its artifact by several.
keep=$keep/$(printf '%s\n' "$file" "$@" | sha256sum | head -c 16)
"$here/key.sh" "$keep" "$n" "$(realpath "$file")" "$@"
if [ ! -e "$keep/cut" ]; then
    mkdir -p "$keep/in"
    mpsplit --ranges "$n" "$file" >"$keep/ranges"
    i=0
    while IFS=$'\t' read -r offset length; do
        i=$((i + 1))
        mpsplit --range "$offset:$length" "$file" >"$keep/in/$(printf '%06d' $i)"
    done <"$keep/ranges"
    [ $i -gt 0 ] || : >"$keep/in/000001" # of nothing one piece: the filter may have something to say
    : >"$keep/cut"
fi
"$here/spread.sh" -j "${jobs:-$n}" -H "$hosts" "$keep" "$@"
cat "$keep"/out/*
