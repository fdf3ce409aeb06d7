/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream - records in and out: framing, bounded scan, typed fields, JSON, and the frame of a stage.
 *
 * A stream is a sequence of records; a record is one MessagePack map followed by one byte 0x0A
 * (schemas/README.md). Lifetimes: a record, and every string and object that hangs from it, lives
 * until the next read from the same reader; rec_keep makes a copy that the caller owns.
 */
#ifndef STREAM_H
#define STREAM_H

#include <stdio.h>

#include <msgpack.h>

#include "cli/cli.h"

/* ---- strings, buffers, ids (str.c, ids.c) ---- */

/* Bytes with a length, not terminated, borrowed. */
struct str {
    const char *p;
    size_t n;
};
#define STR(literal) ((struct str){literal, sizeof(literal) - 1})
struct str str_of(const char *c_string);
bool str_eq(struct str a, struct str b);
/* memcmp order, shorter first on a tie. */
int str_cmp(struct str a, struct str b);
/* For tables in memory: another machine, or the next release, may have another. */
uint64_t str_hash(struct str s);

/* A growing byte buffer; all zero is empty. p is not terminated. */
struct buf {
    char *p;
    size_t n, cap;
};
enum status buf_reserve(struct buf *b, size_t more, struct err *err);
enum status buf_add(struct buf *b, const void *bytes, size_t n, struct err *err);
enum status buf_adds(struct buf *b, struct str s, struct err *err);
enum status buf_printf(struct buf *b, struct err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void buf_free(struct buf *b);

/* The whole file into out (which is emptied first; "-" is stdin): NOINPUT, IO, SYSTEM; DATA above max bytes. A byte 0
 * that n does not count follows. */
enum status file_read(struct buf *out, const char *path, size_t max, struct err *err);

/* The bytes of a whole file, p[0 … n-1]: mapped, or held in memory where it is a pipe. */
struct mapped {
    const void *p;
    size_t n;
    void *map;
    struct buf held;
};
/* path "-" is stdin. NOINPUT, IO, SYSTEM. A mapped file that is cut while it is read ends the program by SIGBUS. */
enum status file_map(struct mapped *out, const char *path, struct err *err);
/* The file that f reads, which is at its end then; false if it cannot be mapped, has no bytes, or was read from. A page
 * that can be read follows. Cut while it is read it ends the program, too. */
bool file_map_stream(struct mapped *out, FILE *f);
/* Bytes from … to-1 will not be looked at again, nor those before: the memory that holds them is given back. */
void file_passed(const struct mapped *m, size_t from, size_t to);
void file_unmap(struct mapped *m);

/*
 * Distinct strings numbered 0, 1, … in the order of their first ids_add. Memory: the bytes once and
 * about 24 bytes a string.
 */
struct ids;
enum status ids_new(struct ids **out, struct err *err);
void ids_free(struct ids *ids);
enum status ids_add(uint32_t *index, struct ids *ids, struct str s, struct err *err);
/* The same of n strings one after the other: index[i] is that of s[i]. Faster where there are very many, if some
 * IDS_TOGETHER come at a time. */
#define IDS_TOGETHER 64
enum status ids_add_many(uint32_t *index, struct ids *ids, const struct str *s, size_t n, struct err *err);
#define IDS_NONE UINT32_MAX
uint32_t ids_find(const struct ids *ids, struct str s);    /* IDS_NONE if it is not there */
struct str ids_str(const struct ids *ids, uint32_t index); /* lives until ids_free */
uint32_t ids_count(const struct ids *ids);

/* ---- records in (scan.c, read.c) ---- */

#define REC_MAX_DEPTH 32
#define REC_MAX_BYTES ((size_t)64 << 20) /* the default of --max-record */
#define REC_EXT_VECTOR 1                 /* packed little-endian IEEE float32 */

struct rec {
    msgpack_object map; /* always of type MSGPACK_OBJECT_MAP */
    const char *file;   /* as messages name it: "stdin" or the path */
    uint64_t number;    /* from 1, within the file */
    uint64_t offset;    /* of its first byte, within the file */
    const char *bytes;  /* as read, without the 0x0A */
    size_t size;
};

/*
 * Walks one MessagePack object at p and finds its size: END if it goes beyond n bytes; DATA if no
 * continuation can make it valid (type 0xc1, depth above REC_MAX_DEPTH, a size beyond max). Allocates nothing.
 */
enum status rec_scan(size_t *size, const void *p, size_t n, size_t max, struct err *err);

struct rec_reader;
/* path "-" is stdin. max_bytes bounds a record; 0 means REC_MAX_BYTES. */
enum status rec_open(struct rec_reader **out, const char *path, size_t max_bytes, struct err *err);
void rec_close(struct rec_reader *in);

/*
 * Reads the next record. END at a clean end of input; DATA, with file, record and byte in err, for
 * anything else that is not a whole record; IO. rec belongs to in and lives until the next call.
 */
enum status rec_read(struct rec **rec, struct rec_reader *in, struct err *err);
uint64_t rec_position(const struct rec_reader *in); /* bytes consumed, for progress */

/* A copy that lives until rec_free. */
enum status rec_keep(struct rec **own, const struct rec *rec, struct err *err);
void rec_free(struct rec *own);

/* Calls each(arg, rec) for every record of path; stops at the first status that is not OK. The text of err gets the
 * record's position. */
enum status rec_each(const char *path, enum status (*each)(void *arg, const struct rec *rec, struct err *err),
    void *arg, struct err *err);

/* Puts "FILE: record N, byte B: " before err's text. */
enum status rec_context(struct err *err, const struct rec *rec);

/* ---- typed fields (field.c) ----
 *
 * Each finds key in map and checks its type: DATA "KEY: missing" or "KEY: expected TYPE, got TYPE".
 * nil counts as missing. map_has tells whether an optional key is there:
 *     if (map_has(map, "name") && map_str(&name, map, "name", err) != OK) ...
 */
const msgpack_object *map_find(const msgpack_object *map, const char *key); /* NULL if missing or nil */
bool map_has(const msgpack_object *map, const char *key);
enum status map_str(struct str *out, const msgpack_object *map, const char *key, struct err *err);
/* A string that is not empty. */
enum status map_id(struct str *out, const msgpack_object *map, const char *key, struct err *err);
/* The part of the experiment under split; SPLIT_TRAIN where the record does not say. */
enum split { SPLIT_TRAIN, SPLIT_VALID, SPLIT_TEST, SPLITS };
extern const char *const split_name[SPLITS];
enum status map_split(enum split *out, const msgpack_object *map, struct err *err);
enum status map_u64(uint64_t *out, const msgpack_object *map, const char *key, uint64_t max, struct err *err);
enum status map_i64(int64_t *out, const msgpack_object *map, const char *key, struct err *err);
enum status map_f64(
    double *out, const msgpack_object *map, const char *key, struct err *err); /* takes integers; finite */
enum status map_bool(bool *out, const msgpack_object *map, const char *key, struct err *err);
enum status map_array(const msgpack_object **out, const msgpack_object *map, const char *key, struct err *err);
enum status map_map(const msgpack_object **out, const msgpack_object *map, const char *key, struct err *err);
/* How many numbers the vector at key has. */
enum status map_vector_size(size_t *n, const msgpack_object *map, const char *key, struct err *err);
/* Copies a vector of exactly n finite numbers. */
enum status map_vector(float *out, size_t n, const msgpack_object *map, const char *key, struct err *err);

/* Elements of arrays, or any object: what names it in messages. */
enum status obj_str(struct str *out, const msgpack_object *o, const char *what, struct err *err);
enum status obj_u64(uint64_t *out, const msgpack_object *o, const char *what, uint64_t max, struct err *err);
enum status obj_f64(double *out, const msgpack_object *o, const char *what, struct err *err);
enum status obj_map(const msgpack_object *o, const char *what, struct err *err); /* checks only */
/* "string", "map", "vector" …, for messages. */
const char *obj_type(const msgpack_object *o);

/* ---- records out (put.c, write.c) ----
 *
 * A record is built with rec_begin, put_*, rec_end; nested maps and arrays are opened with put_map
 * and put_array and closed with put_close. key is NULL inside an array. The first failure (memory, NaN, infinity, an
 * unclosed map, a string over 4 GiB) is kept and reported by rec_end, which then writes nothing.
 * rec_begin drops a record that was not ended. Bytes are canonical: shortest integers, other numbers float64.
 */
struct rec_writer;
/* Opens path ("-" is stdout) to be written beside and renamed by rec_commit. NOCREATE. */
enum status rec_create(struct rec_writer **out, const char *path, struct err *err);
/*
 * Removes what killed programs left of path where they were writing it beside: PATH.tmp.XXXXXX that nobody writes to
 * any more. more: of all files whose path begins so. A folder that cannot be read has none. SYSTEM, IO.
 */
enum status rec_sweep(const char *path, bool more, struct err *err);
/* Writes to fd, which is closed in the end; messages call it name. fd is closed on failure, too. */
enum status rec_create_fd(struct rec_writer **out, int fd, const char *name, struct err *err);
void rec_begin(struct rec_writer *w);
void put_str(struct rec_writer *w, const char *key, struct str value);
void put_text(struct rec_writer *w, const char *key, const char *value);
void put_u64(struct rec_writer *w, const char *key, uint64_t value);
void put_i64(struct rec_writer *w, const char *key, int64_t value);
void put_f64(struct rec_writer *w, const char *key, double value);
void put_bool(struct rec_writer *w, const char *key, bool value);
void put_nil(struct rec_writer *w, const char *key);
void put_vector(struct rec_writer *w, const char *key, const float *value, size_t n);
void put_bin(struct rec_writer *w, const char *key, const void *bytes, size_t n);
void put_ext(struct rec_writer *w, const char *key, int8_t type, const void *bytes, size_t n);
void put_object(struct rec_writer *w, const char *key, const msgpack_object *value);
void put_map(struct rec_writer *w, const char *key);
void put_array(struct rec_writer *w, const char *key);
void put_close(struct rec_writer *w);
/* put_str with a key that is not terminated. */
void put_key(struct rec_writer *w, struct str key); /* the next put_* with key NULL is its value */
/* Every pair of map whose key is not in skip (a list that ends with NULL; or NULL). */
void put_rest(struct rec_writer *w, const msgpack_object *map, const char *const *skip);
enum status rec_end(struct rec_writer *w, struct err *err);
/* A writer without a file, for round trips: what it has so far, borrowed until it is written to again, and none
 * again. */
enum status rec_in_memory(struct rec_writer **out, struct err *err);
struct str rec_memory(const struct rec_writer *w);
void rec_empty(struct rec_writer *w);
/* Bytes as they are, for outputs that are not records. */
enum status rec_raw(struct rec_writer *w, const void *bytes, size_t n, struct err *err);
/* Whether what was written can be written over: a file of our own that is renamed in the end. */
bool rec_patchable(const struct rec_writer *w);
/* Writes over n bytes at an offset within what was written so far. */
enum status rec_patch(struct rec_writer *w, uint64_t at, const void *bytes, size_t n, struct err *err);
/* Hands what is buffered to the system now. */
enum status rec_flush(struct rec_writer *w, struct err *err);
/* Flushes, checks, closes and renames; w is freed whatever happens. */
enum status rec_commit(struct rec_writer *w, struct err *err);
/* Throws the output away; w is freed. rec_discard(NULL) is legal. */
void rec_discard(struct rec_writer *w);
uint64_t rec_written(const struct rec_writer *w); /* records ended, and those that rec_count counted */
void rec_count(struct rec_writer *w, uint64_t n); /* n more, for outputs made with rec_raw */

/* ---- records dealt to many files or commands (part.c) ---- */

struct parts;
/*
 * n outputs named PREFIX0.mp … PREFIX(n-1).mp, numbers as wide as the last. With a command, each is instead a pipe to
 * `sh -c command` with FILE (that name) and PART (its number, from 0) in its environment; all n run at once. NOCREATE,
 * SYSTEM.
 */
enum status parts_open(struct parts **out, size_t n, const char *prefix, const char *command, struct err *err);
/* The record's bytes as they came. A command that stops reading is not an error; how it ends decides. */
enum status parts_add(struct parts *parts, size_t part, const struct rec *r, struct err *err);
/* Commits the files, or waits for the commands: SYSTEM where one did not end with status 0. parts is freed. */
enum status parts_close(struct parts *parts, struct err *err);

/* ---- JSON in (json.cpp: simdjson; jsonwalk.h, jsonwalk.c; jsonwide.c) ----
 *
 * A document is parsed whole and then walked. Values are small and copied freely; they, and strings taken from them,
 * live until the next json_parse with the same parser. Duplicate keys: the first counts. Of a value of another type
 * than a function is for: json_get, json_size and json_iter find nothing; the others must not be asked. */
#define JSON_MAX_DEPTH 64
struct json_parser;
struct json {
    const struct json_doc *doc;
    size_t at;
};
enum json_type { JSON_NULL, JSON_BOOL, JSON_I64, JSON_U64, JSON_F64, JSON_STRING, JSON_ARRAY, JSON_OBJECT };
enum status json_parser_new(struct json_parser **out, struct err *err);
void json_parser_free(struct json_parser *p);
/* DATA with the reason in words for anything that is not one JSON document (RFC 8259), an integer beyond int64 and
 * uint64, half a surrogate pair, or nesting beyond JSON_MAX_DEPTH. bytes need not outlive the call. */
enum status json_parse(struct json *root, struct json_parser *p, const char *bytes, size_t n, struct err *err);
/* The same without a copy of the text: JSON_PADDING more bytes behind it can be read. */
#define JSON_PADDING 64
enum status json_parse_padded(struct json *root, struct json_parser *p, const char *bytes, size_t n, struct err *err);
/* json_parse of what transformers or other Python programs wrote: an integer of any size, a float64 where it is beyond
 * 64 bits. */
enum status json_parse_wide(struct json *root, struct json_parser *p, const char *bytes, size_t n, struct err *err);
/* JSON_I64 for integers that fit int64, JSON_U64 for those above. */
static inline enum json_type json_type(struct json v);
bool json_bool(struct json v);
int64_t json_i64(struct json v);
uint64_t json_u64(struct json v); /* of JSON_U64, or a JSON_I64 that is not negative */
double json_f64(struct json v);   /* of any number */
static inline struct str json_str(struct json v);
bool json_get(struct json *out, struct json object, const char *key); /* false if it is not there */
size_t json_size(struct json array_or_object);
/* Iteration:  for (struct json_iter it = json_iter(v); json_next(&it); ) it.key, it.value */
struct json_iter {
    struct json value;
    struct str key; /* objects only */
    struct json at, end;
    bool object;
};
static inline struct json_iter json_iter(struct json array_or_object);
static inline bool json_next(struct json_iter *it);
#include "stream/jsonwalk.h"

/* ---- JSON out (jsonout.c, jsontext.c; numbers in json.cpp) ---- */

/* Appends s as a JSON string with its quotes; DATA (and nothing appended) if it is not UTF-8. */
enum status json_quote(struct buf *out, struct str s, struct err *err);
/* Appends v, a line a member, members depth + 1 steps of two blanks from the left; the first line is not moved. */
enum status json_text(struct buf *out, struct json v, size_t depth, struct err *err);
/* Shortest text that reads back to the same number; a float64 always has a point or an exponent, a float32 that is
 * whole has none. Writes at most 32 bytes without a terminator and returns how many. x is finite. */
size_t json_number_f64(char out[32], double x);
size_t json_number_f32(char out[32], float x);

/* ---- records as JSON and back (tojson.c, fromjson.c) ---- */

/* Appends o as JSON text without a line break. DATA, naming the place, where JSON has no form for it: NaN, infinity,
 * binary, other extensions, keys that are not strings, strings that are not UTF-8. Nothing is appended then. */
enum status rec_to_json(struct buf *out, const msgpack_object *o, struct err *err);
/* The keys that hold vectors in the stream's own records: vector and the modalities; NULL behind the last. */
extern const char *const rec_vector_keys[];
/* Those and more, NULL behind the last: the caller frees the array, the strings are borrowed. NULL without memory. */
const char **rec_vector_list(const struct opt_list *more, struct err *err);
/* Writes a JSON object as one record. An array of numbers under a key of vectors (NULL behind the last) becomes a
 * vector. DATA, naming the place: not an object, nested deeper than REC_MAX_DEPTH, a number beyond float32 in a
 * vector. */
enum status rec_from_json(struct rec_writer *w, struct json object, const char *const *vectors, struct err *err);

/* Where one of several JSON values that follow each other ends. All zero begins a value, at a byte that is not
 * blank. */
struct json_cut {
    size_t at; /* bytes seen; the size of the value once it is whole */
    size_t depth;
    bool string, escaped, word;
};
/* Goes on over the n bytes from the value's start: OK when it is whole, END when more bytes are needed (or the input's
 * end completes a number). Brackets are counted and not matched: json_parse judges. */
enum status json_cut(struct json_cut *c, const char *p, size_t n);

/* ---- NumPy's .npy files (npy.c: the header; npydata.c: what lies behind it) ---- */

enum npy_kind { NPY_F16, NPY_F32, NPY_F64, NPY_BYTES, NPY_UNICODE };
struct npy {
    enum npy_kind kind;
    bool big, fortran;         /* big-endian; columns lie behind each other, not rows */
    size_t width;              /* bytes of an element */
    size_t rows, columns;      /* columns is 1 where dims is */
    unsigned dims;             /* 1 or 2 */
    const unsigned char *data; /* rows * columns * width bytes, of any alignment, borrowed */
};
/* Whether the bytes begin as such a file does. */
bool npy_is(const void *bytes, size_t n);
/* Versions 1.0, 2.0, 3.0. DATA for what is no such file, is cut off or longer than its header says, or holds what is
 * neither a float of 2, 4 or 8 bytes nor a string. Allocates nothing; out borrows bytes. */
enum status npy_parse(struct npy *out, const void *bytes, size_t n, struct err *err);
/* n rows of a float matrix as float32 (n, columns), rounded to the nearest; from + n ≤ rows. A float64 beyond float32
 * becomes infinite. */
void npy_rows(float *out, const struct npy *a, size_t from, size_t n);
/* The index of the first number that is NaN or infinite; n if there is none. */
size_t npy_not_finite(const float *x, size_t n);
/* String i of one column into out (emptied first) without the zeros at its end; U as UTF-8. DATA, SYSTEM. */
enum status npy_string(struct buf *out, const struct npy *a, size_t i, struct err *err);

/* The header of a float32 matrix in C order, version 1.0: always as long. */
#define NPY_HEADER 128
void npy_header(char out[NPY_HEADER], size_t rows, size_t columns);
/* A float32 matrix into w, which is borrowed, row by row; rows differing in length are DATA. Where w cannot be patched
 * the rows wait in memory. Without a row the shape is (0, 0). npy_writer_end finishes the file; free follows. */
struct npy_writer;
enum status npy_writer_new(struct npy_writer **out, struct rec_writer *w, struct err *err);
enum status npy_writer_row(struct npy_writer *nw, const float *row, size_t n, struct err *err);
enum status npy_writer_end(struct npy_writer *nw, struct err *err);
void npy_writer_free(struct npy_writer *nw);

/* Ids in the order of rows (idlist.c): the lines of a text file, or the strings of an .npy file. path is borrowed. */
struct id_list;
enum status id_list_open(struct id_list **out, const char *path, struct err *err);
void id_list_free(struct id_list *l);
size_t id_list_count(const struct id_list *l);
/* The next, borrowed until the next call; END behind the last; DATA, with its place, for one that is empty or not
 * UTF-8. */
enum status id_list_next(struct str *id, struct id_list *l, struct err *err);

/* ---- what a record should be (schema.c, schemacheck.c) ---- */

/* A JSON Schema in the part that is understood here (schema.c names the keywords); any other keyword is DATA. */
struct schema;
enum status schema_load(struct schema **out, const char *path, struct err *err);
enum status schema_parse(struct schema **out, struct str text, struct err *err);
void schema_free(struct schema *s);
/* DATA with the first fault and its path: "turns[3].role: expected one of "user", "music", "assistant", got "dj"". */
enum status schema_check(const struct schema *s, const msgpack_object *o, struct err *err);

/* ---- the frame of a stage (stage.c) ----
 *
 *     int main(int argc, char **argv)
 *     {
 *         struct options o;
 *         struct stage *s = stage_start(argc, argv, &program, &o);
 *         struct err err;
 *         for (struct rec *r; (r = stage_next(s)) != NULL; )
 *             if (map_record(stage_out(s), r, &err) != OK)
 *                 stage_reject(s, &err);
 *         return stage_finish(s);
 *     }
 *
 * Every program has: -f --force, -h --help, --limit N, --max-record BYTES, -o --output FILE, --progress, --rejects
 * FILE, -v --verbose, --version; and, where program.uses says so, --seed N and --threads N. */
enum {
    STAGE_SEED = 1,       /* --seed N, default 1 */
    STAGE_THREADS = 2,    /* --threads N, default: the CPUs there are */
    STAGE_RAW_IN = 4,     /* inputs are not record streams: use stage_input */
    STAGE_TEXT_OUT = 8,   /* output is text: fine on a terminal */
    STAGE_QUIET = 16,     /* the last line with counts comes only with -v, --progress or --rejects */
    STAGE_NO_OUT = 32,    /* no main output: neither -o nor stdout (a program that writes a folder) */
    STAGE_NO_IN = 64,     /* operands are not inputs; stdin is not read */
    STAGE_FOLLOWS = 128,  /* another process reads and writes: no input, no output, nothing on stderr but errors */
    STAGE_PASSED_ON = 256 /* what stdout is, be it a terminal, is the launcher's, which passes it on */
};
struct stage;
/* Parses options into own, opens the output, names the first input. Ends the program on any error. */
struct stage *stage_start(int argc, char **argv, const struct program *p, void *own);
uint64_t stage_seed(const struct stage *s);
int stage_threads(const struct stage *s);
bool stage_verbose(const struct stage *s);
bool stage_rejects(const struct stage *s);   /* whether --rejects was given */
uint64_t stage_limit(const struct stage *s); /* UINT64_MAX without --limit */
size_t stage_max_record(const struct stage *s);
int stage_operands(char ***operands, const struct stage *s);
/* Before any input is read: the first operand, which then is no input. Without one the program ends with 64, naming
 * what. */
const char *stage_take(struct stage *s, const char *what);
/* The next record of all inputs, NULL at the end or at --limit. Ends the program on framing errors. */
struct rec *stage_next(struct stage *s);
/* STAGE_RAW_IN: the next input, NULL after the last. name is what messages call it. */
FILE *stage_input(const char **name, struct stage *s);
/* The same position-labelled end for raw programs: counts one more record in. */
void stage_count_in(struct stage *s, uint64_t n, uint64_t bytes);
struct rec_writer *stage_out(struct stage *s);
/* Whether that is a terminal: for programs whose output is text or records. */
bool stage_to_terminal(const struct stage *s);
/*
 * The current record is bad: with --rejects it is set aside there as {reason, file, record, byte, value} and the run
 * goes on; otherwise the program ends with err's status and the position. Statuses other than DATA always end it.
 */
void stage_reject(struct stage *s, const struct err *err);
/* The same for a record that stage_next gave earlier and the caller kept. */
void stage_reject_rec(struct stage *s, const struct rec *rec, const struct err *err);
/* The same for raw inputs: what is set aside is text (NULL n 0 for none). */
void stage_reject_text(
    struct stage *s, const char *file, uint64_t number, uint64_t byte, struct str text, const struct err *err);
/* Ends the program with err, naming file and record where there is a current one. */
_Noreturn void stage_fail(struct stage *s, const struct err *err);
/* Adds " NAME=VALUE" to the last line. */
void stage_tally(struct stage *s, const char *name, uint64_t value);
void stage_tally_real(struct stage *s, const char *name, double value); /* with six digits */
/* Progress of work that is not reading (epochs, steps). */
void stage_progress(struct stage *s, uint64_t done, uint64_t total, const char *unit, const char *extra);
/* Flushes, checks, renames, prints the last line, frees s; returns main's value. */
int stage_finish(struct stage *s);

#endif
