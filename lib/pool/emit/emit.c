/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/emit/emit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "pool/emit/impl.h"
#include "pool/forest/forest.h"

#define LANES_SPARE 3 /* above one a worker: one being filled, one being told, one between */

static void add_problem(struct emitter *e, bool io_error, const char *text)
{
	if (!io_error)
		e->not_only_io = true;
	if (e->nr_problems++ < EMIT_MAX_PROBLEMS && e->opt->problem)
		e->opt->problem(e->opt->ctx, text);
}

/* "device 7", or the shared part by its name. */
static const char *whose(const struct emitter *e, bool in_def, uint64_t def, size_t dev, char *buf,
			 size_t len)
{
	if (in_def)
		snprintf(buf, len, "shared part %" PRIu64, def);
	else
		snprintf(buf, len, "device %" PRIu32, e->dev[dev]->info.dev_id);
	return buf;
}

static void tell_fault(struct emitter *e, const struct emit_item *item)
{
	char who[64], text[400];

	forest_fault_text(text, sizeof(text),
			  whose(e, e->in_def, e->def_name, item->dev, who, sizeof(who)),
			  item->block, item->fault, item->first, item->last);
	add_problem(e, item->fault == NODE_UNREADABLE, text);
	if (e->in_def)
		sharing_set_lost(e->sharing, item->block);
}

static void tell_outside(struct emitter *e)
{
	char who[64], text[400];

	if (!e->nr_outside)
		return;
	snprintf(text, sizeof(text),
		 "%s: %" PRIu64 " mappings lead beyond the pool's %" PRIu64
		 " data blocks, the first from block %" PRIu64 " to data block %" PRIu64,
		 whose(e, e->in_def, e->def_name, e->cur_dev, who, sizeof(who)), e->nr_outside,
		 e->md->nr_data_blocks, e->outside.vbegin, e->outside.dbegin);
	add_problem(e, false, text);
	e->nr_outside = 0;
}

static int open_def(struct emitter *e, struct err *err)
{
	if (!e->in_def || e->def_told)
		return 0;
	e->def_told = true;
	return e->to->ops->begin_def(e->to->ctx, e->def_name, err);
}

static int close_def(struct emitter *e, struct err *err)
{
	int r = 0;

	tell_outside(e);
	if (e->def_told)
		r = e->to->ops->end_def(e->to->ctx, err);
	else /* an empty leaf that devices share has no entries to refer to */
		sharing_set_empty(e->sharing, e->def_name);
	e->in_def = e->def_told = false;
	return r;
}

static int tell_item(struct emitter *e, const struct emit_item *item, struct err *err)
{
	const struct events *to = e->to;

	switch (item->kind) {
	case EMIT_BEGIN_DEF:
		e->in_def = true;
		e->def_name = item->block;
		e->has_last = false;
		return 0;
	case EMIT_END_DEF:
		return close_def(e, err);
	case EMIT_BEGIN_DEVICE:
		e->cur_dev = item->dev;
		e->has_last = false;
		return to->ops->begin_device(to->ctx, &e->dev[item->dev]->info, err);
	case EMIT_END_DEVICE:
		tell_outside(e);
		return to->ops->end_device(to->ctx, err);
	case EMIT_REF:
		return to->ops->ref(to->ctx, item->block, err);
	case EMIT_LEAF:
	case EMIT_FAULT:
		tell_fault(e, item);
		return 0;
	}
	return 0;
}

