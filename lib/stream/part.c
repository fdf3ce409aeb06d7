/* SPDX-License-Identifier: Apache-2.0 */
/*
 * part - records dealt to many files or commands. Memory: a quarter of a megabyte a part.
 *
 * A file appears when all are written. Every descriptor of ours is closed on exec, so that no command keeps the pipe of
 * another open.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stream/stream.h"

struct part {
    char *name;
    struct rec_writer *out;
    pid_t pid;   /* of the command; 0 for a file */
    bool closed; /* the command reads no more */
};

struct parts {
    struct part *part;
    size_t n;
};

static void
parts_free(struct parts *p)
{
    for (size_t i = 0; i < p->n; i++) {
        rec_discard(p->part[i].out);
        free(p->part[i].name);
    }
    free(p->part);
    free(p);
}

static enum status
name_part(struct part *part, size_t i, size_t n, const char *prefix, struct err *err)
{
    int width = snprintf(NULL, 0, "%zu", n - 1);

    return asprintf(&part->name, "%s%0*zu.mp", prefix, width, i) < 0 ? err_memory(err) : OK;
}

/* Starts sh -c command with stdin from fd. The environment is changed here and not in the child: it has other threads'
 * locks. */
static enum status
spawn(pid_t *pid, int fd, const char *name, size_t number, char *command, struct err *err)
{
    static char sh[] = "sh", flag[] = "-c";
    char *argv[] = {sh, flag, command, NULL}, text[24];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t set;
    int e;

    (void)snprintf(text, sizeof(text), "%zu", number);
    if (setenv("FILE", name, 1) != 0 || setenv("PART", text, 1) != 0)
        return err_memory(err);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return err_memory(err);
    if (posix_spawnattr_init(&attr) != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return err_memory(err);
    }
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPIPE); /* which we ignore, and a command should not */
    (void)posix_spawnattr_setsigdefault(&attr, &set);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
    if ((e = posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO)) == 0)
        e = posix_spawn(pid, "/bin/sh", &actions, &attr, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attr);
    errno = e;
    return e == 0 ? OK : err_errno(err, SYSTEM, "%s", command);
}

static enum status
open_command(struct part *part, size_t number, const char *command, struct err *err)
{
    char *copy = strdup(command);
    enum status st = OK;
    int fd[2];

    if (copy == NULL)
        return err_memory(err);
    if (pipe2(fd, O_CLOEXEC) != 0) {
        free(copy);
        return err_errno(err, SYSTEM, "pipe");
    }
    if ((st = rec_create_fd(&part->out, fd[1], part->name, err)) == OK)
        st = spawn(&part->pid, fd[0], part->name, number, copy, err);
    (void)close(fd[0]);
    free(copy);
    return st;
}

enum status
parts_open(struct parts **out, size_t n, const char *prefix, const char *command, struct err *err)
{
    struct parts *p = calloc(1, sizeof(*p));
    enum status st = OK;

    *out = NULL;
    if (p == NULL || (p->part = calloc(n, sizeof(*p->part))) == NULL) {
        free(p);
        return err_memory(err);
    }
    p->n = n;
    if (command != NULL)
        (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; st == OK && i < n; i++) {
        struct part *part = &p->part[i];
        if ((st = name_part(part, i, n, prefix, err)) == OK)
            st = command == NULL ? rec_create(&part->out, part->name, err) : open_command(part, i, command, err);
    }
    if (st != OK) {
        parts_free(p);
        return st;
    }
    *out = p;
    return OK;
}

enum status
parts_add(struct parts *p, size_t part, const struct rec *r, struct err *err)
{
    struct part *to = &p->part[part];
    enum status st;

    if (to->closed)
        return OK;
    if ((st = rec_raw(to->out, r->bytes, r->size, err)) == OK)
        st = rec_raw(to->out, "\n", 1, err);
    to->closed = st == CLOSED;
    return st == CLOSED ? OK : st;
}

static enum status
wait_for(const struct part *part, struct err *err)
{
    pid_t got;
    int how;

    do
        got = waitpid(part->pid, &how, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_errno(err, SYSTEM, "%s: wait", part->name);
    if (WIFEXITED(how) && WEXITSTATUS(how) == 0)
        return OK;
    if (WIFEXITED(how))
        return err_set(err, SYSTEM, "the command of %s ended with status %d", part->name, WEXITSTATUS(how));
    return err_set(err, SYSTEM, "the command of %s was killed by signal %d", part->name, WTERMSIG(how));
}

/* Keeps the first failure of many. */
static void
note(enum status *st, struct err *err, enum status now, const struct err *what)
{
    if (now != OK && now != CLOSED && *st == OK) {
        *st = now;
        *err = *what;
    }
}

/* All or none: what was renamed before a later one failed goes again. */
static enum status
commit_all(struct parts *p, struct err *err)
{
    enum status st = OK;
    struct err own;
    size_t n;

    for (size_t i = 0; i < p->n; i++)
        note(&st, err, rec_flush(p->part[i].out, &own), &own);
    for (n = 0; n < p->n && (st == OK || p->part[n].pid != 0); n++) {
        struct rec_writer *out = p->part[n].out;
        p->part[n].out = NULL; /* rec_commit frees it */
        note(&st, err, rec_commit(out, &own), &own);
    }
    for (size_t i = 0; st != OK && i < n; i++)
        if (p->part[i].pid == 0)
            (void)unlink(p->part[i].name);
    return st;
}

enum status
parts_close(struct parts *p, struct err *err)
{
    enum status st = commit_all(p, err);
    struct err own;

    for (size_t i = 0; i < p->n; i++)
        if (p->part[i].pid != 0)
            note(&st, err, wait_for(&p->part[i], &own), &own);
    parts_free(p);
    return st;
}
