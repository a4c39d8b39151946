/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What a rescue takes for the right number of free blocks, in bitmaps of several programs. */
#include "pool/salvage/witness/counts.h"
#include "tap.h"

enum { NR_BLOCKS = 1000, USED = 40 };

/* Bitmap 0 of a map of @nr_blocks. */
static bool fits(const struct disk_bitmap *map, uint32_t nr_free, uint64_t nr_blocks)
{
	struct bitmaps b = { .nr_blocks = nr_blocks };

	return bitmaps_note(&b, 0, 1, map, nr_free);
}

/*
 * The last bitmap has entries past the end of the map.  The kernel counts them as free, and its numbers are right.  Other
 * programs do not count them, and had freed a block after they had counted.
 */
static void bitmap(void)
{
	static struct disk_bitmap map;
	const uint32_t inside = NR_BLOCKS - USED, all = ENTRIES_PER_BITMAP - USED;

	for (uint32_t i = 0; i < USED; i++)
		map.bits[i / 4] |= (uint8_t)(2 << i % 4 * 2);
	check(fits(&map, all, NR_BLOCKS));
	for (int d = -1; d <= 1; d++)
		check(fits(&map, (uint32_t)((int)inside + d), NR_BLOCKS));
	check(!fits(&map, all - 1, NR_BLOCKS));
	check(!fits(&map, all + 1, NR_BLOCKS));
	check(!fits(&map, inside - 2, NR_BLOCKS));
	check(!fits(&map, inside + 2, NR_BLOCKS));
	/* one that ends within the map */
	check(fits(&map, all + 1, 2 * ENTRIES_PER_BITMAP));
	check(!fits(&map, all - ENTRIES_PER_BITMAP / 2, 3 * ENTRIES_PER_BITMAP / 2));
}

/* Is a map of which the index has @nr_free entries free, and its bitmap @nr_used in use, of another state than a superblock that counts @nr? */
static bool is_other(uint64_t nr_free, uint64_t nr_used, uint64_t nr)
{
	const struct sm_root root = { .nr_allocated = nr };
	struct bitmaps b = { .nr_blocks = NR_BLOCKS, .root = &root, .nr = 1, .nr_used = nr_used };

	bitmaps_note_entry(&b, 0, (uint32_t)nr_free);
	bitmaps_note_entry(&b, 1, 77); /* means nothing */
	return bitmaps_are_of_other(&b);
}

/* A map that is there, and was not left out as another state's. */
static void counted(void)
{
	static uint32_t count[NR_BLOCKS];
	static uint32_t slot[NR_BLOCKS];
	struct graph g = { .nr_blocks = NR_BLOCKS, .slot = slot };
	struct super super = { .graph = &g };
	struct trees trees = { .graph = &g };
	struct counts counts = { .graph = &g, .super = &super, .trees = &trees, .count = count, .has_counts = true };

	memset(slot, 0xff, sizeof(slot)); /* NONE */
	for (uint32_t b = 0; b < USED; b++)
		count[b] = 1;
	super.sb.metadata_sm.nr_allocated = USED;
	check(!counts_differ(&counts));
	/* one more in the superblock and in the index than in the bitmaps */
	super.sb.metadata_sm.nr_allocated = USED + 1;
	check(!counts_differ(&counts));
}

static void superblock(void)
{
	struct bitmaps none = { .nr_blocks = NR_BLOCKS, .root = &(struct sm_root){ .nr_allocated = USED } };

	check(!is_other(NR_BLOCKS - USED, USED, USED));
	/* one more in the superblock and in the index than in the bitmap; the index with the entries past the end, too */
	check(!is_other(NR_BLOCKS - USED - 1, USED, USED + 1));
	check(!is_other(ENTRIES_PER_BITMAP - USED - 1, USED, USED + 1));
	check(is_other(NR_BLOCKS - USED, USED, USED + 1));
	/* an index that was not kept beside a bitmap that fits */
	check(!is_other(NR_BLOCKS - USED, USED + 1, USED + 1));
	/* a part of the index is lost: nothing tells */
	check(!bitmaps_are_of_other(&none));
}

/* The superblock itself, a bitmap and a root of each space map, and the nodes of the trees. */
static void trees(void)
{
	static uint32_t count[NR_BLOCKS];
	struct snode node[] = { { .block = 7, .flags = SN_LIVE }, { .block = 9, .flags = SN_HELD }, { .block = 8 },
				{ .block = NONE, .flags = SN_VIRTUAL } };
	static uint32_t slot[NR_BLOCKS];
	struct gap gap = { .node = 3 };
	struct graph g = { .nr_blocks = NR_BLOCKS, .nr_counted = NR_BLOCKS, .slot = slot, .node = node, .nr_nodes = 4 };
	struct super super = { .graph = &g,
			       .sb = { .data_sm = { .nr_blocks = 1, .bitmap_root = 1 },
				       .metadata_sm = { .bitmap_root = 2, .nr_allocated = 7 } } };
	struct trees trees = { .graph = &g };
	struct counts counts = { .graph = &g, .super = &super, .trees = &trees, .count = count };

	memset(slot, 0xff, sizeof(slot));
	memset(count, 0xff, sizeof(count)); /* COUNT_UNKNOWN */
	check(!counts_differ(&counts));
	node[2].flags = SN_LIVE;
	check(counts_differ(&counts));
	counts.counts_searched = true;
	check(counts_differ(&counts));
	counts.counts_searched = false;
	super.sb.metadata_sm.nr_allocated = 8;
	check(!counts_differ(&counts));
	super.sb.metadata_sm.nr_allocated = 9;
	check(!counts_differ(&counts));
	/* without counts they must have as many, but for the one that an older program may have counted too many */
	node[1].flags = SN_LIVE;
	super.sb.metadata_sm.nr_allocated = 10;
	check(counts_differ(&counts));
	trees.gaps = (struct vec){ .data = &gap, .nr = 1 };
	check(!counts_differ(&counts));
	super.sb.data_sm.ref_count_root = 3; /* how many nodes the lost tree has is not known */
	trees.gaps.nr = 0;
	check(!counts_differ(&counts));
}

static const struct test tests[] = {
	{ "a bitmap fits its index with and without the entries past the end of the map", bitmap },
	{ "a superblock and an index that agree outweigh a bitmap with one block less", counted },
	{ "a space map is of another state if neither its index nor its bitmaps have as many blocks in use as the superblock counts", superblock },
	{ "trees with more blocks than the superblock counts are of another state, or with fewer without counts",
	  trees },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
