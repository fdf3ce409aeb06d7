/* SPDX-License-Identifier: Apache-2.0 */
/* folder - a folder of a test's own, to be emptied by it. After unit.h. */
#ifndef FOLDER_H
#define FOLDER_H

#include <stdlib.h>
#include <unistd.h>

#include "model/weights.h"

static char folder[] = "/tmp/unit.XXXXXX";

static inline bool
folder_begin(void)
{
    return mkdtemp(folder) != NULL;
}

static inline void
folder_end(void)
{
    CHECK(rmdir(folder) == 0, "nothing is left behind");
}

/* Lives until the next call. */
static inline const char *
path_of(const char *name)
{
    static char path[320];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static inline void
write_file(const char *name, const void *bytes, size_t n)
{
    struct err err;

    if (folder_write(folder, name, bytes, n, &err) != OK)
        CHECK(false, "write %s: %s", name, err.text);
}

#endif
