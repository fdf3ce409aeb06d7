/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text - UTF-8, byte-pair encoding by a Hugging Face tokenizer.json, its training, and conversations and playlists as
 * segments of text.
 *
 * Token ids are uint32_t. A struct bpe is read-only once loaded and may be shared by threads; each thread has its own
 * struct bpe_encoder, which holds the cache and the scratch memory.
 */
#ifndef TEXT_H
#define TEXT_H

#include "music/music.h"
#include "num/num.h"
#include "stream/stream.h"

/* ---- UTF-8 (utf8.c) ---- */

/*
 * s appended to out with every ill-formed sequence (its longest valid beginning; Unicode 15, §3.9, table 3-11) as one
 * U+FFFD; their number is added to *bad, which may be NULL.
 */
enum status utf8_clean(struct buf *out, struct str s, uint64_t *bad, struct err *err);
bool utf8_valid(struct str s);
/* s without white space at both ends, as Python's str.strip() and the template's trim see it. */
struct str utf8_trim(struct str s);

/* ---- growing arrays of token ids ---- */

/* All zero is empty; p is freed by tokens_free. */
struct tokens {
    uint32_t *p;
    size_t n, cap;
};
enum status tokens_add(struct tokens *t, uint32_t id, struct err *err);
void tokens_free(struct tokens *t);

/* ---- a tokenizer (bpe.c, bpeload.c) ---- */

#define BPE_NONE UINT32_MAX

struct bpe;
/*
 * Reads path, a tokenizer.json or a folder that holds one: a model of type BPE over a byte-level pre-tokenizer (the
 * families of GPT-2, Llama 3 and Qwen). DATA names what is not supported (another model, another normalizer than NFC,
 * dropout, an expression that PCRE2 cannot match as Oniguruma would …).
 */
enum status bpe_load(struct bpe **out, const char *path, struct err *err);
void bpe_free(struct bpe *b);
/* The largest id there is, plus one. */
uint32_t bpe_vocab_size(const struct bpe *b);
/* The id of an added token of that content, else of a token of the vocabulary as the file spells it; BPE_NONE. */
uint32_t bpe_token_id(const struct bpe *b, struct str name);
/* As the file spells it (bytes in the byte-level alphabet, added tokens as they are); empty for an id that is not
 * used. */
struct str bpe_token_text(const struct bpe *b, uint32_t id);
/* The bytes that the token stands for; may be part of a character. */
struct str bpe_token_bytes(const struct bpe *b, uint32_t id);
bool bpe_token_special(const struct bpe *b, uint32_t id);

/* ---- text to tokens (bpeencode.c, added.c); each appends to out ---- */

struct bpe_encoder;
/* b must outlive the encoder. */
enum status bpe_encoder_new(struct bpe_encoder **out, const struct bpe *b, struct err *err);
void bpe_encoder_free(struct bpe_encoder *e);
/* How many ill-formed sequences were replaced by U+FFFD so far. */
uint64_t bpe_encoder_bad(const struct bpe_encoder *e);
/* Words only: what spells an added token in text becomes letters. */
enum status bpe_encode_text(struct tokens *out, struct bpe_encoder *e, struct str text, struct err *err);
/* Added tokens are recognised, as the reference does in any text. */
enum status bpe_encode_control(struct tokens *out, struct bpe_encoder *e, struct str text, struct err *err);
/* bpe_encode_control between what the file's post-processor puts around one sequence (Llama 3: <|begin_of_text|> before
 * it). */
enum status bpe_encode_whole(struct tokens *out, struct bpe_encoder *e, struct str text, struct err *err);

/* ---- tokens to text (bpe.c) ---- */

/* Appends the text of n ids, ill-formed UTF-8 replaced; special tokens are left out on demand. An id that does not
 * exist is DATA. */
enum status bpe_decode(
    struct buf *out, const struct bpe *b, const uint32_t *ids, size_t n, bool skip_special, struct err *err);

/* ---- adding tokens to a tokenizer.json (bpeadd.c) ---- */

/*
 * json with n normal added tokens (special and normalized false) behind its own, into out; every other byte stays.
 * Their ids are *first, *first + 1, … right after the old vocabulary. DATA if one of the names is there already.
 */
enum status bpe_add_tokens(
    struct buf *out, uint32_t *first, struct str json, const struct str *name, size_t n, struct err *err);
/* The same with the 5K+2 music tokens for K codes a modality, in the order of the design: modality by modality, start,
 * end. */
