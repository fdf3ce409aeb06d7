/* SPDX-License-Identifier: Apache-2.0 */
/*
 * synth_frames - sentences with slots, by who says them and what for, drawn by weight.
 *
 * Draws: the cumulative weights are searched (log n); a frame that needs a slot which is not there is drawn again,
 * and after some tries the fitting ones are listed (n). Memory: the frames.
 */
#include <stdlib.h>
#include <string.h>

#include "text/synth_parts.h"

static const char *const slot_name[SLOTS] = {
    "artist", "artist2", "track", "album", "tag", "year", "tempo", "key", "lyrics", "playlist"};

static const struct {
    const char *role, *intent;
} kind[INTENTS] = {
    [ASK_ARTIST] = {"user", "artist"},
    [ASK_TRACK] = {"user", "track"},
    [ASK_ALBUM] = {"user", "album"},
    [ASK_TAG] = {"user", "tag"},
    [ASK_YEAR] = {"user", "year"},
    [ASK_TEMPO] = {"user", "tempo"},
    [ASK_KEY] = {"user", "key"},
    [ASK_LYRICS] = {"user", "lyrics"},
    [ASK_LIKE] = {"user", "like"},
    [ASK_MORE] = {"user", "more"},
    [SAY_HELLO] = {"user", "hello"},
    [SAY_PRAISE] = {"user", "praise"},
    [SAY_OK] = {"user", "ok"},
    [SAY_REJECT] = {"user", "reject"},
    [SAY_REJECT_ARTIST] = {"user", "reject_artist"},
    [ANSWER_ARTIST] = {"assistant", "artist"},
    [ANSWER_TAG] = {"assistant", "tag"},
    [ANSWER_ANY] = {"assistant", "any"},
    [ANSWER_ASK] = {"assistant", "ask"},
    [FILL_PLAYLIST] = {"filler", "playlist"},
};

struct frame {
    struct span text;
    unsigned slots;
};
struct frame_list {
    struct frame *frame;
    double *upto; /* cumulative weight */
    size_t n, cap;
};
struct frames {
    struct frame_list list[INTENTS];
    struct ids *users, *words;
    struct buf text;
};

/* Finds the next slot of s from *at on, and moves *at to its '{'; SLOTS at the end, -1 for one of no known name. */
static int
next_slot(size_t *at, size_t *end, struct str s)
{
    while (*at < s.n && s.p[*at] != '{')
        (*at)++;
    if (*at == s.n)
        return SLOTS;
    for (int i = 0; i < SLOTS; i++) {
        size_t n = strlen(slot_name[i]);

        if (*at + n + 2 <= s.n && memcmp(s.p + *at + 1, slot_name[i], n) == 0 && s.p[*at + n + 1] == '}') {
            *end = *at + n + 2;
            return i;
        }
    }
    return -1;
}

static enum status
slots_of(unsigned *out, struct str s, struct err *err)
{
    size_t at = 0, end = 0;
    int slot;

    *out = 0;
    while ((slot = next_slot(&at, &end, s)) != SLOTS) {
        if (slot < 0)
            return err_set(err, DATA, "text: expected {artist}, {track} or another slot at its byte %zu", at);
        *out |= 1u << slot;
        at = end;
    }
    return OK;
}

