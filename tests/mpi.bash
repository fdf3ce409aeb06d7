# SPDX-License-Identifier: Apache-2.0
# What mpirun wants to be told: of root, of fewer processors than processes, and of containers that forbid to read another
# process's memory.
# shellcheck shell=bash
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
