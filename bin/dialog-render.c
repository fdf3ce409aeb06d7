/* SPDX-License-Identifier: Apache-2.0 */
/* dialog-render - conversations and playlists as chat text with music tokens: examples to train on, prompts to
 * answer. */
#include <string.h>

#include "text/text.h"

struct options {
    bool prompts, last;
    int64_t max_tracks, versions;
    const char *date, *items, *system;
};

static const struct opt options[] = {
    OPT_STR(0, "date", struct options, date, "TEXT", CHAT_DATE, "today's date in the system message"),
    OPT_STR(0, "items", struct options, items, "FILE", NULL, "item records; without it no music is shown"),
    OPT_FLAG(0, "last", struct options, last, "with --prompts: only for the last turn, whether it has music or not"),
    OPT_INT(0, "max-tracks", struct options, max_tracks, "N", "3", 1, 1000, "tracks of a turn that are shown"),
    OPT_FLAG(0, "prompts", struct options, prompts, "a prompt for every turn that has music, instead of examples"),
    OPT_STR(0, "system", struct options, system, "TEXT", CHAT_SYSTEM, "the system message"),
    OPT_INT(0, "versions", struct options, versions, "N", NULL, 1, 1000,
        "examples a record, each with tracks and cut of its own (default 1 a dialog, 2 a playlist)"),
    OPT_END,
};

static const struct program program = {
    .name = "dialog-render",
    .purpose = "conversations and playlists as chat text with music tokens",
    .operands = "[FILE...]",
    .in = "dialog or playlist",
    .out = "example; with --prompts: prompt",
    .examples = "dialog-render --items items.mp dialogs.mp playlists.mp -o examples.mp\n"
                "dialog-render --prompts --items items.mp dialogs.test.mp | tokenize --tokenizer model -o prompts.mp\n",
    .opts = options,
    .uses = STAGE_SEED,
};

/* What becomes another key, or is written anew. */
static const char *const example_keys[] = {"turns", "tracks", "example_id", "task", "segments", "ids", "labels", NULL};
static const char *const prompt_keys[] = {
    "dialog_id", "turns", "query_id", "turn", "segments", "history", "relevant", "ids", NULL};

/* What one record after another is rendered with. */
struct renderer {
    const struct options *o;
    struct chat_options chat;
    struct chat_tally tally;
    struct items *items;
    struct segments segments;
    struct dialog dialog;
    struct buf name;
    uint64_t untrained;
    struct rec_writer *out;
};

/* "ID" for the first version of a dialog, "ID#VERSION" otherwise. */
static enum status
name_version(struct buf *name, struct str id, bool plain, uint32_t version, struct err *err)
{
    name->n = 0;
    if (buf_adds(name, id, err) != OK)
        return SYSTEM;
    return plain && version == 0 ? OK : buf_printf(name, err, "#%u", version);
}

static enum status
write_example(struct renderer *r, const char *task, const msgpack_object *map, struct err *err)
{
    rec_begin(r->out);
    put_str(r->out, "example_id", (struct str){r->name.p, r->name.n});
    put_text(r->out, "task", task);
    segments_put(r->out, "segments", &r->segments);
    put_rest(r->out, map, example_keys);
    return rec_end(r->out, err);
}

static enum status
render_dialog(struct renderer *r, const msgpack_object *map, struct err *err)
{
    int64_t versions = r->o->versions > 0 ? r->o->versions : 1;
    enum status st = OK;
    bool any = false;

    /* Each has tracks of its own: one without a target says nothing of the next. */
    for (uint32_t v = 0; st == OK && v < versions; v++) {
        bool trained;
        segments_clear(&r->segments);
        st = chat_example(&r->segments, &trained, &r->tally, &r->dialog, r->items, &r->chat, v, err);
        if (st == OK && !trained)
            continue;
        any = true;
        if (st == OK && (st = name_version(&r->name, r->dialog.id, true, v, err)) == OK)
            st = write_example(r, "dialog", map, err);
    }
    r->untrained += st == OK && !any;
    return st;
}

