/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The rule that protects shared data: a block that several devices map is older than the last
 * snapshot of each of them.  Where the rule does not hold, the kernel writes in place.  Devices for
 * which it does not get a higher snap_time: then too much is copied before it is written, which is
 * harmless.
 *
 * A data block is shared when two leaves name it, or when two devices reach the leaf.  Only
 * subtrees with a mapping as new as the device's snap_time are looked into.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "pool/forest/suspects.h"
#include "pool/salvage/values/values.h"

#define MAX_BLOCKS ((uint64_t)1 << 32)

struct times {
	struct values *values;
	struct refmap *refs; /* by data block: how many leaves name it */
	uint8_t *reached;    /* trees_ways() */
	/* the leaves that one device is looked at for */
	struct vec leaves; /* uint32_t: nodes */
	_Atomic size_t nr_read; /* of them */
	uint32_t snap_time;
	_Atomic uint32_t newest; /* of its shared mappings that are too new, plus one */
};

static void count_leaf(void *ctx, uint32_t node, const struct view *v)
{
	struct times *t = ctx;

	(void)node;
	view_add_refs(v, t->refs);
	atomic_fetch_add(&t->nr_read, 1);
}

static void check_leaf(void *ctx, uint32_t node, const struct view *v)
{
	struct times *t = ctx;

	(void)node;
	atomic_fetch_add(&t->nr_read, 1);
	for (uint32_t k = 0; k < v->nr; k++) {
		uint64_t value = view_value(v, k), b = mapping_block(value);
		uint32_t time = mapping_time(value), old = atomic_load(&t->newest);

		if (time < t->snap_time || b >= refmap_nr_blocks(t->refs) ||
		    refmap_get(t->refs, b) < 2)
			continue;
		while (old < time + 1 && !atomic_compare_exchange_weak(&t->newest, &old, time + 1))
			;
	}
}

/* Reads the listed leaves once more.  What is shared is known only when all of them can be read. */
static int read_leaves(struct times *t, graph_leaf_fn *fn, struct err *err)
{
	struct graph *g = t->values->graph;
	int r;

	t->nr_read = 0;
	r = graph_read_leaves(g, &t->leaves, fn, t, err);
	if (!r && t->nr_read != t->leaves.nr)
		r = err_set(err, -EIO, "%s: a block that was read before cannot be read again; run the command once more",
			    g->io->name);
	return r;
}

/* The leaves below @i with mappings that are too new, unless they are not shared. */
static int list_leaves(struct times *t, uint32_t i, uint32_t snap_time)
{
	const struct graph *g = t->values->graph;
	const struct snode *n = &g->node[i];
	int r = 0;

	if (!n->nr_mappings || n->max_time < snap_time)
		return 0;
	if (n->flags & SN_LEAF) {
		if (t->reached[i] == 2)
			t->newest = MAX(t->newest, n->max_time + 1);
		else
			r = vec_put(&t->leaves, i);
		return r;
	}
	for (uint32_t k = 0; k < n->nr_edges && !r; k++)
		if (graph_child(g, n, k) != NONE)
			r = list_leaves(t, graph_child(g, n, k), snap_time);
	return r;
}

static int check_device(struct times *t, struct sdevice *d, bool blocks_shared, struct err *err)
{
	int r;

	t->leaves.nr = 0;
	t->snap_time = d->info.snap_time;
	t->newest = 0;
	r = list_leaves(t, d->root, d->info.snap_time);
	if (r < 0)
		return err_nomem(err, "salvage: times");
	if (blocks_shared)
		r = read_leaves(t, check_leaf, err);
	/* no time is above the end of the clock: the writer of metadata renumbers all times */
	if (t->newest <= d->info.snap_time || t->newest > MAX_TIME)
		return r;
	d->info.snap_time = t->newest;
	d->snap_time_raised = true;
	t->values->info.time = MAX(t->values->info.time, d->info.snap_time);
	return r;
}

static int count_all(struct times *t, struct err *err)
{
	struct graph *g = t->values->graph;

	for (uint32_t i = 0; i < g->nr_nodes; i++)
		if (t->reached[i] && g->node[i].flags & SN_LEAF && g->node[i].nr_mappings &&
		    vec_put(&t->leaves, i) < 0)
			return err_nomem(err, "salvage: times");
	return read_leaves(t, count_leaf, err);
}

/* Could anything be shared and too new? */
static bool is_suspicious(const struct trees *trees)
{
	size_t nr = 0, new = 0;

	for (size_t i = 0; i < trees->nr_devs; i++) {
		const struct sdevice *d = &trees->dev[i];

		if (d->root == NONE || !trees->graph->node[d->root].nr_mappings)
			continue;
		nr++;
		new += trees->graph->node[d->root].max_time >= d->info.snap_time;
	}
	return nr > 1 && new;
}

int values_check_times(struct values *values, struct err *err)
{
	const struct trees *trees = values->trees;
	struct times t = { .values = values };
	bool blocks_shared;
	int r;

	if (!is_suspicious(trees) || values->info.nr_data_blocks > MAX_BLOCKS)
		return 0;
	t.refs = refmap_new(values->info.nr_data_blocks, true);
	t.reached = trees_ways(trees);
	r = t.refs && t.reached ? 0 : err_nomem(err, "salvage: times");
	if (!r)
		r = count_all(&t, err);
	blocks_shared = t.refs && suspects_any_shared(NULL, t.refs);
	for (size_t i = 0; i < trees->nr_devs && !r; i++)
		if (trees->dev[i].root != NONE)
			r = check_device(&t, &trees->dev[i], blocks_shared, err);
	refmap_free(t.refs);
	free(t.reached);
	free(t.leaves.data);
	return r;
}
