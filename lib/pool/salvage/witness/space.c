/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The metadata space map as a witness: a block with a count of zero is of an earlier transaction,
 * even if it is intact; a block with more references than parents that can be read has lost one.
 * Bitmaps whose index is lost are recognised by what they must say about the blocks that the trees
 * reach.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/overflow.h"
#include "pool/salvage/witness/counts.h"

#define MAX_HOLES 2 /* blocks that a program leaves free when it writes metadata anew */

static void add_free(void *ctx, const struct bitmap_entry *e)
{
	uint64_t *sum = ctx;

	*sum += e->nr_free;
}

/*
 * By how many may the superblock's number of metadata blocks in use be wrong?  Older programs wrote one more.  They also
 * did not count entries past the end of the data map as free.
 */
static int64_t slack_of(const struct super *super)
{
	const struct sm_root *data = &super->sb.data_sm;
	const uint64_t entries = div_up(data->nr_blocks, ENTRIES_PER_BITMAP) * ENTRIES_PER_BITMAP;
	const uint32_t index = node_of(super->graph, data->bitmap_root);
	uint64_t sum = data->nr_allocated;

	return entries == data->nr_blocks || index == NONE || super->graph->node[index].tree != TREE_INDEX ||
	       graph_each_in_index_tree(super->graph, data, index, add_free, &sum) || sum != entries;
}

/* Does the superblock, when there is one that can be asked, say another number of metadata blocks in use than @nr? */
static bool is_denied_by_superblock(const struct super *super, uint64_t nr)
{
	return super->has_sb && super->sb.metadata_sm.nr_allocated &&
	       !is_about((int64_t)nr, (int64_t)super->sb.metadata_sm.nr_allocated, 1);
}

/* One that the map does not have in use is an older copy: it stands for a node that is lost, which counts, too. */
static bool is_there(const struct counts *counts, uint32_t node)
{
	const struct snode *n = &counts->graph->node[node];

	return n->flags & (SN_LIVE | SN_HELD) && n->block != NONE && counts->count[n->block];
}

/* Is the metadata map's tree of large counts, which is lost, one leaf?  Of fewer entries than this the kernel makes no two. */
static bool has_few_large(const struct counts *counts)
{
	return count_of(b, counts->graph->nr_blocks, counts->found[b] > 2) < NODE_MAX_ENTRIES(4) / 3;
}

/* Nodes of the space maps' trees, the lost ones too.  *known: false where it is not known how many there are below one of these. */
static uint64_t nr_of_maps(const struct counts *counts, bool *known)
{
	struct graph *g = counts->graph;
	const struct sm_root *data = &counts->super->sb.data_sm;
	const uint64_t root[] = { data->bitmap_root, data->ref_count_root, counts->super->sb.metadata_sm.ref_count_root };
	const bool small = div_up(data->nr_blocks, ENTRIES_PER_BITMAP) <= NODE_MAX_ENTRIES(16); /* the index is a leaf */
	uint64_t nr = 0;

	*known = true;
	graph_unmark(g, SN_LINKING);
	for (size_t i = 0; i < ARRAY_SIZE(root); i++) {
		const uint32_t node = node_of(g, root[i]);

		if (node != NONE && g->node[node].tree == (i ? TREE_OVERFLOW : TREE_INDEX)) {
			graph_mark(g, node, SN_LINKING);
			continue;
		}
		nr += root[i] > 0;
		*known &= !root[i] || (!i && small) || (i == 2 && has_few_large(counts));
	}
	for (uint32_t i = 0; i < g->nr_nodes; i++) {
		const struct snode *n = &g->node[i];
		uint32_t lost;

		/* an older copy names older nodes */
		if (!(n->flags & SN_LINKING) || n->block == NONE || !counts->count[n->block])
			continue;
		lost = count_of(k, n->nr_edges, graph_child(g, n, k) == NONE);
		nr += 1 + lost;
		*known &= !lost || n->height == 1;
	}
	return nr;
}

/*
 * Blocks that the trees and the space maps have, those of the held snapshot among them.  *most: with the lost ones,
 * INT64_MAX: not known.
 */
static uint64_t nr_found(const struct counts *counts, uint64_t *most)
{
	const struct graph *g = counts->graph;
	const struct superblock *sb = &counts->super->sb;
	bool is_known, held, held_details = !sb->held_root;
	uint64_t nr = nr_of_maps(counts, &is_known) + 1 + div_up(g->nr_counted, ENTRIES_PER_BITMAP) +
		      div_up(sb->data_sm.nr_blocks, ENTRIES_PER_BITMAP) + (sb->metadata_sm.bitmap_root > 0) +
		      (sb->held_root > 0);

	nr += count_of(i, g->nr_nodes, is_there(counts, i));
	held_details |= any_of(i, g->nr_nodes, g->node[i].flags & SN_HELD && g->node[i].tree == TREE_DETAILS);
	is_known &= !super_held_is_short(counts->super, &held) && held == (sb->held_root > 0);
	*most = is_known ? nr + !held_details : INT64_MAX;
	for (size_t i = 0; i < counts->trees->gaps.nr && is_known; i++)
		*most += !is_there(counts, gap_at(counts->trees, i)->node);
	return nr;
}

