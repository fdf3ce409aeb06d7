/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpdscan - where the documents of a file, and the playlists of a document, begin and end.
 *
 * The JSON parser wants whole documents and says what is wrong, not where. This scan looks at quotes and brackets
 * alone: it finds each playlist's place before anything is parsed, so that a bad one can be named by its byte and set
 * aside while the others are read, that a file which is cut off is known to be before its first playlist is written,
 * and that documents may follow each other on stdin. What it skips is parsed later, each piece by itself: nothing is
 * believed for having passed here.
 *
 * Time: one look at each byte, 64 bytes at a time where the processor has AVX2. It finds the document and where arrays
 * and objects of its first levels end, of as many as there is room for. Memory: one document, at most MPD_MAX_SLICE; of
 * a file that is mapped the kernel keeps it.
 */
#include <errno.h>
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "mpdscan.h"

#define CHUNK ((size_t)1 << 18)

enum status
mpdscan_context(const struct mpdscan *s, size_t at, struct err *err)
{
    return err_context(err, "%s: byte %llu", s->name, (unsigned long long)(s->offset + at));
}

static enum status
fault(const struct mpdscan *s, size_t at, const char *expected, struct err *err)
{
    if (at >= s->size)
        (void)err_set(err, DATA, "expected %s, got the end of the document", expected);
    else
        (void)err_set(err, DATA, "expected %s, got byte 0x%02x", expected, (unsigned char)s->text.p[at]);
    return mpdscan_context(s, at, err);
}

static bool
is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* ---- brackets ---- */

struct brackets {
    uint64_t depth;
    bool string, escape;                     /* inside a string; behind its backslash */
    size_t quote;                            /* where that string began, if bytes were looked at one by one */
    struct mpdscan_span mark[MPDSCAN_MARKS]; /* values within the outermost bracket that have brackets themselves */
    size_t marks;
    uint32_t *ends; /* room for MPDSCAN_ENDS of those within these, NULL: nobody asks */
    size_t n_ends;
};

/* A bracket outside of strings at place i. Whether it closes the value. */
static inline bool
take_bracket(struct brackets *b, size_t i, bool opens)
{
    if (opens) {
        if (++b->depth == 2 && b->marks < MPDSCAN_MARKS)
            b->mark[b->marks].from = i;
        return false;
    }
    if (b->depth == 2 && b->marks < MPDSCAN_MARKS)
        b->mark[b->marks++].to = i + 1;
    if (b->depth == 3 && b->ends != NULL && b->n_ends < MPDSCAN_ENDS)
        b->ends[b->n_ends++] = (uint32_t)(i + 1);
    b->depth -= b->depth > 0;
    return b->depth == 0;
}

/* Goes on at p[at] byte by byte, to behind the byte that closes the value (true), or to n. */
static bool
close_bytes(struct brackets *b, size_t *at, const char *p, size_t n)
{
    size_t i = *at;
    bool closed = false;

    while (i < n && !closed) {
        char c = p[i];
        if (b->string) {
            if (b->escape)
                b->escape = false;
            else if (c == '\\')
                b->escape = true;
            else if (c == '"') {
                b->string = false;
                closed = b->depth == 0;
            }
        } else if (c == '"') {
            b->string = true;
            b->quote = i;
        } else if (c == '{' || c == '[' || c == '}' || c == ']') {
            closed = take_bracket(b, i, c == '{' || c == '[');
        }
        i++;
    }
    *at = i;
    return closed;
}

#ifdef __AVX2__
#define BLOCK 64

/* A bit a byte of a block: where it is a quote, a backslash, a bracket that opens, one that closes. */
struct block {
    uint64_t quote, backslash, open, close;
};

