# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# tiny_model K [OPTION...]: model/ with a small random model whose tokenizer was trained on three sentences.
tiny_model() {
    local k=$1
    shift
    for s in "play some jazz please" "another song by the band" "here is a song you may like"; do
        echo "{\"example_id\":\"$s\",\"segments\":[{\"text\":\"$s\",\"kind\":\"text\",\"train\":true}]}"
    done | json2mp | bpe-train --vocab 290 -o tokenizer.json 2>/dev/null
    model-init --tokenizer tokenizer.json --clusters "$k" --hidden 32 --layers 2 --heads 4 --kv-heads 2 \
        --positions 96 --std 0.2 "$@" -o model 2>/dev/null
}

# prompts N FILE: N prompts with ids of a common beginning, of 4 … 40 tokens.
prompts() {
    jq -nc --argjson n "$1" 'range($n) | {query_id: "d\(. / 3 | floor):\(. % 3 + 1)", turn: (. % 3 + 1), relevant: ["t\(.)"],
        history: [{role: "user", content: "x"}], segments: [], ids: ([range(4 + . * 7 % 37)] | map(. * . * 31 % 256 + 1)),
        extra: 1}' | json2mp -o "$2"
}
