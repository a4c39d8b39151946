/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Trees that the roots reach.  Walking follows the roots, marks what is live, and puts a virtual node
 * wherever a child is missing: a gap, which gaps.c tries to fill.
 */
#include <errno.h>
#include <stdlib.h>

#include "pool/salvage/trees/trees.h"

/* For another parent of a lost node: only a disk made to cost time has many. */
#define MAX_LOOKS ((size_t)50 << 20)

static void sum_node(struct graph *g, uint32_t i, unsigned depth)
{
	struct snode *n = &g->node[i];

	if (n->flags & (SN_LEAF | SN_LINKING) || depth > 2 * BTREE_MAX_DEPTH)
		return;
	n->flags |= SN_LINKING;
	n->nr_mappings = 0;
	n->min_time = n->max_time = 0;
	n->max_data = 0;
	for (uint32_t k = 0; k < n->nr_edges; k++) {
		uint32_t c = graph_child(g, n, k);

		if (c == NONE)
			continue;
		sum_node(g, c, depth + 1);
		graph_add_sums(n, &g->node[c]);
	}
}

void trees_sum(struct trees *trees)
{
	struct graph *g = trees->graph;

	graph_unmark(g, SN_LINKING);
	for (size_t i = 0; i < trees->nr_devs; i++)
		if (trees->dev[i].root != NONE)
			sum_node(g, trees->dev[i].root, 0);
}

void trees_sum_devices(struct trees *trees)
{
	trees_sum(trees);
	for (size_t i = 0; i < trees->nr_devs; i++) {
		struct sdevice *d = &trees->dev[i];

		d->nr_mappings = d->root == NONE ? 0 : trees->graph->node[d->root].nr_mappings;
	}
}

/*
 * Keys below a node ascend.  Trees that were put together from pieces may break that, if a shared
 * part was filled for one parent and another parent has less room: keys that come too early are
 * left out.
 */
static void order_node(struct trees *trees, uint32_t i, unsigned depth)
{
	const struct graph *g = trees->graph;
	struct snode *n = &g->node[i];
	uint64_t last = 0;
	bool any = false;

	if (n->flags & (SN_LEAF | SN_LINKING) || depth > 2 * BTREE_MAX_DEPTH)
		return;
	n->flags |= SN_LINKING;
	for (uint32_t k = 0; k < n->nr_edges; k++) {
		struct edge *e = &g->edge[n->edge + k];
		const struct snode *c;

		if (e->node == NONE)
			continue;
		order_node(trees, e->node, depth + 1);
		c = &g->node[e->node];
		if (!c->nr_mappings)
			continue;
		if (any && c->first <= last) {
			e->node = NONE;
			trees->uncertain = true;
			continue;
		}
		if (!any && !(n->flags & SN_VIRTUAL))
			n->first = c->first;
		any = true;
		last = c->last;
	}
	if (any && !(n->flags & SN_VIRTUAL))
		n->last = last;
}

void trees_order(struct trees *trees)
{
	trees_sum(trees);
	graph_unmark(trees->graph, SN_LINKING);
	for (size_t i = 0; i < trees->nr_devs; i++)
		if (trees->dev[i].root != NONE)
			order_node(trees, trees->dev[i].root, 0);
}

static void reach(const struct graph *g, uint8_t *ways, uint32_t i, uint8_t how)
{
	const struct snode *n = &g->node[i];

	if (ways[i] >= how)
		how = 2;
	if (ways[i] == 2)
		return;
	ways[i] = how;
	for (uint32_t k = 0; !(n->flags & SN_LEAF) && k < n->nr_edges; k++)
		if (graph_child(g, n, k) != NONE)
			reach(g, ways, graph_child(g, n, k), how);
}

uint8_t *trees_ways(const struct trees *trees)
{
	uint8_t *ways = calloc((size_t)trees->graph->nr_nodes + 1, 1);

	for (size_t i = 0; i < trees->nr_devs && ways; i++)
		if (trees->dev[i].root != NONE)
			reach(trees->graph, ways, trees->dev[i].root, 1);
	return ways;
}

