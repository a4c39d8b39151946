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

#include "base/cleanup.h"
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

/* Counts as the data map has them; @known: by bitmap. */
struct reading {
	struct datamap *datamap;
	struct refmap *count;
	uint8_t *known;
	struct bitmaps seen;
	uint64_t nr_large; /* counts that the tree of large counts has */
};

static void take_bitmap(struct reading *r, uint64_t index, const struct disk_bitmap *map)
{
	refmap_from_bitmap(r->count, index, map->bits);
	r->known[index] = 1;
}

static void read_bitmap(struct reading *r, uint64_t index, uint64_t block, uint32_t nr_free)
{
	struct disk_bitmap map BLOCK_ALIGNED;
	const struct graph *g = r->datamap->graph;

	if (index >= div_up(refmap_nr_blocks(r->count), ENTRIES_PER_BITMAP) || r->known[index] ||
	    block >= g->nr_blocks || g->kind[block] != BLOCK_BITMAP ||
	    graph_get(g, (uint32_t)block, &map, NULL) < 0)
		return;
	if (bitmaps_note(&r->seen, index, block, &map, nr_free))
		take_bitmap(r, index, &map);
}

/* Is the index a leaf that lacks bitmaps of the superblock's map?  It is of the time before the data device was extended. */
static bool has_short_index(const struct reading *r)
{
	const struct graph *g = r->datamap->graph;
	const uint32_t root = node_of(g, r->datamap->super->sb.data_sm.bitmap_root);

	return root != NONE && g->node[root].tree == TREE_INDEX && g->node[root].flags & SN_LEAF &&
	       g->node[root].nr < div_up(r->datamap->super->sb.data_sm.nr_blocks, ENTRIES_PER_BITMAP);
}

/* When all have been read: takes the odd one, if it is the right one.  False: they are of another state than the superblock. */
static bool settle_bitmaps(struct reading *r)
{
	struct disk_bitmap map BLOCK_ALIGNED;
	const bool has_sb = r->datamap->super->has_sb;
	const bool is_right = has_sb && bitmaps_odd_is_right(&r->seen) &&
			      graph_get(r->datamap->graph, (uint32_t)r->seen.odd_block, &map, NULL) >= 0;
	const bool is_other = has_sb && !is_right && (bitmaps_are_of_other(&r->seen) || has_short_index(r));

	if (is_right)
		take_bitmap(r, r->seen.odd, &map);
	r->datamap->has_other = is_other || (r->seen.nr_odd && !is_right);
	return !is_other;
}

static int read_index(void *ctx, const struct view *v)
{
	struct reading *r = ctx;

	for (uint32_t i = 0; i < v->nr; i++) {
		bitmaps_note_entry(&r->seen, view_key(v, i), index_nr_free(v, i));
		read_bitmap(r, view_key(v, i), view_value(v, i), index_nr_free(v, i));
	}
	return 0;
}

static int read_overflow(void *ctx, const struct view *v)
{
	struct reading *r = ctx;

	for (uint32_t i = 0; i < v->nr; i++) {
		uint64_t b = view_key(v, i);
		le32 count;

		memcpy(&count, v->values + (size_t)i * v->value_size, sizeof(count));
		if (b >= refmap_nr_blocks(r->count) || refmap_get(r->count, b) != 3)
			continue;
		refmap_set(r->count, b, le32_get(count));
		r->nr_large++;
	}
	return 0;
}

/* How many counts are three or more? */
static uint64_t nr_large(const struct refmap *count)
{
	uint64_t nr = 0;

	for (uint64_t i = 0; i * 32 < refmap_nr_blocks(count); i++) {
		uint64_t w = refmap_word(count, i);

		nr += (uint64_t)__builtin_popcountll(w & w >> 1 & 0x5555555555555555u);
	}
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

static void free_reading(struct reading *r)
{
	refmap_free(r->count);
	free(r->known);
}

int datamap_counts(struct datamap *datamap, struct refmap **count, uint8_t **known, struct err *err)
{
	const struct graph *g = datamap->graph;
	const struct super *super = datamap->super;
	struct reading r = { .datamap = datamap, .seen = { .nr_blocks = g->nr_data_blocks, .root = &super->sb.data_sm } };
	uint32_t index = find_index(datamap->counts), over;

	*count = NULL;
	*known = NULL;
	if (index == NONE || g->nr_data_blocks > MAX_BLOCKS)
		return 0;
	r.count = refmap_new(g->nr_data_blocks, false);
	r.known = calloc_u64(div_up(g->nr_data_blocks, ENTRIES_PER_BITMAP) + 1, 1);
	if (!r.count || !r.known) {
		free_reading(&r);
		return err_nomem(err, "salvage: data space map");
	}
	(void)graph_each_leaf(g, index, 16, read_index, &r, NULL);
	if (!settle_bitmaps(&r)) {
		free_reading(&r);
		return 0;
	}
	over = node_of(g, super->sb.data_sm.ref_count_root);
	if (super->sb.data_sm.ref_count_root && over != NONE && g->node[over].tree == TREE_OVERFLOW)
		(void)graph_each_leaf(g, over, 4, read_overflow, &r, NULL);
	if (refmap_failed(r.count)) {
		free_reading(&r);
		return err_nomem(err, "salvage: data space map");
	}
	datamap->large_lost = r.nr_large < nr_large(r.count);
	*count = r.count;
	*known = r.known;
	return 0;
}

bool datamap_is_known(const struct refmap *count, const uint8_t *known)
{
	for (uint64_t i = 0; i * ENTRIES_PER_BITMAP < refmap_nr_blocks(count); i++)
		if (!known[i])
			return false;
	return true;
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
	CLEANUP(free_ptr) uint8_t *known = NULL;
	int r;

	if (datamap->begun)
		return 0;
	datamap->begun = true;
	if (!grow_seen(datamap))
		return err_nomem(err, "salvage: data space map");
	r = datamap_counts(datamap, &datamap->missing, &known, err);
	if (r < 0 || !datamap->missing)
		return r;
	if (!datamap_is_known(datamap->missing, known)) { /* a part is of no use here */
		refmap_free(datamap->missing);
		datamap->missing = NULL;
		return 0;
	}
	take_found(datamap);
	return 0;
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
