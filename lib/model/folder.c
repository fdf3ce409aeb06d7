/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a model folder, and those that go from one folder to the next as they are. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "model/weights.h"

/* What transformers reads besides configuration and weights, and what a licence asks to hand on. */
const char *const folder_files[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "chat_template.jinja", "chat_template.json", "generation_config.json", "LICENSE", "LICENSE.txt", "NOTICE",
    "USE_POLICY.md", NULL};

enum status
folder_make(const char *dir, struct err *err)
{
    struct stat sb;

    if (mkdir(dir, 0777) == 0)
        return OK;
    if (errno != EEXIST)
        return err_errno(err, NOCREATE, "%s", dir);
    if (stat(dir, &sb) != 0 || !S_ISDIR(sb.st_mode))
        return err_set(err, NOCREATE, "%s: exists and is no folder", dir);
    return OK;
}

enum status
folder_room(const char *dir, uint64_t bytes, struct err *err)
{
    struct statvfs v;
    uint64_t free_bytes;

    if (statvfs(dir, &v) != 0)
        return err_errno(err, NOCREATE, "%s", dir);
    if (__builtin_mul_overflow((uint64_t)v.f_bavail, (uint64_t)v.f_frsize, &free_bytes) || free_bytes >= bytes)
        return OK;
    return err_set(err, NOCREATE, "%s: %ju MB are needed on its disk, %ju MB are free", dir,
        (uintmax_t)(bytes / 1000000), (uintmax_t)(free_bytes / 1000000));
}

enum status
folder_write(const char *dir, const char *name, const void *bytes, size_t n, struct err *err)
{
    struct rec_writer *w = NULL;
    struct buf path = {0};
    enum status st;

    if ((st = buf_printf(&path, err, "%s/%s%c", dir, name, 0)) == OK && (st = rec_create(&w, path.p, err)) == OK) {
        if ((st = rec_raw(w, bytes, n, err)) == OK)
            st = rec_commit(w, err);
        else
            rec_discard(w);
    }
    buf_free(&path);
    return st;
}

enum status
folder_remove(const char *dir, const char *name, struct err *err)
{
    struct buf path = {0};
    enum status st = buf_printf(&path, err, "%s/%s%c", dir, name, 0);

    if (st == OK && unlink(path.p) != 0 && errno != ENOENT)
        st = err_errno(err, IO, "%s: remove", path.p);
    buf_free(&path);
    return st;
}

bool
folder_has(const char *dir, const char *name)
{
    struct buf path = {0};
    struct stat sb;
    struct err err;
    bool there;

    if (dir == NULL)
        return stat(name, &sb) == 0;
    there = buf_printf(&path, &err, "%s/%s%c", dir, name, 0) == OK && stat(path.p, &sb) == 0;
    buf_free(&path);
    return there;
}

bool
folder_same(const char *a, const char *b)
{
    struct stat sa, sb;

    return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

enum status
folder_carry(const char *to, const char *from, const char *name, struct err *err)
{
    struct buf path = {0}, bytes = {0};
    struct stat sb;
    enum status st;

    if ((st = buf_printf(&path, err, "%s/%s%c", from, name, 0)) == OK && (stat(path.p, &sb) == 0 || errno != ENOENT) &&
        (st = file_read(&bytes, path.p, FOLDER_FILE_MAX, err)) == OK)
        st = folder_write(to, name, bytes.p, bytes.n, err);
    buf_free(&path);
    buf_free(&bytes);
    return st;
}

enum status
folder_carry_rest(const char *to, const char *from, struct err *err)
{
    enum status st = OK;

    for (size_t i = 0; st == OK && folder_files[i] != NULL; i++)
        if (!folder_has(to, folder_files[i]))
            st = folder_carry(to, from, folder_files[i], err);
    return st;
}
