/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The roots, when the superblock is gone.  A pool that was written by the kernel holds several
 * intact states of itself: blocks that a transaction replaces stay on disk until they are reused.
 * Each state has its metadata space map, found by its index block; the nodes that it counts as in
 * use but that nobody refers to are its roots.  order.c tells which is the newest.
 */
#include <stdlib.h>

#include "base/bits.h"
#include "base/cleanup.h"
#include "base/overflow.h"
#include "pool/salvage/state/state.h"

#define MAX_STATES 4096
#define MAX_REUSED 64 /* in a state that is still taken for one */

/* Does something intact stand in the place of a device's root? */
static bool is_no_root(const struct graph *g, uint32_t block)
{
	const uint32_t i = node_of(g, block);

	return g->kind[block] >= BLOCK_NODE && (i == NONE || !(tree_fits(g->node[i].tree, TREE_MAPPING) || g->node[i].tree == TREE_NONE));
}

/*
 * Pointers to intact blocks that do not match the parent: the blocks were reused since.  @under: the newest state under another pool is
 * looked for, which wrote over devices of all of them alike.
 */
static uint32_t contradictions(const struct counts *counts, const struct snode *n, bool under)
{
	const struct graph *g = counts->graph;
	const struct edge *e = &g->edge[n->edge];

	return count_of(k, n->nr_edges, e[k].block == NONE || !counts->count[e[k].block] ||
						(n->flags & SN_LEAF ? !under && n->tree == TREE_TOP && is_no_root(g, e[k].block) :
								      e[k].node == NONE && g->kind[e[k].block] >= BLOCK_NODE));
}

static void look_at_root(struct counts *counts, uint32_t b, struct pool_state *st)
{
	struct graph *g = counts->graph;
	uint32_t i = g->slot[b];

	switch (g->node[i].tree) {
	case TREE_TOP:
		st->map_root = b;
		break;
	case TREE_EMPTY: /* a pool without devices */
		st->map_root = st->map_root ?: b;
		break;
	case TREE_DETAILS:
		st->details_root = b;
		st->sum = (struct details_sum){ 0 };
		(void)details_add(g, i, &st->sum, NULL);
		st->dated = !(g->node[i].flags & SN_BROKEN);
		break;
	case TREE_OVERFLOW:
		st->overflow_root = b; /* or the data map's: counts_read() takes counts only of blocks that lack one */
		break;
	}
}

/* A top level beside details. */
struct comparison {
	struct graph *g;
	struct vec details;
	const struct pool_state *last; /* the state before, NULL: of any state */
	uint32_t end;		       /* and where the next one begins */
	uint32_t nr;	    /* devices that the top level names */
	uint32_t nr_lost;   /* without a whole tree that can be of this state */
	uint32_t nr_differ; /* with another number of mappings than their details say, though nothing is lost */
	uint32_t nr_alike;
};

/* A state that follows keeps most of the older one, and has its new blocks right after it. */
static bool may_follow(const struct comparison *c, uint32_t root)
{
	return !c->last || bits_get(c->last->live, root) || (root > c->last->index && root < c->end);
}

static int compare_device(void *ctx, uint64_t id, uint32_t root)
{
	struct comparison *c = ctx;
	const uint32_t i = node_of(c->g, root);
	const struct snode *n = i == NONE ? NULL : &c->g->node[i];
	const struct device_info *d = details_find(&c->details, id);

	c->nr++;
	if (!n || n->flags & SN_BROKEN || !tree_fits(n->tree, TREE_MAPPING) || !may_follow(c, root))
		c->nr_lost++;
	else if (d && n->nr_mappings == d->mapped_blocks)
		c->nr_alike++;
	else
		c->nr_differ += d != NULL;
	return 0;
}

/* Is everything whole that node @top of the top level names? */
static bool compare_top(struct comparison *c, uint32_t top)
{
	c->nr = c->nr_lost = c->nr_differ = c->nr_alike = 0;
	(void)graph_each_device(c->g, top, compare_device, c);
	return !c->nr_lost && !(c->g->node[top].flags & SN_BROKEN);
}

