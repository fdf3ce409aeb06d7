/* SPDX-License-Identifier: Apache-2.0 */
/* sft-train - fine-tunes a model on conversations and playlists with the three losses of TalkPlay. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "model/train.h"
#include "music/music.h"

struct options {
    const char *model, *save, *checkpoint, *train;
    struct opt_list centroids;
    int64_t batch, batch_tokens, checkpoint_every, micro_tokens, shard_size, shares, steps, valid_every, valid_max,
        warmup;
    double beta1, beta2, clip, epochs, lambda, mix, rate, weight_decay;
    int decay, dtype, moments, precision;
    bool checkpointing, resume;
};

enum precision { F32, BF16, AUTO };

struct run {
    const struct options *o;
    struct stage *stage;
    struct model *m;
    struct dataset *data;
    struct selfsim_target target[MODALITIES];
    struct sft *sft;
    struct sft_options so;
    struct kept kept;
};

static const struct opt table[] = {
    OPT_INT(0, "batch", struct options, batch, "N", "48", 1, 1 << 20, "examples a step"),
    OPT_INT(
        0, "batch-tokens", struct options, batch_tokens, "N", "0", 0, 1 << 26, "tokens a step, in place of --batch"),
    OPT_REAL(0, "beta1", struct options, beta1, "R", "0.9", 0, 0.9999, "AdamW: decay of the first moment"),
    OPT_REAL(0, "beta2", struct options, beta2, "R", "0.999", 0, 0.999999, "AdamW: decay of the second moment"),
    OPT_LIST(0, "centroids", struct options, centroids, "FILE", "codebooks of the self-similarity loss; many times"),
    OPT_STR(0, "checkpoint", struct options, checkpoint, "FILE", NULL, "keep there what a resume needs"),
    OPT_INT(0, "checkpoint-every", struct options, checkpoint_every, "N", "100", 1, INT64_MAX, "steps between two"),
    OPT_FLAG(
        0, "checkpointing", struct options, checkpointing, "compute activations twice: less memory, a third slower"),
    OPT_REAL(0, "clip", struct options, clip, "R", "1", 0, 1e30, "largest norm of the gradient; 0 for any"),
    OPT_ENUM(0, "decay", struct options, decay, "cosine", "cosine|linear|constant", "how the rate falls to 0"),
    OPT_ENUM(0, "dtype", struct options, dtype, "f32", "f32|bf16|f16", "of the weights in --save"),
    OPT_REAL(0, "epochs", struct options, epochs, "R", "1", 1e-6, 1e6, "passes over the training examples"),
    OPT_REAL(0, "lambda", struct options, lambda, "R", "0.1", 0, 1e6, "weight of the self-similarity loss"),
    OPT_INT(0, "micro-tokens", struct options, micro_tokens, "N", "2048", 1, 1 << 26,
        "tokens that go through the model at once"),
    OPT_REAL(0, "mix", struct options, mix, "R", "0.5", 0, 1, "share of conversations in a batch"),
    OPT_NEED('m', "model", struct options, model, "DIR", "the model to start from"),
    OPT_ENUM(0, "moments", struct options, moments, "f32", "f32|bf16", "of AdamW, in memory"),
    OPT_ENUM(0, "precision", struct options, precision, "f32", "f32|bf16|auto",
        "of products; sums and weights stay float32"),
    OPT_REAL(0, "rate", struct options, rate, "R", "1e-4", 0, 10, "largest learning rate"),
    OPT_FLAG(0, "resume", struct options, resume, "go on from the checkpoint if there is one"),
    OPT_NEED(0, "save", struct options, save, "DIR", "folder of the resulting model"),
    OPT_INT(0, "shard-size", struct options, shard_size, "MB", "5000", 1, 1 << 30, "largest file of weights in --save"),
    OPT_INT(0, "shares", struct options, shares, "N", "4", 1, 64,
        "parts that a step's gradient is the sum of, to be computed by as many processes"),
    OPT_INT(0, "steps", struct options, steps, "N", "0", 0, INT64_MAX, "steps, in place of --epochs"),
    OPT_STR(0, "train", struct options, train, "WHAT", "all", "all, new-rows, or lora:R: the rank of adapters"),
    OPT_INT(0, "valid-every", struct options, valid_every, "N", "100", 1, INT64_MAX, "steps between validations"),
    OPT_INT(0, "valid-max", struct options, valid_max, "N", "0", 0, INT64_MAX,
        "validate with about N examples a task; 0 for all"),
    OPT_INT(0, "warmup", struct options, warmup, "N", "0", 0, INT64_MAX, "steps in which the rate rises from 0"),
    OPT_REAL(0, "weight-decay", struct options, weight_decay, "R", "0.01", 0, 10, "AdamW: decay of all but norms"),
    OPT_END,
};

static const struct program program = {
    .name = "sft-train",
    .purpose = "fine-tune a model on conversations and playlists",
    .operands = "[FILE...]",
    .in = "example, with ids and labels",
    .out = "log",
    .examples =
        "sft-train --model base --save tuned --steps 500 --rate 1e-3 --warmup 50 examples.mp -o log.mp\n"
        "sft-train --model base --save tuned --centroids audio.mp --checkpoint run.ckpt --resume *.mp | mp2json\n",
    .opts = table,
    .uses = STAGE_SEED | STAGE_THREADS,
    .about = num_about,
};

static struct sft_options
sft_options_of(const struct options *o, uint64_t seed)
{
    return (struct sft_options){.seed = seed,
        .steps = (uint64_t)o->steps,
        .epochs = o->epochs,
        .batch = (uint64_t)o->batch,
        .batch_tokens = (uint64_t)o->batch_tokens,
        .micro_tokens = (uint64_t)o->micro_tokens,
        .shares = (uint64_t)o->shares,
        .mix = o->mix,
        .rate = o->rate,
        .warmup = (uint64_t)o->warmup,
        .decay = (enum decay)o->decay,
        .weight_decay = o->weight_decay,
        .beta1 = o->beta1,
        .beta2 = o->beta2,
        .clip = o->clip,
        .lambda = o->lambda,
        .valid_every = (uint64_t)o->valid_every,
        .valid_max = (uint64_t)o->valid_max,
        .half = o->precision == BF16 || (o->precision == AUTO && mul16_fast()),
        .half_moments = o->moments == BF16,
        .recompute = o->checkpointing};
}

/* The lines of the log from *written on, handed to the system at once so that a reader sees them; out is NULL in
 * processes that do not write. */
