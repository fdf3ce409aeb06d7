# SPDX-License-Identifier: Apache-2.0
# frames - how people word requests and answers: sentences of training conversations and of the music
# requests, with slots where names stood. Included by cpcd.sh.
#
# A frame is {role, intent, text, count, source}. Slots: {artist} {artist2} {track} {album} {tag} {year} {playlist}.
# A name is what a track of the same conversation is called, or what its recommender typed; what stays of a
# sentence must be common words (in 3 conversations at least), so that no other name remains in it.
# Cost: some thousand sentences times the names of a conversation, 3 seconds. Memory: the sentences.
include "cpcd";

def squeeze: gsub("\\s+"; " ") | sub("^ "; "") | sub(" $"; "");

# The words of a text, without its slots, in lower case.
def words: gsub("\\{[a-z0-9]*\\}"; " ") | ascii_downcase | [scan("[^\\s.,;:!?()\"“”…/*~-]+")];

# "Song (Live) - Remastered feat. X" without what people leave out.
def bare: gsub("\\([^)]*\\)|\\[[^]]*\\]"; "") | sub(" - .*$"; "") | sub(" (feat|ft)[. ].*$"; ""; "i") | squeeze;

# Puts $slot for the first $name (lower case) that stands in the text as whole words. Splitting a string
# gives offsets in characters where jq 1.6's index gives bytes.
def put_slot($name; $slot):
  . as $text
  | (($text | ascii_downcase) / $name) as $parts
  | if ($parts | length) < 2 then $text
    else ($parts[0] | length) as $at | ($at + ($name | length)) as $to
    | if ($at > 0 and ($text[$at - 1:$at] | test("[[:alnum:]{]"))) or ($text[$to:$to + 1] | test("[[:alnum:]}]"))
      then $text
      else $text[:$at] + $slot + $text[$to:] end
    end;

# The names of a conversation: [lower-case name, slot], the longest first.
def names:
  ([.tracks[] | .track_artists[] | splits(" & |, | feat[.] | ft[.] "; "i") | select(length > 2)
    | ascii_downcase | [., "{artist}"], [sub("^the "; ""), "{artist}"]]
   + [.tracks[].track_release_titles | bare | select(length > 7) | ascii_downcase | [., "{album}"]]
   + [.tracks[].track_titles | bare | select(length > 7 or test(" ")) | select(length > 4)
      | ascii_downcase | [., "{track}"]]
   + [.turns[].search_queries[] | tag | select(length > 3) | [., "{tag}"]])
  | map(select(.[0] | length > 2))
  | group_by(.[0]) | map(.[0]) | sort_by([-(.[0] | length), .[0]]);

def genre:
  "\\b((alternative|classic|soft|hard|heavy|progressive|punk|indie|new|old school|southern)[ -])?"
  + "(rock( and | & | n | ?'n'? ?)roll|rock|pop|jazz|hip[ -]?hop|rap|r ?(&|n|and) ?b|country|reggae|metal|punk|soul"
  + "|blues|classical|electronic|edm|techno|house|folk|indie|gospel"
  + "|disco|funk|afro ?beats?|k-?pop|christmas|lo-?fi|ambient"
  + "|instrumental|motown|oldies|grunge|salsa|latin|opera|worship|dance)\\b";

def slots($names):
  ascii_downcase as $low
  | reduce ($names[] | .[0] as $n | select($low | contains($n))) as $n (.; put_slot($n[0]; $n[1]))
  | gsub("\\b(19|20)?[0-9]0[’']?s\\b"; "{year}") | gsub(genre; "{tag}"; "i")
  # A second artist is a slot of its own; of other slots one is enough.
  | if test("\\{artist\\}.*\\{artist\\}") then
      capture("(?<a>.*?\\{artist\\}.*?)\\{artist\\}(?<b>.*)") | .a + "{artist2}" + .b
    else . end;

def sentences: gsub("\\s+"; " ") | [scan("[^.!?…]+[.!?…)]*")] | map(squeeze | select(test("[[:alpha:]]")));

# Each slot once at most (artist and artist2): more names than that belong to one conversation only.
def once: [scan("\\{[a-z0-9]+\\}")] | length == (unique | length);

# Wording that fits one conversation and not any other.
def particular:
  test("\\b(him|her|his|she|he|they|their|female|male|girl|gym|driving|beat|beats|mood|evaluat\\w*|rate\\w*"
       + "|children|kids|wizard|newer|classics|sad|[0-9]+)\\b|pace|tempo|upbeat|lyric|new wave|weekend"; "i");