/* --- walking --- */

uint32_t trees_make_gap(struct trees *trees, uint8_t tree, uint32_t block, int height,
			 uint64_t begin, uint64_t last, struct err *err)
{
	struct graph *graph = trees->graph;
	uint32_t v = node_of(graph, block);
	struct gap *g;

	for (size_t i = 0; v != NONE && i < trees->gaps.nr && trees->nr_looks++ < MAX_LOOKS; i++) {
		g = gap_at(trees, i);
		if (g->block != block || g->tree != tree || g->height != height)
			continue;
		if (MAX(g->begin, begin) <= MIN(g->last, last)) {
			g->begin = MAX(g->begin, begin);
			g->last = MIN(g->last, last);
		}
		return g->node;
	}
	v = graph_add_virtual(graph, tree, height, err);
	if (v == NONE)
		return NONE;
	g = vec_push(&trees->gaps, sizeof(*g));
	if (!g) {
		err_nomem(err, "salvage: list of lost nodes");
		return NONE;
	}
	*g = (struct gap){ .begin = begin, .last = last, .node = v, .block = NONE,
			   .height = height, .tree = tree, .why = BLOCK_JUNK };
	graph->node[v].first = begin;
	graph->node[v].last = last;
	if (block < graph->nr_blocks) {
		g->block = block;
		g->why = graph->kind[block];
		if (graph->slot[block] == NONE ||
		    graph->node[graph->slot[block]].flags & SN_DENIED) {
			graph->slot[block] = v;
			graph->node[v].block = block;
		}
	}
	return v;
}

/* An internal node without a good child is what its position says. */
static bool adopt(struct snode *n, uint8_t tree, int height)
{
	if (n->tree != TREE_NONE)
		return true;
	if (height < 1)
		return false;
	n->tree = tree;
	n->height = (uint8_t)height;
	return true;
}

struct walk {
	struct trees *trees;
	uint8_t tree;
	struct err *err;
};

static int walk_node(const struct walk *w, uint32_t i, uint64_t begin, uint64_t last,
		     unsigned depth)
{
	const struct graph *g = w->trees->graph;
	uint32_t nr_edges = g->node[i].nr_edges;

	if (g->node[i].flags & SN_LIVE)
		return 0;
	g->node[i].flags |= SN_LIVE;
	if (g->node[i].flags & SN_LEAF || depth > BTREE_MAX_DEPTH)
		return 0;
	for (uint32_t k = 0; k < nr_edges; k++) {
		struct edge *e = &g->edge[g->node[i].edge + k];
		uint64_t end = last_key_of(g, &g->node[i], k, last), key = MAX(e->key, begin);
		uint32_t c = e->node;
		int r;

		if (key > end) {
			e->node = NONE;
			continue;
		}
		if (c != NONE && g->node[c].flags & SN_DENIED)
			c = NONE;
		if (c != NONE && !(g->node[c].flags & SN_VIRTUAL) && g->node[c].nr &&
		    (g->node[c].first < key || g->node[c].last > end ||
		     !adopt(&g->node[c], w->tree, g->node[i].height - 1)))
			c = NONE;
		if (c == NONE)
			c = trees_make_gap(w->trees, w->tree, e->block, g->node[i].height - 1, key, end, w->err);
		if (c == NONE)
			return -ENOMEM;
		g->edge[g->node[i].edge + k].node = c; /* the array may have moved */
		r = walk_node(w, c, key, end, depth + 1); /* a gap is live, and ends it */
		if (r < 0)
			return r;
	}
	return 0;
}

/* The node to walk from for a root that should be in @block, or a virtual one. */
static uint32_t open_root(struct trees *trees, uint8_t tree, uint32_t block, uint64_t last,
			  struct err *err)
{
	struct graph *g = trees->graph;
	uint32_t n = node_of(g, block);

