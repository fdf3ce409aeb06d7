# SPDX-License-Identifier: Apache-2.0
# Loaded by every bats file: programs on PATH, a scratch folder, and stderr kept apart.
# shellcheck shell=bash
bats_require_minimum_version 1.5.0
export LC_ALL=C
unset OPENBLAS_CORETYPE
ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
export ROOT BUILD=${BUILD:-$ROOT/build}
export PATH="$BUILD/bin:$PATH"

# Every test runs in a fresh folder of its own.
setup() {
    cd "$BATS_TEST_TMPDIR" || exit 1
}

# mk FILE: records from JSON lines on stdin.
mk() {
    json2mp -o "$1" 2>/dev/null
}

# same A B: two files have the same bytes.
same() {
    cmp "$1" "$2"
}
