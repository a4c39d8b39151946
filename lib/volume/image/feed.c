/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/image/feed.h"

#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "dev/io.h"

static int produce(void *ctx, size_t slot, struct err *err)
{
	struct feed *f = ctx;

	if (f->next == f->nr)
		return 0;
	if (!f->slot[slot])
		f->slot[slot] = io_alloc(f->slot_len);
	if (!f->slot[slot])
		return err_nomem(err, "buffers");
	f->in_slot[slot] = &f->unit[f->next++];
	return 1;
}

static int work(void *ctx, unsigned worker, size_t slot, struct err *err)
{
	struct feed *f = ctx;
	const struct feed_unit *u = f->in_slot[slot];

	if (f->work)
		return f->work(f->ctx, worker, u, f->extent + u->first, f->slot[slot], err);
	return f->source ? image_source_read(f->source, f->extent + u->first, u->nr, f->slot[slot], err) : 0;
}

static int consume(void *ctx, size_t slot, struct err *err)
{
	struct feed *f = ctx;
	const struct feed_unit *u = f->in_slot[slot];

	return f->consume(f->ctx, u, f->extent + u->first, f->slot[slot], err);
}

int feed_flush(struct feed *f, struct err *err)
{
	struct jobs_pipe pipe = { .produce = produce, .work = work, .consume = consume, .ctx = f };
	int r;

	if (!f->slot) {
		f->nr_slots = jobs_nr(f->jobs) + 4;
		f->slot = calloc(f->nr_slots, sizeof(*f->slot));
		f->in_slot = calloc(f->nr_slots, sizeof(*f->in_slot));
		if (!f->slot || !f->in_slot)
			return err_nomem(err, "buffers");
	}
	pipe.nr_slots = f->nr_slots;
	f->next = 0;
	r = f->nr ? jobs_pipe(f->jobs, &pipe, err) : 0;
	f->nr = f->nr_extents = 0;
	return r;
}

int feed_add(struct feed *f, const struct feed_unit *u, const struct extent *e, struct err *err)
{
	struct feed_unit *slot = vec_add(f->unit, f->nr, f->cap);

	if (!slot || vec_reserve(f->extent, f->cap_extents, f->nr_extents + u->nr))
		return err_nomem(err, "units of work");
	*slot = *u;
	slot->first = f->nr_extents;
	if (u->nr)
		memcpy(f->extent + f->nr_extents, e, u->nr * sizeof(*e));
	f->nr_extents += u->nr;
	return f->nr == FEED_WINDOW ? feed_flush(f, err) : 0;
}

static void move_on(struct extent *e, uint64_t len)
{
	e->at += len;
	e->from += e->kind == EXTENT_ZERO ? 0 : len;
}

int feed_cut(struct feed *f, const struct extent *e, unsigned nr, uint64_t max, struct err *err)
{
	struct extent part[FEED_CUT_MAX];
	struct feed_unit u = { .at = e->at, .nr = nr };
	const uint64_t end = e->at + e->len;
	int r = 0;

	memcpy(part, e, nr * sizeof(*e));
	for (; u.at < end && !r; u.at += u.len) {
		u.len = MIN(end - u.at, max - u.at % max);
		for (unsigned i = 0; i < nr; i++)
			part[i].len = u.len;
		r = feed_add(f, &u, part, err);
		for (unsigned i = 0; i < nr; i++)
			move_on(&part[i], u.len);
	}
	return r;
}

void feed_fini(struct feed *f)
{
	for (size_t i = 0; f->slot && i < f->nr_slots; i++)
		free(f->slot[i]);
	free(f->slot);
	free(f->in_slot);
	free(f->unit);
	free(f->extent);
}

int image_source_read(const struct image_source *s, const struct extent *e, unsigned nr, uint8_t *buf,
		      struct err *err)
{
	int r = 0;

	for (; nr && !r; nr--, buf += e->len, e++) {
		if (e->kind == EXTENT_ZERO)
			memset(buf, 0, e->len);
		else
			r = io_read(e->kind == EXTENT_DATA ? s->data : s->origin, buf, e->len, e->from, err);
	}
	return r;
}
