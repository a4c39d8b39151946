/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What came back, as a source of events.  There node i has the number i + 1; parts without mappings are left out. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/order.h"
#include "pool/emit/source.h"
#include "pool/salvage/tell/tell.h"

#define IS_LEAF 4

struct rescued {
	const struct values *values;
	struct graph *graph;
	uint32_t *dev; /* indices of those that are wanted */
	size_t nr_devs;
	uint8_t *ways;	    /* trees_ways(), and IS_LEAF: the nodes themselves are too large for a cache */
	uint32_t *child;    /* as the graph's edges: numbers */
	uint32_t *nr_child; /* by node: of them */
	struct device_info info; /* of the device that was asked for last */
	/* what is being read */
	struct emitter *emitter;
	const mblock_t *list;
	size_t nr_list;
};

/* --- nodes --- */

static uint32_t number_of(const struct graph *g, uint32_t node)
{
	return node != NONE && g->node[node].nr_mappings ? node + 1 : 0;
}

static int height(void *ctx, mblock_t node)
{
	const struct rescued *r = ctx;

	return !(r->ways[node - 1] & IS_LEAF);
}

static bool is_shared(void *ctx, mblock_t node)
{
	const struct rescued *r = ctx;

	return r->ways[node - 1] & 2;
}

static bool is_sound(void *ctx, mblock_t node)
{
	(void)ctx;
	return node;
}

static const uint32_t *children(void *ctx, mblock_t node, uint32_t room[INTERNAL_MAX], uint32_t *nr)
{
	const struct rescued *r = ctx;

	(void)room;
	*nr = r->nr_child[node - 1];
	return r->child + r->graph->node[node - 1].edge;
}

static mblock_t child(void *ctx, mblock_t node, const uint32_t *children, uint32_t i)
{
	(void)ctx;
	(void)node;
	return children[i];
}

static mblock_t block_of(void *ctx, mblock_t leaf)
{
	const struct rescued *r = ctx;

	return r->graph->node[leaf - 1].block;
}

static mblock_t root_of(void *ctx, size_t i)
{
	const struct rescued *r = ctx;

	return number_of(r->graph, r->values->trees->dev[r->dev[i]].root);
}

static const struct device_info *device(void *ctx, size_t i)
{
	struct rescued *r = ctx;
	const struct sdevice *d = &r->values->trees->dev[r->dev[i]];

	r->info = d->info;
	r->info.mapped_blocks = d->nr_mappings;
	r->info.creation_time = MIN(r->info.creation_time, r->values->info.time);
	r->info.snap_time = MIN(r->info.snap_time, r->values->info.time);
	return &r->info;
}

/* --- leaves --- */

static void take_leaf(void *ctx, uint32_t node, const struct view *v)
{
	const struct rescued *r = ctx;
	const mblock_t number = (mblock_t)node + 1;
	const mblock_t *at = bsearch(&number, r->list, r->nr_list, sizeof(number), order_u64);
	const size_t i = (size_t)(at - r->list);

	if (csum_classify(v->raw, NULL) != CSUM_IS_NODE || v->nr != r->graph->node[node].nr)
		return; /* lacks() tells */
	emit_used(r->emitter, i, view_runs(v, r->graph->nr_data_blocks, emit_room(r->emitter, i, v->nr)));
}

static int read_leaves(void *ctx, struct emitter *e, const mblock_t *list, size_t nr, struct err *err)
{
	struct rescued *r = ctx;
	struct vec nodes = { 0 };
	int bad = 0;

	r->emitter = e;
	r->list = list;
	r->nr_list = nr;
	for (size_t i = 0; i < nr && !bad; i++)
		bad = vec_put(&nodes, (uint32_t)list[i] - 1);
	bad = bad ? err_nomem(err, "salvage: leaves") : graph_read_leaves(r->graph, &nodes, take_leaf, r, err);
	free(nodes.data);
	return bad;
}

