/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * How the walk goes.
 *
 * Snapshots make a forest of trees that share nodes, also across heights: a tree that
 * has grown since holds nodes of the old one one level further down.  What all paths to
 * a node say together (which keys may be in it, who owns it, whether it is shared) is
 * known once all its parents have been seen.  The distance from a leaf is the same on all
 * paths, the distance from a root is not; so nodes are taken by height, and heights
 * come from the spine: from each root down the first child that can be read.
 *
 * walk.c holds the walk and its levels; spine.c, below it, learns the heights; wave.c, below both,
 * handles the nodes of one wave.
 */
#include "pdata/tree/walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"
#include "pdata/tree/expand.h"
#include "pdata/tree/model.h"

/* Entries of an array that has one for each block: walk_next() reads some beyond the last. */
static size_t nr_entries(const struct walk_setup *s)
{
	return (size_t)s->nr_blocks + 8;
}

struct walk *walk_new(const struct walk_setup *setup, struct err *err)
{
	struct walk *w = calloc(1, sizeof(*w));
	const size_t nr = nr_entries(setup);

	if (!w)
		goto nomem;
	w->s = *setup;
	w->nr_workers = stream_nr_workers(setup->stream);
	w->min = UINT32_MAX;
	w->height = pages_new(nr);
	w->flag = pages_new(nr);
	w->key = pages_new(nr * sizeof(*w->key));
	w->wide = pages_new(nr * sizeof(*w->wide));
	w->nattr = pages_new(nr * sizeof(*w->nattr));
	w->root = calloc(nr / 8 + 1, 1);
	w->at = pages_new((nr / AT_GROUP + 1) * sizeof(*w->at));
	/* a full chunk holds so many internal nodes at least; each worker leaves one that is not full */
	w->max_chunks = (uint32_t)MIN(nr / CHUNK_NODES + w->nr_workers + 1, (size_t)NR_CHUNKS);
	w->chunk = calloc(w->max_chunks, sizeof(*w->chunk));
	w->worker = aligned_alloc(128, w->nr_workers * sizeof(*w->worker));
	if (w->worker)
		memset(w->worker, 0, w->nr_workers * sizeof(*w->worker));
	if (!w->height || !w->flag || !w->key || !w->wide || !w->nattr || !w->root ||
	    !w->at || !w->chunk || !w->worker || !walk_new_models(w))
		goto nomem;
	for (unsigned i = 0; i < w->nr_workers; i++)
		w->worker[i].used = CHUNK_LEN;
	return w;
nomem:
	err_nomem(err, "tree walk");
	walk_free(w);
	return NULL;
}

void walk_free(struct walk *w)
{
	size_t nr;

	if (!w)
		return;
	nr = nr_entries(&w->s);
	for (unsigned i = 0; w->worker && i < w->nr_workers; i++) {
		free(w->worker[i].fault);
		free(w->worker[i].spine);
		free(w->worker[i].underfull);
	}
	for (uint32_t i = 0; w->chunk && i < MIN(w->nr_chunks, w->max_chunks); i++)
		free(w->chunk[i]);
	pages_free(w->height, nr);
	pages_free(w->flag, nr);
	pages_free(w->key, nr * sizeof(*w->key));
	pages_free(w->wide, nr * sizeof(*w->wide));
	pages_free(w->nattr, nr * sizeof(*w->nattr));
	free(w->root);
	free(w->noted);
	pages_free(w->at, (nr / AT_GROUP + 1) * sizeof(*w->at));
	free(w->chunk);
	free(w->model);
	free(w->worker);
	free(w->fault);
	free(w);
}

/* Expands and judges a spine node, now that all of its parents are known. */
static int spine_expand(struct walk *w, const struct spine_node *sp, int level)
{
	struct walk_worker *me = &w->worker[0];
	uint32_t *in = walk_inner(w, sp->block);
	struct bequest q = bequest_of(w, sp->block, level);
	const le64 *keys;

	if (level) {
		keys = (const le64 *)(in + INNER_CHILDREN + in[INNER_NR]);
		if (walk_expand(w, me, sp->block, in, keys, &q) < 0)
			return -ENOMEM;
	}
	return walk_judge(w, me, sp->block, sp->first, sp->last);
}

static int walk_level(struct walk *w, int level, struct err *err)
{
	struct walk_worker *all = &w->worker[0];
	bool none;

	for (size_t k = 0; k < all->nr_spine; k++) {
		const struct spine_node *sp = &all->spine[k];

		if (w->height[sp->block] == level + 1 && !(w->flag[sp->block] & WALK_LOST) &&
		    spine_expand(w, sp, level))
			return err_nomem(err, "tree walk");
	}
	if (!level && !w->s.leaf)
		return 0;
	return walk_read_height(w, (uint8_t)(level + 1), level, &none, err);
}

static int add_root(struct walk *w, const struct walk_root *root)
{
	struct walk_fault f = {
		.block = root->block, .parent = WALK_NONE, .fault = NODE_OUTSIDE, .last = UINT64_MAX
	};
	uint32_t b = (uint32_t)root->block;

	if (root->block >= w->s.nr_blocks)
		return walk_add_fault(&w->worker[0], &f);
	w->root[b / 8] |= (uint8_t)(1u << b % 8);
	if (!walk_reach(w, b, ~root->attr, false)) {
		if (w->flag[b] & WALK_LOST)
			return 0;
		return walk_lose(w, &w->worker[0], b, NODE_LOOP, 0);
	}
	if (!w->height[b] && !(w->flag[b] & WALK_LOST))
		w->height[b] = HEIGHT_UNKNOWN;
	w->min = MIN(w->min, b);
	w->max = MAX(w->max, b);
	return 0;
}

int walk_add(struct walk *w, const struct walk_root *roots, size_t nr, struct err *err)
{
	int r, level = 0;

	walk_forget(w);
	for (size_t i = 0; i < nr; i++)
		if (add_root(w, &roots[i]))
			return err_nomem(err, "tree walk");
	r = walk_spine(w, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < w->worker[0].nr_spine; i++) {
		uint32_t b = w->worker[0].spine[i].block;

		if (!(w->flag[b] & WALK_LOST))
			level = MAX(level, w->height[b] - 1);
	}
	w->top = (uint8_t)MAX(w->top, level + 1);
	for (; level >= 0; level--) {
		r = walk_level(w, level, err);
		if (r < 0)
			return r;
	}
	w->worker[0].nr_spine = 0;
	walk_merge_bounds(w);
	return 0;
}
