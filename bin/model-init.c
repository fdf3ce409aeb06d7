/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model-init - the model that training starts from: random, or an existing one, with the music tokens added to
 * tokenizer, configuration and weights together. Method and cost: lib/model/init.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/model.h"
#include "music/music.h"
#include "text/text.h"

#define COVARIANCE 1e-5 /* Hewitt's factor */
#define TOKENIZER_MAX ((size_t)256 << 20)

enum init { HEWITT, MEAN };
static const enum dtype dtypes[] = {DTYPE_OTHER, DTYPE_F32, DTYPE_BF16, DTYPE_F16}; /* of --dtype */

struct options {
    const char *base, *config, *output, *tokenizer;
    int64_t clusters, ffn, heads, hidden, kv_heads, layers, positions, shard_size;
    int dtype, init;
    double std;
    bool untied;
};

static const struct opt table[] = {
    OPT_STR(0, "base", struct options, base, "DIR", NULL, "existing model folder to add the tokens to"),
    OPT_INT('k', "clusters", struct options, clusters, "K", "1024", 1, CODE_MAX + 1, "codes of a modality"),
    OPT_STR(
        0, "config", struct options, config, "FILE", NULL, "config.json of a random model; sizes given override it"),
    OPT_ENUM(
        0, "dtype", struct options, dtype, "base", "base|f32|bf16|f16", "of the weights; a random model's base is f32"),
    OPT_INT(0, "ffn", struct options, ffn, "N", "0", 0, MODEL_MAX_F, "feed-forward size (8/3 hidden, in sixteens)"),
    OPT_INT(0, "heads", struct options, heads, "N", "0", 0, MODEL_MAX_H, "query heads (4)"),
    OPT_INT(0, "hidden", struct options, hidden, "N", "0", 0, MODEL_MAX_D, "hidden size (192)"),
    OPT_ENUM(
        0, "init", struct options, init, "hewitt", "hewitt|mean", "new rows: drawn like the old ones, or their mean"),
    OPT_INT(0, "kv-heads", struct options, kv_heads, "N", "0", 0, MODEL_MAX_H, "key/value heads (as many as heads)"),
    OPT_INT(0, "layers", struct options, layers, "N", "0", 0, MODEL_MAX_L, "layers (4)"),
    OPT_NEED('o', "output", struct options, output, "DIR", "folder to make, whole or not at all"),
    OPT_INT(0, "positions", struct options, positions, "N", "0", 0, MODEL_MAX_POSITIONS, "longest context (1024)"),
    OPT_INT(0, "shard-size", struct options, shard_size, "MB", "5000", 1, 1 << 30, "largest file of weights"),
    OPT_REAL(0, "std", struct options, std, "R", "0.02", 1e-6, 1, "deviation of random weights"),
    OPT_STR(0, "tokenizer", struct options, tokenizer, "FILE", NULL, "tokenizer.json of a random model"),
    OPT_FLAG(0, "untied", struct options, untied, "a random model's output matrix is not its embedding"),
    OPT_END,
};

static const struct program program = {
    .name = "model-init",
    .purpose = "make the model that training starts from, music tokens included",
    .operands = "",
    .in = "a tokenizer.json, or a Hugging Face model folder",
    .out = "a Hugging Face model folder",
    .examples = "model-init --tokenizer tokenizer.json --clusters 128 --hidden 192 --layers 4 -o model\n"
                "model-init --base Llama-3.2-1B-Instruct --clusters 1024 -o model\n",
    .opts = table,
    .uses = STAGE_SEED | STAGE_THREADS | STAGE_NO_OUT | STAGE_NO_IN | STAGE_QUIET,
    .about = num_about,
};

struct init_run {
    const struct options *o;
    uint64_t seed;
    struct buf tokenizer; /* with the music tokens */
    uint32_t first;       /* of their ids */
    size_t added;
    struct model *model;         /* random, or NULL */
    struct extension *extension; /* of --base */
    const struct model_config *config;
    enum dtype dtype; /* in the file */
};

