/* SPDX-License-Identifier: Apache-2.0 */
/* Names as people type them, and frames. Expected texts are written by hand. */
#include <string.h>
#include <unistd.h>

#include "unit.h"

#include "text/synth_parts.h"

static struct err err;

static bool
key_is(const char *name, enum name_kind kind, const char *want)
{
    struct buf b = {0};
    bool same = name_key(&b, str_of(name), kind, &err) == OK && str_eq((struct str){b.p, b.n}, str_of(want));

    buf_free(&b);
    return same;
}

static bool
typed_is(const char *name, enum name_kind kind, struct typing t, const char *want)
{
    struct buf b = {0};
    bool same = name_type(&b, str_of(name), kind, &t, NULL, &err) == OK &&
                typing_apply(&b, 0, &t, &(struct rng){{1}}, &err) == OK;

    same = same && str_eq((struct str){b.p, b.n}, str_of(want));
    if (!same)
        printf("# \"%.*s\"\n", (int)b.n, b.p);
    buf_free(&b);
    return same;
}

static void
test_names(void)
{
    const struct typing plain = {.lower = false}, lazy = {.lower = true, .no_marks = true, .ascii = true};

    CHECK(key_is("The Beatles", NAME_ARTIST, "beatles"), "an artist's key has no The");
    CHECK(
        key_is("Beyoncé", NAME_ARTIST, "beyonce") && key_is("BEYONCE", NAME_ARTIST, "beyonce"), "nor accents nor case");
    CHECK(key_is("JAY-Z", NAME_ARTIST, "jayz") && key_is("Jay Z", NAME_ARTIST, "jayz"), "nor marks nor blanks");
    CHECK(key_is("Obie Trice feat. Dr. Dre", NAME_ARTIST, "obietrice"), "nor guests");
    CHECK(key_is("The The", NAME_TITLE, "thethe"), "a title keeps The");
    CHECK(key_is("!!!", NAME_ARTIST, "!!!"), "a name of marks is its own key");
    CHECK(key_is("米津玄師", NAME_ARTIST, "米津玄師"), "other scripts stay");
    CHECK(typed_is("Hey Ya! (Radio Mix) - Remastered 2003", NAME_TITLE, plain, "Hey Ya!"), "additions to a title go");
    CHECK(typed_is("(I Can't Get No) Satisfaction", NAME_TITLE, plain, "Satisfaction"), "also in front");
    CHECK(typed_is("(Intro)", NAME_TITLE, plain, "(Intro)"), "but not all there is");
    CHECK(typed_is("Don’t Stop, Sigur Rós", NAME_OTHER, lazy, "dont stop sigur ros"), "case, marks and accents go");
    CHECK(typed_is("Łódź", NAME_ARTIST, lazy, "lodz"), "Latin Extended-A is folded");
    CHECK(typed_is("?", NAME_ARTIST, lazy, "?"), "nothing is left empty");
}

static void
test_slips(void)
{
    struct typing t = {.slips = 1};
    int changed = 0, broken = 0;

    for (uint64_t i = 0; i < 500; i++) {
        struct rng r = rng_seed(7, i);
        struct buf b = {0};

        if (name_type(&b, STR("Beyoncé Knowles"), NAME_OTHER, &t, &r, &err) != OK)
            broken++;
        changed += !str_eq((struct str){b.p, b.n}, STR("Beyoncé Knowles"));
        broken += b.n + 1 < 16 || b.n > 17 || memmem(b.p, b.n, "\xc3\xa9", 2) == NULL;
        buf_free(&b);
    }
    CHECK(changed > 250, "a slip changes the name (%d of 500)", changed);
    CHECK(broken == 0, "by one letter at most, and never within a character");
}

/* A file of frame records in the folder the test runs in. */
static enum status
write_frames(const char *path, const char *const (*frames)[3], size_t n)
{
    struct rec_writer *w = NULL;
    enum status st = rec_create(&w, path, &err);

    for (size_t i = 0; i < n && st == OK; i++) {
        rec_begin(w);
        put_text(w, "role", frames[i][0]);
        put_text(w, "intent", frames[i][1]);
        put_text(w, "text", frames[i][2]);
        st = rec_end(w, &err);
    }
    return st == OK ? rec_commit(w, &err) : st;
}

static void
test_frames(void)
{
    static const char *const table[][3] = {{"user", "artist", "some {artist} and {artist2}"},
        {"user", "artist", "{artist}!"}, {"user", "praise", "Great stuff"}, {"assistant", "any", "here"}};
    char path[] = "/tmp/test_synth.XXXXXX";
    struct buf fill[SLOTS] = {0}, out = {0};
    struct frames *f = NULL;
    struct rng r = rng_seed(1, 1);
    struct str text = STR("");
    int both = 0, fd = mkstemp(path);

    CHECK(fd >= 0 && write_frames(path, table, 4) == OK && frames_load(&f, path, &err) == OK, "frames are read");
    if (f == NULL)
        return;
    CHECK(frames_of_users(f) == 3, "distinct ones of users are counted");
    for (int i = 0; i < 200; i++)
        if (frames_draw(&text, f, ASK_ARTIST, 1u << SLOT_ARTIST, &r) && text.n > 9)
            both++;
    CHECK(both == 0, "a frame is not drawn without all its slots");
    for (int i = 0; i < 200; i++)
        both += frames_draw(&text, f, ASK_ARTIST, 1u << SLOT_ARTIST | 1u << SLOT_ARTIST2, &r) && text.n > 9;
    CHECK(both > 60 && both < 140, "with them each is, by weight (%d of 200)", both);
    CHECK(!frames_draw(&text, f, ASK_ARTIST, 0, &r) && !frames_draw(&text, f, ASK_TAG, ~0u, &r),
        "none fits, none is drawn");
    CHECK(buf_adds(&fill[SLOT_ARTIST], STR("Abba"), &err) == OK &&
              buf_adds(&fill[SLOT_ARTIST2], STR("{artist}"), &err) == OK &&
              frame_fill(&out, str_of(table[0][2]), fill, &err) == OK &&
              str_eq((struct str){out.p, out.n}, STR("some Abba and {artist}")),
        "slots are filled once: what a name holds is no slot");
    CHECK(frames_plain(f, STR("great, GREAT stuff...")) && !frames_plain(f, STR("great jazz")),
        "words without a request");
    frames_free(f);
    buf_free(&fill[SLOT_ARTIST]);
    buf_free(&fill[SLOT_ARTIST2]);
    buf_free(&out);
    (void)close(fd);
    (void)unlink(path);
}

int
main(void)
{
    test_names();
    test_slips();
    test_frames();
    return unit_done();
}