enum status bpe_add_music(struct buf *out, uint32_t *first, struct str json, size_t K, struct err *err);

/* ---- music tokens of a tokenizer (musictokens.c) ---- */

#define MUSIC_NEVER 255
struct music_tokens {
    int32_t start, end;
    size_t n_slots;
    enum modality modality[MODALITIES]; /* (n_slots) of slot i + 1 */
    uint8_t *slot;                      /* (V) from 1; MUSIC_NEVER for other modalities; 0 for every other token */
    int32_t *code;                      /* (V) where slot is not 0 */
    size_t n_codes[MODALITIES];         /* one more than the largest code of a slot's tokens; 0 for others */
    int32_t *id[MODALITIES];            /* (n_codes) -1 where the code has no token */
};
/* "playlist,semantic" into a flag a modality; NULL means all. USAGE. */
enum status modalities_parse(bool wanted[MODALITIES], const char *names, struct err *err);
/*
 * The music tokens of those modalities, in the vocabulary of a model with V ≥ bpe_vocab_size tokens. DATA where a
 * modality that is named has none, and where there are none at all.
 */
enum status music_tokens_find(
    struct music_tokens *t, const struct bpe *b, size_t V, const char *names, struct err *err);
void music_tokens_fini(struct music_tokens *t);
/* The tokens of a track's codes, *n of them, in the order of a block. DATA, naming it, for a code that has none. */
enum status music_tokens_of(
    int32_t ids[MODALITIES], size_t *n, const struct music_tokens *t, const struct codes *codes, struct err *err);

/* ---- training (bpetrain.c) ---- */

struct bpe_trainer;
enum status bpe_trainer_new(struct bpe_trainer **out, struct err *err);
void bpe_trainer_free(struct bpe_trainer *t);
/* Counts the words of text. Order does not matter. */
enum status bpe_trainer_add(struct bpe_trainer *t, struct str text, struct err *err);
/* The same for a control segment: the words between names in angle brackets. */
enum status bpe_trainer_add_control(struct bpe_trainer *t, struct str text, struct err *err);
uint64_t bpe_trainer_words(const struct bpe_trainer *t); /* distinct ones */
/*
 * A tokenizer.json in Llama 3's form into out: vocab tokens in all, fewer (*made) where no pair is left that occurs
 * min_count times. vocab below the bytes and special tokens is DATA.
 */
enum status bpe_train(
    struct buf *out, uint32_t *made, struct bpe_trainer *t, uint32_t vocab, uint64_t min_count, struct err *err);

/* ---- segments (segments.c) ---- */

/* A piece of an example: only control may become special or music tokens. turn is 0 for the system message. */
struct segment {
    struct str text;
    bool control, train;
    uint32_t turn;
};
/* A growing list that owns its text: all zero is empty. Texts are set by segments_get. */
struct segments {
    struct segment *p;
    size_t n, cap;
    struct buf bytes;
    size_t *at; /* (n) where the text of each begins */
};
void segments_clear(struct segments *s);
void segments_free(struct segments *s);
enum status segments_add(struct segments *s, bool control, bool train, uint32_t turn, struct str text, struct err *err);
/* How far the list has got, and back to there. */
struct segments_mark {
    size_t n, last, bytes;
};
struct segments_mark segments_mark(const struct segments *s);
void segments_back(struct segments *s, struct segments_mark mark);
/* The i-th; its text lives until the next segments_add or segments_clear. */
struct segment segments_get(const struct segments *s, size_t i);
/* segments: [{text, kind, train, turn}] */
void segments_put(struct rec_writer *w, const char *key, const struct segments *s);
/* Appends what key of map holds; train defaults to false, turn to that of the segment before (0 at first). */
enum status segments_read(struct segments *out, const msgpack_object *map, const char *key, struct err *err);

/* ---- segments to tokens (encode.c) ---- */

struct encoded {
    struct tokens ids;
    bool *train;    /* (n) */
    uint32_t *turn; /* (n) */
    size_t cap;
};
void encoded_free(struct encoded *x);
/*
 * What the reference gives for the whole text, save that text segments never become added tokens, that merging never
 * makes one, and that the normalizer looks at each segment alone. A control segment that names a token which the
 * tokenizer does not have is DATA. x is emptied first.
 */