bool counts_differ(const struct counts *counts)
{
	uint64_t most;
	const uint64_t nr = counts->super->sb.metadata_sm.nr_allocated, there = nr_found(counts, &most);
	const int64_t slack = slack_of(counts->super);

	return nr && (there > nr ||
		      (counts->counts_searched && !counts_have_unknown(counts) &&
		       !is_about(count_of(b, counts->graph->nr_blocks, counts->count[b]), (int64_t)nr, slack)) ||
		      (!counts_are_whole(counts) && (int64_t)(nr - most) > slack));
}

bool counts_add_up(const struct counts *counts)
{
	uint64_t most;

	(void)nr_found(counts, &most);
	return most == counts->super->sb.metadata_sm.nr_allocated;
}

bool counts_are_others(const struct counts *counts)
{
	uint64_t most;

	(void)nr_found(counts, &most);
	return most != INT64_MAX && most != counts->super->sb.metadata_sm.nr_allocated;
}

/* A bitmap of the data map, or of an earlier transaction, denies blocks that are in use. */
static bool bitmap_denies(const struct counts *counts, const struct disk_bitmap *map, uint32_t index)
{
	const uint32_t begin = index * ENTRIES_PER_BITMAP, nr = MIN((uint32_t)ENTRIES_PER_BITMAP, counts->graph->nr_blocks - begin);

	return any_of(i, nr, bitmap_count(map->bits, i) < MIN(counts->found[begin + i], 3));
}

static void take_bitmap(void *ctx, uint64_t index, const struct disk_bitmap *map)
{
	struct counts *counts = ctx;
	const uint32_t begin = (uint32_t)index * ENTRIES_PER_BITMAP;
	const uint32_t nr = MIN((uint32_t)ENTRIES_PER_BITMAP, counts->graph->nr_blocks - begin);

	for (uint32_t i = 0; i < nr; i++) {
		unsigned c = bitmap_count(map->bits, i);

		counts->count[begin + i] = c == 3 ? COUNT_MANY : c;
	}
	counts->has_counts = true;
}

/* What is younger than so (block_age()) was written by the last transaction. */
static uint32_t last_transaction(const struct super *super)
{
	const struct graph *g = super->graph;
	uint32_t least = g->nr_blocks;

	for (uint32_t b = 0; b < g->nr_blocks; b++)
		if (g->kind[b] == BLOCK_INDEX && block_age(super, b))
			least = MIN(least, block_age(super, b));
	return least;
}

/* How long ago a bitmap was written, when it may be of the state's own commit: that writes a few blocks behind its index. */
static uint32_t bitmap_age(const struct super *super, uint32_t block)
{
	uint32_t cursor = state_cursor(super);

	return block > cursor && block <= cursor + BEHIND_INDEX ? 0 : block_age(super, block);
}

/*
 * The bitmap of blocks [index * 16320, ...), when the index is lost: the newest that denies no
 * block in use.  The bitmap of the index block itself must have been written by the last
 * transaction.
 */
static void search_bitmap(struct counts *counts, uint32_t index)
{
	struct disk_bitmap map BLOCK_ALIGNED, best;
	const struct graph *g = counts->graph;
	const struct super *super = counts->super;
	uint32_t cursor = (uint32_t)super->sb.metadata_sm.bitmap_root, best_age = UINT32_MAX;
	uint32_t limit = cursor / ENTRIES_PER_BITMAP == index ? last_transaction(super) : g->nr_blocks;

	for (uint32_t b = 0; b < g->nr_blocks; b++) {
		if (g->kind[b] != BLOCK_BITMAP || bitmap_age(super, b) >= limit)
			continue;
		if (!graph_get_kind(g, b, BLOCK_BITMAP, &map))
			return; /* it may have been the right one */
		if ((g->nr_blocks <= ENTRIES_PER_BITMAP && is_denied_by_superblock(super, bitmap_nr_used(&map))) ||
		    bitmap_denies(counts, &map, index) || bitmap_age(super, b) > best_age)
			continue;
		best_age = bitmap_age(super, b);
		best = map;
	}
	if (best_age != UINT32_MAX)
		take_bitmap(counts, index, &best);
	counts->counts_searched = true;
}

/* Each bitmap of the metadata map, when its index is lost. */
static void search_bitmaps(struct counts *counts)
{
	const struct graph *g = counts->graph;

	/* where the image is cut off, nothing is there to count */
	for (uint32_t i = 0; i * ENTRIES_PER_BITMAP < g->nr_counted && g->kind[i * ENTRIES_PER_BITMAP] != BLOCK_CUT; i++)
		search_bitmap(counts, i);
}