/* Brackets of both kinds are 0x20 apart. */
static inline struct block
look_at(const char *p)
{
#ifdef __AVX512BW__
    __m512i v = _mm512_loadu_si512((const void *)p), lower = _mm512_or_si512(v, _mm512_set1_epi8(0x20));

    return (struct block){_mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('"')),
        _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\\')), _mm512_cmpeq_epi8_mask(lower, _mm512_set1_epi8('{')),
        _mm512_cmpeq_epi8_mask(lower, _mm512_set1_epi8('}'))};
#else
    struct block b = {0, 0, 0, 0};

    for (int half = 0; half < 2; half++) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32 * half));
        __m256i lower = _mm256_or_si256(v, _mm256_set1_epi8(0x20));
#define BITS(x, c) ((uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, _mm256_set1_epi8(c))) << (32 * half))
        b.quote |= BITS(v, '"');
        b.backslash |= BITS(v, '\\');
        b.open |= BITS(lower, '{');
        b.close |= BITS(lower, '}');
#undef BITS
    }
    return b;
#endif
}

/* The bytes that stand behind an odd number of backslashes (simdjson's method: Langdale, Lemire 2019, 3.1.1). */
static inline uint64_t
escaped_by(uint64_t backslash, bool *carry)
{
    const uint64_t even = 0x5555555555555555U;
    uint64_t follows, odd, sequences, before = *carry;

    if (backslash == 0) {
        *carry = false;
        return before;
    }
    backslash &= ~before;
    follows = backslash << 1 | before;
    odd = backslash & ~even & ~follows;
    *carry = __builtin_add_overflow(odd, backslash, &sequences);
    return (even ^ sequences << 1) & follows;
}

/* Bit i of the result: whether the bits 0 … i of x are odd in number. */
static inline uint64_t
prefix_xor(uint64_t x)
{
#ifdef __PCLMUL__
    __m128i product = _mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)x), _mm_set1_epi8(-1), 0);

    return (uint64_t)_mm_cvtsi128_si64(product);
#else
    for (int shift = 1; shift < 64; shift *= 2)
        x ^= x << shift;
    return x;
#endif
}

/* The same by blocks of 64 bytes, within a value of brackets; what is left over is for close_bytes. */
static bool
close_blocks(struct brackets *b, size_t *at, const char *p, size_t n)
{
    for (; n - *at >= BLOCK; *at += BLOCK) {
        struct block k = look_at(p + *at);
        bool carry = b->escape;
        uint64_t within, brackets;

        within = prefix_xor(k.quote & ~escaped_by(k.backslash, &carry)) ^ (b->string ? ~UINT64_C(0) : 0);
        if (k.backslash & ~within) { /* one outside of strings, which is no JSON: as if byte by byte */
            size_t end = *at + BLOCK;
            if (close_bytes(b, at, p, end))
                return true;
            *at = end - BLOCK;
            continue;
        }
        b->string = within >> 63;
        b->escape = carry;
        k.open &= ~within;
        k.close &= ~within;
        if (b->depth > (uint64_t)__builtin_popcountll(k.close) + 2) { /* stays within depth 3 */
            b->depth += (uint64_t)__builtin_popcountll(k.open) - (uint64_t)__builtin_popcountll(k.close);
            continue;
        }
        for (brackets = k.open | k.close; brackets != 0; brackets &= brackets - 1) {
            size_t i = (size_t)__builtin_ctzll(brackets);
            if (take_bracket(b, *at + i, k.open >> i & 1)) {
                *at += i + 1;
                return true;
            }
        }
    }
    return false;
}
#endif

/*
 * Goes on at p[at] to behind the byte that closes the value (true), or to n. The value is an array or object, or a
 * string if its first byte is the next one.
 */
static bool
close_value(struct brackets *b, size_t *at, const char *p, size_t n)
{
#ifdef __AVX2__
    if ((b->depth > 0 || (*at < n && p[*at] != '"')) && close_blocks(b, at, p, n))
        return true;
#endif
    return close_bytes(b, at, p, n);
}

/* ---- documents ---- */

