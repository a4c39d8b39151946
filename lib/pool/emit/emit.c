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
#define FEW_RUNS    4096 /* telling them takes less time than waking the other threads and waiting for them */

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
	else if (vec_put(&e->empty, e->def)) /* an empty leaf that devices share has no entries to refer to */
		r = err_nomem(err, "shared leaves");
	e->in_def = e->def_told = false;
	return r;
}

static int tell_item(struct emitter *e, const struct emit_item *item, struct err *err)
{
	const struct emit_source *src = e->src;
	const struct events *to = e->to;
	const struct device_info *info;

	switch (item->kind) {
	case EMIT_BEGIN_DEF:
		e->in_def = true;
		e->def = item->node;
		e->has_last = false;
		return 0;
	case EMIT_END_DEF:
		return close_def(e, err);
	case EMIT_BEGIN_DEVICE:
		info = src->device(src->ctx, item->dev);
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
	const struct emit_batch *b = e->telling;
	int r = 0;

	for (size_t i = 0; i < l->nr && !r; i++) {
		const struct emit_slot *slot = &b->slot[b->items.item[l->begin + i].slot];

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
			       emit_block(e, e->telling->items.item[l->begin].node));
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
	if (!l->text.len)
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
		r = tell_item(e, &e->telling->items.item[l->begin + i], err);
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

/* Tells one batch in the calling thread. */
static int tell_batch(struct emitter *e, struct err *err)
{
	int r = 0;

	while (!r && emit_lane_take(e, &e->lane[0])) {
		r = emit_lane_render(e, &e->lane[0], err);
		if (!r)
			r = pipe_consume(e, 0, err);
	}
	return r;
}

/*
 * For a sink that takes text, which all workers make: they read a batch, and then make its text.  The next batch is
 * announced before.
 */
static int tell_text(struct emitter *e, struct err *err)
{
	const struct jobs_pipe pipe = {
		.nr_slots = e->nr_lanes,
		.produce = pipe_produce,
		.work = pipe_work,
		.consume = pipe_consume,
		.ctx = e,
	};
	struct emit_items *now = &e->batch[0].items, *next = &e->batch[1].items, told;
	int r = emit_items_fill(e, now, err);

	e->reading = e->telling = &e->batch[0];
	while (!r && now->nr) {
		r = emit_leaves_read(e, err);
		if (!r)
			r = emit_items_fill(e, next, err);
		if (r)
			break;
		if (next->nr_list && e->src->hint)
			e->src->hint(e->src->ctx, next->list, next->nr_list);
		if (now->nr_list <= (next->nr ? EMIT_GROUP : FEW_LEAVES) || e->telling->nr_kept <= FEW_RUNS)
			r = tell_batch(e, err);
		else
			r = jobs_pipe(e->src->jobs, &pipe, err);
		told = *now;
		*now = *next;
		*next = told;
	}
	return r;
}

static int apart_read(void *ctx, size_t slot, struct err *err)
{
	struct emitter *e = ctx;
	struct emit_items *it = &e->batch[slot].items;
	int r = emit_items_fill(e, it, err);

	if (r || !it->nr)
		return r;
	if (it->nr_list && e->src->hint)
		e->src->hint(e->src->ctx, it->list, it->nr_list);
	e->reading = &e->batch[slot];
	r = emit_leaves_read(e, err);
	return r ? r : 1;
}

static int apart_tell(void *ctx, size_t slot, struct err *err)
{
	struct emitter *e = ctx;

	e->telling = &e->batch[slot];
	return tell_batch(e, err);
}

/* For another sink, which works in one thread: the workers read a batch while the one before is told. */
static int tell_runs_apart(struct emitter *e, struct err *err)
{
	const struct jobs_pipe pipe = { .nr_slots = 2, .produce = apart_read, .consume = apart_tell, .ctx = e };

	return jobs_pipe(e->apart, &pipe, err);
}

static int tell_leaves_of(struct emitter *e, bool defs, struct err *err)
{
	e->place.in_defs = defs;
	e->place.over = false;
	return e->to->ops->render ? tell_text(e, err) : tell_runs_apart(e, err);
}

static int tell_defs(struct emitter *e, struct err *err)
{
	const mblock_t *empty;
	int r = e->sharing ? tell_leaves_of(e, true, err) : 0;

	empty = e->empty.data;
	for (size_t i = 0; i < e->empty.nr; i++)
		sharing_set_empty(e->sharing, empty[i]);
	return r;
}

static int make_apart(struct emitter *e, struct err *err)
{
	if (e->to->ops->render)
		return 0;
	e->apart = jobs_new(MIN(jobs_nr(e->src->jobs), 2u));
	return e->apart ? 0 : err_nomem(err, "reading leaves");
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
		root[i] = src->root(src->ctx, i);
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
	free(e->empty.data);
	for (size_t i = 0; i < ARRAY_SIZE(e->batch); i++) {
		emit_items_fini(&e->batch[i].items);
		emit_leaves_fini(&e->batch[i]);
	}
	sharing_free(e->sharing);
	jobs_free(e->apart);
}

int emit_source(const struct emit_source *src, const struct emit_options *opt, const struct pool_info *info,
		const struct events *to, struct err *err)
{
	struct emitter e = { .src = src, .opt = opt, .to = to, .batch_leaves = EMIT_BATCH_LEAVES };
	int r;

	e.place.frame = malloc(EMIT_DEPTH * sizeof(*e.place.frame));
	if (!e.place.frame)
		return err_nomem(err, "the nodes of a tree");
	r = find_shared(&e, err);
	if (!r)
		r = make_lanes(&e, err);
	if (!r)
		r = make_apart(&e, err);
	if (!r)
		r = to->ops->begin_pool(to->ctx, info, err);
	if (!r)
		r = tell_defs(&e, err);
	if (!r)
		r = tell_leaves_of(&e, false, err);
	if (!r)
		r = src->finish(src->ctx, e.skipped, err);
	if (!r)
		r = to->ops->end_pool(to->ctx, err);
	emitter_fini(&e);
	return r;
}
