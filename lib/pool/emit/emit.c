/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/emit/emit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "pool/emit/impl.h"

#define LANES_SPARE 3 /* above one a worker: one being filled, one being told, one between */
#define LANE_RUNS   (EMIT_GROUP * INTERNAL_MAX)
#define FEW_LEAVES  64 /* telling them takes less time than starting a thread */

static void tell_problem(void *ctx, const char *text)
{
	struct emitter *e = ctx;

	if (e->nr_problems++ < EMIT_MAX_PROBLEMS && e->opt->problem)
		e->opt->problem(e->opt->ctx, text);
}

/* "device 7", or the shared part by its first leaf. */
static const char *whose(const struct emitter *e, char *buf, size_t len)
{
	if (e->in_def)
		snprintf(buf, len, "several devices (they share the leaf at block %" PRIu64 ")",
			 e->def_name);
	else
		snprintf(buf, len, "device %" PRIu32, e->forest.dev[e->cur_dev]->info.dev_id);
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
		 e->md->nr_data_blocks, e->outside.vbegin, e->outside.dbegin);
	forest_problem(&e->forest, false, text);
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
		return to->ops->begin_device(to->ctx, &e->forest.dev[item->dev]->info, err);
	case EMIT_END_DEVICE:
		tell_outside(e);
		return to->ops->end_device(to->ctx, err);
	case EMIT_REF:
		return to->ops->ref(to->ctx, item->block, err);
	case EMIT_LEAF:
		return forest_add_fault(&e->forest, item->block, item->fault, err);
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
			       "keys out of order at block %" PRIu64 " (run thin_check for "
			       "details: 'thin_check POOL')",
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
	e->nr_lanes = jobs_nr(e->s->jobs) + LANES_SPARE;
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
			if (next->nr_list)
				emit_leaves_hint(e, next);
			pipe.alone = !next->nr && e->now->nr_list <= FEW_LEAVES;
			r = jobs_pipe(e->s->jobs, &pipe, err);
		}
	}
	return r;
}

/* Reads the internal nodes and finds what is shared. */
static int walk_devices(struct emitter *e, struct err *err)
{
	struct forest *f = &e->forest;
	mblock_t *root;
	int r = forest_walk(f, false, err);

	if (r || f->nr_devs < 2 || e->opt->no_shared || e->opt->nr_dev_ids)
		return r;
	root = calloc(f->nr_devs, sizeof(*root));
	if (!root)
		return err_nomem(err, "the devices' roots");
	for (size_t i = 0; i < f->nr_devs; i++)
		root[i] = f->dev[i]->root;
	r = sharing_new(f->walk, root, f->nr_devs, e->md->nr_blocks, &e->sharing, err);
	free(root);
	return r;
}

/* What is missing in the events that were told: 0 if nothing is. */
static int verdict(struct emitter *e, struct err *err)
{
	struct forest *f = &e->forest;
	char more[100];
	int r = f->walk ? forest_tell_damage(f, err) : 0;

	if (r)
		return r;
	if (e->skipped && !f->nr_problems) /* a part that is missing is never passed over silently */
		forest_problem(f, false, "parts of the mapping trees cannot be read");
	if (e->nr_problems > EMIT_MAX_PROBLEMS && e->opt->problem) {
		snprintf(more, sizeof(more),
			 "... and %" PRIu64 " more problems ('thin_check --format json POOL' lists all)",
			 e->nr_problems - EMIT_MAX_PROBLEMS);
		e->opt->problem(e->opt->ctx, more);
	}
	return forest_verdict(f, err);
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
	if (!r)
		r = verdict(e, err);
	return r ? r : e->to->ops->end_pool(e->to->ctx, err);
}

static void emitter_fini(struct emitter *e)
{
	for (size_t i = 0; i < e->nr_lanes; i++)
		outbuf_fini(&e->lane[i].text);
	free(e->lane);
	free(e->run);
	free(e->kept);
	free(e->slot);
	emit_items_fini(&e->items[0]);
	emit_items_fini(&e->items[1]);
	sharing_free(e->sharing);
	forest_fini(&e->forest);
}

int emit_pool(const struct metadata *md, struct stream *s, const struct emit_options *opt,
	      const struct events *to, struct err *err)
{
	struct emitter e = { .md = md, .s = s, .opt = opt, .to = to };
	int r = forest_list(&e.forest, md, s, opt->dev_ids, opt->nr_dev_ids, tell_problem, &e, err);

	if (!r)
		r = tell_pool(&e, err);
	emitter_fini(&e);
	return r;
}
