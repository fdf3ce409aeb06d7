/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault - a preloaded library that makes one call fail, so that the paths behind a failure are run (after jq's
 * inject_errors.c).
 *
 *     FAULT=KIND:N FAULT_FIRED=FILE LD_PRELOAD=build/fault.so PROGRAM ...
 *
 * KIND is read, write, close, open, rename or malloc (with calloc, realloc, strdup); the N-th call of that kind, from
 * 1, fails: with EIO, or ENOSPC for write, or ENOMEM. Later calls work again. Or it is term: the N-th file or folder
 * that mkostemp or mkdir makes is made, and then SIGTERM comes. FAULT_FIRED is created when it happens, so that a test
 * knows. Counted are calls made by the program itself (its libraries allocate before main) and, for
 * malloc, those of msgpack-c.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);

static struct {
    const char *kind;
    long left;
    struct {
        uintptr_t from, to;
    } part[64]; /* of the program, then of msgpack-c */
    int parts, own;
} fault;

static int
add_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    bool own = info->dlpi_name[0] == '\0';

    (void)size;
    (void)arg;
    for (int i = 0; i < info->dlpi_phnum && fault.parts < 64; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        if (h->p_type != PT_LOAD || !(h->p_flags & PF_X) || (!own && strstr(info->dlpi_name, "libmsgpack") == NULL))
            continue;
        fault.part[fault.parts].from = info->dlpi_addr + h->p_vaddr;
        fault.part[fault.parts++].to = info->dlpi_addr + h->p_vaddr + h->p_memsz;
    }
    if (own)
        fault.own = fault.parts;
    return 0;
}

__attribute__((constructor)) static void
start(void)
{
    static char kind[16];
    const char *spec = getenv("FAULT"), *colon = spec != NULL ? strchr(spec, ':') : NULL;

    if (colon == NULL || (size_t)(colon - spec) >= sizeof(kind))
        return;
    memcpy(kind, spec, (size_t)(colon - spec));
    (void)dl_iterate_phdr(add_object, NULL);
    fault.left = strtol(colon + 1, NULL, 10);
    fault.kind = kind;
    (void)unsetenv("FAULT"); /* what the program starts is spared */
}

/* Whether this call, made from caller, is the one that fails. */
static bool
fires(const char *kind, const void *caller)
{
    const char *mark;
    int fd, n;
    bool ours = false;

    if (fault.kind == NULL || strcmp(fault.kind, kind) != 0)
        return false;
    n = strcmp(kind, "malloc") == 0 ? fault.parts : fault.own;
    for (int i = 0; i < n && !ours; i++)
        ours = (uintptr_t)caller >= fault.part[i].from && (uintptr_t)caller < fault.part[i].to;
    if (!ours || --fault.left != 0)
        return false;
    if ((mark = getenv("FAULT_FIRED")) != NULL) {
        fd = (int)syscall(SYS_openat, AT_FDCWD, mark, O_WRONLY | O_CREAT, 0666);
        if (fd >= 0)
            (void)syscall(SYS_close, fd);
    }
    return true;
}

#define FAIL_IF(kind, e, value) \
    do { \
        if (fires(kind, __builtin_return_address(0))) { \
            errno = (e); \
            return value; \
        } \
    } while (0)

ssize_t
read(int fd, void *p, size_t n)
{
    FAIL_IF("read", EIO, -1);
    return syscall(SYS_read, fd, p, n);
}

ssize_t
write(int fd, const void *p, size_t n)
{
    FAIL_IF("write", ENOSPC, -1);
    return syscall(SYS_write, fd, p, n);
}

/* The descriptor is gone all the same, as on Linux. */
int
close(int fd)
{
    bool fails = fires("close", __builtin_return_address(0));
    int r = (int)syscall(SYS_close, fd);

    if (!fails)
        return r;
    errno = EIO;
    return -1;
}

int
open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list ap;

    if (flags & (O_CREAT | O_TMPFILE)) {
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    FAIL_IF("open", EIO, -1);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int
rename(const char *from, const char *to)
{
    FAIL_IF("rename", EIO, -1);
    return (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

int
mkostemp(char *name, int flags)
{
    int (*real)(char *, int), fd;

    *(void **)&real = dlsym(RTLD_NEXT, "mkostemp"); /* as POSIX has it, dlsym */
    fd = real(name, flags);
    if (fires("term", __builtin_return_address(0)))
        (void)raise(SIGTERM);
    return fd;
}

int
mkdir(const char *path, mode_t mode)
{
    int r = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);

    if (fires("term", __builtin_return_address(0)))
        (void)raise(SIGTERM);
    return r;
}

void *
malloc(size_t n)
{
    FAIL_IF("malloc", ENOMEM, NULL);
    return __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
    FAIL_IF("malloc", ENOMEM, NULL);
    return __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
    FAIL_IF("malloc", ENOMEM, NULL);
    return __libc_realloc(p, n);
}

char *
strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy;

    FAIL_IF("malloc", ENOMEM, NULL);
    copy = __libc_malloc(n);
    return copy == NULL ? NULL : memcpy(copy, s, n);
}
