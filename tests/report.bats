#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# pipelines/report.sh over a run of two test conversations that is written down here; its figures come from score.
load helper

# run: the artifacts that a report reads.
a_run() {
    mkdir -p run
    mk run/tracks.mp <<'JSON'
{"track_id":"-a","title":"Étude <1>","artist":["X","Y"],"album":""}
{"track_id":"b","title":"Song & dance","artist":"Z","album":""}
{"track_id":"c","title":"Cold","artist":"Z","album":"","cold":true}
JSON
    mk run/playlists.mp <<'JSON'
{"playlist_id":"p1","tracks":["-a","b"],"split":"train"}
{"playlist_id":"p2","tracks":["c"],"split":"valid"}
JSON
    mk run/dialogs.mp <<'JSON'
{"dialog_id":"t1","split":"train","turns":[{"role":"user","content":"Play the song"},{"role":"music","content":"b"},{"role":"assistant","content":"Here it is."}]}
{"dialog_id":"x","split":"test","turns":[{"role":"user","content":"an etude <script>"},{"role":"music","content":"-a"},{"role":"music","content":"c"},{"role":"assistant","content":"yes"},{"role":"user","content":"more, more!"},{"role":"music","content":"b"}]}
{"dialog_id":"y","split":"test","turns":[{"role":"user","content":"something cold"},{"role":"music","content":"c"}]}
JSON
    mk run/prompts.mp <<'JSON'
{"query_id":"x:1","turn":1,"relevant":["-a","c"],"history":[{"role":"user","content":"an etude <script>"}]}
{"query_id":"x:2","turn":2,"relevant":["b"],"history":[{"role":"user","content":"an etude <script>"},{"role":"music","content":"-a"},{"role":"assistant","content":"yes"},{"role":"user","content":"more, more!"}]}
{"query_id":"y:1","turn":1,"relevant":["c"],"history":[{"role":"user","content":"something cold"}]}
JSON
    mk run/items.mp <<'JSON'
{"track_id":"-a","codes":{"playlist":1,"semantic":2}}
{"track_id":"b","codes":{"playlist":1,"semantic":3}}
JSON
    mk run/generation.paper.mp <<'JSON'
{"query_id":"x:1","turn":1,"relevant":["-a","c"],"candidates":[{"codes":{"playlist":1,"semantic":3},"logprob":-1.5}],"response":"try <b>this</b>","response_ids":[1]}
{"query_id":"x:2","turn":2,"relevant":["b"],"candidates":[{"codes":{"playlist":1,"semantic":3},"logprob":-1.5}],"response":"more it is","response_ids":[1]}
{"query_id":"y:1","turn":1,"relevant":["c"],"candidates":[{"codes":{"playlist":0,"semantic":2},"logprob":-1.5}],"response":"","response_ids":[]}
JSON
    for s in paper search; do
        mk "run/ranking.$s.mp" <<'JSON'
{"query_id":"x:1","turn":1,"relevant":["-a","c"],"tracks":[{"track_id":"b","score":2},{"track_id":"-a","score":1}]}
{"query_id":"x:2","turn":2,"relevant":["b"],"tracks":[{"track_id":"b","score":2},{"track_id":"c","score":1}]}
{"query_id":"y:1","turn":1,"relevant":["c"],"tracks":[{"track_id":"b","score":2}]}
JSON
    done
    mk run/log.mp <<'JSON'
{"step":1,"split":"train","loss":5.0,"loss_dialog":5.0,"tokens":10}
{"step":2,"split":"train","loss":4.0,"loss_dialog":4.0,"tokens":20}
{"step":2,"split":"valid","loss":4.25,"loss_dialog":4.25,"tokens":20}
JSON
    echo '{"tracks":3,"tuples":2,"alone":1,"largest_tuple":2,"modalities":{"playlist":{"tracks":3,"imputed":1,"codes":4,"used":2,"largest":2,"perplexity":1.9}}}' |
        mk run/codebook.mp
    bm25 --tracks run/tracks.mp run/prompts.mp -o run/ranking.bm25.mp
    score --truth run/prompts.mp --tracks run/tracks.mp --items run/items.mp --ranking search=run/ranking.search.mp \
        --ranking paper=run/ranking.paper.mp --ranking bm25=run/ranking.bm25.mp \
        --generation unmasked=run/generation.paper.mp -o run/metric.mp
}

