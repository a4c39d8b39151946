/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Evidence that a node belongs to a device.  All weights stand in the table below, and nowhere
 * else; doc/rescue.md prints the same table.
 *
 * Older copies of the top level are still on the metadata device.  Each says which root a device
 * had then.  A node that was in that older tree and is still in use was this device's; a node that
 * was in use then but not in the tree cannot be the device's now.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/search.h"
#include "pool/salvage/witness/ages.h"

#define MAX_ROOTS    48	    /* older roots of a device that are looked at */
#define MAX_ALIKE    6	    /* number of them that are compared by content */
#define MAX_STEP     4096   /* between a parent and its first child */
#define MAX_KIN	     256    /* devices: in a pool with more none is compared with its origin */
#define MAX_COMPARED 400000 /* leaves that are compared by content in all */

const struct weight evidence[NR_EVIDENCE] = {
	[EV_COUNT] = { 500, "has as many mappings as the details say",
		       "two trees seldom have the same number of mappings by chance" },
	[EV_NAMED] = { 120, "is the root that an older top-level mapping tree names for the device",
		       "a tree that was not written to keeps its root" },
	[EV_HERE] = { 100, "is in an older tree of the device",
		      "a node stays in its tree until it is rewritten" },
	[EV_ONCE] = { 50, "is in an older tree that belongs to no complete older state",
		      "the tree may be of another pool that was on this device before" },
	[EV_PASSED] = { 50, "is the root that an older top-level mapping tree names for the device; a younger one "
			    "names a lost root",
			"a tree that was written to since has a new root" },
	[EV_ALIKE] = { 80, "shares entries with the node that the device had there",
		       "a rewritten node keeps most of its entries; the share of equal entries "
		       "counts" },
	[EV_KIN] = { 40, "shares entries with the tree of the device's origin or snapshot",
		     "a snapshot and its origin keep most entries; other devices never had them" },
	[EV_ANEW] = { 200, "is in front of the device's root and behind those before, in metadata that were written anew",
		      "a program writes a tree, then its root, then the next tree" },
	[EV_SAME] = { 30, "was written by the same commit as its lost parent",
		      "a parent is written because one of its children is" },
	[EV_NEXT] = { 20, "was written right after its lost parent",
		      "the kernel allocates the parent, then the child" },
	[EV_FRESH] = { 150, "was written by the last commit, as its lost parent was",
		       "the newest version of a node is the one in use" },
	[EV_BORN] = { 10, "has no mapping older than the device",
		      "a new device has only its own; a snapshot may have older ones" },
	[EV_SHARED] = { -90, "is shared, with mappings as new as the device's last snapshot",
			"a shared node is older than the last snapshot of each device that has it" },
	[EV_MAYBE_GONE] = { -70, "may have been in use when an older tree of the device did not have it",
			    "weaker than a node that was in use then: its block may have been "
			    "reused since" },
	[EV_YOUNGER] = { -300, "is younger than its lost parent",
			 "a parent is rewritten whenever one of its children is" },
	[EV_GONE] = { -300, "was in use when an older tree of the device did not have it",
		      "a device gets new nodes, and never an old one of another device" },
	[EV_GONE_ONCE] = { -300, "was in use when an older tree that belongs to no complete older state did not have it",
			   "the tree may be of another pool: so this makes no choice sure" },
};

static int by_dev_newest(const void *pa, const void *pb)
{
	const struct old_root *a = pa, *b = pb;

	return ORDER(a->dev_id, b->dev_id) ?: ORDER(a->age, b->age) ?: ORDER(a->top, b->top);
}

/* Leaves out the older roots of deleted devices whose ids were used again. */
static int forget_namesakes(struct ages *ages, struct err *err)
{
	struct trees *trees = ages->trees;
	CLEANUP(free_ptr) struct older_details *of = NULL;
	struct old_root *o = ages->old_roots.data;
	size_t nr = 0;
	int r = trees_youngest_older(trees, &of, err);

	for (size_t i = 0; i < ages->old_roots.nr && !r; i++) {
		const struct sdevice *d = trees_find_device(trees, o[i].dev_id);

		if (!d || o[i].age < of[d - trees->dev].other_age)
			o[nr++] = o[i];
	}
	if (!r)
		ages->old_roots.nr = nr;
	return r;
}

