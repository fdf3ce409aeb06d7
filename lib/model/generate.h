/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generate - decoding with caches, and what is made by it: tracks and words.
 */
#ifndef GENERATE_H
#define GENERATE_H

#include "model/model.h"

/* ---- decoding (decoder.c, decode.c, cache.c, prefix.c, prefill.c, attend.c) ----
 *
 * A decoder is a model made ready: it borrows the model or the mapped weights, which must not change. The keys and
 * values of a prompt are a cache; those of what is generated after it a tail, of which many may share one cache.
 * Nothing computed for one sequence depends on the others of a batch or on the number of threads. */
struct decoder;
struct cache;
struct tail;
/*
 * Packs the matrices as packing says: 4, 2 or 1.125 bytes a parameter; PACK_F32 keeps what a file has as bfloat16 as
 * PACK_WIDE. decoder_open packs from the files of a folder, which must stay open. SYSTEM; DATA for a tensor that is
 * missing, of another shape, or has a number that is not finite.
 */
enum status decoder_new(struct decoder **out, const struct model *m, enum packing packing, struct err *err);
enum status decoder_open(
    struct decoder **out, const struct model_config *c, const struct weights *w, enum packing packing, struct err *err);
void decoder_free(struct decoder *d);
/* Room for capacity tokens. */
enum status cache_new(struct cache **out, const struct decoder *d, size_t capacity, struct err *err);
void cache_free(struct cache *a);
size_t cache_tokens(const struct cache *a);
enum status tail_new(struct tail **out, const struct decoder *d, size_t capacity, struct err *err);
void tail_free(struct tail *t);
/* to becomes a copy of from, which must fit. */
void tail_copy(struct tail *to, const struct tail *from, const struct decoder *d);

/* A sequence of token ids. */
struct id_span {
    const int32_t *ids;
    size_t n;
};
/* Caches that the decoder owns: what a later prompt begins with is copied from them and not computed again, also after
 * decoder_return, until their memory is wanted (prefix.c). decoder_lend gives an empty one. SYSTEM. */
enum status decoder_lend(struct cache **out, struct decoder *d, size_t capacity, struct err *err);
void decoder_return(struct decoder *d, struct cache *a);

/* Tokens, at least one, to be appended to a tail that follows a cache. */
struct sequence {
    struct cache *cache;
    struct tail *tail;
    struct id_span more;
    bool each; /* logits are wanted after each token, not after the last alone */
};
/* What goes through the network together. */
struct pass {
    /* Prompts of 1 … max_positions tokens that are below V, into empty caches that have room for them. */
    size_t n_prompts;
    struct cache *const *caches;
    const struct id_span *prompts;
    /* Those of one cache beside each other; the cache is filled, or a prompt of this pass fills it. */
    size_t n_seqs;
    const struct sequence *seqs;
};
/*
 * One pass. What several prompts begin with, and what a cache of the decoder's begins with, is not computed again.
 * logits (rows, V): one after each prompt, then those of the sequences, in order. SYSTEM.
 */
enum status decoder_pass(float *logits, struct decoder *d, const struct pass *pass, struct err *err);
/* Prompts alone, and sequences alone. */
enum status decoder_prompts(float *logits, struct decoder *d, struct cache *const *caches,
    const struct id_span *prompts, size_t n, struct err *err);
enum status decoder_extend(float *logits, struct decoder *d, const struct sequence *seqs, size_t n, struct err *err);

/* ---- drawing a token (sample.c) ---- */

struct draw_options {
    double temperature, top_p, penalty; /* above 0; in (0, 1]; above 0, 1 for none */
    bool greedy;                        /* the likeliest token; penalty and masks hold */
};
struct sampler; /* scratch memory of one thread */
enum status sampler_new(struct sampler **out, size_t V, struct err *err);
void sampler_free(struct sampler *s);
/*
 * Draws from logits (V) one token whose allowed[] is not 0 (NULL: any). The penalty is for the tokens of before and
 * after. Uses one number of rng, none if greedy. DATA where nothing is allowed or nothing is finite.
 */
enum status sampler_draw(int32_t *token, struct sampler *s, const float *logits, const uint8_t *allowed,
    struct id_span before, struct id_span after, const struct draw_options *o, struct rng *rng, struct err *err);

/* ---- a catalogue of blocks (trie.c) ---- */

#define GRAMMAR_MAX_SLOTS 16
/* The music tokens of a track. */
struct tuple {
    size_t n; /* 1 … GRAMMAR_MAX_SLOTS */
    int32_t token[GRAMMAR_MAX_SLOTS];
};
/* The distinct tuples of n tracks as a prefix tree. of[i] becomes the number of the tuple of track i. SYSTEM. */
struct trie;
enum status trie_new(struct trie **out, uint32_t *of, const struct tuple *tracks, size_t n, struct err *err);
void trie_free(struct trie *t);
size_t trie_tuples(const struct trie *t);

/* ---- music and words (grammar.c, prompt.c, generate.c, and the ways of block.h) ---- */

