# SPDX-License-Identifier: Apache-2.0
# curves.gp - loss by step (the paper's Figure 2) on stdout, as form ("svg" or "png") says. Reads train.tsv and valid.tsv:
# step, dialogue loss, playlist loss, "?" where there is none. Thin: each training step. Thick with dots: validation.
if (form eq "svg") {
    set terminal svg size 760,400 dynamic font "sans-serif,14" name "curves"
} else {
    set terminal pngcairo size 1520,800 font "sans-serif,24" linewidth 2 background "white"
}
set datafile separator "\t"
set datafile missing "?"
set border 3 linecolor rgb "black" linewidth 1
set tics nomirror out
set grid ytics linetype 1 linecolor rgb "#b0b0b0" linewidth 0.4
set xlabel "training step"
set ylabel "loss (nats a token)" offset 1,0
set xrange [0:*]
set yrange [0:*]
set key top right reverse Left samplen 2.5 spacing 1.3
# A curve that the run does not have (no playlists, no validation) is not in the key, either.
has(file, column) = int(system(sprintf("cut -f%d %s | grep -c '[0-9]' || true", column, file))) > 0
curve(file, column, how) = has(file, column) ? sprintf(", '%s' using 1:%d with %s", file, column, how) : ""
lines = curve("train.tsv", 2, "lines linewidth 0.7 linecolor rgb '#9cc3ee' title 'dialogues, training'") \
      . curve("train.tsv", 3, "lines linewidth 0.7 linecolor rgb '#f0bd8a' title 'playlists, training'") \
      . curve("valid.tsv", 2, "linespoints linewidth 2.2 pointtype 7 pointsize 0.5 linecolor rgb '#2f7ed8' title 'dialogues, validation'") \
      . curve("valid.tsv", 3, "linespoints linewidth 2.2 pointtype 7 pointsize 0.5 linecolor rgb '#d9730d' title 'playlists, validation'")
if (strlen(lines) > 0) {
    eval "plot " . lines[3:*]
} else {
    set yrange [0:1]
    set xrange [0:1]
    set label "no training log" at graph 0.5, graph 0.5 center
    plot NaN notitle
}