static int tell_leaves(struct emitter *e, const struct emit_lane *l, struct err *err)
{
	const struct events_ops *ops = e->to->ops;
	void *ctx = e->to->ctx;
	int r;

	if (!l->nr_runs)
		return 0;
	/* impossible as long as ranges are checked; refused all the same */
	if (l->disorder || (e->has_last && l->first_key <= e->last_key))
		return err_set(err, -EUCLEAN,
			       "keys go backwards at block %" PRIu64
			       " (run thin_check for details)",
			       e->now->item[l->begin].block);
	e->has_last = true;
	e->last_key = l->last_key;
	if (l->nr_outside && !e->nr_outside)
		e->outside = l->outside;
	e->nr_outside += l->nr_outside;
	r = open_def(e, err);
	if (r)
		return r;
	if (!ops->render || l->nr_runs < 3)
		return ops->runs(ctx, l->run, l->nr_runs, err);
	r = ops->runs(ctx, l->run, 1, err);
	if (!r)
		r = ops->rendered(ctx, &l->text, err);
	return r ? r : ops->runs(ctx, &l->run[l->nr_runs - 1], 1, err);
}

static int pipe_produce(void *ctx, size_t slot, struct err *err)
{
	struct emitter *e = ctx;

	(void)err;
	return emit_lane_take(e, &e->lane[slot]);
}

static int pipe_work(void *ctx, unsigned worker, size_t slot, struct err *err)
{
	struct emitter *e = ctx;

	(void)worker;
	return emit_lane_decode(e, &e->lane[slot], err);
}

static int pipe_consume(void *ctx, size_t slot, struct err *err)
{
	struct emitter *e = ctx;
	const struct emit_lane *l = &e->lane[slot];
	int r = 0;

	if (l->leaves)
		return tell_leaves(e, l, err);
	for (size_t i = 0; !r && i < l->nr; i++)
		r = tell_item(e, &e->now->item[l->begin + i], err);
	return r;
}

static int make_lanes(struct emitter *e, struct err *err)
{
	e->nr_lanes = jobs_nr(e->s->jobs) + LANES_SPARE;
	e->lane = calloc(e->nr_lanes, sizeof(*e->lane));
	if (!e->lane) {
		e->nr_lanes = 0;
		return err_nomem(err, "runs of mappings");
	}
	for (size_t i = 0; i < e->nr_lanes; i++) {
		outbuf_init(&e->lane[i].text);
		e->lane[i].run = calloc(EMIT_GROUP * INTERNAL_MAX, sizeof(*e->lane[i].run));
		if (!e->lane[i].run)
			return err_nomem(err, "runs of mappings");
	}
	return 0;
}

/* Tells all defs, or all devices: reads a batch while the next one is already announced. */
static int tell_phase(struct emitter *e, bool defs, struct err *err)
{
	struct jobs_pipe pipe = {
		.nr_slots = e->nr_lanes,
		.produce = pipe_produce,
		.work = pipe_work,
		.consume = pipe_consume,
		.ctx = e,
	};
	struct emit_items *next = &e->items[0];
	int r;

	e->place.in_defs = defs;
	r = emit_items_fill(e, next, defs, err);
	while (!r && next->nr) {
		e->now = next;
		e->now_pos = 0;
		next = e->now == &e->items[0] ? &e->items[1] : &e->items[0];
		r = emit_leaves_read(e, err);
		if (!r)
			r = emit_items_fill(e, next, defs, err);
		if (!r) {
			if (next->nr_list)
				emit_leaves_hint(e, next);
			r = jobs_pipe(e->s->jobs, &pipe, err);
		}
	}
	return r;
}

/* Reads the internal nodes and finds what is shared. */
static int walk_devices(struct emitter *e, struct err *err)
{
	struct walk_setup setup = {
		.stream = e->s,
		.nr_blocks = e->md->nr_blocks,
		.leaf_value_size = sizeof(le64),
	};
	struct walk_root *roots = calloc(e->nr_devs + 1, sizeof(*roots));
	mblock_t *blocks = calloc(e->nr_devs + 1, sizeof(*blocks));
	int r = 0;

	if (!roots || !blocks)
		r = err_nomem(err, "the devices' roots");
	for (size_t i = 0; !r && i < e->nr_devs; i++)
		/* the greatest attr is what costs the walk no memory at the leaves */
		roots[i] = (struct walk_root) { blocks[i] = e->dev[i]->root, UINT32_MAX };
	if (!r) {
		e->walk = walk_new(&setup, err);
		r = e->walk ? walk_add(e->walk, roots, e->nr_devs, err) : -ENOMEM;
	}
	if (!r && e->nr_devs > 1 && !e->opt->no_shared && !e->opt->nr_dev_ids)
		r = sharing_new(e->walk, blocks, e->nr_devs, e->md->nr_blocks, &e->sharing, err);
	free(roots);
	free(blocks);
	return r;
}

