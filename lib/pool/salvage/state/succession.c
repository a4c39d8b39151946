/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * What two states say of each other: by where they were written, by their details, and by what they name.  Did the newest that was found
 * come after the superblock, of whose state something was reused?
 */
#include "pool/salvage/state/succession.h"

enum { NOT_ASKED, IS_BEFORE, IS_NOT };

bool order_is_before(const struct order *o, const struct pool_state *a, const struct pool_state *b)
{
	uint8_t *known;

	if (!o->known || !a->dated || !b->dated || a == b)
		return false;
	if (a->row && !a->sum.devices)
		return true;
	known = &o->known[(size_t)(a - o->st) * o->nr + (size_t)(b - o->st)];
	if (*known == NOT_ASKED)
		*known = details_precede(o->g, o->g->slot[a->details_root], o->g->slot[b->details_root]) ? IS_BEFORE : IS_NOT;
	return *known == IS_BEFORE;
}

bool order_follows(const struct order *o, const struct pool_state *a, const struct pool_state *b, uint32_t behind)
{
	const bool in_front = b->index < a->index;

	for (uint32_t w = 0; w <= (o->g->nr_blocks - 1) / 64; w++)
		for (uint64_t only = b->live[w] & ~a->live[w]; only; only &= only - 1) {
			const uint32_t at = w * 64 + (uint32_t)__builtin_ctzll(only);

			if (at > b->index + behind && !(in_front && at > a->index))
				return false;
		}
	return !order_is_before(o, b, a);
}

bool order_is_newer(const struct order *o, const struct pool_state *a, const struct pool_state *b)
{
	return order_follows(o, a, b, 0) && !order_follows(o, b, a, BEHIND_INDEX);
}

static bool is_part_of_tree(const struct graph *g, uint32_t b)
{
	const uint32_t i = node_of(g, b);

	return i != NONE && tree_fits(g->node[i].tree, TREE_MAPPING);
}

bool order_names_part(const struct graph *g, const struct snode *n, uint32_t k)
{
	const struct edge *e = &g->edge[n->edge + k];

	return n->flags & SN_LEAF ? is_part_of_tree(g, e->block) : e->node != NONE && e->node == node_of(g, e->block);
}

/* --- the superblock's state and the newest --- */

struct pair {
	const struct order *o;
	const struct own_state *own; /* the superblock's */
	const struct pool_state *a;  /* it, NULL: it is not there */
	const struct pool_state *best; /* the newest one that was found */
	uint32_t details;	     /* the node of the superblock's details, NONE: they are not there */
	struct vec devices;	     /* struct device_info: all of them */
};

/* Does an internal node that only the superblock's state has lead to a part of the other?  That a top level names one may be by chance. */
static bool shares_trees(const struct pair *p)
{
	const struct graph *g = p->o->g;

	for (uint32_t i = 0; i < g->nr_nodes; i++) {
		const struct snode *n = &g->node[i];
		const struct edge *e = &g->edge[n->edge];

		if (n->tree == TREE_MAPPING && !(n->flags & SN_LEAF) && order_has_node(p->a, n) && !order_has_node(p->best, n) &&
		    any_of(k, n->nr_edges, order_names_part(g, n, k) && bits_get(p->best->live, e[k].block)))
			return true;
	}
	return false;
}

/* Do the details of both tell of the same device?  @later: not one of the first, which are alike in all pools. */
static bool shares_device(const struct pair *p, bool later)
{
	struct graph *g = p->o->g;

	return p->details != NONE && p->best->dated && details_share_device(g, p->details, g->slot[p->best->details_root], later);
}

/* Does @st have a later time or transaction than the superblock? */
static bool is_later(const struct pair *p, const struct pool_state *st)
{
	return st->dated && (st->sum.time > p->own->sb->time || st->sum.transaction > p->own->sb->transaction_id);
}

/* Is @st later than the superblock's state, and was it written between that and the newest? */
static bool is_between(const struct pair *p, const struct pool_state *st)
{
	return p->a && p->a->index < st->index && st->index < p->best->index && is_later(p, st);
}

/*
 * Does the newest state use the block, or a whole state that was written between the two, or no other state than these and the
 * superblock's?  Where the newest is in front of that, the last tells nothing: then states were written over that may have.
 */
