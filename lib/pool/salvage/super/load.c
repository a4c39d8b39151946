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

/* Blocks that are read next. */
struct wanted {
	struct graph *graph;
	struct vec list;
	int r; /* -ENOMEM: not all have room */
};

static void want(struct wanted *w, uint64_t block)
{
	if (w->r || block >= w->graph->nr_blocks || w->graph->kind[block] != BLOCK_UNREAD)
		return;
	w->graph->kind[block] = BLOCK_WANTED;
	w->r = vec_put(&w->list, (mblock_t)block);
}

static void want_bitmap(void *ctx, const struct bitmap_entry *e)
{
	want(ctx, e->block);
}

/* The roots of both trees, of both space maps and of the held snapshot. */
static void want_roots(struct wanted *w, const struct superblock *sb)
{
	uint64_t root[NR_SUPER_ROOTS];

	super_roots(sb, root);
	for (size_t i = 0; i < NR_SUPER_ROOTS; i++)
		if (root[i] || i < 2)
			want(w, root[i]);
}

/* What node @node names: its children, or bitmaps of the data map. */
static void want_children(struct wanted *w, uint32_t node)
{
	const struct graph *g = w->graph;
	const struct snode *n = &g->node[node];

	if (n->tree == TREE_INDEX && n->flags & SN_LEAF)
		(void)graph_each_in_index_tree(g, NULL, node, want_bitmap, w);
	for (uint32_t k = 0; k < n->nr_edges; k++)
		want(w, g->edge[n->edge + k].block);
}

/* The bitmaps of the metadata map, and the trees of the held snapshot, when their roots have been read. */
static void want_more(struct wanted *w, const struct superblock *sb)
{
	struct superblock held;

	(void)graph_each_in_index(w->graph, &sb->metadata_sm, want_bitmap, w);
	if (super_read_copy(w->graph, sb->held_root, &held)) {
		want(w, held.mapping_root);
		want(w, held.details_root);
	}
}

int super_load_trees(struct super *super, struct err *err)
{
	struct graph *g = super->graph;
	struct wanted w = { .graph = g };
	uint32_t seen = g->nr_nodes;

	want_roots(&w, &super->sb);
	while (!w.r && w.list.nr) {
		qsort(w.list.data, w.list.nr, sizeof(mblock_t), order_u64);
		w.r = graph_load(g, w.list.data, w.list.nr, err);
		w.list.nr = 0;
		for (; seen < g->nr_nodes && !w.r; seen++)
			want_children(&w, seen);
		want_more(&w, &super->sb);
	}
	free(w.list.data);
	return w.r == -ENOMEM ? err_nomem(err, "salvage: list of blocks") : w.r;
}
