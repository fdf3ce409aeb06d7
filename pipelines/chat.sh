#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# chat.sh - talk to a trained model: it answers with a track and words.
#
#   pipelines/chat.sh [--beams N] [--free] [--seed N] [RUN]
#
# RUN is the folder of a run (build/runs/cpcd) with tracks.mp, items.mp, model/ and clusters.json. A turn is the pipeline
#   json2mp | dialog-render --prompts --last | tokenize | gen --beams | match
# over the conversation so far, in which gen is one process from the first turn to the last: what was played or rejected is in it and is not proposed again. With --free the model
# decides whether to play something. Lines come from the terminal or from a pipe; /help lists the commands.
# The same lines and seed give the same conversation.
set -eu -o pipefail
export LC_ALL=C.UTF-8
unset OPENBLAS_CORETYPE
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}

. "$(dirname "$0")/path.sh"

usage() {
    echo "usage: chat.sh [--beams N] [--free] [--seed N] [RUN]" >&2
    exit 64
}
beams=64 seed=1 free=()
while [ $# -gt 0 ]; do
    case $1 in
    --free) free=(--free) && shift ;;
    --beams | --seed)
        if [ $# -lt 2 ] || [[ ! $2 =~ ^[1-9][0-9]{0,5}$ ]]; then usage; fi
        if [ "$1" = --beams ]; then beams=$2; else seed=$2; fi
        shift 2
        ;;
    -*) usage ;;
    *) break ;;
    esac
