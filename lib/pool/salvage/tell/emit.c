/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Sends what was found to a sink.  Leaves that several devices reach are sent once, as defs (defs.c).
 *
 * Leaves are read and decoded on the workers, a slot of them at a time, while the sink
 * takes those of earlier slots; the pipeline keeps the order.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/order.h"
#include "pool/salvage/tell/defs.h"

#define SLOT_LEAVES 128
#define READ_LEAVES 64 /* at most, at once */
#define MAX_STACK   (3 * BTREE_MAX_DEPTH)

/* --- the sequence of leaves, as an iterator --- */

enum item_kind { ITEM_LEAF, ITEM_DEF, ITEM_END_DEF, ITEM_DEVICE, ITEM_END_DEVICE, ITEM_REF };

struct item {
	uint8_t kind;
	uint32_t i; /* node, or index of the device */
	uint32_t first_run, nr_runs;
};

struct slot {
	struct run *run; /* SLOT_LEAVES * 252; NULL until the slot is used */
	uint32_t nr_runs;
	uint32_t nr;
	uint32_t nr_leaves;
	struct item item[2 * SLOT_LEAVES];
};

struct emission {
	struct values *values;
	struct defs defs;
	const struct salvage_emit_options *opt;
	const struct events *to;
	struct slot *slot;
	/* where the sequence stands */
	uint32_t next_def, in_def; /* in_def: leaf, NONE: between defs */
	size_t next_dev;
	bool in_dev;
	unsigned depth;
	struct {
		uint32_t node, k;
	} stack[MAX_STACK];
};

static void add_item(struct slot *slot, enum item_kind kind, uint32_t i)
{
	slot->item[slot->nr++] = (struct item) { .kind = (uint8_t)kind, .i = i };
	slot->nr_leaves += kind == ITEM_LEAF;
}

static bool slot_is_full(const struct slot *slot)
{
	return slot->nr_leaves == SLOT_LEAVES || slot->nr + 3 > ARRAY_SIZE(slot->item);
}

static void fill_defs(struct emission *e, struct slot *slot)
{
	const struct defs *d = &e->defs;

	while (!slot_is_full(slot)) {
		if (e->in_def == NONE) {
			if (e->next_def == d->nr)
				return;
			e->in_def = d->list[e->next_def++];
			add_item(slot, ITEM_DEF, e->in_def);
		}
		add_item(slot, ITEM_LEAF, e->in_def);
		e->in_def = defs_next(d, e->in_def);
		if (e->in_def == NONE)
			add_item(slot, ITEM_END_DEF, 0);
	}
}

/* One step of a device's tree. */
static void step_node(struct emission *e, struct slot *slot, uint32_t i)
{
	const struct graph *g = e->values->graph;
	const struct defs *d = &e->defs;

	if (defs_is_shared(d, i) && d->head[i] != DEFS_HEAD_SEVERAL) {
		if (d->head[i] != DEFS_HEAD_NONE)
			add_item(slot, ITEM_REF, d->head[i]);
	} else if (!node_is_leaf(g, i)) {
		e->stack[e->depth].node = i;
		e->stack[e->depth++].k = 0;
	} else if (leaf_has_content(g, i)) {
		add_item(slot, ITEM_LEAF, i);
	}
}

static bool is_wanted(const struct emission *e, uint32_t dev_id)
{
	for (size_t i = 0; i < e->opt->nr_dev_ids; i++)
		if (e->opt->dev_ids[i] == dev_id)
			return true;
	return !e->opt->nr_dev_ids;
}

static void fill_devices(struct emission *e, struct slot *slot)
{
	const struct graph *g = e->values->graph;
	const struct trees *trees = e->values->trees;

	while (!slot_is_full(slot)) {
		uint32_t c;

		if (!e->in_dev) {
			if (e->next_dev == trees->nr_devs)
				return;
			if (!is_wanted(e, trees->dev[e->next_dev].info.dev_id)) {
				e->next_dev++;
				continue;
			}
			add_item(slot, ITEM_DEVICE, (uint32_t)e->next_dev);
			e->in_dev = true;
			if (trees->dev[e->next_dev].root != NONE && !e->opt->skip_mappings)
				step_node(e, slot, trees->dev[e->next_dev].root);
			continue;
		}
		if (!e->depth) {
			add_item(slot, ITEM_END_DEVICE, (uint32_t)e->next_dev++);
			e->in_dev = false;
			continue;
		}
		if (e->stack[e->depth - 1].k == g->node[e->stack[e->depth - 1].node].nr_edges) {
			e->depth--;
			continue;
		}
		c = graph_child(g, &g->node[e->stack[e->depth - 1].node],
				e->stack[e->depth - 1].k++);
		if (c != NONE && e->depth < MAX_STACK)
			step_node(e, slot, c);
	}
}

static int produce(void *ctx, size_t i, struct err *err)
{
	struct emission *e = ctx;
	struct slot *slot = &e->slot[i];

	slot->nr = slot->nr_leaves = slot->nr_runs = 0;
	fill_defs(e, slot);
	fill_devices(e, slot);
	if (slot->nr_leaves && !slot->run)
		slot->run = malloc(SLOT_LEAVES * INTERNAL_MAX * sizeof(struct run));
	if (slot->nr_leaves && !slot->run)
		return err_nomem(err, "salvage: buffers");
	return slot->nr > 0;
}

/* --- reading a slot --- */

struct place {
	uint32_t at, item;
};

/* Keeps the runs of a leaf behind those of the leaves that were read before. */
static int decode(const struct emission *e, struct slot *slot, const struct place *p, void *buf,
		  struct err *err)
{
	const struct graph *g = e->values->graph;
	struct item *item = &slot->item[p->item];
	struct view v;

