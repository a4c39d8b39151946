/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The data space map as a witness, when the metadata space map is lost: the data blocks whose
 * counts are higher than the mappings found for them belong to what is missing.  An old copy of a
 * leaf is recognized by mappings to blocks for which no mapping is missing.
 *
 * Counts are those of distinct leaves, of the live trees and those of the held snapshot.
 */
#include <stdlib.h>
#include <string.h>

#include "base/overflow.h"
#include "pdata/block/refmap.h"
#include "pool/salvage/witness/datamap.h"

#define MAX_BLOCKS ((uint64_t)1 << 31) /* 512 MiB of counts: a larger map is not used */

typedef int leaf_fn(struct datamap *datamap, uint32_t leaf);

#define TAKEN UINT32_MAX

/* Each leaf below @i once, but for those that were taken.  @mark: TAKEN, or one that was not used before. */
static int each_leaf(struct datamap *datamap, uint32_t i, uint32_t mark, leaf_fn *fn, unsigned depth)
{
	const struct graph *g = datamap->graph;
	const struct snode *n = &g->node[i];
	int r = 0;

	if (datamap->seen[i] == TAKEN || datamap->seen[i] == mark || depth > 2 * BTREE_MAX_DEPTH)
		return 0;
	datamap->seen[i] = mark;
	if (n->flags & SN_LEAF)
		return n->tree == TREE_MAPPING ? fn(datamap, i) : 0;
	for (uint32_t k = 0; k < n->nr_edges && !r; k++)
		if (graph_child(g, n, k) != NONE)
			r = each_leaf(datamap, graph_child(g, n, k), mark, fn, depth + 1);
	return r;
}

uint32_t datamap_count(const struct refmap *m, uint64_t b)
{
	return b < refmap_nr_blocks(m) ? refmap_get(m, b) : 0;
}

uint32_t datamap_missing(const struct datamap *datamap, uint64_t b)
{
	uint32_t nr = datamap_count(datamap->missing, b);

	return datamap_is_open(datamap, nr) ? COUNT_MANY : nr;
}

void datamap_take_block(struct refmap *m, uint64_t b)
{
	uint32_t count = datamap_count(m, b);

	if (count)
		refmap_set(m, b, count - 1);
}

static int take_leaf(struct datamap *datamap, uint32_t leaf)
{
	uint8_t buf[MBLOCK_SIZE] BLOCK_ALIGNED;
	struct view v;

	if (!graph_view(datamap->graph, leaf, buf, &v))
		return 0;
	for (uint32_t i = 0; i < v.nr; i++) {
		uint64_t b = mapping_block(view_value(&v, i));

		if (datamap_missing(datamap, b) < COUNT_MANY)
			datamap_take_block(datamap->missing, b);
	}
	return 0;
}

/* 1 when the leaf maps a block for which no mapping is missing. */
static int check_leaf(struct datamap *datamap, uint32_t leaf)
{
	uint8_t buf[MBLOCK_SIZE] BLOCK_ALIGNED;
	struct view v;

	if (!graph_view(datamap->graph, leaf, buf, &v))
		return 1;
	for (uint32_t i = 0; i < v.nr; i++)
		if (!datamap_missing(datamap, mapping_block(view_value(&v, i))))
			return 1;
	return 0;
}

/* Counts that are read. */
struct reading {
	struct refmap *count;
	uint64_t nr_large; /* counts that the tree of large counts has */
};

static void take_bitmap(void *ctx, uint64_t index, const struct disk_bitmap *map)
{
	const struct reading *r = ctx;

	refmap_from_bitmap(r->count, index, map->bits);
}

static int read_overflow(void *ctx, const struct view *v)
{
	struct reading *r = ctx;

	for (uint32_t i = 0; i < v->nr; i++) {
		uint64_t b = view_key(v, i);

		if (b >= refmap_nr_blocks(r->count) || refmap_get(r->count, b) != 3)
			continue;
		refmap_set(r->count, b, view_u32(v, i, 0));
		r->nr_large++;
	}
	return 0;
}

/* How many counts are three or more? */
static uint64_t nr_large(const struct refmap *count)
{
	const uint64_t end = refmap_nr_blocks(count);
	uint64_t nr = 0;

	for (uint64_t b = 0; (b = refmap_find_pair_11(count, b)) < end; b++)
		nr++;
	return nr;
}

/*
 * The data map's index: the superblock's; else of those that the metadata map has in use, or of all when it
 * is lost, the newest.
 */
static uint32_t find_index(const struct counts *counts)
{
	const struct graph *g = counts->graph;
	const struct super *super = counts->super;
	uint32_t best = node_of(g, super->sb.data_sm.bitmap_root);
	bool best_used = false;

	if (super->sb.data_sm.bitmap_root)
		return best != NONE && g->node[best].tree == TREE_INDEX ? best : NONE;
	best = NONE;
	for (uint32_t i = 0; i < g->nr_nodes; i++) {
		const struct snode *n = &g->node[i];
		bool used;

		if (n->tree != TREE_INDEX || n->flags & SN_VIRTUAL)
			continue;
		used = counts->has_counts && counts->count[n->block] &&
		       counts->count[n->block] < COUNT_MANY &&
		       counts->found[n->block] < counts->count[n->block];
		if (best != NONE &&
		    (used < best_used ||
		     (used == best_used &&
		      block_age(super, n->block) >= block_age(super, g->node[best].block))))
			continue;
		best = i;
		best_used = used;
	}
	return best;
}

