/* SPDX-License-Identifier: Apache-2.0 */
/* message - private to lib/cli. */
#ifndef MESSAGE_H
#define MESSAGE_H

/* The name that messages begin with; borrowed for good. */
void message_name(const char *name);

#endif
