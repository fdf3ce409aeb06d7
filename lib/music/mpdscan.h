/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpdscan - private to lib/music: where the documents of a file, and the playlists of a document, begin and end.
 */
#ifndef MPDSCAN_H
#define MPDSCAN_H

#include "music/music.h"

/* From the first byte to behind the last. */
struct mpdscan_span {
    size_t from, to;
};
#define MPDSCAN_MARKS 8

/* All zero but f and name is a reader at its first document. */
struct mpdscan {
    FILE *f;
    const char *name;
    struct buf buf;  /* bytes received; the current document is the first size of them */
    size_t size;     /* 0 where there is no current document */
    uint64_t offset; /* of buf.p[0] within the file */
    uint64_t documents;
    bool eof;
    size_t at, end;                          /* the next element of the playlists, and behind their last */
    bool first;                              /* no element has been read yet */
    struct mpdscan_span mark[MPDSCAN_MARKS]; /* the first members of the document that are arrays or objects */
    size_t marks;
};

/* Puts "FILE: byte N: " before err's text, at being an index into buf; returns err->status. */
enum status mpdscan_context(const struct mpdscan *s, size_t at, struct err *err);

/*
 * Gathers the next document, which replaces the current one: from '{' to the bracket that closes it. END behind the
 * last; DATA with its position for a file that is empty, cut off, or goes on with something else; IO; SYSTEM.
 */
enum status mpdscan_document(struct mpdscan *s, struct err *err);

/*
 * The next member of the document's object: its key as it is written between the quotes, and the text of its value,
 * which begins at index *at of buf. *at is 0 before the first call and belongs to this function between calls. END,
 * DATA.
 */
enum status mpdscan_member(struct str *key, struct str *value, size_t *at, const struct mpdscan *s, struct err *err);

/* Starts on the elements of value, the text of an array within buf. */
void mpdscan_array(struct mpdscan *s, struct str value);
/* The text of the next element. END, DATA. It is not parsed: that its brackets close is all that is known of it. */
enum status mpdscan_element(struct str *value, struct mpdscan *s, struct err *err);

#endif
