/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SUSPECTS_H
#define POOL_SUSPECTS_H
/*
 * A bit for each data block that is mapped with a time at or above its device's snap_time.  The
 * kernel writes to such a block in place.  That is wrong when the block has a second reference,
 * which the counts tell in the end.
 *
 * Memory: 1 bit a data block, touched only where bits are set.  It is filled by bits_set_run()
 * and bits_set_list().
 */
#include <stdlib.h>

#include "base/bits.h"
#include "base/overflow.h"
#include "pdata/block/refmap.h"

static inline uint64_t *suspects_new(uint64_t nr_data_blocks)
{
	return calloc_u64(nr_data_blocks / 64 + 1, sizeof(uint64_t));
}

/* Marks all blocks that have a reference.  NULL: no memory. */
uint64_t *suspects_of_counted(const struct refmap *counts);

/* Has a block of the map two references or more?  @map NULL: all blocks count as marked. */
bool suspects_any_shared(const uint64_t *map, const struct refmap *counts);

#endif
