/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * From nodes to trees.  Linking gives every internal node its tree, its height and those of its
 * children that fit: of the right tree and height, with keys in the range that the parent says.
 */
#include <stdlib.h>

#include "pool/salvage/graph/graph.h"

#include "base/overflow.h"

void graph_make_mapping(struct graph *g, struct snode *n)
{
	n->tree = TREE_MAPPING;
	n->nr_mappings = 1;
	g->mapped_sum += data_mark(0);
	n->min_time = n->max_time = g->edge[n->edge].block;
	n->nr_edges = 0;
}

void graph_add_sums(struct snode *n, const struct snode *c)
{
	if (!c->nr && !(c->flags & SN_VIRTUAL))
		return;
	if (c->nr_mappings) {
		n->min_time = n->nr_mappings ? MIN(n->min_time, c->min_time) : c->min_time;
		n->max_time = MAX(n->max_time, c->max_time);
	}
	n->max_data = MAX(n->max_data, c->max_data);
	if (__builtin_add_overflow(n->nr_mappings, c->nr_mappings, &n->nr_mappings))
		n->nr_mappings = UINT64_MAX;
}

/* Can @c be child @k of @n, by its keys? */
static bool keys_fit(const struct graph *g, const struct snode *n, uint32_t k, const struct snode *c)
{
	return !c->nr || (c->first >= g->edge[n->edge + k].key && c->last <= last_key_of(g, n, k, UINT64_MAX));
}

/* Do the keys of all children of @n fit that are there, of whatever tree they are? */
static bool all_keys_fit(const struct graph *g, const struct snode *n)
{
	for (uint32_t k = 0; k < n->nr_edges; k++) {
		const uint32_t c = node_of(g, g->edge[n->edge + k].block);

		if (c != NONE && !keys_fit(g, n, k, &g->node[c]))
			return false;
	}
	return true;
}

bool graph_mend_key(struct graph *g, uint32_t node, uint32_t k)
{
	struct snode *n = &g->node[node];
	struct edge *e = g->edge + n->edge;
	const uint32_t c = node_of(g, e[k].block);

	if (c == NONE || !g->node[c].nr || g->node[c].first == e[k].key)
		return false;
	e[k].key = g->node[c].first;
	qsort(e, n->nr_edges, sizeof(*e), order_u64); /* by key */
	n->flags |= SN_MENDED;
	return all_keys_fit(g, n);
}

/*
 * The tree and height that most of the children have whose keys fit.  Of as many the higher ones are believed: their
 * own children agreed already.
 */
static void vote(const struct graph *g, struct snode *n)
{
	uint32_t votes[TREE_EMPTY + 1][BTREE_MAX_DEPTH] = { 0 };
	uint32_t best = 0;

	for (uint32_t i = 0; i < n->nr_edges; i++) {
		const struct snode *c;

		if (g->edge[n->edge + i].node == NONE)
			continue;
		c = &g->node[g->edge[n->edge + i].node];
		if (c->tree != TREE_NONE && c->height < BTREE_MAX_DEPTH && keys_fit(g, n, i, c))
			votes[c->tree][c->height]++;
	}
	n->tree = TREE_NONE;
	n->height = 1;
	for (uint8_t t = TREE_MAPPING; t < TREE_EMPTY; t++)
		for (uint8_t h = BTREE_MAX_DEPTH - 1; h-- > 0;)
			if (votes[t][h] > best) {
				best = votes[t][h];
				n->tree = t;
				n->height = h + 1;
			}
}

static bool child_fits(const struct graph *g, const struct snode *n, uint32_t k, const struct snode *c)
{
	return (c->tree == TREE_NONE || (tree_fits(c->tree, n->tree) && c->height + 1 == n->height)) && keys_fit(g, n, k, c);
}

/* The latest time of a mapping, where it cannot be a block of the top level's. */
static uint32_t newest_time(const struct graph *g)
{
	uint32_t time = 0;

	for (uint32_t i = 0; i < g->nr_nodes; i++)
		if (g->node[i].tree == TREE_MAPPING && g->node[i].flags & SN_LEAF && g->node[i].nr > 1)
			time = MAX(time, g->node[i].max_time);
	return time;
}

/*
 * Is @c, child @k of @n by its place, a mapping?  Not one of another time than all others have: then it is the top level of
 * a pool with one device, which was written over a leaf of an older pool's.
 */
static bool is_mapping_of(const struct graph *g, const struct snode *n, uint32_t k, const struct snode *c)
{
	const uint32_t value = g->edge[c->edge].block, root = node_of(g, value);

	if (!keys_fit(g, n, k, c))
		return false;
	return value <= g->newest_time || root == NONE ||
	       (g->node[root].flags & SN_LEAF && g->node[root].tree != TREE_MAPPING);
}

static void link_node(struct graph *g, uint32_t i, unsigned depth)
{
	struct snode *n = &g->node[i];

	if (n->flags & (SN_LINKED | SN_LINKING))
		return;
	if (n->flags & (SN_LEAF | SN_VIRTUAL)) {
		n->flags |= SN_LINKED;
		return;
	}
	n->flags |= SN_LINKING;
	n->nr_mappings = 0;
	n->min_time = n->max_time = 0;
	for (uint32_t k = 0; k < n->nr_edges; k++) {
		struct edge *e = &g->edge[n->edge + k];
		uint32_t c = node_of(g, e->block);

		e->node = NONE;
		if (c == NONE || depth >= BTREE_MAX_DEPTH)
			continue;
		link_node(g, c, depth + 1);
		if (g->node[c].flags & SN_LINKED)
			e->node = c;
	}
	vote(g, n);
	if (n->nr_edges)
		n->last = g->edge[n->edge + n->nr_edges - 1].key;
	for (uint32_t k = 0; k < n->nr_edges; k++) {
		struct edge *e = &g->edge[n->edge + k];
		const struct snode *c;

		if (e->node == NONE) {
			n->flags |= SN_BROKEN;
			continue;
		}
		c = &g->node[e->node];
		if (n->tree == TREE_MAPPING && n->height == 1 && may_be_mapping(c) && is_mapping_of(g, n, k, c))
			graph_make_mapping(g, &g->node[e->node]);
		if (!child_fits(g, n, k, c)) {
			e->node = NONE;
			n->flags |= SN_BROKEN;
			continue;
		}
		n->flags |= c->flags & SN_BROKEN;
		if (c->nr)
			n->last = MAX(n->last, c->last);
		if (n->tree == TREE_MAPPING)
			graph_add_sums(n, c);
	}
	n->flags = (uint16_t)((n->flags & ~SN_LINKING) | SN_LINKED);
}

void graph_link(struct graph *g)
{
	graph_unmark(g, SN_LINKED | SN_LINKING | SN_LIVE | SN_BROKEN);
	g->newest_time = newest_time(g);
	for (uint32_t i = 0; i < g->nr_nodes; i++)
		link_node(g, i, 0);
}