/* Do the details at node @details tell of just the devices at @top, and of as many mappings each? */
static bool compare(struct comparison *c, uint32_t top, uint32_t details)
{
	bool same;

	c->details.nr = 0;
	same = !details_read(c->g, details, &c->details, NULL);
	return compare_top(c, top) && same && c->nr_alike == c->nr && c->nr == c->details.nr;
}

bool state_roots_agree(struct graph *g, uint32_t top, uint32_t details)
{
	struct comparison c = { .g = g };
	bool agree = compare(&c, top, details);

	free_vec(&c.details);
	return agree;
}

static void check_counts(struct graph *g, struct pool_state *st)
{
	struct comparison c = { .g = g };
	bool differs;

	if (!st->map_root || !st->details_root)
		return;
	(void)compare(&c, g->slot[st->map_root], g->slot[st->details_root]);
	/* one commit writes both roots: they have the same devices */
	differs = c.nr_differ || (!c.nr_lost && st->dated && (c.nr != c.details.nr || c.nr_alike != c.nr));
	st->reused += MAX(c.nr_differ, (uint32_t)differs);
	st->dated &= !differs; /* else its details may be those of another state */
	free_vec(&c.details);
}

/* Judges the state whose counts have been read. */
static void look_at_state(struct counts *counts, struct pool_state *st, bool under)
{
	struct graph *g = counts->graph;
	uint32_t lost = 0, orphans = 0; /* nodes of mappings that nothing points to: remains of another pool */

	for (uint32_t b = 1; b < g->nr_blocks; b++) {
		uint32_t i = g->slot[b];

		if (!counts_in_use(counts, b))
			continue;
		bits_set_word(st->live, b, 1);
		lost += g->kind[b] < BLOCK_NODE;
		if (g->kind[b] == BLOCK_SUPER)
			st->held = b;
		if (i == NONE)
			continue;
		st->reused += contradictions(counts, &g->node[i], under);
		if (counts->found[b] < counts->count[b]) {
			look_at_root(counts, b, st);
			orphans += g->node[i].tree == TREE_MAPPING && counts_missing_refs(counts, b) != COUNT_MANY;
		}
	}
	st->row = counts_make_row(counts);
	/* the empty tree of a device among others, not that of a pool without devices */
	if (st->map_root && g->node[g->slot[st->map_root]].tree == TREE_EMPTY && (orphans || st->sum.mappings))
		st->map_root = 0;
	/* no block is lost, and yet a root is, or a node's parent: their blocks were reused */
	st->reused += !lost && (orphans || !st->map_root || !st->details_root);
	check_counts(g, st);
}

int state_look_at_own(struct counts *counts, bool *reused, struct err *err)
{
	struct pool_state own = { 0 };
	const struct superblock *sb = &counts->super->sb;
	CLEANUP(free_ptr) uint64_t *live = own.live = calloc(div_up(counts->graph->nr_blocks, 64), sizeof(*live));
	int r = live ? counts_read(counts, err) : err_nomem(err, "salvage: the superblock's state");

	if (!r && counts->has_counts)
		look_at_state(counts, &own, false);
	*reused = own.reused || own.sum.time > sb->time || own.sum.transaction > sb->transaction_id;
	return r;
}

static int add_state(struct counts *counts, uint32_t index, bool under, struct vec *states, struct err *err)
{
	struct super *super = counts->super;
	struct pool_state *st;
	int r;

	super->sb.metadata_sm = (struct sm_root){ .bitmap_root = index };
	r = counts_read(counts, err);
	if (r < 0)
		return r;
	if (!counts_in_use(counts, index))
		return 0;
	st = vec_push(states, sizeof(*st));
	if (!st)
		return err_nomem(err, "salvage: states of the pool");
	*st = (struct pool_state){ .index = index, .live = calloc(div_up(counts->graph->nr_blocks, 64), sizeof(*st->live)) };
	if (!st->live)
		return err_nomem(err, "salvage: states of the pool");
	look_at_state(counts, st, under);
	if (st->reused > MAX_REUSED) {
		free(st->live);
		states->nr--;
	}
	return 0;
}

