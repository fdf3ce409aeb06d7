/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model-info - what a model folder holds: sizes, tensors, checksums, vocabulary, and how like their codebooks its music
 * tokens are. Nothing is computed with the model; its files are mapped and read once.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model/train.h"
#include "text/text.h"

struct options {
    struct opt_list centroids;
    bool quick, table;
};

static const struct opt table[] = {
    OPT_LIST(0, "centroids", struct options, centroids, "FILE", "codebooks to compare music tokens with; many times"),
    OPT_FLAG(0, "quick", struct options, quick, "without checksums: the tensors are not read"),
    OPT_FLAG(0, "table", struct options, table, "text for people, no records"),
    OPT_END,
};

static const struct program program = {
    .name = "model-info",
    .purpose = "shapes, types, checksums and vocabulary of a model",
    .operands = "DIR",
    .in = "a Hugging Face model folder",
    .out = "info; with --table text",
    .examples = "model-info --table --centroids playlist.mp --centroids audio.mp model\n"
                "model-info model | mp2json | jq -r 'select(.part == \"model\").sha256'\n",
    .opts = table,
    .uses = STAGE_THREADS | STAGE_NO_IN | STAGE_QUIET | STAGE_TEXT_OUT,
    .about = num_about,
};

/* All that is known of a model. */
struct info {
    const struct options *o;
    struct model_config c;
    struct weights *w;
    const struct weight *tensor; /* (n) in the order of their names */
    size_t n, files;
    char (*checksum)[CHECKSUM], all[CHECKSUM];
    size_t tokens, music[MODALITIES]; /* of the tokenizer; 0 where the folder has none */
    struct selfsim_target target[MODALITIES];
    size_t n_targets;
    double difference[MODALITIES], correlation[MODALITIES];
};

/* ---- gathering ---- */

static enum status
count_tokens(struct info *i, const char *dir, struct err *err)
{
    struct bpe *bpe = NULL;
    enum modality m;
    int32_t code;
    enum status st;

    if (!folder_has(dir, "tokenizer.json"))
        return OK;
    if ((st = bpe_load(&bpe, dir, err)) != OK)
        return st;
    i->tokens = bpe_vocab_size(bpe);
    for (uint32_t id = 0; id < i->tokens; id++)
        if (token_parse(&m, &code, bpe_token_text(bpe, id)))
            i->music[m]++;
    bpe_free(bpe);
    return OK;
}

static enum status
gather(struct info *i, const char *dir, struct err *err)
{
    enum status st;

    if ((st = config_load(&i->c, dir, err)) != OK || (st = weights_open(&i->w, dir, err)) != OK ||
        (st = count_tokens(i, dir, err)) != OK)
        return st;
    i->tensor = weights_all(&i->n, i->w);
    i->files = weights_files(i->w);
    if ((i->checksum = calloc(i->n + 1, sizeof *i->checksum)) == NULL)
        return err_memory(err);
    if (!i->o->quick && (st = weights_checksums(i->checksum, i->all, i->w, err)) != OK)
        return st;
    st = selfsim_targets(i->target, &i->n_targets, &i->o->centroids, dir, i->c.V, err);
    for (size_t k = 0; st == OK && k < i->n_targets; k++)
        st = selfsim_measure(&i->difference[k], &i->correlation[k], &i->target[k], i->w, &i->c, err);
    return st;
}

/* ---- records ---- */

static enum status
put_model(struct rec_writer *out, const struct info *i, struct err *err)
{
    const struct model_config *c = &i->c;

    rec_begin(out);
    put_text(out, "part", "model");
    put_u64(out, "parameters", params_count(c));
    put_u64(out, "bytes", weights_bytes(i->w));
    put_u64(out, "tensors", i->n);
    put_u64(out, "files", i->files);
    put_u64(out, "vocab_size", c->V);
    put_u64(out, "hidden_size", c->D);
    put_u64(out, "layers", c->L);
    put_u64(out, "heads", c->H);
    put_u64(out, "kv_heads", c->G);
    put_u64(out, "head_dim", c->E);
    put_u64(out, "ffn_size", c->F);
    put_u64(out, "positions", c->max_positions);
    put_bool(out, "tied", c->tied);
    if (i->tokens > 0) {
        put_u64(out, "tokens", i->tokens);
        put_map(out, "music_tokens");
        for (int m = 0; m < MODALITIES; m++)
            if (i->music[m] > 0)
                put_u64(out, modality_name[m], i->music[m]);
        put_close(out);
    }
    if (!i->o->quick)
        put_text(out, "sha256", i->all);
    return rec_end(out, err);
}