static bool wanted(const struct emitter *e, uint32_t id)
{
	for (size_t i = 0; i < e->opt->nr_dev_ids; i++)
		if (e->opt->dev_ids[i] == id)
			return true;
	return !e->opt->nr_dev_ids;
}

/* Chooses the devices that can be dumped; says what is wrong with the others and with the trees. */
static int choose_devices(struct emitter *e, const struct metadata_devices *devices,
			  struct err *err)
{
	char text[200];

	e->dev = calloc(devices->nr + 1, sizeof(*e->dev));
	if (!e->dev)
		return err_nomem(err, "the list of devices");
	for (size_t i = 0; i < devices->nr_tree_problems; i++)
		add_problem(e, false, devices->problem[i]);
	for (size_t i = 0; i < devices->nr; i++) {
		const struct metadata_device *d = &devices->dev[i];

		if (!wanted(e, d->info.dev_id))
			continue;
		if (metadata_device_problem(d, text, sizeof(text)))
			add_problem(e, false, text);
		else
			e->dev[e->nr_devs++] = d;
	}
	return 0;
}

/* A device that was asked for but is missing is a mistake, or was lost: then nothing is dumped. */
static int check_wanted(struct emitter *e, const struct metadata_devices *devices, struct err *err)
{
	for (size_t i = 0; i < e->opt->nr_dev_ids; i++)
		if (!metadata_devices_find(devices, e->opt->dev_ids[i]))
			return err_set(err, -ENODATA, "device %" PRIu32 " is not in this pool%s",
				       e->opt->dev_ids[i],
				       devices->nr_tree_problems
					       ? ", or is in a part of the list that cannot be read"
					       : "; thin_ls lists its devices");
	return 0;
}

static int tell_pool(struct emitter *e, struct err *err)
{
	struct pool_info info;
	int r = 0;

	metadata_pool_info(e->md, &info);
	if (!e->opt->skip_mappings)
		r = walk_devices(e, err);
	if (!r)
		r = make_lanes(e, err);
	if (!r)
		r = e->to->ops->begin_pool(e->to->ctx, e->opt->header ? e->opt->header : &info,
					   err);
	if (!r && e->sharing)
		r = tell_phase(e, true, err);
	if (!r)
		r = tell_phase(e, false, err);
	if (r)
		return r;
	if (e->nr_problems)
		return err_set(err, e->not_only_io ? -EUCLEAN : -EIO,
			       "metadata contains errors (run thin_check for details)");
	return e->to->ops->end_pool(e->to->ctx, err);
}

static void emitter_fini(struct emitter *e)
{
	for (size_t i = 0; i < e->nr_lanes; i++) {
		outbuf_fini(&e->lane[i].text);
		free(e->lane[i].run);
	}
	free(e->lane);
	free(e->data);
	free(e->node);
	free(e->fault);
	emit_items_fini(&e->items[0]);
	emit_items_fini(&e->items[1]);
	sharing_free(e->sharing);
	if (e->walk)
		walk_free(e->walk);
	free(e->dev);
}

int emit_pool(const struct metadata *md, struct stream *s, const struct emit_options *opt,
	      const struct events *to, struct err *err)
{
	struct emitter e = { .md = md, .s = s, .opt = opt, .to = to };
	struct metadata_devices devices;
	int r = metadata_devices_read(md, s, &devices, err);

	if (!r)
		r = choose_devices(&e, &devices, err);
	if (!r)
		r = check_wanted(&e, &devices, err);
	if (!r)
		r = tell_pool(&e, err);
	emitter_fini(&e);
	metadata_devices_fini(&devices);
	return r;
}
