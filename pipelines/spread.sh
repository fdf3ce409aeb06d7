#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# spread.sh [-q] [-j JOBS] [-H HOSTS] [-o FOLDER]... KEEP COMMAND... - runs a filter over many files at once, here or elsewhere.
#
# For every file NAME of the folder KEEP/in that has no KEEP/done/NAME yet, COMMAND reads KEEP/in/NAME and writes
# KEEP/out/NAME. {} in a word of it stands for NAME, and its folder is KEEP: what it writes into KEEP/FOLDER/NAME comes along
# for each -o. What it says on stderr is in KEEP/log/NAME and, without -q, is passed on at the end. Interrupted, and called
# again, it runs what is not done; that KEEP belongs to the same input, COMMAND and files is the caller's affair (key.sh). Ends
# with the status of the first that fails.
#
# JOBS run at a time (1), on this machine or, with HOSTS, on each of them: user@a,b (: is this one), reached by ssh without a
# password. The program, and the files and folders that COMMAND names by a path with a slash, travel there by rsync, results
# return, and nothing stays behind; libraries must be there. What a host does not finish, since it is lost, another does.
# Environment: PARALLEL_OPTS are more options for parallel; PARALLEL_SSH is how to reach a host.
set -eu -o pipefail
export LC_ALL=C
PARALLEL_SHELL=$(command -v bash) # whatever the login's shell is, here or there: words are quoted for bash
export PARALLEL_SHELL

usage() {
    echo "usage: spread.sh [-q] [-j JOBS] [-H HOSTS] [-o FOLDER]... KEEP COMMAND..." >&2
    exit 64
}
jobs=1 hosts='' quiet='' folders=(out log)
while getopts j:H:o:q option; do
    case $option in
        j) jobs=$OPTARG ;;
        H) hosts=$OPTARG ;;
        o) folders+=("$OPTARG") ;;
        q) quiet=1 ;;
        *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -ge 2 ] || usage
keep=$1
shift

# What COMMAND reads besides, under names of its own in KEEP/with: so it is called alike wherever it runs.
rm -rf "$keep/with"
mkdir -p "$keep/in" "$keep/with" "$keep/done" "${folders[@]/#/$keep/}"
command=
n=0
for word; do
    path=
    if [ $n -eq 0 ]; then
        path=$(command -v -- "$word") || { echo "spread.sh: $word: not found" >&2; exit 127; }
    elif [[ $word == */* && $word != *{}* && -e $word ]]; then
        path=$word
    fi
    if [[ $path == */* ]]; then
        word=with/$n-$(basename "$path")
        ln -s "$(realpath "$path")" "$keep/$word"
    fi
    # {} is for parallel; all else is quoted once for the shell that it starts.
    if [[ $word == *{}* ]]; then command+="$word "; else command+=$(printf '%q ' "$word"); fi
    n=$((n + 1))
done
cd "$keep"
open=()
for file in in/*; do
    [ ! -e "$file" ] || [ -e "done/${file#in/}" ] || open+=("${file#in/}")
done
[ ${#open[@]} -gt 0 ] || exit 0

read -ra options <<<"${PARALLEL_OPTS:-}"
logins=() away='' # the folder to work in there, in the home folder
if [ -n "$hosts" ]; then
    # A host that is silent for half a minute is lost.
    export PARALLEL_SSH=${PARALLEL_SSH:-ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=10}
    for host in ${hosts//,/ }; do
        # shellcheck disable=SC2086 # PARALLEL_SSH is words
        if [ "$host" = : ]; then
            logins+=("$jobs/:")
        elif $PARALLEL_SSH "$host" : </dev/null; then
            logins+=("$jobs/$host")
            away=.talkplay-spread-$$-$RANDOM
        else
            echo "spread.sh: $host: not reached, goes without" >&2
        fi
    done
    [ ${#logins[@]} -gt 0 ] || { echo "spread.sh: no host was reached" >&2; exit 71; }
fi
if [ -n "$away" ]; then
    export PARALLEL_RSYNC_OPTS=-rLDR
    options+=(--sshlogin "$(IFS=,; echo "${logins[*]}")" --retries 3 --workdir "$away" --transferfile 'in/{}')
    while read -r -d '' file; do
        options+=(--basefile "$file")
    done < <(find -L with -type f -print0)
    for folder in "${folders[@]}" "done"; do
        options+=(--return "$folder/{}")
    done
fi
status=0
# mkdir is for hosts, where there are no such folders yet. (parallel's own --cleanup deletes them under the
# feet of others; so what a host has read it deletes itself.)
printf '%s\n' "${open[@]}" |
    parallel --will-cite --halt now,fail=1 --jobs "$jobs" ${options[@]+"${options[@]}"} \
        "mkdir -p ${folders[*]} done; ${command}<in/{} >out/{}.part 2>log/{} && mv out/{}.part out/{} && : >done/{} && {
            case \$PWD in */.talkplay-spread-*) rm in/{} ;; esac; }" || status=$?
for login in ${logins[@]+"${logins[@]}"}; do
    # shellcheck disable=SC2086
    [ "${login#*/}" = : ] || $PARALLEL_SSH "${login#*/}" rm -rf "$away" </dev/null 2>&1 | head -n 0 || true # it may be lost
done
for name in "${open[@]}"; do
    [ -n "$quiet" ] || [ ! -e "log/$name" ] || cat "log/$name" >&2
done
exit "$status"
