/* SPDX-License-Identifier: Apache-2.0 */
/* processors - how many of them there are for us. */
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"

int
cli_processors(void)
{
    const char *text = getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
    long all = sysconf(_SC_NPROCESSORS_ONLN), mine = all, part;
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        mine = CPU_COUNT(&set);
    part = text != NULL && atol(text) > 0 ? all / atol(text) : all;
    mine = mine < part ? mine : part;
    return mine < 1 ? 1 : (int)mine;
}
