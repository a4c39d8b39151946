/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/map/holes.h"

#include <unistd.h>

void holes_init(struct holes *h, struct io *io)
{
	*h = (struct holes){ .io = io };
}

/* Of @p, which lies in a file: how far it is data or hole. */
static uint64_t ask(const struct io_place *p, bool *is_data)
{
	const uint64_t data = io_next_data(p->io, p->at);
	off_t hole;

	*is_data = data == p->at;
	if (!*is_data)
		return MIN(p->len, data - p->at);
	hole = lseek(p->io->fd, (off_t)p->at, SEEK_HOLE);
	return hole > (off_t)p->at ? MIN(p->len, (uint64_t)hole - p->at) : p->len;
}

static void find(struct holes *h, uint64_t at)
{
	struct io_place p;

	io_where(h->io, at, UINT64_MAX - at, &p);
	h->begin = at;
	h->is_data = p.kind != IO_ZERO;
	h->end = at + (p.kind == IO_STORED && p.io->fd >= 0 ? ask(&p, &h->is_data) : p.len);
}

uint64_t holes_segment(struct holes *h, uint64_t at, uint64_t len, bool *is_data)
{
	if (h->io && (at < h->begin || at >= h->end))
		find(h, at);
	*is_data = !h->io || h->is_data;
	return h->io ? MIN(len, h->end - at) : len;
}

struct extent holes_take(struct holes *h, struct extent *e, uint64_t max)
{
	struct extent part = *e;
	bool is_data;

	part.len = holes_segment(h, e->from, MIN(e->len, max), &is_data);
	if (!is_data) {
		part.kind = EXTENT_ZERO;
		part.from = 0;
	}
	e->at += part.len;
	e->from += part.len;
	e->len -= part.len;
	return part;
}
