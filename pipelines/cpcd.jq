# SPDX-License-Identifier: Apache-2.0
# cpcd - conversations of CPCD (Chaganty et al., SIGIR 2023) as records; included by cpcd.sh.
#
# Every function reads the conversations of the older file and then the newer one from the inputs,
# each of them marked by role: "train", "valid", "test", or "title" where only the metadata of its
# tracks may be used (the real test conversations while a fold of the others plays the test).
# Memory: the catalogue (some 11,000 tracks); a conversation at a time otherwise. Cost: linear.

# A number in 0 … 2^31-2 from a string: multiplicative congruence modulo the prime 2^31-1. Products
# stay below 2^53, so that jq's numbers are exact.
def hash31($salt):
  reduce ($salt + . | explode[]) as $c (1; (. * 48271 + $c + 1) % 2147483647)
  | reduce range(4) as $i (.; (. * 48271 + 11) % 2147483647);

# What a conversation is for. The newer file is the test set. Of the others 5 % are validation by a
# hash of their id; fold is null or [i, n] with 1 <= i <= n. The sum that hash31 is differs between two salts by a
# constant: folds take other digits of it than validation, or one fold would have nearly all of that.
def role($fold):
  if .newer then (if $fold == null then "test" else "title" end)
  elif $fold != null and (.id | hash31("fold") / 20 | floor) % $fold[1] == $fold[0] - 1 then "test"
  elif (.id | hash31("valid")) % 20 == 0 then "valid"
  else "train" end;

# The conversations, with their role.
def conversations($fold):
  inputs
  | .newer = (input_filename | test("cpcd_v1"))
  | .role = role($fold);

# The first of each, in order. (In jq 1.6 `.[k] += x` on an object copies it; `=` does not.)
def distinct:
  to_entries | group_by(.value) | map(.[0]) | sort_by(.key) | map(.value);

def keyed(key; value): reduce .[] as $e ({}; setpath([$e | key]; $e | value));

# {of: {id: id of the first track with that title and those artists}, tracks: those that stay}.
def catalogue($fold):
  [conversations($fold).tracks | to_entries[]]
  | to_entries | group_by(.value.key)
  | map(.[0] | {at: .key, id: .value.key, track: .value.value})
  | group_by([.track.track_titles, .track.track_artists])
  | map(sort_by(.at))
  | {of: (map(.[0].id as $id | .[] | .first = $id) | keyed(.id; .first)),
     tracks: (map(.[0]) | sort_by(.at) | map({track_id: .id, title: .track.track_titles,
       artist: .track.track_artists, album: .track.track_release_titles}))};

# What a search box was given, as a tag: lower case, without quotes, single blanks.
def tag: ascii_downcase | gsub("[\"“”]"; "") | gsub("\\s+"; " ") | sub("^ "; "") | sub(" $"; "");

# What a conversation opens with, until something was liked.
def opening:
  (map(.liked_results != []) | index(true)) as $n
  | [.[:($n // 0) + 1][].user_query];

# Playlists of the training and validation conversations: the liked tracks, and what each query found.
# requests: what the user had said when they were looked for.
def playlists($fold; $of):
  conversations($fold)
  | select(.role == "train" or .role == "valid")
  | .id as $id | .role as $split
  | ([.turns[].liked_results[] | $of[.] // .] | distinct) as $liked
  | (if $liked == [] then empty
     else {playlist_id: "\($id)/liked", requests: (.turns | opening), tracks: $liked, split: $split} end),
    (.turns | to_entries[] | .key as $t | .value
     | .user_query as $request
     | [.search_queries, .search_results] | transpose | to_entries[]
     | .key as $q | .value[0] as $query
     | ([.value[1][]? | $of[.] // .] | distinct) as $found
     | select($found != [])
     | {playlist_id: "\($id)/\($t + 1).\($q + 1)", name: ($query // "" | tag), requests: [$request],
        tracks: $found, split: $split}
     | if .name == "" then del(.name) else . end);

# The catalogue, with what the training playlists (inputs) say of it: semantic tags, the most frequent
# first, and cold.
def tracks($tracks):
  ([inputs | select(.split == "train") | .name as $tag | .tracks[] | [., $tag]]
   | group_by(.[0])
   | keyed(.[0][0]; [.[][1] // empty] | group_by(.) | sort_by(-length, .[0]) | map(.[0]))) as $tags
  | $tracks[]
  | $tags[.track_id] as $seen
  | (if ($seen // []) == [] then . else .tags = $seen end)
  | .cold = ($seen == null);

# What was said and liked: the user, the tracks, the answer.
def dialogs($fold; $of):
  conversations($fold)
  | select(.role != "title")
  | {dialog_id: .id, split: .role,
     turns: [.turns[]
       | {role: "user", content: .user_query},
         ([.liked_results[] | $of[.] // .] | distinct | .[] | {role: "music", content: .}),
         (select(.system_response != "") | {role: "assistant", content: .system_response})]};
