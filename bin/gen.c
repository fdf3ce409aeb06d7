/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen - lets the model answer: a track as music tokens, then words (Doh, Choi, Nam 2025, §4.3). Method and cost:
 * lib/model/generate.c.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/model.h"
#include "text/text.h"

struct options {
    int64_t beams, max_tokens, samples;
    bool decide, greedy, no_response, plain, unmasked;
    const char *modality, *model;
    double penalty, temperature, top_p;
    int weights; /* enum packing */
};

static const struct opt table[] = {
    OPT_INT(0, "beams", struct options, beams, "N", "0", 0, 4096, "candidates by beam search; 0: by sampling"),
    OPT_FLAG(0, "free", struct options, decide, "the model decides whether to recommend"),
    OPT_FLAG(0, "greedy", struct options, greedy, "take the likeliest token instead of drawing one"),
    OPT_INT(0, "max-tokens", struct options, max_tokens, "N", "128", 1, 1 << 20, "tokens of the words, at most"),
    OPT_STR(
        0, "modality", struct options, modality, "NAMES", NULL, "modalities of the run, as in a,b,c (all there are)"),
    OPT_NEED(0, "model", struct options, model, "DIR", "model folder"),
    OPT_FLAG(0, "no-response", struct options, no_response, "music only, no words"),
    OPT_FLAG(0, "plain", struct options, plain, "continue any prompt as text: no music, no masks"),
    OPT_REAL(0, "repetition-penalty", struct options, penalty, "R", "1.0", 0.1, 10, "above 1: repeat less"),
    OPT_INT(0, "samples", struct options, samples, "N", "1", 1, 4096, "candidates by sampling"),
    OPT_REAL(0, "temperature", struct options, temperature, "T", "1.0", 0.01, 100, "below 1: draw more likely tokens"),
    OPT_REAL(
        0, "top-p", struct options, top_p, "P", "0.9", 1e-6, 1, "draw from the likeliest tokens with this probability"),
    OPT_FLAG(0, "unmasked", struct options, unmasked, "allow every token: what is no track is marked malformed"),
    OPT_ENUM(0, "weights", struct options, weights, "f32", "f32|bf16|q8", "of matrices, in memory"),
    OPT_END,
};

static const struct program program = {
    .name = "gen",
    .purpose = "recommend a track as music tokens, then say something",
    .operands = "[FILE...]",
    .in = "prompt with ids",
    .out = "generation",
    .examples = "gen --model model --beams 64 --no-response prompts.mp -o generation.mp\n"
                "gen --model Llama-3.2-1B-Instruct --plain --greedy --max-tokens 20 prompts.mp | mp2json\n",
    .opts = table,
    .uses = STAGE_SEED | STAGE_THREADS,
    .about = num_about,
};

struct gen {
    struct stage *stage;
    const struct options *o;
    struct model *model;
    struct decoder *decoder;
    struct bpe *bpe; /* NULL if the folder has none */
    struct generate_options go;
    struct music_tokens music;
    struct grammar grammar;
    size_t batch, n, room;
    struct rec **rec; /* (batch) */
    struct request *request;
    struct generation *out;
};

/* ---- what can be refused before the work starts ---- */

static enum status
check_options(const struct options *o, struct err *err)
{
    if (o->plain &&
        (o->beams > 0 || o->decide || o->modality != NULL || o->no_response || o->samples > 1 || o->unmasked))
        return err_set(
            err, USAGE, "--plain goes with none of --beams --free --modality --no-response --samples --unmasked");
    if (o->beams > 0 && o->samples > 1)
        return err_set(err, USAGE, "--beams and --samples exclude each other");
    if (o->greedy && o->samples > 1)
        return err_set(err, USAGE, "--greedy gives one sample");
    return OK;
}

