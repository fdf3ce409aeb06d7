/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trec - rankings and relevant tracks as text that trec_eval reads: "query Q0 track rank score system" and
 * "query 0 track 1".
 *
 * trec_eval sorts a run by score, and equal scores by name, whatever the rank column says; so scores here are whole
 * numbers that fall by one, which its float holds exactly up to 2^24 tracks.
 */
#include "eval/room.h"

enum status
trec_check(struct str s, struct err *err)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ')
            return err_set(
                err, DATA, "%.*s: a blank in an id cannot be written for trec_eval", (int)(s.n > 99 ? 99 : s.n), s.p);
    return OK;
}

enum status
truth_qrels(struct rec_writer *w, const struct truth *t, enum subset subset, struct err *err)
{
    struct buf line = {0};
    enum status st = OK;

    for (size_t i = 0; i < t->n && st == OK; i++) {
        struct str query = ids_str(t->queries, (uint32_t)i);
        for (uint32_t r = 0; r < t->turns[i].count[ALL] && st == OK; r++) {
            uint32_t track = t->relevant[t->turns[i].first + r];
            struct str id = ids_str(t->tracks, track);
            if (subset != ALL && t->known[track] != (subset == WARM ? 1 : 2))
                continue;
            line.n = 0;
            if ((st = trec_check(query, err)) == OK && (st = trec_check(id, err)) == OK &&
                (st = buf_printf(&line, err, "%.*s 0 %.*s 1\n", (int)query.n, query.p, (int)id.n, id.p)) == OK)
                st = rec_raw(w, line.p, line.n, err);
        }
    }
    buf_free(&line);
    return st;
}

enum status
trec_put(struct rec_writer *w, struct buf *line, struct str query, struct str track, size_t rank, size_t n,
    const char *system, struct err *err)
{
    enum status st;

    line->n = 0;
    if ((st = trec_check(track, err)) != OK || (st = buf_printf(line, err, "%.*s Q0 %.*s %zu %zu %s\n", (int)query.n,
                                                    query.p, (int)track.n, track.p, rank + 1, n - rank, system)) != OK)
        return st;
    return rec_raw(w, line->p, line->n, err);
}
