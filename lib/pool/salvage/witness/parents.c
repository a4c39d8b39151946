/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* How many parents has each block?  Those of the trees, and of the other nodes in use, which may have lost theirs. */
#include "pool/salvage/witness/counts.h"

static void add_ref(struct counts *counts, uint64_t block)
{
	if (block < counts->graph->nr_blocks)
		counts->found[block]++;
}

/* The copies of the superblock that are in use: the held metadata snapshot. */
static void add_held_refs(struct counts *counts)
{
	struct graph *g = counts->graph;
	struct superblock held;

	for (uint32_t b = 1; b < g->nr_blocks; b++) {
		if (g->kind[b] != BLOCK_SUPER ||
		    (b != counts->super->sb.held_root &&
		     !(counts->has_counts && counts->count[b] && counts->count[b] < COUNT_MANY)) ||
		    !super_read_copy(g, b, &held))
			continue;
		add_ref(counts, held.mapping_root);
		add_ref(counts, held.details_root);
	}
}

static void add_children(struct counts *counts, const struct snode *n)
{
	/* nodes that are not of this state have no children here */
	for (uint32_t k = 0; !(n->flags & SN_DENIED) && k < n->nr_edges; k++) {
		const struct edge *e = &counts->graph->edge[n->edge + k];

		/* a tree under an impossible device id lacks a parent */
		if (!(n->flags & SN_LEAF) || e->key <= MAX_DEV_ID)
			add_ref(counts, e->block);
	}
}

static bool is_in_use(const struct counts *counts, const struct snode *n)
{
	return !(n->flags & SN_VIRTUAL) && counts_in_use(counts, n->block);
}

/* Then it is the content of another block. */
static bool names_itself(const struct graph *g, const struct snode *n)
{
	return any_of(k, n->nr_edges, g->edge[n->edge + k].block == n->block);
}

/*
 * Nodes in the places of lost ones, which the walk refused; and with other content where the superblock names the @root of
 * a space map.
 */
static void mark_refused(struct counts *counts, const uint64_t *root)
{
	struct graph *g = counts->graph;

	for (size_t i = 0; i < counts->trees->gaps.nr; i++) {
		const uint32_t node = node_of(g, gap_at(counts->trees, i)->block);

		if (node != NONE && is_in_use(counts, &g->node[node]))
			g->node[node].flags |= SN_MISPLACED;
	}
	for (size_t i = MAP_ROOTS; i < END_MAP_ROOTS; i++) {
		struct snode *n = node_of(g, root[i]) == NONE ? NULL : &g->node[node_of(g, root[i])];

		if (n && !(n->flags & SN_VIRTUAL) && n->tree != TREE_NONE && n->tree != TREE_INDEX &&
		    n->tree != TREE_OVERFLOW)
			n->flags |= SN_MISPLACED;
	}
}

void counts_read_edges(struct counts *counts)
{
	struct graph *g = counts->graph;
	const struct super *super = counts->super;
	const struct trees *trees = counts->trees;
	uint64_t roots[NR_SUPER_ROOTS];

	memset(counts->found, 0, g->nr_blocks * sizeof(*counts->found));
	super_roots(&super->sb, roots);
	for (size_t i = 0; i < NR_SUPER_ROOTS; i++)
		add_ref(counts, roots[i]);
	counts->found[0] = 1;
	for (size_t i = 0; i < trees->nr_devs; i++)
		if (trees->dev[i].root_found && trees->dev[i].root != NONE)
			add_ref(counts, g->node[trees->dev[i].root].block);
	add_held_refs(counts);
	for (uint32_t i = 0; i < g->nr_nodes; i++) {
		g->node[i].flags &= (uint16_t)~SN_MISPLACED;
		if (names_itself(g, &g->node[i]))
			g->node[i].flags |= SN_MISPLACED;
		if (g->node[i].flags & SN_LIVE)
			add_children(counts, &g->node[i]);
	}
	mark_refused(counts, roots);
	for (uint32_t i = 0; i < g->nr_nodes; i++)
		if (!(g->node[i].flags & (SN_LIVE | SN_MISPLACED)) && is_in_use(counts, &g->node[i]))
			add_children(counts, &g->node[i]);
}
