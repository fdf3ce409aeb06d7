/* SPDX-License-Identifier: Apache-2.0 */
/* mpdlist - private to lib/music: what a playlist of the Million Playlist Dataset says. */
#ifndef MPDLIST_H
#define MPDLIST_H

#include "music/music.h"

/* An entry of a playlist. Strings that are missing are empty; of the URIs p is NULL where it is no string. */
struct mpd_entry {
    struct str id, title, artist, album, album_uri, artist_uri;
    bool titled;
    int64_t duration_ms; /* -1 where it is missing */
};

/* A playlist whose types are right. All zero is ready for mpdlist_get; strings live as long as the parsed JSON. */
struct mpd_list {
    char id[24];
    uint64_t pid;
    bool has_name, has_description, has_collaborative, has_modified, collaborative;
    struct str name, description;
    int64_t modified_at;
    int64_t followers, holdouts, samples, n_tracks, n_albums, n_artists; /* -1 where it is missing */
    struct mpd_entry *entry;
    size_t n, cap;
    uint32_t *slot; /* for counting; a power of two of them */
    size_t slots;
};
void mpdlist_free(struct mpd_list *l);
/* Everything that can be wrong with a playlist is found here: DATA. SYSTEM. */
enum status mpdlist_get(struct mpd_list *l, struct json root, struct err *err);
/* How many distinct album URIs, or artist URIs, the entries have. SYSTEM. */
enum status mpdlist_albums(uint64_t *n, struct mpd_list *l, struct err *err);
enum status mpdlist_artists(uint64_t *n, struct mpd_list *l, struct err *err);

#endif
