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
#define MPDSCAN_ENDS 16384

struct mpdscan {
    FILE *f;
    const char *name;
    struct mapped map; /* the file, if it can be mapped, else */
    struct buf buf;    /* what was read of it */
    struct str text;   /* bytes of the file at hand, of map or buf; the current document is the first size of them */
    size_t size;       /* 0 where there is no current document */
    uint64_t offset;   /* of text.p[0] within the file */
    uint64_t documents;
    bool eof;
    size_t at, end;                          /* the next element of the playlists, and behind their last */
    bool first;                              /* no element has been read yet */
    struct mpdscan_span mark[MPDSCAN_MARKS]; /* the first members of the document that are arrays or objects */
    size_t marks;
    uint32_t ends[MPDSCAN_ENDS]; /* where arrays and objects of the third level end, the first of them */
    size_t n_ends, next_end;     /* next_end: the first that may lie behind at */
};

/* Begins at the first document of f; f and name are borrowed. s was all zero or open before. */
void mpdscan_open(struct mpdscan *s, FILE *f, const char *name);
void mpdscan_free(struct mpdscan *s);

/* Puts "FILE: byte N: " before err's text, at being an index into text; returns err->status. */
enum status mpdscan_context(const struct mpdscan *s, size_t at, struct err *err);

/*
 * Gathers the next document, which replaces the current one: from '{' to the bracket that closes it. END behind the
 * last; DATA with its position for a file that is empty, cut off, or goes on with something else; IO; SYSTEM.
 */
enum status mpdscan_document(struct mpdscan *s, struct err *err);

/*
 * The next member of the document's object: the texts of its key, a string with its quotes, and of its value,
 * which begins at *at of the document. *at is 0 before the first call and belongs to this function between calls. END,
 * DATA.
 */
enum status mpdscan_member(struct str *key, struct str *value, size_t *at, const struct mpdscan *s, struct err *err);

/* Starts on the elements of value, the text of an array within the document. */
void mpdscan_array(struct mpdscan *s, struct str value);
/* The text of the next element. END, DATA. It is not parsed: that its brackets close is all that is known of it. */
enum status mpdscan_element(struct str *value, struct mpdscan *s, struct err *err);

#endif