static enum status
write_log(struct rec_writer *out, size_t *written, const struct sft *t, struct err *err)
{
    size_t n;
    const struct sft_log *l = sft_log(&n, t);
    enum status st = OK;

    if (out == NULL)
        return OK;
    for (; st == OK && *written < n; (*written)++) {
        rec_begin(out);
        sft_log_put(out, &l[*written]);
        st = rec_end(out, err);
    }
    return st == OK ? rec_flush(out, err) : st;
}

/* Process 0 alone writes. */
static bool
leads(void)
{
    return team_rank() == 0;
}

/* Lets the other processes go on, which wait here until process 0 does too. So one process finds the faults of what all
 * read, and tells them once; and none ends before the last checkpoint is written. */
static enum status
start_others(struct err *err)
{
    char started = 1;

    return team_share(&started, sizeof started, err);
}

/* After each step: a checkpoint where it is time or was asked for, by a signal to whichever process. SIGTERM ends the
 * program behind it. */
static enum status
keep(struct run *r, struct err *err)
{
    enum { WRITE, STOP, SIGNALS };
    bool came[SIGNALS] = {[WRITE] = cli_caught(SIGUSR1), [STOP] = cli_caught(SIGTERM)};
    bool due = sft_step_count(r->sft) % (uint64_t)r->o->checkpoint_every == 0;
    enum status st;

    if (r->o->checkpoint == NULL)
        return OK;
    if ((st = team_any(came, SIGNALS, err)) == OK && leads() && (due || came[WRITE] || came[STOP]))
        st = kept_checkpoint(&r->kept, r->sft, err);
    if (st != OK || !came[STOP] || (st = start_others(err)) != OK)
        return st;
    cli_end_by(SIGTERM);
}