int old_roots_read(struct ages *ages, struct err *err)
{
	struct graph *g = ages->graph;
	struct super *super = ages->super;

	ages->is_row = counts_make_row(ages->counts);
	for (uint32_t i = 0; i < g->nr_nodes; i++) {
		const struct snode *n = &g->node[i];
		uint32_t age;

		if (n->tree != TREE_TOP || !(n->flags & SN_LEAF))
			continue;
		/* the place of one that does not belong there does not tell its age */
		age = n->flags & (SN_DENIED | SN_MISPLACED) ? UINT32_MAX : block_age(super, n->block);
		for (uint32_t k = 0; k < n->nr_edges; k++) {
			const struct edge *e = &g->edge[n->edge + k];
			const struct old_root o = { (uint32_t)e->key, e->block, n->block, age };

			if (e->key <= MAX_DEV_ID && vec_put(&ages->old_roots, o))
				return err_nomem(err, "salvage: older roots");
		}
	}
	for (uint32_t b = 0; b < g->nr_blocks; b++)
		if (g->kind[b] == BLOCK_INDEX && block_age(super, b) && vec_put(&ages->commits, block_age(super, b)))
			return err_nomem(err, "salvage: older states");
	vec_sort(&ages->commits, sizeof(uint32_t), order_u32);
	vec_sort(&ages->old_roots, sizeof(struct old_root), by_dev_newest);
	return forget_namesakes(ages, err);
}

/* The first entry of device @id, or one past the end. */
static size_t first_of(const struct ages *ages, uint32_t id)
{
	const struct old_root *o = ages->old_roots.data;

	return search_first(i, ages->old_roots.nr, o[i].dev_id >= id);
}

/* Per mille of the entries that two leaves have in common, of the smaller. */
static unsigned entries_in_common(const struct graph *g, uint32_t a, uint32_t b)
{
	uint8_t ba[MBLOCK_SIZE] BLOCK_ALIGNED;
	uint8_t bb[MBLOCK_SIZE] BLOCK_ALIGNED;
	struct view va, vb;

	if (!(g->node[a].flags & g->node[b].flags & SN_LEAF) || !graph_view(g, a, ba, &va) || !graph_view(g, b, bb, &vb) ||
	    !va.nr || !vb.nr)
		return 0;
	return view_nr_common(&va, &vb) * 1000 / MIN(va.nr, vb.nr);
}

static unsigned common_children(const struct graph *g, uint32_t root, uint32_t node)
{
	const struct snode *n = &g->node[node];
	uint32_t same;

	if (n->flags & SN_LEAF || !n->nr_edges)
		return 0;
	same = count_of(k, n->nr_edges, graph_child(g, n, k) != NONE && graph_contains(g, root, graph_child(g, n, k)) == YES);
	return same * 1000 / n->nr_edges;
}

/* Per mille. */
static unsigned likeness(struct ages *ages, uint32_t root, uint32_t node)
{
	struct graph *g = ages->graph;
	unsigned same = common_children(g, root, node);
	uint32_t a, b;

	if (same || ages->nr_compared >= MAX_COMPARED)
		return same;
	ages->nr_compared++;
	a = graph_descend(g, node, g->node[node].first, 0);
	b = a == NONE ? NONE : graph_descend(g, root, g->node[a].first, 0);
	return b == NONE ? 0 : entries_in_common(g, a, b);
}

int old_roots_height(const struct ages *ages, uint32_t dev_id)
{
	const struct graph *g = ages->graph;
	const struct old_root *o = ages->old_roots.data;

	for (size_t i = first_of(ages, dev_id); i < ages->old_roots.nr && o[i].dev_id == dev_id;
	     i++) {
		uint32_t root = node_of(g, o[i].root);

		if (root != NONE && !(g->node[root].flags & SN_VIRTUAL))
			return g->node[root].height;
	}
	return -1;
}