done
[ $# -le 1 ] || usage
run=${1:-$here/../build/runs/cpcd}
for f in tracks.mp items.mp clusters.json model/config.json model/tokenizer.json; do
    if [ ! -e "$run/$f" ]; then
        echo "chat.sh: $run/$f: not there; a run makes it (make demo)" >&2
        exit 66
    fi
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT

# ---- how it looks ----------------------------------------------------------------------------------
bold='' plain='' width=0
if [ -t 1 ]; then
    width=$(tput cols 2>/dev/null || echo 80)
    bold=$(tput bold 2>/dev/null || true) plain=$(tput sgr0 2>/dev/null || true)
fi
# say: stdin on the screen, folded to the terminal, without what a terminal would obey.
say() {
    tr -d '\000-\010\013-\037\177' | if [ "$width" -gt 0 ]; then fold -s -w "$((width > 20 ? width : 20))"; else cat; fi
}

help() {
    say <<'TEXT'
Say what you would like to hear; say "not that one" to get another track.
  /why   the music tokens of the last track and what they stand for
  /new   begin a new conversation
  /help  this
  /quit  end (or Ctrl-D)
TEXT
}

# ---- the run ---------------------------------------------------------------------------------------
modalities=$(jq -r 'keys_unsorted | join(",")' "$run/clusters.json")
slots=$(jq length "$run/clusters.json")
# Behind the prompt there must be room for a track and some words.
context=$(jq --argjson slots "$slots" '.max_position_embeddings - $slots - 2 - 48' "$run/model/config.json")
if [ "$context" -lt 64 ]; then
    echo "chat.sh: $run/model: a context of $context tokens is too short to talk" >&2
    exit 65
fi
mp2json "$run/tracks.mp" |
    jq -r '[.track_id, .title // "?", (.artist | if type == "array" then join(", ") else . // "?" end)] | @tsv' >"$tmp/tracks"
mp2json "$run/items.mp" | jq -c '{track_id, codes, imputed}' >"$tmp/items"

# ---- the conversation ------------------------------------------------------------------------------
begin() {
    echo '{"dialog_id": "chat", "turns": []}' >"$tmp/dialog"
    last=''
}
# add ROLE CONTENT
add() {
    jq -c --arg role "$1" --arg content "$2" '.turns += [{role: $role, content: $content}]' "$tmp/dialog" >"$tmp/next"
    mv "$tmp/next" "$tmp/dialog"
}

# answer: the next turn, after what the user said; words and track go to the screen and into the conversation.
answer() {
    local track words status=0
    json2mp "$tmp/dialog" 2>>"$tmp/log" |
        dialog-render --prompts --last --items "$run/items.mp" 2>>"$tmp/log" |
        tokenize --tokenizer "$run/model" --context "$context" -o "$tmp/prompt" 2>>"$tmp/log" || return
    cat "$tmp/prompt" 2>>"$tmp/log" 1>&"$ask" || true # if nobody listens, nobody answers either
    mp2json --limit 1 <&"$hear" 2>>"$tmp/log" | json2mp -o "$tmp/generation" 2>>"$tmp/log" || return
    if [ ! -s "$tmp/generation" ]; then
        wait "$gen" || status=$?
        return "$((status > 0 ? status : 1))"
    fi
    match --items "$run/items.mp" --top 1 --seed "$seed" -o "$tmp/ranking" "$tmp/generation" 2>>"$tmp/log" || return
    track=$(mp2json "$tmp/ranking" | jq -r '.tracks[0].track_id // ""')
    words=$(mp2json "$tmp/generation" | jq -r '.response // "" | gsub("^\\s+|\\s+$"; "")')
    if [ -n "$track" ]; then
        last=$track
        add music "$track"
        awk -F '\t' -v t="$track" -v b="$bold" -v p="$plain" '$1 == t {print b $2 p " - " $3; exit}' "$tmp/tracks" |
            if [ "$width" -gt 0 ]; then fold -s -w "$((width > 20 ? width : 20))"; else cat; fi
    fi
    if [ -n "$words" ]; then
        add assistant "$words"
        printf '%s\n' "$words" | say
    elif [ -z "$track" ]; then
        add assistant "..."
        echo "(nothing comes to mind)"
    fi
}

why() {
    if [ -z "$last" ]; then
        echo "(nothing was played yet)"
        return
    fi
    jq -r --arg t "$last" --slurpfile c "$run/clusters.json" '
        select(.track_id == $t) | (.imputed // []) as $imputed | .codes | to_entries[]
        | .key as $m | ($c[0][$m][.value | tostring] // {}) as $k
        | def list($name; $x): if ($x | length) > 0 then "\n    \($name): " + ($x | join(", ")) else "" end;
          "<|\($m)-\(.value)|>  \($k.count // 0) tracks"
          + (if ($imputed | index($m)) then " (guessed from similar tracks)" else "" end)
          + list("tags"; $k.tags // []) + list("artists"; $k.artists // [])
          + list("nearest"; [$k.tracks // [] | .[] | "\(.title) (\(.artist))"])' "$tmp/items" | say
}

# next_line: the next line into $line; false at the end. A pipe's lines are shown, so that a transcript reads well.
next_line() {
    if [ -t 0 ]; then
        read -e -r -p "> " line
    else
        read -r line || [ -n "$line" ] || return 1
        printf '> %s\n' "$line" | say
    fi
}

begin
: >"$tmp/log"
coproc {
    exec gen --model "$run/model" --modality "$modalities" --beams "$beams" --max-tokens 48 --seed "$seed" \
        "${free[@]}" --interactive 2>>"$tmp/log"
}
gen=$COPROC_PID
# Names of our own: those of bash are gone as soon as the process is. It ends when this shell does.
exec {ask}>&"${COPROC[1]}" {hear}<&"${COPROC[0]}"
echo "What would you like to hear? (/help for help)" | say
while next_line; do
    [[ $line =~ [^[:space:]] ]] || continue
    case $line in
    /help) help ;;
    /quit | /exit) break ;;
    /why) why ;;
    /new) begin && echo "(a new conversation)" ;;
    /*) echo "(no such command; /help lists them)" ;;
    *)
        # What is not UTF-8 cannot go into JSON.
        add user "$(printf '%s' "$line" | iconv -c -f UTF-8 -t UTF-8 || true)"
        status=0
        answer || status=$?
        if [ "$status" -ne 0 ]; then
            echo "chat.sh: a stage failed:" >&2
            tail -n 3 "$tmp/log" >&2
            exit "$status"
        fi
        ;;
    esac
done
if [ -t 0 ]; then echo; fi
