/* SPDX-License-Identifier: Apache-2.0 */
/* temporary - how files are called while they are written: NAME.tmp.XXXXXX. */
#ifndef TEMPORARY_H
#define TEMPORARY_H

#define TEMPORARY_MARK ".tmp."
#define TEMPORARY_RANDOM "XXXXXX" /* mkostemp's */

#endif
