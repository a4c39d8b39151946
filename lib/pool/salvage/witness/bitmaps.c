/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The bitmaps of a space map: which of those that its index names are of the superblock's state? */
#include <string.h>

#include "base/overflow.h"
#include "pool/salvage/witness/counts.h"

static uint64_t nr_bitmaps(const struct bitmaps *b)
{
	return div_up(b->nr_blocks, ENTRIES_PER_BITMAP);
}

uint32_t bitmap_nr_used(const struct disk_bitmap *map)
{
	uint32_t nr = 0;
	uint64_t w;

	for (size_t i = 0; i < sizeof(map->bits); i += sizeof(w)) {
		memcpy(&w, map->bits + i, sizeof(w));
		nr += (uint32_t)__builtin_popcountll((w | w >> 1) & 0x5555555555555555u);
	}
	return nr;
}

static bool fits_index(const struct disk_bitmap *map, uint32_t nr_free, uint64_t index, uint64_t nr_blocks)
{
	const int64_t past = (int64_t)((index + 1) * ENTRIES_PER_BITMAP) - (int64_t)nr_blocks;
	const int64_t free = (int64_t)ENTRIES_PER_BITMAP - bitmap_nr_used(map);

	return free == nr_free || is_about(free, nr_free + MAX(past, 0), 1);
}

void bitmaps_note_entry(struct bitmaps *b, uint64_t index, uint32_t nr_free)
{
	if (index >= nr_bitmaps(b))
		return;
	b->nr_entries++;
	b->nr_free += nr_free;
}

bool bitmaps_note(struct bitmaps *b, uint64_t index, uint64_t block, const struct disk_bitmap *map, uint32_t nr_free)
{
	const uint32_t used = bitmap_nr_used(map);

	b->nr++;
	b->nr_used += used;
	if (fits_index(map, nr_free, index, b->nr_blocks))
		return true;
	b->nr_odd++;
	b->odd = index;
	b->odd_block = block;
	b->odd_lacks = (int64_t)ENTRIES_PER_BITMAP - used - nr_free;
	return false;
}

/*
 * When all that can be read were noted: is the only one that does not fit its index all the same the right one?  So it is
 * if all together have as many blocks in use as the superblock says: an older program did not count entries past the
 * end of the map as free, and the map was extended since.
 */
static bool is_odd_right(const struct bitmaps *b)
{
	/* the index of an older copy lacks as many as the superblock counts more blocks in use */
	return b->nr_odd == 1 && b->nr == nr_bitmaps(b) && b->odd_lacks > 1 &&
	       (b->nr_used == b->root->nr_allocated || b->nr_used + 1 == b->root->nr_allocated);
}

bool bitmaps_are_of_other(const struct bitmaps *b)
{
	const uint64_t entries = nr_bitmaps(b) * ENTRIES_PER_BITMAP, sum = b->nr_free + b->root->nr_allocated;

	return b->nr_entries == nr_bitmaps(b) && sum != b->nr_blocks && sum != entries && b->nr_used != b->root->nr_allocated;
}

/* Is the index a leaf that lacks bitmaps of the superblock's data map?  It is of the time before the data device was extended. */
static bool has_short_index(const struct bitmaps *b)
{
	const struct graph *g = b->super->graph;
	const uint32_t root = node_of(g, b->root->bitmap_root);

	return root != NONE && g->node[root].tree == TREE_INDEX && g->node[root].flags & SN_LEAF &&
	       g->node[root].nr < div_up(b->root->nr_blocks, ENTRIES_PER_BITMAP);
}

static bool are_of_other_state(const struct bitmaps *b)
{
	if (b->index == NONE)
		return b->root->nr_allocated && bitmaps_are_of_other(b);
	return has_short_index(b) || bitmaps_are_of_other(b);
}

static void take(struct bitmaps *b, uint64_t index, const struct disk_bitmap *map)
{
	b->take(b->ctx, index, map);
	if (b->known)
		b->known[index] = 1;
}

static void look_at_bitmap(void *ctx, const struct bitmap_entry *e)
{
	struct bitmaps *b = ctx;
	struct disk_bitmap map BLOCK_ALIGNED;

	bitmaps_note_entry(b, e->i, e->nr_free);
	/* where one is lost, all others are older */
	if (e->i < nr_bitmaps(b) && !(b->known && b->known[e->i]) && graph_get_kind(b->super->graph, e->block, BLOCK_BITMAP, &map) &&
	    bitmaps_note(b, e->i, e->block, &map, e->nr_free))
		take(b, e->i, &map);
}

enum bitmaps_found bitmaps_read(struct bitmaps *b)
{
	const struct graph *g = b->super->graph;
	struct disk_bitmap map BLOCK_ALIGNED;

	if (b->index != NONE)
		(void)graph_each_in_index_tree(g, b->root, b->index, look_at_bitmap, b);
	else if (!graph_each_in_index(g, b->root, look_at_bitmap, b))
		return BITMAPS_LOST;
	if (b->super->has_sb && is_odd_right(b) && graph_get_kind(g, b->odd_block, BLOCK_BITMAP, &map)) {
		take(b, b->odd, &map);
		return BITMAPS_FIT;
	}
	if (b->super->has_sb && are_of_other_state(b))
		return BITMAPS_OTHER;
	return b->nr_odd ? BITMAPS_ODD : BITMAPS_FIT;
}
