/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The spine of a forest walk: from each root down the first child that can be read, wave by wave
 * for all roots at once.  It ends at a leaf, from where heights are counted upwards.
 *
 * Where the first child is lost the next one is tried, and after that all of them in one wave.  In
 * damaged trees the spine could run in circles or ever deeper: nodes that wait only for each other
 * try other children, and the number of waves is limited.
 */
#include <errno.h>

#include "pdata/tree/impl.h"

/* A wave goes one level down; a node whose first children are bad needs two waves more. */
#define MAX_WAVES	 (4 * BTREE_MAX_DEPTH)
#define PICKS_BEFORE_ALL 2

/* Puts a child on the spine: to be read in the next wave. */
static void spine_child(struct walk *w, uint32_t parent, uint32_t c)
{
	if (w->height[c] || walk_foreign(w, c))
		return;
	w->height[c] = HEIGHT_UNKNOWN;
	walk_raise_u32(&w->nattr[c], w->nattr[parent]);
	w->min = MIN(w->min, c);
	w->max = MAX(w->max, c);
}

/*
 * Tries to tell the height of an internal node on the spine from the child picked; goes on to
 * other children when that one is lost.  Returns true when its height is known.
 */
static bool spine_resolve(struct walk *w, uint32_t b)
{
	uint32_t *in = walk_inner(w, b), c;

	for (; in[INNER_PICK] < in[INNER_NR]; in[INNER_PICK]++) {
		c = in[INNER_CHILDREN + in[INNER_PICK]];
		if (c == EDGE_NONE || (w->flag[c] & WALK_LOST) || walk_foreign(w, c))
			continue;
		if (w->height[c] && w->height[c] != HEIGHT_UNKNOWN) {
			w->height[b] = w->height[c] + 1;
			return true;
		}
		spine_child(w, b, c);
		for (uint32_t i = in[INNER_PICK];
		     in[INNER_PICK] >= PICKS_BEFORE_ALL && i < in[INNER_NR]; i++)
			if (in[INNER_CHILDREN + i] != EDGE_NONE)
				spine_child(w, b, in[INNER_CHILDREN + i]);
		return false;
	}
	/* No child can be read: any height will do. */
	w->height[b] = 2;
	return true;
}

/* Gathers the workers' newly read spine nodes behind those of the first worker, which keeps all. */
static int spine_gather(struct walk *w)
{
	struct walk_worker *all = &w->worker[0];

	for (unsigned i = 1; i < w->nr_workers; i++) {
		struct walk_worker *me = &w->worker[i];

		for (size_t k = 0; k < me->nr_spine; k++)
			if (walk_note_spine(all, me->spine[k].block, me->spine[k].first,
					    me->spine[k].last))
				return -ENOMEM;
		me->nr_spine = 0;
	}
	return 0;
}

static bool spine_open(const struct walk *w, uint32_t b)
{
	return w->height[b] == HEIGHT_UNKNOWN && !(w->flag[b] & WALK_LOST);
}

/* Resolves what can be resolved, from the deepest wave up; returns how many are still open. */
static size_t spine_step(struct walk *w)
{
	struct walk_worker *all = &w->worker[0];
	size_t open, was = SIZE_MAX;

	for (;; was = open) {
		open = 0;
		for (size_t k = all->nr_spine; k--;) {
			uint32_t b = all->spine[k].block;

			if (!spine_open(w, b))
				continue;
			open += !spine_resolve(w, b);
			if (w->height[b] > BTREE_MAX_DEPTH && w->height[b] != HEIGHT_UNKNOWN &&
			    walk_lose(w, all, b, NODE_BAD_DEPTH, 0))
				return SIZE_MAX;
		}
		if (open == was || !open)
			return open;
	}
}

static void spine_other_child(struct walk *w)
{
	struct walk_worker *all = &w->worker[0];

	for (size_t k = 0; k < all->nr_spine; k++)
		if (spine_open(w, all->spine[k].block))
			walk_inner(w, all->spine[k].block)[INNER_PICK]++;
}

/* Learns the heights of all trees whose roots have HEIGHT_UNKNOWN. */
int walk_spine(struct walk *w, struct err *err)
{
	struct walk_worker *all = &w->worker[0];
	size_t open = 1;
	bool none;
	int r;

	for (unsigned waves = 0; waves < MAX_WAVES && open; waves++) {
		r = walk_read_height(w, HEIGHT_UNKNOWN, -1, &none, err);
		if (r < 0)
			return r;
		if (none) /* then the waiting nodes form a circle */
			spine_other_child(w);
		if (spine_gather(w))
			return err_nomem(err, "tree walk");
		open = spine_step(w);
		if (open == SIZE_MAX)
			return err_nomem(err, "tree walk");
	}
	/* A node that still has no height is far too deep. */
	for (size_t k = 0; k < all->nr_spine; k++)
		if (spine_open(w, all->spine[k].block) &&
		    walk_lose(w, all, all->spine[k].block, NODE_BAD_DEPTH, 0))
			return err_nomem(err, "tree walk");
	return 0;
}
