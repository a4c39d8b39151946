/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The copying half of shrink.  Sources lie at or beyond the new end and targets before it, so no
 * copy touches what another reads, and they may run in any order, several at once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "base/zero.h"
#include "pool/space/shrink.h"
#include "pool/space/shrink_bits.h"

#define COPY_LEN ((uint64_t)2 << 20) /* bytes of a request */
#define HOLE_LEN ((uint64_t)64 << 10) /* zeros of this length, aligned, become holes of a file */

struct copy_slot {
	uint8_t *buf;
	uint64_t from, to, len; /* bytes */
};

struct copier {
	const struct shrink *s;
	struct io *data;
	uint64_t block_len; /* bytes */
	struct shrink_move move;
	uint64_t done_of_move; /* bytes */
	struct copy_slot *slot;
	void (*done)(void *ctx, uint64_t bytes);
	void *ctx;
};

static int copy_produce(void *ctx, size_t i, struct err *err)
{
	struct copier *c = ctx;
	struct copy_slot *slot = &c->slot[i];

	if (c->done_of_move == c->move.len * c->block_len) {
		if (!shrink_next_move(c->s, &c->move))
			return 0;
		c->done_of_move = 0;
	}
	if (!slot->buf)
		slot->buf = io_alloc(COPY_LEN);
	if (!slot->buf)
		return err_nomem(err, "copy buffer");
	slot->from = c->move.from * c->block_len + c->done_of_move;
	slot->to = c->move.to * c->block_len + c->done_of_move;
	slot->len = MIN(COPY_LEN, c->move.len * c->block_len - c->done_of_move);
	c->done_of_move += slot->len;
	return 1;
}

/* Writes with holes where there are zeros, so that holes of a file stay holes. */
static int write_sparse(struct io *io, const uint8_t *buf, uint64_t len, uint64_t at, struct err *err)
{
	uint64_t begin, end;
	bool zero;
	int r = 0;

	for (begin = 0; !r && begin < len; begin = end) {
		end = begin + zero_run(buf + begin, len - begin, HOLE_LEN, HOLE_LEN, &zero);
		if (zero && !io_punch(io, at + begin, end - begin, NULL))
			continue;
		r = io_write(io, buf + begin, end - begin, at + begin, err);
	}
	return r;
}

static int copy_work(void *ctx, unsigned worker, size_t i, struct err *err)
{
	struct copier *c = ctx;
	struct copy_slot *s = &c->slot[i];
	int r;

	(void)worker;
	r = io_read(c->data, s->buf, s->len, s->from, err);
	if (r < 0)
		return err_prefix(err, r, "read error in data block %llu",
				  (unsigned long long)(s->from / c->block_len));
	if (c->data->direct)
		r = io_write(c->data, s->buf, s->len, s->to, err);
	else
		r = write_sparse(c->data, s->buf, s->len, s->to, err);
	if (r < 0)
		return err_prefix(err, r, "write error in data block %llu",
				  (unsigned long long)(s->to / c->block_len));
	return 0;
}

static int copy_consume(void *ctx, size_t i, struct err *err)
{
	struct copier *c = ctx;

	(void)err;
	if (c->done)
		c->done(c->ctx, c->slot[i].len);
	return 0;
}

int shrink_check_data(const struct shrink *s, const struct io *data, struct err *err)
{
	const struct shrink_plan *p = shrink_plan(s);
	uint64_t block_len = (uint64_t)p->block_size << SECTOR_SHIFT, len;

	if (mul_overflow(p->used_end, block_len, &len) || len > data->size)
		return err_set(err, -ERANGE,
			       "%s: data block %llu is in use and lies beyond the end of the data device",
			       data->name, (unsigned long long)(p->used_end - 1));
	return 0;
}

int shrink_copy(const struct shrink *s, struct io *data, struct jobs *jobs,
		void (*done)(void *ctx, uint64_t bytes), void *ctx, struct err *err)
{
	const size_t nr_slots = jobs_nr(jobs) + 2;
	CLEANUP(free_ptr) struct copy_slot *slot = calloc(nr_slots, sizeof(*slot));
	struct copier c = {
		.s = s,
		.data = data,
		.block_len = (uint64_t)shrink_plan(s)->block_size << SECTOR_SHIFT,
		.slot = slot,
		.done = done,
		.ctx = ctx,
	};
	const struct jobs_pipe pipe = {
		.nr_slots = nr_slots,
		.produce = copy_produce,
		.work = copy_work,
		.consume = copy_consume,
		.ctx = &c,
	};
	int r;

	if (!slot)
		return err_nomem(err, "copy");
	r = shrink_check_data(s, data, err);
	if (!r)
		r = jobs_pipe(jobs, &pipe, err);
	for (size_t i = 0; i < nr_slots; i++)
		free(slot[i].buf);
	return r ? r : io_flush(data, err);
}