	graph_apply_mends(g, p->at, buf);
	if (csum_classify(buf, NULL) != CSUM_IS_NODE || !view_open(&v, buf) || !v.leaf ||
	    v.value_size != 8 || v.nr != g->node[item->i].nr)
		return err_set(err, -EBADMSG, "%s: block %u changed while it was being read",
			       g->io->name, p->at);
	item->first_run = slot->nr_runs;
	item->nr_runs = view_runs(&v, g->nr_data_blocks, slot->run + item->first_run);
	slot->nr_runs += item->nr_runs;
	return 0;
}

static int work(void *ctx, unsigned worker, size_t i, struct err *err)
{
	struct emission *e = ctx;
	struct slot *slot = &e->slot[i];
	struct place place[SLOT_LEAVES];
	uint32_t nr = 0;
	uint8_t *buf = jobs_scratch(e->values->graph->jobs, worker, READ_LEAVES * MBLOCK_SIZE);

	if (!buf)
		return err_nomem(err, "salvage: buffers");
	for (uint32_t k = 0; k < slot->nr; k++)
		if (slot->item[k].kind == ITEM_LEAF)
			place[nr++] = (struct place) {
				graph_where(e->values->graph,
					    e->values->graph->node[slot->item[k].i].block),
				k
			};
	qsort(place, nr, sizeof(*place), order_u32); /* by @at */
	for (uint32_t k = 0, end; k < nr; k = end) {
		int r;

		for (end = k + 1;
		     end < nr && end < k + READ_LEAVES && place[end].at == place[end - 1].at + 1;
		     end++)
			;
		r = io_read(e->values->graph->io, buf, (size_t)(end - k) * MBLOCK_SIZE,
			    (uint64_t)place[k].at * MBLOCK_SIZE, err);
		for (uint32_t n = k; n < end && !r; n++)
			r = decode(e, slot, &place[n], buf + (size_t)(n - k) * MBLOCK_SIZE, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- handing it on --- */

static int send_item(const struct emission *e, const struct slot *slot, const struct item *item,
		     struct err *err)
{
	const struct values *values = e->values;
	const struct events_ops *ops = e->to->ops;
	void *ctx = e->to->ctx;
	struct device_info info;

	switch (item->kind) {
	case ITEM_LEAF:
		return item->nr_runs
			       ? ops->runs(ctx, slot->run + item->first_run, item->nr_runs, err)
			       : 0;
	case ITEM_DEF:
		return ops->begin_def(ctx, values->graph->node[item->i].block, err);
	case ITEM_END_DEF:
		return ops->end_def(ctx, err);
	case ITEM_DEVICE:
		info = values->trees->dev[item->i].info;
		info.mapped_blocks = values->trees->dev[item->i].nr_mappings;
		info.creation_time = MIN(info.creation_time, values->info.time);
		info.snap_time = MIN(info.snap_time, values->info.time);
		return ops->begin_device(ctx, &info, err);
	case ITEM_END_DEVICE:
		return ops->end_device(ctx, err);
	default:
		return ops->ref(ctx, values->graph->node[item->i].block, err);
	}
}

static int consume(void *ctx, size_t i, struct err *err)
{
	struct emission *e = ctx;
	const struct slot *slot = &e->slot[i];

	for (uint32_t k = 0; k < slot->nr; k++) {
		int r = send_item(e, slot, &slot->item[k], err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* No slot's items are touched before it is used. */
static int slots_init(struct emission *e, size_t nr, struct err *err)
{
	e->slot = malloc(nr * sizeof(*e->slot));
	if (!e->slot)
		return err_nomem(err, "salvage: buffers");
	for (size_t i = 0; i < nr; i++)
		e->slot[i].run = NULL;
	return 0;
}

static void emission_free(struct emission *e, size_t nr)
{
	for (size_t i = 0; e->slot && i < nr; i++)
		free(e->slot[i].run);
	free(e->slot);
	defs_fini(&e->defs);
	free(e);
}

static int check_wanted(const struct emission *e, struct err *err)
{
	for (size_t i = 0; i < e->opt->nr_dev_ids; i++)
		if (!trees_find_device(e->values->trees, e->opt->dev_ids[i]))
			return err_set(err, -ENODATA,
				       "device %" PRIu32 " is not among the %zu devices that were found",
				       e->opt->dev_ids[i], e->values->trees->nr_devs);
	return 0;
}

int tell_events(struct values *values, const struct salvage_emit_options *opt,
		const struct events *to, struct err *err)
{
	static const struct salvage_emit_options all = { 0 };
	struct emission *e = calloc(1, sizeof(*e));
	struct jobs_pipe pipe = { .nr_slots = 2 * (size_t)jobs_nr(values->graph->jobs) + 2,
				  .produce = produce,
				  .work = work,
				  .consume = consume,
				  .ctx = e };
	int r;

	if (!e)
		return err_nomem(err, "salvage");
	e->values = values;
	e->to = to;
	e->in_def = NONE;
	e->opt = opt ? opt : &all;
	r = check_wanted(e, err);
	if (!r)
		r = defs_init(values->trees, &e->defs,
			      !e->opt->no_shared && !e->opt->nr_dev_ids && !e->opt->skip_mappings,
			      err);
	if (!r)
		r = slots_init(e, pipe.nr_slots, err);
	if (!r)
		r = to->ops->begin_pool(to->ctx, &values->info, err);
	if (!r)
		r = jobs_pipe(values->graph->jobs, &pipe, err);
	if (!r)
		r = to->ops->end_pool(to->ctx, err);
	emission_free(e, pipe.nr_slots);
	return r;
}
