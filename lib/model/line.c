/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines: tokens drawn one behind the other. Each has its own stream of random numbers, so that what it draws depends on
 * nothing beside it.
 */
#include <omp.h>
#include <stdlib.h>

#include "model/block.h"
#include "model/decode.h"

enum status
line_new(
    struct line *line, const struct decoder *d, struct id_span before, struct rng rng, size_t room, struct err *err)
{
    *line = (struct line){.before = before, .rng = rng, .room = room, .on = true};
    if ((line->token = calloc(room, sizeof *line->token)) == NULL)
        return err_memory(err);
    line->after.ids = line->token;
    return tail_new(&line->tail, d, room, err);
}

void
line_free(struct line *line)
{
    free(line->token);
    tail_free(line->tail);
    *line = (struct line){0};
}

void
line_add(struct line *line, int32_t token)
{
    line->token[line->after.n++] = token;
}

struct sequence
line_rest(const struct line *line, struct cache *cache)
{
    size_t held = line->tail->n;

    return (struct sequence){
        .cache = cache, .tail = line->tail, .more = {.ids = line->token + held, .n = line->after.n - held}};
}

enum status
lines_draw(struct line *const *lines, size_t n, struct sampler *const *hand, const struct draw_options *o, size_t V,
    struct err *err)
{
    struct err first = {OK, ""};
    size_t at = SIZE_MAX;

#pragma omp parallel for schedule(dynamic, 1) num_threads(num_threads()) if (n > 1)
    for (size_t i = 0; i < n; i++) {
        struct line *line = lines[i];
        struct err e;

        if (sampler_draw(&line->drawn, hand[omp_get_thread_num()], line->logits, line->allowed, line->before,
                line->after, o, &line->rng, &e) == OK) {
            if (line->scored)
                line->logprob += (double)line->logits[line->drawn] - vec_logsumexp(line->logits, V);
            continue;
        }
#pragma omp critical
        if (i < at) {
            at = i;
            first = e;
        }
    }
    return at == SIZE_MAX ? OK : err_set(err, first.status, "%s", first.text);
}
