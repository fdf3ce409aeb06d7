#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# parts.sh N FILE COMMAND... - runs a filter over N pieces of a record stream at once, output in input order.
#
# FILE is cut at record boundaries (mpsplit --ranges), each piece goes to its own COMMAND through GNU
# parallel, and what they print is joined in the order of the pieces: for a filter that maps records
# one by one the bytes are those of COMMAND < FILE. Environment: PARTS_OPTS, more options for
# parallel (--joblog, --resume, --sshlogin).
set -eu -o pipefail

[ $# -ge 3 ] || { echo "usage: parts.sh N FILE COMMAND..." >&2; exit 64; }
n=$1 file=$2
shift 2
if [ "$n" -eq 1 ]; then
    exec "$@" <"$file"
fi
# Words are quoted once for the shell that parallel starts.
printf -v command '%q ' "$@"
printf -v quoted '%q' "$file"
read -ra opts <<<"${PARTS_OPTS:-}"
mpsplit --ranges "$n" "$file" |
    parallel --will-cite --keep-order --halt now,fail=1 --colsep '\t' --jobs "$n" ${opts[@]+"${opts[@]}"} \
        "set -o pipefail; mpsplit --range {1}:{2} $quoted | $command"