	if (n != NONE && !(g->node[n].flags & (SN_VIRTUAL | SN_DENIED))) {
		if (tree == TREE_MAPPING && may_be_mapping(&g->node[n]))
			graph_make_mapping(g, &g->node[n]);
		if (tree_fits(g->node[n].tree, tree) || (tree == TREE_TOP && is_top_leaf(&g->node[n])) ||
		    (g->node[n].tree == TREE_NONE && adopt(&g->node[n], tree, 1)))
			return n;
	}
	return trees_make_gap(trees, tree, block, -1, 0, last, err);
}

/* Walks the details or the top level, whose root should be in @block; *root: the node. */
static int walk_tree(struct trees *trees, uint8_t tree, uint64_t block, uint32_t *root, struct err *err)
{
	struct walk w = { trees, tree, err };

	*root = open_root(trees, tree, (uint32_t)MIN(block, NONE), MAX_DEV_ID, err);
	return *root == NONE ? -ENOMEM : walk_node(&w, *root, 0, MAX_DEV_ID, 0);
}

int trees_walk_mapping(struct trees *trees, uint32_t node, struct err *err)
{
	struct walk w = { trees, TREE_MAPPING, err };

	return walk_node(&w, node, 0, UINT64_MAX, 0);
}

/* A leaf under a damaged one may name ids that are too small: they are left out. */
static int add_device(void *ctx, uint64_t id, uint32_t root)
{
	struct trees *trees = ctx;
	const struct sdevice d = { .info = { .dev_id = (uint32_t)id }, .root_block = root, .root = NONE,
				   .source = DETAILS_INVENTED, .in_top = true };

	if (id > MAX_DEV_ID || (trees->nr_devs && trees->dev[trees->nr_devs - 1].info.dev_id >= id))
		return 0;
	return trees_insert_device(trees, &d, NULL);
}

/* Lists the devices that the top level names, and walks the tree of each. */
int trees_walk_devices(struct trees *trees, struct err *err)
{
	int r;

	trees->nr_devs = 0;
	r = graph_each_device(trees->graph, trees->map_root, add_device, trees);
	if (r)
		err_nomem(err, "salvage: list of devices");
	else
		r = trees_take_given(trees, err);
	for (size_t i = 0; i < trees->nr_devs && !r; i++) {
		struct sdevice *d = &trees->dev[i];

		d->root = open_root(trees, TREE_MAPPING, d->root_block, UINT64_MAX, err);
		r = d->root == NONE ? -ENOMEM : trees_walk_mapping(trees, d->root, err);
	}
	return r;
}

void trees_forget_gaps(struct trees *trees)
{
	struct graph *g = trees->graph;

	for (size_t i = trees->gaps.nr; i-- > 0;) {
		uint32_t v = gap_at(trees, i)->node;

		if (g->node[v].block != NONE)
			g->slot[g->node[v].block] = NONE;
		g->nr_nodes = MIN(g->nr_nodes, v);
	}
	trees->gaps.nr = 0;
}

static bool any_gap(const struct trees *trees, uint8_t tree, bool filled)
{
	return any_of(i, trees->gaps.nr, gap_at(trees, i)->tree == tree &&
					 filled == (trees->graph->node[gap_at(trees, i)->node].nr_edges > 0));
}

bool trees_have_gap(const struct trees *trees, uint8_t tree)
{
	return any_gap(trees, tree, false);
}

bool trees_have_filled(const struct trees *trees)
{
	return any_gap(trees, TREE_MAPPING, true) || any_of(i, trees->nr_devs, trees->dev[i].root_found);
}

int trees_walk(struct trees *trees, struct err *err)
{
	int r;

	trees->uncertain = false;
	trees_forget_gaps(trees);
	graph_link(trees->graph);
	r = walk_tree(trees, TREE_DETAILS, trees->super->sb.details_root, &trees->details_root, err);
	if (!r)
		r = walk_tree(trees, TREE_TOP, trees->super->sb.mapping_root, &trees->map_root, err);
	if (!r)
		r = trees_walk_devices(trees, err);
	return r ? r : trees_join_details(trees, !trees_have_gap(trees, TREE_DETAILS), err);
}
