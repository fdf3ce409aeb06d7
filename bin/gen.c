/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen - lets the model answer: a track as music tokens, then words (Doh, Choi, Nam 2025, §4.3). Method and cost:
 * lib/model/generate.c.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/generate.h"
#include "text/text.h"

struct options {
    int64_t beams, max_expand, max_tokens, samples, top;
    bool decide, greedy, interactive, keep_history, no_response, plain, unmasked;
    const char *items, *modality, *model;
    double penalty, temperature, top_p;
    int weights; /* enum packing */
};

#define AHEAD 16 /* records read for each place, so that a long answer does not keep the places empty */

static const struct opt table[] = {
    OPT_INT(0, "beams", struct options, beams, "N", "0", 0, 4096, "candidates by beam search; 0: by sampling"),
    OPT_STR(0, "constrain", struct options, items, "ITEMS", NULL,
        "item records: the likeliest of their tuples, by exact search over the catalogue"),
    OPT_FLAG(0, "free", struct options, decide, "the model decides whether to recommend"),
    OPT_FLAG(0, "greedy", struct options, greedy, "take the likeliest token instead of drawing one"),
    OPT_FLAG(0, "interactive", struct options, interactive, "answer each record before the next is read"),
    OPT_FLAG(0, "keep-history", struct options, keep_history, "--constrain: tracks of the history, too"),
    OPT_INT(0, "max-expand", struct options, max_expand, "N", "0", 0, INT64_MAX,
        "--constrain: expand N prefixes at most, then say exact=false; 0: all it takes"),
    OPT_INT(0, "max-tokens", struct options, max_tokens, "N", "128", 1, 1 << 20, "tokens of the words, at most"),
    OPT_STR(
        0, "modality", struct options, modality, "NAMES", NULL, "modalities of the run, as in a,b,c (all there are)"),
    OPT_NEED(0, "model", struct options, model, "DIR", "model folder"),
    OPT_FLAG(0, "no-response", struct options, no_response, "music only, no words"),
    OPT_FLAG(0, "plain", struct options, plain, "continue any prompt as text: no music, no masks"),
    OPT_REAL(0, "repetition-penalty", struct options, penalty, "R", "1.0", 0.1, 10, "above 1: repeat less"),
    OPT_INT(0, "samples", struct options, samples, "N", "1", 1, 4096, "candidates by sampling"),
    OPT_REAL(0, "temperature", struct options, temperature, "T", "1.0", 0.01, 100, "below 1: draw more likely tokens"),
    OPT_INT(0, "top", struct options, top, "N", "100", 1, 1000000, "--constrain: tracks that the candidates must have"),
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
                "gen --model model --constrain items.mp prompts.mp | match --exact --items items.mp -o ranking.mp\n"
                "gen --model Llama-3.2-1B-Instruct --plain --greedy --max-tokens 20 prompts.mp | mp2json\n",
    .opts = table,
    .uses = STAGE_SEED | STAGE_THREADS,
    .about = num_about,
};

/* A record on its way. */
struct job {
    struct rec *rec;
    int32_t *ids;
    uint32_t *dropped;
    struct request request;
    struct generation out;
};

struct gen {
    struct stage *stage;
    const struct options *o;
    struct model_config config;
    struct weights *weights;
    struct decoder *decoder;
    struct bpe *bpe; /* NULL if the folder has none */
    struct generate_options go;
    struct music_tokens music;
    struct grammar grammar;
    struct answer answer;
    struct generator *generator;
    size_t room;
    struct tracks *tracks; /* --constrain */
    struct quantiles expansions, ms;
    uint64_t inexact;
    /* Records on their way, a ring: those from first on, some of them done, wait for their turn to be written. */
    struct job *job;
    size_t window, first, n;
};

/* ---- what can be refused before the work starts ---- */

