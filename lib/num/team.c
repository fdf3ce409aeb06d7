/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes that mpirun starts of one program, over MPI (MPI Forum 3.1). Data is moved and flags meet, no more:
 * the caller sums what is summed, in an order of its own, since the order of a reduction is the library's affair.
 *
 * MPI is started only where a launcher says that it has started us; a program run by hand pays nothing for it. Calls
 * are cut into pieces since MPI counts in int.
 */
#include <mpi.h>
#include <stdlib.h>

#include "num/num.h"

#define PIECE ((size_t)1 << 30)

static int size = 1, rank;

/* What Open MPI's mpirun and launchers that speak PMIx, such as Slurm's, leave in the environment of each process. */
bool
team_launched(void)
{
    return getenv("OMPI_COMM_WORLD_SIZE") != NULL || getenv("PMIX_RANK") != NULL;
}

static enum status
fail(const char *what, int code, struct err *err)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int n;

    (void)MPI_Error_string(code, text, &n);
    return err_set(err, SYSTEM, "process %d of %d: %s: %s", rank, size, what, text);
}

enum status
team_join(struct err *err)
{
    int code;

    if (!team_launched())
        return OK;
    if ((code = MPI_Init(NULL, NULL)) == MPI_SUCCESS &&
        (code = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN)) == MPI_SUCCESS &&
        (code = MPI_Comm_size(MPI_COMM_WORLD, &size)) == MPI_SUCCESS)
        code = MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    return code == MPI_SUCCESS ? OK : fail("MPI", code, err);
}

enum status
team_leave(struct err *err)
{
    int code = team_launched() ? MPI_Finalize() : MPI_SUCCESS;

    return code == MPI_SUCCESS ? OK : fail("MPI", code, err);
}

int
team_size(void)
{
    return size;
}

int
team_rank(void)
{
    return rank;
}

enum status
team_share(void *p, size_t bytes, struct err *err)
{
    unsigned char *at = p;

    for (size_t n; size > 1 && bytes > 0; at += n, bytes -= n) {
        int code;

        n = bytes < PIECE ? bytes : PIECE;
        if ((code = MPI_Bcast(at, (int)n, MPI_BYTE, 0, MPI_COMM_WORLD)) != MPI_SUCCESS)
            return fail("broadcast", code, err);
    }
    return OK;
}

enum status
team_gather(void *all, const void *own, size_t bytes, struct err *err)
{
    int code;

    if (size == 1) {
        memcpy(all, own, bytes);
        return OK;
    }
    code = MPI_Allgather(own, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, MPI_COMM_WORLD);
    return code == MPI_SUCCESS ? OK : fail("gather", code, err);
}

enum status
team_any(bool *flag, size_t n, struct err *err)
{
    int code = size == 1 ? MPI_SUCCESS : MPI_Allreduce(MPI_IN_PLACE, flag, (int)n, MPI_C_BOOL, MPI_LOR, MPI_COMM_WORLD);

    return code == MPI_SUCCESS ? OK : fail("join", code, err);
}

enum status
team_exchange(void *in, const void *out, size_t bytes, struct err *err)
{
    int code;

    if (size == 1) {
        memcpy(in, out, bytes);
        return OK;
    }
    code = MPI_Alltoall(out, (int)bytes, MPI_BYTE, in, (int)bytes, MPI_BYTE, MPI_COMM_WORLD);
    return code == MPI_SUCCESS ? OK : fail("exchange", code, err);
}
