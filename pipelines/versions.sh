#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# versions.sh PROGRAM... - the version and sha256 of each program on PATH, and of the tools around them.
set -eu -o pipefail

for program; do
    path=$(command -v "$program") || continue
    version=$("$program" --version 2>/dev/null </dev/null) || version="$program (stand-in)"
    read -r sum _ < <(sha256sum <"$path")
    echo "$version $sum"
done
for tool in jq parallel gnuplot bash make; do
    "$tool" --version 2>/dev/null | head -n 1 || true
done
