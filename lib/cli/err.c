/* SPDX-License-Identifier: Apache-2.0 */
/* err - statuses and the text that goes with them. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

int
status_exit(enum status st)
{
    static const int code[] = {
        [OK] = 0,
        [END] = 0,
        [USAGE] = 64,
        [DATA] = 65,
        [NOINPUT] = 66,
        [SYSTEM] = 71,
        [NOCREATE] = 73,
        [IO] = 74,
        [CLOSED] = 141,
    };
    return code[st];
}

/* A file name or a field may carry escape sequences, or half a character; a message must stay one harmless line of
 * text. */
static void
make_printable(char *text)
{
    size_t n = strlen(text);

    for (size_t at = 0, size; at < n; at += size) {
        if ((size = utf8_sequence(text + at, n - at)) == 0 || (unsigned char)text[at] < 0x20 || text[at] == 0x7f) {
            text[at] = '?';
            size = 1;
        }
    }
}

enum status
err_set(struct err *err, enum status st, const char *fmt, ...)
{
    va_list ap;

    if (err == NULL)
        return st;
    err->status = st;
    va_start(ap, fmt);
    (void)vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    make_printable(err->text);
    return st;
}

enum status
err_errno(struct err *err, enum status st, const char *fmt, ...)
{
    int cause = errno;
    va_list ap;
    int n;

    if (err == NULL)
        return st;
    err->status = st;
    va_start(ap, fmt);
    n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof(err->text))
        (void)snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %s", strerror(cause));
    make_printable(err->text);
    return st;
}

enum status
err_context(struct err *err, const char *fmt, ...)
{
    char before[sizeof(err->text)];
    va_list ap;
    size_t n, keep;

    if (err == NULL)
        return DATA;
    va_start(ap, fmt);
    (void)vsnprintf(before, sizeof(before) - 2, fmt, ap);
    va_end(ap);
    n = strlen(before);
    before[n++] = ':';
    before[n++] = ' ';
    /* What does not fit is cut at the end: the position comes first. */
    keep = strlen(err->text);
    if (keep > sizeof(err->text) - 1 - n)
        keep = sizeof(err->text) - 1 - n;
    memmove(err->text + n, err->text, keep);
    memcpy(err->text, before, n);
    err->text[n + keep] = '\0';
    make_printable(err->text);
    return err->status;
}

enum status
err_memory(struct err *err)
{
    return err_set(err, SYSTEM, "out of memory");
}
