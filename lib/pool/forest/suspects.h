/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SUSPECTS_H
#define POOL_SUSPECTS_H
/*
 * A bit for each data block that is mapped with a time at or above its device's snap_time.  The
 * kernel writes to such a block in place.  That is wrong when the block has a second reference,
 * which the counts tell in the end.
 *
 * Memory: 1 bit a data block, touched only where bits are set.  Threads: suspects_add() and
 * suspects_add_run() may run on any number of threads at once.
 */
#include <stdlib.h>

#include "base/overflow.h"
#include "pdata/block/refmap.h"

static inline uint64_t *suspects_new(uint64_t nr_data_blocks)
{
	return calloc_u64(nr_data_blocks / 64 + 1, sizeof(uint64_t));
}

/* Marks all blocks that have a reference.  NULL: no memory. */
uint64_t *suspects_of_counted(const struct refmap *counts);

/* Blocks [@b, @b + @len), of which there is at least one, in one word of the map. */
static inline void suspects_add_word(uint64_t *map, uint64_t b, uint64_t len)
{
	uint64_t mask = ~0ull >> (64 - len) << b % 64;

	if (mask & ~__atomic_load_n(&map[b / 64], __ATOMIC_RELAXED))
		__atomic_fetch_or(&map[b / 64], mask, __ATOMIC_RELAXED);
}

static inline void suspects_add(uint64_t *map, uint64_t b)
{
	suspects_add_word(map, b, 1);
}

/* A run, whole words at a time. */
static inline void suspects_add_run(uint64_t *map, uint64_t b, uint64_t len)
{
	uint64_t head = MIN((64 - b % 64) % 64, len);

	if (head)
		suspects_add_word(map, b, head);
	for (b += head, len -= head; len >= 64; b += 64, len -= 64)
		__atomic_store_n(&map[b / 64], ~0ull, __ATOMIC_RELAXED);
	if (len)
		suspects_add_word(map, b, len);
}

/* Blocks that are scattered; the fastest way. */
static inline void suspects_add_list(uint64_t *map, const uint64_t *b, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		__builtin_prefetch(&map[b[i] / 64], 1);
	for (size_t i = 0; i < nr; i++)
		suspects_add(map, b[i]);
}

/* Has a block of the map two references or more?  @map NULL: all blocks count as marked. */
bool suspects_any_shared(const uint64_t *map, const struct refmap *counts);

#endif
