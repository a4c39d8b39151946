/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Whose was this node?  Older copies of the top level lie about on disk, each saying which root a device
 * had then.  A node that is part of such an older tree, or that has become of one of its nodes
 * (most entries are the same), belongs to that device.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "pool/salvage/impl.h"

#define MAX_ROOTS 48 /* older roots of a device that are looked at */
#define MAX_COMPARED 6 /* of which so many by content */

static int by_dev_newest(const void *pa, const void *pb, void *ctx)
{
	const struct old_root *a = pa, *b = pb;
	uint32_t age_a = block_age(ctx, a->top), age_b = block_age(ctx, b->top);

	if (a->dev_id != b->dev_id)
		return a->dev_id < b->dev_id ? -1 : 1;
	return age_a < age_b ? -1 : age_a > age_b;
}

int kin_read(struct salvage *s, struct err *err)
{
	if (s->has_old_roots)
		return 0;
	s->has_old_roots = true;
	for (uint32_t i = 0; i < s->nr_nodes; i++) {
		const struct snode *n = &s->node[i];

		if (n->tree != TREE_TOP || !(n->flags & SN_LEAF))
			continue;
		for (uint32_t k = 0; k < n->nr_edges; k++) {
			const struct edge *e = &s->edge[n->edge + k];
			struct old_root *o;

			if (e->key > MAX_DEV_ID || node_of(s, e->block) == NONE)
				continue;
			o = vec_push(&s->old_roots, sizeof(*o));
			if (!o)
				return err_nomem(err, "salvage: older roots");
			*o = (struct old_root){ (uint32_t)e->key, e->block, n->block };
		}
	}
	if (s->old_roots.nr)
		qsort_r(s->old_roots.data, s->old_roots.nr, sizeof(struct old_root), by_dev_newest, s);
	return 0;
}

/* The first entry of device @id, or one past the end. */
static size_t first_of(const struct salvage *s, uint32_t id)
{
	const struct old_root *o = s->old_roots.data;
	size_t lo = 0, hi = s->old_roots.nr;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (o[mid].dev_id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The child of internal node @i that @key belongs to, or NONE. */
static uint32_t child_for(const struct salvage *s, uint32_t i, uint64_t key)
{
	const struct snode *n = &s->node[i];
	uint32_t best = NONE;

	for (uint32_t k = 0; k < n->nr_edges && s->edge[n->edge + k].key <= key; k++)
		best = s->edge[n->edge + k].node;
	return best;
}

bool salvage_is_below(const struct salvage *s, uint32_t root, uint32_t node)
{
	for (unsigned depth = 0; root != NONE && depth < BTREE_MAX_DEPTH; depth++) {
		if (root == node)
			return true;
		if (s->node[root].flags & SN_LEAF)
			return false;
		root = child_for(s, root, s->node[node].first);
	}
	return false;
}

static uint32_t leaf_for(const struct salvage *s, uint32_t root, uint64_t key)
{
	for (unsigned depth = 0; root != NONE && depth < BTREE_MAX_DEPTH; depth++) {
		if (s->node[root].flags & SN_LEAF)
			return root;
		root = child_for(s, root, key);
	}
	return NONE;
}

/* Per mille of the entries that two leaves have in common, of the smaller. */
unsigned kin_common(struct salvage *s, uint32_t a, uint32_t b)
{
	CLEANUP(free_ptr) void *ba = io_alloc(MBLOCK_SIZE);
	CLEANUP(free_ptr) void *bb = io_alloc(MBLOCK_SIZE);
	uint32_t i = 0, k = 0, same = 0;
	struct view va, vb;

	if (!ba || !bb || salvage_get(s, s->node[a].block, ba, NULL) < 0 ||
	    salvage_get(s, s->node[b].block, bb, NULL) < 0 || !view_open(&va, ba) ||
	    !view_open(&vb, bb) || !va.nr || !vb.nr || va.value_size < 8 || vb.value_size < 8)
		return 0;
	while (i < va.nr && k < vb.nr) {
		uint64_t ka = view_key(&va, i), kb = view_key(&vb, k);

		same += ka == kb && view_value(&va, i) == view_value(&vb, k);
		i += ka <= kb;
		k += kb <= ka;
	}
	return same * 1000 / MIN(va.nr, vb.nr);
}

static unsigned common_children(const struct salvage *s, uint32_t root, uint32_t node)
{
	const struct snode *n = &s->node[node];
	uint32_t same = 0;

	if (n->flags & SN_LEAF)
		return 0;
	for (uint32_t k = 0; k < n->nr_edges; k++) {
		uint32_t c = s->edge[n->edge + k].node;

		same += c != NONE && salvage_is_below(s, root, c);
	}
	return same * 1000 / n->nr_edges;
}

static unsigned likeness(struct salvage *s, uint32_t root, uint32_t node)
{
	unsigned same = common_children(s, root, node);
	uint32_t a, b;

	if (same)
		return same;
	a = leaf_for(s, node, s->node[node].first);
	b = a == NONE ? NONE : leaf_for(s, root, s->node[a].first);
	return a == NONE || b == NONE ? 0 : kin_common(s, a, b);
}

int kin_height(const struct salvage *s, uint32_t dev_id)
{
	const struct old_root *o = s->old_roots.data;

	for (size_t i = first_of(s, dev_id); i < s->old_roots.nr && o[i].dev_id == dev_id; i++) {
		uint32_t root = node_of(s, o[i].root);

		if (root != NONE && !(s->node[root].flags & SN_VIRTUAL))
			return s->node[root].height;
	}
	return -1;
}

unsigned kin_score(struct salvage *s, uint32_t dev_id, uint32_t node)
{
	const struct old_root *o = s->old_roots.data;
	uint32_t last = NONE, seen = 0;
	unsigned best = 0;

	for (size_t i = first_of(s, dev_id); i < s->old_roots.nr && o[i].dev_id == dev_id; i++) {
		uint32_t root = node_of(s, o[i].root);
		unsigned score = 0;

		if (o[i].root == last || root == NONE || s->node[root].flags & SN_VIRTUAL)
			continue;
		last = o[i].root;
		if (++seen > MAX_ROOTS)
			break;
		if (root == node)
			score = 2000 - seen;
		else if (salvage_is_below(s, root, node))
			score = 1900 - seen;
		else if (seen <= MAX_COMPARED)
			score = likeness(s, root, node) * 17 / 10;
		best = MAX(best, score);
		if (best >= 1900 - MAX_ROOTS)
			break;
	}
	return best;
}
