/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Pieces of a plan on all workers, for outputs that can be written anywhere. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>

#include "base/overflow.h"
#include "base/zero.h"
#include "dev/writeback.h"
#include "volume/copy/impl.h"

static int write_zeros(struct copy_state *c, uint64_t at, uint64_t len, struct err *err)
{
	uint64_t n;
	int r = 0;

	for (; len && !r; at += n, len -= n) {
		n = MIN(len, COPY_CHUNK);
		r = io_write(c->out->io, c->zeros, n, at, err);
	}
	return r;
}

/*
 * A block device makes zeros faster than we write them; these two calls guarantee them, the
 * first gives the space back too.  (A discard would guarantee nothing.)
 */
static bool device_zeros(struct copy_state *c, uint64_t at, uint64_t len)
{
	int fd = c->out->fd;

	if (c->opt->sparse != SPARSE_NEVER &&
	    !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)len))
		return true;
	return !fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)len);
}

static int zero_part(struct copy_state *c, uint64_t at, uint64_t len, struct err *err)
{
	int r = 0;

	if (c->out->reads_zero && c->opt->sparse != SPARSE_NEVER)
		return copy_done(c, copy_count(c, skipped), len, err);
	if (c->out->kind != OUTPUT_DEVICE || !device_zeros(c, at, len))
		r = write_zeros(c, at, len, err);
	return r ? r : copy_done(c, copy_count(c, zeroed), len, err);
}

/* Writes the bytes that are not zeros; runs of zeros become holes, or zeros of the device. */
static int write_sparse(struct copy_state *c, const uint8_t *data, uint64_t len, uint64_t at,
			struct err *err)
{
	uint64_t begin = 0, end;
	bool zero;
	int r = 0;

	while (begin < len && !r) {
		end = begin + zero_run(data + begin, len - begin, COPY_GRAIN - (at + begin) % COPY_GRAIN,
				       COPY_GRAIN, &zero);
		if (zero) {
			r = zero_part(c, at + begin, end - begin, err);
		} else {
			r = io_write(c->out->io, data + begin, end - begin, at + begin, err);
			if (!r)
				r = copy_done(c, copy_count(c, copied), end - begin, err);
		}
		begin = end;
	}
	return r;
}

static int write_part(struct copy_state *c, const uint8_t *data, const struct piece_part *part,
		      struct err *err)
{
	int r;

	if (c->opt->sparse == SPARSE_ALWAYS)
		return write_sparse(c, data + part->offset, part->len, part->at, err);
	r = io_write(c->out->io, data + part->offset, part->len, part->at, err);
	return r ? r : copy_done(c, copy_count(c, copied), part->len, err);
}

/* 1: the kernel copied all parts; 0: it cannot. */
static int copy_in_kernel(struct copy_state *c, const struct piece *pc, struct err *err)
{
	struct copy_source *s = &c->source[pc->kind];
	uint32_t i;
	int r = s->kernel ? 1 : 0;

	for (i = 0; i < pc->nr && r > 0; i++) {
		struct piece_part part = piece_part(&c->plan, pc, i);

		r = copy_range(c, s, pc->from + part.offset, part.at, part.len, err);
	}
	if (r > 0) {
		int stop = copy_done(c, copy_count(c, copied), pc->len, err);

		return stop < 0 ? stop : 1;
	}
	return r;
}

static int copy_piece(struct copy_state *c, unsigned worker, size_t k, struct err *err)
{
	const struct piece *pc = &c->plan.piece[k];
	uint8_t *buf;
	uint32_t i;
	int r;

	if (pc->kind == EXTENT_ZERO)
		copy_seen(c, NULL, pc->len);
	if (pc->kind == EXTENT_ZERO)
		return zero_part(c, c->plan.extent[pc->first].at + pc->skip, pc->len, err);
	r = copy_in_kernel(c, pc, err);
	if (r)
		return r < 0 ? r : 0;
	buf = copy_buffer(c, worker);
	if (!buf)
		return err_nomem(err, "copy buffer");
	r = copy_read(c, k, buf, err);
	if (!r)
		copy_seen(c, buf, pc->len);
	for (i = 0; i < pc->nr && !r; i++) {
		struct piece_part part = piece_part(&c->plan, pc, i);

		r = write_part(c, buf, &part, err);
	}
	return r;
}

/*
 * Makes the disk begin to write while the copy goes on, so that the flush at the end is short.  Not
 * when the order is that of the source: the file would be laid out in that order.
 */
static void start_writeback(struct copy_state *c, const struct piece *pc)
{
	if (!c->direct)
		writeback_add(&c->written, c->out->io, pc->len, c->plan.extent[pc->first].at + pc->skip);
}

static int copy_some(void *ctx, unsigned worker, size_t begin, size_t end, struct err *err)
{
	int r = 0;

	for (; begin < end && !r; begin++) {
		r = copy_piece(ctx, worker, begin, err);
		if (!r)
			start_writeback(ctx, &((struct copy_state *)ctx)->plan.piece[begin]);
	}
	return r;
}

int copy_pieces(struct copy_state *c, struct err *err)
{
	size_t nr = c->plan.nr_pieces;

	return jobs_for_wide(c->jobs, c->nr_workers, nr, c->plan.bytes <= COPY_SMALL ? nr : 1, copy_some,
			     c, err);
}
