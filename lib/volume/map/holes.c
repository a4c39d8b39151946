/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/map/holes.h"

#include <errno.h>
#include <unistd.h>

void holes_init(struct holes *h, struct io *io)
{
	*h = (struct holes){ .io = io };
}

/* Of @p, which lies in a file: how far it is data or hole. */
static uint64_t ask(const struct io_place *p, bool *is_data)
{
	const off_t at = (off_t)p->at;
	off_t data = lseek(p->io->fd, at, SEEK_DATA), hole;

	*is_data = true;
	if (data < 0 && errno == ENXIO) { /* a hole up to the end */
		*is_data = false;
	} else if (data > at) {
		*is_data = false;
		return MIN(p->len, (uint64_t)(data - at));
	} else if (data == at) {
		hole = lseek(p->io->fd, at, SEEK_HOLE);
		if (hole > at)
			return MIN(p->len, (uint64_t)(hole - at));
	}
	return p->len;
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
