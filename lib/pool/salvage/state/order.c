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
#include "pool/salvage/state/succession.h"

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

/* Do two states have a node of mappings in common?  Unrelated ones have none, unless one is empty. */
static bool has_common(const struct graph *g, const struct pool_state *a, const struct pool_state *b)
{
	const struct snode *n = g->node;

	return !a->sum.mappings || !b->sum.mappings ||
	       any_of(i, g->nr_nodes, n[i].tree == TREE_MAPPING && graph_is_there(g, i) && order_has_node(a, &n[i]) && order_has_node(b, &n[i]));
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

static void reach_children(struct reach *r, const struct snode *n)
{
	for (uint32_t k = 0; k < n->nr_edges; k++) {
		const struct edge *e = &r->g->edge[n->edge + k];

		if (e->block == NONE || r->g->kind[e->block] < BLOCK_NODE) /* a lost one may be anything */
			continue;
		if (order_names_part(r->g, n, k)) {
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
	const struct edge *e = &g->edge[n->edge];

	return any_of(k, n->nr_edges, e[k].block != NONE && !bits_get(st->live, e[k].block));
}

/* Is there a node of mappings that is a part of both states, and to which no node leads that only @a has? */
static bool has_unnamed(const struct reach *r)
{
	const struct snode *n = r->g->node;

	return any_of(i, r->g->nr_nodes, n[i].tree == TREE_MAPPING && order_has_node(r->a, &n[i]) && order_has_node(r->b, &n[i]) &&
						 !bits_get(r->named, n[i].block));
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

		if (!order_has_node(a, n))
			continue;
		if (order_has_node(b, n))
			r.clash |= names_other(g, n, a);
		else
			reach_children(&r, n);
	}
	while (r.nr && !r.clash)
		reach_children(&r, &g->node[node_of(g, todo[--r.nr])]);
	return r.clash || ((a->map_root || !a->details_root) && has_unnamed(&r) &&
			   !any_of(i, g->nr_blocks, g->kind[i] < BLOCK_NODE && bits_get(a->live, i)));
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
	return b->row && ((!a->row && !has_common(o->g, a, b) && !(are_related(o->g, a, b) && order_follows(o, b, a, BEHIND_INDEX))) ||
			  was_overwritten(o->g, a, b));
}

/* Did @b go on with the metadata that were written anew as state @a?  Had it been there before, it would have been overwritten. */
static bool went_on_from(const struct order *o, const struct pool_state *a, const struct pool_state *b)
{
	return a->row && a->dated && b->dated && a->sum.mappings && b->sum.mappings && !fall_between(a, b).clock &&
	       order_follows(o, a, b, BEHIND_INDEX) && has_common(o->g, a, b) && !was_overwritten(o->g, b, a);
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

	if (!same && a->map_root && b->map_root)
		same = !graph_each_device(g, g->slot[a->map_root], add_named, &of_a) &&
		       !graph_each_device(g, g->slot[b->map_root], add_named, &of_b) && of_a.nr == of_b.nr &&
		       (!of_a.nr || !memcmp(of_a.data, of_b.data, of_a.nr * sizeof(struct named)));
	free_vec(&of_a);
	free_vec(&of_b);
	return same;
}

static int fewest_reused(const void *pa, const void *pb)
{
	const struct pool_state *a = pa, *b = pb;

	return ORDER(a->reused, b->reused) ?: ORDER(a->index, b->index);
}

/* Those in which nothing was reused come first; returns how many. */
static size_t part_reused(struct vec *states)
{
	struct pool_state *st = states->data;
	size_t nr = 0;

	vec_sort(states, sizeof(*st), fewest_reused);
	for (; nr < states->nr && st[nr].reused == st[0].reused; nr++)
		if (!st[nr].dated && nr) /* no worse than the one before */
			st[nr].sum = st[nr - 1].sum;
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
		if (&st[i] != best && order_is_newer(o, best, &st[i]))
			best = &st[i];
	return best;
}

/* Did @best go on with metadata that were written anew over @a? */
static bool is_gone_since(const struct order *o, const struct pool_state *a, const struct pool_state *best)
{
	return any_of(i, o->nr_whole, &o->st[i] != best && &o->st[i] != a && went_on_from(o, &o->st[i], best) &&
					      was_overwritten(o->g, a, &o->st[i]));
}

/* Is one of the states of which something was reused newer than @best by where it was written?  Then it was not reused but spoilt. */
static bool is_spoilt(const struct order *o, const struct pool_state *best)
{
	const struct pool_state *a = o->st + o->nr_whole;

	return any_of(i, o->nr - o->nr_whole, !order_is_newer(o, &a[i], best) && (!a[i].dated || !fall_between(best, &a[i]).clock) &&
						      !is_made_over(o, &a[i], best) && !is_gone_since(o, &a[i], best));
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

const struct pool_state *order_newest(struct state *state, struct vec *states, bool *spoilt)
{
	struct order o = { .g = state->graph, .st = states->data, .nr = states->nr };
	CLEANUP(free_ptr) uint8_t *known = NULL;
	const struct pool_state *best = NULL;

	limit_rows(states);
	o.nr_whole = part_reused(states);
	if (o.nr && o.nr <= MAX_COMPARED)
		o.known = known = graph_noted(o.g, calloc(o.nr, o.nr));
	if (o.nr_whole)
		best = find_newest(&o);
	*spoilt = best && is_spoilt(&o, best);
	state->rival = best && has_rival(&o, best);
	state->after = !best ? UNRELATED : state->own ? order_succession(&o, state->own, best) : COMES_BEFORE;
	return best;
}