static enum status
render_playlist(struct renderer *r, const msgpack_object *map, struct err *err)
{
    int64_t versions = r->o->versions > 0 ? r->o->versions : 2;
    const msgpack_object *ids;
    struct str id;
    enum status st = OK;

    if (map_id(&id, map, "playlist_id", err) != OK || map_array(&ids, map, "tracks", err) != OK)
        return DATA;
    if (r->items == NULL)
        return err_set(err, DATA, "a playlist needs --items");
    for (uint32_t v = 0; st == OK && v < versions; v++) {
        size_t tracks;
        segments_clear(&r->segments);
        st = playlist_example(&r->segments, &tracks, &r->tally, id, ids, r->items, r->chat.seed, v, err);
        if (st == OK && tracks < 2) {
            r->untrained++;
            return OK;
        }
        if (st == OK && (st = name_version(&r->name, id, false, v, err)) == OK)
            st = write_example(r, "playlist", map, err);
    }
    return st;
}

/* What was said before the reply of turn, and the request that it answers. */
static void
put_history(struct rec_writer *w, const struct dialog *d, uint32_t turn)
{
    put_array(w, "history");
    for (size_t i = 0; i < d->n && d->entry[i].turn <= turn; i++) {
        const struct entry *e = &d->entry[i];
        if (e->turn == turn && e->role != USER)
            continue;
        put_map(w, NULL);
        put_text(w, "role", role_name[e->role]);
        put_str(w, "content", e->content);
        put_close(w);
    }
    put_close(w);
}

static void
put_relevant(struct rec_writer *w, const struct dialog *d, uint32_t turn)
{
    put_array(w, "relevant");
    for (size_t i = 0; i < d->n; i++)
        if (d->entry[i].turn == turn && d->entry[i].role == MUSIC && d->entry[i].train)
            put_str(w, NULL, d->entry[i].content);
    put_close(w);
}

static enum status
write_prompt(struct renderer *r, const msgpack_object *map, uint32_t turn, struct err *err)
{
    enum status st;

    segments_clear(&r->segments);
    if ((st = chat_prompt(&r->segments, &r->tally, &r->dialog, r->items, &r->chat, turn, err)) != OK)
        return st;
    r->name.n = 0;
    if (buf_adds(&r->name, r->dialog.id, err) != OK || buf_printf(&r->name, err, ":%u", turn) != OK)
        return SYSTEM;
    rec_begin(r->out);
    put_str(r->out, "query_id", (struct str){r->name.p, r->name.n});
    put_u64(r->out, "turn", turn);
    segments_put(r->out, "segments", &r->segments);
    put_history(r->out, &r->dialog, turn);
    put_relevant(r->out, &r->dialog, turn);
    put_rest(r->out, map, prompt_keys);
    return rec_end(r->out, err);
}

static bool
has_music(const struct dialog *d, uint32_t turn)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->entry[i].turn == turn && d->entry[i].role == MUSIC && d->entry[i].train)
            return true;
    return false;
}

static enum status
render_prompts(struct renderer *r, const msgpack_object *map, struct err *err)
{
    const struct dialog *d = &r->dialog;
    enum status st = OK;

    for (uint32_t turn = 1; st == OK && turn <= d->turns; turn++)
        if (r->o->last ? turn == d->turns : has_music(d, turn))
            st = write_prompt(r, map, turn, err);
    return st;
}

static enum status
render(struct renderer *r, const msgpack_object *map, struct err *err)
{
    enum split split;

    if (map_split(&split, map, err) != OK)
        return err->status;
    /* What is of the test set is for prompts alone. */
    if (split == SPLIT_TEST && !r->o->prompts) {
        r->untrained++;
        return OK;
    }
    if (!r->o->prompts && map_has(map, "playlist_id") && !map_has(map, "dialog_id"))
        return render_playlist(r, map, err);
    if (dialog_read(&r->dialog, map, err) != OK)
        return err->status;
    return r->o->prompts ? render_prompts(r, map, err) : render_dialog(r, map, err);
}

int
main(int argc, char **argv)
{
    struct options o;
    struct stage *s = stage_start(argc, argv, &program, &o);
    struct renderer r = {.o = &o, .out = stage_out(s)};
    struct err err;

    r.chat = (struct chat_options){str_of(o.date), str_of(o.system), (size_t)o.max_tracks, stage_seed(s)};
    if (o.items != NULL)
        cli_must(items_load(&r.items, o.items, &err), &err);
    for (struct rec *rec; (rec = stage_next(s)) != NULL;)
        if (render(&r, &rec->map, &err) != OK)
            stage_reject(s, &err);
    stage_tally(s, "tracks", r.tally.blocks);
    stage_tally(s, "missing", r.tally.missing);
    stage_tally(s, "skipped", r.untrained);
    segments_free(&r.segments);
    dialog_free(&r.dialog);
    buf_free(&r.name);
    items_free(r.items);
    return stage_finish(s);
}