/* @less: points fewer, 10 at most. */
static void say(struct voice *v, enum evidence_kind kind, unsigned less)
{
	v->score += evidence[kind].points - (int)MIN(less, 10u);
	v->says |= 1u << kind;
}

/* What counts by the share of equal entries, per mille. */
static void say_share(struct voice *v, enum evidence_kind kind, unsigned share)
{
	v->score += evidence[kind].points * (int)share / 1000;
	v->says |= 1u << kind;
}

/*
 * What the older trees of the device say: the newest that has the node or cannot have had it.  A tree of a complete
 * older state that has it counts also behind one of an incomplete state, and behind one that denies it and was found in
 * the same state: that one's block was used again, and only one of the two top levels is the state's.
 */
static void hear_older_trees(struct ages *ages, uint32_t dev_id, uint32_t node, bool unknown, struct voice *v)
{
	const struct graph *g = ages->graph;
	const struct age *age = &ages->of[g->node[node].block];
	const struct old_root *o = ages->old_roots.data;
	uint32_t last = NONE;
	unsigned rank = 0, once = 0, alike = 0;
	uint8_t when = 0, gone = 0, maybe = 0; /* states in which a tree had it, could not have it, or may not */
	bool moved = false; /* to a root that is lost */
	enum evidence_kind denial = EV_GONE;

	for (size_t i = first_of(ages, dev_id); i < ages->old_roots.nr && o[i].dev_id == dev_id; i++) {
		uint32_t root = node_of(g, o[i].root);
		const struct age *top = &ages->of[o[i].top];
		enum answer has;

		/* no older top level is of a younger state: its block was used again then */
		when = MAX(when, top->seen);
		if (gone && when > gone)
			break;
		if (once ? !top->trusted : o[i].root == last)
			continue;
		if (root == NONE || g->node[root].flags & SN_VIRTUAL || (ages->is_row && ages->counts->count[o[i].root])) {
			moved = true;
			continue;
		}
		if ((rank += o[i].root != last) > MAX_ROOTS)
			break;
		last = o[i].root;
		has = ages->is_row ? UNKNOWN : graph_contains(g, root, node); /* of a row, which is younger, only the entries tell */
		if (has == YES && top->trusted) {
			enum evidence_kind kind = root != node ? EV_HERE : moved ? EV_PASSED : EV_NAMED;

			say(v, kind, rank - 1);
			if (maybe && maybe <= top->seen) /* else that tree was older */
				say(v, EV_MAYBE_GONE, 0);
			return;
		}
		once = has == YES ? rank : once;
		if (once || gone)
			continue;
		if (has == NO && top->seen && age->least >= when) {
			gone = when;
			denial = top->trusted ? EV_GONE : EV_GONE_ONCE;
			continue;
		}
		if (!unknown && !maybe && has == NO && age->most >= when)
			maybe = top->seen;
		if (rank <= MAX_ALIKE)
			alike = MAX(alike, likeness(ages, root, node));
	}
	if (maybe)
		say(v, EV_MAYBE_GONE, 0);
	if (gone)
		say(v, denial, 0);
	else if (once)
		say(v, EV_ONCE, once - 1);
	else if (alike)
		say_share(v, EV_ALIKE, alike);
}

/* Is @next the first block behind @b that is of the same commit? */
static bool is_next(const struct ages *ages, uint32_t b, uint32_t next)
{
	const uint8_t least = ages->of[b].least;

	if (next <= b || next - b > MAX_STEP)
		return false;
	for (b++; b < next; b++)
		if (ages->counts->count[b] && ages->of[b].least == least)
			return false;
	return true;
}