void
mpdscan_open(struct mpdscan *s, FILE *f, const char *name)
{
    struct buf keep = s->buf;

    file_unmap(&s->map);
    keep.n = 0;
    memset(s, 0, sizeof(*s));
    s->f = f;
    s->name = name;
    s->buf = keep;
    if (file_map_stream(&s->map, f)) {
        s->text = (struct str){s->map.p, s->map.n};
        s->eof = true;
    }
}

void
mpdscan_free(struct mpdscan *s)
{
    file_unmap(&s->map);
    buf_free(&s->buf);
}

static enum status
too_long(const struct mpdscan *s, struct err *err)
{
    return err_set(err, DATA, "%s: a document of more than %zu bytes", s->name, MPD_MAX_SLICE);
}

static enum status
receive(struct mpdscan *s, struct err *err)
{
    size_t got;

    if (s->buf.n >= MPD_MAX_SLICE)
        return too_long(s, err);
    if (buf_reserve(&s->buf, CHUNK + JSON_PADDING, err) != OK)
        return SYSTEM;
    got = fread(s->buf.p + s->buf.n, 1, CHUNK, s->f);
    s->buf.n += got;
    s->text = (struct str){s->buf.p, s->buf.n};
    if (got == 0 && ferror(s->f))
        return err_errno(err, IO, "%s: read", s->name);
    s->eof = got == 0;
    return OK;
}

/* Makes the bytes behind the first n the first ones. */
static void
drop(struct mpdscan *s, size_t n)
{
    s->offset += n;
    if (s->map.map != NULL) {
        s->text = (struct str){s->text.p + n, s->text.n - n};
        file_passed(&s->map, (size_t)s->offset - n, (size_t)s->offset);
        return;
    }
    if (n > 0)
        memmove(s->buf.p, s->buf.p + n, s->buf.n - n);
    s->buf.n -= n;
    s->text = (struct str){s->buf.p, s->buf.n};
}

static enum status
cut_off(const struct mpdscan *s, struct err *err)
{
    struct brackets b = {0};
    size_t at = 0;

    (void)close_bytes(&b, &at, s->text.p, s->text.n); /* which knows where a string began */
    if (b.string)
        (void)err_set(err, DATA, "the file is cut off within the string that begins at byte %llu",
            (unsigned long long)(s->offset + b.quote));
    else
        (void)err_set(err, DATA, "the file is cut off with %llu brackets open", (unsigned long long)b.depth);
    return mpdscan_context(s, s->text.n, err);
}

/* Drops what stands before the next document: OK if there is one, END. */
static enum status
find_document(struct mpdscan *s, struct err *err)
{
    enum status st;

    drop(s, s->size);
    s->size = 0;
    for (;;) {
        size_t i = 0;
        while (i < s->text.n && is_space(s->text.p[i]))
            i++;
        drop(s, i);
        if (s->text.n > 0) {
            s->size = s->text.n; /* what fault() may look at */
            st = s->text.p[0] == '{' ? OK : fault(s, 0, "a JSON object", err);
            s->size = 0;
            return st;
        }
        if (s->eof)
            break;
        if ((st = receive(s, err)) != OK)
            return st;
    }
    if (s->documents > 0)
        return END;
    (void)err_set(err, DATA, "expected a JSON object, got nothing at all");
    return mpdscan_context(s, 0, err);
}

enum status
mpdscan_document(struct mpdscan *s, struct err *err)
{
    struct brackets b = {.ends = s->ends};
    enum status st = find_document(s, err);
    size_t at = 0;

    if (st != OK)
        return st;
    while (!close_value(&b, &at, s->text.p, s->text.n < MPD_MAX_SLICE ? s->text.n : MPD_MAX_SLICE)) {
        if (s->text.n > MPD_MAX_SLICE)
            return too_long(s, err);
        if (s->eof)
            return cut_off(s, err);
        if ((st = receive(s, err)) != OK)
            return st;
    }
    s->size = at;
    s->documents++;
    memcpy(s->mark, b.mark, sizeof(s->mark));
    s->marks = b.marks;
    s->n_ends = b.n_ends;
    s->next_end = 0;
    return OK;
}

/* ---- inside a document ---- */

