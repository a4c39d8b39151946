/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Reads the trees that the superblock names, and only them. */
#include <errno.h>
#include <stdlib.h>

#include "base/order.h"
#include "base/overflow.h"
#include "pool/salvage/super/super.h"

void super_each_bitmap(const struct super *super, graph_bitmap_fn *fn, void *ctx)
{
	const struct superblock *sb = &super->sb;
	const uint32_t data = node_of(super->graph, sb->data_sm.bitmap_root);

	(void)graph_each_in_index(super->graph, &sb->metadata_sm, fn, ctx);
	if (data != NONE && super->graph->node[data].tree == TREE_INDEX)
		(void)graph_each_in_index_tree(super->graph, &sb->data_sm, data, fn, ctx);
}

static int want(struct graph *g, struct vec *list, uint64_t block)
{
	if (block >= g->nr_blocks || g->kind[block] != BLOCK_UNREAD)
		return 0;
	g->kind[block] = BLOCK_WANTED;
	return vec_put(list, (mblock_t)block);
}

/* The bitmaps that a space map's index names. */
static int want_bitmaps(struct graph *g, struct vec *list, uint32_t block)
{
	uint8_t buf[MBLOCK_SIZE] BLOCK_ALIGNED;
	uint32_t nr = (uint32_t)div_up(g->nr_blocks, ENTRIES_PER_BITMAP);
	const struct disk_index *index = (const void *)buf;
	struct view v;
	int r = 0;

	if (graph_get(g, block, buf, NULL) < 0)
		return 0;
	if (g->kind[block] == BLOCK_INDEX)
		for (uint32_t i = 0; i < nr && !r; i++)
			r = want(g, list, le64_get(index->entry[i].blocknr));
	else if (view_open(&v, buf) && v.leaf && v.value_size == 16)
		for (uint32_t i = 0; i < v.nr && !r; i++)
			r = want(g, list, view_value(&v, i));
	return r;
}

/* The roots of both trees, of both space maps and of the held snapshot. */
static int want_roots(struct super *super, struct vec *list)
{
	uint64_t root[NR_SUPER_ROOTS];
	int r = 0;

	super_roots(&super->sb, root);
	for (size_t i = 0; i < NR_SUPER_ROOTS && !r; i++)
		r = root[i] || i < 2 ? want(super->graph, list, root[i]) : 0;
	return r;
}

/* The bitmaps of the metadata map, and the trees of the held snapshot, when their roots have been read. */
static int want_more(struct super *super, struct vec *list)
{
	struct graph *g = super->graph;
	uint64_t index = super->sb.metadata_sm.bitmap_root;
	struct superblock held;
	int r = 0;

	if (index < g->nr_blocks && g->kind[index] == BLOCK_INDEX)
		r = want_bitmaps(g, list, (uint32_t)index);
	if (!r && super_read_copy(g, super->sb.held_root, &held)) {
		r = want(g, list, held.mapping_root);
		if (!r)
			r = want(g, list, held.details_root);
	}
	return r;
}

int super_load_trees(struct super *super, struct err *err)
{
	struct graph *g = super->graph;
	struct vec list = { 0 };
	uint32_t seen = g->nr_nodes;
	int r = want_roots(super, &list);

	while (!r && list.nr) {
		qsort(list.data, list.nr, sizeof(mblock_t), order_u64);
		r = graph_load(g, list.data, list.nr, err);
		list.nr = 0;
		for (; seen < g->nr_nodes && !r; seen++) {
			const struct snode *n = &g->node[seen];

			if (n->tree == TREE_INDEX && n->flags & SN_LEAF)
				r = want_bitmaps(g, &list, n->block);
			for (uint32_t k = 0; k < g->node[seen].nr_edges && !r; k++)
				r = want(g, &list, g->edge[g->node[seen].edge + k].block);
		}
		if (!r)
			r = want_more(super, &list);
	}
	free(list.data);
	return r == -ENOMEM ? err_nomem(err, "salvage: list of blocks") : r;
}
