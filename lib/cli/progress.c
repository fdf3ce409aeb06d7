/* SPDX-License-Identifier: Apache-2.0 */
/* progress - how far, how fast, how long to go: on stderr, for people only. */
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"

void
cli_progress_start(struct cli_progress *p, bool forced)
{
    p->tty = isatty(STDERR_FILENO) == 1;
    p->on = forced || p->tty;
    p->shown = false;
    p->start = p->last = cli_seconds();
}

static void
print_duration(double seconds)
{
    unsigned long s = (unsigned long)seconds;

    if (s >= 3600)
        (void)fprintf(stderr, "%luh%02lum", s / 3600, s / 60 % 60);
    else
        (void)fprintf(stderr, "%lum%02lus", s / 60, s % 60);
}

void
cli_progress_show(struct cli_progress *p, uint64_t done, uint64_t total, const char *unit, const char *extra)
{
    double now, rate;

    if (!p->on)
        return;
    now = cli_seconds();
    if (now - p->last < (p->tty ? 0.5 : 10.0))
        return;
    p->last = now;
    p->shown = true;
    rate = (double)done / (now - p->start);
    if (p->tty)
        (void)fputs("\r\033[K", stderr);
    (void)fprintf(stderr, "%llu", (unsigned long long)done);
    if (total > 0)
        (void)fprintf(stderr, "/%llu", (unsigned long long)total);
    (void)fprintf(stderr, " %s, %.*f/s", unit, rate < 10 ? 2 : 0, rate);
    if (total > done && rate > 0) {
        (void)fputs(", ", stderr);
        print_duration((double)(total - done) / rate);
        (void)fputs(" left", stderr);
    }
    if (extra != NULL)
        (void)fprintf(stderr, ", %s", extra);
    if (!p->tty)
        (void)fputc('\n', stderr);
    (void)fflush(stderr);
}

void
cli_progress_end(struct cli_progress *p)
{
    if (p->on && p->tty && p->shown)
        (void)fputs("\r\033[K", stderr);
    p->on = false;
}