/* The next word of s from *at on, in lower case; false at the end. */
static bool
next_word(char word[32], size_t *n, size_t *at, struct str s)
{
    *n = 0;
    for (; *at < s.n; (*at)++) {
        char c = s.p[*at];
        bool inside = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '\'' || (c & 0x80) != 0;

        if (!inside && *n > 0)
            return true;
        if (inside && *n < 32)
            word[(*n)++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    return *n > 0;
}

static enum status
learn_words(struct frames *f, struct str s, struct err *err)
{
    char word[32];
    size_t n, at = 0;
    uint32_t id;
    enum status st = OK;

    while (st == OK && next_word(word, &n, &at, s))
        st = ids_add(&id, f->words, (struct str){word, n}, err);
    return st;
}

bool
frames_plain(const struct frames *f, struct str text)
{
    char word[32];
    size_t n, at = 0;

    while (next_word(word, &n, &at, text))
        if (ids_find(f->words, (struct str){word, n}) == IDS_NONE)
            return false;
    return true;
}

static enum status
append(struct frame_list *l, struct span text, unsigned slots, double weight, struct err *err)
{
    if (l->n == l->cap) {
        size_t cap = l->cap < 32 ? 32 : l->cap * 2;
        struct frame *frame = realloc(l->frame, cap * sizeof *frame);
        double *upto;

        if (frame == NULL)
            return err_memory(err);
        l->frame = frame;
        if ((upto = realloc(l->upto, cap * sizeof *upto)) == NULL)
            return err_memory(err);
        l->upto = upto;
        l->cap = cap;
    }
    l->frame[l->n] = (struct frame){text, slots};
    l->upto[l->n] = weight + (l->n > 0 ? l->upto[l->n - 1] : 0);
    l->n++;
    return OK;
}

static enum status
load_frame(void *arg, const struct rec *rec, struct err *err)
{
    struct frames *f = arg;
    struct str role, intent, text;
    struct span span;
    unsigned slots;
    double weight = 1;
    int which = 0;
    uint32_t id;
    enum status st;

    if ((st = map_str(&role, &rec->map, "role", err)) != OK ||
        (st = map_str(&intent, &rec->map, "intent", err)) != OK ||
        (st = map_str(&text, &rec->map, "text", err)) != OK || (st = slots_of(&slots, text, err)) != OK ||
        (map_has(&rec->map, "weight") && (st = map_f64(&weight, &rec->map, "weight", err)) != OK))
        return st;
    while (which < INTENTS && !(str_eq(role, str_of(kind[which].role)) && str_eq(intent, str_of(kind[which].intent))))
        which++;
    if (which == INTENTS)
        return err_set(err, DATA, "intent: no %.*s says %.*s", (int)(role.n < 40 ? role.n : 40), role.p,
            (int)(intent.n < 40 ? intent.n : 40), intent.p);
    if (!(weight > 0 && weight <= 1e9))
        return err_set(err, DATA, "weight: expected a number above 0, at most 1e9");
    if (text.n == 0)
        return err_set(err, DATA, "text: empty");
    span = (struct span){f->text.n, text.n};
    if ((st = buf_adds(&f->text, text, err)) != OK || (st = append(&f->list[which], span, slots, weight, err)) != OK)
        return st;
    if (which <= SAY_REJECT_ARTIST && (st = ids_add(&id, f->users, text, err)) != OK)
        return st;
    return which == ASK_MORE || (which >= SAY_HELLO && which <= SAY_REJECT) ? learn_words(f, text, err) : OK;
}

enum status
frames_load(struct frames **out, const char *path, struct err *err)
{
    struct frames *f = calloc(1, sizeof *f);
    enum status st;

    if (f == NULL)
        return err_memory(err);
    if ((st = ids_new(&f->users, err)) == OK && (st = ids_new(&f->words, err)) == OK &&
        (st = rec_each(path, load_frame, f, err)) == OK && ids_count(f->users) == 0)
        st = err_set(err, DATA, "%s: expected frames of role user, found none", path);
    if (st == OK)
        *out = f;
    else
        frames_free(f);
    return st;
}

void
frames_free(struct frames *f)
{
    if (f == NULL)
        return;
    for (int i = 0; i < INTENTS; i++) {
        free(f->list[i].frame);
        free(f->list[i].upto);
    }
    ids_free(f->users);
    ids_free(f->words);
    buf_free(&f->text);
    free(f);
}

uint64_t
frames_of_users(const struct frames *f)
{
    return ids_count(f->users);
}

bool
frames_have(const struct frames *f, enum intent intent)
{
    return f->list[intent].n > 0;
}

/* The index whose share of the cumulative weight x falls into. */
static size_t
at_weight(const double *upto, size_t n, double x)
{
    size_t lo = 0, hi = n - 1;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (upto[mid] > x)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

bool
frames_draw(struct str *out, const struct frames *f, enum intent intent, unsigned slots, struct rng *r)
{
    const struct frame_list *l = &f->list[intent];
    size_t fitting = 0, k;

    if (l->n == 0)
        return false;
    for (int tries = 0; tries < 32; tries++) {
        k = at_weight(l->upto, l->n, rng_unit(r) * l->upto[l->n - 1]);
        if ((l->frame[k].slots & ~slots) == 0)
            goto found;
    }
    for (k = 0; k < l->n; k++)
        fitting += (l->frame[k].slots & ~slots) == 0;
    if (fitting == 0)
        return false;
    fitting = (size_t)rng_below(r, fitting);
    for (k = 0;; k++)
        if ((l->frame[k].slots & ~slots) == 0 && fitting-- == 0)
            break;
found:
    *out = (struct str){f->text.p + l->frame[k].text.at, l->frame[k].text.n};
    return true;
}

enum status
frame_fill(struct buf *out, struct str frame, const struct buf fill[SLOTS], struct err *err)
{
    size_t from = 0, at = 0, end = 0;
    int slot;
    enum status st = OK;

    while (st == OK && (slot = next_slot(&at, &end, frame)) >= 0 && slot != SLOTS) {
        if ((st = buf_add(out, frame.p + from, at - from, err)) == OK)
            st = buf_add(out, fill[slot].p, fill[slot].n, err);
        from = at = end;
    }
    return st == OK ? buf_add(out, frame.p + from, frame.n - from, err) : st;
}
