/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Which of the states that a device holds is the newest?  The kernel allocates metadata blocks
 * upwards from where it stopped: what only the newer of two states has lies in front of its index
 * block.  At the device's end, and when the pool is activated, it continues at the front.  Where
 * that does not decide, the newest state is followed in this cycle by the oldest one left: there
 * the pool's clock, its transactions and the number of mappings fall back the most.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "base/overflow.h"
#include "pool/salvage/state/state.h"

#define MAX_COMPARED 128 /* number of states that are compared with each other */
#define MAX_ROWS     4	 /* number of states that are taken for such as were written anew */

struct fall {
	uint64_t clock, mapped;
};

static uint64_t fall(uint64_t from, uint64_t to)
{
	return from > to ? from - to : 0;
}

/* How far the pool's clock and the number of mappings fall back from one state to the next. */
static struct fall fall_between(const struct pool_state *a, const struct pool_state *b)
{
	return (struct fall){ .clock = fall(a->sum.time, b->sum.time) + fall(a->sum.transaction, b->sum.transaction),
			      .mapped = fall(a->sum.mappings, b->sum.mappings) };
}

/* Of many such states most were made to cost time. */
static void limit_rows(struct vec *states)
{
	struct pool_state *st = states->data;
	uint32_t nr = 0;

	for (size_t i = 0; i < states->nr; i++)
		if (st[i].row)
			st[i].row = nr++ < MAX_ROWS;
}

/* The states that are compared. */
struct order {
	struct graph *g;
	struct pool_state *st;
	size_t nr_whole, nr; /* those in which nothing was reused, and all */
	uint8_t *known; /* a byte a pair: what is known of is_before(); NULL: there are too many */
};

enum { NOT_ASKED, IS_BEFORE, IS_NOT };

/* Was @a written before @b, by what the details of both say?  Nothing is written before an empty pool that fills the front. */
static bool is_before(const struct order *o, const struct pool_state *a, const struct pool_state *b)
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

/*
 * May @b have followed on @a?  What only @b has was written up to its index block, or so many blocks @behind it: a commit writes its
 * index block last, but for a few bitmaps.  Where @b lies in front of @a, it was also written behind the index block of @a, before
 * the device's end or an activation.
 */
static bool follows(const struct order *o, const struct pool_state *a, const struct pool_state *b, uint32_t behind)
{
	const bool in_front = b->index < a->index;

	for (uint32_t w = 0; w <= (o->g->nr_blocks - 1) / 64; w++)
		for (uint64_t only = b->live[w] & ~a->live[w]; only; only &= only - 1) {
			const uint32_t at = w * 64 + (uint32_t)__builtin_ctzll(only);

			if (at > b->index + behind && !(in_front && at > a->index))
				return false;
		}
	return !is_before(o, b, a);
}

/* Did @b come after @a, and cannot @a have come after @b? */
static bool is_newer(const struct order *o, const struct pool_state *a, const struct pool_state *b)
{
	return follows(o, a, b, 0) && !follows(o, b, a, BEHIND_INDEX);
}

/*
 * Do two states have a node of mappings in common?  Unrelated ones have none, unless one is empty.
 */
static bool has_common(const struct graph *g, const struct pool_state *a,
		       const struct pool_state *b)
{
	for (uint32_t w = 0; w <= (g->nr_blocks - 1) / 64; w++)
		for (uint64_t both = b->live[w] & a->live[w]; both; both &= both - 1) {
			uint32_t i = g->slot[w * 64 + (uint32_t)__builtin_ctzll(both)];

			if (i != NONE && g->node[i].tree == TREE_MAPPING)
				return true;
		}
	return !a->sum.mappings || !b->sum.mappings;
}

/* What the nodes of state @a that are not a part of state @b name, and what is below that. */
struct reach {
	const struct graph *g;
	const struct pool_state *a, *b;
	uint64_t *named; /* a bit a block */
	uint32_t *todo;	 /* blocks whose nodes are still to be asked */
	uint32_t nr;
	bool clash; /* a part of @b is named as something that it is not */
};

static bool is_part_of_tree(const struct graph *g, uint32_t b)
{
	const uint32_t i = node_of(g, b);

	return i != NONE && (g->node[i].tree == TREE_MAPPING || g->node[i].tree == TREE_EMPTY);
}

/* Does the @k-th pointer of the node lead to what should be there? */
static bool names_part(const struct graph *g, const struct snode *n, uint32_t k)
{
	const struct edge *e = &g->edge[n->edge + k];

	return n->flags & SN_LEAF ? is_part_of_tree(g, e->block) : e->node != NONE && e->node == node_of(g, e->block);
}

