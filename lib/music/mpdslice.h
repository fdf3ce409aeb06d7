/* SPDX-License-Identifier: Apache-2.0 */
/* mpdslice - private to lib/music: playlists of a world as the text of a slice of the Million Playlist Dataset. */
#ifndef MPDSLICE_H
#define MPDSLICE_H

#include "world.h"

/* Appends what is before the playlists first … last, one of them, and what is behind them. SYSTEM. */
enum status mpdslice_begin(struct buf *out, uint64_t first, uint64_t last, struct err *err);
enum status mpdslice_add(struct buf *out, const struct world *w, const struct world_list *list, uint64_t pid,
    bool is_first, struct err *err);
enum status mpdslice_end(struct buf *out, struct err *err);

#endif