def user_intent:
  if test("don'?t|didn'?t|not |hate|skip|remove|dislike|^no\\b"; "i") then
    select(test("like|fan|hate|skip|remove|work|feel|care|no,? show|any \\{"; "i"))
    | select(test("perfect|great|good|bad|prefer|preference|genre|close|other|mind|seeing"; "i") | not)
    | if test("\\{(track|album|tag|year)\\}") or particular then empty
      elif test("\\{artist2\\}") then empty
      elif test("\\{artist\\}") then "reject_artist" else "reject" end
  elif test("\\b(more|something|songs?|music|artists?|tracks?|bands?|anything|sounds?) like \\{"
            + "|lines of \\{|similar|style|vein"; "i")
       and test("\\{artist\\}") then
    if test("\\{(track|album|tag|year|artist2)\\}") then empty else "like" end
  elif test("\\{track\\}") then
    select(test("playlist \\{|\\{playlist|^(play|add)"; "i")
           or (test("add|hear|\\bplay\\b|by \\{artist|song|love \\{track|^\\W*\\{track\\}\\W*$|how about"; "i")
                                     and (test("playlist|mellow|like|celebrate"; "i") | not)))
    | "track"
  elif test("\\{album\\}") then "album"
  elif test("\\{artist\\}") then "artist"
  elif test("\\{tag\\}") then "tag"
  elif test("\\{year\\}") then "year"
  elif test("\\{playlist\\}") or particular then empty
  elif test("^(hi+|hello|hey|greetings|good (morning|evening|day))\\b"; "i") then
    select(words | length <= 4) | "hello"
  elif test("more|another|similar|else|other|keep|continue|few"; "i") then "more"
  elif test("would (like|love)|want|[?]|'d (like|love)|listen|know"; "i") then empty
  elif test("love|great|good|nice|perfect|awesome|thank|cool|wow|excellent|amazing|like|exactly|lovely|wonderful|fun";
            "i") then "praise"
  elif test("^(ok|okay|sure|yes|yeah|yup|alright|fine)\\b"; "i") then "ok"
  else empty end;

def assistant_intent:
  if particular or test("\\{(track|album|year|playlist|artist2)\\}|sorry|unfortunately|couldn|not |n't") then empty
  elif test("\\{artist\\}") then select(test("\\{tag\\}") | not) | "artist"
  elif test("\\{tag\\}") then "tag"
  elif test("[?]$") and test("what|which|do you|any|would you|prefer"; "i") then "ask"
  elif test("here|got it|sure|course|enjoy|hope|added|how about|check|let|these|absolutely|great"
            + "|definitely|will do|okay"; "i") then "any"
  else empty end;

# Sentences of the training conversations: {id, role, text}.
def spoken($fold):
  conversations($fold) | select(.role == "train")
  | .id as $id | names as $names
  | .turns[] | ["user", .user_query], ["assistant", .system_response]
  | .[0] as $role
  | .[1] | slots($names) | sentences[] | {id: $id, role: $role, text: .};

# Frames of them: common words only.
def spoken_frames($fold):
  [spoken($fold)] as $all
  | ([$all[] | {id, word: (.text | words | unique | .[])}] | group_by(.word)
     | keyed(.[0].word; [.[].id] | unique | length)) as $df
  | $all[]
  | select(.text | words | length <= 16 and all($df[.] >= 3))
  | select(.text | once and (test("[^ -~’]") | not))
  | .role as $role
  # A greeting in front of a request is a frame of its own.
  | .text | if test("\\{") then sub("^(hi+|hello|hey|greetings)( there| buddy)?[,.! ]+"; ""; "i") else . end
  | (if $role == "user" then user_intent else (select(words | length <= 10) | assistant_intent) end) as $intent
  | {role: $role, intent: $intent, text: ., source: "cpcd"};

# Frames of the music requests ($texts: the parsed files). A service is nothing that a track could satisfy.
def request_slot:
  {artist: "{artist}", track: "{track}", entity_name: "{track}", album: "{album}", genre: "{tag}", year: "{year}",
   playlist: "{playlist}", service: "{service}", playlist_owner: "my"}[.entity // ""] // .text;
def request_frames($files):
  [$files[] | to_entries[].value[].data | map(request_slot) | add
   | sub(" (on|using|via|in|with|from|through|off|over) \\{service\\}"; "")
   | sub("^(use|open|go to|launch) \\{service\\}"; "") | squeeze
   | select(test("\\{service\\}|�") | not)
   | select(test("\\{(artist|track|album|tag|year|playlist)\\}"))]
  | (map(words | unique | .[]) | group_by(.) | keyed(.[0]; length)) as $df
  | .[]
  | select(words | length <= 14 and all($df[.] >= 3))
  | select(test("[^ -~]") | not)
  | select(once)
  | {role: "user", intent: user_intent, text: ., source: "requests"};

# Names of playlists, to fill {playlist}.
def request_fillers($files):
  $files[] | to_entries[].value[].data[] | select(.entity == "playlist") | .text
  | select(test("^[A-Za-z&' ]{3,24}$"))
  | {role: "filler", intent: "playlist", text: ., source: "requests"};

# Distinct frames with their counts, in a fixed order. The weight makes three of four requests sound like
# the conversations, which are longer and less of one kind than the commands of the music requests.
def frames($fold; $files):
  [spoken_frames($fold), request_frames($files), request_fillers($files)]
  | group_by([.role, .intent, .text]) | .[] | .[0] + {count: length}
  | {role, intent, text, count, weight: (if .source == "cpcd" then 8 * .count else .count end), source};
