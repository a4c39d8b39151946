/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * One wave of nodes: reading them, and comparing a node's keys with those that its parents allow (judge).
 *
 * A node on the spine is read before all of its parents are known.  It is not read again: its
 * children and keys go to the arena at once, and it is expanded and judged when its level comes.
 * All other nodes are read, judged and expanded in one go.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/vec.h"
#include "pdata/tree/expand.h"
#include "pdata/tree/model.h"

#define WINDOW ((size_t)64 << 10) /* nodes read in one call: their list takes 512 KiB at most */

struct wave {
	struct walk *w;
	int level; /* height of the nodes in it; -1: the spine, unknown */
};

/* The contents of @b are lost. */
__attribute__((cold)) int walk_lose(struct walk *w, struct walk_worker *me, uint32_t b,
				    enum node_fault fault, int io_error)
{
	struct walk_fault f = {
		.block = b, .parent = WALK_NONE, .fault = fault, .io_error = io_error
	};

	walk_set_flag(w, b, WALK_READ | WALK_LOST);
	return walk_add_fault(me, &f);
}

/* Are the node's keys among those that its parents allow?  From now on its own keys stand there. */
int walk_judge(struct walk *w, struct walk_worker *me, uint32_t b, uint64_t first, uint64_t last)
{
	struct walk_fault f = { .block = b, .parent = WALK_NONE, .fault = NODE_BAD_RANGE };
	bool good;

	keys_get(w, b, &f.begin, &f.last);
	good = node_keys_fit(first, last, f.begin, f.last);
	keys_set(w, b, first, last);
	walk_set_flag(w, b, WALK_DONE | (good ? 0 : WALK_RANGED));
	return good ? 0 : walk_add_fault(me, &f);
}

int walk_note_spine(struct walk_worker *me, uint32_t b, uint64_t first, uint64_t last)
{
	struct spine_node *p = vec_add(me->spine, me->nr_spine, me->cap_spine);

	if (!p)
		return -ENOMEM;
	*p = (struct spine_node) { b, first, last };
	return 0;
}

static __attribute__((cold)) int note_underfull(struct walk *w, struct walk_worker *me, uint32_t b)
{
	uint32_t *p;

	if (w->root[b / 8] & 1u << b % 8)
		return 0;
	p = vec_add(me->underfull, me->nr_underfull, me->cap_underfull);
	if (!p)
		return -ENOMEM;
	*p = b;
	return 0;
}

static int read_node(void *ctx, unsigned worker, size_t i, mblock_t block, const void *data,
		     int status)
{
	struct wave *v = ctx;
	struct walk *w = v->w;
	struct walk_worker *me = &w->worker[worker];
	uint32_t b = (uint32_t)block;
	enum node_fault fault;
	uint64_t first, last;
	struct node n;
	int r = 0;

	(void)i;
	if (status < 0)
		return walk_lose(w, me, b, node_read_fault(status), status);
	fault = node_open(&n, data, block, w->s.leaf_value_size);
	if (!fault && v->level >= 0 && n.leaf != !v->level)
		fault = NODE_BAD_DEPTH;
	if (fault)
		return walk_lose(w, me, b, fault, 0);
	walk_set_flag(w, b, WALK_READ);
	first = n.nr ? node_key(&n, 0) : UINT64_MAX;
	last = n.nr ? node_key(&n, n.nr - 1) : 0;
	if (!n.leaf && v->level < 0) {
		r = walk_keep(w, me, b, &n, true) ? 0 : -ENOMEM;
	} else if (!n.leaf) {
		r = walk_take_inner(w, me, b, &n, v->level);
	} else if (w->s.leaf) {
		r = w->s.leaf(w->s.ctx, worker, block, ~w->nattr[b], &n);
	}
	if (!r && n.nr < NODE_MAX_ENTRIES(n.value_size) / 3)
		r = note_underfull(w, me, b);
	if (r < 0)
		return r;
	if (v->level >= 0)
		return walk_judge(w, me, b, first, last);
	w->height[b] = n.leaf ? 1 : HEIGHT_UNKNOWN;
	return walk_note_spine(me, b, first, last);
}

void walk_merge_bounds(struct walk *w)
{
	for (unsigned i = 0; i < w->nr_workers; i++) {
		struct walk_worker *me = &w->worker[i];

		w->min = MIN(w->min, me->min);
		w->max = MAX(w->max, me->max);
		me->min = UINT32_MAX;
		me->max = 0;
	}
}

__attribute__((cold)) int walk_read_height(struct walk *w, uint8_t height, int level, bool *none,
					   struct err *err)
{
	struct wave v = { w, level };
	mblock_t *list = NULL;
	size_t nr = 0, k;
	uint64_t b;
	int r = 0;

	walk_merge_bounds(w);
	for (b = w->min; (b = walk_next(w, b, w->max, height, WALK_READ)) <= w->max; b++)
		nr++;
	*none = !nr;
	if (!nr)
		return 0;
	list = malloc(MIN(nr, WINDOW) * sizeof(*list));
	if (!list)
		return err_nomem(err, "list of tree nodes");
	for (b = w->min; nr && !r; nr -= k) {
		for (k = 0; k < MIN(nr, WINDOW); b++) {
			b = walk_next(w, b, w->max, height, WALK_READ);
			list[k++] = b;
		}
		r = stream_read(w->s.stream, list, k, read_node, &v, err);
	}
	free(list);
	walk_end_models(w);
	return r == -ENOMEM ? err_nomem(err, "tree walk") : r;
}
