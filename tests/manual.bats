#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Over all programs: what --help says, what the manual page says, and the manners of options.
# shellcheck disable=SC2154 # run sets stderr
load helper

# each CHECK: runs it for every program and names those for which it fails.
each() {
    local failed=()
    for c in "$ROOT"/bin/*.c; do
        p=$(basename "$c" .c)
        "$@" "$p" || failed+=("$p")
    done
    [ ${#failed[@]} -eq 0 ] || { echo "$1 fails for: ${failed[*]}" && false; }
}

# Options that talkplay(1) describes for all.
common=$'-f --force\n-h --help\n--limit\n--max-record\n-o --output\n--progress\n--rejects\n--seed\n--threads\n-v --verbose\n--version'

# "-k --clusters" or "--rate" a line, from --help.
help_options() {
    "$1" --help | sed -nE '/^options:/,/^$/s/^  (-.), (--[a-z0-9-]+).*/\1 \2/p; /^options:/,/^$/s/^      (--[a-z0-9-]+).*/\1/p'
}

# The same from the page's list: ".It Fl k , Fl -clusters Ar N", without the second Fl, or Fl Fl clusters.
page_options() {
    awk '/^\.It Fl / {
        letter = ""
        for (i = 2; i < NF; i++) {
            if ($i != "Fl" && !($i == "," && $(i + 1) ~ /^-/)) continue
            name = $(i + 1) == "Fl" ? "-" $(i + 2) : $(i + 1)
            if (length(name) == 1) letter = "-" name " "
            else if (name ~ /^-/) { print letter "-" name; letter = "" }
        }
    }' "$ROOT/bin/$1.1"
}

page_equals_help() {
    help_options "$1" >help
    page_options "$1" >page
    # What is not common is on the page; what is on the page is an option.
    diff <(grep -vxF -e "$common" help | sort) <(grep -vxF -e "$common" page | sort) &&
        ! grep -xF -e "$common" page | grep -qvxF -f help
}

@test "manual: the options of each page are those of --help" {
    each page_equals_help
}

in_order() {
    for list in help_options page_options; do
        "$list" "$1" | grep -oE -- '--[a-z0-9-]+' | sort -c || return 1
    done
}

@test "manual: options are in alphabetical order in --help and on each page" {
    each in_order
}

synopsis_is_usage() {
    local usage page
    usage=$("$1" --help | sed -n '1s/^usage: //p' | tr -d ' ' | tr '[:upper:]' '[:lower:]')
    page=$(mandoc -Tascii -Owidth=200 "$ROOT/bin/$1.1" | col -b | sed -n '/^SYNOPSIS/,/^DESCRIPTION/p' | sed '1d;$d' |
        tr -d ' \n' | tr '[:upper:]' '[:lower:]')
    echo "$usage / $page"
    [ -n "$usage" ] && [ "$usage" = "$page" ]
}

@test "manual: the SYNOPSIS of each page is the usage line" {
    each synopsis_is_usage
}

has_sections() {
    local want=(NAME SYNOPSIS DESCRIPTION OPTIONS "EXIT STATUS" EXAMPLES "SEE ALSO" CAVEATS)
    [ "$(sed -n 's/^\.Sh //p' "$ROOT/bin/$1.1" | grep -xF -e "$(printf '%s\n' "${want[@]}")")" = "$(printf '%s\n' "${want[@]}")" ] &&
        grep -qx "\.Nm $1" "$ROOT/bin/$1.1" && grep -q 'talkplay 1' "$ROOT/bin/$1.1"
}

@test "manual: each page has its sections in order and points to talkplay(1)" {
    each has_sections
}

purpose_is_name_line() {
    [ "$("$1" --help | sed -n 2p)" = "$(sed -n 's/^\.Nd //p' "$ROOT/bin/$1.1")" ]
}

@test "manual: the purpose on each page is that of --help" {
    each purpose_is_name_line
}

help_is_whole() {
    "$1" --help >out 2>err && [ ! -s err ] && grep -q '^in:   .' out && grep -q '^out:  .' out &&
        [ "$(sed '1,/^examples:/d' out | grep -c "$1")" -ge 2 ]
}

@test "manual: --help names the records in and out and shows two command lines" {
    each help_is_whole
}

version_is_told() {
    [ "$("$1" --version 2>&1)" = "$1 (TalkPlay in C) $("$ROOT/pipelines/talkplay" mp2json --version | awk '{print $NF}')" ]
}

@test "manual: --version names the program and one version" {
    each version_is_told
}

refuses_unknown_option() {
    run --separate-stderr "$1" --no-such-option
    [ "$status" = 64 ] && [ "$output" = "" ] && [ "$(wc -l <<<"$stderr")" = 1 ] &&
        [[ "$stderr" == "$1: --no-such-option: no such option; usage: $1 [options]"*"(try --help)" ]]
}

@test "manual: an unknown option is 64 and one line that shows the usage" {
    each refuses_unknown_option
}

refuses_missing_value() {
    run --separate-stderr "$1" --limit
    [ "$status" = 64 ] && [ "$(wc -l <<<"$stderr")" = 1 ] && [[ "$stderr" == "$1: --limit needs a value"* ]] || return 1
    run --separate-stderr "$1" --limit x
    [ "$status" = 64 ] && [ "$(wc -l <<<"$stderr")" = 1 ] && [[ "$stderr" == "$1: --limit: expected a whole number from "* ]]
}

@test "manual: a missing value and one out of bounds are 64, naming the bounds" {
    each refuses_missing_value
}

help_to_full_disk() {
    run --separate-stderr bash -c "$1 --help >/dev/full"
    [ "$status" = 74 ] && [ -n "$stderr" ]
}

@test "manual: --help that cannot be written is 74" {
    each help_to_full_disk
}

@test "manual: talkplay(1) describes the common options, every stage and every exit status" {
    diff <(page_options talkplay) <(printf '%s\n' "$common")
    for c in "$ROOT"/bin/*.c; do
        grep -qE "^\.It Xr .*\b$(basename "$c" .c) 1" "$ROOT/bin/talkplay.1" || { echo "$c is missing" && false; }
    done
    [ "$(sed -nE 's/^\.It ([0-9]+)$/\1/p' "$ROOT/bin/talkplay.1" | tr '\n' ' ')" = "0 64 65 66 71 73 74 141 " ]
}

@test "manual: mandoc has nothing to say about any page" {
    local missing=
    cp "$ROOT"/bin/*.1 .
    run mandoc -Tlint ./*.1
    # Pages of the system may not be installed, and those of stages are beside each other.
    grep -vE 'referenced manual not found|outdated mandoc.db' <<<"$output" >said || true
    cat said
    [ ! -s said ]
    # Every page referred to is a stage's, or belongs to the system.
    sed -nE 's/^\.(It )?Xr ([a-z0-9-]+) 1.*/\2/p' ./*.1 | sort -u >names
    while read -r name; do
        [ -e "$name.1" ] || [[ " cat jq parallel gzip gnuplot sh awk make curl mpirun " == *" $name "* ]] || missing+=" $name"
    done <names
    echo "no page for:$missing"
    [ -z "$missing" ]
}
