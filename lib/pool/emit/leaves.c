/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The leaves of a batch: read in location order, joined and rendered in key order. */
#include <errno.h>
#include <stdlib.h>

#include "pool/emit/impl.h"
#include "pool/format/leaf_runs.h"

#define HINT_GAP 16 /* blocks that an announcement may include needlessly */
#define LONG_HINT 64 /* blocks of an announcement that is worth a look whether it is needed */

static int reserve(struct emitter *e, size_t nr)
{
	if (nr <= e->kept_cap)
		return 0;
	free(e->kept);
	free(e->slot);
	e->kept = calloc(nr * INTERNAL_MAX, sizeof(*e->kept));
	e->slot = calloc(nr, sizeof(*e->slot));
	e->kept_cap = nr;
	if (e->kept && e->slot)
		return 0;
	e->kept_cap = 0;
	return -ENOMEM;
}

static inline struct run run_of(const struct node *n, uint32_t i, uint32_t end)
{
	uint64_t v = node_value64(n, i);

	return (struct run) { node_key(n, i), mapping_block(v), end - i, mapping_time(v) };
}

/* Keeps the runs of a leaf behind those of the leaves that were read before. */
static void keep_leaf(struct emitter *e, struct emit_slot *slot, const struct node *n)
{
	struct leaf_runs runs;
	struct run *run;

	slot->nr_runs = 0;
	if (!n->nr)
		return;
	leaf_runs_find(&runs, n, RUNS_ONE_TIME);
	slot->nr_runs = leaf_runs_nr(&runs);
	run = slot->run = e->kept + atomic_fetch_add_explicit(&e->nr_kept, slot->nr_runs,
							      memory_order_relaxed);
	if (slot->nr_runs == n->nr) { /* scattered blocks: each entry is a run */
		for (uint32_t i = 0; i < n->nr; i++)
			run[i] = run_of(n, i, i + 1);
		return;
	}
	for (uint32_t i = 0, end; i < n->nr; i = end) {
		end = leaf_runs_end(&runs, i);
		*run++ = run_of(n, i, end);
	}
}

static int take_leaf(void *ctx, unsigned worker, size_t i, mblock_t block, const void *data,
		     int status)
{
	struct emitter *e = ctx;
	struct emit_slot *slot = &e->slot[i];
	struct node n;

	(void)worker;
	if (status < 0) {
		slot->fault = node_read_fault(status);
		return 0;
	}
	slot->fault = node_open(&n, data, block, sizeof(le64));
	if (slot->fault == NODE_OK && !n.leaf)
		slot->fault = NODE_BAD_DEPTH;
	if (slot->fault == NODE_OK)
		keep_leaf(e, slot, &n);
	return 0;
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

int emit_leaves_read(struct emitter *e, struct err *err)
{
	struct emit_items *it = e->now;
	int r;

	if (reserve(e, it->nr_list))
		return err_nomem(err, "leaves");
	e->nr_kept = 0;
	r = it->nr_list ? stream_read(e->s, it->list, it->nr_list, take_leaf, e, err) : 0;
	if (r < 0)
		return r;
	for (size_t i = 0; i < it->nr; i++) {
		struct emit_item *item = &it->item[i];
		const struct emit_slot *slot;

		if (item->kind != EMIT_LEAF)
			continue;
		slot = &e->slot[item->slot];
		item->fault = slot->fault;
		if (item->fault == NODE_OK && slot->nr_runs &&
		    !node_keys_fit(first_key(slot), last_key(slot), item->first, item->last))
			item->fault = NODE_BAD_RANGE;
	}
	return 0;
}

/*
 * Is a byte in each quarter of [at, at+len) in the page cache?  Announcing what is there costs the
 * kernel a look at each page.
 */
static bool seems_cached(const struct io *io, uint64_t at, uint64_t len)
{
	for (unsigned i = 0; i < 5; i++)
		if (!io_is_cached(io, at + (len - 1) / 4 * i))
			return false;
	return true;
}

static void hint(struct io *io, mblock_t begin, mblock_t end)
{
	uint64_t at = begin * MBLOCK_SIZE, len = (end - begin) * MBLOCK_SIZE;

	if (end - begin < LONG_HINT || !seems_cached(io, at, len))
		io->ops->will_need(io, at, len);
}

void emit_leaves_hint(struct emitter *e, const struct emit_items *it)
{
	struct io *io = e->s->io;
	size_t from = 0;

	if (!io->ops->will_need)
		return;
	for (size_t i = 1; i <= it->nr_list; i++) {
		if (i < it->nr_list && it->list[i] - it->list[i - 1] <= HINT_GAP)
			continue;
		hint(io, it->list[from], it->list[i - 1] + 1);
		from = i;
	}
}

static bool sound_leaf(const struct emit_item *item)
{
	return item->kind == EMIT_LEAF && item->fault == NODE_OK;
}

int emit_lane_take(struct emitter *e, struct emit_lane *l)
{
	const struct emit_items *it = e->now;
	size_t begin = e->now_pos, n = 0;

	if (begin == it->nr)
		return 0;
	l->leaves = sound_leaf(&it->item[begin]);
	while (begin + n < it->nr && sound_leaf(&it->item[begin + n]) == l->leaves &&
	       !(l->leaves && n == EMIT_GROUP))
		n++;
	l->begin = begin;
	l->nr = n;
	e->now_pos += n;
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

static void add_leaf(struct emit_lane *l, const struct emit_slot *slot)
{
	struct run *last = l->nr_runs ? &l->run[l->nr_runs - 1] : NULL;
	const struct run *run = slot->run;
	uint32_t nr = slot->nr_runs;

	if (!nr)
		return;
	if (!last)
		l->first_key = first_key(slot);
	else if (first_key(slot) <= l->last_key)
		l->disorder = true;
	l->last_key = last_key(slot);
	/* the first run may go on where the leaf before ends */
	if (last && run->vbegin == last->vbegin + last->len &&
	    run->dbegin == last->dbegin + last->len && run->time == last->time) {
		last->len += run->len;
		run++;
		nr--;
	}
	memcpy(&l->run[l->nr_runs], run, nr * sizeof(*run));
	l->nr_runs += nr;
}

int emit_lane_render(const struct emitter *e, struct emit_lane *l, struct err *err)
{
	const struct emit_item *item = e->now->item + l->begin;
	uint64_t nr_data_blocks = e->md->nr_data_blocks;

	l->nr_runs = l->nr_outside = 0;
	l->disorder = false;
	outbuf_reset(&l->text);
	if (!l->leaves)
		return 0;
	for (size_t i = 0; i < l->nr; i++)
		add_leaf(l, &e->slot[item[i].slot]);
	for (size_t i = 0; i < l->nr_runs; i++)
		if (unlikely(l->run[i].dbegin + l->run[i].len > nr_data_blocks))
			note_outside(l, &l->run[i], nr_data_blocks);
	if (e->to->ops->render && l->nr_runs > 2)
		e->to->ops->render(e->to->ctx, l->run + 1, l->nr_runs - 2, false, &l->text);
	return l->text.error ? err_nomem(err, "text") : 0;
}
