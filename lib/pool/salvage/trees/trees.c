/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Trees that the roots reach.  Walking follows the roots, marks what is live, and puts a virtual node
 * wherever a child is missing: a gap, which gaps.c tries to fill.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"

#include "pool/salvage/graph/link.h"
#include "pool/salvage/impl.h"

/* For another parent of a lost node: only a disk made to cost time has many. */
#define MAX_LOOKS ((size_t)50 << 20)

static void sum_node(struct salvage *s, uint32_t i, unsigned depth)
{
	struct snode *n = &s->node[i];

	if (n->flags & (SN_LEAF | SN_LINKING) || depth > 2 * BTREE_MAX_DEPTH)
		return;
	n->flags |= SN_LINKING;
	n->nr_mappings = 0;
	n->min_time = n->max_time = 0;
	n->max_data = 0;
	for (uint32_t k = 0; k < n->nr_edges; k++) {
		uint32_t c = s->edge[n->edge + k].node;

		if (c == NONE)
			continue;
		sum_node(s, c, depth + 1);
		graph_add_sums(n, &s->node[c]);
	}
}

void salvage_sum_all(struct salvage *s)
{
	for (uint32_t i = 0; i < s->nr_nodes; i++)
		s->node[i].flags &= (uint16_t)~SN_LINKING;
	for (size_t i = 0; i < s->nr_devs; i++)
		if (s->dev[i].root != NONE)
			sum_node(s, s->dev[i].root, 0);
}

/*
 * Keys below a node ascend.  Trees that were put together from pieces may break that, if a shared
 * part was filled for one parent and another parent has less room: keys that come too early are
 * left out.
 */
