# SPDX-License-Identifier: Apache-2.0
# report.awk - sums over the conversations of split s, as one JSON object; used by report.sh, which says what a line is and what
# the other variables count. A word is what blanks part.
$1 != s { next }
$3 == "" { conversations++; counted = 0; next }
$3 == "user" { turns++; request_words += split($4, w, " ") }
$3 == "assistant" { responses++; response_words += split($4, w, " ") }
$3 == "music" { music++; if ($2 != counted) { music_turns++; counted = $2 } }
END {
    if (conversations == 0)
        exit
    printf "{\"kind\": \"%s\", \"split\": \"%s\", \"conversations\": %d, \"turns\": %d, ", kind, s, conversations, turns
    printf "\"music_turns\": %d, \"music\": %d, \"request_words\": %d, ", music_turns, music, request_words
    printf "\"responses\": %d, \"response_words\": %d, ", responses, response_words
    printf "\"distinct\": %d, \"cold\": %d, \"warm\": %d, \"words\": %d}\n", distinct, cold, known - cold, words
}