/* All steps from where the run stands. */
static enum status
train(struct run *r, struct err *err)
{
    double start = cli_seconds();
    struct sft *t = r->sft;
    uint64_t tokens = 0, total = sft_step_total(t);
    size_t written = 0, n;
    const struct sft_log *l = sft_log(&n, t);
    enum status st = write_log(stage_out(r->stage), &written, t, err);

    for (size_t i = 0; i < n; i++)
        tokens = l[i].tokens; /* read before a resume: not this run's speed */
    while (st == OK && sft_step_count(t) < total) {
        char extra[96];

        if ((st = sft_step(t, err)) != OK)
            break;
        l = sft_log(&n, t);
        (void)snprintf(extra, sizeof extra, "loss %.3f, %.0f tokens/s", l[n - 1].loss,
            (double)(l[n - 1].tokens - tokens) / (cli_seconds() - start));
        if ((st = kept_validate(&r->kept, t, err)) != OK)
            break;
        stage_progress(r->stage, sft_step_count(t), total, "steps", extra);
        if ((st = write_log(stage_out(r->stage), &written, t, err)) == OK)
            st = keep(r, err);
    }
    return st;
}

static enum status
get_data(struct run *r, struct err *err)
{
    enum status st = dataset_new(&r->data, &r->m->config, err);

    if (st != OK || !leads())
        return st == OK ? dataset_share(r->data, err) : st;
    for (struct rec *rec; (rec = stage_next(r->stage)) != NULL;)
        if (dataset_add(r->data, &rec->map, err) != OK)
            stage_reject(r->stage, err);
    if ((st = dataset_close(r->data, err)) != OK)
        return st;
    return result_begin(&r->kept, r->o->model, r->so.train == TRAIN_ALL, err);
}

/* Until the first step. */
static enum status
begin(struct run *r, struct err *err)
{
    size_t n;
    enum status st = leads() ? OK : start_others(err);

    if (st != OK || (st = model_load(&r->m, r->o->model, err)) != OK ||
        (st = trained_adapt(r->m, &r->so, r->o->model, err)) != OK ||
        (st = kept_init(&r->kept, r->o->save, r->o->checkpoint, r->m, err)) != OK || (st = get_data(r, err)) != OK)
        return st;
    if ((st = selfsim_targets(r->target, &n, &r->o->centroids, r->o->model, r->m->config.V, err)) != OK ||
        (st = sft_new(&r->sft, r->m, r->data, &r->so, r->target, n, err)) != OK ||
        (st = kept_begin(&r->kept, r->sft, r->o->resume, err)) != OK)
        return st;
    if (leads() && ((st = start_others(err)) != OK || (st = dataset_share(r->data, err)) != OK))
        return st;
    return sft_agree(r->sft, err);
}

static enum status
end(struct run *r, struct err *err)
{
    static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_BF16, DTYPE_F16};
    const struct options *o = r->o;
    struct save_options so = {.dtype = dtypes[o->dtype], .shard = (uint64_t)o->shard_size * 1000000, .like = o->model};
    uint64_t kept;
    enum status st = OK;

    if (leads() && (st = result_end(&kept, &r->kept, r->sft, r->data, &so, err)) == OK) {
        stage_tally(r->stage, "steps", sft_step_count(r->sft));
        stage_tally(r->stage, "kept", kept);
    }
    sft_free(r->sft);
    selfsim_targets_fini(r->target);
    dataset_free(r->data);
    model_free(r->m);
    kept_fini(&r->kept);
    return st == OK ? team_leave(err) : st;
}

int
main(int argc, char **argv)
{
    struct options o;
    struct program p = program;
    struct run r = {.o = &o};
    struct err err;

    cli_must(team_join(&err), &err);
    p.uses |= (leads() ? 0U : STAGE_FOLLOWS) | (team_launched() ? STAGE_PASSED_ON : 0U);
    r.stage = stage_start(argc, argv, &p, &o);
    num_init(stage_threads(r.stage));
    if (o.resume && o.checkpoint == NULL)
        cli_must(err_set(&err, USAGE, "--resume: needs --checkpoint"), &err);
    if (o.checkpoint != NULL) {
        cli_catch(SIGTERM);
        cli_catch(SIGUSR1);
    }
    r.so = sft_options_of(&o, stage_seed(r.stage));
    cli_must(trained_parse(&r.so, o.train, &err), &err);
    cli_must(begin(&r, &err), &err);
    cli_must(train(&r, &err), &err);
    cli_must(end(&r, &err), &err);
    return stage_finish(r.stage);
}