static void order_node(struct salvage *s, uint32_t i, unsigned depth)
{
	struct snode *n = &s->node[i];
	uint64_t last = 0;
	bool any = false;

	if (n->flags & (SN_LEAF | SN_LINKING) || depth > 2 * BTREE_MAX_DEPTH)
		return;
	n->flags |= SN_LINKING;
	for (uint32_t k = 0; k < n->nr_edges; k++) {
		struct edge *e = &s->edge[n->edge + k];
		const struct snode *c;

		if (e->node == NONE)
			continue;
		order_node(s, e->node, depth + 1);
		c = &s->node[e->node];
		if (!c->nr_mappings)
			continue;
		if (any && c->first <= last) {
			e->node = NONE;
			s->uncertain = true;
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

void salvage_order(struct salvage *s)
{
	salvage_sum_all(s);
	for (uint32_t i = 0; i < s->nr_nodes; i++)
		s->node[i].flags &= (uint16_t)~SN_LINKING;
	for (size_t i = 0; i < s->nr_devs; i++)
		if (s->dev[i].root != NONE)
			order_node(s, s->dev[i].root, 0);
}

/* --- walking --- */

/*
 * A virtual node for what should be in @block.  Two parents that name the same lost block get the
 * same node; the keys that can be in it are those that both allow. Parents of other heights do not:
 * one of them is wrong, and a node that gets the place of its own child would be a loop.
 */
static uint32_t make_gap(struct salvage *s, uint8_t tree, uint32_t block, int height,
			 uint64_t begin, uint64_t last, struct err *err)
{
	uint32_t v = node_of(s, block);
	struct gap *g;

	for (size_t i = 0; v != NONE && i < s->gaps.nr && s->nr_looks++ < MAX_LOOKS; i++) {
		g = gap_at(s, i);
		if (g->block != block || g->tree != tree || g->height != height)
			continue;
		if (MAX(g->begin, begin) <= MIN(g->last, last)) {
			g->begin = MAX(g->begin, begin);
			g->last = MIN(g->last, last);
		}
		return g->node;
	}
	v = salvage_add_virtual(s, tree, height, err);
	if (v == NONE)
		return NONE;
	g = vec_push(&s->gaps, sizeof(*g));
	if (!g) {
		err_nomem(err, "salvage: list of lost nodes");
		return NONE;
	}
	*g = (struct gap){ .begin = begin, .last = last, .node = v, .block = NONE,
			   .height = height, .tree = tree, .why = BLOCK_JUNK };
	s->node[v].first = begin;
	s->node[v].last = last;
	g->astray = block >= s->nr_blocks;
	if (block < s->nr_blocks) {
		g->block = block;
		g->why = s->kind[block];
		g->astray = s->kind[block] >= BLOCK_NODE;
		if (s->slot[block] == NONE || s->node[s->slot[block]].flags & SN_DENIED) {
			s->slot[block] = v;
			s->node[v].block = block;
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
	struct salvage *s;
	uint8_t tree;
	struct err *err;
};

static int walk_node(const struct walk *w, uint32_t i, uint64_t begin, uint64_t last,
		     unsigned depth)
{
	struct salvage *s = w->s;
	uint32_t nr_edges = s->node[i].nr_edges;

	if (s->node[i].flags & SN_LIVE)
		return 0;
	s->node[i].flags |= SN_LIVE;
	if (s->node[i].flags & SN_LEAF || depth > BTREE_MAX_DEPTH)
		return 0;
	for (uint32_t k = 0; k < nr_edges; k++) {
		struct edge *e = &s->edge[s->node[i].edge + k];
		uint64_t end = last_key_of(s, &s->node[i], k, last), key = MAX(e->key, begin);
		uint32_t c = e->node;
		int r;

		if (key > end) {
			e->node = NONE;
			continue;
		}
		if (c != NONE && s->node[c].flags & SN_DENIED)
			c = NONE;
		if (c != NONE && !(s->node[c].flags & SN_VIRTUAL) && s->node[c].nr &&
		    (s->node[c].first < key || s->node[c].last > end ||
		     !adopt(&s->node[c], w->tree, s->node[i].height - 1)))
			c = NONE;
		if (c == NONE) {
			c = make_gap(s, w->tree, e->block, s->node[i].height - 1, key, end, w->err);
			if (c == NONE)
				return -ENOMEM;
			s->edge[s->node[i].edge + k].node = c; /* the array may have moved */
			continue;
		}
		s->edge[s->node[i].edge + k].node = c;
		r = walk_node(w, c, key, end, depth + 1);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The node to walk from for a root that should be in @block, or a virtual one. */
static uint32_t open_root(struct salvage *s, uint8_t tree, uint32_t block, uint64_t last,
			  struct err *err)
{
	uint32_t n = node_of(s, block);

	if (n == NONE || s->node[n].flags & (SN_VIRTUAL | SN_DENIED))
		return make_gap(s, tree, block, -1, 0, last, err);
	if (tree == TREE_MAPPING && may_be_mapping(&s->node[n]))
		graph_make_mapping(s, &s->node[n]);
	if (tree_fits(s->node[n].tree, tree) || (tree == TREE_TOP && is_top_leaf(&s->node[n])) ||
	    (s->node[n].tree == TREE_NONE && adopt(&s->node[n], tree, 1)))
		return n;
	return make_gap(s, tree, block, -1, 0, last, err);
}

int salvage_walk_details(struct salvage *s, struct err *err)
{
	struct walk w = { s, TREE_DETAILS, err };

	s->details_root = open_root(s, TREE_DETAILS, (uint32_t)MIN(s->sb.details_root, NONE),
				    MAX_DEV_ID, err);
	return s->details_root == NONE ? -ENOMEM :
					 walk_node(&w, s->details_root, 0, MAX_DEV_ID, 0);
}

int salvage_walk_top(struct salvage *s, struct err *err)
{
	struct walk w = { s, TREE_TOP, err };

	s->map_root = open_root(s, TREE_TOP, (uint32_t)MIN(s->sb.mapping_root, NONE), MAX_DEV_ID,
				err);
	return s->map_root == NONE ? -ENOMEM : walk_node(&w, s->map_root, 0, MAX_DEV_ID, 0);
}

int salvage_walk_mapping(struct salvage *s, uint32_t node, struct err *err)
{
	struct walk w = { s, TREE_MAPPING, err };

	return walk_node(&w, node, 0, UINT64_MAX, 0);
}

static int add_device(struct salvage *s, uint64_t id, uint32_t root_block, struct err *err)
{
	struct sdevice *d = vec_add(s->dev, s->nr_devs, s->cap_devs);

	if (!d)
		return err_nomem(err, "salvage: list of devices");
	*d = (struct sdevice){ .info = { .dev_id = (uint32_t)id },
			       .root_block = root_block, .root = NONE,
			       .source = DETAILS_INVENTED, .in_top = true };
	return 0;
}

static int list_devices(struct salvage *s, uint32_t i, struct err *err)
{
	for (uint32_t k = 0; k < s->node[i].nr_edges; k++) {
		const struct edge *e = &s->edge[s->node[i].edge + k];
		int r = 0;

		if (s->node[i].flags & SN_LEAF) {
			if (e->key <= MAX_DEV_ID &&
			    (!s->nr_devs || s->dev[s->nr_devs - 1].info.dev_id < e->key))
				r = add_device(s, e->key, e->block, err);
		} else if (e->node != NONE) {
			r = list_devices(s, e->node, err);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* Lists the devices that the top level names, and walks the tree of each. */
int salvage_walk_devices(struct salvage *s, struct err *err)
{
	int r;

	s->nr_devs = 0;
	r = list_devices(s, s->map_root, err);
	if (!r)
		r = salvage_take_given(s, err);
	for (size_t i = 0; i < s->nr_devs && !r; i++) {
		s->dev[i].root = open_root(s, TREE_MAPPING, s->dev[i].root_block, UINT64_MAX, err);
		r = s->dev[i].root == NONE ? -ENOMEM : salvage_walk_mapping(s, s->dev[i].root, err);
	}
	return r;
}