static int take_overflow(void *ctx, const struct view *v)
{
	struct counts *counts = ctx;

	for (uint32_t i = 0; i < v->nr; i++) {
		uint64_t key = view_key(v, i);
		uint32_t count = view_u32(v, i, 0);

		if (key < counts->graph->nr_blocks && counts->count[key] == COUNT_MANY && count >= 3)
			counts->count[key] = MIN(count, COUNT_MANY - 1);
	}
	return 0;
}

static void forget_counts(struct counts *counts)
{
	memset(counts->count, 0xff, counts->graph->nr_blocks * sizeof(*counts->count)); /* COUNT_UNKNOWN */
	counts->has_counts = counts->counts_searched = false;
}

static void read_bitmaps(struct counts *counts)
{
	struct graph *g = counts->graph;
	const struct sm_root *root = &counts->super->sb.metadata_sm;
	const uint32_t nr = graph_nr_bitmaps(g, root->bitmap_root);
	struct bitmaps bitmaps = { .super = counts->super, .root = root, .index = NONE, .take = take_bitmap, .ctx = counts };
	enum bitmaps_found found;

	if (nr && nr != div_up(g->nr_counted, ENTRIES_PER_BITMAP))
		g->nr_counted = MIN(g->nr_blocks, nr * ENTRIES_PER_BITMAP);
	bitmaps.nr_blocks = g->nr_counted;
	found = bitmaps_read(&bitmaps);
	counts->has_other = found == BITMAPS_ODD || found == BITMAPS_OTHER;
	if (found == BITMAPS_OTHER)
		forget_counts(counts);
	if (found == BITMAPS_OTHER || found == BITMAPS_LOST)
		search_bitmaps(counts);
	else /* nothing behind the map is in use */
		for (uint32_t b = nr * ENTRIES_PER_BITMAP; b < g->nr_blocks; b++)
			counts->count[b] = 0;
}

int counts_read(struct counts *counts, struct err *err)
{
	const struct graph *g = counts->graph;
	const uint64_t large = counts->super->sb.metadata_sm.ref_count_root;
	const uint32_t over = node_of(g, large);
	int r = 0;

	if (!counts->count)
		counts->count = malloc(g->nr_blocks * sizeof(*counts->count));
	if (!counts->found)
		counts->found = malloc(g->nr_blocks * sizeof(*counts->found));
	if (!counts->count || !counts->found)
		return err_nomem(err, "salvage: reference counts");
	forget_counts(counts);
	counts_read_edges(counts);
	read_bitmaps(counts);
	if (large && over != NONE && g->node[over].tree == TREE_OVERFLOW)
		r = graph_each_leaf(g, over, 4, take_overflow, counts, err);
	counts_read_edges(counts);
	return r == -ENOMEM ? r : 0;
}

uint32_t counts_missing_refs(const struct counts *counts, uint32_t block)
{
	uint32_t count, found;

	if (!counts->has_counts || block >= counts->graph->nr_blocks || counts->count[block] == COUNT_UNKNOWN)
		return COUNT_UNKNOWN;
	count = counts->count[block];
	found = counts->found[block];
	if (count == COUNT_MANY)
		return found < 3 ? 3 - found : COUNT_MANY;
	return count > found ? count - found : 0;
}

bool counts_make_row(const struct counts *counts)
{
	uint32_t nr = 0, last = 0;

	for (uint32_t b = 1; b < counts->graph->nr_blocks; b++)
		if (counts_in_use(counts, b)) {
			nr++;
			last = b;
		}
	return nr && last <= nr + MAX_HOLES;
}

bool counts_have_unknown(const struct counts *counts)
{
	return !counts->has_counts || any_of(b, counts->graph->nr_blocks, counts->count[b] == COUNT_UNKNOWN);
}

bool counts_are_whole(const struct counts *counts)
{
	return counts->has_counts && !counts->counts_searched && !counts_have_unknown(counts);
}

bool counts_are_exact(const struct counts *counts)
{
	return counts_are_whole(counts) && !any_of(b, counts->graph->nr_blocks, counts->count[b] == COUNT_MANY);
}

bool counts_lack_parents(const struct counts *counts)
{
	struct graph *g = counts->graph;
	const uint64_t copy = counts->super->sb.held_root;
	struct superblock held;
	bool top = copy && !super_read_copy(g, copy, &held), details = top; /* a root that the lost copy named? */

	for (uint32_t b = 0; b < g->nr_blocks; b++) {
		const uint8_t tree = g->slot[b] == NONE ? TREE_NONE : g->node[g->slot[b]].tree;
		bool *root = tree == TREE_TOP ? &top : &details;

		if (g->kind[b] == BLOCK_BITMAP || g->kind[b] == BLOCK_INDEX || !counts_lack(counts, b))
			continue;
		if ((tree != TREE_TOP && tree != TREE_DETAILS) || !*root || counts_lack(counts, b) > 1)
			return true;
		*root = false;
	}
	return false;
}

uint64_t counts_lost_lack(const struct counts *counts)
{
	uint64_t nr = 0;

	for (uint32_t b = 0; b < counts->graph->nr_blocks; b++)
		nr += counts->graph->kind[b] < BLOCK_NODE ? counts_lack(counts, b) : 0;
	return nr;
}
