/* SPDX-License-Identifier: Apache-2.0 */
/* path - where in a nested value a walk stands. */
#include <stdio.h>

#include "path.h"

#define STEPS (sizeof(((struct path *)0)->step) / sizeof(((struct path *)0)->step[0]))

void
path_key(struct path *p, struct str key)
{
    if (p->n < STEPS) {
        p->step[p->n].key = key.p != NULL ? key : STR("");
        p->step[p->n].index = 0;
    }
    p->n++;
}

void
path_index(struct path *p, size_t index)
{
    if (p->n < STEPS) {
        p->step[p->n].key = (struct str){NULL, 0};
        p->step[p->n].index = index;
    }
    p->n++;
}

void
path_leave(struct path *p)
{
    p->n--;
}

enum status
path_context(struct err *err, const struct path *p)
{
    char text[256];
    size_t n = 0;

    if (err == NULL)
        return DATA;
    /* A path too long for the message keeps its beginning. */
    for (unsigned i = 0; i < p->n && i < STEPS && n < sizeof(text); i++) {
        struct str key = p->step[i].key;
        int more;
        if (key.p == NULL)
            more = snprintf(text + n, sizeof(text) - n, "[%zu]", p->step[i].index);
        else
            more =
                snprintf(text + n, sizeof(text) - n, "%s%.*s", i > 0 ? "." : "", key.n < 64 ? (int)key.n : 64, key.p);
        n += more > 0 ? (size_t)more : 0;
    }
    return p->n > 0 ? err_context(err, "%s", text) : err->status;
}
