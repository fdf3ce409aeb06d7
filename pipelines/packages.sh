#!/usr/bin/env bash
# packages.sh - installs the distribution's packages that are missing, and says which.
set -eu -o pipefail

packages=(gcc g++ make pkg-config libmsgpack-dev libopenblas-pthread-dev libsimdjson-dev
    libpcre2-dev liblapacke-dev jq xz-utils parallel bats mandoc gnuplot-nox)

missing=()
for p in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

install=(apt-get install -y --no-install-recommends "${missing[@]}")
if [ "$(id -u)" -eq 0 ]; then
    run=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    run=(sudo env)
else
    echo "packages.sh: these packages are missing; as root, run" >&2
    echo "  apt-get update && ${install[*]}" >&2
    exit 1
fi
echo "packages.sh: installing ${missing[*]}" >&2
"${run[@]}" apt-get update -qq
"${run[@]}" DEBIAN_FRONTEND=noninteractive "${install[@]}" -qq >/dev/null
