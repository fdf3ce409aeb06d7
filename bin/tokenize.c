/* SPDX-License-Identifier: Apache-2.0 */
/* tokenize - segments to token ids and labels by a tokenizer.json, and back. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "text/text.h"

#define BATCH 256                      /* records that threads share; what comes out does not depend on it */
#define BATCH_BYTES ((size_t)16 << 20) /* of records: fewer where they are long */
#define LONG ((size_t)1 << 16)         /* a record's bytes; what it took is given back behind it */
#define NO_LABEL (-100)

struct options {
    bool decode;
    int64_t context;
    const char *tokenizer;
};

static const struct opt options[] = {
    OPT_INT(0, "context", struct options, context, "N", "1024", 0, 1 << 24, "tokens at most; 0 for no bound"),
    OPT_FLAG(0, "decode", struct options, decode, "ids to text instead"),
    OPT_NEED(0, "tokenizer", struct options, tokenizer, "PATH", "tokenizer.json, or the folder that holds it"),
    OPT_END,
};

static const struct program program = {
    .name = "tokenize",
    .purpose = "text to token ids and back",
    .operands = "[FILE...]",
    .in = "example or prompt; with --decode any record with ids",
    .out = "the same with ids and, for examples, labels; with --decode with text",
    .examples = "tokenize --tokenizer model --context 1024 examples.mp -o examples.ids.mp\n"
                "tokenize --tokenizer model --decode examples.ids.mp | mp2json | jq -r .text\n",
    .opts = options,
    .uses = STAGE_THREADS,
};

/* What a thread needs. */
struct worker {
    struct bpe_encoder *encoder;
    struct segments segments;
};

/* A record and what became of it. */
struct task {
    struct rec *rec;
    struct encoded x;
    struct buf text;
    bool cut;
    struct err err;
    enum status st;
};

static bool
is_playlist(const msgpack_object *map)
{
    struct str task;

    return map_has(map, "task") && map_str(&task, map, "task", NULL) == OK && str_eq(task, STR("playlist"));
}

static enum status
encode(struct task *t, struct worker *w, size_t context)
{
    const msgpack_object *map = &t->rec->map;

    t->cut = false;
    segments_clear(&w->segments);
    if (segments_read(&w->segments, map, "segments", &t->err) != OK)
        return t->err.status;
    if (is_playlist(map))
        return encode_fit_playlist(&t->x, &w->segments, w->encoder, context, &t->err);
    return encode_fit_dialog(&t->x, &t->cut, &w->segments, w->encoder, context, &t->err);
}

static enum status
decode(struct task *t, const struct bpe *b)
{
    const msgpack_object *ids;

    t->text.n = 0;
    t->x.ids.n = 0;
    if (map_array(&ids, &t->rec->map, "ids", &t->err) != OK)
        return t->err.status;
    for (uint32_t i = 0; i < ids->via.array.size; i++) {
        uint64_t id;
        if (obj_u64(&id, &ids->via.array.ptr[i], "ids", UINT32_MAX - 1, &t->err) != OK ||
            tokens_add(&t->x.ids, (uint32_t)id, &t->err) != OK)
            return t->err.status;
    }
    if (bpe_decode(&t->text, b, t->x.ids.p, t->x.ids.n, false, &t->err) != OK)
        return err_context(&t->err, "ids");
    return OK;
}

static enum status
write_encoded(struct rec_writer *out, const struct task *t, struct err *err)
{
    static const char *const skip[] = {"ids", "labels", NULL};
    const msgpack_object *map = &t->rec->map;

    rec_begin(out);
    put_rest(out, map, skip);
    put_array(out, "ids");
    for (size_t i = 0; i < t->x.ids.n; i++)
        put_u64(out, NULL, t->x.ids.p[i]);
    put_close(out);
    if (!map_has(map, "query_id")) { /* a prompt has nothing to learn */
        put_array(out, "labels");
        for (size_t i = 0; i < t->x.ids.n; i++)
            put_i64(out, NULL, t->x.train[i] ? (int64_t)t->x.ids.p[i] : NO_LABEL);
        put_close(out);
    }
    return rec_end(out, err);
}

static enum status
write_decoded(struct rec_writer *out, const struct task *t, struct err *err)
{
    static const char *const skip[] = {"text", NULL};

    rec_begin(out);
    put_rest(out, &t->rec->map, skip);
    put_str(out, "text", (struct str){t->text.p, t->text.n});
    return rec_end(out, err);
}

/* The next records of the stream, copied. */
static int
gather(struct task *task, struct stage *s)
{
    size_t bytes = 0;
    struct err err;
    int n = 0;

    for (struct rec *r; n < BATCH && bytes < BATCH_BYTES && (r = stage_next(s)) != NULL; n++) {
        if (rec_keep(&task[n].rec, r, &err) != OK)
            stage_fail(s, &err);
        bytes += r->size;
    }
    return n;
}

static void
forget(struct task *t)
{
    encoded_free(&t->x);
    buf_free(&t->text);
}

static uint64_t
emit(struct stage *s, struct task *task, int n, bool decoding)
{
    uint64_t cut = 0;

    for (int i = 0; i < n; i++) {
        struct task *t = &task[i];
        if (t->st == OK)
            t->st = (decoding ? write_decoded : write_encoded)(stage_out(s), t, &t->err);
        if (t->st != OK)
            stage_reject_rec(s, t->rec, &t->err);
        cut += t->st == OK && t->cut;
        if (t->rec->size > LONG)
            forget(t);
        rec_free(t->rec);
        t->rec = NULL;
    }
    return cut;
}

static struct worker *
start_workers(int n, const struct bpe *b)
{
    struct worker *w = calloc((size_t)n, sizeof(*w));
    struct err err;

    if (w == NULL)
        cli_must(err_memory(&err), &err);
    for (int i = 0; i < n; i++)
        cli_must(bpe_encoder_new(&w[i].encoder, b, &err), &err);
    return w;
}

/* How many ill-formed sequences were replaced. */
static uint64_t
end_workers(struct worker *w, int n)
{
    uint64_t bad = 0;

    for (int i = 0; i < n; i++) {
        bad += bpe_encoder_bad(w[i].encoder);
        bpe_encoder_free(w[i].encoder);
        segments_free(&w[i].segments);
    }
    free(w);
    return bad;
}

int
main(int argc, char **argv)
{
    static struct task task[BATCH];
    struct options o;
    struct stage *s = stage_start(argc, argv, &program, &o);
    int threads = stage_threads(s);
    struct bpe *b = NULL;
    struct worker *worker;
    uint64_t cut = 0;
    struct err err;

    cli_must(bpe_load(&b, o.tokenizer, &err), &err);
    worker = start_workers(threads, b);
    for (int n; (n = gather(task, s)) > 0;) {
#pragma omp parallel for num_threads(threads) schedule(dynamic, 4)
        for (int i = 0; i < n; i++)
            task[i].st =
                o.decode ? decode(&task[i], b) : encode(&task[i], &worker[omp_get_thread_num()], (size_t)o.context);
        cut += emit(s, task, n, o.decode);
    }
    for (int i = 0; i < BATCH; i++)
        forget(&task[i]);
    stage_tally(s, "cut", cut);
    stage_tally(s, "replaced", end_workers(worker, threads));
    bpe_free(b);
    return stage_finish(s);
}