/* Only --plain can do without a tokenizer, and without music in it. */
static enum status
load_tokenizer(struct gen *g, struct err *err)
{
    struct buf path = {0};
    enum status st = buf_printf(&path, err, "%s/tokenizer.json%c", g->o->model, 0);

    if (st == OK && (!g->o->plain || access(path.p, F_OK) == 0))
        st = bpe_load(&g->bpe, path.p, err);
    buf_free(&path);
    if (st != OK || g->o->plain)
        return st;
    if ((st = music_tokens_find(&g->music, g->bpe, g->model->config.V, g->o->modality, err)) != OK)
        return err_context(err, "%s", g->o->model);
    g->grammar = (struct grammar){
        .start = g->music.start, .end = g->music.end, .n_slots = g->music.n_slots, .slot = g->music.slot};
    return OK;
}

static enum status
start(struct gen *g, struct err *err)
{
    const struct options *o = g->o;
    enum status st;

    if ((st = check_options(o, err)) != OK || (st = model_load(&g->model, o->model, err)) != OK ||
        (st = load_tokenizer(g, err)) != OK)
        return st;
    g->go = (struct generate_options){.seed = stage_seed(g->stage),
        .draw = {.temperature = o->temperature, .top_p = o->top_p, .penalty = o->penalty, .greedy = o->greedy},
        .grammar = o->plain ? NULL : &g->grammar,
        .samples = (size_t)o->samples,
        .beams = (size_t)o->beams,
        .max_tokens = o->no_response ? 0 : (size_t)o->max_tokens,
        .masked = !o->unmasked,
        .decide = o->decide};
    if ((g->room = generate_room(g->model, &g->go)) == 0)
        return err_set(
            err, DATA, "%s: a track does not fit into %zu positions", o->model, g->model->config.max_positions);
    g->batch = generate_batch(g->model, &g->go);
    g->rec = calloc(g->batch, sizeof *g->rec);
    g->request = calloc(g->batch, sizeof *g->request);
    g->out = calloc(g->batch, sizeof *g->out);
    if (g->rec == NULL || g->request == NULL || g->out == NULL)
        return err_memory(err);
    return decoder_new(&g->decoder, g->model, (enum packing)o->weights, err);
}

/* ---- records ---- */

static enum status
read_ids(int32_t **out, size_t *n, const struct gen *g, const msgpack_object *map, struct err *err)
{
    const msgpack_object *ids;
    enum status st;

    if ((st = map_array(&ids, map, "ids", err)) != OK)
        return st;
    if (ids->via.array.size == 0)
        return err_set(err, DATA, "ids: expected at least one token");
    if (ids->via.array.size > g->room)
        return err_set(err, DATA, "ids: %u tokens, but there is room for %zu in the model's %zu positions",
            (unsigned)ids->via.array.size, g->room, g->model->config.max_positions);
    *n = ids->via.array.size;
    if ((*out = calloc(*n, sizeof **out)) == NULL)
        return err_memory(err);
    for (size_t i = 0; i < *n; i++) {
        uint64_t id;

        if ((st = obj_u64(&id, &ids->via.array.ptr[i], "ids", g->model->config.V - 1, err)) != OK)
            return st;
        (*out)[i] = (int32_t)id;
    }
    return OK;
}

/* Puts r into the batch. A prompt to be continued as text may lack an id: then its tokens are its name. */
static enum status
add_record(struct gen *g, const struct rec *r, struct err *err)
{
    struct str id = {NULL, 0};
    int32_t *ids = NULL;
    size_t n = 0;
    enum status st = OK;

    if (!g->o->plain || map_has(&r->map, "query_id"))
        st = map_id(&id, &r->map, "query_id", err);
    if (st == OK && (st = read_ids(&ids, &n, g, &r->map, err)) == OK)
        st = rec_keep(&g->rec[g->n], r, err);
    if (st != OK) {
        free(ids);
        return st;
    }
    if (id.p != NULL)
        (void)map_id(&id, &g->rec[g->n]->map, "query_id", NULL); /* as kept */
    else
        id = (struct str){(const char *)ids, n * sizeof *ids};
    g->request[g->n++] = (struct request){.prompt = {ids, n}, .id = id};
    return OK;
}