static size_t
skip_space(const struct mpdscan *s, size_t at)
{
    while (at < s->size && is_space(s->text.p[at]))
        at++;
    return at;
}

/* Where the value that begins at a bracket at place at ends, if the search for the document's end has told. */
static size_t
marked_end(const struct mpdscan *s, size_t at)
{
    for (size_t i = 0; i < s->marks; i++)
        if (s->mark[i].from == at)
            return s->mark[i].to;
    return 0;
}

/* The same of an element of the playlists. Elements come in their order. */
static size_t
element_end(struct mpdscan *s, size_t at)
{
    while (s->next_end < s->n_ends && s->ends[s->next_end] <= at)
        s->next_end++;
    return s->next_end < s->n_ends && s->ends[s->next_end] < s->end ? s->ends[s->next_end] : 0;
}

/* The value that begins at *at, which goes behind it; known: where it ends, 0 if it must be looked for. */
static enum status
take_value(struct str *value, size_t *at, size_t known, const struct mpdscan *s, struct err *err)
{
    const char *p = s->text.p;
    size_t i = *at;

    if (known > 0) {
        i = known;
    } else if (i < s->size && (p[i] == '"' || p[i] == '{' || p[i] == '[')) {
        struct brackets b = {0};
        if (!close_value(&b, &i, p, s->size))
            return fault(s, s->size, "the end of a value", err);
    } else {
        while (i < s->size && !is_space(p[i]) && p[i] != ',' && p[i] != ']' && p[i] != '}')
            i++;
        if (i == *at)
            return fault(s, i, "a value", err);
    }
    *value = (struct str){p + *at, i - *at};
    *at = i;
    return OK;
}

enum status
mpdscan_member(struct str *key, struct str *value, size_t *at, const struct mpdscan *s, struct err *err)
{
    const char *p = s->text.p;
    size_t i = *at;
    enum status st;

    if (i == 0) { /* the document's own bracket */
        i = skip_space(s, 1);
        if (i < s->size && p[i] == '}')
            return END;
    } else {
        i = skip_space(s, i);
        if (i < s->size && p[i] == '}')
            return i + 1 == s->size ? END : fault(s, i + 1, "the end of the document", err);
        if (i >= s->size || p[i] != ',')
            return fault(s, i, "',' or '}'", err);
        i = skip_space(s, i + 1);
    }
    if (i >= s->size || p[i] != '"')
        return fault(s, i, "a key", err);
    if ((st = take_value(key, &i, 0, s, err)) != OK)
        return st;
    i = skip_space(s, i);
    if (i >= s->size || p[i] != ':')
        return fault(s, i, "':'", err);
    i = skip_space(s, i + 1);
    if ((st = take_value(value, &i, marked_end(s, i), s, err)) != OK)
        return st;
    *at = i;
    return OK;
}

void
mpdscan_array(struct mpdscan *s, struct str value)
{
    s->at = (size_t)(value.p - s->text.p) + 1;
    s->end = s->at + value.n - 1;
    s->first = true;
}

enum status
mpdscan_element(struct str *value, struct mpdscan *s, struct err *err)
{
    const char *p = s->text.p;
    size_t i = skip_space(s, s->at);
    enum status st;
    bool opens;

    if (i < s->end && p[i] == ']') {
        s->at = i;
        return i + 1 == s->end ? END : fault(s, i + 1, "the end of the playlists", err);
    }
    if (!s->first) {
        if (i >= s->end || p[i] != ',')
            return fault(s, i, "',' or ']'", err);
        i = skip_space(s, i + 1);
    }
    opens = i < s->end && (p[i] == '{' || p[i] == '[');
    if (!opens && i < s->end && p[i] != '"')
        s->n_ends = 0; /* within a word that is none there may be quotes and brackets, which were counted */
    if ((st = take_value(value, &i, opens ? element_end(s, i) : 0, s, err)) != OK)
        return st;
    s->first = false;
    s->at = i;
    return OK;
}