@test "report: tables, figures and the page are there, with the run's own numbers" {
    a_run
    "$ROOT/pipelines/report.sh" run
    cd run/report
    [ "$(ls -A)" = "$(printf '%s\n' curves.png curves.svg report.html report.json report.txt turns.png turns.svg)" ]
    # Reciprocal ranks 1/2, 1, 0; one conversation in training, two in the test set.
    jq -e '.results[0] | .subset == "all" and .n == 3 and (.rows | map(.system)) == ["search", "paper", "bm25"]
        and .rows[0].figures[0].value == 0.5' report.json
    jq -e '.results | map([.subset, .n]) == [["all", 3], ["warm", 2], ["cold", 2]]' report.json
    jq -e '.data.conversations | map(select(.split == "test"))[0] | .conversations == 2 and .turns == 3 and .music == 4
        and .distinct == 3 and .warm == 2 and .cold == 1 and .words == 7' report.json
    jq -e '.data.catalogue == {tracks: 3, cold: 1, warm: 2} and .data.playlists.train == 1' report.json
    jq -e '.matches[0].kinds | map([.kind, .count]) == [["exact", 2], ["partial", 1], ["malformed", 0]]' report.json
    jq -e '.turns | map(.query_id) == ["x:2", "x:1"]' report.json
    grep -q '^  TalkPlay search    .500 ' report.txt
    grep -q 'Song & dance - Z' report.txt
    grep -q '<start_of_music> <|playlist-1|> <|semantic-3|> <end_of_music>' report.txt
    grep -q '^playlist  .* 4  .* 2  .* 1.9' report.txt
    [ "$(head -c 4 turns.png | tail -c 3)" = PNG ]
}

@test "report: the text keeps to 80 columns" {
    a_run
    "$ROOT/pipelines/report.sh" run
    [ "$(wc -l <run/report/report.txt)" -gt 40 ]
    LC_ALL=C.UTF-8 awk 'length > 80 { print; bad = 1 } END { exit bad }' run/report/report.txt
}

@test "report: the page needs no other file and shows what users type as text" {
    a_run
    "$ROOT/pipelines/report.sh" run
    cd run/report
    # References inside the page begin with #.
    run -1 grep -niE "(src|href) *= *[\"']?[^#\"']|url\([\"']?[^#\"']|@import|<script|<link|<b>this" report.html
    grep -q 'an etude &lt;script&gt;' report.html
    [ "$(grep -c '<svg' report.html)" -eq 2 ]
    [ "$(tail -c 8 report.html)" = "</html>" ]
    for tag in table thead tbody tr th td div p figure svg style html; do
        [ "$(grep -oE "<${tag}[ >]" report.html | wc -l)" -eq "$(grep -o "</$tag>" report.html | wc -l)" ]
    done
}

@test "report: same bytes twice, and nothing of the clock or the folder in them" {
    a_run
    "$ROOT/pipelines/report.sh" run
    mkdir -p other && cp -r run other/elsewhere && rm -r other/elsewhere/report
    TZ=Asia/Tokyo "$ROOT/pipelines/report.sh" other/elsewhere
    diff -r run/report other/elsewhere/report
    run -1 grep -rlF -e "$BATS_TEST_TMPDIR" -e elsewhere run/report other/elsewhere/report
}

@test "report: a run without training curves, codebook or samples still has a report" {
    a_run
    rm run/codebook.mp
    : >run/log.mp
    score --truth run/prompts.mp --ranking search=run/ranking.search.mp -o run/metric.mp
    "$ROOT/pipelines/report.sh" run
    jq -e '.matches == [] and .codebook == null and .training == null and (.results | length) == 1' run/report/report.json
    [ -s run/report/curves.png ] && [ -s run/report/report.html ]
}

@test "report: a missing artifact is named, a damaged one ends it, and nothing is left behind" {
    a_run
    run -64 --separate-stderr "$ROOT/pipelines/report.sh"
    rm run/metric.mp
    run -66 --separate-stderr "$ROOT/pipelines/report.sh" run
    [[ $stderr == *"run/metric.mp: not there" ]]
    [ ! -e run/report ]
    head -c 100 run/ranking.paper.mp >run/metric.mp
    run -65 --separate-stderr "$ROOT/pipelines/report.sh" run
    [[ $stderr == *"metric.mp: record "* ]]
    [ -z "$(ls -A run/report)" ]
}