/* Evidence from the time at which the lost parent was written. */
static void hear_parent(const struct ages *ages, uint32_t parent, uint32_t block, struct voice *v)
{
	bool same;

	if (parent == NONE || !ages->nr_past || !counts_in_use(ages->counts, parent))
		return;
	same = ages->of[block].least == ages->of[parent].least;
	if (ages->of[block].most < ages->of[parent].least)
		say(v, EV_YOUNGER, 0);
	else if (same)
		say(v, EV_SAME, 0);
	if (same && is_next(ages, parent, block))
		say(v, EV_NEXT, 0);
}

/* Is one of the devices a snapshot of the other, by the time when it was made? */
static bool are_kin(const struct sdevice *d, const struct sdevice *e)
{
	return d != e && d->source == DETAILS_LIVE && e->source == DETAILS_LIVE && e->root != NONE &&
	       (e->info.snap_time == d->info.creation_time || d->info.snap_time == e->info.creation_time);
}

static void hear_kin(struct ages *ages, const struct sdevice *d, uint32_t node, struct voice *v)
{
	const struct trees *trees = ages->trees;
	unsigned alike = 0;

	for (size_t i = 0; i < trees->nr_devs && trees->nr_devs <= MAX_KIN && d->info.creation_time; i++)
		if (are_kin(d, &trees->dev[i]))
			alike = MAX(alike, likeness(ages, trees->dev[i].root, node));
	if (alike)
		say_share(v, EV_KIN, alike);
}

static void hear_times(const struct counts *counts, const struct sdevice *d, const struct snode *n, bool shared,
		       struct voice *v)
{
	if (d->source != DETAILS_LIVE || !n->nr_mappings)
		return;
	if (d->info.creation_time && n->min_time >= d->info.creation_time)
		say(v, EV_BORN, 0);
	if (counts_in_use(counts, n->block) && (shared || counts->count[n->block] > 1) && !counts->super->sb.held_root &&
	    n->max_time >= d->info.snap_time)
		say(v, EV_SHARED, 0);
}

/*
 * A node that may not be in use: children are as old as their parent or older, and those of the
 * same commit are the newest ones.  A commit writes index blocks last; one in the parent's own place is not of that commit.
 */
static void hear_unknown(const struct ages *ages, const struct snode *n, uint32_t parent,
			 struct voice *v)
{
	const uint32_t *commit = ages->commits.data;
	uint32_t age = block_age(ages->super, n->block), nr = (uint32_t)ages->commits.nr, older, younger;
	uint32_t newest = parent == NONE ? 0 : block_age(ages->super, parent);
	const uint16_t named = 1 << EV_HERE | 1 << EV_NAMED | 1 << EV_ONCE | 1 << EV_PASSED;
	bool here = v->says & named, fresh;

	younger = search_first(x, nr, commit[x] >= newest); /* so many are */
	older = search_first(x, nr, commit[x] > newest);
	fresh = age < (older < nr ? commit[older] : ages->graph->nr_blocks);
	if (n->flags & SN_LIVE || (younger && parent != NONE && age < commit[younger - 1])) {
		if (!here) /* another device's, or younger than its parent */
			say(v, EV_YOUNGER, 0);
	} else if (fresh && v->says & (1 << EV_ALIKE | named)) {
		say(v, EV_FRESH, 0);
	}
}

struct voice evidence_hear(struct ages *ages, const struct sdevice *d, uint32_t node,
			   uint32_t parent, bool shared, bool unknown)
{
	const struct snode *n = &ages->graph->node[node];
	struct voice v = { 0 };

	hear_older_trees(ages, d->info.dev_id, node, unknown, &v);
	hear_parent(ages, parent, n->block, &v);
	if (!(v.says & (1 << EV_ALIKE | 1 << EV_HERE | 1 << EV_NAMED | 1 << EV_PASSED | 1 << EV_GONE | 1 << EV_GONE_ONCE)))
		hear_kin(ages, d, node, &v); /* no older tree of its own tells */
	if (anew_is_below(ages, d, n))
		say(&v, EV_ANEW, 0);
	hear_times(ages->counts, d, n, shared, &v);
	if (unknown)
		hear_unknown(ages, n, parent, &v);
	return v;
}