static enum status
check_options(const struct options *o, struct err *err)
{
    struct stat sb;

    if ((o->base == NULL) == (o->tokenizer == NULL))
        return err_set(err, USAGE, "one of --base DIR and --tokenizer FILE is needed");
    if (o->base != NULL && (o->config != NULL || o->untied ||
                               (o->ffn | o->heads | o->hidden | o->kv_heads | o->layers | o->positions) != 0))
        return err_set(err, USAGE, "--base has its own sizes: --config, --untied and sizes are for --tokenizer");
    if (lstat(o->output, &sb) == 0)
        return err_set(err, NOCREATE, "%s: exists", o->output);
    return OK;
}

/* The tokenizer with the music tokens, and what the old one has as first id behind it. */
static enum status
add_tokens(struct init_run *r, struct err *err)
{
    struct buf path = {0}, json = {0};
    enum status st = r->o->base == NULL ? buf_printf(&path, err, "%s%c", r->o->tokenizer, 0)
                                        : buf_printf(&path, err, "%s/tokenizer.json%c", r->o->base, 0);

    r->added = (size_t)MODALITIES * (size_t)r->o->clusters + 2;
    if (st == OK && (st = file_read(&json, path.p, TOKENIZER_MAX, err)) == OK &&
        (st = bpe_add_music(&r->tokenizer, &r->first, (struct str){json.p, json.n}, (size_t)r->o->clusters, err)) != OK)
        (void)err_context(err, "%s", path.p);
    buf_free(&path);
    buf_free(&json);
    return st;
}

/* ---- a random model ---- */

static void
set_size(size_t *size, int64_t given, size_t otherwise)
{
    if (given > 0)
        *size = (size_t)given;
    else if (*size == 0)
        *size = otherwise;
}

static enum status
set_config(struct model_config *c, const struct init_run *r, struct err *err)
{
    const struct options *o = r->o;
    size_t head = 0;
    enum status st;

    if (o->config != NULL) {
        if ((st = config_read(c, o->config, err)) != OK)
            return st;
        /* A head keeps its size only if neither of those that it may follow from is changed. */
        head = o->hidden == 0 && o->heads == 0 ? c->E : 0;
        c->F = o->hidden != 0 ? 0 : c->F;
        c->G = o->heads != 0 ? 0 : c->G;
        c->tied = c->tied && !o->untied;
    } else
        *c = (struct model_config){.norm_eps = 1e-5, .rope_theta = 10000, .tied = !o->untied};
    set_size(&c->D, o->hidden, 192);
    set_size(&c->L, o->layers, 4);
    set_size(&c->H, o->heads, 4);
    set_size(&c->G, o->kv_heads, c->H);
    set_size(&c->F, o->ffn, (c->D * 8 / 3 + 15) / 16 * 16);
    set_size(&c->max_positions, o->positions, 1024);
    if (head == 0 && c->D % c->H != 0)
        return err_set(err, USAGE, "--hidden %zu is not a multiple of --heads %zu", c->D, c->H);
    c->E = head != 0 ? head : c->D / c->H;
    if (c->E % 2 != 0)
        return err_set(err, USAGE, "heads of %zu numbers: expected an even number", c->E);
    if (c->H % c->G != 0)
        return err_set(err, USAGE, "--heads %zu is not a multiple of --kv-heads %zu", c->H, c->G);
    c->V = (size_t)r->first + r->added;
    return c->V > MODEL_MAX_V ? err_set(err, DATA, "a vocabulary of %zu tokens: at most %zu", c->V, MODEL_MAX_V)
                              : special_find(c, o->tokenizer, err);
}

