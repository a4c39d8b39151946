/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Finds shared leaves without looking at a shared subtree more than twice.  A node that is reached
 * for the second time marks all nodes below it as shared.  Each later visit only joins its first
 * and last leaf to their neighbours in that place.
 */
#include <stdlib.h>
#include <string.h>

#include "pool/salvage/tell/defs.h"

#define HEAD_UNKNOWN UINT32_MAX

/* The first or (@first false) last leaf with entries below @i, or NONE. */
static uint32_t end_leaf(const struct graph *g, uint32_t i, bool first)
{
	uint32_t nr = g->node[i].nr_edges, leaf;

	if (node_is_leaf(g, i))
		return leaf_has_content(g, i) ? i : NONE;
	for (uint32_t k = 0; k < nr; k++) {
		uint32_t c = graph_child(g, &g->node[i], first ? k : nr - 1 - k);

		leaf = c == NONE ? NONE : end_leaf(g, c, first);
		if (leaf != NONE)
			return leaf;
	}
	return NONE;
}

static void join(struct defs *d, uint32_t a, uint32_t b)
{
	if (a != NONE)
		d->next[a] = d->next[a] == NONE || d->next[a] == b ? b : DEFS_CONFLICT;
	if (b != NONE && b != DEFS_CONFLICT)
		d->prev[b] = d->prev[b] == NONE || d->prev[b] == a ? (a == NONE ? DEFS_CONFLICT : a)
								   : DEFS_CONFLICT;
}

static void mark_shared(const struct graph *g, struct defs *d, uint32_t i)
{
	if (d->visits[i] == 2)
		return;
	d->visits[i] = 2;
	for (uint32_t k = 0; !node_is_leaf(g, i) && k < g->node[i].nr_edges; k++)
		if (graph_child(g, &g->node[i], k) != NONE)
			mark_shared(g, d, graph_child(g, &g->node[i], k));
}

static void visit(const struct graph *g, struct defs *d, uint32_t i, uint32_t *prev)
{
	if (d->visits[i]) {
		uint32_t first = end_leaf(g, i, true);

		mark_shared(g, d, i);
		if (first != NONE) {
			join(d, *prev, first);
			*prev = end_leaf(g, i, false);
		}
		return;
	}
	d->visits[i] = 1;
	if (node_is_leaf(g, i)) {
		if (!leaf_has_content(g, i))
			return;
		join(d, *prev, i);
		*prev = i;
		return;
	}
	for (uint32_t k = 0; k < g->node[i].nr_edges; k++)
		if (graph_child(g, &g->node[i], k) != NONE)
			visit(g, d, graph_child(g, &g->node[i], k), prev);
}

static bool is_head(const struct defs *d, uint32_t leaf)
{
	uint32_t p = d->prev[leaf];

	if (d->visits[leaf] != 2)
		return false;
	return p >= DEFS_CONFLICT || d->visits[p] != 2 || d->next[p] != leaf;
}

uint32_t defs_next(const struct defs *d, uint32_t leaf)
{
	uint32_t n = d->next[leaf];

	return n < DEFS_CONFLICT && d->visits[n] == 2 && !is_head(d, n) ? n : NONE;
}

/*
 * Which def begins below node @i: so that a device can step over the node with one look.  Lists the defs in
 * the order of keys.
 */
static uint32_t find_heads(const struct graph *g, struct defs *d, uint32_t i)
{
	uint32_t heads = DEFS_HEAD_NONE;

	if (d->head[i] != HEAD_UNKNOWN)
		return d->head[i];
	if (node_is_leaf(g, i)) {
		heads = leaf_has_content(g, i) && is_head(d, i) ? i : DEFS_HEAD_NONE;
		if (heads == i)
			d->list[d->nr++] = i;
		return d->head[i] = heads;
	}
	for (uint32_t k = 0; k < g->node[i].nr_edges; k++) {
		uint32_t c = graph_child(g, &g->node[i], k),
			 h = c == NONE ? DEFS_HEAD_NONE : find_heads(g, d, c);

		if (h != DEFS_HEAD_NONE)
			heads = heads == DEFS_HEAD_NONE ? h : DEFS_HEAD_SEVERAL;
	}
	return d->head[i] = heads;
}

void defs_fini(struct defs *d)
{
	free(d->next);
	free(d->prev);
	free(d->head);
	free(d->visits);
	free(d->list);
}

int defs_init(const struct trees *trees, struct defs *d, bool wanted, struct err *err)
{
	const struct graph *g = trees->graph;
	size_t n = (size_t)g->nr_nodes + 1;
	uint32_t nr = 0;

	d->next = malloc(n * sizeof(*d->next));
	d->prev = malloc(n * sizeof(*d->prev));
	d->head = malloc(n * sizeof(*d->head));
	d->visits = calloc(n, 1);
	if (!d->next || !d->prev || !d->head || !d->visits)
		return err_nomem(err, "salvage: shared leaves");
	memset(d->next, 0xff, n * sizeof(*d->next));
	memset(d->prev, 0xff, n * sizeof(*d->prev));
	memset(d->head, 0xff, n * sizeof(*d->head));
	if (!wanted)
		return 0;
	for (size_t i = 0; i < trees->nr_devs; i++) {
		uint32_t prev = NONE;

		if (trees->dev[i].root == NONE)
			continue;
		visit(g, d, trees->dev[i].root, &prev);
		join(d, prev, DEFS_CONFLICT);
	}
	for (uint32_t i = 0; i < g->nr_nodes; i++)
		nr += node_is_leaf(g, i) && leaf_has_content(g, i) && is_head(d, i);
	d->list = malloc(((size_t)nr + 1) * sizeof(*d->list));
	if (!d->list)
		return err_nomem(err, "salvage: shared leaves");
	for (size_t i = 0; i < trees->nr_devs; i++)
		if (trees->dev[i].root != NONE)
			find_heads(g, d, trees->dev[i].root);
	return 0;
}