static void reach_children(struct reach *r, const struct snode *n)
{
	for (uint32_t k = 0; k < n->nr_edges; k++) {
		const struct edge *e = &r->g->edge[n->edge + k];

		if (e->block == NONE || r->g->kind[e->block] < BLOCK_NODE) /* a lost one may be anything */
			continue;
		if (names_part(r->g, n, k)) {
			if (!bits_get(r->named, e->block))
				r->todo[r->nr++] = e->block;
			bits_set_word(r->named, e->block, 1);
		} else {
			r->clash |= bits_get(r->b->live, e->block);
		}
	}
}

/* Does the node name a block that the state does not use? */
static bool names_other(const struct graph *g, const struct snode *n, const struct pool_state *st)
{
	for (uint32_t k = 0; k < n->nr_edges; k++)
		if (g->edge[n->edge + k].block != NONE && !bits_get(st->live, g->edge[n->edge + k].block))
			return true;
	return false;
}

/* Is there a node of mappings that is a part of both states, and to which no node leads that only @a has? */
static bool has_unnamed(const struct reach *r)
{
	for (uint32_t i = 0; i < r->g->nr_nodes; i++) {
		const uint32_t at = r->g->node[i].block;

		if (r->g->node[i].tree == TREE_MAPPING && at != NONE && bits_get(r->a->live, at) && bits_get(r->b->live, at) &&
		    !bits_get(r->named, at))
			return true;
	}
	return false;
}

static bool has_lost_block(const struct graph *g, const struct pool_state *st)
{
	for (uint32_t at = 1; at < g->nr_blocks; at++)
		if (g->kind[at] < BLOCK_NODE && bits_get(st->live, at))
			return true;
	return false;
}

/*
 * Do the nodes that only state @a has name a part of @b as something else, or does a part of both name what @a does not use?  Or do they
 * not lead to a node of mappings that is a part of both, though no block of @a is lost, and not only its top level is something else?
 * Then another content was there before.
 */
static bool was_overwritten(struct graph *g, const struct pool_state *a, const struct pool_state *b)
{
	CLEANUP(free_ptr) uint64_t *named = graph_noted(g, calloc(div_up(g->nr_blocks, 64), sizeof(*named)));
	CLEANUP(free_ptr) uint32_t *todo = graph_noted(g, calloc(g->nr_blocks, sizeof(*todo)));
	struct reach r = { .g = g, .a = a, .b = b, .named = named, .todo = todo };

	if (!named || !todo)
		return false;
	for (uint32_t i = 0; i < g->nr_nodes && !r.clash; i++) {
		const struct snode *n = &g->node[i];

		if (n->block == NONE || !bits_get(a->live, n->block))
			continue;
		if (bits_get(b->live, n->block))
			r.clash |= names_other(g, n, a);
		else
			reach_children(&r, n);
	}
	while (r.nr && !r.clash)
		reach_children(&r, &g->node[node_of(g, todo[--r.nr])]);
	return r.clash || ((a->map_root != NONE || a->details_root == NONE) && !has_lost_block(g, a) && has_unnamed(&r));
}

/* Are both states of the same pool, by their details? */
static bool are_related(struct graph *g, const struct pool_state *a, const struct pool_state *b)
{
	return a->dated && b->dated && details_share_device(g, g->slot[a->details_root], g->slot[b->details_root], false);
}

/*
 * Was state @b written anew over @a?  A pool that was made later would have written to the front, but a later state of the same pool
 * may have nothing in common with it.
 */
static bool is_made_over(const struct order *o, const struct pool_state *a, const struct pool_state *b)
{
	return b->row && ((!a->row && !has_common(o->g, a, b) && !(are_related(o->g, a, b) && follows(o, b, a, BEHIND_INDEX))) ||
			  was_overwritten(o->g, a, b));
}

/* Did @b go on with the metadata that were written anew as state @a?  Had it been there before, it would have been overwritten. */
static bool went_on_from(const struct order *o, const struct pool_state *a, const struct pool_state *b)
{
	return a->row && a->dated && b->dated && a->sum.mappings && b->sum.mappings && !fall_between(a, b).clock &&
	       follows(o, a, b, BEHIND_INDEX) && has_common(o->g, a, b) && !was_overwritten(o->g, b, a);
}

struct named {
	uint64_t id, root;
};

static int add_named(void *ctx, uint64_t id, uint32_t root)
{
	struct vec *list = ctx;

	return vec_put(list, (struct named){ id, root });
}

