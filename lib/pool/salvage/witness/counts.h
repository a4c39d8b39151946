/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_COUNTS_H
#define POOL_SALVAGE_COUNTS_H
/* Reference counts of the metadata map: which blocks are in use, and how many parents each has (space.c). */
#include <string.h>

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
	bool has_other;	      /* the index, or one of the bitmaps that it names, is of another state */
};

int counts_read(struct counts *counts, struct err *err);
/* --- parents.c --- */
void counts_read_edges(struct counts *counts);

/* --- bitmaps.c --- */
/* The bitmaps of a space map of @nr_blocks, as they are read one by one. */
struct bitmaps {
	const struct super *super;
	const struct sm_root *root; /* what the superblock says of the map */
	uint32_t index; /* node of the data map's index; NONE: the metadata map */
	uint64_t nr_blocks;
	void (*take)(void *ctx, uint64_t index, const struct disk_bitmap *map); /* is called for each that is right */
	void *ctx;
	uint8_t *known; /* by bitmap: it was taken; NULL: each comes once */
	/* the rest is zero at first */
	uint64_t nr, nr_used; /* read so far; blocks that they have in use */
	uint64_t nr_entries, nr_free; /* of the index, and as it says of them, also where the bitmap cannot be read */
	/* those that do not fit their index, and the last one of them: its index, place, and free entries that it lacks */
	uint64_t nr_odd, odd, odd_block;
	int64_t odd_lacks;
};

enum bitmaps_found {
	BITMAPS_LOST,  /* the index block of the metadata map is */
	BITMAPS_OTHER, /* they, or the index, are of another state than the superblock: none may be used */
	BITMAPS_ODD,   /* one or more, which were not taken, are of another state than the index */
	BITMAPS_FIT,
};
enum bitmaps_found bitmaps_read(struct bitmaps *b);

/* Blocks that it has in use. */
uint32_t bitmap_nr_used(const struct disk_bitmap *map);

static inline bool is_about(int64_t a, int64_t b, int64_t by)
{
	return a - b <= by && b - a <= by;
}

/* Notes what the index says of bitmap @index. */
void bitmaps_note_entry(struct bitmaps *b, uint64_t index, uint32_t nr_free);
/*
 * Notes bitmap @index, which was read at @block.  Does it have as many free entries as the index says of it, @nr_free?
 * Another number is that of an older copy.  Older programs wrote one more or less, and did not count entries past the end
 * of the map.
 */
bool bitmaps_note(struct bitmaps *b, uint64_t index, uint64_t block, const struct disk_bitmap *map, uint32_t nr_free);
/*
 * Is the index, or are the bitmaps, those of another state than the superblock?  Neither has as many blocks in use.  Some indices
 * count entries past the end of the map as free.
 */
bool bitmaps_are_of_other(const struct bitmaps *b);

/* --- space.c --- */
/*
 * Does the superblock say another number of metadata blocks in use than the index and the counts do, or the trees where
 * counts are lost?  Or do the trees and the space maps have more?
 */
bool counts_differ(const struct counts *counts);
/* Have the trees and the space maps, with the lost blocks, as many blocks as the superblock says? */
bool counts_add_up(const struct counts *counts);
/* The trees are known to have more or fewer blocks than the superblock says: they, or it, are of another state. */
bool counts_are_others(const struct counts *counts);
/* Are there blocks whose count is not known? */
bool counts_have_unknown(const struct counts *counts);
/* Are the blocks in use a row at the device's front, as when a program wrote the metadata anew?  The kernel leaves holes. */
bool counts_make_row(const struct counts *counts);
/* Is all of the state's own metadata map there? */
bool counts_are_whole(const struct counts *counts);
/* And is each of its counts known, and not only that it is three or more? */
bool counts_are_exact(const struct counts *counts);
/*
 * Has a block fewer parents than the metadata map counts, as far as that is known?  A root does not lack the lost copy of the
 * superblock of the held metadata snapshot.
 */
bool counts_lack_parents(const struct counts *counts);
/* How many parents do lost blocks lack?  Bitmaps that are lost have no parent here. */
uint64_t counts_lost_lack(const struct counts *counts);
/* The number of references without a parent; COUNT_UNKNOWN; or COUNT_MANY: it has three, and may have had more. */
uint32_t counts_missing_refs(const struct counts *counts, uint32_t block);

/* Does a metadata map say that @block is in use? */
static inline bool counts_in_use(const struct counts *counts, uint32_t block)
{
	return counts->has_counts && counts->count[block] && counts->count[block] != COUNT_UNKNOWN;
}

/* Does the metadata map of the state say how many parents @block has? */
static inline bool counts_know(const struct counts *counts, uint32_t block)
{
	return counts->has_counts && !counts->counts_searched && block < counts->graph->nr_blocks &&
	       counts->count[block] < COUNT_MANY;
}

/* How many parents does @block lack, by the metadata map of the state?  0: that does not say. */
static inline uint32_t counts_lack(const struct counts *counts, uint32_t block)
{
	return counts_know(counts, block) && counts->count[block] > counts->found[block] ? counts->count[block] - counts->found[block] :
											   0;
}

#endif