static enum status
check_options(const struct options *o, struct err *err)
{
    if (o->plain && (o->beams > 0 || o->items != NULL || o->decide || o->modality != NULL || o->no_response ||
                        o->samples > 1 || o->unmasked))
        return err_set(err, USAGE,
            "--plain goes with none of --beams --constrain --free --modality --no-response --samples --unmasked");
    if ((o->beams > 0) + (o->samples > 1) + (o->items != NULL) > 1)
        return err_set(err, USAGE, "of --beams, --constrain and --samples each excludes the others");
    if (o->items != NULL && o->unmasked)
        return err_set(err, USAGE, "--constrain and --unmasked exclude each other");
    if (o->items == NULL && (o->max_expand > 0 || o->keep_history))
        return err_set(err, USAGE, "--keep-history and --max-expand need --constrain");
    if (o->greedy && o->samples > 1)
        return err_set(err, USAGE, "--greedy gives one sample");
    return OK;
}

/* A turn ends with it, though the configuration may be that of a model without conversations. */
static void
end_turns(struct model_config *c, uint32_t eot)
{
    bool there = eot == BPE_NONE || c->n_eos == MODEL_MAX_EOS;

    for (size_t i = 0; i < c->n_eos; i++)
        there = there || c->eos[i] == (int32_t)eot;
    if (!there)
        c->eos[c->n_eos++] = (int32_t)eot;
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
    if ((st = music_tokens_find(&g->music, g->bpe, g->config.V, g->o->modality, err)) != OK)
        return err_context(err, "%s", g->o->model);
    end_turns(&g->config, bpe_token_id(g->bpe, STR("<|eot_id|>")));
    g->grammar = (struct grammar){
        .start = g->music.start, .end = g->music.end, .n_slots = g->music.n_slots, .slot = g->music.slot};
    return OK;
}

static enum status
start(struct gen *g, struct err *err)
{
    const struct options *o = g->o;
    enum status st;

    if ((st = check_options(o, err)) != OK || (st = config_load(&g->config, o->model, err)) != OK ||
        (st = config_load_ends(&g->config, o->model, err)) != OK ||
        (st = weights_open(&g->weights, o->model, err)) != OK || (st = load_tokenizer(g, err)) != OK ||
        (o->items != NULL && (st = tracks_load(&g->tracks, o->items, &g->music, err)) != OK))
        return st;
    g->go = (struct generate_options){.seed = stage_seed(g->stage),
        .draw = {.temperature = o->temperature, .top_p = o->top_p, .penalty = o->penalty, .greedy = o->greedy},
        .grammar = o->plain ? NULL : &g->grammar,
        .samples = (size_t)o->samples,
        .beams = (size_t)o->beams,
        .trie = tracks_trie(g->tracks),
        .top = (size_t)o->top,
        .max_expand = (size_t)o->max_expand,
        .max_tokens = o->no_response ? 0 : (size_t)o->max_tokens,
        .masked = !o->unmasked,
        .decide = o->decide};
    g->answer =
        (struct answer){.bpe = g->bpe, .music = &g->music, .constrained = g->tracks != NULL, .words = !o->no_response};
    if ((g->room = generate_room(&g->config, &g->go)) == 0)
        return err_set(err, DATA, "%s: a track does not fit into %zu positions", o->model, g->config.max_positions);
    if ((st = decoder_open(&g->decoder, &g->config, g->weights, (enum packing)o->weights, err)) != OK ||
        (st = generator_new(&g->generator, g->decoder, &g->go, err)) != OK)
        return st;
    g->window = o->interactive ? 1 : AHEAD * generator_places(g->generator);
    g->job = calloc(g->window, sizeof *g->job);
    return g->job == NULL ? err_memory(err) : OK;
}

/* ---- records in ---- */

static void
job_free(struct job *job)
{
    generation_fini(&job->out);
    free(job->ids);
    free(job->dropped);
    rec_free(job->rec);
}