static enum status
put_tensor(struct rec_writer *out, const struct info *i, size_t k, struct err *err)
{
    const struct weight *t = &i->tensor[k];

    rec_begin(out);
    put_text(out, "part", "tensor");
    put_text(out, "name", t->name);
    put_text(out, "dtype", t->type);
    put_array(out, "shape");
    for (size_t d = 0; d < t->dims; d++)
        put_u64(out, NULL, t->dim[d]);
    put_close(out);
    put_u64(out, "parameters", t->count);
    put_u64(out, "bytes", t->bytes);
    put_text(out, "file", t->file);
    if (!i->o->quick)
        put_text(out, "sha256", i->checksum[k]);
    return rec_end(out, err);
}

static enum status
put_modality(struct rec_writer *out, const struct info *i, size_t k, struct err *err)
{
    rec_begin(out);
    put_text(out, "part", "modality");
    put_text(out, "modality", modality_name[i->target[k].modality]);
    put_u64(out, "codes", i->target[k].K);
    put_f64(out, "selfsim", i->difference[k]);
    put_f64(out, "correlation", i->correlation[k]);
    return rec_end(out, err);
}

static enum status
write_records(struct rec_writer *out, const struct info *i, struct err *err)
{
    enum status st = put_model(out, i, err);

    for (size_t k = 0; st == OK && k < i->n_targets; k++)
        st = put_modality(out, i, k, err);
    for (size_t k = 0; st == OK && k < i->n; k++)
        st = put_tensor(out, i, k, err);
    return st;
}

/* ---- text ---- */

static enum status
add_head(struct buf *b, const struct info *i, struct err *err)
{
    const struct model_config *c = &i->c;
    enum status st = buf_printf(b, err,
        "layers      %zu\nhidden      %zu\nheads       %zu of %zu, %zu of keys and values\nffn         %zu\n"
        "positions   %zu\nparameters  %zu%s\nbytes       %" PRIu64 " in %zu file%s\nvocabulary  %zu rows",
        c->L, c->D, c->H, c->E, c->G, c->F, c->max_positions, params_count(c), c->tied ? ", head tied" : "",
        weights_bytes(i->w), i->files, i->files == 1 ? "" : "s", c->V);

    if (st == OK && i->tokens > 0)
        st = buf_printf(b, err, ", %zu tokens", i->tokens);
    for (int m = 0; st == OK && m < MODALITIES; m++)
        if (i->music[m] > 0)
            st = buf_printf(b, err, ", %zu %s", i->music[m], modality_name[m]);
    if (st == OK && !i->o->quick)
        st = buf_printf(b, err, "\nsha256      %s", i->all);
    return st == OK ? buf_printf(b, err, "\n") : st;
}

static enum status
add_tensor(struct buf *b, const struct info *i, size_t k, struct err *err)
{
    const struct weight *t = &i->tensor[k];
    enum status st = buf_printf(b, err, "%-48s %-5s %.12s ", t->name, t->type, i->checksum[k]);

    for (size_t d = 0; st == OK && d < t->dims; d++)
        st = buf_printf(b, err, "%s%zu", d > 0 ? " x " : "", t->dim[d]);
    return st == OK ? buf_printf(b, err, "\n") : st;
}

static enum status
write_table(struct rec_writer *out, const struct info *i, struct err *err)
{
    struct buf b = {0};
    enum status st = add_head(&b, i, err);

    for (size_t k = 0; st == OK && k < i->n_targets; k++)
        st = buf_printf(&b, err, "%-11s %zu codes, selfsim %.4f, correlation %.3f\n",
            modality_name[i->target[k].modality], i->target[k].K, i->difference[k], i->correlation[k]);
    if (st == OK)
        st = buf_printf(&b, err, "\n");
    for (size_t k = 0; st == OK && k < i->n; k++)
        st = add_tensor(&b, i, k, err);
    if (st == OK)
        st = rec_raw(out, b.p, b.n, err);
    buf_free(&b);
    return st;
}

int
main(int argc, char **argv)
{
    struct options o;
    struct stage *s = stage_start(argc, argv, &program, &o);
    struct info i = {.o = &o};
    char **dir;
    struct err err;

    if (stage_operands(&dir, s) != 1)
        cli_must(
            err_set(&err, USAGE, "one model folder is needed; usage: model-info [options] DIR (try --help)"), &err);
    num_init(stage_threads(s));
    if (!o.table && stage_to_terminal(s))
        cli_must(err_set(&err, USAGE, "binary output to a terminal: use --table, -o FILE, or a pipe (| mp2json | jq)"),
            &err);
    cli_must(gather(&i, dir[0], &err), &err);
    cli_must(o.table ? write_table(stage_out(s), &i, &err) : write_records(stage_out(s), &i, &err), &err);
    selfsim_targets_fini(i.target);
    free(i.checksum);
    weights_close(i.w);
    return stage_finish(s);
}
