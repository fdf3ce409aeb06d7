/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text-embed - vectors of tracks from their words. Method and cost: lib/music/textembed.c.
 */
#include "music/music.h"
#include "num/num.h"

struct options {
    const char *modality;
    int64_t dim;
};

static const struct opt table[] = {
    OPT_INT('d', "dim", struct options, dim, "N", "128", 2, 4096, "numbers of a vector"),
    OPT_NEED('m', "modality", struct options, modality, "MODALITY", "whose text: semantic, metadata or lyrics"),
    OPT_END,
};

static const struct program program = {
    .name = "text-embed",
    .purpose = "vectors of tracks from their words",
    .operands = "[FILE...]",
    .in = "track",
    .out = "embedding",
    .examples = "text-embed --modality semantic -o semantic.mp tracks.mp\n"
                "text-embed -m metadata tracks.mp | kmeans --modality metadata --clusters 256 -o metadata.cb\n",
    .opts = table,
    .uses = STAGE_SEED | STAGE_THREADS,
    .about = num_about,
};

static void
write_vectors(struct stage *s, const struct textembed *te, const struct textembed_options *o)
{
    struct rec_writer *w = stage_out(s);
    struct err err;

    for (uint32_t i = 0; i < textembed_count(te); i++) {
        rec_begin(w);
        put_str(w, "track_id", textembed_id(te, i));
        put_text(w, "modality", modality_name[o->modality]);
        put_vector(w, "vector", textembed_vector(te, i), o->dim);
        cli_must(rec_end(w, &err), &err);
    }
}

int
main(int argc, char **argv)
{
    struct options o;
    struct stage *s = stage_start(argc, argv, &program, &o);
    int m = modality_find(str_of(o.modality));
    struct textembed_options how = {(enum modality)m, (size_t)o.dim, stage_seed(s)};
    struct textembed *te = NULL;
    uint64_t without = 0;
    struct err err;

    if (m != SEMANTIC && m != METADATA && m != LYRICS) {
        (void)err_set(&err, USAGE, "--modality: expected semantic, metadata or lyrics, got \"%s\"", o.modality);
        cli_die(&err);
    }
    num_init(stage_threads(s));
    cli_must(textembed_new(&te, &how, &err), &err);
    for (struct rec *r; (r = stage_next(s)) != NULL;) {
        enum status st = textembed_add(te, &r->map, &err);
        without += st == END;
        if (st != OK && st != END)
            stage_reject(s, &err);
    }
    cli_must(textembed_fit(te, &err), &err);
    write_vectors(s, te, &how);
    stage_tally(s, "without", without);
    textembed_free(te);
    return stage_finish(s);
}
