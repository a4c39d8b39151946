/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Reading pieces of a plan.  Long extents are left to the kernel's own read-ahead, which announcing
 * them as well only disturbs.  Of a fragmented plan, bytes in the page cache are taken from there.
 * At the first byte that is not cached, the next COPY_AHEAD bytes of the plan are announced to the
 * kernel, sorted by where they are: the device is then read in the order of its disk, many requests
 * at once, and still written in the order of the image.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/portable.h"
#include "volume/copy/impl.h"

struct range {
	struct io *io;
	uint64_t from, len;
};

static int by_place(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	if (x->io != y->io)
		return x->io < y->io ? -1 : 1;
	return x->from < y->from ? -1 : x->from > y->from;
}

static void announce(struct copy_state *c, size_t begin, size_t end)
{
	struct range *range = calloc(end - begin, sizeof(*range));
	size_t k, nr = 0, i, n;

	if (!range)
		return; /* the copy is only slower */
	for (k = begin; k < end; k++) {
		const struct piece *pc = &c->plan.piece[k];
		struct io *io = c->source[pc->kind].io;

		if (pc->kind != EXTENT_ZERO && io->ops->will_need)
			range[nr++] = (struct range){ io, pc->from, pc->len };
	}
	qsort(range, nr, sizeof(*range), by_place);
	for (i = 0; i < nr; i += n) {
		uint64_t len = range[i].len;

		for (n = 1; i + n < nr && range[i + n].io == range[i].io &&
			    range[i + n].from == range[i].from + len; n++)
			len += range[i + n].len;
		range[i].io->ops->will_need(range[i].io, range[i].from, len);
	}
	free(range);
}

/* Piece @k had to wait: announces what follows, unless another worker did or enough is under way. */
static void look_ahead(struct copy_state *c, size_t k)
{
	size_t seen = c->announced, begin = MAX(seen, k), end;
	uint64_t bytes = 0;

	for (end = k; end < begin; end++)
		bytes += c->plan.piece[end].len;
	if (bytes > COPY_AHEAD / 2)
		return;
	for (bytes = 0, end = begin; end < c->plan.nr_pieces && bytes < COPY_AHEAD; end++)
		bytes += c->plan.piece[end].len;
	if (end > begin && atomic_compare_exchange_strong(&c->announced, &seen, end))
		announce(c, begin, end);
}

int copy_read(struct copy_state *c, size_t k, uint8_t *buf, struct err *err)
{
	const struct piece *pc = &c->plan.piece[k];
	struct copy_source *s = &c->source[pc->kind];
	struct io_place p;
	uint64_t got = 0;
	ssize_t n;

	if (s->nowait && plan_fragmented(&c->plan)) {
		io_where(s->io, pc->from, pc->len, &p);
		n = p.kind == IO_STORED && p.io->fd >= 0 ?
			    pread_nowait(p.io->fd, buf, p.len, (off_t)p.at) :
			    0;
		if (n == (ssize_t)pc->len)
			return 0;
		if (n > 0)
			got = (uint64_t)n;
		if (n < 0 && errno == EOPNOTSUPP)
			s->nowait = false;
		else
			look_ahead(c, k);
	}
	return io_read(s->io, buf + got, pc->len - got, pc->from + got, err);
}