enum status encode_segments(struct encoded *x, struct bpe_encoder *e, const struct segments *s, struct err *err);
/*
 * Shortens to context tokens (0: no bound). A conversation loses its oldest whole turns and keeps turn 0; if the last
 * turn alone is too long, text of it goes from the front, never a control token: *cut is true then. DATA if even that
 * is not enough.
 */
enum status encode_fit_dialog(
    struct encoded *x, bool *cut, const struct segments *s, struct bpe_encoder *e, size_t context, struct err *err);
/* A playlist: the prefix loses its oldest tracks, the continuation its last, each to half the context. */
enum status encode_fit_playlist(
    struct encoded *x, const struct segments *s, struct bpe_encoder *e, size_t context, struct err *err);

/* ---- conversations and playlists (dialog.c, chat.c) ---- */

#define CHAT_DATE "20 Jan 2025"
#define CHAT_SYSTEM \
    "You are a music expert. Your task is conversational retrieval: Predict the next music item based on the given " \
    "chat " \
    "history."

enum role { USER, MUSIC, ASSISTANT, ROLES };
extern const char *const role_name[ROLES];

/* An entry of a dialog; turn counts from 1, entries of a turn are in the order user, music, assistant. */
struct entry {
    enum role role;
    struct str content;
    bool train;
    uint32_t turn;
};
struct dialog {
    struct str id;
    struct entry *entry;
    size_t n, cap;
    uint32_t turns;
};
/* Strings are borrowed from map. d is emptied first (all zero at first); entries are freed by dialog_free. */
enum status dialog_read(struct dialog *d, const msgpack_object *map, struct err *err);
void dialog_free(struct dialog *d);

struct chat_options {
    struct str date, system;
    size_t max_tracks;
    uint64_t seed;
};
struct chat_tally {
    uint64_t missing; /* tracks that are not in the items */
    uint64_t blocks;  /* tracks that are */
};
/*
 * The conversation as an example: segments appended to out; *trained tells whether any is. version 0 is the plain one,
 * others shuffle and choose tracks anew. items may be NULL: no music then.
 */
enum status chat_example(struct segments *out, bool *trained, struct chat_tally *tally, const struct dialog *d,
    const struct items *items, const struct chat_options *o, uint32_t version, struct err *err);
/* The conversation before turn's reply, ending after the assistant's header. */
enum status chat_prompt(struct segments *out, struct chat_tally *tally, const struct dialog *d,
    const struct items *items, const struct chat_options *o, uint32_t turn, struct err *err);

/*
 * A playlist's continuation: begin_of_text, blocks, eot; the cut is drawn by (seed, id, version). *tracks is how many
 * tracks are in the items; fewer than 2 give no segments.
 */
enum status playlist_example(struct segments *out, size_t *tracks, struct chat_tally *tally, struct str id,
    const msgpack_object *track_ids, const struct items *items, uint64_t seed, uint32_t version, struct err *err);

/*
 * ---- conversations simulated without a language model (synth.c) ----  A simulated user has a playlist in mind and
 * asks for its tracks, by one intent a turn; the recommender's answer is known, since it comes from the playlist.
 * Words come from frames that were learnt from people; names are mangled as people mangle them. /
 */

struct synth_options {
    uint64_t seed;
    double dialogs; /* dialogues a playlist: the whole part always, the rest by chance */
    double cover;   /* if above 0, instead: how often each track of a playlist is asked for */
    double roam;    /* share of the dialogues whose users name one artist or title after another */
};

/* What was made so far. */
struct synth_counts {
    uint64_t dialogs, turns, rejections, skipped; /* skipped: playlists without a usable track */
};

struct synth;

/*
 * Reads tracks and frames whole: memory grows with both (about 300 bytes and the text a track) and with nothing else.
 * NOINPUT, IO; DATA for a bad record, for a track_id that comes twice, and where there is no frame for users.
 */
enum status synth_new(
    struct synth **out, const char *tracks, const char *frames, const struct synth_options *o, struct err *err);
void synth_free(struct synth *s);

/* Distinct frames of what users say. */
uint64_t synth_frames(const struct synth *s);
struct synth_counts synth_counts(const struct synth *s);

/*
 * Writes the dialogues of one playlist record, none if it has no usable track: a track is usable that is in the
 * catalogue and, unless the playlist's split is valid or test, not cold. They depend on the seed, the playlist and
 * the two files alone. DATA if the record is not a playlist.
 */
enum status synth_playlist(struct rec_writer *w, struct synth *s, const struct rec *playlist, struct err *err);

#endif