static bool is_used_since(const struct pair *p, uint32_t b)
{
	bool since = bits_get(p->best->live, b), before = !p->a || p->a->index >= p->best->index;

	for (const struct pool_state *st = p->o->st; st < p->o->st + p->o->nr; st++)
		if (is_between(p, st))
			since |= st < p->o->st + p->o->nr_whole && bits_get(st->live, b);
		else if (st != p->a && st != p->best)
			before |= bits_get(st->live, b);
	return since || !before;
}

/*
 * Was one of the blocks that the superblock's state names, and that hold something else that is intact, written since?  The newest state
 * uses it, or a state before that, or none does whose content it may be, if a write was lost.
 */
static bool wrote_over(const struct pair *p)
{
	const struct graph *g = p->o->g;

	if (any_of(b, g->nr_blocks, bits_get(p->own->wrong, b) && is_used_since(p, b)))
		return true;
	for (uint32_t i = 0; p->a && i < g->nr_nodes; i++) {
		const struct snode *n = &g->node[i];
		const struct edge *e = &g->edge[n->edge];

		if (order_has_node(p->a, n) && !order_has_node(p->best, n) &&
		    any_of(k, n->nr_edges, e[k].block != NONE && g->kind[e[k].block] >= BLOCK_NODE && !order_names_part(g, n, k) &&
						   is_used_since(p, e[k].block)))
			return true;
	}
	return false;
}

static int is_replaced(void *ctx, uint64_t id, uint32_t root)
{
	const struct pair *p = ctx;
	const struct graph *g = p->o->g;
	const struct device_info *d = details_find(&p->devices, id);
	const uint32_t i = node_of(g, root);

	return d && i != NONE && !(g->node[i].flags & SN_BROKEN) && g->node[i].nr_mappings != d->mapped_blocks && is_used_since(p, root);
}

/* So it is, too, where a device's root has another number of mappings than the superblock's details say. */
static bool wrote_over_root(struct pair *p)
{
	const uint32_t top = node_of(p->o->g, p->own->sb->mapping_root);

	return top != NONE && p->o->g->node[top].tree == TREE_TOP && graph_each_device(p->o->g, top, is_replaced, p);
}

/* Of states with nothing in common one may be of another pool, which was on the device before. */
static enum succession without_common(struct pair *p)
{
	if (!p->devices.nr || !p->best->dated || shares_device(p, false))
		return wrote_over(p) ? MAY_COME_AFTER : COMES_BEFORE;
	/* or all devices were deleted since; what was written anew was there after the other pool */
	return is_later(p, p->best) && p->a && !p->a->row && (wrote_over(p) || wrote_over_root(p)) ? LATER_UNRELATED : UNRELATED;
}

static enum succession judge(struct pair *p)
{
	const struct superblock *own = p->own->sb;
	const uint64_t index = own->metadata_sm.bitmap_root;
	const struct pool_state *a = p->a, *best = p->best;
	const bool later = is_later(p, best);

	if (!(a && a != best && shares_trees(p)) && !shares_device(p, true))
		return without_common(p);
	if (best->reused)
		return COMES_BEFORE;
	if (!a && later)
		return COMES_AFTER;
	if (!a) /* something intact in the place of its index block was written since, or to a wrong place */
		return index < p->o->g->nr_blocks && p->o->g->kind[index] >= BLOCK_NODE && wrote_over(p) ? MAY_COME_AFTER : COMES_BEFORE;
	if (a == best) /* or its index block is what was reused */
		return later && a->map_root != own->mapping_root && a->details_root != own->details_root ? COMES_AFTER : COMES_BEFORE;
	if (later || order_is_newer(p->o, a, best))
		return COMES_AFTER;
	return (best->index > a->index || (a->dated && !order_is_before(p->o, best, a))) && wrote_over(p) ? MAY_COME_AFTER : COMES_BEFORE;
}

enum succession order_succession(const struct order *o, const struct own_state *own, const struct pool_state *best)
{
	const uint32_t details = node_of(o->g, own->sb->details_root);
	struct pair p = { .o = o, .own = own, .best = best, .details = NONE };
	enum succession s;

	for (size_t i = 0; i < o->nr; i++)
		if (o->st[i].index == own->sb->metadata_sm.bitmap_root)
			p.a = &o->st[i];
	if (details != NONE && o->g->node[details].tree == TREE_DETAILS) {
		p.details = details;
		if (details_read(o->g, details, &p.devices, NULL))
			p.devices.nr = 0; /* not all of them */
	}
	s = judge(&p);
	free_vec(&p.devices);
	return s;
}