/* --- states whose space map is lost --- */

static bool is_root(const struct graph *g, uint32_t b, uint8_t tree)
{
	uint32_t i = g->slot[b];

	return i != NONE && g->node[i].tree == tree && !(g->node[i].flags & (SN_CHILD | SN_VIRTUAL | SN_BROKEN));
}

/*
 * Roots that are newer than the newest space map that can be read, when the map of their state is
 * lost too.  They lie between the index of @last and the next one, in blocks that @last does not use: its held metadata
 * snapshot has roots, too.  @over: a bit a block: index blocks that are known to be an older state's, or NULL.
 */
static void look_for_newer(struct graph *g, const struct pool_state *last, const uint64_t *over, struct pool_state *found)
{
	uint32_t begin = last ? last->index + 1 : 1, end = begin;
	struct comparison c = { .g = g, .last = last };

	graph_mark_children(g, 0);
	while (end < g->nr_blocks && (g->kind[end] != BLOCK_INDEX || !last))
		end++;
	c.end = end;
	if (over && end < g->nr_blocks && bits_get(over, end))
		return;
	for (uint32_t b = end; b-- > begin && !found->map_root;) {
		if (!is_root(g, b, TREE_TOP) || (last && bits_get(last->live, b)) || !compare_top(&c, g->slot[b]))
			continue;
		for (uint32_t d = end; d-- > begin && !found->map_root;) {
			struct details_sum sum = { 0 };

			if (!is_root(g, d, TREE_DETAILS) || !compare(&c, g->slot[b], g->slot[d]))
				continue;
			(void)details_add(g, g->slot[d], &sum, NULL);
			if (last && (sum.time < last->sum.time || sum.transaction < last->sum.transaction))
				continue;
			found->map_root = b;
			found->details_root = d;
		}
	}
	free_vec(&c.details);
}

/* Is @a not older than @b, by what the details say? */
static bool is_as_new(const struct details_sum *a, const struct details_sum *b)
{
	return a->transaction != b->transaction ? a->transaction > b->transaction : a->time >= b->time;
}

/*
 * When nothing proves a state: the newest details, and a top level that does not contradict them.  Without details, the newest top
 * level.
 */
static void look_for_any(struct graph *g, struct pool_state *found)
{
	struct comparison c = { .g = g };
	uint32_t nr_alike = 0;

	for (uint32_t b = 1; b < g->nr_blocks; b++) {
		struct details_sum sum = { 0 };

		if (is_root(g, b, TREE_DETAILS) && !details_add(g, g->slot[b], &sum, NULL) && is_as_new(&sum, &found->sum)) {
			found->details_root = b;
			found->sum = sum;
		}
	}
	for (uint32_t b = 1; b < g->nr_blocks; b++) {
		if (!is_root(g, b, TREE_TOP))
			continue;
		if (found->details_root)
			(void)compare(&c, g->slot[b], g->slot[found->details_root]);
		if (!found->details_root || (c.nr_alike && !c.nr_differ && c.nr_alike >= nr_alike)) {
			found->map_root = b;
			nr_alike = c.nr_alike;
		}
	}
	free_vec(&c.details);
}

static void use_state(struct super *super, const struct pool_state *st)
{
	super->sb.metadata_sm = (struct sm_root){ .bitmap_root = st->index, .ref_count_root = st->overflow_root };
	super->sb.held_root = st->held;
	super->sb.mapping_root = st->map_root;
	super->sb.details_root = st->details_root;
}

/* --- roots that the user gave --- */

/* The newest node of @tree without a parent that agrees with the root that was given, or 0. */
static uint32_t find_partner(struct super *super, uint8_t tree, uint32_t given)
{
	struct graph *g = super->graph;
	uint32_t best = 0;

	for (uint32_t b = 1; b < g->nr_blocks; b++) {
		uint32_t i = g->slot[b];

		if (is_root(g, b, tree) && !(best && block_age(super, b) > block_age(super, best)) &&
		    (tree == TREE_DETAILS ? state_roots_agree(g, given, i) : state_roots_agree(g, i, given)))
			best = b;
	}
	return best;
}

