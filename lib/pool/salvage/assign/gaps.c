/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Lists the places that lack nodes and the nodes that lack a place, has them assigned (assign.c), and puts the
 * result into the trees: first the top level and the details, of which there is one each; then the
 * roots of devices; then parts of the devices' trees.
 *
 * A node lacks a place when its count in the metadata space map is higher than the number of parents that can
 * be read.  Where the count is lost every node that nothing reaches may lack one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "pool/salvage/assign/impl.h"

static int by_first_key(const void *pa, const void *pb, void *ctx)
{
	const struct candidate *a = pa, *b = pb;
	const struct snode *na = (const struct snode *)ctx + a->node;
	const struct snode *nb = (const struct snode *)ctx + b->node;

	return ORDER(na->first, nb->first) ?: ORDER(na->block, nb->block);
}

enum unknown { KNOWN_ONLY, UNKNOWN_LEAVES, UNKNOWN_ALL };

/* Does the node lack @refs parents, or may it? */
static bool may_lack(const struct snode *n, uint32_t refs, uint8_t tree, enum unknown how)
{
	if (refs == COUNT_MANY)
		return tree == TREE_MAPPING && !(n->flags & SN_BROKEN);
	if (refs != COUNT_UNKNOWN)
		return refs;
	return !(n->flags & SN_BROKEN) &&
	       (how == UNKNOWN_ALL || (how == UNKNOWN_LEAVES && n->flags & SN_LEAF && n->nr));
}

/* The nodes of @tree that lack parents, and those that may. */
static int list_candidates(struct counts *counts, uint8_t tree, enum unknown how, struct vec *out)
{
	const struct graph *g = counts->graph;

	out->nr = 0;
	for (uint32_t i = 0; i < g->nr_nodes; i++) {
		const struct snode *n = &g->node[i];
		uint32_t refs;

		if (n->flags & SN_VIRTUAL || !tree_fits(n->tree, tree) || !graph_is_there(g, i))
			continue;
		refs = counts_missing_refs(counts, n->block);
		if (!may_lack(n, refs, tree, how))
			continue;
		if (vec_put(out, (struct candidate){ .node = i, .refs = refs }))
			return -ENOMEM;
	}
	if (out->nr)
		qsort_r(out->data, out->nr, sizeof(struct candidate), by_first_key, g->node);
	return 0;
}

/* --- top level and details: one tree each, so what fits belongs there --- */

/* Could @n be a child of the lost node, by its keys and its height? */
static bool gap_takes(const struct snode *n, const struct gap *g)
{
	if (g->height >= 0 && n->height >= g->height)
		return false;
	return n->nr && n->first >= g->begin && n->last <= g->last;
}

/* Is the leaf too small for one of several?  Then it is an older root, not a child of the lost one. */
static bool is_too_small(const struct snode *n)
{
	return n->flags & SN_LEAF && n->nr < NODE_MAX_ENTRIES(n->tree == TREE_DETAILS ? sizeof(struct disk_details) : 8) / 3;
}

static int fill_tree(struct counts *counts, uint8_t tree, bool *any, struct err *err)
{
	/* then the snapshot's roots look like orphans too, and cannot be told from the live ones */
	const bool held_lost = super_held_is_lost(counts->super);
	struct vec list = { 0 };
	uint32_t *child;
	int r = list_candidates(counts, tree, KNOWN_ONLY, &list);

	child = malloc((list.nr + 1) * sizeof(*child));
	if (r || !child)
		r = err_nomem(err, "salvage: orphans");
	for (size_t i = 0; i < counts->trees->gaps.nr && !r; i++) {
		struct gap g = *gap_at(counts->trees, i);
		uint64_t next = g.begin;
		uint32_t nr = 0;

		if (g.tree != tree || (g.height < 0 && held_lost))
			continue;
		for (size_t k = 0; k < list.nr; k++) {
			struct candidate *c = (struct candidate *)list.data + k;
			struct snode *n = &counts->graph->node[c->node];

			if (!c->refs || !gap_takes(n, &g) || n->first < next)
				continue;
			n->flags |= SN_LIVE;
			child[nr++] = c->node;
			c->refs--;
			if (n->last == UINT64_MAX)
				break;
			next = n->last + 1;
		}
		if (!nr)
			continue;
		*any = true;
		counts->trees->uncertain |= nr == 1 && g.height < 0 && is_too_small(&counts->graph->node[child[0]]);
		r = graph_add_edges(counts->graph, g.node, child, nr, err);
	}
	free(child);
	free(list.data);
	return r;
}