/* Have the states the same trees, as far as their top levels tell? */
static bool have_same_trees(const struct graph *g, const struct pool_state *a, const struct pool_state *b)
{
	struct vec of_a = { 0 }, of_b = { 0 };
	bool same = a->map_root == b->map_root;

	if (!same && a->map_root != NONE && b->map_root != NONE)
		same = !graph_each_device(g, g->slot[a->map_root], add_named, &of_a) &&
		       !graph_each_device(g, g->slot[b->map_root], add_named, &of_b) && of_a.nr == of_b.nr &&
		       (!of_a.nr || !memcmp(of_a.data, of_b.data, of_a.nr * sizeof(struct named)));
	free(of_a.data);
	free(of_b.data);
	return same;
}

/* Those in which nothing was reused come first; returns how many. */
static size_t part_reused(struct vec *states)
{
	struct pool_state *st = states->data;
	uint32_t least = UINT32_MAX;
	size_t nr = 0;

	for (size_t i = 0; i < states->nr; i++)
		least = MIN(least, st[i].reused);
	for (size_t i = 0; i < states->nr; i++) {
		const struct pool_state kept = st[i];

		if (kept.reused > least)
			continue;
		memmove(&st[nr + 1], &st[nr], (i - nr) * sizeof(*st));
		st[nr] = kept;
		if (!kept.dated && nr) /* no worse than the one before */
			st[nr].sum = st[nr - 1].sum;
		nr++;
	}
	return nr;
}

static const struct pool_state *find_newest(const struct order *o)
{
	const struct pool_state *st = o->st, *best = &st[o->nr_whole - 1];
	struct fall most = fall_between(best, &st[0]);

	for (size_t i = 0; i + 1 < o->nr_whole; i++) {
		struct fall f = fall_between(&st[i], &st[i + 1]);

		if (f.clock > most.clock || (f.clock == most.clock && f.mapped > most.mapped)) {
			most = f;
			best = &st[i];
		}
	}
	for (size_t i = 0; i < o->nr_whole && best->row; i++)
		if (&st[i] != best && went_on_from(o, best, &st[i]))
			best = &st[i];
	for (size_t i = 0; i < o->nr_whole; i++)
		if (&st[i] != best && is_newer(o, best, &st[i]))
			best = &st[i];
	return best;
}

/* Did @best go on with metadata that were written anew over @a? */
static bool is_gone_since(const struct order *o, const struct pool_state *a, const struct pool_state *best)
{
	bool found = false;

	for (size_t i = 0; i < o->nr_whole && !found; i++)
		found = &o->st[i] != best && &o->st[i] != a && went_on_from(o, &o->st[i], best) && was_overwritten(o->g, a, &o->st[i]);
	return found;
}

/* Is one of the states of which something was reused newer than @best by where it was written?  Then it was not reused but spoilt. */
static bool is_spoilt(const struct order *o, const struct pool_state *best)
{
	bool found = false;

	for (const struct pool_state *a = o->st + o->nr_whole; a < o->st + o->nr && !found; a++)
		found = !is_newer(o, a, best) && (!a->dated || !fall_between(best, a).clock) && !is_made_over(o, a, best) &&
			!is_gone_since(o, a, best);
	return found;
}

/*
 * May the pool have been in another state?  An older one is that of the last commit if the newest was not completed: nothing but the
 * superblock tells.  One that the newest was written anew over is not, unless another state of the newest one's pool is there, too: then one
 * of the two was there in pieces before the other.  One of which something was reused may have been damaged instead; behind metadata that
 * were written anew there are many such.
 */
static bool has_rival(const struct order *o, const struct pool_state *best)
{
	const struct pool_state *end = o->st + (best->row ? o->nr_whole : o->nr);
	bool own = false, foreign = false;

	for (const struct pool_state *a = o->st; a < end; a++) {
		bool over;

		if (a == best)
			continue;
		over = is_made_over(o, a, best);
		if (!over && !is_gone_since(o, a, best) && !have_same_trees(o->g, a, best))
			return true;
		if (are_related(o->g, a, best))
			own = true;
		else
			foreign |= over;
	}
	return own && foreign;
}