/* A leaf that was there when the trees were judged cannot be read any more, or is another one. */
static int lacks(void *ctx, mblock_t leaf, enum node_fault fault, struct err *err)
{
	const struct graph *g = ((const struct rescued *)ctx)->graph;
	const uint32_t block = g->node[leaf - 1].block;
	uint8_t buf[MBLOCK_SIZE] BLOCK_ALIGNED;
	int bad = graph_get(g, block, buf, err);

	(void)fault;
	return bad < 0 ? bad
		       : err_set(err, -EBADMSG, "%s: block %u changed while it was being read", g->io->name,
				 graph_where(g, block));
}

static int finish(void *ctx, bool skipped, struct err *err)
{
	(void)ctx;
	(void)skipped;
	(void)err;
	return 0;
}

/* --- all of it --- */

static bool is_wanted(const struct emit_options *opt, uint32_t dev_id)
{
	for (size_t i = 0; i < opt->nr_dev_ids; i++)
		if (opt->dev_ids[i] == dev_id)
			return true;
	return !opt->nr_dev_ids;
}

static int list_devices(struct rescued *r, const struct emit_options *opt, struct err *err)
{
	const struct trees *trees = r->values->trees;

	for (size_t i = 0; i < opt->nr_dev_ids; i++)
		if (!trees_find_device(trees, opt->dev_ids[i]))
			return err_set(err, -ENODATA,
				       "device %" PRIu32 " is not among the %zu devices that were found",
				       opt->dev_ids[i], trees->nr_devs);
	r->dev = malloc((trees->nr_devs + 1) * sizeof(*r->dev));
	for (size_t i = 0; i < trees->nr_devs && r->dev; i++)
		if (is_wanted(opt, trees->dev[i].info.dev_id))
			r->dev[r->nr_devs++] = (uint32_t)i;
	return r->dev ? 0 : err_nomem(err, "salvage: list of devices");
}

static int list_children(struct rescued *r, struct err *err)
{
	const struct graph *g = r->graph;

	r->ways = trees_ways(r->values->trees);
	r->child = malloc(((size_t)g->nr_edges + 1) * sizeof(*r->child));
	r->nr_child = calloc((size_t)g->nr_nodes + 1, sizeof(*r->nr_child));
	if (!r->ways || !r->child || !r->nr_child)
		return err_nomem(err, "salvage: children of nodes");
	for (uint32_t i = 0; i < g->nr_nodes; i++) {
		const struct snode *n = &g->node[i];

		if (n->flags & SN_LEAF) {
			r->ways[i] |= IS_LEAF;
			continue;
		}
		for (uint32_t k = 0; k < n->nr_edges; k++) {
			uint32_t c = number_of(g, graph_child(g, n, k));

			if (c)
				r->child[n->edge + r->nr_child[i]++] = c;
		}
	}
	return 0;
}

int tell_events(struct values *values, const struct emit_options *opt, const struct events *to, struct err *err)
{
	static const struct emit_options all = { 0 };
	struct graph *g = values->graph;
	struct rescued r = { .values = values, .graph = g };
	struct emit_source src = { .nodes = { &r, (mblock_t)g->nr_nodes + 1, height, is_shared, is_sound, children, child },
				   .ctx = &r,
				   .jobs = g->jobs,
				   .nr_data_blocks = UINT64_MAX, /* take_leaf() leaves out what is beyond */
				   .root = root_of,
				   .device = device,
				   .block = block_of,
				   .read = read_leaves,
				   .lacks = lacks,
				   .finish = finish };
	int e;

	opt = opt ? opt : &all;
	e = list_devices(&r, opt, err);
	if (!e)
		e = list_children(&r, err);
	src.nr_devs = r.nr_devs;
	if (!e)
		e = emit_source(&src, opt, &values->info, to, err);
	free(r.dev);
	free(r.ways);
	free(r.child);
	free(r.nr_child);
	return e;
}
