/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_COUNTS_H
#define POOL_SALVAGE_COUNTS_H
/* Reference counts of the metadata map: which blocks are in use, and how many parents each has (space.c). */
#include "pool/salvage/trees/trees.h"

#define COUNT_UNKNOWN UINT32_MAX	/* the space map could not be read there */
#define COUNT_MANY (UINT32_MAX - 1) /* three or more, how many is not known */
#define BEHIND_INDEX 8 /* number of blocks that a commit may write after its index block */

struct counts {
	struct graph *graph;
	struct super *super;
	struct trees *trees;
	uint32_t *count; /* as stored, by block; COUNT_UNKNOWN */
	uint32_t *found; /* edges found */
	bool has_counts;
	bool counts_searched; /* from a bitmap that no index names */
	bool has_index;	      /* of the state's own metadata map */
	uint64_t index_free;  /* blocks that it says are free */
};

int counts_read(struct counts *counts, struct err *err);
void counts_read_edges(struct counts *counts);
/*
 * Does the bitmap have as many free entries as the index says of it?  Another number is that of an older copy.  Older
 * programs wrote one more or less, and did not count entries past the end of the map.
 */
bool counts_bitmap_fits(const struct disk_bitmap *map, uint32_t nr_free, uint64_t index, uint64_t nr_blocks);
uint32_t counts_bitmap_used(const struct disk_bitmap *map);
/*
 * @odd is the only bitmap of a map that has another number of free entries than the index says, @nr_free.  Is it all the
 * same the right one?  So it is if the bitmaps have together as many blocks in use, @nr_used, as the superblock says in
 * @root: an older program did not count entries past the end of the map as free, and the map was extended since.
 */
bool counts_odd_is_right(const struct super *super, const struct sm_root *root, const struct disk_bitmap *odd,
			 uint32_t nr_free, uint64_t nr_used);
/*
 * Does the superblock say another number of metadata blocks in use than the index and the counts do, or the trees where
 * counts are lost?  Or do the trees and the space maps have more?
 */
bool counts_differ(const struct counts *counts);
/* Have the trees and the space maps, with the lost blocks, as many blocks as the superblock says? */
bool counts_add_up(const struct counts *counts);
/* Are there blocks whose count is not known? */
bool counts_have_unknown(const struct counts *counts);
/* Is all of the state's own metadata map there? */
static inline bool counts_are_whole(const struct counts *counts)
{
	return counts->has_counts && !counts->counts_searched && !counts_have_unknown(counts);
}

/* Are there blocks of which it is known only that they have three parents or more?  @counts has counts. */
bool counts_have_many(const struct counts *counts);
/* The number of references without a parent; COUNT_UNKNOWN; or COUNT_MANY: it has three, and may have had more. */
uint32_t counts_missing_refs(const struct counts *counts, uint32_t block);

/* Does the metadata map of the state say how many parents @block has? */
static inline bool counts_know(const struct counts *counts, uint32_t block)
{
	return counts->has_counts && !counts->counts_searched && block < counts->graph->nr_blocks &&
	       counts->count[block] < COUNT_MANY;
}

#endif
