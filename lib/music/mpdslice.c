/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpdslice - playlists of a world as the text of a slice of the Million Playlist Dataset.
 *
 * The layout is the dataset's own, which Python's json.dump(..., indent=4) left: keys in its order, four blanks a
 * level, a blank behind each comma, everything beyond ASCII as \u escapes, collaborative a string. An entry is about
 * 500 bytes, most of which are the same in all.
 *
 * Time: some 0.3 µs an entry. Memory: the text.
 */
#include <string.h>

#include "mpdslice.h"

#define ENTRY_MAX ((size_t)1024 + 6 * 3 * WORLD_TEXT) /* bytes of an entry, or of a playlist without its entries */

/* Writers that know that there is room. */
static char *
put(char *p, const char *s, size_t n)
{
    memcpy(p, s, n);
    return p + n;
}

#define PUT(p, literal) put(p, literal, sizeof(literal) - 1)

static char *
put_number(char *p, uint64_t x)
{
    char digit[20];
    size_t n = 0;

    do
        digit[n++] = (char)('0' + x % 10);
    while ((x /= 10) > 0);
    while (n > 0)
        *p++ = digit[--n];
    return p;
}

static char *
put_u(char *p, uint32_t unit)
{
    static const char hex[] = "0123456789abcdef";

    p = PUT(p, "\\u");
    for (int shift = 12; shift >= 0; shift -= 4)
        *p++ = hex[unit >> shift & 15];
    return p;
}

/* The character at s, beyond ASCII: \u escapes, two of them above U+FFFF. *n is its bytes. */
static char *
put_beyond(char *p, const char *s, size_t *n)
{
    static const unsigned char mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c;

    *n = utf8_sequence(s, 4);
    c = (unsigned char)s[0] & mask[*n];
    for (size_t i = 1; i < *n; i++)
        c = c << 6 | ((unsigned char)s[i] & 0x3f);
    if (c < 0x10000)
        return put_u(p, c);
    c -= 0x10000;
    return put_u(put_u(p, 0xd800 + (c >> 10)), 0xdc00 + (c & 0x3ff));
}

/* A string of our own names, which have no control characters. A byte becomes six at most. */
static char *
put_quoted(char *p, const char *s, size_t n)
{
    size_t bytes;

    *p++ = '"';
    for (size_t i = 0; i < n; i += bytes) {
        bytes = 1;
        if ((unsigned char)s[i] >= 0x80)
            p = put_beyond(p, s + i, &bytes);
        else {
            if (s[i] == '"' || s[i] == '\\')
                *p++ = '\\';
            *p++ = s[i];
        }
    }
    *p++ = '"';
    return p;
}

static char *
put_uri(char *p, const struct world *w, enum world_kind kind, uint64_t i)
{
    world_id(p, w, kind, i);
    p[WORLD_ID] = '"';
    return p + WORLD_ID + 1;
}

#define AT_KEY "                    " /* of a key of an entry */
#define NEXT ", \n"

static char *
put_entry(char *p, const struct world *w, uint32_t track, size_t pos)
{
    char name[WORLD_TEXT];
    uint32_t artist = w->artist[track], album = world_album(w, track);

    p = put_number(PUT(p, "                {\n" AT_KEY "\"pos\": "), pos);
    p = PUT(p, NEXT AT_KEY "\"artist_name\": ");
    p = put_quoted(p, name, world_artist_name(name, w, artist));
    p = put_uri(PUT(p, NEXT AT_KEY "\"track_uri\": \"spotify:track:"), w, WORLD_TRACK, track);
    p = put_uri(PUT(p, NEXT AT_KEY "\"artist_uri\": \"spotify:artist:"), w, WORLD_ARTIST, artist);
    p = PUT(p, NEXT AT_KEY "\"track_name\": ");
    p = put_quoted(p, name, world_title(name, w, track));
    p = put_uri(PUT(p, NEXT AT_KEY "\"album_uri\": \"spotify:album:"), w, WORLD_ALBUM, (uint64_t)artist << 8 | album);
    p = put_number(PUT(p, NEXT AT_KEY "\"duration_ms\": "), world_duration_ms(w, track));
    p = PUT(p, NEXT AT_KEY "\"album_name\": ");
    p = put_quoted(p, name, world_album_name(name, w, artist, album));
    return PUT(p, "\n                }");
}

#undef AT_KEY
#define AT_KEY "            "

static char *
put_head(char *p, const struct world_list *l, uint64_t pid)
{
    p = put_quoted(PUT(p, "        {\n" AT_KEY "\"name\": "), l->name, l->n_name);
    if (l->n_description > 0)
        p = put_quoted(PUT(p, NEXT AT_KEY "\"description\": "), l->description, l->n_description);
    p = PUT(p, NEXT AT_KEY "\"collaborative\": ");
    p = l->collaborative ? PUT(p, "\"true\"") : PUT(p, "\"false\"");
    p = put_number(PUT(p, NEXT AT_KEY "\"pid\": "), pid);
    p = put_number(PUT(p, NEXT AT_KEY "\"modified_at\": "), (uint64_t)l->modified_at);
    p = put_number(PUT(p, NEXT AT_KEY "\"num_tracks\": "), l->n);
    p = put_number(PUT(p, NEXT AT_KEY "\"num_albums\": "), l->n_albums);
    p = put_number(PUT(p, NEXT AT_KEY "\"num_followers\": "), l->followers);
    return PUT(p, NEXT AT_KEY "\"tracks\": [");
}

static char *
put_tail(char *p, const struct world_list *l)
{
    p = put_number(PUT(p, "\n" AT_KEY "]" NEXT AT_KEY "\"num_edits\": "), l->edits);
    p = put_number(PUT(p, NEXT AT_KEY "\"duration_ms\": "), l->duration_ms);
    p = put_number(PUT(p, NEXT AT_KEY "\"num_artists\": "), l->n_artists);
    return PUT(p, "\n        }");
}

enum status
mpdslice_begin(struct buf *out, uint64_t first, uint64_t last, struct err *err)
{
    return buf_printf(out, err,
        "{\n    \"info\": {\n        \"generated_on\": \"2017-12-03 08:41:42.057563\", \n        \"slice\": "
        "\"%llu-%llu\""
        ", \n        \"version\": \"v1\"\n    }, \n    \"playlists\": [\n",
        (unsigned long long)first, (unsigned long long)last);
}

enum status
mpdslice_add(
    struct buf *out, const struct world *w, const struct world_list *l, uint64_t pid, bool is_first, struct err *err)
{
    char *p;

    if (buf_reserve(out, (l->n + 2) * ENTRY_MAX, err) != OK)
        return SYSTEM;
    p = out->p + out->n;
    if (!is_first)
        p = PUT(p, NEXT);
    p = put_head(p, l, pid);
    for (size_t i = 0; i < l->n; i++) {
        p = i == 0 ? PUT(p, "\n") : PUT(p, NEXT);
        p = put_entry(p, w, l->track[i], i);
    }
    p = put_tail(p, l);
    out->n = (size_t)(p - out->p);
    return OK;
}

enum status
mpdslice_end(struct buf *out, struct err *err)
{
    return buf_adds(out, STR("\n    ]\n}\n"), err);
}
