/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What is below a node? */
#include "base/overflow.h"
#include "pool/salvage/graph/graph.h"

bool graph_has_holes(const struct graph *g, uint32_t i, uint8_t *memo, unsigned depth)
{
	const struct snode *n = &g->node[i];
	bool any = n->flags & SN_VIRTUAL || n->nr_bad || depth > 2 * BTREE_MAX_DEPTH;

	if (memo[i])
		return memo[i] == HOLES_SOME;
	memo[i] = HOLES_NONE; /* also when met again below itself */
	for (uint32_t k = 0; !any && !(n->flags & SN_LEAF) && k < n->nr_edges; k++)
		any = graph_child(g, n, k) == NONE ||
		      graph_has_holes(g, graph_child(g, n, k), memo, depth + 1);
	memo[i] = any ? HOLES_SOME : HOLES_NONE;
	return any;
}

/* What a subtree of that height can have at most, with keys from @first to @last. */
static uint64_t most_mappings(int height, uint64_t first, uint64_t last)
{
	uint64_t nr = INTERNAL_MAX;

	while (height-- > 0 && nr < UINT32_MAX)
		nr *= INTERNAL_MAX;
	return MIN(nr - 1, last - first) + 1;
}

uint64_t graph_room(const struct graph *g, uint32_t i, uint64_t *memo, unsigned depth)
{
	const struct snode *n = &g->node[i];
	uint64_t room = 0;

	if (n->flags & SN_LEAF || depth > 2 * BTREE_MAX_DEPTH)
		return 0;
	if (memo[i])
		return memo[i] - 1;
	memo[i] = 1; /* also when met again below itself */
	for (uint32_t k = 0; k < n->nr_edges; k++) {
		const struct edge *e = &g->edge[n->edge + k];

		room += e->node != NONE && !(g->node[e->node].flags & SN_VIRTUAL)
				? graph_room(g, e->node, memo, depth + 1)
				: most_mappings(n->height - 1, e->key, last_key_of(g, n, k, UINT64_MAX));
		room = MIN(room, UINT64_MAX / 2);
	}
	memo[i] = room + 1;
	return room;
}

uint32_t graph_descend(const struct graph *g, uint32_t root, uint64_t key, int height)
{
	uint32_t i = root;

	for (unsigned depth = 0; i != NONE && depth < BTREE_MAX_DEPTH; depth++) {
		const struct snode *n = &g->node[i];
		uint32_t k;

		if (n->flags & (SN_VIRTUAL | SN_LEAF) || n->height <= height)
			return i;
		k = search_first(x, n->nr_edges, g->edge[n->edge + x].key > key);
		if (!k)
			return i;
		i = graph_child(g, n, k - 1);
	}
	return NONE;
}

enum answer graph_contains(const struct graph *g, uint32_t root, uint32_t node)
{
	const uint32_t at = graph_descend(g, root, g->node[node].first, g->node[node].height);

	return at == node ? YES : at == NONE || g->node[at].flags & SN_VIRTUAL ? UNKNOWN : NO;
}

static int each_device(const struct graph *g, uint32_t i, graph_device_fn *fn, void *ctx, unsigned depth)
{
	const struct snode *n = &g->node[i];
	int r = 0;

	for (uint32_t k = 0; k < n->nr_edges && !r && depth < BTREE_MAX_DEPTH; k++) {
		const struct edge *e = &g->edge[n->edge + k];

		if (n->flags & SN_LEAF)
			r = fn(ctx, e->key, e->block);
		else if (e->node != NONE)
			r = each_device(g, e->node, fn, ctx, depth + 1);
	}
	return r;
}

int graph_each_device(const struct graph *g, uint32_t top, graph_device_fn *fn, void *ctx)
{
	return each_device(g, top, fn, ctx, 0);
}

static void mark(struct graph *g, uint32_t i, enum snode_flags flag, unsigned depth)
{
	struct snode *n;

	if (i == NONE || g->node[i].flags & flag || depth > 2 * BTREE_MAX_DEPTH)
		return;
	n = &g->node[i];
	n->flags |= (uint16_t)flag;
	for (uint32_t k = 0; k < n->nr_edges; k++) {
		const struct edge *e = &g->edge[n->edge + k];

		if (!(n->flags & SN_LEAF))
			mark(g, e->node, flag, depth + 1);
		else if (n->tree == TREE_TOP)
			mark(g, node_of(g, e->block), flag, depth + 1);
	}
}

void graph_mark(struct graph *g, uint32_t root, enum snode_flags flag)
{
	mark(g, root, flag, 0);
}

void graph_unmark(struct graph *g, enum snode_flags flag)
{
	for (uint32_t i = 0; i < g->nr_nodes; i++)
		g->node[i].flags &= (uint16_t)~flag;
}

void graph_mark_children(struct graph *g, enum snode_flags of)
{
	graph_unmark(g, SN_CHILD);
	for (uint32_t i = 0; i < g->nr_nodes; i++)
		for (uint32_t k = 0; (g->node[i].flags & (of | SN_LEAF)) == of && k < g->node[i].nr_edges; k++)
			if (graph_child(g, &g->node[i], k) != NONE)
				g->node[graph_child(g, &g->node[i], k)].flags |= SN_CHILD;
}
