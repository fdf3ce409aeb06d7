/* SPDX-License-Identifier: Apache-2.0 */
/* model-export - a model folder as one GGUF file, which llama.cpp runs. Method and cost: lib/model/export.c. */
#include "model/model.h"
#include "text/text.h"

struct options {
    const char *gguf, *model;
    int type;
};

static const struct opt table[] = {
    OPT_NEED(0, "gguf", struct options, gguf, "FILE", "GGUF file to write, whole or not at all"),
    OPT_NEED('m', "model", struct options, model, "DIR", "model folder"),
    OPT_ENUM(0, "type", struct options, type, "base", "base|f32|f16|bf16|q8_0", "of matrices; base: as they are"),
    OPT_END,
};

static const struct program program = {
    .name = "model-export",
    .purpose = "write a model as a GGUF file for llama.cpp",
    .operands = "",
    .in = "a Hugging Face model folder",
    .out = "a GGUF file",
    .examples = "model-export --model model --gguf model.gguf\n"
                "model-export --model model --type q8_0 --gguf model-q8_0.gguf\n",
    .opts = table,
    .uses = STAGE_THREADS | STAGE_NO_OUT | STAGE_NO_IN | STAGE_QUIET,
    .about = num_about,
};

/* Does a text begin with the model's first token? The tokenizer is read whole: what is refused there, is here. */
static enum status
begins_with_bos(bool *yes, const char *dir, const struct model_config *c, struct err *err)
{
    struct bpe *bpe = NULL;
    struct bpe_encoder *e = NULL;
    struct tokens ids = {0};
    enum status st;

    if ((st = bpe_load(&bpe, dir, err)) == OK && (st = bpe_encoder_new(&e, bpe, err)) == OK &&
        (st = bpe_encode_whole(&ids, e, STR("a"), err)) == OK) {
        *yes = c->bos >= 0 && ids.n > 0 && ids.p[0] == (uint32_t)c->bos;
        if (bpe_vocab_size(bpe) > c->V)
            st = err_set(
                err, DATA, "%s: the tokenizer has %u tokens, the model %zu", dir, (unsigned)bpe_vocab_size(bpe), c->V);
    }
    tokens_free(&ids);
    bpe_encoder_free(e);
    bpe_free(bpe);
    return st;
}

int
main(int argc, char **argv)
{
    struct options o;
    struct stage *s = stage_start(argc, argv, &program, &o);
    struct model_config c;
    struct weights *w = NULL;
    bool bos = false;
    struct err err;

    num_init(stage_threads(s));
    cli_must(config_load(&c, o.model, &err), &err);
    cli_must(weights_open(&w, o.model, &err), &err);
    cli_must(begins_with_bos(&bos, o.model, &c, &err), &err);
    cli_must(model_export_gguf(o.gguf, o.model, &c, w, (enum gguf_as)o.type, bos, &err), &err);
    stage_tally(s, "parameters", params_count(&c));
    weights_close(w);
    return stage_finish(s);
}
