# SPDX-License-Identifier: Apache-2.0
# report - the numbers of a run as one object, and that object as text and as a page; included by report.sh.

# ---- counting ------------------------------------------------------------------------------------

def playlist_counts:
  reduce inputs as $p ({playlists: 0, train: 0, tracks: 0};
    {playlists: (.playlists + 1), train: (.train + (if ($p.split // "train") == "train" then 1 else 0 end)),
     tracks: (.tracks + ($p.tracks | length))});

# ---- the object ------------------------------------------------------------------------------------

def systems: ["search", "constrain", "paper", "bm25", "popularity", "random"];
def shown: {search: "TalkPlay search", constrain: "TalkPlay exact", paper: "TalkPlay paper", bm25: "BM25", popularity: "popularity",
            random: "random"}[.] // .;
def ratio($a; $b): if $b > 0 then $a / $b else null end;

def report($metric; $counts; $playlists; $catalogue; $turns; $titles; $codebook; $log):
  ($metric | map(.system) | unique | map(select(test(" - ") | not))) as $there
  # Systems in our order, then any other that was scored.
  | (systems + ($there - systems) | map(select(. as $s | $metric | any(.system == $s and .metric == "mrr")))) as $order
  | ["", ".warm", ".cold"] as $subsets
  | def figure($s; $m): $metric | map(select(.system == $s and .metric == $m and .turn == null)) | .[0]
      | if . == null then null else {value, low, high, n, count} | with_entries(select(.value != null)) end;
  {
    data: {
      conversations: [$counts[]
        | . + {turns_each: ratio(.turns; .conversations), tracks_each: ratio(.music; .music_turns),
               words_request: ratio(.request_words; .turns), words_response: ratio(.response_words; .responses)}],
      playlists: ($playlists + {tracks_each: ratio($playlists.tracks; $playlists.playlists)}),
      catalogue: ($catalogue + {warm: ($catalogue.tracks - $catalogue.cold)})
    },
    results: [$subsets[] as $sub | {
      subset: ($sub | ltrimstr(".") | if . == "" then "all" else . end),
      rows: [$order[] as $s | {system: $s, shown: ($s | shown),
        figures: [("mrr", "hit_1", "hit_10", "hit_100") as $m | {metric: $m} + (figure($s; $m + $sub) // {})]}
        | select(.figures[0].n != null)]
    } | select(.rows != []) | .n = .rows[0].figures[0].n],
    differences: [$order[1:][] as $b | $order[0] as $a | {system: $a, versus: $b,
      shown: "\($a | shown) \u2212 \($b | shown)",
      figures: [("mrr", "hit_10", "hit_100") as $m | {metric: $m} +
        (figure("\($a) - \($b)"; $m)
         // (figure("\($b) - \($a)"; $m) | if . == null then {} else {value: -.value, low: -.high, high: -.low, n} end))]}
      | select(.figures[0].value != null)],
    by_turn: [$order[] as $s | {system: $s, shown: ($s | shown),
      turns: [$metric[] | select(.system == $s and .metric == "mrr" and .turn != null) | {turn, value, low, high, n}]}],
    matches: [$there[] as $s | $subsets[] as $sub
      | {system: $s, subset: ($sub | ltrimstr(".") | if . == "" then "all" else . end),
         kinds: [("exact", "partial", "malformed") as $k | {kind: $k} + (figure($s; "match_" + $k + $sub) // {})]}
      | select(.kinds[0].n != null)],
    turns: [$turns[] | . + {titles: ($titles // {})} | .best = (.query_id == $turns[0].query_id and ($turns | length) > 1)],
    codebook: $codebook,
    training: ([$log[] | select(.split == "valid")] | if . == [] then null else
      (min_by(.loss_dialog) | {step, loss_dialog, loss_playlist}) as $best
      | {steps: ([$log[].step] | max), best: $best, tokens: ([$log[].tokens // 0] | max)} end)
  };

# ---- words for both forms ---------------------------------------------------------------------------

def headings: {mrr: "MRR", hit_1: "Hit@1", hit_10: "Hit@10", hit_100: "Hit@100"};
# Four or five places: 0.1234 as ".123", -0.02 as "-.020", 1 as "1.00".
def f3:
  def digits($n): tostring | "000"[([length, $n] | min):$n] + .;
  if . == null then "-" else
  (if . < 0 then -. else . end) as $x | ($x * 1000 + 0.5 | floor) as $n
  | (if . < 0 and $n > 0 then "-" else "" end)
    + (if $n < 1000 then "." + ($n | digits(3))
       else ($x * 100 + 0.5 | floor) as $c | ($c / 100 | floor | tostring) + "." + ($c % 100 | digits(2)) end) end;
def f1: if . == null then "-" else (. * 10 + 0.5 | floor) as $n | "\($n / 10 | floor).\($n % 10)" end;
def percent: if . == null then "-" else . * 100 | f1 + " %" end;
# 10920 as "10,920".
def thousands:
  if . == null then "-" else tostring | . as $s | length as $n
  | [range(0; $n) | (if . > 0 and ($n - .) % 3 == 0 then "," else "" end) + $s[.:. + 1]] | add end;
def title($titles): . as $id | $titles[$id] | if . == null then $id else "\(.title) - \(.artist)" end;
def block: . // {} | ["playlist", "semantic", "metadata", "lyrics", "audio"] as $m | . as $c
  | "<start_of_music>" + ([$m[] | select($c[.] != null) | "<|\(.)-\($c[.])|>"] | join("")) + "<end_of_music>";

# The rows of Table 1: name, then one text a column.
def data_columns: .data.conversations | map("\(if .kind == "synth" then "simulated" else "human" end) \(.split)");
def data_rows:
  .data.conversations as $c |
  def row($name; f): [$name] + ($c | map(f));
  [row("conversations"; .conversations | thousands),
   row("turns"; .turns | thousands),
   row("turns a conversation"; .turns_each | f1),
   row("turns with tracks"; .music_turns | thousands),
   row("tracks a turn that has any"; .tracks_each | f1),
   row("distinct tracks"; .distinct | thousands),
   row("  warm (in a training playlist)"; .warm | thousands),
   row("  cold"; .cold | thousands),
   row("distinct words"; .words | thousands),
   row("words a request"; .words_request | f1),
   row("words an answer"; .words_response | f1)];
def data_sentence:
  .data | "Catalogue: \(.catalogue.tracks | thousands) tracks, \(.catalogue.warm | thousands) warm, "
  + "\(.catalogue.cold | thousands) cold. Playlists: \(.playlists.playlists | thousands), "
  + "\(.playlists.train | thousands) of them for training, \(.playlists.tracks_each | f1) tracks each.";
def codebook_sentence:
  .codebook | "\(.tracks | thousands) tracks have \(.tuples | thousands) different tuples of tokens; "
  + "\(.alone | thousands) tracks have theirs alone, and at most \(.largest_tuple | thousands) share one.";
def rank_words: if . == null then "no liked track among those ranked" else "first liked track at rank \(.)" end;

# ---- 80 columns ---------------------------------------------------------------------------------------

def left($n): . + (" " * ([$n - length, 0] | max) // "");
def right($n): (" " * ([$n - length, 0] | max) // "") + .;
# Lines of at most $n characters.
def wrap($n):
  reduce (split(" ") | map(select(. != ""))[]) as $w ([""];
    if (.[-1] | length) == 0 then .[-1] = $w
    elif (.[-1] | length) + 1 + ($w | length) <= $n then .[-1] += " " + $w
    else . + [$w] end);
def indent($first; $rest; $n): wrap($n - ($first | length)) | (.[0] |= $first + .) | (.[1:][] |= $rest + .) | .[];

def interval($between): if .value == null then "-" else "\(.value | f3) \(.low | f3)\($between)\(.high | f3)" end;

def text_data:
  data_columns as $columns
  | ((80 - 31) / ([($columns | length), 4] | max) | floor) as $width
  | "Table 1. The data", "",
    ("" | left(31)) + ($columns | map(split(" ")[0] | if . == "simulated" then "simul." else . end | right($width)) | join("")),
    ("" | left(31)) + ($columns | map(split(" ")[1] | right($width)) | join("")),
    (data_rows[] | (.[0] | left(31)) + (.[1:] | map(right($width)) | join(""))),
    "", (data_sentence | wrap(80)[]);

def rows_sentence: "TalkPlay paper is one sample of music tokens a turn, as the paper does it; TalkPlay search takes the "
  + "likeliest ones by beam search, and TalkPlay exact the likeliest tracks of the catalogue. Every system ranks the same catalogue.";

def text_results:
  "Table 2. Recommendations: value and 95 % interval", "",
  ("" | left(20)) + ([headings[]] | map(right(15)) | join("")),
  (.results[] | "\(.subset), \(.n | thousands) turns",
    (.rows[] | ("  " + .shown | left(20)) + ([.figures[] | interval("-") | right(15)] | join("")))),
  "", (rows_sentence | wrap(80)[]), "",
  (if .differences == [] then empty else
   "Differences, system by system on the same turns", "",
   ("" | left(19)) + (["MRR", "Hit@10", "Hit@100"] | map(right(20)) | join("")),
   (.differences[] | ("\(.system) - \(.versus)" | left(19)) + ([.figures[] | interval(" to ") | right(20)] | join(""))) end);

def text_matches:
  if .matches == [] then empty else
  "", "What the model says without masks (section 5.2 of the paper)", "",
  ("" | left(20)) + (["samples", "exact", "partial", "malformed"] | map(right(15)) | join("")),
  (.matches[] | ("  " + .subset | left(20)) + (.kinds[0].n | thousands | right(15))
    + ([.kinds[] | "\(.count | thousands) (\(.value | percent))" | right(15)] | join(""))) end;

def text_turn:
  . as $t
  | (if .best then "Table 3. A turn that went well (the first whose sampled track is liked, or nearest to it)"
     else "The first test turn, whatever came of it" end | wrap(80)[]),
    "", "  \(.query_id), turn \(.turn)",
    (.request | indent("  request   "; "            "; 80)),
    (.codes | block | gsub("><"; "> <") | indent("  tokens    "; "            "; 80)),
    (.paper.top | title($t.titles) | indent("  track     "; "            "; 80)),
    (.response | indent("  answer    "; "            "; 80)),
    ([.relevant[] | title($t.titles)] | join("; ") | indent("  liked     "; "            "; 80)),
    "  one sample: \(.paper.rank | rank_words); search: \(.search.rank | rank_words)";

def text_codebook:
  if .codebook == null then empty else
  "", "Use of the codebooks", "",
  ("" | left(12)) + (["codes", "used", "perplexity", "largest", "tracks", "imputed"] | map(right(11)) | join("")),
  (.codebook.modalities | to_entries[] | (.key | left(12)) + (.value
    | [(.codes | thousands), (.used | thousands), (.perplexity | f1), (.largest | thousands), (.tracks | thousands),
       (.imputed | thousands)] | map(right(11)) | join(""))),
  "", (codebook_sentence | wrap(80)[]) end;

def text:
  [text_data, "", text_results, text_matches, text_codebook, (.turns[] | "", text_turn)] | join("\n");

# ---- the page ----------------------------------------------------------------------------------------------

def cell($inner; $class): "<td" + (if $class == "" then "" else " class=\"\($class)\"" end) + ">" + $inner + "</td>";
def figure_cell($best):
  if .value == null then cell("\u2013"; "") else
    cell((.value | f3) + "<small>\(.low | f3) to \(.high | f3)</small>"; if $best then "best" else "" end) end;
def head($names): "<thead><tr>" + ($names | map("<th scope=col>\(.)</th>") | join("")) + "</tr></thead>";
def wide: "<div class=wide><table>" + . + "</table></div>";
def group($text; $columns): "<tr class=group><th scope=rowgroup colspan=\($columns)>\($text | @html)</th></tr>";

def html_data:
  "<h2>The data <small>Table 1 of the paper, for this run</small></h2>"
  + (head([""] + data_columns) + "<tbody>"
     + (data_rows | map("<tr><th scope=row>\(.[0] | @html)</th>" + (.[1:] | map(cell(. | @html; "")) | join("")) + "</tr>")
        | join("")) + "</tbody>" | wide)
  + "<p>\(data_sentence | @html)</p>";

def html_results:
  (.results | map(.n) | .[0]) as $n
  | "<h2>Recommendations <small>Table 2</small></h2>"
  + "<p>Each turn of a test conversation in which tracks were liked is one question; the small figures are 95 % intervals "
  + "(bootstrap over conversations). The best figure of a column is bold. \(rows_sentence)</p>"
  + (head([""] + [headings[]]) + "<tbody>"
     + (.results | map(. as $r
        | ([range(0; 4) as $i | $r.rows | map(.figures[$i].value // 0) | max]) as $max
        | group("\(.subset), \(.n | thousands) turns"; 5)
        + (.rows | map("<tr" + (if .shown | startswith("TalkPlay") then " class=ours" else "" end)
            + "><th scope=row>\(.shown | @html)</th>"
            + ([.figures | to_entries[] | .key as $i | .value | figure_cell(.value != null and .value == $max[$i] and .value > 0)]
               | join("")) + "</tr>") | join(""))) | join("")) + "</tbody>" | wide)
  + (if .differences == [] then "" else
     "<h3>Differences on the same turns</h3>"
     + (head(["", "MRR", "Hit@10", "Hit@100"]) + "<tbody>"
        + (.differences | map("<tr><th scope=row>\(.shown | @html)</th>" + ([.figures[] | figure_cell(false)] | join("")) + "</tr>")
           | join("")) + "</tbody>" | wide)
     + "<p>Where an interval leaves out 0, the difference is more than chance at 95 %.</p>" end);

def html_figure($svg; $caption): "<figure>\($svg)<figcaption>\($caption)</figcaption></figure>";

def html_matches:
  if .matches == [] then "" else
  "<h2>Without masks <small>match analysis, \u00a75.2</small></h2>"
  + "<p>One sample a turn, free to say anything: does it name a track that exists?</p>"
  + (head(["", "samples", "exact", "partial", "malformed"]) + "<tbody>"
     + (.matches | map("<tr><th scope=row>\(.subset)</th>" + cell(.kinds[0].n | thousands; "")
         + ([.kinds[] | cell("\(.count | thousands)<small>\(.value | percent)</small>"; "")] | join("")) + "</tr>") | join(""))
     + "</tbody>" | wide) end;

def html_codebook:
  if .codebook == null then "" else
  "<h2>Use of the codebooks</h2>"
  + (head(["", "codes", "used", "perplexity", "largest", "tracks", "imputed"]) + "<tbody>"
     + (.codebook.modalities | to_entries | map("<tr><th scope=row>\(.key | @html)</th>" + (.value
         | [(.codes | thousands), (.used | thousands), (.perplexity | f1), (.largest | thousands), (.tracks | thousands),
            (.imputed | thousands)] | map(cell(.; "")) | join("")) + "</tr>") | join("")) + "</tbody>" | wide)
  + "<p>\(codebook_sentence | @html) Perplexity is how many equally used codes would tell as much; "
  + "imputed codes are guesses for tracks without that modality.</p>" end;

def html_turn:
  . as $t
  | "<h3>" + (if .best then "A turn that went well: the first whose sampled track is liked, or nearest to it"
              else "The first test turn, whatever came of it" end) + "</h3><div class=talk>"
  + (.history[:-1] | map("<p class=old><b>\({user: "user", music: "track", assistant: "answer"}[.role] // .role)</b> "
      + ((if .role == "music" then .content | title($t.titles) else .content end) | @html) + "</p>") | join(""))
  + "<p><b>request</b> \(.request | @html)</p>"
  + "<p><b>tokens</b> <code>\(.codes | block | @html)</code></p>"
  + "<p><b>track</b> \(.paper.top | title($t.titles) | @html)</p>"
  + "<p><b>answer</b> \(.response | @html)</p></div>"
  + "<p>Liked in this turn: " + ([.relevant[] | title($t.titles) | @html] | join("; ")) + ".<br>"
  + "One sample: \(.paper.rank | rank_words). Search: \(.search.rank | rank_words).</p>";

def html($curves; $mrr; $css):
  "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<meta name=viewport content=\"width=device-width, initial-scale=1\">\n"
  + "<title>TalkPlay: report of a run</title>\n<style>\n\($css)</style>\n"
  + "<h1>What this run came to</h1>\n"
  + "<p>Tables and figures as in Doh, Choi, Nam, \u201cTalkPlay: Multimodal Music Recommendation with Large Language Models\u201d, "
  + "2025, from this run\u2019s artifacts alone. Its figures are not comparable with the paper\u2019s, whose data is another.</p>\n"
  + html_results + "\n"
  + "<h2>By turn <small>Figure 3</small></h2>\n"
  + html_figure($mrr; "MRR with 95 % intervals; in brackets how many turns were judged. Turns that fewer than five conversations reached are left out.") + "\n"
  + "<h2>Training <small>Figure 2</small></h2>\n"
  + html_figure($curves; "Loss of music tokens and answers. Thin: each training step; dots: validation."
      + (if .training == null or .training.best.loss_dialog == null then "" else
         " Lowest on validation dialogues: \(.training.best.loss_dialog | f3) at step \(.training.best.step | thousands)"
         + " of \(.training.steps | thousands)." end)) + "\n"
  + "<h2>Worked turns <small>Table 3</small></h2>\n" + ([.turns[] | html_turn] | join("\n")) + "\n"
  + html_matches + "\n" + html_codebook + "\n" + html_data + "\n</html>";
