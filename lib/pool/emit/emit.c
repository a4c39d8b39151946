/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What a source has is given to a sink. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "pool/emit/impl.h"

#define LANES_SPARE 3 /* above one a worker: one being filled, one being told, one between */
#define LANE_RUNS   (EMIT_GROUP * INTERNAL_MAX)
#define FEW_LEAVES  64 /* telling them takes less time than starting a thread */

/* "device 7", or the shared part by its first leaf. */
static const char *whose(const struct emitter *e, char *buf, size_t len)
{
	if (e->in_def)
		snprintf(buf, len, "several devices (they share the leaf at block %" PRIu64 ")",
			 emit_block(e, e->def));
	else
		snprintf(buf, len, "device %" PRIu32, e->dev_id);
	return buf;
}

static void tell_outside(struct emitter *e)
{
	char who[100], text[400];

	if (!e->nr_outside)
		return;
	snprintf(text, sizeof(text),
		 "%s: %" PRIu64 " mappings point beyond the pool's %" PRIu64 " data blocks, the "
		 "first from block %" PRIu64 " to data block %" PRIu64,
		 whose(e, who, sizeof(who)), e->nr_outside,
		 e->src->nr_data_blocks, e->outside.vbegin, e->outside.dbegin);
	e->src->problem(e->src->ctx, text);
	e->nr_outside = 0;
}

static int open_def(struct emitter *e, struct err *err)
{
	if (!e->in_def || e->def_told)
		return 0;
	e->def_told = true;
	return e->to->ops->begin_def(e->to->ctx, emit_block(e, e->def), err);
}

static int close_def(struct emitter *e, struct err *err)
{
	int r = 0;

	tell_outside(e);
	if (e->def_told)
		r = e->to->ops->end_def(e->to->ctx, err);
	else /* an empty leaf that devices share has no entries to refer to */
		sharing_set_empty(e->sharing, emit_block(e, e->def));
	e->in_def = e->def_told = false;
	return r;
}

static int tell_item(struct emitter *e, const struct emit_item *item, struct err *err)
{
	const struct emit_source *src = e->src;
	const struct events *to = e->to;
	const struct device_info *info;
	mblock_t root;

	switch (item->kind) {
	case EMIT_BEGIN_DEF:
		e->in_def = true;
		e->def = item->node;
		e->has_last = false;
		return 0;
	case EMIT_END_DEF:
		return close_def(e, err);
	case EMIT_BEGIN_DEVICE:
		info = src->device(src->ctx, item->dev, &root);
		e->dev_id = info->dev_id;
		e->has_last = false;
		return to->ops->begin_device(to->ctx, info, err);
	case EMIT_END_DEVICE:
		tell_outside(e);
		return to->ops->end_device(to->ctx, err);
	case EMIT_REF:
		return to->ops->ref(to->ctx, emit_block(e, item->node), err);
	case EMIT_LEAF:
		return src->lacks(src->ctx, item->node, item->fault, err);
	}
	return 0;
}

/* The leaves' runs as they are, to a sink that makes no text. */
static int tell_runs(struct emitter *e, const struct emit_lane *l, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < l->nr && !r; i++) {
		const struct emit_slot *slot = &e->slot[e->now->item[l->begin + i].slot];

		if (slot->nr_runs)
			r = e->to->ops->runs(e->to->ctx, slot->run, slot->nr_runs, err);
	}
	return r;
}

static int tell_leaves(struct emitter *e, const struct emit_lane *l, struct err *err)
{
	const struct events_ops *ops = e->to->ops;
	void *ctx = e->to->ctx;
	int r;

	if (!l->any)
		return 0;
	/* impossible as long as ranges are checked; refused all the same */
	if (l->disorder || (e->has_last && l->first_key <= e->last_key))
		return err_set(err, -EUCLEAN,
			       "keys out of order at block %" PRIu64 " (run thin_check for "
			       "details: 'thin_check POOL')",
			       emit_block(e, e->now->item[l->begin].node));
	e->has_last = true;
	e->last_key = l->last_key;
	if (l->nr_outside && !e->nr_outside)
		e->outside = l->outside;
	e->nr_outside += l->nr_outside;
	r = open_def(e, err);
	if (r)
		return r;
	if (!ops->render)
		return tell_runs(e, l, err);
	if (l->nr_runs < 3)
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
	return emit_lane_render(e, &e->lane[slot], err);
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
	e->nr_lanes = jobs_nr(e->src->jobs) + LANES_SPARE;
	e->lane = calloc(e->nr_lanes, sizeof(*e->lane));
	if (!e->lane) {
		e->nr_lanes = 0;
		return err_nomem(err, "runs of mappings");
	}
	e->run = malloc(e->nr_lanes * LANE_RUNS * sizeof(*e->run));
	for (size_t i = 0; i < e->nr_lanes; i++) {
		outbuf_init(&e->lane[i].text);
		if (e->run)
			e->lane[i].run = e->run + i * LANE_RUNS;
	}
	return e->run ? 0 : err_nomem(err, "runs of mappings");
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
			if (next->nr_list && e->src->hint)
				e->src->hint(e->src->ctx, next->list, next->nr_list);
			/* without text there is nothing to do but to tell */
			pipe.alone = !e->to->ops->render || e->now->nr_list <= (next->nr ? EMIT_GROUP : FEW_LEAVES);
			r = jobs_pipe(e->src->jobs, &pipe, err);
		}
	}
	return r;
}

static int find_shared(struct emitter *e, struct err *err)
{
	const struct emit_source *src = e->src;
	mblock_t *root;
	int r;

	if (src->nr_devs < 2 || e->opt->no_shared || e->opt->nr_dev_ids || e->opt->skip_mappings)
		return 0;
	root = calloc(src->nr_devs, sizeof(*root));
	if (!root)
		return err_nomem(err, "the devices' roots");
	for (size_t i = 0; i < src->nr_devs; i++)
		(void)src->device(src->ctx, i, &root[i]);
	r = sharing_new(&src->nodes, root, src->nr_devs, &e->sharing, err);
	free(root);
	return r;
}

static void emitter_fini(struct emitter *e)
{
	for (size_t i = 0; i < e->nr_lanes; i++)
		outbuf_fini(&e->lane[i].text);
	free(e->place.frame);
	free(e->lane);
	free(e->run);
	free(e->kept);
	free(e->slot);
	emit_items_fini(&e->items[0]);
	emit_items_fini(&e->items[1]);
	sharing_free(e->sharing);
}

int emit_source(const struct emit_source *src, const struct emit_options *opt, const struct pool_info *info,
		const struct events *to, struct err *err)
{
	struct emitter e = { .src = src, .opt = opt, .to = to };
	int r;

	e.place.frame = malloc(EMIT_DEPTH * sizeof(*e.place.frame));
	if (!e.place.frame)
		return err_nomem(err, "the nodes of a tree");
	r = find_shared(&e, err);
	if (!r)
		r = make_lanes(&e, err);
	if (!r)
		r = to->ops->begin_pool(to->ctx, info, err);
	if (!r && e.sharing)
		r = tell_phase(&e, true, err);
	if (!r)
		r = tell_phase(&e, false, err);
	if (!r)
		r = src->finish(src->ctx, e.skipped, err);
	if (!r)
		r = to->ops->end_pool(to->ctx, err);
	emitter_fini(&e);
	return r;
}
