# SPDX-License-Identifier: Apache-2.0
# mpd_json.py SLICE... - what a data engineer would write: playlists of slices as lines of JSON, ids of tracks alone.
import json
import sys

for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as f:
        for p in json.load(f)["playlists"]:
            p["tracks"] = [t["track_uri"][14:] for t in p["tracks"]]
            print(json.dumps(p))