static enum status
make_model(struct init_run *r, struct err *err)
{
    const struct options *o = r->o;
    struct model_config c;
    enum status st;

    r->dtype = dtypes[o->dtype];
    if (o->base == NULL) {
        if ((st = set_config(&c, r, err)) != OK || (st = model_new(&r->model, &c, err)) != OK)
            return st;
        init_random(r->model, r->seed, o->std);
        r->config = &r->model->config;
        r->dtype = r->dtype == DTYPE_OTHER ? DTYPE_F32 : r->dtype;
        return OK;
    }
    st = init_extend(
        &r->extension, o->base, r->first, r->added, r->seed, o->init == HEWITT ? COVARIANCE : 0, r->dtype, err);
    if (st != OK)
        return st;
    r->config = &r->extension->config;
    r->dtype = r->extension->dtype;
    return OK;
}

/* ---- the folder: built beside, renamed ---- */

static uint64_t
shard_bytes(const struct init_run *r)
{
    return (uint64_t)r->o->shard_size * 1000000;
}

static enum status
write_weights(const struct init_run *r, const char *dir, struct err *err)
{
    const struct extension *x = r->extension;
    enum status st;

    if (x == NULL)
        return model_save_as(
            dir, r->config, r->model->params, &(struct save_options){r->dtype, shard_bytes(r), NULL}, err);
    st = weights_write(dir, x->tensor, x->n_tensors, shard_bytes(r), err);
    return st == OK ? config_save(dir, r->config, r->o->base, r->dtype, err) : st;
}

static enum status
write_folder(const struct init_run *r, const char *dir, struct err *err)
{
    struct buf text = {0};
    enum status st = folder_write(dir, "tokenizer.json", r->tokenizer.p, r->tokenizer.n, err);

    if (st == OK)
        st = r->o->base == NULL ? special_write(dir, r->config, err) : folder_carry_rest(dir, r->o->base, err);
    if (st == OK && !folder_has(dir, "generation_config.json") &&
        (st = config_generation_json(&text, r->config, err)) == OK)
        st = folder_write(dir, "generation_config.json", text.p, text.n, err);
    if (st == OK)
        st = write_weights(r, dir, err);
    buf_free(&text);
    return st;
}

/* Everything that may come to lie in the folder. */
static enum status
name_files(struct draft *d, const struct init_run *r, struct err *err)
{
    size_t shards = r->extension == NULL
                        ? params_shards(r->model->params, r->dtype, shard_bytes(r))
                        : weights_shards(r->extension->tensor, r->extension->n_tensors, shard_bytes(r));
    enum status st;

    if ((st = draft_name(d, "config.json", err)) == OK)
        st = draft_name(d, "model.safetensors.index.json", err);
    for (size_t i = 0; st == OK && folder_files[i] != NULL; i++)
        st = draft_name(d, folder_files[i], err);
    for (size_t i = 0; st == OK && i < shards; i++) {
        char name[SHARD_NAME];

        weights_shard_name(name, i, shards);
        st = draft_name(d, name, err);
    }
    return st;
}

static enum status
save(const struct init_run *r, struct err *err)
{
    struct draft d;
    enum status st;

    if ((st = draft_begin(&d, r->o->output, err)) == OK && (st = name_files(&d, r, err)) == OK &&
        (st = write_folder(r, d.dir.p, err)) == OK)
        st = draft_end(&d, err);
    draft_fini(&d);
    return st;
}

int
main(int argc, char **argv)
{
    struct options o;
    struct stage *s = stage_start(argc, argv, &program, &o);
    struct init_run r = {.o = &o, .seed = stage_seed(s)};
    struct err err;

    num_init(stage_threads(s));
    cli_must(check_options(&o, &err), &err);
    cli_must(add_tokens(&r, &err), &err);
    cli_must(make_model(&r, &err), &err);
    cli_must(save(&r, &err), &err);
    stage_tally(s, "parameters", params_count(r.config));
    stage_tally(s, "vocabulary", r.config->V);
    buf_free(&r.tokenizer);
    model_free(r.model);
    extension_free(r.extension);
    return stage_finish(s);
}
