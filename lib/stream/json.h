/* SPDX-License-Identifier: Apache-2.0 */
/* json - private to lib/stream: what the JSON reader, the JSON writer and the tools share. */
#ifndef STREAM_JSON_H
#define STREAM_JSON_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How many of the n bytes are UTF-8 (RFC 3629): n if all are, else the place of the first that is not. */
size_t utf8_span(const char *p, size_t n);

#ifdef __cplusplus
}
#endif

#endif