/* Nodes may have been added since. */
static bool grow_seen(struct datamap *datamap)
{
	struct graph *g = datamap->graph;
	uint32_t *p;

	if (datamap->nr_seen > g->nr_nodes)
		return true;
	p = graph_noted(g, reallocarray(datamap->seen, (size_t)g->nr_nodes + 1, sizeof(*p)));
	if (!p)
		return false;
	memset(p + datamap->nr_seen, 0, ((size_t)g->nr_nodes + 1 - datamap->nr_seen) * sizeof(*p));
	datamap->seen = p;
	datamap->nr_seen = g->nr_nodes + 1;
	return true;
}

void data_counts_fini(struct data_counts *counts)
{
	refmap_free(counts->stored);
	refmap_free(counts->refs);
	free(counts->known);
	*counts = (struct data_counts) { 0 };
}

/* Reads the map, whose index is node @index, to @out.  False: it is of another state than the superblock. */
static bool read_map(struct datamap *datamap, uint32_t index, struct data_counts *out)
{
	const struct graph *g = datamap->graph;
	const struct sm_root *root = &datamap->super->sb.data_sm;
	const uint32_t over = node_of(g, root->ref_count_root);
	struct reading r = { .count = out->stored };
	struct bitmaps bitmaps = { .super = datamap->super, .root = root, .index = index, .nr_blocks = g->nr_data_blocks,
				   .take = take_bitmap, .ctx = &r, .known = out->known };
	const enum bitmaps_found found = bitmaps_read(&bitmaps);

	datamap->has_other = found != BITMAPS_FIT;
	if (found == BITMAPS_OTHER)
		return false;
	if (root->ref_count_root && over != NONE && g->node[over].tree == TREE_OVERFLOW)
		(void)graph_each_leaf(g, over, 4, read_overflow, &r, NULL);
	datamap->large_lost = r.nr_large < nr_large(r.count);
	out->whole = !any_of(i, div_up(g->nr_data_blocks, ENTRIES_PER_BITMAP), !out->known[i]);
	return true;
}

int datamap_counts(struct datamap *datamap, struct data_counts *out, struct err *err)
{
	const uint64_t nr = datamap->graph->nr_data_blocks;
	const uint32_t index = find_index(datamap->counts);

	*out = (struct data_counts) { 0 };
	if (index == NONE || nr > MAX_BLOCKS)
		return 0;
	out->stored = refmap_new(nr, false);
	out->known = calloc_u64(div_up(nr, ENTRIES_PER_BITMAP) + 1, 1);
	if (out->stored && out->known && !read_map(datamap, index, out)) {
		data_counts_fini(out);
		return 0;
	}
	if (out->stored && out->known && !refmap_failed(out->stored))
		return 0;
	data_counts_fini(out);
	return err_nomem(err, "salvage: data space map");
}

/* Subtracts the mappings that were found. */
static void take_found(struct datamap *datamap)
{
	const struct graph *g = datamap->graph;

	super_mark_held(datamap->super); /* its devices' mappings count, too */
	for (uint32_t i = 0; i < g->nr_nodes; i++)
		if (g->node[i].flags & (SN_LIVE | SN_HELD) && g->node[i].flags & SN_LEAF)
			(void)each_leaf(datamap, i, TAKEN, take_leaf, 0);
}

int datamap_begin(struct datamap *datamap, struct err *err)
{
	struct data_counts counts;
	int r;

	if (datamap->begun)
		return 0;
	datamap->begun = true;
	if (!grow_seen(datamap))
		return err_nomem(err, "salvage: data space map");
	r = datamap_counts(datamap, &counts, err);
	if (counts.whole) { /* a part is of no use here */
		datamap->missing = counts.stored;
		counts.stored = NULL;
		take_found(datamap);
	}
	data_counts_fini(&counts);
	return r;
}

int datamap_assume(struct datamap *datamap, struct err *err)
{
	if (datamap->missing || datamap->graph->nr_data_blocks > MAX_BLOCKS)
		return 0;
	datamap->missing = refmap_new(datamap->graph->nr_data_blocks, false);
	if (!datamap->missing || !grow_seen(datamap))
		return err_nomem(err, "salvage: data blocks");
	refmap_inc_run(datamap->missing, 0, datamap->graph->nr_data_blocks);
	take_found(datamap);
	return 0;
}

void datamap_forget(struct datamap *datamap)
{
	refmap_free(datamap->missing);
	datamap->missing = NULL;
	memset(datamap->seen, 0, datamap->nr_seen * sizeof(*datamap->seen));
}

bool datamap_allows(struct datamap *datamap, uint32_t node)
{
	if (!datamap->missing)
		return true;
	if (!grow_seen(datamap))
		return false;
	return !each_leaf(datamap, node, ++datamap->asked, check_leaf, 0);
}

void datamap_take(struct datamap *datamap, uint32_t node)
{
	if (datamap->missing && grow_seen(datamap))
		(void)each_leaf(datamap, node, TAKEN, take_leaf, 0);
}

uint64_t datamap_sum(const struct datamap *datamap)
{
	const uint64_t end = datamap->missing ? refmap_nr_blocks(datamap->missing) : 0;
	uint64_t sum = datamap->missing && !datamap->large_lost ? 0 : UINT64_MAX;

	for (uint64_t b = 0; sum < UINT64_MAX && (b = refmap_find_used(datamap->missing, b)) < end; b++)
		sum += refmap_get(datamap->missing, b);
	return sum;
}

bool datamap_is_settled(const struct datamap *datamap)
{
	return datamap->missing && refmap_find_used(datamap->missing, 0) ==
						refmap_nr_blocks(datamap->missing);
}

void datamap_end(struct datamap *datamap)
{
	refmap_free(datamap->missing);
	refmap_free(datamap->over);
	free(datamap->seen);
}