/* Puts r on its way. A prompt to be continued as text may lack an id: then its tokens are its name. */
static enum status
add_record(struct gen *g, const struct rec *r, struct err *err)
{
    struct job *job = &g->job[(g->first + g->n) % g->window];
    struct str id = {NULL, 0};
    size_t n = 0;
    enum status st = OK;

    *job = (struct job){0};
    if (!g->o->plain || map_has(&r->map, "query_id"))
        st = map_id(&id, &r->map, "query_id", err);
    if (st == OK && (st = prompt_ids(&job->ids, &n, &r->map, g->room, &g->config, err)) == OK)
        st = rec_keep(&job->rec, r, err);
    if (st == OK) {
        if (id.p != NULL)
            (void)map_id(&id, &job->rec->map, "query_id", NULL); /* as kept */
        else
            id = (struct str){(const char *)job->ids, n * sizeof *job->ids};
        job->request = (struct request){.prompt = {job->ids, n}, .id = id};
        if (g->tracks != NULL && !g->o->keep_history)
            st = tracks_history(&job->dropped, &job->request.n_dropped, g->tracks, &job->rec->map, err);
        job->request.dropped = job->dropped;
    }
    if (st == OK)
        st = generator_add(g->generator, &job->request, &job->out, err);
    if (st == OK)
        g->n++;
    else
        job_free(job);
    return st;
}

/* ---- records out ---- */

/* Writes what is done and has nothing unwritten before it. */
static enum status
write_done(struct gen *g, struct err *err)
{
    enum status st = OK;

    for (; st == OK && g->n > 0 && g->job[g->first].out.done; g->n--) {
        struct job *job = &g->job[g->first];

        if ((st = answer_put(stage_out(g->stage), &job->rec->map, &job->out, &g->answer, err)) == DATA) {
            stage_reject_rec(g->stage, job->rec, err);
            st = OK;
        }
        if (st == OK && job->out.expansions > 0) {
            g->inexact += !job->out.exact;
            if ((st = quantiles_add(&g->expansions, (double)job->out.expansions, err)) == OK)
                st = quantiles_add(&g->ms, 1000 * job->out.seconds, err);
        }
        job_free(job);
        g->first = (g->first + 1) % g->window;
    }
    if (st == OK && g->o->interactive)
        st = rec_flush(stage_out(g->stage), err);
    return st;
}

/* Whether another record may be read. */
static bool
has_place(const struct gen *g)
{
    return g->n < g->window && generator_places(g->generator) > 0;
}

int
main(int argc, char **argv)
{
    struct options o;
    struct gen g = {.o = &o, .stage = stage_start(argc, argv, &program, &o)};
    struct rec *r = NULL;
    struct err err;

    num_init(stage_threads(g.stage));
    cli_must(start(&g, &err), &err);
    do {
        while (has_place(&g) && (r = stage_next(g.stage)) != NULL)
            if (add_record(&g, r, &err) != OK)
                stage_reject(g.stage, &err);
        cli_must(generator_pass(g.generator, &err), &err);
        cli_must(write_done(&g, &err), &err);
    } while (r != NULL || g.n > 0);
    if (g.tracks != NULL) {
        stage_tally(g.stage, "inexact", g.inexact);
        stage_tally_real(g.stage, "expansions_median", quantiles_at(&g.expansions, 0.5));
        stage_tally_real(g.stage, "expansions_p95", quantiles_at(&g.expansions, 0.95));
        stage_tally_real(g.stage, "ms_median", quantiles_at(&g.ms, 0.5));
        stage_tally_real(g.stage, "ms_p95", quantiles_at(&g.ms, 0.95));
    }
    generator_free(g.generator);
    decoder_free(g.decoder);
    weights_close(g.weights);
    bpe_free(g.bpe);
    music_tokens_fini(&g.music);
    tracks_free(g.tracks);
    quantiles_free(&g.expansions);
    quantiles_free(&g.ms);
    free(g.job);
    return stage_finish(g.stage);
}
