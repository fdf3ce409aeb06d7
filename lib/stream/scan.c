/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan - finds where a MessagePack object ends without decoding it.
 *
 * msgpack-c allocates what a header claims: five hostile bytes can ask for 100 GB. So our own walk
 * comes first: depth at most REC_MAX_DEPTH, every declared length within what the record may hold
 * (an element takes a byte at least). It allocates nothing and never looks at a byte twice.
 * Format: the MessagePack specification, section "Formats".
 */
#include "scan.h"

/* What one type byte announces. */
struct head {
    unsigned length_bytes; /* of the length that follows the type byte */
    unsigned fixed;        /* bytes that follow the length (an extension's type), or the whole payload */
    unsigned per;          /* the length counts: 0 nothing, 1 payload bytes or array elements, 2 map pairs */
    bool container;
    uint64_t length; /* where it is in the type byte */
};

static struct head
head_of(unsigned char c)
{
    static const struct head table[0x20] = {
        [0x00] = {0},                 /* nil */
        [0x02] = {0},                 /* false */
        [0x03] = {0},                 /* true */
        [0x04] = {1, 0, 1, false, 0}, /* bin 8, 16, 32 */
        [0x05] = {2, 0, 1, false, 0},
        [0x06] = {4, 0, 1, false, 0},
        [0x07] = {1, 1, 1, false, 0}, /* ext 8, 16, 32 */
        [0x08] = {2, 1, 1, false, 0},
        [0x09] = {4, 1, 1, false, 0},
        [0x0a] = {0, 4, 0, false, 0}, /* float 32, 64 */
        [0x0b] = {0, 8, 0, false, 0},
        [0x0c] = {0, 1, 0, false, 0}, /* uint 8 … 64 */
        [0x0d] = {0, 2, 0, false, 0},
        [0x0e] = {0, 4, 0, false, 0},
        [0x0f] = {0, 8, 0, false, 0},
        [0x10] = {0, 1, 0, false, 0}, /* int 8 … 64 */
        [0x11] = {0, 2, 0, false, 0},
        [0x12] = {0, 4, 0, false, 0},
        [0x13] = {0, 8, 0, false, 0},
        [0x14] = {0, 2, 0, false, 0}, /* fixext 1 … 16, with their type */
        [0x15] = {0, 3, 0, false, 0},
        [0x16] = {0, 5, 0, false, 0},
        [0x17] = {0, 9, 0, false, 0},
        [0x18] = {0, 17, 0, false, 0},
        [0x19] = {1, 0, 1, false, 0}, /* str 8, 16, 32 */
        [0x1a] = {2, 0, 1, false, 0},
        [0x1b] = {4, 0, 1, false, 0},
        [0x1c] = {2, 0, 1, true, 0}, /* array 16, 32 */
        [0x1d] = {4, 0, 1, true, 0},
        [0x1e] = {2, 0, 2, true, 0}, /* map 16, 32 */
        [0x1f] = {4, 0, 2, true, 0},
    };

    if (c < 0x80 || c >= 0xe0)
        return (struct head){0}; /* fixint */
    if (c < 0x90)
        return (struct head){0, 0, 2, true, c & 0x0f};
    if (c < 0xa0)
        return (struct head){0, 0, 1, true, c & 0x0f};
    if (c < 0xc0)
        return (struct head){0, 0, 1, false, c & 0x1f};
    return table[c - 0xc0];
}

void
scan_start(struct scan *s, size_t max)
{
    *s = (struct scan){.max = max};
}

/* One object (scalar, or the head of a container) is done: close what it completes. */
static void
close_full(struct scan *s)
{
    while (s->depth > 0 && --s->left[s->depth - 1] == 0)
        s->depth--;
    s->whole = s->depth == 0;
}

static enum status
too_large(const struct scan *s, struct err *err)
{
    return err_set(err, DATA, "byte %zu: the record is larger than %zu bytes", s->at, s->max);
}

/* The next object, whose head is whole: a container is entered, a scalar stepped over. */
static enum status
step_over(struct scan *s, const struct head *h, uint64_t length, size_t head_size, struct err *err)
{
    uint64_t bytes = head_size + h->fixed + (h->container ? 0 : length);

    if (bytes > s->max - s->at)
        return too_large(s, err);
    /* An empty one, too: msgpack-c has no place for it. */
    if (h->container && s->depth == REC_MAX_DEPTH)
        return err_set(err, DATA, "byte %zu: nested deeper than %d", s->at, REC_MAX_DEPTH);
    if (!h->container || length == 0) {
        s->at += bytes;
        close_full(s);
        return OK;
    }
    if (length * h->per > s->max - s->at - bytes)
        return too_large(s, err);
    s->left[s->depth++] = length * h->per;
    s->at += bytes;
    return OK;
}

enum status
scan_step(struct scan *s, const unsigned char *p, size_t n, struct err *err)
{
    while (!s->whole) {
        struct head h;
        uint64_t length;
        size_t size;

        if (s->at >= n)
            return s->at >= s->max ? too_large(s, err) : END;
        if (p[s->at] == 0xc1)
            return err_set(err, DATA, "byte %zu: 0xc1 is not MessagePack", s->at);
        h = head_of(p[s->at]);
        size = 1 + h.length_bytes;
        if (n - s->at < size)
            return size > s->max - s->at ? too_large(s, err) : END;
        length = h.length;
        for (unsigned i = 0; i < h.length_bytes; i++)
            length = length << 8 | p[s->at + 1 + i];
        if (step_over(s, &h, length, size, err) != OK)
            return DATA;
    }
    /* A scalar may have been stepped over before its bytes were there. */
    return s->at <= n ? OK : END;
}

enum status
rec_scan(size_t *size, const void *p, size_t n, size_t max, struct err *err)
{
    struct scan s;
    enum status st;

    scan_start(&s, max);
    st = scan_step(&s, p, n, err);
    *size = s.at;
    return st;
}
