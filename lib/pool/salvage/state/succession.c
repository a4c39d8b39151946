/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Did the newest state that was found come after the superblock, of whose state something was reused? */
#include "base/bits.h"
#include "base/vec.h"
#include "pool/salvage/state/order.h"

/* Does an internal node that only state @a has lead to a part of @b?  That a top level names one may be by chance. */
static bool shares_trees(const struct graph *g, const struct pool_state *a, const struct pool_state *b)
{
	for (uint32_t i = 0; i < g->nr_nodes; i++) {
		const struct snode *n = &g->node[i];

		if (n->tree != TREE_MAPPING || n->flags & SN_LEAF || n->block == NONE || !bits_get(a->live, n->block) || bits_get(b->live, n->block))
			continue;
		for (uint32_t k = 0; k < n->nr_edges; k++)
			if (order_names_part(g, n, k) && bits_get(b->live, g->edge[n->edge + k].block))
				return true;
	}
	return false;
}

/* The state with that index block, or NULL. */
static const struct pool_state *find_state(const struct order *o, uint64_t index)
{
	for (size_t i = 0; i < o->nr; i++)
		if (o->st[i].index == index)
			return &o->st[i];
	return NULL;
}

/* The node of the superblock's own details.  NONE: they are not there. */
static uint32_t own_details(const struct order *o, const struct superblock *own)
{
	const uint32_t i = node_of(o->g, own->details_root);

	return i != NONE && o->g->node[i].tree == TREE_DETAILS ? i : NONE;
}

/* Do they tell of a device that is in state @b, too?  @later: not one of the first, which are alike in all pools. */
static bool shares_device(const struct order *o, const struct superblock *own, const struct pool_state *b, bool later)
{
	const uint32_t details = own_details(o, own);

	return details != NONE && b->dated && details_share_device(o->g, details, o->g->slot[b->details_root], later);
}

/* Do they tell of devices? */
static bool has_devices(const struct order *o, const struct superblock *own)
{
	const uint32_t details = own_details(o, own);
	struct details_sum sum = { 0 };

	return details != NONE && !details_add(o->g, details, &sum, NULL) && sum.devices;
}

/* Does @st have a later time or transaction than the superblock? */
static bool is_later(const struct superblock *own, const struct pool_state *st)
{
	return st->dated && (st->sum.time > own->time || st->sum.transaction > own->transaction_id);
}

/* Is @st later than the superblock's state @a, and was it written between that and @best? */
static bool is_between(const struct superblock *own, const struct pool_state *a, const struct pool_state *st, const struct pool_state *best)
{
	return a && a->index < st->index && st->index < best->index && is_later(own, st);
}

/*
 * Which blocks of word @w, a bit each, does @best use, or a whole state that was written between @a and it, or no other state than these and
 * @a?  Where @best is in front of @a that tells nothing: then states were written over that may have.
 */
static uint64_t used_since(const struct order *o, const struct superblock *own, const struct pool_state *a, const struct pool_state *best,
			   uint32_t w)
{
	uint64_t since = best->live[w], before = a && a->index < best->index ? 0 : UINT64_MAX;

	for (const struct pool_state *st = o->st; st < o->st + o->nr; st++)
		if (is_between(own, a, st, best))
			since |= st < o->st + o->nr_whole ? st->live[w] : 0;
		else if (st != a && st != best)
			before |= st->live[w];
	return since | ~before;
}

/*
 * Was one of the blocks that the superblock's state @a (NULL: it is not there) names, and that hold something else that is intact, written
 * since?  @best uses it, or a state before that, or none does whose content it may be, if a write was lost.
 */
