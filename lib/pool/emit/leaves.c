/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The leaves of a batch: read in location order, decoded and rendered in key order. */
#include <errno.h>
#include <stdlib.h>

#include "pool/emit/impl.h"
#include "pool/format/leaf_runs.h"

#define RUNS_IN_BLOCK (MBLOCK_SIZE / sizeof(struct run))
#define HINT_GAP 16 /* blocks that an announcement may include needlessly */
#define LONG_HINT 64 /* blocks of an announcement that is worth a look whether it is needed */

static int reserve(struct emitter *e, size_t nr)
{
	if (nr <= e->data_cap)
		return 0;
	free(e->data);
	free(e->slot);
	e->data = io_alloc(nr * MBLOCK_SIZE);
	e->slot = calloc(nr, sizeof(*e->slot));
	e->data_cap = nr;
	if (e->data && e->slot)
		return 0;
	e->data_cap = 0;
	return -ENOMEM;
}

static struct run run_of(const struct node *n, uint32_t i, uint32_t end)
{
	uint64_t v = node_value64(n, i);

	return (struct run) { node_key(n, i), mapping_block(v), end - i, mapping_time(v) };
}

/* Keeps a leaf: copying one of long runs would cost more than making its runs. */
static void keep_leaf(struct emit_slot *slot, uint8_t *to, const void *data)
{
	struct node *n = &slot->node;
	struct run *run = (struct run *)to;
	struct leaf_runs runs;

	slot->nr_runs = 0;
	if (!n->nr)
		return;
	slot->first_key = node_key(n, 0);
	slot->last_key = node_key(n, n->nr - 1);
	leaf_runs_find(&runs, n, RUNS_ONE_TIME);
	if (leaf_runs_nr(&runs) > RUNS_IN_BLOCK) {
		memcpy(to, data, MBLOCK_SIZE);
		n->values = to + (n->values - (const uint8_t *)n->raw);
		n->raw = (const struct disk_node *)to;
		return;
	}
	for (uint32_t i = 0, end; i < n->nr; i = end) {
		end = leaf_runs_end(&runs, i);
		run[slot->nr_runs++] = run_of(n, i, end);
	}
}

static int take_leaf(void *ctx, unsigned worker, size_t i, mblock_t block, const void *data,
		     int status)
{
	struct emitter *e = ctx;
	struct emit_slot *slot = &e->slot[i];

	(void)worker;
	if (status < 0) {
		slot->fault = node_read_fault(status);
		return 0;
	}
	slot->fault = node_open(&slot->node, data, block, sizeof(le64));
	if (slot->fault == NODE_OK && !slot->node.leaf)
		slot->fault = NODE_BAD_DEPTH;
	if (slot->fault == NODE_OK)
		keep_leaf(slot, e->data + i * MBLOCK_SIZE, data);
	return 0;
}

int emit_leaves_read(struct emitter *e, struct err *err)
{
	struct emit_items *it = e->now;
	int r;

	if (reserve(e, it->nr_list))
		return err_nomem(err, "leaves");
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
		if (item->fault == NODE_OK && slot->node.nr &&
		    !node_keys_fit(slot->first_key, slot->last_key, item->first, item->last))
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

/* Adds @nr runs of which each but the first begins where the one before cannot go on. */
static void add_runs(struct emit_lane *l, const struct run *run, size_t nr)
{
	struct run *last = l->nr_runs ? &l->run[l->nr_runs - 1] : NULL;

	if (last && run->vbegin == last->vbegin + last->len &&
	    run->dbegin == last->dbegin + last->len && run->time == last->time) {
		last->len += run->len;
		run++;
		nr--;
	}
	memcpy(&l->run[l->nr_runs], run, nr * sizeof(*run));
	l->nr_runs += nr;
}

/* Adds the runs of a leaf that was kept as it was read. */
static void add_entries(struct emit_lane *l, const struct node *n)
{
	struct leaf_runs runs;
	struct run first;
	uint32_t end;

	leaf_runs_find(&runs, n, RUNS_ONE_TIME);
	end = leaf_runs_end(&runs, 0);
	first = run_of(n, 0, end);
	add_runs(l, &first, 1);
	if (leaf_runs_nr(&runs) == n->nr) { /* scattered blocks: each entry is a run */
		for (uint32_t i = 1; i < n->nr; i++)
			l->run[l->nr_runs++] = run_of(n, i, i + 1);
		return;
	}
	for (uint32_t i = end; i < n->nr; i = end) {
		end = leaf_runs_end(&runs, i);
		l->run[l->nr_runs++] = run_of(n, i, end);
	}
}

static void decode_leaf(struct emit_lane *l, const struct emit_slot *slot, const void *data)
{
	if (!slot->node.nr)
		return;
	if (!l->nr_runs)
		l->first_key = slot->first_key;
	else if (slot->first_key <= l->last_key)
		l->disorder = true;
	if (slot->nr_runs)
		add_runs(l, data, slot->nr_runs);
	else
		add_entries(l, &slot->node);
	l->last_key = slot->last_key;
}

int emit_lane_decode(const struct emitter *e, struct emit_lane *l, struct err *err)
{
	const struct emit_item *item = e->now->item + l->begin;
	uint64_t nr_data_blocks = e->md->nr_data_blocks;

	l->nr_runs = l->nr_outside = 0;
	l->disorder = false;
	outbuf_reset(&l->text);
	if (!l->leaves)
		return 0;
	for (size_t i = 0; i < l->nr; i++)
		decode_leaf(l, &e->slot[item[i].slot],
			    e->data + (size_t)item[i].slot * MBLOCK_SIZE);
	for (size_t i = 0; i < l->nr_runs; i++)
		if (unlikely(l->run[i].dbegin + l->run[i].len > nr_data_blocks))
			note_outside(l, &l->run[i], nr_data_blocks);
	if (e->to->ops->render && l->nr_runs > 2)
		e->to->ops->render(e->to->ctx, l->run + 1, l->nr_runs - 2, false, &l->text);
	return l->text.error ? err_nomem(err, "text") : 0;
}