#define GRAMMAR_NEVER 255
/* A block: start, then a token of at least one slot, slots in order and each at most once, then end. */
struct grammar {
    int32_t start, end;
    size_t n_slots;
    /* (V) 1 + the slot that a token is of; GRAMMAR_NEVER for music that is no slot; 0 for others, start and end too */
    uint8_t *slot;
};
struct generate_options {
    struct draw_options draw;
    uint64_t seed;
    const struct grammar *grammar; /* NULL: text alone, nothing masked */
    size_t samples, beams;         /* beams 0: samples; else samples is not looked at */
    const struct trie *trie;       /* not NULL: the best of its tuples, and neither samples nor beams */
    size_t top, max_expand;        /* how many tracks; prefixes to expand, at most (0: all it takes) */
    size_t max_tokens;             /* of the words; 0 for none */
    bool masked;
    bool decide; /* the model's first token decides whether there is music; else there is */
};
/* tokens behind start: of slots, then end; a malformed one (never if masked) has whatever was drawn. */
struct candidate {
    double logprob; /* natural logarithm of the unmasked probability at temperature 1 of all its tokens */
    size_t n;
    int32_t *token;
    bool malformed;
    size_t tracks; /* of the trie that have this tuple; 0 without one */
};
struct generation {
    bool done;
    /* Best first. None if the model decided so, without a grammar, or where every track of the trie was dropped. */
    size_t n_candidates;
    struct candidate *candidate;
    bool exact; /* of a trie: whether the search ended by itself */
    size_t expansions;
    double seconds; /* from when it was taken in until its candidates were known */
    size_t n_words;
    int32_t *word; /* without the token that ended them */
};
void generation_fini(struct generation *g);
struct request {
    struct id_span prompt; /* 1 … generate_room tokens below V */
    struct str id;         /* draws come from (seed, id) */
    /* Of a trie: the tuples of tracks that are not to be recommended, one a track. */
    const uint32_t *dropped;
    size_t n_dropped;
};
/* The longest prompt behind which there is room for a block (for one token without a grammar); 0 if there is none at
 * all. */
size_t generate_room(const struct model_config *c, const struct generate_options *o);
/* The ids of a record as a prompt: *n of them in *ids, at least 1 and at most room, each below V; the caller frees
 * *ids, also on failure. DATA, SYSTEM. */
enum status prompt_ids(
    int32_t **ids, size_t *n, const msgpack_object *map, size_t room, const struct model_config *c, struct err *err);
/*
 * Requests on their way: first the block, by samples, by beams or from a trie, then words after the first candidate,
 * until an end of the model's or max_tokens or its last position. Each goes through the network at its own pace, all
 * that are there in one pass; what comes out for one does not depend on the others. Everything is borrowed.
 *
 *     while (requests are left or some are not done) {
 *         while (requests are left && generator_places(g) > 0)
 *             generator_add(g, request, &generation);      its done is false until it is
 *         generator_pass(g);
 *     }
 */
struct generator;
enum status generator_new(struct generator **out, struct decoder *d, const struct generate_options *o, struct err *err);
void generator_free(struct generator *g);
/* How many requests may be added now; at first as many as memory allows, at least 1. */
size_t generator_places(const struct generator *g);
/* out is filled by and by, to be freed by generation_fini once it is done; request may go then. SYSTEM. */
enum status generator_add(struct generator *g, const struct request *request, struct generation *out, struct err *err);
/* One pass of the network for all that are there. SYSTEM; DATA as sampler_draw: then nothing but generator_free may
 * follow, and each generation is still to be freed. */
enum status generator_pass(struct generator *g, struct err *err);
/* The whole of it for n requests. out is filled, or all of it freed on failure. */
enum status generate(struct generation *out, struct decoder *d, const struct request *requests, size_t n,
    const struct generate_options *o, struct err *err);

/* ---- the tracks of a catalogue (tracks.c), and answers as records (answer.c) ---- */

struct bpe;          /* text/text.h */
struct music_tokens; /* the same */
/* Item records and their tuples of the model's tokens. NOINPUT, SYSTEM; DATA where there is no track, or one has a code
 * without a token. */
struct tracks;
enum status tracks_load(struct tracks **out, const char *path, const struct music_tokens *music, struct err *err);
void tracks_free(struct tracks *t);
/* Lives as long as t; NULL without t. */
const struct trie *tracks_trie(const struct tracks *t);
/* The tuples, *n of them, of the tracks that are in the history of a record; the caller frees *tuples, also on failure.
 * DATA, SYSTEM. */
enum status tracks_history(
    uint32_t **tuples, size_t *n, const struct tracks *t, const msgpack_object *map, struct err *err);

/* How a generation becomes a record. */
struct answer {
    const struct bpe *bpe;            /* NULL: the words are ids alone */
    const struct music_tokens *music; /* what the candidates' tokens mean */
    bool constrained, words;          /* whether a trie was searched, and whether words were asked for */
};
/* Writes the generation record of x, with what it carries of its prompt's. DATA as rec_end; IO, SYSTEM. */
enum status answer_put(struct rec_writer *w, const msgpack_object *prompt, const struct generation *x,
    const struct answer *a, struct err *err);

#endif
