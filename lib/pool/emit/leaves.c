/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The leaves of a batch: read, joined and rendered in key order. */
#include <errno.h>
#include <stdlib.h>

#include "pool/emit/impl.h"

#define LEAF_RUNS 16 /* on average, up to which batches become larger */
#define MANY_RUNS 32 /* of a leaf, above which copying them costs more than rendering them apart */

static int reserve(struct emit_batch *b, size_t nr)
{
	if (nr <= b->kept_cap)
		return 0;
	emit_leaves_fini(b);
	b->kept = calloc(nr * INTERNAL_MAX, sizeof(*b->kept));
	b->slot = calloc(nr, sizeof(*b->slot));
	if (!b->kept || !b->slot)
		return -ENOMEM;
	b->kept_cap = nr;
	return 0;
}

void emit_leaves_fini(struct emit_batch *b)
{
	free(b->kept);
	free(b->slot);
	b->kept = NULL;
	b->slot = NULL;
	b->kept_cap = 0;
}

struct run *emit_room(struct emitter *e, size_t i, uint32_t nr)
{
	struct emit_batch *b = e->reading;
	struct emit_slot *slot = &b->slot[i];

	slot->fault = NODE_OK;
	slot->nr_runs = nr;
	slot->run = b->kept + atomic_fetch_add_explicit(&b->nr_kept, nr, memory_order_relaxed);
	return slot->run;
}

void emit_used(struct emitter *e, size_t i, uint32_t nr)
{
	struct emit_batch *b = e->reading;
	struct emit_slot *slot = &b->slot[i];
	const size_t begin = (size_t)(slot->run - b->kept);
	size_t end = begin + slot->nr_runs;

	/* the rest is given back if nobody got room behind it: less memory is touched */
	(void)atomic_compare_exchange_strong(&b->nr_kept, &end, begin + nr);
	slot->nr_runs = nr;
}

void emit_fault(struct emitter *e, size_t i, enum node_fault fault)
{
	e->reading->slot[i].fault = fault;
}

static uint64_t first_key(const struct emit_slot *slot)
{
	return slot->run[0].vbegin;
}

static uint64_t last_key(const struct emit_slot *slot)
{
	const struct run *last = &slot->run[slot->nr_runs - 1];

	return last->vbegin + last->len - 1;
}

/* The workers wait for one another once a batch, so large ones are better; but scattered blocks take 8 KiB a leaf. */
static void choose_next_batch(struct emitter *e)
{
	const struct emit_batch *b = e->reading;
	const bool few_runs = b->nr_kept <= b->items.nr_list * LEAF_RUNS;

	e->batch_leaves = few_runs ? MIN(2 * e->batch_leaves, EMIT_BATCH_MORE) : EMIT_BATCH_LEAVES;
}

int emit_leaves_read(struct emitter *e, struct err *err)
{
	struct emit_batch *b = e->reading;
	struct emit_items *it = &b->items;
	int r;

	if (reserve(b, it->nr_list))
		return err_nomem(err, "leaves");
	b->pos = 0;
	b->nr_kept = 0;
	for (size_t i = 0; i < it->nr_list; i++)
		b->slot[i].fault = NODE_UNREADABLE;
	r = it->nr_list ? e->src->read(e->src->ctx, e, it->list, it->nr_list, err) : 0;
	for (size_t i = 0; i < it->nr && r >= 0; i++)
		if (it->item[i].kind == EMIT_LEAF)
			it->item[i].fault = b->slot[it->item[i].slot].fault;
	choose_next_batch(e);
	return r < 0 ? r : 0;
}

static bool sound_leaf(const struct emit_item *item)
{
	return item->kind == EMIT_LEAF && item->fault == NODE_OK;
}

int emit_lane_take(struct emitter *e, struct emit_lane *l)
{
	struct emit_batch *b = e->telling;
	const struct emit_items *it = &b->items;
	const size_t begin = b->pos;
	size_t n = 0;

	if (begin == it->nr)
		return 0;
	l->leaves = sound_leaf(&it->item[begin]);
	while (begin + n < it->nr && sound_leaf(&it->item[begin + n]) == l->leaves &&
	       !(l->leaves && n == EMIT_GROUP))
		n++;
	l->begin = begin;
	l->nr = n;
	b->pos += n;
	return 1;
}

static void note_outside(struct emit_lane *l, const struct run *r, uint64_t nr_data_blocks)
{
	uint64_t inside = r->dbegin < nr_data_blocks ? nr_data_blocks - r->dbegin : 0;

	if (!l->nr_outside)
		l->outside = (struct run){ r->vbegin + inside, r->dbegin + inside, r->len - inside,
					   r->time };
	l->nr_outside += r->len - inside;
}

static void render(const struct emitter *e, struct emit_lane *l, const struct run *run, size_t nr)
{
	if (nr)
		e->to->ops->render(e->to->ctx, run, nr, false, &l->text);
}

/* Many runs are not copied: what waits is rendered, and then they are where they stand. */
static void render_leaf(const struct emitter *e, struct emit_lane *l, const struct run *run, uint32_t nr)
{
	if (!l->nr_runs) {
		l->run[0] = *run++;
		nr--;
	} else {
		render(e, l, l->run + 1, l->nr_runs - 1);
	}
	render(e, l, run, nr - 1);
	l->run[1] = run[nr - 1];
	l->nr_runs = 2;
}

/* Copies the runs of a leaf behind those of the leaf before; the first one may go on where that ends. */
static void join_runs(const struct emitter *e, struct emit_lane *l, const struct emit_slot *slot)
{
	struct run *last = l->nr_runs ? &l->run[l->nr_runs - 1] : NULL;
	const struct run *run = slot->run;
	uint32_t nr = slot->nr_runs;

	if (last && run->vbegin == last->vbegin + last->len &&
	    run->dbegin == last->dbegin + last->len && run->time == last->time) {
		last->len += run->len;
		run++;
		nr--;
	}
	if (nr > MANY_RUNS) {
		render_leaf(e, l, run, nr);
		return;
	}
	memcpy(&l->run[l->nr_runs], run, nr * sizeof(*run));
	l->nr_runs += nr;
}

static void look_at_leaf(const struct emitter *e, struct emit_lane *l, const struct emit_slot *slot)
{
	const uint64_t end = e->src->nr_data_blocks;

	if (!l->any)
		l->first_key = first_key(slot);
	else if (first_key(slot) <= l->last_key)
		l->disorder = true;
	l->any = true;
	l->last_key = last_key(slot);
	for (uint32_t i = 0; i < slot->nr_runs; i++)
		if (unlikely(slot->run[i].dbegin + slot->run[i].len > end))
			note_outside(l, &slot->run[i], end);
}

int emit_lane_render(const struct emitter *e, struct emit_lane *l, struct err *err)
{
	const struct emit_batch *b = e->telling;
	const struct emit_item *item = b->items.item + l->begin;

	l->nr_runs = l->nr_outside = 0;
	l->any = l->disorder = false;
	outbuf_reset(&l->text);
	for (size_t i = 0; i < l->nr && l->leaves; i++) {
		const struct emit_slot *slot = &b->slot[item[i].slot];

		if (!slot->nr_runs)
			continue;
		look_at_leaf(e, l, slot);
		if (e->to->ops->render)
			join_runs(e, l, slot);
	}
	if (l->nr_runs > 2)
		render(e, l, l->run + 1, l->nr_runs - 2);
	return l->text.error ? err_nomem(err, "text") : 0;
}
