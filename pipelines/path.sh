# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# path.sh - read by the other scripts: where programs are found. Those of $STAGES come before those of $BUILD.
# Sets here, the folder of the scripts.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH="${STAGES:+$(realpath -m "$STAGES"):}$(realpath -m "${BUILD:-$here/../build}/bin"):$PATH"