static void
put_candidate(struct rec_writer *w, const struct gen *g, const struct candidate *c)
{
    put_map(w, NULL);
    put_map(w, "codes");
    for (size_t i = 0; !c->malformed && i + 1 < c->n; i++) { /* but for <end_of_music> */
        int32_t id = c->token[i];

        put_u64(w, modality_name[g->music.modality[g->music.slot[id] - 1]], (uint64_t)g->music.code[id]);
    }
    put_close(w);
    put_f64(w, "logprob", c->logprob < 0 ? c->logprob : 0); /* rounding may leave 1e-9 above */
    if (c->malformed) {
        put_bool(w, "malformed", true);
        put_array(w, "ids");
        for (size_t i = 0; i < c->n; i++)
            put_u64(w, NULL, (uint64_t)c->token[i]);
        put_close(w);
    }
    put_close(w);
}

static enum status
write_record(struct gen *g, const struct rec *rec, const struct generation *x, struct err *err)
{
    static const char *const carried[] = {"query_id", "turn", "relevant", "history", NULL};
    struct rec_writer *w = stage_out(g->stage);
    struct buf bytes = {0}, text = {0};
    enum status st = OK;

    /* One by one: an embedding may have rows behind the vocabulary, which stand for nothing. */
    for (size_t i = 0; g->bpe != NULL && i < x->n_words; i++)
        if (!bpe_token_special(g->bpe, (uint32_t)x->word[i]) &&
            (st = buf_adds(&bytes, bpe_token_bytes(g->bpe, (uint32_t)x->word[i]), err)) != OK)
            goto out;
    if ((st = utf8_clean(&text, (struct str){bytes.p, bytes.n}, NULL, err)) != OK)
        goto out;
    rec_begin(w);
    for (const char *const *key = carried; *key != NULL; key++)
        if (map_has(&rec->map, *key))
            put_object(w, *key, map_find(&rec->map, *key));
    put_array(w, "candidates");
    for (size_t i = 0; i < x->n_candidates; i++)
        put_candidate(w, g, &x->candidate[i]);
    put_close(w);
    if (!g->o->no_response) {
        if (g->bpe != NULL)
            put_str(w, "response", (struct str){text.p, text.n});
        put_array(w, "response_ids");
        for (size_t i = 0; i < x->n_words; i++)
            put_u64(w, NULL, (uint64_t)x->word[i]);
        put_close(w);
    }
    st = rec_end(w, err);
out:
    buf_free(&bytes);
    buf_free(&text);
    return st;
}

static enum status
run_batch(struct gen *g, struct err *err)
{
    enum status st = generate(g->out, g->decoder, g->request, g->n, &g->go, err);

    for (size_t i = 0; i < g->n; i++) {
        if (st == OK && (st = write_record(g, g->rec[i], &g->out[i], err)) == DATA) {
            stage_reject_rec(g->stage, g->rec[i], err);
            st = OK;
        }
        generation_fini(&g->out[i]);
        free((void *)(uintptr_t)g->request[i].prompt.ids);
        rec_free(g->rec[i]);
    }
    g->n = 0;
    return st;
}

int
main(int argc, char **argv)
{
    struct options o;
    struct gen g = {.o = &o, .stage = stage_start(argc, argv, &program, &o)};
    struct err err;

    num_init(stage_threads(g.stage));
    cli_must(start(&g, &err), &err);
    for (struct rec *r; (r = stage_next(g.stage)) != NULL;) {
        if (add_record(&g, r, &err) != OK)
            stage_reject(g.stage, &err);
        if (g.n == g.batch)
            cli_must(run_batch(&g, &err), &err);
    }
    cli_must(run_batch(&g, &err), &err);
    decoder_free(g.decoder);
    model_free(g.model);
    bpe_free(g.bpe);
    music_tokens_fini(&g.music);
    free(g.rec);
    free(g.request);
    free(g.out);
    return stage_finish(g.stage);
}
