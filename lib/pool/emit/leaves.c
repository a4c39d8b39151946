/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The leaves of a batch: read in location order, decoded and rendered in key order. */
#include <errno.h>
#include <stdlib.h>

#include "pool/emit/impl.h"

#define HINT_GAP 16 /* blocks that an announcement may include needlessly */

static int reserve(struct emitter *e, size_t nr)
{
	if (nr <= e->data_cap)
		return 0;
	free(e->data);
	free(e->node);
	free(e->fault);
	e->data = io_alloc(nr * MBLOCK_SIZE);
	e->node = calloc(nr, sizeof(*e->node));
	e->fault = calloc(nr, 1);
	e->data_cap = nr;
	if (e->data && e->node && e->fault)
		return 0;
	e->data_cap = 0;
	return -ENOMEM;
}

static int take_leaf(void *ctx, unsigned worker, size_t i, mblock_t block, const void *data,
		     int status)
{
	struct emitter *e = ctx;
	uint8_t *copy = e->data + i * MBLOCK_SIZE;

	(void)worker;
	if (status < 0) {
		e->fault[i] = node_read_fault(status);
		return 0;
	}
	memcpy(copy, data, MBLOCK_SIZE);
	e->fault[i] = node_open(&e->node[i], copy, block, sizeof(le64));
	if (e->fault[i] == NODE_OK && !e->node[i].leaf)
		e->fault[i] = NODE_BAD_DEPTH;
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
		const struct node *n;

		if (item->kind != EMIT_LEAF)
			continue;
		n = &e->node[item->slot];
		item->fault = e->fault[item->slot];
		if (item->fault == NODE_OK)
			item->fault = node_check_range(n, item->first, item->last);
	}
	return 0;
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
		io->ops->will_need(io, it->list[from] * MBLOCK_SIZE,
				   (it->list[i - 1] + 1 - it->list[from]) * MBLOCK_SIZE);
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

static void decode_leaf(struct emit_lane *l, const struct node *n)
{
	struct run *run = l->run, cur = { 0 };
	size_t nr = l->nr_runs;

	if (!n->nr)
		return;
	if (nr && node_key(n, 0) <= l->last_key)
		l->disorder = true;
	if (!nr)
		l->first_key = node_key(n, 0);
	else
		cur = run[--nr]; /* may go on */
	for (uint32_t i = 0; i < n->nr; i++) {
		uint64_t key = node_key(n, i), v = node_value64(n, i);

		if (cur.len && key == cur.vbegin + cur.len &&
		    mapping_block(v) == cur.dbegin + cur.len && mapping_time(v) == cur.time) {
			cur.len++;
			continue;
		}
		if (cur.len)
			run[nr++] = cur;
		cur = (struct run){ key, mapping_block(v), 1, mapping_time(v) };
	}
	run[nr++] = cur;
	l->last_key = node_key(n, n->nr - 1);
	l->nr_runs = nr;
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
		decode_leaf(l, &e->node[item[i].slot]);
	for (size_t i = 0; i < l->nr_runs; i++)
		if (unlikely(l->run[i].dbegin + l->run[i].len > nr_data_blocks))
			note_outside(l, &l->run[i], nr_data_blocks);
	if (e->to->ops->render && l->nr_runs > 2)
		e->to->ops->render(e->to->ctx, l->run + 1, l->nr_runs - 2, false, &l->text);
	return l->text.error ? err_nomem(err, "text") : 0;
}