/*
 * Whatever state the user's roots are of: its space map is used when it is there, and the root that was
 * not given is the one that agrees.
 */
static void use_given(struct super *super, const struct vec *states)
{
	struct graph *g = super->graph;
	const struct salvage_options *o = &super->opt;
	uint32_t map = o->has_mapping_root ? (uint32_t)o->mapping_root : 0;
	uint32_t details = o->has_details_root ? (uint32_t)o->details_root : 0;
	const struct pool_state *st = states->data;

	graph_mark_children(g, 0);
	super->cursor = MAX(map, details);
	if (!o->has_mapping_root)
		map = find_partner(super, TREE_TOP, g->slot[details]);
	if (!o->has_details_root)
		details = find_partner(super, TREE_DETAILS, g->slot[map]);
	use_state(super, &(struct pool_state){ .map_root = map, .details_root = details });
	for (size_t i = 0; i < states->nr; i++)
		if (map && details && st[i].map_root == map && st[i].details_root == details)
			use_state(super, &st[i]);
}

/* When nothing names the roots: uses those of the newest state. */
static int use_newest(struct state *state, struct vec *states, struct err *err)
{
	struct graph *g = state->graph;
	struct super *super = state->super;
	CLEANUP(free_ptr) uint64_t *used = calloc(div_up(g->nr_blocks, 64), sizeof(*used));
	CLEANUP(free_ptr) uint64_t *judged = calloc(div_up(g->nr_blocks, 64), sizeof(*judged));
	struct pool_state newer = { 0 };
	const struct pool_state *best;
	bool spoilt, found;

	if (!used || !judged)
		return err_nomem(err, "salvage: states of the pool");
	for (size_t i = 0; i < states->nr; i++) {
		const struct pool_state *st = (struct pool_state *)states->data + i;

		bits_set_word(judged, st->index, 1);
		for (uint32_t w = 0; w <= (g->nr_blocks - 1) / 64; w++)
			used[w] |= st->live[w];
	}
	best = order_newest(state, states, &spoilt);
	state->anew = best && best->row;
	look_for_newer(g, best, state->anew && !spoilt ? judged : NULL, &newer);
	/* a commit after an activation begins at the front; a pool without devices may be what is left when all since is zero */
	state->rivals = best ? spoilt || state->rival || !best->sum.devices || (!newer.map_root && state_has_later(g, best, used, judged)) :
			       !newer.map_root;
	state->anew &= !newer.map_root;
	if (!best && !newer.map_root)
		look_for_any(g, &newer);
	found = newer.map_root || newer.details_root;
	use_state(super, found || !best ? &newer : best);
	super->cursor = found ? MAX(newer.map_root, newer.details_root) : best ? best->index : g->nr_blocks - 1;
	return 0;
}

int state_find_roots(struct state *state, uint64_t own, struct err *err)
{
	struct super *super = state->super;
	struct vec states = { 0 };
	int r = 0;

	if (has_given_roots(super)) /* a state's own roots have no parent: the user's word is none */
		super->sb.mapping_root = super->sb.details_root = 0;
	else
		super->sb = (struct superblock){ .time = super->sb.time };
	for (uint32_t b = 0; b < state->graph->nr_blocks && !r && states.nr < MAX_STATES; b++)
		if (state->graph->kind[b] == BLOCK_INDEX && b != own)
			r = add_state(state->counts, b, own, &states, err);
	for (size_t i = 0; state->own && i < states.nr; i++) {
		const struct pool_state *st = (struct pool_state *)states.data + i;

		state->outdated |= !st->reused && st->map_root == state->own->sb->mapping_root &&
				   st->details_root == state->own->sb->details_root;
	}
	if (!r && has_given_roots(super))
		use_given(super, &states);
	else if (!r)
		r = use_newest(state, &states, err);
	for (size_t i = 0; i < states.nr; i++)
		free(((struct pool_state *)states.data)[i].live);
	free_vec(&states);
	return r;
}