/* Does an internal node that only state @a has lead to a part of @b?  That a top level names one may be by chance. */
static bool shares_trees(const struct graph *g, const struct pool_state *a, const struct pool_state *b)
{
	for (uint32_t i = 0; i < g->nr_nodes; i++) {
		const struct snode *n = &g->node[i];

		if (n->tree != TREE_MAPPING || n->flags & SN_LEAF || n->block == NONE || !bits_get(a->live, n->block) || bits_get(b->live, n->block))
			continue;
		for (uint32_t k = 0; k < n->nr_edges; k++) {
			const struct edge *e = &g->edge[n->edge + k];

			if (e->block != NONE && e->node != NONE && e->node == node_of(g, e->block) && bits_get(b->live, e->block))
				return true;
		}
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

/*
 * Which blocks of word @w, a bit each, did no state use but @a and @best?  Where @best is in front of @a nothing tells: then states were
 * written over that may have.
 */
static uint64_t never_used(const struct order *o, const struct pool_state *a, const struct pool_state *best, uint32_t w)
{
	uint64_t used = a && a->index < best->index ? 0 : UINT64_MAX;

	for (const struct pool_state *st = o->st; st < o->st + o->nr; st++)
		used |= st == a || st == best ? 0 : st->live[w];
	return ~used;
}

/*
 * Was one of the blocks that the superblock's state @a (NULL: it is not there) names, and that hold something else that is intact, written
 * since?  @best uses it, or no state does whose content it may be, if a write was lost.
 */
static bool wrote_over(const struct order *o, const struct own_state *own, const struct pool_state *a, const struct pool_state *best)
{
	for (uint32_t w = 0; w <= (o->g->nr_blocks - 1) / 64; w++)
		if (own->wrong[w] && own->wrong[w] & (best->live[w] | never_used(o, a, best, w)))
			return true;
	for (uint32_t i = 0; a && i < o->g->nr_nodes; i++) {
		const struct snode *n = &o->g->node[i];

		if (n->block == NONE || !bits_get(a->live, n->block) || bits_get(best->live, n->block))
			continue;
		for (uint32_t k = 0; k < n->nr_edges; k++) {
			const uint32_t b = o->g->edge[n->edge + k].block;

			if (b != NONE && o->g->kind[b] >= BLOCK_NODE && !names_part(o->g, n, k) &&
			    (bits_get(best->live, b) || never_used(o, a, best, b / 64) >> b % 64 & 1))
				return true;
		}
	}
	return false;
}

/*
 * Did @best come after the superblock's state, of which something was reused?  A commit reuses nothing of the one before: so a later
 * superblock was written to nowhere.  A later time or transaction tells; else the place.  Where it may have been either way, the kernel
 * seldom went back to the front in between.
 */
static enum succession succession(const struct order *o, const struct own_state *of, const struct pool_state *best)
{
	const struct superblock *own = of->sb;
	const uint64_t index = own->metadata_sm.bitmap_root;
	const struct pool_state *a = find_state(o, index);
	const bool later = best->dated && (best->sum.time > own->time || best->sum.transaction > own->transaction_id);

	if (!(a && a != best && shares_trees(o->g, a, best)) && !shares_device(o, own, best, true))
		return has_devices(o, own) && best->dated && !shares_device(o, own, best, false) ? UNRELATED :
		       wrote_over(o, of, a, best) ? MAY_COME_AFTER : COMES_BEFORE;
	if (best->reused)
		return COMES_BEFORE;
	if (!a && later)
		return COMES_AFTER;
	if (!a) /* something intact in the place of its index block was written since, or to a wrong place */
		return index < o->g->nr_blocks && o->g->kind[index] >= BLOCK_NODE && wrote_over(o, of, NULL, best) ? MAY_COME_AFTER : COMES_BEFORE;
	if (a == best) /* or its index block is what was reused */
		return later && a->map_root != own->mapping_root && a->details_root != own->details_root ? COMES_AFTER : COMES_BEFORE;
	if (later || (follows(o, a, best, 0) && !follows(o, best, a, BEHIND_INDEX)))
		return COMES_AFTER;
	return (best->index > a->index || (a->dated && !is_before(o, best, a))) && wrote_over(o, of, a, best) ? MAY_COME_AFTER : COMES_BEFORE;
}

struct newest order_newest(struct graph *g, struct vec *states, const struct own_state *own)
{
	struct order o = { .g = g, .st = states->data, .nr = states->nr };
	CLEANUP(free_ptr) uint8_t *known = NULL;
	struct newest found = { 0 };

	limit_rows(states);
	o.nr_whole = part_reused(states);
	if (!o.nr_whole)
		return found;
	if (o.nr <= MAX_COMPARED)
		o.known = known = graph_noted(g, calloc(o.nr, o.nr));
	found.state = find_newest(&o);
	found.spoilt = is_spoilt(&o, found.state);
	found.rival = has_rival(&o, found.state);
	found.after = own ? succession(&o, own, found.state) : COMES_BEFORE;
	return found;
}