static bool wrote_over(const struct order *o, const struct own_state *own, const struct pool_state *a, const struct pool_state *best)
{
	for (uint32_t w = 0; w <= (o->g->nr_blocks - 1) / 64; w++)
		if (own->wrong[w] && own->wrong[w] & used_since(o, own->sb, a, best, w))
			return true;
	for (uint32_t i = 0; a && i < o->g->nr_nodes; i++) {
		const struct snode *n = &o->g->node[i];

		if (n->block == NONE || !bits_get(a->live, n->block) || bits_get(best->live, n->block))
			continue;
		for (uint32_t k = 0; k < n->nr_edges; k++) {
			const uint32_t b = o->g->edge[n->edge + k].block;

			if (b != NONE && o->g->kind[b] >= BLOCK_NODE && !order_names_part(o->g, n, k) &&
			    used_since(o, own->sb, a, best, b / 64) >> b % 64 & 1)
				return true;
		}
	}
	return false;
}

struct looking {
	const struct order *o;
	const struct superblock *own;
	const struct pool_state *a, *best;
	struct vec details;
	bool found;
};

static int look_at_device(void *ctx, uint64_t id, uint32_t root)
{
	struct looking *l = ctx;
	const struct device_info *d = details_find(&l->details, id);
	const uint32_t i = node_of(l->o->g, root);

	l->found |= d && i != NONE && !(l->o->g->node[i].flags & SN_BROKEN) && l->o->g->node[i].nr_mappings != d->mapped_blocks &&
		    used_since(l->o, l->own, l->a, l->best, root / 64) >> root % 64 & 1;
	return 0;
}

/* So it is, too, where a device's root has another number of mappings than the superblock's details say. */
static bool wrote_over_root(const struct order *o, const struct superblock *own, const struct pool_state *a, const struct pool_state *best)
{
	struct looking l = { .o = o, .own = own, .a = a, .best = best };
	const uint32_t top = node_of(o->g, own->mapping_root), details = own_details(o, own);

	if (top != NONE && o->g->node[top].tree == TREE_TOP && details != NONE && !details_read(o->g, details, &l.details, NULL))
		(void)graph_each_device(o->g, top, look_at_device, &l);
	free_vec(&l.details);
	return l.found;
}

/* The same of states with nothing in common: one may be of another pool, which was on the device before. */
static enum succession without_common(const struct order *o, const struct own_state *of, const struct pool_state *a,
				      const struct pool_state *best)
{
	if (!has_devices(o, of->sb) || !best->dated || shares_device(o, of->sb, best, false))
		return wrote_over(o, of, a, best) ? MAY_COME_AFTER : COMES_BEFORE;
	/* or all devices were deleted since; what was written anew was there after the other pool */
	return is_later(of->sb, best) && a && !a->row && (wrote_over(o, of, a, best) || wrote_over_root(o, of->sb, a, best)) ?
		       LATER_UNRELATED : UNRELATED;
}

enum succession order_succession(const struct order *o, const struct own_state *of, const struct pool_state *best)
{
	const struct superblock *own = of->sb;
	const uint64_t index = own->metadata_sm.bitmap_root;
	const struct pool_state *a = find_state(o, index);
	const bool later = is_later(own, best);

	if (!(a && a != best && shares_trees(o->g, a, best)) && !shares_device(o, own, best, true))
		return without_common(o, of, a, best);
	if (best->reused)
		return COMES_BEFORE;
	if (!a && later)
		return COMES_AFTER;
	if (!a) /* something intact in the place of its index block was written since, or to a wrong place */
		return index < o->g->nr_blocks && o->g->kind[index] >= BLOCK_NODE && wrote_over(o, of, NULL, best) ? MAY_COME_AFTER : COMES_BEFORE;
	if (a == best) /* or its index block is what was reused */
		return later && a->map_root != own->mapping_root && a->details_root != own->details_root ? COMES_AFTER : COMES_BEFORE;
	if (later || (order_follows(o, a, best, 0) && !order_follows(o, best, a, BEHIND_INDEX)))
		return COMES_AFTER;
	return (best->index > a->index || (a->dated && !order_is_before(o, best, a))) && wrote_over(o, of, a, best) ? MAY_COME_AFTER : COMES_BEFORE;
}