/* --- roots of devices --- */

static int add_dev(struct place *p, uint32_t dev)
{
	uint32_t *last;

	if (p->nr_devs && p->devs[p->nr_devs - 1] == dev)
		return 0;
	last = vec_add(p->devs, p->nr_devs, p->cap_devs);
	if (!last)
		return -ENOMEM;
	*last = dev;
	return 0;
}

static int root_places(struct assignment *a)
{
	const struct trees *trees = a->assign->trees;
	int r = 0;

	a->place = calloc(trees->nr_devs + 1, sizeof(*a->place));
	a->room = calloc((size_t)trees->graph->nr_nodes + 1, sizeof(*a->room));
	if (!a->place || !a->room)
		return -ENOMEM;
	for (size_t i = 0; i < trees->nr_devs && !r; i++) {
		struct place *p = &a->place[a->nr_places];

		if (trees->dev[i].root != NONE)
			continue;
		*p = (struct place){ .last = UINT64_MAX, .height = -1, .one = true, .index = (uint32_t)i, .parent = NONE };
		r = add_dev(p, (uint32_t)i);
		a->nr_places++;
	}
	return r;
}

/* --- parts of the devices' trees --- */

/*
 * Finds the gaps below a node: 1, 0 when there are none, or -ENOMEM.  @clean[i]: nothing is missing below node i, so that shared
 * subtrees are looked through once.
 */
static int find_places(struct assignment *a, uint32_t i, uint32_t dev, uint8_t *clean, const uint32_t *place_of, unsigned depth)
{
	const struct snode *n = &a->assign->graph->node[i];
	bool below = place_of[i] != NONE;

	if (clean[i] || n->flags & SN_LEAF || depth > 2 * BTREE_MAX_DEPTH)
		return 0;
	if (below && add_dev(&a->place[place_of[i]], dev))
		return -ENOMEM;
	for (uint32_t k = 0; k < n->nr_edges; k++) {
		const uint32_t child = graph_child(a->assign->graph, n, k);
		const int r = child == NONE ? 0 : find_places(a, child, dev, clean, place_of, depth + 1);

		if (r < 0)
			return r;
		below |= r;
	}
	clean[i] = !below;
	return below;
}

static int gap_places(struct assignment *a)
{
	struct assign *as = a->assign;
	const struct graph *graph = as->graph;
	struct trees *trees = as->trees;
	CLEANUP(free_ptr) uint8_t *clean = calloc((size_t)graph->nr_nodes + 1, 1);
	CLEANUP(free_ptr) uint32_t *place_of = malloc(((size_t)graph->nr_nodes + 1) * sizeof(*place_of));
	int r = 0;

	a->place = calloc(trees->gaps.nr + 1, sizeof(*a->place));
	a->need = malloc((trees->nr_devs + 1) * sizeof(*a->need));
	if (!clean || !place_of || !a->place || !a->need)
		return -ENOMEM;
	memset(place_of, 0xff, ((size_t)graph->nr_nodes + 1) * sizeof(*place_of));
	for (size_t i = 0; i < trees->gaps.nr; i++) {
		const struct gap *g = gap_at(trees, i);

		if (g->tree != TREE_MAPPING || g->height == 0)
			continue;
		place_of[g->node] = a->nr_places;
		a->place[a->nr_places++] = (struct place){
			.begin = g->begin, .last = g->last, .height = g->height, .index = (uint32_t)i,
			.parent = g->why >= BLOCK_NODE ? NONE : g->block,
		};
	}
	trees_sum(trees);
	for (size_t i = 0; i < trees->nr_devs && !r; i++) {
		const struct sdevice *d = &trees->dev[i];
		uint64_t have = d->root == NONE ? 0 : graph->node[d->root].nr_mappings;

		a->need[i] = d->source == DETAILS_LIVE ? MAX(d->info.mapped_blocks, have) - have : UINT64_MAX;
		if (d->root != NONE)
			r = MIN(find_places(a, d->root, (uint32_t)i, clean, place_of, 0), 0);
	}
	for (uint32_t i = 0; i < a->nr_places; i++) {
		struct place *p = &a->place[i];

		/* a lost root that was a leaf has no children that could be found */
		p->leaf = p->nr_devs && gap_at(trees, p->index)->height < 0 && a->need[p->devs[0]] <= INTERNAL_MAX &&
			  old_roots_height(as->ages, trees->dev[p->devs[0]].info.dev_id) <= 0;
	}
	return r;
}

