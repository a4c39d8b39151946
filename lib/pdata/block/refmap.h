/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_REFMAP_H
#define PDATA_REFMAP_H
/*
 * Reference counts in memory, from 0 to 2^32 - 1, where they stop: 2 bits a block (0, 1, 2,
 * "3 or more"), and pages with one byte for each block for the larger ones.
 *
 * Memory: nr_blocks / 4 bytes, touched only where counts are set; 8 bytes for each 256
 * blocks and 256 bytes more for such a page when one of its blocks has a count above 3;
 * 22 to 43 bytes for each block with a count above 258.
 *
 * Threads: refmap_inc* and refmap_add() may run on any number of threads at once when the map was made with @shared
 * (lock-free up to a count of 258); all other functions need exclusive access to the map.
 *
 * Block numbers must be below nr_blocks.  Counting reports no errors: when memory for large
 * counts runs out, refmap_failed() says so.
 */
#include "base/err.h"
#include "base/units.h"

struct refmap;

/* All counts 0.  NULL: no memory. */
struct refmap *refmap_new(uint64_t nr_blocks, bool shared);
/* NULL is allowed. */
void refmap_free(struct refmap *m);
uint64_t refmap_nr_blocks(const struct refmap *m);
/* From now on several threads may count at once, or only one. */
void refmap_set_shared(struct refmap *m, bool shared);
/* Counts will be all over the map: makes those of its pages that are small, before threads meet in them. */
void refmap_make_pages(struct refmap *m);

/* Adds one reference; returns the count before, or 3 when that was larger. */
unsigned refmap_inc(struct refmap *m, uint64_t b);
/* Adds @n references. */
void refmap_add(struct refmap *m, uint64_t b, uint32_t n);
/* Adds one reference to each of [b, b+len). */
void refmap_inc_run(struct refmap *m, uint64_t b, uint64_t len);
/* Adds one reference to each block of the list; the fastest way when they are scattered. */
void refmap_inc_list(struct refmap *m, const uint64_t *b, size_t nr);
/*
 * Adds all references that @from has to blocks [begin, end) to those of @to, a map of the same
 * size; both multiples of REFMAP_GRAIN (but for the end of the map).  Different ranges may be
 * merged by different threads at once.
 */
#define REFMAP_GRAIN 256
void refmap_merge(struct refmap *to, const struct refmap *from, uint64_t begin, uint64_t end);
/* The count of @b. */
uint32_t refmap_get(const struct refmap *m, uint64_t b);
/* Replaces the count of @b. */
void refmap_set(struct refmap *m, uint64_t b, uint32_t count);
/* Has memory run out?  Then counts above two may be too small. */
bool refmap_failed(const struct refmap *m);

/* Number of blocks with a non-zero count. */
uint64_t refmap_nr_allocated(const struct refmap *m);
/* First block >= @from with a count of zero, or nr_blocks. */
uint64_t refmap_find_free(const struct refmap *m, uint64_t from);
/* First block >= @from with a non-zero count, or nr_blocks. */
uint64_t refmap_find_used(const struct refmap *m, uint64_t from);

/* First block >= @from with a count of three or more, or nr_blocks. */
uint64_t refmap_find_pair_11(const struct refmap *m, uint64_t from);

/*
 * Writes the counts of blocks [index * 16320, ...) as the 4080 bytes of an on-disk bitmap
 * (entries at or past nr_blocks are 0).  *nr_used: entries with a non-zero count.
 * *first_free: index of the first free entry in this bitmap; 0 when none below nr_blocks is free.
 */
void refmap_to_bitmap(const struct refmap *m, uint64_t index, uint8_t bits[4080], uint32_t *nr_used,
		      uint32_t *first_free);

/*
 * Replaces the counts of bitmap @index by those of @bits; a pair of 11 becomes 3.  Entries past
 * nr_blocks are ignored.  No count of that range may have been above two before.
 */
void refmap_from_bitmap(struct refmap *m, uint64_t index, const uint8_t bits[4080]);
/* The 32 pairs of blocks [32 * i, ...) as they are on disk; 0 past the end. */
uint64_t refmap_word(const struct refmap *m, uint64_t i);

/*
 * Calls @fn for each block with a count of three or more, ascending.  A negative return of @fn
 * stops and is returned.  -ENOMEM when refmap_failed().
 */
int refmap_each_overflow(const struct refmap *m, int (*fn)(void *ctx, uint64_t b, uint32_t count),
			 void *ctx);

#endif
