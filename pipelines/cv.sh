#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cv.sh N RUN COMMAND... - the demo's figures by cross-validation: what choices are made by, since the test set is not for that.
#
# COMMAND runs pipelines/talkplay.mk (see `make cv`). For each I of N it is run once with SOURCE_OPTS="--fold I/N", so that
# the Ith part of the training conversations plays the test set, in the folder RUN-I. Prints, system by system, the mean
# over the folds of what score found and its standard deviation between them. SOURCE_OPTS in the environment come first.
set -eu -o pipefail
export LC_ALL=C

usage() {
    echo "usage: cv.sh N RUN COMMAND..." >&2
    exit 64
}
if [ $# -lt 3 ] || ! [[ $1 =~ ^([2-9]|[1-9][0-9])$ ]]; then usage; fi
n=$1 run=$2
shift 2
. "$(dirname "$0")/path.sh"

options=${SOURCE_OPTS:-}
metrics=()
for ((i = 1; i <= n; i++)); do
    "$@" SOURCE_OPTS="${options:+$options }--fold $i/$n" NAME="cv-$i" RUN="$run-$i" "$run-$i/metric.mp" >&2
    metrics+=("$run-$i/metric.mp")
done

# After make -n there are none.
[ -e "${metrics[0]}" ] || exit 0
mp2json "${metrics[@]}" | jq -s -r '
    def mean: add / length;
    def spread: mean as $m | if length < 2 then 0 else (map((. - $m) * (. - $m)) | add / (length - 1) | sqrt) end;
    map(select((has("turn") or has("subset") | not) and (.system | IN("search", "constrain", "bm25", "popularity"))))
    | group_by(.system)[]
    | [.[0].system, (map(select(.metric == "mrr").n) | add),
       (("mrr", "hit_1", "hit_10", "hit_100") as $m | map(select(.metric == $m).value) | mean, spread)]
    | @tsv' |
    awk -F '\t' -v n="$n" '
        BEGIN { printf "%-12s %6s %12s %12s %12s %12s\n", n " folds", "turns", "MRR", "Hit@1", "Hit@10", "Hit@100" }
        { printf "%-12s %6d", $1, $2; for (i = 3; i < NF; i += 2) printf "  %.3f ± %.3f", $i, $(i + 1); print "" }'