/* --- what was found is put where it belongs --- */

static int put_nodes(const struct assignment *a, struct err *err)
{
	struct trees *trees = a->assign->trees;
	int r = 0;

	for (uint32_t i = 0; i < a->nr_places && !r; i++) {
		const struct place *p = &a->place[i];

		if (p->nr_taken && p->one) {
			trees->dev[p->index].root = p->taken[0];
			trees->dev[p->index].root_found = true;
		} else if (p->nr_taken) {
			r = graph_add_edges(a->assign->graph, gap_at(trees, p->index)->node, p->taken, p->nr_taken, err);
		}
		for (uint32_t k = 0; k < p->nr_taken && !r; k++)
			r = trees_walk_mapping(trees, p->taken[k], err);
	}
	return r;
}

/* Is a node left that lacks a parent, and would do where another one was put? */
static bool has_spare(const struct assignment *a)
{
	for (uint32_t i = 0; i < a->nr_opts; i++) {
		const struct choice *o = &a->opt[i];
		const struct place *p = &a->place[o->place];

		if (!o->taken && p->nr_taken && a->cand[o->cand].refs && assign_node(a, o->cand)->nr_mappings &&
		    !(o->says & SAYS_DENIED) && (!p->one || a->assign->trees->dev[p->index].source != DETAILS_LIVE ||
						 o->says & 1 << EV_COUNT))
			return true;
	}
	return false;
}

/* Has nodes assigned to the places that @list_places() gives. */
static int fill_places(struct assign *as, int (*list_places)(struct assignment *a), enum unknown how, struct err *err)
{
	struct assignment a = { .assign = as };
	struct vec list = { 0 };
	int r = list_places(&a);
	const bool unknown = a.nr_places && counts_have_unknown(as->counts);

	if (!r && unknown)
		r = datamap_begin(as->datamap, err);
	if (!r && a.nr_places)
		r = list_candidates(as->counts, TREE_MAPPING, unknown ? how : KNOWN_ONLY, &list);
	a.cand = list.data;
	a.nr_cands = (uint32_t)list.nr;
	if (!r && list.nr)
		r = assign(&a);
	if (r)
		r = err_nomem(err, "salvage: lost nodes");
	as->has_spare |= !r && has_spare(&a);
	r = r ?: put_nodes(&a, err);
	assign_fini(&a);
	return r;
}

static int assign_parts(struct assign *as, struct err *err)
{
	struct trees *trees = as->trees;
	int r;

	graph_unmark(as->graph, SN_ROOT);
	for (size_t i = 0; i < trees->nr_devs; i++)
		if (trees->dev[i].root != NONE && trees->dev[i].in_top)
			as->graph->node[trees->dev[i].root].flags |= SN_ROOT;
	r = anew_read(as->ages, err) ?: fill_places(as, gap_places, UNKNOWN_LEAVES, err); /* now that each device has a root */
	as->unconfirmed |= as->guessed && !datamap_is_settled(as->datamap);
	return r;
}

/* --- all of it --- */

bool assign_found_is_live(const struct assign *as)
{
	/* without all counts a lost node may have children or siblings that are not known */
	return !trees_have_filled(as->trees) ||
	       (counts_are_exact(as->counts) && (!counts_lack_parents(as->counts) ||
						 (!as->has_spare && !counts_lost_lack(as->counts))));
}

int assign_gaps(struct assign *as, struct err *err)
{
	struct trees *trees = as->trees;
	struct counts *counts = as->counts;
	bool any = false;
	int r = fill_tree(counts, TREE_DETAILS, &any, err) ?: fill_tree(counts, TREE_TOP, &any, err);

	if (!r && any) {
		r = trees_walk_devices(trees, err) ?: trees_join_details(trees, !trees_have_gap(trees, TREE_DETAILS), err);
		counts_read_edges(counts);
	}
	r = r ?: ages_read(as->ages, err) ?: devices_guess(as->ages, err) ?: fill_places(as, root_places, UNKNOWN_ALL, err) ?:
	    devices_settle(as, err);
	counts_read_edges(counts);
	r = r ?: devices_add_gaps(as, err) ?: assign_parts(as, err);
	counts_read_edges(counts);
	trees->uncertain |= super_held_is_lost(as->super) && !assign_found_is_live(as);
	return r;
}
