/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What does not fit in the pool that the superblock names. */
#include "pool/salvage/witness/counts.h"
#include "pool/salvage/witness/misfits.h"

/* For loops: only a disk made to cost time has many. */
#define MAX_LOOKS ((size_t)50 << 20)

static void add_misfit(struct misfits *m, uint64_t block)
{
	if (any_of(i, m->nr_places, m->block[i] == block))
		return;
	if (m->nr_places < MAX_PLACES)
		m->block[m->nr_places++] = (uint32_t)block;
	m->nr++;
}

static void look_at_bitmap(void *ctx, const struct bitmap_entry *e)
{
	struct misfits *m = ctx;

	if (graph_has_other(m->super->graph, e->block, BLOCK_BITMAP))
		add_misfit(m, e->block);
}

/* The children of a node in use: those that do not fit, and leaves without an entry, which only a root may be. */
static void look_at_children(struct misfits *m, const struct snode *n)
{
	const struct graph *g = m->super->graph;

	for (uint32_t k = 0; !(n->flags & (SN_LEAF | SN_VIRTUAL)) && k < n->nr_edges; k++) {
		const uint32_t block = g->edge[n->edge + k].block, c = graph_child(g, n, k);

		if (block < g->nr_blocks && g->kind[block] >= BLOCK_NODE && (c == NONE || (!g->node[c].nr && !(g->node[c].flags & SN_VIRTUAL))))
			add_misfit(m, block);
	}
}

/* What a superblock names. */
static void look_at_root(struct misfits *m, uint64_t block, enum block_kind kind, uint8_t tree)
{
	const struct graph *g = m->super->graph;
	const uint32_t i = node_of(g, block);

	if (!block || block >= g->nr_blocks || g->kind[block] < BLOCK_NODE)
		return;
	if (g->kind[block] != kind || (kind == BLOCK_NODE && (i == NONE || !tree_fits(g->node[i].tree, tree))))
		add_misfit(m, block);
	else if (kind == BLOCK_NODE)
		graph_mark(m->super->graph, i, SN_LIVE);
}

static void look_at_maps(struct misfits *m)
{
	const struct superblock *sb = &m->super->sb;
	struct superblock held;

	look_at_root(m, sb->metadata_sm.bitmap_root, BLOCK_INDEX, TREE_NONE);
	look_at_root(m, sb->held_root, BLOCK_SUPER, TREE_NONE);
	look_at_root(m, sb->data_sm.bitmap_root, BLOCK_NODE, TREE_INDEX);
	look_at_root(m, sb->data_sm.ref_count_root, BLOCK_NODE, TREE_OVERFLOW);
	look_at_root(m, sb->metadata_sm.ref_count_root, BLOCK_NODE, TREE_OVERFLOW);
	if (super_read_copy(m->super->graph, sb->held_root, &held)) {
		look_at_root(m, held.mapping_root, BLOCK_NODE, TREE_TOP);
		look_at_root(m, held.details_root, BLOCK_NODE, TREE_DETAILS);
	}
	super_each_bitmap(m->super, look_at_bitmap, m);
}

/* Is @block below node @i, as the child of a node that fits there? */
static bool names(const struct graph *g, uint32_t i, uint32_t block, unsigned depth, size_t *looks)
{
	const struct snode *n = &g->node[i];

	for (uint32_t k = 0; k < n->nr_edges && ++*looks < MAX_LOOKS; k++) {
		const uint32_t c = n->flags & SN_LEAF ? node_of(g, g->edge[n->edge + k].block) : graph_child(g, n, k);

		if (g->edge[n->edge + k].block == block || (depth && c != NONE && names(g, c, block, depth - 1, looks)))
			return true;
	}
	return false;
}

/*
 * The contents of a parent and of what is below it, exchanged: where the lower one was, the parent is below itself.  Of the top level
 * nothing is known but this: so all that is below it is looked at.
 */
static void look_for_loops(struct misfits *m)
{
	const struct graph *g = m->super->graph;
	size_t looks = 0;

	for (unsigned depth = 0; depth <= BTREE_MAX_DEPTH; depth += BTREE_MAX_DEPTH)
		for (uint32_t i = 0; i < g->nr_nodes && m->nr_places < 2; i++)
			if (g->node[i].block != NONE && (!depth || g->node[i].tree == TREE_TOP) &&
			    names(g, i, g->node[i].block, depth, &looks))
				add_misfit(m, g->node[i].block);
}

int misfits_look(struct trees *trees, struct misfits *m, struct err *err)
{
	const struct graph *g = trees->graph;
	int r = trees_walk(trees, err);

	*m = (struct misfits) { .super = trees->super };
	if (r)
		return r;
	for (size_t i = 0; i < trees->gaps.nr; i++)
		if (gap_at(trees, i)->block == NONE) {
			m->nr_nowhere++;
			m->nr++;
		} else if (gap_at(trees, i)->why >= BLOCK_NODE) {
			add_misfit(m, gap_at(trees, i)->block);
		}
	if (trees->nr_devs && !trees->dev[0].in_top && !g->node[trees->map_root].nr && !(g->node[trees->map_root].flags & SN_VIRTUAL))
		add_misfit(m, trees->super->sb.mapping_root); /* it is empty, and the details are not */
	for (size_t i = 0; i < trees->nr_devs; i++)
		if (misfits_has_other_count(g, &trees->dev[i]))
			add_misfit(m, trees->dev[i].root_block);
	look_at_maps(m);
	for (uint32_t i = 0; i < g->nr_nodes; i++)
		if (g->node[i].flags & SN_LIVE)
			look_at_children(m, &g->node[i]);
	if (m->nr)
		look_for_loops(m);
	return 0;
}
