# SPDX-License-Identifier: Apache-2.0
# turns.gp - MRR by turn (the paper's Figure 3) on stdout, as form ("svg" or "png") says. Reads turns.tsv: system, turn, value,
# ends of its 95 % interval, number of turns. Systems stand side by side at each turn, a line from end to end of the interval.
if (form eq "svg") {
    set terminal svg size 760,400 dynamic font "sans-serif,14" name "turns"
} else {
    set terminal pngcairo size 1520,800 font "sans-serif,24" linewidth 2 background "white"
}
set datafile separator "\t"
set border 3 linecolor rgb "black" linewidth 1
set tics nomirror out
set grid ytics linetype 1 linecolor rgb "#b0b0b0" linewidth 0.4
set xlabel "turn of the conversation, and how many were judged" offset 0,-1
set ylabel "MRR" offset 1,0
set bmargin 5
set yrange [0:*]
set key outside top center horizontal reverse Left samplen 1 width 2
systems = system("cut -f1 turns.tsv | awk '!seen[$0]++'")
n = words(systems)
last = int(system("awk -F '\\t' '$2 > m {m = $2} END {print m + 0}' turns.tsv"))
set xrange [0.5:(last > 0 ? last : 1) + 0.5]
set xtics scale 0
set xtics ("" 0)
do for [t = 1:last] {
    count = system(sprintf("awk -F '\\t' '$2 == %d {print $6; exit}' turns.tsv", t))
    if (count ne "") {
        set xtics add (sprintf("%d\n(%s)", t, count) t)
    }
}
name(s) = s eq "search" ? "TalkPlay search" : s eq "constrain" ? "TalkPlay exact" : s eq "paper" ? "TalkPlay paper" : s eq "bm25" ? "BM25" : s
colour(s) = s eq "search" ? "#2f7ed8" : s eq "constrain" ? "#1b4f8f" : s eq "paper" ? "#7fb2ea" : s eq "bm25" ? "#d9730d" : s eq "popularity" ? "#3c9d6c" : "#8c8c8c"
only(s) = sprintf("< awk -F '\\t' '$1 == \"%s\"' turns.tsv", s)
at(i) = (i - (n + 1) / 2.0) * 0.7 / n
if (n > 0) {
    plot for [i = 1:n] only(word(systems, i)) using ($2 + at(i)):4:(0):($5 - $4) with vectors nohead \
             linewidth 1.6 linecolor rgb colour(word(systems, i)) notitle, \
         for [i = 1:n] only(word(systems, i)) using ($2 + at(i)):3 with points \
             pointtype 7 pointsize 1.0 linecolor rgb colour(word(systems, i)) title name(word(systems, i))
} else {
    set yrange [0:1]
    set label "no turn was judged often enough" at graph 0.5, graph 0.5 center
    plot NaN notitle
}
