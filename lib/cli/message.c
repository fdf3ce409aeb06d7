/* SPDX-License-Identifier: Apache-2.0 */
/* message - the program's name, its messages, its temporary outputs, signals and its end. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/message.h"

#define TEMPORARIES 1024

static const char *program_name = "talkplay";

/* Fixed places, since a signal handler reads them. A place is free while its first byte is 0. */
static char temporary[TEMPORARIES][4096];

void
message_name(const char *name)
{
    program_name = name;
}

static void
remove_temporaries(void)
{
    /* The last first: a folder is registered before what is put into it. */
    for (int i = TEMPORARIES; i-- > 0;)
        if (temporary[i][0] != '\0' && unlink(temporary[i]) != 0)
            (void)rmdir(temporary[i]);
}

static void
on_signal(int sig)
{
    remove_temporaries();
    (void)signal(sig, SIG_DFL);
    (void)raise(sig);
}

enum status
cli_temporary(char **copy, const char *path, struct err *err)
{
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    static bool handled;
    int i;

    *copy = NULL;
    for (i = 0; i < TEMPORARIES && temporary[i][0] != '\0'; i++)
        ;
    if (i == TEMPORARIES || strlen(path) >= sizeof(temporary[0]))
        return err_set(err, NOCREATE, "%s: too many outputs, or too long a name", path);
    /* The first byte last: a signal in between sees a free place. */
    memcpy(temporary[i] + 1, path + 1, strlen(path));
    temporary[i][0] = path[0];
    for (size_t k = 0; !handled && k < sizeof(ending) / sizeof(ending[0]); k++) {
        struct sigaction old;
        /* What the parent ignores (nohup) stays ignored. */
        if (sigaction(ending[k], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            (void)signal(ending[k], on_signal);
    }
    handled = true;
    *copy = temporary[i];
    return OK;
}

void
cli_keep(const char *path)
{
    for (int i = 0; i < TEMPORARIES; i++)
        if (strcmp(temporary[i], path) == 0)
            temporary[i][0] = '\0';
}

void
cli_note(const char *fmt, ...)
{
    va_list ap;

    (void)fprintf(stderr, "%s: ", program_name);
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
}

/* By their numbers. */
static volatile sig_atomic_t caught[NSIG];

static void
note_signal(int sig)
{
    caught[sig] = 1;
}

void
cli_catch(int sig)
{
    struct sigaction a = {.sa_handler = note_signal, .sa_flags = SA_RESTART};

    (void)sigemptyset(&a.sa_mask);
    (void)sigaction(sig, &a, NULL); /* fails for numbers alone that are no signal's */
}

bool
cli_caught(int sig)
{
    bool was = caught[sig] != 0;

    caught[sig] = 0;
    return was;
}

_Noreturn void
cli_end_by(int sig)
{
    on_signal(sig);
    _exit(128 + sig); /* the signal is blocked */
}

_Noreturn void
cli_die(const struct err *err)
{
    if (err->status != CLOSED)
        cli_note("%s", err->text);
    remove_temporaries();
    /* Buffers of stdio hold nothing of ours; threads may still run. */
    _exit(status_exit(err->status));
}

void
cli_must(enum status st, const struct err *err)
{
    if (st != OK)
        cli_die(err);
}

double
cli_seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
